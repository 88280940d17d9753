/*
 * Products with bf16 weights read in place: time, the share of what the same threads read from memory at best and of
 * the multiply-add peak of a tile, both measured between the rounds, and the speed against packed f32 weights (from 8
 * rows on). Weights are as many different ones as exceed the caches.
 * Use: kernels_half [threads] [level] [f16 | bf16 | f32 | packed] [rows]; packed weights are bf16 in 12 bits, and the
 * bytes are those of their memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/number.h"
#include "device/cpu/gemm.h"
#include "device/cpu/gemm_kernels.h"
#include "timing.h"

#define ROUNDS 5
#define BYTES ((int64_t)320 << 20) /* of weights */
#define PARTS 64

typedef unsigned long long words __attribute__((vector_size(64), aligned(64)));

typedef struct bench {
    const em__gemm_kernels *kernels;
    em__pool *pool;
    char *weights;
    em_dtype dtype;
    float *laid;
    bool packed, far;
    words sink[256];
} bench;

/* A part as 8 streams, side by side or far apart: machines differ in what they read faster. */
static void read_part(void *context, int64_t part, int worker)
{
    bench *b = context;
    words sum[8] = {{0}};
    const int64_t count = BYTES / PARTS / 64, apart = b->far ? count / 8 : 1, step = b->far ? 1 : 8;
    const words *from = (const words *)(const void *)(b->weights + BYTES / PARTS * part);
    for (int64_t i = 0; i < count / 8; i++)
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            sum[j] ^= from[i * step + j * apart];
    for (int j = 0; j < 8; j++)
        b->sink[worker] ^= sum[j];
}

static double read_seconds(bench *b)
{
    double best = 1e9;
    for (int far = 0; far < 2; far++) {
        b->far = far;
        double start = now();
        em__pool_run(b->pool, read_part, b, PARTS);
        double took = now() - start;
        best = took < best ? took : best;
    }
    return best;
}

/* Of one weight. */
static int64_t weight_bytes(const bench *b, int64_t n, int64_t k)
{
    return b->packed ? (int64_t)em__bf12_bytes(n, k) : n * k * (int64_t)em_dtype_size(b->dtype);
}

static void fill_weights(bench *b, int64_t n, int64_t k)
{
    uint16_t *to = (uint16_t *)(void *)b->weights;
    const int64_t bytes = weight_bytes(b, n, k);
    if (!b->packed) {
        for (int64_t i = 0; i < BYTES / 2; i++)
            to[i] = (uint16_t)(0x3c00 + i % 97);
        return;
    }
    uint16_t *one = em__block_alloc((size_t)(n * k) * sizeof *one);
    if (!one)
        exit(1);
    for (int64_t i = 0; i < n * k; i++)
        one[i] = (uint16_t)(0x3c00 + i % 97);
    for (int64_t at = 0; at + bytes <= BYTES; at += bytes)
        if (!em__bf12_pack(b->kernels, b->pool, b->weights + at, one, n, k, k))
            exit(1);
    em__block_free(one, (size_t)(n * k) * sizeof *one);
}

/* As every product begins. */
static void lay(const bench *b, em__gemm_args *args)
{
    if (b->laid)
        em__gemm_lay(b->kernels, args, b->laid);
    args->laid = b->laid;
}

/* One after the other: all weights with m rows. Seconds of one product. */
static double half_seconds(bench *b, em__gemm_args *args)
{
    const int64_t bytes = weight_bytes(b, args->n, args->k), copies = BYTES / bytes;
    double start = now();
    int64_t runs = 0;
    do {
        const char *w = b->weights + runs % copies * bytes;
        lay(b, args);
        args->half = (em__gemm_half){(const uint16_t *)(const void *)w, b->dtype, args->k, 1, b->packed};
        if (b->dtype == EM_F32)
            em__gemm_thin_run(b->kernels, b->pool, args, EM__B_F32, w, args->k);
        else if (em__gemm_half_run(b->kernels, b->pool, args) != EM_OK)
            exit(1);
        runs++;
    } while (now() - start < 0.03 || (args->m < 64 && runs < copies));
    return (now() - start) / (double)runs;
}

static double packed_seconds(bench *b, em__gemm_args *args, const float *packed)
{
    args->half.data = NULL;
    args->b = packed;
    double start = now();
    int runs = 0;
    do {
        if (em__gemm_f32(b->kernels, b->pool, args) != EM_OK)
            exit(1);
        runs++;
    } while (now() - start < 0.03);
    return (now() - start) / runs;
}

static void run(bench *b, int64_t m, int64_t n, int64_t k)
{
    float *a = em__block_alloc((size_t)(m * k) * 4), *c = em__block_alloc((size_t)(m * n) * 4);
    const size_t packed_bytes = em__gemm_f32_packed_bytes(b->kernels, n, k);
    const bool against = m >= 8 && packed_bytes < (size_t)64 << 20;
    float *packed = em__block_alloc(packed_bytes), *wide = em__block_alloc((size_t)(n * k) * 4);
    if (!a || !c || !packed || !wide)
        exit(1);
    for (int64_t i = 0; i < m * k; i++)
        a[i] = (float)(i % 7);
    for (int64_t i = 0; i < n * k; i++)
        wide[i] = (float)(i % 5);
    em__gemm_f32_pack(b->kernels, b->pool, packed, wide, n, k, k, 1);
    fill_weights(b, n, k);
    const size_t laid_bytes = b->packed ? em__gemm_laid_bytes(b->kernels, m, k) : 0;
    b->laid = em__block_alloc(laid_bytes);
    em__gemm_args args = {.m = m, .n = n, .k = k, .a = a, .lda = k, .c = c, .ldc = n};
    double best = 1e9, limit = 1e9, f32 = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double read = read_seconds(b), took = half_seconds(b, &args);
        double other = against ? packed_seconds(b, &args, packed) : 1e9;
        best = took < best ? took : best;
        limit = read < limit ? read : limit;
        f32 = other < f32 ? other : f32;
    }
    const double bytes = (double)weight_bytes(b, n, k), read = (double)BYTES / limit;
    printf("m %4ld n %6ld k %5ld: %9.1f us %6.1f GB/s, %5.1f %% of %5.1f GB/s; %6.1f GFLOP/s", (long)m, (long)n,
           (long)k, best * 1e6, bytes / best * 1e-9, 100 * bytes / best / read, read * 1e-9,
           2.0 * (double)m * (double)n * (double)k / best * 1e-9);
    if (against)
        printf(", %5.1f %% of packed f32", 100 * f32 / best);
    printf("\n");
    em__block_free(a, (size_t)(m * k) * 4), em__block_free(c, (size_t)(m * n) * 4);
    em__block_free(b->laid, laid_bytes);
    em__block_free(packed, packed_bytes), em__block_free(wide, (size_t)(n * k) * 4);
}

int main(int argc, char **argv)
{
    static bench b;
    em__cpu_level level = em__cpu_get()->level;
    long long threads = 0, only = 0;
    for (int i = 0; argc > 2 && i < EM__CPU_LEVEL_COUNT; i++)
        if (strcmp(argv[2], em__cpu_level_name(i)) == 0)
            level = i;
    b.dtype = argc > 3 && !strcmp(argv[3], "f16") ? EM_F16 : argc > 3 && !strcmp(argv[3], "f32") ? EM_F32 : EM_BF16;
    b.packed = argc > 3 && !strcmp(argv[3], "packed");
    if ((argc > 1 && !em__parse_i64(argv[1], &threads)) || (argc > 4 && !em__parse_i64(argv[4], &only)))
        return 2;
    b.weights = em__block_alloc((size_t)BYTES);
    if (!b.weights || em__pool_new((int)threads, &b.pool) != EM_OK)
        return 1;
    b.kernels = em__gemm_kernels_get(level);
    printf("%s, %s, %d threads\n", b.packed ? "packed" : em_dtype_name(b.dtype),
           em__cpu_level_name(em__gemm_kernels_level(b.kernels)), em__pool_size(b.pool));
    static const int64_t rows[] = {1, 2, 4, 8, 16, 64, 512};
    static const int64_t shapes[][2] = {{1024, 1024}, {3072, 1024}, {1024, 3072}, {151936, 1024}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++)
            if ((!only || rows[i] == only) && shapes[j][0] * shapes[j][1] * (int64_t)em_dtype_size(b.dtype) <= BYTES &&
                (rows[i] <= 16 || (shapes[j][0] < 10000 && b.dtype != EM_F32)))
                run(&b, rows[i], shapes[j][0], shapes[j][1]);
    em__pool_free(b.pool);
    em__block_free(b.weights, (size_t)BYTES);
    return 0;
}
