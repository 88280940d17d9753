/*
 * AVX2 kernels of the matrix product. A tile is up to 6 rows x 32 columns, done as two halves of 16: 12 sums, two
 * vectors of B and one broadcast of A fill 15 of the 16 registers. Needs FMA.
 */
#include <immintrin.h>

#include "device/cpu/gemm_kernels.h"

#define TILE_ROWS 6
#define UNROLL_ROWS _Pragma("GCC unroll 6") for (int r = 0; r < rows; r++)

/* All ones in the first `count` lanes. */
static inline __m256i lanes(int count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline __attribute__((always_inline)) void store_half(const em__gemm_tile *t, __m256 sum[TILE_ROWS][2],
                                                             const int rows, int half)
{
    const __m256i m0 = lanes(t->columns - half), m1 = lanes(t->columns - half - 8);
    float *c = t->c + half;
    if (!t->first) {
        UNROLL_ROWS
        {
            sum[r][0] = _mm256_add_ps(_mm256_maskload_ps(c + r * t->ldc, m0), sum[r][0]);
            sum[r][1] = _mm256_add_ps(_mm256_maskload_ps(c + r * t->ldc + 8, m1), sum[r][1]);
        }
    }
    if (t->bias) {
        __m256 x0 = _mm256_maskload_ps(t->bias + half, m0), x1 = _mm256_maskload_ps(t->bias + half + 8, m1);
        UNROLL_ROWS
        {
            sum[r][0] = _mm256_add_ps(sum[r][0], x0);
            sum[r][1] = _mm256_add_ps(sum[r][1], x1);
        }
    }
    if (t->residual) {
        const float *x = t->residual + half;
        UNROLL_ROWS
        {
            sum[r][0] = _mm256_add_ps(sum[r][0], _mm256_maskload_ps(x + r * t->ldr, m0));
            sum[r][1] = _mm256_add_ps(sum[r][1], _mm256_maskload_ps(x + r * t->ldr + 8, m1));
        }
    }
    if (t->columns - half >= 16) {
        UNROLL_ROWS
        {
            _mm256_storeu_ps(c + r * t->ldc, sum[r][0]);
            _mm256_storeu_ps(c + r * t->ldc + 8, sum[r][1]);
        }
    } else {
        UNROLL_ROWS
        {
            _mm256_maskstore_ps(c + r * t->ldc, m0, sum[r][0]);
            _mm256_maskstore_ps(c + r * t->ldc + 8, m1, sum[r][1]);
        }
    }
}

static inline __attribute__((always_inline)) void tile_body(const em__gemm_tile *t, const int rows)
{
    for (int half = 0; half < t->columns; half += 16) {
        __m256 sum[TILE_ROWS][2];
        const int64_t lda = t->lda;
        const float *a[2] = {t->a, t->a + 3 * lda};
        const float *b = t->b + half;
        const char *prefetch = t->prefetch + half * 4;
        UNROLL_ROWS
        {
            sum[r][0] = sum[r][1] = _mm256_setzero_ps();
        }
#pragma GCC unroll 2
        for (int64_t k = 0; k < t->k; k++) {
            __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
            _mm_prefetch(prefetch, _MM_HINT_T1);
            prefetch += t->prefetch_step;
            b += t->ldb;
            UNROLL_ROWS
            {
                __m256 x = _mm256_broadcast_ss(&a[r / 3][k + (r % 3) * lda]);
                sum[r][0] = _mm256_fmadd_ps(x, b0, sum[r][0]);
                sum[r][1] = _mm256_fmadd_ps(x, b1, sum[r][1]);
            }
        }
        store_half(t, sum, rows, half);
    }
}

#define TILE(rows)                                                                                                     \
    static void tile_##rows(const em__gemm_tile *tile)                                                                 \
    {                                                                                                                  \
        tile_body(tile, rows);                                                                                         \
    }
TILE(1)
TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)

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

/* r[i] becomes column i of the 8 x 8 matrix whose rows they were. */
static inline __attribute__((always_inline)) void transpose_8(__m256 r[8])
{
    __m256 t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
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
        transpose_8(r);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            if (j < left)
                _mm256_store_ps(dst + (i + j) * EM__GEMM_PANEL, r[j]);
    }
}

static void pack_rows_avx2(float *dst, const float *src, int64_t stride, int columns, int64_t k)
{
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
}
