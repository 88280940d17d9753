/*
 * What this machine can do at most: f32 multiply-adds from registers, and memory read and written by the thread pool.
 * Prints one line of JSON: {"threads", "level", "fma_gflops", "read_gbs", "copy_gbs"}. Use: limits [threads [FILE]]
 * With FILE: {"threads", "read_gbs", "seconds"} of reading all of it from the page cache, the best of some passes and
 * each of them; for weights that are larger than every cache, what a machine's neighbours leave of the bandwidth.
 *
 * Ten independent chains keep two multiply-add units busy at a latency of four or five cycles. Memory is walked in
 * arrays far larger than any cache; copy counts each byte read and written once, as libc moves it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/cpu.h"
#include "core/number.h"
#include "core/pool.h"
#include "io/file.h"
#include "timing.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CHAINS 10
#define STEPS 10000
#define CHUNKS 64
#define ARRAY_FLOATS ((size_t)1 << 25)
#define ROUNDS 40
#define PASSES 4

typedef struct work {
    void (*run)(struct work *w, size_t from, size_t to, int worker);
    const float *a;
    float *c;
    size_t floats;
    float sink[256][16];
} work;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void fma_avx512(work *w, size_t from, size_t to, int worker)
{
    (void)from, (void)to;
    __m512 x[CHAINS], k = _mm512_set1_ps(0.999f);
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_fmadd_ps(x[i], k, k);
    for (int i = 1; i < CHAINS; i++)
        x[0] = _mm512_add_ps(x[0], x[i]);
    _mm512_storeu_ps(w->sink[worker], x[0]);
}

__attribute__((target("avx2,fma"))) static void fma_avx2(work *w, size_t from, size_t to, int worker)
{
    (void)from, (void)to;
    __m256 x[CHAINS], k = _mm256_set1_ps(0.999f);
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm256_set1_ps((float)i);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm256_fmadd_ps(x[i], k, k);
    for (int i = 1; i < CHAINS; i++)
        x[0] = _mm256_add_ps(x[0], x[i]);
    _mm256_storeu_ps(w->sink[worker], x[0]);
}
#endif

typedef float lanes __attribute__((vector_size(16)));

static void fma_portable(work *w, size_t from, size_t to, int worker)
{
    (void)from, (void)to;
    lanes x[CHAINS], k = {0.999f, 0.999f, 0.999f, 0.999f};
    memset(x, 0, sizeof x);
    for (int step = 0; step < STEPS; step++)
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = x[i] * k + k;
    for (int i = 1; i < CHAINS; i++)
        x[0] += x[i];
    memcpy(w->sink[worker], &x[0], sizeof x[0]);
}

static void read_all(work *w, size_t from, size_t to, int worker)
{
    lanes sum[8];
    memset(sum, 0, sizeof sum);
    for (const float *p = w->a + from; p < w->a + to; p += 32)
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] += *(const lanes *)(p + 4 * i);
    memcpy(w->sink[worker], &sum[0], sizeof sum[0]);
    for (int i = 1; i < 8; i++)
        w->sink[worker][0] += sum[i][0];
}

static void copy_all(work *w, size_t from, size_t to, int worker)
{
    (void)worker;
    memcpy(w->c + from, w->a + from, (to - from) * sizeof(float));
}

static void run_chunk(void *context, int64_t chunk, int worker)
{
    work *w = context;
    size_t part = w->floats / CHUNKS;
    w->run(w, (size_t)chunk * part, (size_t)(chunk + 1) * part, worker);
}

static double seconds(em__pool *pool, work *w, void (*run)(work *, size_t, size_t, int))
{
    double best = 1e9;
    w->run = run;
    for (int i = 0; i < ROUNDS; i++) {
        double start = now();
        em__pool_run(pool, run_chunk, w, CHUNKS);
        double took = now() - start;
        best = took < best ? took : best;
    }
    return best;
}

/* A file's pages, all of them in the page cache after the first pass. */
static int read_file(em__pool *pool, work *w, const char *path)
{
    em__map map = {0};
    if (em__map_open(path, EM__MAP_PAGES, &map) != EM_OK)
        return fprintf(stderr, "limits: %s\n", em_last_error()), 1;
    w->a = (const float *)(const void *)map.data;
    w->floats = map.size / sizeof(float) / (32 * CHUNKS) * (32 * CHUNKS);
    w->run = read_all;
    double seconds[PASSES], best = 1e9;
    for (int i = -1; i < PASSES; i++) {
        double start = now();
        em__pool_run(pool, run_chunk, w, CHUNKS);
        if (i >= 0)
            seconds[i] = now() - start;
        best = i >= 0 && seconds[i] < best ? seconds[i] : best;
    }
    printf("{\"threads\": %d, \"read_gbs\": %.1f, \"seconds\": [", em__pool_size(pool),
           (double)w->floats * sizeof(float) / best / 1e9);
    for (int i = 0; i < PASSES; i++)
        printf("%s%.6f", i ? ", " : "", seconds[i]);
    printf("]}\n");
    em__map_close(&map);
    return 0;
}

int main(int argc, char **argv)
{
    em__pool *pool = NULL;
    static work w;
    long long threads = 0;
    if (argc > 1 && (!em__parse_i64(argv[1], &threads) || threads < 0 || threads > 256))
        return fprintf(stderr, "limits: \"%s\" is not a number of threads, 0 to 256\n", argv[1]), 1;
    if (em__pool_new((int)threads, &pool) != EM_OK)
        return fprintf(stderr, "limits: %s\n", em_last_error()), 1;
    if (argc > 2) {
        int failed = read_file(pool, &w, argv[2]);
        return em__pool_free(pool), failed;
    }
    float *a = em__block_alloc(ARRAY_FLOATS * sizeof(float));
    w.a = a;
    w.c = em__block_alloc(ARRAY_FLOATS * sizeof(float));
    w.floats = ARRAY_FLOATS;
    if (!w.a || !w.c)
        return fprintf(stderr, "limits: %s\n", em_last_error()), 1;
    for (size_t i = 0; i < ARRAY_FLOATS; i++)
        a[i] = w.c[i] = 1;
    em__cpu_level level = em__cpu_get()->level;
    int width = 4;
    void (*fma)(work *, size_t, size_t, int) = fma_portable;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX512)
        fma = fma_avx512, width = 16;
    else if (level >= EM__CPU_AVX2)
        fma = fma_avx2, width = 8;
#endif
    double flop = 2.0 * width * CHAINS * STEPS * CHUNKS, bytes = (double)ARRAY_FLOATS * sizeof(float);
    printf("{\"threads\": %d, \"level\": \"%s\", \"fma_gflops\": %.1f, \"read_gbs\": %.1f, \"copy_gbs\": %.1f}\n",
           em__pool_size(pool), em__cpu_level_name(level), flop / seconds(pool, &w, fma) / 1e9,
           bytes / seconds(pool, &w, read_all) / 1e9, 2 * bytes / seconds(pool, &w, copy_all) / 1e9);
    em__pool_free(pool);
    em__block_free(a, ARRAY_FLOATS * sizeof(float));
    em__block_free(w.c, ARRAY_FLOATS * sizeof(float));
    return 0;
}
