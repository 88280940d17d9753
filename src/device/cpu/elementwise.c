/*
 * The table of elementwise kernels, filled level by level, and the drivers that spread a loop over the pool.
 *
 * Big arrays are bound by memory. A store that misses the caches first reads the line that it then overwrites, a
 * quarter of an addition's traffic; so above `stream_from` bytes each chunk computes into a block that stays in L1 and
 * copies it out with stores that go past the caches. It works for every dtype and costs one pass over L1. Measured on
 * Zen 4, add of 4096 x 4096 on one thread: 7.2 ms plain, 5.9 in blocks of 1 KB, 17 in blocks of 8 KB, which halt the
 * reads meanwhile. Ops that compute more than they move (exp, 3.6 ms plain) lose by it and go without.
 */
#include "device/cpu/elementwise.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "device/cpu/cast.h"

#define STREAM_BLOCK 1024 /* bytes of results computed before they are copied out */
#define F8_BLOCK 512      /* elements of f8 that are f32 at a time */

/* A third cache larger than this is shared with what else runs on a large machine, or beside a virtual one. */
#define STREAM_MOST ((size_t)64 << 20)

static em__elementwise best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__elementwise_init(em__elementwise *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__elementwise_fill_complex(kernels);
    em__elementwise_fill_portable(kernels);
    kernels->level = EM__CPU_PORTABLE;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2) {
        em__elementwise_fill_avx2(kernels);
        kernels->level = EM__CPU_AVX2;
    }
    if (level >= EM__CPU_AVX512) {
        em__elementwise_fill_avx512(kernels);
        kernels->level = EM__CPU_AVX512;
    }
#else
    (void)level;
#endif
    kernels->chunk = 16384;
    kernels->serial = 96 << 10;
    kernels->stream_from = em__cpu_get()->l3 < STREAM_MOST ? em__cpu_get()->l3 : STREAM_MOST;
}

static void init_best(void)
{
    em__elementwise_init(&best, em__cpu_get()->level);
}

const em__elementwise *em__elementwise_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}

size_t em__unary_out_size(em__unary_op op, em_dtype dtype)
{
    static const uint8_t test[EM__UNARY_COUNT] = {
#define EM__UNARY_TEST(NAME, name) [EM__UNARY_##NAME] = 1,
#include "device/cpu/elementwise_ops.def"
    };
    bool part = op == EM__UNARY_ABS || op == EM__UNARY_REAL || op == EM__UNARY_IMAG || op == EM__UNARY_PHASE;
    if (part && em_dtype_get_kind(dtype) == EM_KIND_COMPLEX)
        return em_dtype_size(dtype) / 2;
    return test[op] ? 1 : em_dtype_size(dtype);
}

size_t em__binary_out_size(em__binary_op op, em_dtype dtype)
{
    static const uint8_t test[EM__BINARY_COUNT] = {
#define EM__BINARY_TEST(NAME, name) [EM__BINARY_##NAME] = 1,
#include "device/cpu/elementwise_ops.def"
    };
    if (op == EM__BINARY_MAKE_COMPLEX)
        return em_dtype_size(dtype) * 2;
    return test[op] ? 1 : em_dtype_size(dtype);
}

/* One loop over the pool, of any of the four forms: up to three inputs, each with its step an element (0: a scalar). */
typedef struct job {
    void (*piece)(const struct job *job, void *out, const uint8_t *const in[3], size_t n);
    union {
        em__unary_fn unary;
        em__binary_fn binary;
        em__select_fn select;
        em__clip_fn clip;
    } fn;
    uint8_t *out;
    size_t out_size;
    const uint8_t *in[3];
    size_t step[3];
    size_t n, chunk;
    em__mode mode;
    int stream;
    em_dtype f8; /* of the operands, when they go through f32; else PRED */
    bool test;   /* then: the result is pred */
} job;

static void piece_unary(const job *j, void *out, const uint8_t *const in[3], size_t n)
{
    j->fn.unary(out, in[0], n);
}

static void piece_binary(const job *j, void *out, const uint8_t *const in[3], size_t n)
{
    j->fn.binary(out, in[0], in[1], n, j->mode);
}

static void piece_select(const job *j, void *out, const uint8_t *const in[3], size_t n)
{
    j->fn.select(out, in[2], in[0], in[1], n, j->mode);
}

static void piece_clip(const job *j, void *out, const uint8_t *const in[3], size_t n)
{
    j->fn.clip(out, in[0], in[1], in[2], n);
}

/* f8 operands become f32 block by block, and what comes of them f8 again. */
static void run_f8(const job *j, uint8_t *out, const uint8_t *const in[3], size_t n)
{
    const em__cast *cast = em__cast_get();
    em__cast_fn widen = cast->fn[j->f8][EM_F32], narrow = cast->fn[EM_F32][j->f8];
    _Alignas(64) float wide[2][F8_BLOCK], result[F8_BLOCK];
    const uint8_t *block[3] = {(const uint8_t *)wide[0], (const uint8_t *)wide[1], NULL};
    for (size_t at = 0; at < n; at += F8_BLOCK) {
        size_t count = n - at < F8_BLOCK ? n - at : F8_BLOCK;
        for (int i = 0; i < 2 && in[i]; i++)
            if (j->step[i] || at == 0)
                widen(wide[i], in[i] + at * j->step[i], j->step[i] ? count : 1);
        j->piece(j, j->test ? (void *)(out + at) : result, block, count);
        if (!j->test)
            narrow(out + at, result, count);
    }
}

static void run_part(const job *j, void *out, size_t from, size_t n)
{
    const uint8_t *in[3];
    for (int i = 0; i < 3; i++)
        in[i] = j->step[i] ? j->in[i] + from * j->step[i] : j->in[i];
    if (j->f8)
        run_f8(j, out, in, n);
    else
        j->piece(j, out, in, n);
}

static void run_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    size_t from = (size_t)chunk * j->chunk;
    size_t n = j->n - from < j->chunk ? j->n - from : j->chunk;
    if (!j->stream) {
        run_part(j, j->out + from * j->out_size, from, n);
        return;
    }
    _Alignas(64) uint8_t block[STREAM_BLOCK];
    size_t most = STREAM_BLOCK / j->out_size;
    for (size_t i = 0; i < n; i += most) {
        size_t count = n - i < most ? n - i : most;
        run_part(j, block, from + i, count);
        em__stream_copy(j->out + (from + i) * j->out_size, block, count * j->out_size);
    }
    em__stream_end();
}

/* `light`: the op is bound by memory, if anything is. */
static void run_job(const em__elementwise *kernels, em__pool *pool, job *j, int light)
{
    if (!j->n)
        return;
    size_t bytes = j->n * (j->out_size + j->step[0] + j->step[1] + j->step[2]);
    if (!pool || bytes <= kernels->serial) {
        run_part(j, j->out, 0, j->n);
        return;
    }
    j->chunk = kernels->chunk;
    j->stream = light && bytes >= kernels->stream_from;
    em__pool_run(pool, run_chunk, j, (int64_t)((j->n + j->chunk - 1) / j->chunk));
}

void em__elementwise_unary(const em__elementwise *kernels, em__pool *pool, em__unary_op op, em_dtype dtype, void *out,
                           const void *in, size_t n)
{
    em_dtype by = em__elementwise_by(dtype);
    job j = {.piece = piece_unary, .fn.unary = kernels->unary[op][by], .out = out, .in = {in}, .n = n};
    j.f8 = by == dtype ? EM_PRED : dtype;
    j.test = em__unary_out_size(op, by) == 1;
    j.out_size = em__unary_out_size(op, dtype);
    j.step[0] = em_dtype_size(dtype);
    run_job(kernels, pool, &j, op < EM__UNARY_RECIPROCAL || j.out_size == 1);
}

void em__elementwise_binary(const em__elementwise *kernels, em__pool *pool, em__binary_op op, em_dtype dtype, void *out,
                            const void *a, const void *b, size_t n, em__mode mode)
{
    em_dtype by = em__elementwise_by(dtype);
    job j = {.piece = piece_binary, .fn.binary = kernels->binary[op][by], .out = out, .in = {a, b}, .n = n};
    j.f8 = by == dtype ? EM_PRED : dtype;
    j.test = em__binary_out_size(op, by) == 1;
    size_t size = em_dtype_size(dtype);
    j.out_size = em__binary_out_size(op, dtype);
    j.step[0] = mode & EM__SCALAR_A ? 0 : size;
    j.step[1] = mode & EM__SCALAR_B ? 0 : size;
    j.mode = mode;
    run_job(kernels, pool, &j, op != EM__BINARY_POW && op != EM__BINARY_ATAN2 && op != EM__BINARY_REMAINDER);
}

void em__elementwise_select(const em__elementwise *kernels, em__pool *pool, em_dtype dtype, void *out,
                            const uint8_t *pred, const void *a, const void *b, size_t n, em__mode mode)
{
    job j = {.piece = piece_select, .fn.select = kernels->select[dtype], .out = out, .in = {a, b, pred}, .n = n};
    j.out_size = em_dtype_size(dtype);
    j.step[0] = mode & EM__SCALAR_A ? 0 : j.out_size;
    j.step[1] = mode & EM__SCALAR_B ? 0 : j.out_size;
    j.step[2] = 1;
    j.mode = mode;
    run_job(kernels, pool, &j, 1);
}

void em__elementwise_clip(const em__elementwise *kernels, em__pool *pool, em_dtype dtype, void *out, const void *in,
                          const void *low, const void *high, size_t n)
{
    job j = {.piece = piece_clip, .fn.clip = kernels->clip[dtype], .out = out, .in = {in, low, high}, .n = n};
    j.out_size = j.step[0] = em_dtype_size(dtype);
    run_job(kernels, pool, &j, 1);
}
