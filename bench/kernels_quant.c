/*
 * Products with quantized weights: for few rows of x the rate at which the weight's bytes are read, and its share of
 * the rate at which they can be read at all, measured before it; for many rows the rate of multiply-adds, and its share
 * of the dense product's, also with rounding to bf16 ("rounded"). w is [k, n], [n, k] (wT), or that packed. Weights lie
 * in as many copies as exceed the caches.
 * Use: kernels_quant [threads] [level]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/block.h"
#include "core/str.h"
#include "device/cpu/gemm.h"
#include "device/cpu/quant.h"

#define ROUNDS 5
#define ROUND_SECONDS 0.03
#define COLD ((size_t)96 << 20)

static em__pool *pool;

/* One thread is timed by the processor time that it got: other work on the machine then disturbs less. */
static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(bench_clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef float lanes __attribute__((vector_size(16)));

typedef struct reading {
    const float *data;
    size_t floats; /* of a chunk */
    float sink[256][16];
} reading;

static void read_chunk(void *context, int64_t chunk, int worker)
{
    reading *r = context;
    lanes sum[8];
    memset(sum, 0, sizeof sum);
    const float *p = r->data + (size_t)chunk * r->floats, *end = p + r->floats;
    for (; p < end; p += 32)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] += *(const lanes *)(const void *)(p + 4 * i);
    for (int i = 0; i < 8; i++)
        r->sink[worker][i] = sum[i][0];
}

/* Bytes a second of reading that much, and nothing else: of the very memory that products are then timed on. */
static double measure_read(const void *data, size_t bytes)
{
    static reading r;
    double best = 0;
    r.data = data;
    r.floats = bytes / sizeof(float) / 64 / 32 * 32;
    for (int i = 0; i < 10; i++) {
        double start = now();
        em__pool_run(pool, read_chunk, &r, 64);
        double rate = (double)(r.floats * 64 * sizeof(float)) / (now() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

typedef struct weights {
    char *data;
    size_t bytes, codes, scales; /* of one copy, and of its parts */
    int copies;
    char *packed; /* the copies' packed forms, or NULL */
    size_t packed_bytes;
} weights;

static weights make_weights(const em__quant_product *p)
{
    const int64_t rows = p->transpose ? p->n : p->k, length = p->transpose ? p->k : p->n;
    weights w = {.codes = (size_t)(rows * length * p->scheme.bits / 8)};
    w.scales = ((size_t)(rows * (length / p->scheme.group)) * em_dtype_size(p->scale_dtype) + 63) / 64 * 64;
    w.bytes = w.codes + (p->scheme.mode == EM_QUANT_AFFINE ? 2 : 1) * w.scales;
    w.copies = p->m <= 16 ? (int)(COLD / w.bytes) + 1 : 1;
    w.data = em__block_alloc(w.bytes * (size_t)w.copies);
    if (!w.data)
        exit(1);
    for (size_t i = 0; i < w.bytes; i++) /* any codes, scales near 1 */
        w.data[i] = (char)(i < w.codes ? (int)(i * 37) : p->scale_dtype == EM_U8 ? 120 : i % 2 ? 0x3c : 0);
    for (int i = 1; i < w.copies; i++)
        memcpy(w.data + (size_t)i * w.bytes, w.data, w.bytes);
    return w;
}

static void use_copy(em__quant_product *p, const weights *w, int copy)
{
    p->packed = w->packed ? w->packed + w->packed_bytes * (size_t)copy : NULL;
    p->codes = w->data + w->bytes * (size_t)copy;
    p->scales = (const char *)p->codes + w->codes;
    p->biases = p->scheme.mode == EM_QUANT_AFFINE ? (const char *)p->scales + w->scales : NULL;
}

static void pack_weights(em__quant_product *p, weights *w)
{
    char *packed = em__block_alloc(w->packed_bytes * (size_t)w->copies);
    if (!packed)
        exit(1);
    for (int i = 0; i < w->copies; i++) {
        use_copy(p, w, i);
        em__quant_pack(p, packed + w->packed_bytes * (size_t)i);
    }
    w->packed = packed;
}

/* Seconds of one product, the best of several rounds. */
static double time_product(em__quant_product *p, const weights *w, int copies)
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        int runs = 0;
        double start = now(), spent;
        do {
            for (int i = 0; i < copies; i++) {
                use_copy(p, w, i);
                em__quant_run(p);
            }
            runs += copies;
            spent = now() - start;
        } while (spent < ROUND_SECONDS);
        best = spent / runs < best ? spent / runs : best;
    }
    return best;
}

/* Multiply-adds a second of the dense product of this shape, packed weights. */
static double dense_rate(const em__quant_product *p)
{
    const em__gemm_kernels *kernels = em__gemm_kernels_get(p->kernels->level);
    size_t bytes = em__gemm_f32_packed_bytes(kernels, p->n, p->k);
    float *a = em__block_alloc((size_t)(p->m * p->k) * 4), *b = em__block_alloc(bytes),
          *c = em__block_alloc((size_t)(p->m * p->n) * 4);
    if (!a || !b || !c)
        exit(1);
    memset(a, 0, (size_t)(p->m * p->k) * 4);
    memset(b, 0, bytes);
    em__gemm_args args = {.m = p->m, .n = p->n, .k = p->k, .a = a, .lda = p->k, .b = b, .c = c, .ldc = p->n};
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        if (em__gemm_f32(kernels, pool, &args) != EM_OK)
            exit(1);
        double spent = now() - start;
        best = spent < best ? spent : best;
    }
    em__block_free(a, (size_t)(p->m * p->k) * 4);
    em__block_free(b, bytes);
    em__block_free(c, (size_t)(p->m * p->n) * 4);
    return 1 / best;
}

/* How w lies, and what may be done. */
typedef enum manner { PLAIN, TRANSPOSED, PACKED, ROUNDED } manner;

static void bench(const em__quant_kernels *kernels, em__quant scheme, int64_t m, int64_t k, int64_t n, em_dtype dtype,
                  manner how)
{
    static const char *const names[] = {"w ", "wT", "packed", "rounded"};
    size_t memory, scratch;
    const bool affine = scheme.mode == EM_QUANT_AFFINE;
    em__quant_product p = {.kernels = kernels,
                           .cast = em__cast_get(),
                           .pool = pool,
                           .scheme = scheme,
                           .m = m,
                           .n = n,
                           .k = k,
                           .transpose = how != PLAIN,
                           .x_dtype = dtype,
                           .y_dtype = dtype,
                           .may_round = how == ROUNDED,
                           .scale_dtype = affine ? dtype : EM_U8};
    if ((how == ROUNDED && !em__quant_round_takes(&p)) || (how == PACKED && !em__quant_packed_bytes(&p)))
        return;
    weights w = make_weights(&p);
    if (how == PACKED) {
        w.packed_bytes = em__quant_packed_bytes(&p);
        pack_weights(&p, &w);
    }
    use_copy(&p, &w, 0); /* what is needed depends on it */
    if (!em__quant_needs(&p, &memory, &scratch) || em__pool_reserve(pool, scratch) != EM_OK)
        exit(1);
    void *x = em__block_alloc((size_t)(m * k) * 4), *y = em__block_alloc((size_t)(m * n) * 4);
    p.memory = em__block_alloc(memory);
    if (!x || !y || !p.memory)
        exit(1);
    memset(x, 0, (size_t)(m * k) * 4);
    p.x = x;
    p.y = y;
    const size_t bytes = w.packed ? w.packed_bytes : w.bytes;
    const double read_rate = m <= 16 ? measure_read(w.packed ? w.packed : w.data, bytes * (size_t)w.copies) : 1;
    double cold = time_product(&p, &w, w.copies), warm = w.copies > 1 ? time_product(&p, &w, 1) : cold;
    printf("%s %d g%-3d %-4s %s m %3d k %4d n %4d: %8.1f us", em_quant_mode_name(scheme.mode), (int)scheme.bits,
           (int)scheme.group, em_dtype_name(dtype), names[how], (int)m, (int)k, (int)n, cold * 1e6);
    if (m <= 16)
        printf(", %5.1f GB/s, %3.0f %% of reading them at %4.1f (%5.1f GB/s cached)\n", (double)bytes / cold * 1e-9,
               100 * (double)bytes / cold / read_rate, read_rate * 1e-9, (double)bytes / warm * 1e-9);
    else
        printf(", %6.1f GFLOP/s, %3.0f %% of dense f32\n", 2e-9 * (double)(m * k * n) / warm,
               100 / warm / dense_rate(&p));
    em__block_free(w.data, w.bytes * (size_t)w.copies);
    em__block_free(w.packed, w.packed_bytes * (size_t)w.copies);
    em__block_free(x, (size_t)(m * k) * 4);
    em__block_free(y, (size_t)(m * n) * 4);
    em__block_free(p.memory, memory);
}

/* Coding and decoding of a whole weight, by the bytes of its f32 or half form. */
static void bench_coding(const em__quant_kernels *kernels, em__quant scheme, em_dtype dtype)
{
    const size_t elements = (size_t)4096 * 4096, bytes = elements * em_dtype_size(dtype);
    const bool affine = scheme.mode == EM_QUANT_AFFINE;
    em__quant_coding c = {.kernels = kernels, .cast = em__cast_get(), .pool = pool, .scheme = scheme, .dtype = dtype};
    c.groups = (int64_t)elements / scheme.group;
    c.scale_dtype = affine ? dtype : EM_U8;
    c.w = em__block_alloc(bytes);
    c.codes = em__block_alloc(elements);
    c.scales = em__block_alloc((size_t)c.groups * 4);
    c.biases = affine ? em__block_alloc((size_t)c.groups * 4) : NULL;
    if (!c.w || !c.codes || !c.scales || (affine && !c.biases) ||
        em__pool_reserve(pool, em__quant_coding_scratch()) != EM_OK)
        exit(1);
    for (size_t i = 0; i < elements; i++)
        if (dtype == EM_F32)
            ((float *)c.w)[i] = (float)((i * 2654435761u) % 1009) / 500 - 1;
        else
            ((uint16_t *)c.w)[i] = (uint16_t)(0x3c00 + (i * 2654435761u) % 512 + (i % 3 ? 0x8000 : 0));
    double best[2] = {1e9, 1e9};
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 2; i++) {
            double start = now();
            (i ? em__quant_decode_all : em__quant_encode)(&c);
            double spent = now() - start;
            best[i] = spent < best[i] ? spent : best[i];
        }
    printf("%s %d g%-3d %-4s quantize %6.2f GB/s, dequantize %6.2f GB/s of weights\n", em_quant_mode_name(scheme.mode),
           (int)scheme.bits, (int)scheme.group, em_dtype_name(dtype), (double)bytes / best[0] * 1e-9,
           (double)bytes / best[1] * 1e-9);
    em__block_free(c.w, bytes);
    em__block_free(c.codes, elements);
    em__block_free(c.scales, (size_t)c.groups * 4);
    em__block_free(c.biases, (size_t)c.groups * 4);
}

int main(int argc, char **argv)
{
    static const int64_t shapes[][2] = {{1024, 3072}, {4096, 4096}};
    static const em__quant schemes[] = {{EM_QUANT_AFFINE, 64, 2}, {EM_QUANT_AFFINE, 64, 3}, {EM_QUANT_AFFINE, 64, 5},
                                        {EM_QUANT_AFFINE, 64, 6}, {EM_QUANT_AFFINE, 64, 8}, {EM_QUANT_AFFINE, 32, 4},
                                        {EM_QUANT_MXFP4, 32, 4},  {EM_QUANT_MXFP8, 32, 8},  {EM_QUANT_NVFP4, 16, 4}};
    const em__quant four = {EM_QUANT_AFFINE, 64, 4};
    em__cpu_level level = em__cpu_get()->level;
    long long threads = 0;
    for (int i = 0; argc > 2 && i < EM__CPU_LEVEL_COUNT; i++)
        if (strcmp(argv[2], em__cpu_level_name(i)) == 0)
            level = i;
    if (argc > 1 && !em__parse_i64(argv[1], &threads))
        return 2;
    if (em__pool_new((int)threads, &pool) != EM_OK)
        return 1;
    bench_clock = em__pool_size(pool) == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    const em__quant_kernels *kernels = em__quant_kernels_get(level);
    printf("%s, %d threads\n", em__cpu_level_name(kernels->level), em__pool_size(pool));
    for (int i = 0; i < 2; i++) {
        for (int d = 0; d < 2; d++)
            for (int h = PACKED; h >= PLAIN; h--)
                bench(kernels, four, 1, shapes[i][0], shapes[i][1], d ? EM_BF16 : EM_F32, (manner)h);
        for (int64_t m = 2; m <= 16; m *= 2)
            for (int h = PACKED; h >= TRANSPOSED; h--)
                bench(kernels, four, m, shapes[i][0], shapes[i][1], EM_F32, (manner)h);
        for (int h = ROUNDED; h >= PLAIN; h--)
            bench(kernels, four, 512, shapes[i][0], shapes[i][1], EM_F32, (manner)h);
    }
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        bench(kernels, schemes[i], 1, 4096, 4096, EM_BF16, TRANSPOSED);
    for (int d = 0; d < 2; d++) {
        bench_coding(kernels, four, d ? EM_BF16 : EM_F32);
        for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
            bench_coding(kernels, schemes[i], d ? EM_BF16 : EM_F32);
    }
    em__pool_free(pool);
    return 0;
}
