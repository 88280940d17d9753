/*
 * Matrix products of an encoder and square ones: GFLOP/s, and the share of the multiply-add peak measured in the same
 * run on as many threads. Use: kernels_gemm [threads] [level]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/block.h"
#include "core/str.h"
#include "device/cpu/gemm.h"
#include "device/cpu/gemm_kernels.h"

#define ROUNDS 7
#define ROUND_SECONDS 0.02

/* One thread is timed by the processor time that it got: other work on the machine then disturbs less. */
static clockid_t bench_clock = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(bench_clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct peak_job {
    const em__gemm_kernels *kernels;
    const float *a, *b;
    float *c;
} peak_job;

/* A tile whose operands are in the first cache does nothing but multiply and add. */
static void peak_chunk(void *context, int64_t chunk, int worker)
{
    const peak_job *job = context;
    (void)chunk;
    em__gemm_tile tile = {.a = job->a,
                          .lda = 68,
                          .b = job->b,
                          .ldb = EM__GEMM_PANEL,
                          .c = job->c + worker * 32 * EM__GEMM_PANEL,
                          .ldc = EM__GEMM_PANEL,
                          .k = 64,
                          .rows = job->kernels->tile_rows,
                          .columns = EM__GEMM_PANEL,
                          .first = true,
                          .prefetch = (const char *)job->b};
    for (int i = 0; i < 500; i++)
        job->kernels->tile(&tile);
}

static double measure_peak(const em__gemm_kernels *kernels, em__pool *pool)
{
    static _Alignas(64) float a[32 * 68], b[64 * EM__GEMM_PANEL];
    float *c = em__block_alloc(256 * 32 * EM__GEMM_PANEL * sizeof(float));
    peak_job job = {kernels, a, b, c};
    const int chunks = 8 * em__pool_size(pool);
    double best = 0, flops = 2.0 * kernels->tile_rows * EM__GEMM_PANEL * 64 * 500 * chunks;
    for (int i = 0; i < 10 && c; i++) {
        double start = now();
        em__pool_run(pool, peak_chunk, &job, chunks);
        double rate = flops / (now() - start);
        best = rate > best ? rate : best;
    }
    em__block_free(c, 256 * 32 * EM__GEMM_PANEL * sizeof(float));
    return best;
}

static double peak;

/* `copies` different weights in turn, so that they come from where they would in a model. */
static void bench(const em__gemm_kernels *kernels, em__pool *pool, int64_t m, int64_t n, int64_t k, int copies)
{
    size_t bytes = em__gemm_f32_packed_bytes(kernels, n, k);
    size_t sizes[] = {(size_t)(m * k) * 4, bytes * (size_t)copies, (size_t)(m * n) * 4};
    float *data[3];
    for (int i = 0; i < 3; i++) {
        data[i] = em__block_alloc(sizes[i]);
        for (size_t j = 0; data[i] && j < sizes[i] / 4; j++)
            data[i][j] = (float)(j % 7);
    }
    em__gemm_args args = {.m = m, .n = n, .k = k, .a = data[0], .lda = k, .c = data[2], .ldc = n};
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        int runs = 0;
        double start = now(), spent;
        do {
            for (int i = 0; i < copies; i++) {
                args.b = data[1] + (size_t)i * bytes / 4;
                if (em__gemm_f32(kernels, pool, &args) != EM_OK)
                    exit(1);
            }
            runs += copies;
            spent = now() - start;
        } while (spent < ROUND_SECONDS);
        best = spent / runs < best ? spent / runs : best;
    }
    double rate = 2.0 * (double)m * (double)n * (double)k / best;
    printf("m %5ld n %5ld k %5ld%s: %9.1f us %7.1f GFLOP/s %5.1f %% of peak, B at %5.1f GB/s\n", (long)m, (long)n,
           (long)k, copies > 1 ? " cold" : "     ", best * 1e6, rate * 1e-9, 100 * rate / peak,
           (double)bytes / best * 1e-9);
    for (int i = 0; i < 3; i++)
        em__block_free(data[i], sizes[i]);
}

int main(int argc, char **argv)
{
    em__pool *pool;
    em__cpu_level level = em__cpu_get()->level;
    for (int i = 0; argc > 2 && i < EM__CPU_LEVEL_COUNT; i++)
        if (strcmp(argv[2], em__cpu_level_name(i)) == 0)
            level = i;
    long long threads = 0;
    if (argc > 1 && !em__parse_i64(argv[1], &threads))
        return 2;
    if (em__pool_new((int)threads, &pool) != EM_OK)
        return 1;
    bench_clock = em__pool_size(pool) == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    const em__gemm_kernels *kernels = em__gemm_kernels_get(level);
    peak = measure_peak(kernels, pool);
    printf("%s, %d threads, peak %.1f GFLOP/s\n", em__cpu_level_name(em__gemm_kernels_level(kernels)),
           em__pool_size(pool), peak * 1e-9);
    static const int64_t rows[] = {1, 16, 32, 256, 320, 3200, 4096};
    static const int64_t shapes[][2] = {{1152, 384}, {384, 384}, {1536, 384}, {384, 1536}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            int64_t n = shapes[j][0], k = shapes[j][1];
            bench(kernels, pool, rows[i], n, k, rows[i] < 256 ? (int)(42000000 / (n * k * 4)) : 1);
        }
    static const int64_t squares[] = {128, 512, 1024, 2048};
    for (size_t i = 0; i < sizeof squares / sizeof *squares; i++)
        bench(kernels, pool, squares[i], squares[i], squares[i], 1);
    em__pool_free(pool);
    return 0;
}
