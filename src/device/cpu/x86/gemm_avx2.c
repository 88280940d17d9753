/*
 * AVX2 kernels of the matrix product. A tile is up to 6 rows x 32 columns, done as two halves of 16: 12 sums, two
 * vectors of B and one broadcast of A fill 15 of the 16 registers. Needs FMA.
 */
#include <immintrin.h>

#include "device/cpu/gemm_kernels.h"
#include "device/cpu/transpose_avx2.h"

#define TILE_ROWS 6
#define UNROLL_ROWS _Pragma("GCC unroll 6") for (int r = 0; r < rows; r++)

/* All ones in the first `count` lanes. */
static inline __m256i lanes(int count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Everything below is inlined into functions of a constant `rows`, and half a tile's sums stay in registers. */
#define ALWAYS static inline __attribute__((always_inline))

/* sum = a b over k steps from `from` on, in the columns of one half. */
ALWAYS void multiply(const em__gemm_tile *t, __m256 sum[TILE_ROWS][2], const int rows, int half, int64_t from,
                     int64_t k)
{
    const int64_t lda = t->lda;
    const float *a[2] = {t->a + from, t->a + from + 3 * lda};
    const float *b = t->b + from * t->ldb + half;
    const char *prefetch = t->prefetch + from * t->prefetch_step + half * 4;
    UNROLL_ROWS
    {
        sum[r][0] = sum[r][1] = _mm256_setzero_ps();
    }
#pragma GCC unroll 2
    for (int64_t i = 0; i < k; i++) {
        __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
        _mm_prefetch(prefetch, _MM_HINT_T1);
        prefetch += t->prefetch_step;
        b += t->ldb;
        UNROLL_ROWS
        {
            __m256 x = _mm256_broadcast_ss(&a[r / 3][i + (r % 3) * lda]);
            sum[r][0] = _mm256_fmadd_ps(x, b0, sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(x, b1, sum[r][1]);
        }
    }
}

/* sum = x + sum */
ALWAYS void add_tile(__m256 sum[TILE_ROWS][2], const float *x, int64_t stride, __m256i m0, __m256i m1, const int rows)
{
    UNROLL_ROWS
    {
        sum[r][0] = _mm256_add_ps(_mm256_maskload_ps(x + r * stride, m0), sum[r][0]);
        sum[r][1] = _mm256_add_ps(_mm256_maskload_ps(x + r * stride + 8, m1), sum[r][1]);
    }
}

ALWAYS void store_tile(const __m256 sum[TILE_ROWS][2], float *x, int64_t stride, const int rows)
{
    UNROLL_ROWS
    {
        _mm256_storeu_ps(x + r * stride, sum[r][0]);
        _mm256_storeu_ps(x + r * stride + 8, sum[r][1]);
    }
}

/* The masked store is slow on some processors: only at the right edge. */
ALWAYS void store_edge(const __m256 sum[TILE_ROWS][2], float *x, int64_t stride, __m256i m0, __m256i m1, const int rows)
{
    UNROLL_ROWS
    {
        _mm256_maskstore_ps(x + r * stride, m0, sum[r][0]);
        _mm256_maskstore_ps(x + r * stride + 8, m1, sum[r][1]);
    }
}

ALWAYS void half_tile(const em__gemm_tile *t, const int rows, int half)
{
    const __m256i m0 = lanes(t->columns - half), m1 = lanes(t->columns - half - 8), all = lanes(8);
    _Alignas(32) float partial[TILE_ROWS * 16];
    __m256 sum[TILE_ROWS][2];
    int64_t from = 0;
    bool begun = !t->first;
    for (; t->k - from > EM__GEMM_CHUNK; from += EM__GEMM_CHUNK) {
        multiply(t, sum, rows, half, from, EM__GEMM_CHUNK);
        if (begun && from == 0)
            add_tile(sum, t->c + half, t->ldc, m0, m1, rows);
        else if (begun)
            add_tile(sum, partial, 16, all, all, rows);
        store_tile(sum, partial, 16, rows);
        begun = true;
    }
    multiply(t, sum, rows, half, from, t->k - from);
    if (begun && from == 0)
        add_tile(sum, t->c + half, t->ldc, m0, m1, rows);
    else if (begun)
        add_tile(sum, partial, 16, all, all, rows);
    if (t->bias)
        add_tile(sum, t->bias + half, 0, m0, m1, rows);
    if (t->residual)
        add_tile(sum, t->residual + half, t->ldr, m0, m1, rows);
    if (t->columns - half >= 16)
        store_tile(sum, t->c + half, t->ldc, rows);
    else
        store_edge(sum, t->c + half, t->ldc, m0, m1, rows);
}

ALWAYS void tile_body(const em__gemm_tile *t, const int rows)
{
    for (int half = 0; half < t->columns; half += 16)
        half_tile(t, rows, half);
}

#define TILE(rows)                                                                                                     \
    static void tile_##rows(const em__gemm_tile *tile)                                                                 \
    {                                                                                                                  \
        tile_body(tile, rows);                                                                                         \
    }
TILE(1);
TILE(2);
TILE(3);
TILE(4);
TILE(5);
TILE(6);

static void tile_avx2(const em__gemm_tile *tile)
{
    static void (*const tiles[])(const em__gemm_tile *) = {tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};
    tiles[tile->rows - 1](tile);
}

static void add_avx2(float *x, const float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++)
        x[i] += y[i];
}

static void pack_eight(float *dst, const float *src, int64_t stride, int columns, int64_t k)
{
    for (int64_t i = 0; i < k; i += 8) {
        int left = k - i < 8 ? (int)(k - i) : 8;
        __m256i mask = lanes(left);
        __m256 r[8];
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            r[j] = j < columns ? _mm256_maskload_ps(src + j * stride + i, mask) : _mm256_setzero_ps();
        em__transpose_8(r);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            if (j < left)
                _mm256_store_ps(dst + (i + j) * EM__GEMM_PANEL, r[j]);
    }
}

static void pack_rows_avx2(float *dst, const float *src, int64_t stride, int columns, int64_t k, bool past)
{
    (void)past;
    for (int j = 0; j < EM__GEMM_PANEL; j += 8) {
        int count = columns - j < 0 ? 0 : columns - j < 8 ? columns - j : 8;
        pack_eight(dst + j, count ? src + j * stride : src, stride, count, k);
    }
}

void em__gemm_kernels_avx2(em__gemm_kernels *kernels)
{
    kernels->level = EM__CPU_AVX2;
    kernels->tile_rows = TILE_ROWS;
    kernels->tile = tile_avx2;
    kernels->add = add_avx2;
    kernels->pack_rows = pack_rows_avx2;
    em__gemm_thin_avx2(kernels);
}
