/*
 * Random bits on the pool: words go to where they belong at once, two halves of the result side by side. The last block
 * of an odd number of words, and words cut by the result's end, are done apart.
 */
#include "device/cpu/random.h"

#include <string.h>

#include "core/error.h"
#include "device/cpu/cpu.h"

#define CHUNK 8192 /* blocks that one worker does at a time */
#define PIECE 1024 /* blocks that are made floats while they are in L1 */
#define PAIRS 256  /* blocks that are joined to 64-bit results at a time */

const em__threefry *em__threefry_get(em__cpu_level level)
{
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX512)
        return &em__threefry_avx512;
    if (level >= EM__CPU_AVX2)
        return &em__threefry_avx2;
#else
    (void)level;
#endif
    return &em__threefry_portable;
}

typedef struct work {
    const em__threefry *kernels;
    bool is_float;
    uint32_t key[2];
    char *out;
    int64_t bytes; /* of the result */
    int64_t words, half;
} work;

/* Blocks [from, to) of 64-bit results. */
static void pairs(const work *w, int64_t from, int64_t to)
{
    uint32_t a[PAIRS], b[PAIRS];
    uint64_t *out = (uint64_t *)(void *)w->out;
    for (int64_t at = from; at < to; at += PAIRS) {
        int64_t n = to - at < PAIRS ? to - at : PAIRS;
        w->kernels->run(w->key, (uint32_t)at, (uint32_t)(at + w->half), n, a, b);
        for (int64_t i = 0; i < n; i++)
            out[at + i] = (uint64_t)a[i] << 32 | b[i];
        if (w->is_float)
            w->kernels->to_f64(out + at, n);
    }
}

static void wide_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const work *w = context;
    int64_t end = (chunk + 1) * CHUNK;
    pairs(w, chunk * CHUNK, end < w->half ? end : w->half);
}

/* Block i, of which a part may be behind the result's end. */
static void edge(const work *w, int64_t i)
{
    uint32_t word[2];
    w->kernels->run(w->key, (uint32_t)i, i + w->half < w->words ? (uint32_t)(i + w->half) : 0, 1, &word[0], &word[1]);
    if (w->is_float)
        w->kernels->to_f32(word, 2);
    for (int k = 0; k < 2; k++) {
        int64_t at = 4 * (i + k * w->half), left = w->bytes - at;
        if (left > 0)
            memcpy(w->out + at, &word[k], left < 4 ? (size_t)left : 4);
    }
}

static void chunk(void *context, int64_t index, int worker)
{
    (void)worker;
    const work *w = context;
    int64_t from = index * CHUNK, to = from + CHUNK;
    int64_t whole = w->bytes / 4 - w->half; /* blocks before this one have two whole words */
    to = to < whole ? to : whole;
    uint32_t *out = (uint32_t *)(void *)w->out;
    for (int64_t i = from, n; i < to; i += n) {
        n = to - i < PIECE ? to - i : PIECE;
        w->kernels->run(w->key, (uint32_t)i, (uint32_t)(i + w->half), n, out + i, out + w->half + i);
        if (w->is_float) {
            w->kernels->to_f32(out + i, n);
            w->kernels->to_f32(out + w->half + i, n);
        }
    }
    for (int64_t i = whole > from ? whole : from; i < w->half && i < from + CHUNK; i++)
        edge(w, i);
}

typedef struct range {
    const em__threefry *kernels;
    const uint32_t *keys;
    uint32_t *out, first, span, factor;
    int64_t size, half;
} range;

/* Blocks [at, at + n) of both keys; out: the results' two halves. */
static void range_piece(const range *w, int64_t at, int64_t n, uint32_t second, uint32_t *a, uint32_t *b)
{
    uint32_t upper[2][PIECE];
    w->kernels->run(w->keys + 2, (uint32_t)at, second, n, a, b);
    if (w->span == 0) {
        for (int64_t i = 0; i < n; i++) {
            a[i] += w->first;
            b[i] += w->first;
        }
        return;
    }
    w->kernels->run(w->keys, (uint32_t)at, second, n, upper[0], upper[1]);
    w->kernels->to_range(upper[0], a, n, w->first, w->span, w->factor);
    w->kernels->to_range(upper[1], b, n, w->first, w->span, w->factor);
}

static void range_chunk(void *context, int64_t index, int worker)
{
    (void)worker;
    const range *w = context;
    int64_t from = index * CHUNK, to = from + CHUNK, last = w->half - 1;
    to = to < last ? to : last;
    for (int64_t i = from, n; i < to; i += n) {
        n = to - i < PIECE ? to - i : PIECE;
        range_piece(w, i, n, (uint32_t)(i + w->half), w->out + i, w->out + w->half + i);
    }
    if (last < from + CHUNK) {
        uint32_t word[2];
        bool whole = last + w->half < w->size;
        range_piece(w, last, 1, whole ? (uint32_t)(last + w->half) : 0, &word[0], &word[1]);
        w->out[last] = word[0];
        if (whole)
            w->out[last + w->half] = word[1];
    }
}

static em_status run_randint(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    range w = {.kernels = em__threefry_get(cpu->level), .keys = call->in[0].data, .out = call->out.data};
    w.first = (uint32_t)call->ints[1];
    w.span = (uint32_t)call->ints[2];
    uint32_t root = w.span ? 65536 % w.span : 0;
    w.factor = w.span ? root * root % w.span : 0;
    w.size = em__spec_size(&call->out.spec);
    w.half = (w.size + 1) / 2;
    em__pool_run(cpu->pool, range_chunk, &w, (w.half + CHUNK - 1) / CHUNK);
    return EM_OK;
}

static em_status run_threefry(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    const uint32_t *key = call->in[0].data;
    work w = {.kernels = em__threefry_get(cpu->level), .key = {key[0], key[1]}, .out = call->out.data};
    size_t size = em_dtype_size(call->out.spec.dtype);
    w.is_float = em_dtype_get_kind(call->out.spec.dtype) == EM_KIND_FLOAT;
    w.bytes = em__spec_size(&call->out.spec) * (int64_t)size;
    w.words = (w.bytes + 3) / 4;
    w.half = (w.words + 1) / 2;
    em__pool_run(cpu->pool, size == 8 ? wide_chunk : chunk, &w, (w.half + CHUNK - 1) / CHUNK);
    return EM_OK;
}

bool em__cpu_prepare_random(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    (void)cpu;
    if (call->op == EM__OP_RANDINT) {
        *plan = (em__plan){.kernel = run_randint};
        return true;
    }
    if (call->op != EM__OP_THREEFRY2X32)
        return false;
    /* Given counters come in twos: fold_in. The naive loop is right for them. */
    *plan = (em__plan){.kernel = call->n_in == 1 ? run_threefry : em__ref_kernel(call->op)};
    return true;
}
