/* The table of conversions and the driver that spreads one over the pool. */
#include "device/cpu/cast.h"

#include <pthread.h>
#include <string.h>

#include "core/whole.h"
#include "device/cpu/cpu.h"
#include "device/cpu/elementwise.h"

#define CHUNK 32768       /* elements that one worker takes at a time */
#define SERIAL (96 << 10) /* bytes read and written up to which the caller does it alone */
#define STREAM_BLOCK 1024 /* bytes of results computed before they are copied past the caches */
#define BETWEEN 512       /* elements between two conversions; like the others, whole bytes of any dtype */

static em__cast best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__cast_init(em__cast *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__cast_fill_portable(kernels);
    em__cast_fill_parts(kernels);
    em__cast_fill_sub_byte(kernels);
    kernels->level = EM__CPU_PORTABLE;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2) {
        em__cast_fill_avx2(kernels);
        kernels->level = EM__CPU_AVX2;
    }
    if (level >= EM__CPU_AVX512) {
        em__cast_fill_avx512(kernels);
        kernels->level = EM__CPU_AVX512;
    }
#else
    (void)level;
#endif
}

static void init_best(void)
{
    em__cast_init(&best, em__cpu_get()->level);
}

const em__cast *em__cast_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}

typedef struct job {
    em__cast_fn fn, second; /* second: NULL, or what takes the first one's results on */
    uint8_t *out;
    const uint8_t *in;
    size_t out_bits, in_bits, n;
    int stream;
} job;

static void convert(const job *j, uint8_t *out, const uint8_t *in, size_t n)
{
    if (!j->second) {
        j->fn(out, in, n);
        return;
    }
    _Alignas(64) double block[BETWEEN];
    for (size_t i = 0; i < n; i += BETWEEN) {
        size_t count = n - i < BETWEEN ? n - i : BETWEEN;
        j->fn(block, in + i * j->in_bits / 8, count);
        j->second(out + i * j->out_bits / 8, block, count);
    }
}

static void run_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    size_t from = (size_t)chunk * CHUNK, to = j->n - from < CHUNK ? j->n : from + CHUNK;
    if (!j->stream) {
        convert(j, j->out + from * j->out_bits / 8, j->in + from * j->in_bits / 8, to - from);
        return;
    }
    _Alignas(64) uint8_t block[STREAM_BLOCK];
    size_t most = STREAM_BLOCK * 8 / j->out_bits;
    for (size_t i = from; i < to; i += most) {
        size_t count = to - i < most ? to - i : most;
        convert(j, block, j->in + i * j->in_bits / 8, count);
        em__stream_copy(j->out + i * j->out_bits / 8, block, (count * j->out_bits + 7) / 8);
    }
    em__stream_end();
}

void em__cast_run(const em__cast *kernels, em__pool *pool, em_dtype from, em_dtype to, void *out, const void *in,
                  size_t n)
{
    em_dtype between = em__cast_between(kernels, from, to);
    job j = {.fn = kernels->fn[from][between], .out = out, .in = in, .n = n};
    j.second = between == to ? NULL : kernels->fn[between][to];
    j.out_bits = em_dtype_bits(to);
    j.in_bits = em_dtype_bits(from);
    size_t bytes = n * (j.out_bits + j.in_bits) / 8;
    if (!pool || bytes <= SERIAL) {
        convert(&j, out, in, n);
        return;
    }
    j.stream = bytes >= em__cpu_get()->l3;
    em__pool_run(pool, run_chunk, &j, (int64_t)((n + CHUNK - 1) / CHUNK));
}

void em__cpu_cast(em__cpu *cpu, const em__tensor *from, const em__tensor *to)
{
    em__cast_run(cpu->cast, cpu->pool, from->spec.dtype, to->spec.dtype, to->data, from->data,
                 (size_t)em__spec_size(&to->spec));
}

size_t em__cpu_wide_bytes(const em__spec *spec)
{
    return em__align64((size_t)em__spec_size(spec) * sizeof(float));
}
