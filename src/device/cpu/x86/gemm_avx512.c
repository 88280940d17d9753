/*
 * AVX-512 kernels of the matrix product. A tile is up to 14 rows x 32 columns: 28 sums, two vectors of B and one
 * broadcast of A fill the 32 registers; from 4 rows up the multiply-adds alone bound the loop, on cores with one
 * 512-bit pipe and with two.
 */
#include <immintrin.h>

#include "device/cpu/gemm_kernels.h"

#define TILE_ROWS 14
#define UNROLL_ROWS _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)

/* With `rows` a constant everything in here is in registers; rows of A are addressed from one pointer in three. */
static inline __attribute__((always_inline)) void tile_body(const em__gemm_tile *t, const int rows)
{
    __m512 sum[TILE_ROWS][2];
    const int64_t lda = t->lda;
    const float *a[5] = {t->a, t->a + 3 * lda, t->a + 6 * lda, t->a + 9 * lda, t->a + 12 * lda};
    const float *b = t->b;
    const char *prefetch = t->prefetch;
    UNROLL_ROWS
    {
        sum[r][0] = sum[r][1] = _mm512_setzero_ps();
        if (!t->first)
            _mm_prefetch((const char *)(t->c + r * t->ldc), _MM_HINT_T0);
    }
#pragma GCC unroll 2
    for (int64_t k = 0; k < t->k; k++) {
        __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
        _mm_prefetch(prefetch, _MM_HINT_T1);
        _mm_prefetch(prefetch + 64, _MM_HINT_T1);
        prefetch += t->prefetch_step;
        b += t->ldb;
        UNROLL_ROWS
        {
            __m512 x = _mm512_set1_ps(a[r / 3][k + (r % 3) * lda]);
            sum[r][0] = _mm512_fmadd_ps(x, b0, sum[r][0]);
            sum[r][1] = _mm512_fmadd_ps(x, b1, sum[r][1]);
        }
    }
    const uint32_t mask = t->columns < 32 ? (1u << t->columns) - 1 : ~0u;
    const __mmask16 m0 = (__mmask16)mask, m1 = (__mmask16)(mask >> 16);
    float *c = t->c;
    if (!t->first) {
        UNROLL_ROWS
        {
            sum[r][0] = _mm512_add_ps(_mm512_maskz_loadu_ps(m0, c + r * t->ldc), sum[r][0]);
            sum[r][1] = _mm512_add_ps(_mm512_maskz_loadu_ps(m1, c + r * t->ldc + 16), sum[r][1]);
        }
    }
    if (t->bias) {
        __m512 x0 = _mm512_maskz_loadu_ps(m0, t->bias), x1 = _mm512_maskz_loadu_ps(m1, t->bias + 16);
        UNROLL_ROWS
        {
            sum[r][0] = _mm512_add_ps(sum[r][0], x0);
            sum[r][1] = _mm512_add_ps(sum[r][1], x1);
        }
    }
    if (t->residual) {
        const float *x = t->residual;
        UNROLL_ROWS
        {
            sum[r][0] = _mm512_add_ps(sum[r][0], _mm512_maskz_loadu_ps(m0, x + r * t->ldr));
            sum[r][1] = _mm512_add_ps(sum[r][1], _mm512_maskz_loadu_ps(m1, x + r * t->ldr + 16));
        }
    }
    UNROLL_ROWS
    {
        _mm512_mask_storeu_ps(c + r * t->ldc, m0, sum[r][0]);
        _mm512_mask_storeu_ps(c + r * t->ldc + 16, m1, sum[r][1]);
    }
}

#define TILE(rows)                                                                                                     \
    static void tile_##rows(const em__gemm_tile *tile)                                                                 \
    {                                                                                                                  \
        tile_body(tile, rows);                                                                                         \
    }
TILE(1)
TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)

    static void tile_avx512(const em__gemm_tile *tile)
{
    static void (*const tiles[])(const em__gemm_tile *) = {tile_1, tile_2, tile_3,  tile_4,  tile_5,  tile_6,  tile_7,
                                                           tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14};
    tiles[tile->rows - 1](tile);
}

static void add_avx512(float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 mask = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : (__mmask16)~0u;
        __m512 sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(x + i, mask, sum);
    }
}

/* r[i] becomes column i of the 16 x 16 matrix whose rows they were. */
static inline __attribute__((always_inline)) void transpose_16(__m512 r[16])
{
    __m512 t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

static void pack_half(float *dst, const float *src, int64_t stride, int columns, int64_t k)
{
    for (int64_t i = 0; i < k; i += 16) {
        int64_t left = k - i < 16 ? k - i : 16;
        __mmask16 mask = (__mmask16)((1u << left) - 1);
        __m512 r[16];
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++)
            r[j] = j < columns ? _mm512_maskz_loadu_ps(mask, src + j * stride + i) : _mm512_setzero_ps();
        transpose_16(r);
        if (left == 16) {
#pragma GCC unroll 16
            for (int j = 0; j < 16; j++)
                _mm512_store_ps(dst + (i + j) * EM__GEMM_PANEL, r[j]);
        } else {
#pragma GCC unroll 16
            for (int j = 0; j < 16; j++)
                if (j < left)
                    _mm512_store_ps(dst + (i + j) * EM__GEMM_PANEL, r[j]);
        }
    }
}

static void pack_rows_avx512(float *dst, const float *src, int64_t stride, int columns, int64_t k)
{
    pack_half(dst, src, stride, columns < 16 ? columns : 16, k);
    pack_half(dst + 16, columns > 16 ? src + 16 * stride : src, stride, columns > 16 ? columns - 16 : 0, k);
}

static void pack_columns_avx512(float *dst, const float *src, int64_t stride, int columns, int64_t k)
{
    const uint32_t mask = columns < 32 ? (1u << columns) - 1 : ~0u;
    const __mmask16 m0 = (__mmask16)mask, m1 = (__mmask16)(mask >> 16);
    for (int64_t i = 0; i < k; i++) {
        _mm512_store_ps(dst + i * EM__GEMM_PANEL, _mm512_maskz_loadu_ps(m0, src + i * stride));
        _mm512_store_ps(dst + i * EM__GEMM_PANEL + 16, _mm512_maskz_loadu_ps(m1, src + i * stride + 16));
    }
}

void em__gemm_kernels_avx512(em__gemm_kernels *kernels)
{
    kernels->level = EM__CPU_AVX512;
    kernels->tile_rows = TILE_ROWS;
    kernels->tile = tile_avx512;
    kernels->add = add_avx512;
    kernels->pack_rows = pack_rows_avx512;
    kernels->pack_columns = pack_columns_avx512;
}
