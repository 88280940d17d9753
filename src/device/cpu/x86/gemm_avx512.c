/*
 * AVX-512 kernels of the matrix product. A tile is up to 14 rows x 32 columns: 28 sums, two vectors of B and one
 * broadcast of A fill the 32 registers; from 4 rows up the multiply-adds alone bound the loop, on cores with one
 * 512-bit pipe and with two. A panel's last half, where it is empty, is left out.
 */
#include <immintrin.h>

#include "device/cpu/gemm_kernels.h"
#include "device/cpu/transpose_avx512.h"

#define TILE_ROWS 14
#define UNROLL_ROWS _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)

/* Everything below is inlined into functions of a constant `rows`, and a tile's sums stay in registers. */
#define ALWAYS static inline __attribute__((always_inline))

/* sum = x + sum */
ALWAYS void add_tile(__m512 sum[TILE_ROWS][2], const float *x, int64_t stride, __mmask32 mask, const int rows)
{
    const __mmask16 m0 = (__mmask16)mask, m1 = (__mmask16)(mask >> 16);
    UNROLL_ROWS
    {
        sum[r][0] = _mm512_add_ps(_mm512_maskz_loadu_ps(m0, x + r * stride), sum[r][0]);
        sum[r][1] = _mm512_add_ps(_mm512_maskz_loadu_ps(m1, x + r * stride + 16), sum[r][1]);
    }
}

ALWAYS void store_tile(__m512 sum[TILE_ROWS][2], float *x, int64_t stride, __mmask32 mask, const int rows)
{
    const __mmask16 m0 = (__mmask16)mask, m1 = (__mmask16)(mask >> 16);
    UNROLL_ROWS
    {
        _mm512_mask_storeu_ps(x + r * stride, m0, sum[r][0]);
        _mm512_mask_storeu_ps(x + r * stride + 16, m1, sum[r][1]);
    }
}

/* Of a panel with at most 16 columns only the first vector is computed: `wide` is false. */
ALWAYS void tile_body(const em__gemm_tile *t, const int rows, const bool wide)
{
    const __mmask32 mask = t->columns < EM__GEMM_PANEL ? (1u << t->columns) - 1 : ~0u;
    const int64_t lda = t->lda, ldb = t->ldb;
    const float *const a[5] = {t->a, t->a + 3 * lda, t->a + 6 * lda, t->a + 9 * lda, t->a + 12 * lda};
    const float *b = t->b;
    const char *prefetch = t->prefetch;
    _Alignas(64) float partial[TILE_ROWS * EM__GEMM_PANEL];
    float *before = t->first ? NULL : t->c; /* the sum of the chunks so far */
    int64_t before_stride = t->ldc, k = 0, end = 0;
    __m512 sum[TILE_ROWS][2];
    if (before) {
        UNROLL_ROWS _mm_prefetch((const char *)(t->c + r * t->ldc), _MM_HINT_T0);
    }
    if (t->residual) {
        UNROLL_ROWS _mm_prefetch((const char *)(t->residual + r * t->ldr), _MM_HINT_T0);
    }
    for (;;) {
        end = t->k - k > EM__GEMM_CHUNK ? k + EM__GEMM_CHUNK : t->k;
        UNROLL_ROWS
        {
            sum[r][0] = sum[r][1] = _mm512_setzero_ps();
        }
        for (; k < end; k++) {
            __m512 b0 = _mm512_loadu_ps(b), b1 = wide ? _mm512_loadu_ps(b + 16) : b0;
            _mm_prefetch(prefetch, _MM_HINT_T1);
            _mm_prefetch(prefetch + 64, _MM_HINT_T1);
            prefetch += t->prefetch_step;
            b += ldb;
            UNROLL_ROWS
            {
                __m512 x = _mm512_set1_ps(a[r / 3][k + (r % 3) * lda]);
                sum[r][0] = _mm512_fmadd_ps(x, b0, sum[r][0]);
                if (wide)
                    sum[r][1] = _mm512_fmadd_ps(x, b1, sum[r][1]);
            }
        }
        if (before)
            add_tile(sum, before, before_stride, mask, rows);
        if (end >= t->k)
            break;
        before = partial;
        before_stride = EM__GEMM_PANEL;
        __asm__("" : "+r"(before)); /* one register, not one for each of its rows */
        store_tile(sum, before, EM__GEMM_PANEL, ~0u, rows);
    }
    if (t->bias)
        add_tile(sum, t->bias, 0, mask, rows);
    if (t->residual)
        add_tile(sum, t->residual, t->ldr, mask, rows);
    store_tile(sum, t->c, t->ldc, mask, rows);
}

#define TILE(rows)                                                                                                     \
    static void tile_##rows(const em__gemm_tile *tile)                                                                 \
    {                                                                                                                  \
        tile_body(tile, rows, true);                                                                                   \
    }                                                                                                                  \
    static void narrow_##rows(const em__gemm_tile *tile)                                                               \
    {                                                                                                                  \
        tile_body(tile, rows, false);                                                                                  \
    }
TILE(1);
TILE(2);
TILE(3);
TILE(4);
TILE(5);
TILE(6);
TILE(7);
TILE(8);
TILE(9);
TILE(10);
TILE(11);
TILE(12);
TILE(13);
TILE(14);

static void tile_avx512(const em__gemm_tile *tile)
{
    static void (*const tiles[])(const em__gemm_tile *) = {tile_1, tile_2, tile_3,  tile_4,  tile_5,  tile_6,  tile_7,
                                                           tile_8, tile_9, tile_10, tile_11, tile_12, tile_13, tile_14};
    static void (*const narrow[])(const em__gemm_tile *) = {narrow_1,  narrow_2,  narrow_3,  narrow_4, narrow_5,
                                                            narrow_6,  narrow_7,  narrow_8,  narrow_9, narrow_10,
                                                            narrow_11, narrow_12, narrow_13, narrow_14};
    if (tile->columns <= 16)
        narrow[tile->rows - 1](tile);
    else
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

static inline void store_line(float *dst, __m512 x, bool past)
{
    if (past)
        _mm512_stream_ps(dst, x);
    else
        _mm512_store_ps(dst, x);
}

ALWAYS void pack_half(float *dst, const float *src, int64_t stride, int columns, int64_t k, const bool past)
{
    for (int64_t i = 0; i < k; i += 16) {
        int64_t left = k - i < 16 ? k - i : 16;
        __mmask16 mask = (__mmask16)((1u << left) - 1);
        __m512 r[16];
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++)
            r[j] = j < columns ? _mm512_maskz_loadu_ps(mask, src + j * stride + i) : _mm512_setzero_ps();
        em__transpose_16(r);
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++)
            if (j < left)
                store_line(dst + (i + j) * EM__GEMM_PANEL, r[j], past);
    }
}

static void pack_rows_avx512(float *dst, const float *src, int64_t stride, int columns, int64_t k, bool past)
{
    const int right = columns > 16 ? columns - 16 : 0;
    const float *src_right = right ? src + 16 * stride : src;
    if (past && columns == EM__GEMM_PANEL) {
        pack_half(dst, src, stride, 16, k, true);
        pack_half(dst + 16, src_right, stride, 16, k, true);
        _mm_sfence();
    } else {
        pack_half(dst, src, stride, columns - right, k, false);
        pack_half(dst + 16, src_right, stride, right, k, false);
    }
}

static void pack_columns_avx512(float *dst, const float *src, int64_t stride, int columns, int64_t k, bool past)
{
    const uint32_t mask = columns < 32 ? (1u << columns) - 1 : ~0u;
    const __mmask16 m0 = (__mmask16)mask, m1 = (__mmask16)(mask >> 16);
    for (int64_t i = 0; i < k; i++) {
        float *line = dst + i * EM__GEMM_PANEL;
        store_line(line, _mm512_maskz_loadu_ps(m0, src + i * stride), past);
        store_line(line + 16, _mm512_maskz_loadu_ps(m1, src + i * stride + 16), past);
    }
    if (past)
        _mm_sfence();
}

void em__gemm_kernels_avx512(em__gemm_kernels *kernels)
{
    kernels->level = EM__CPU_AVX512;
    kernels->tile_rows = TILE_ROWS;
    kernels->tile = tile_avx512;
    kernels->add = add_avx512;
    kernels->pack_rows = pack_rows_avx512;
    kernels->pack_columns = pack_columns_avx512;
    em__gemm_thin_avx512(kernels);
}
