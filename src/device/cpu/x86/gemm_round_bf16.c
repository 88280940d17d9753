/*
 * Kernels of products that round A (gemm_round.h) for AVX512-BF16. A tile is up to 14 rows x 32 columns: 28 sums, two
 * vectors of B and one broadcast pair of A fill the 32 registers; an instruction multiplies 16 pairs.
 */
#include <immintrin.h>
#include <string.h>

#include "device/cpu/gemm_round.h"
#include "device/cpu/transpose_avx512.h"

#define TILE_ROWS 14
#define UNROLL_ROWS _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
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

ALWAYS __m512bh pair(const uint16_t *a)
{
    int32_t bits;
    memcpy(&bits, a, sizeof bits);
    return (__m512bh)_mm512_set1_epi32(bits);
}

ALWAYS __m512bh vector(const uint16_t *b)
{
    return (__m512bh)_mm512_load_si512((const void *)b);
}

/* Of a panel with at most 16 columns only the first half is computed: `wide` is false. */
ALWAYS void tile_body(const em__round_tile *t, const int rows, const bool wide)
{
    const __mmask32 mask = t->columns < EM__GEMM_PANEL ? (1u << t->columns) - 1 : ~0u;
    const int64_t lda = t->lda;
    const uint16_t *const a[5] = {t->a, t->a + 3 * lda, t->a + 6 * lda, t->a + 9 * lda, t->a + 12 * lda};
    const uint16_t *b = t->b;
    __m512 sum[TILE_ROWS][2];
    UNROLL_ROWS
    {
        _mm_prefetch((const char *)(t->c + r * t->ldc), _MM_HINT_T0);
        _mm_prefetch((const char *)(t->c + r * t->ldc + 16), _MM_HINT_T0);
        sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    }
    for (int64_t k = 0; k < 2 * t->pairs; k += 2, b += 2 * EM__ROUND_COLUMNS) {
        const __m512bh b0 = vector(b), b1 = wide ? vector(b + t->half) : b0;
        UNROLL_ROWS
        {
            const __m512bh x = pair(&a[r / 3][k + (r % 3) * lda]);
            sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, b0);
            if (wide)
                sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, b1);
        }
    }
    if (!t->first)
        add_tile(sum, t->c, t->ldc, mask, rows);
    if (t->bias)
        add_tile(sum, t->bias, 0, mask, rows);
    if (t->residual)
        add_tile(sum, t->residual, t->ldr, mask, rows);
    UNROLL_ROWS
    {
        _mm512_mask_storeu_ps(t->c + r * t->ldc, (__mmask16)mask, sum[r][0]);
        _mm512_mask_storeu_ps(t->c + r * t->ldc + 16, (__mmask16)(mask >> 16), sum[r][1]);
    }
}

#define TILE(rows)                                                                                                     \
    static void tile_##rows(const em__round_tile *tile)                                                                \
    {                                                                                                                  \
        if (tile->columns > EM__ROUND_COLUMNS)                                                                         \
            tile_body(tile, rows, true);                                                                               \
        else                                                                                                           \
            tile_body(tile, rows, false);                                                                              \
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

static void tile_bf16(const em__round_tile *tile)
{
    static void (*const tiles[])(const em__round_tile *) = {tile_1,  tile_2,  tile_3,  tile_4, tile_5,
                                                            tile_6,  tile_7,  tile_8,  tile_9, tile_10,
                                                            tile_11, tile_12, tile_13, tile_14};
    tiles[tile->rows - 1](tile);
}

/* Whole vectors by themselves: a store of some halves takes as long as many of them. */
void em__round_bf16(uint16_t *dst, const float *src, int64_t k)
{
    const int64_t even = (k + 1) / 2 * 2;
    int64_t i = 0;
    for (; i + 32 <= k; i += 32) {
        const __m512bh halves = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(src + i + 16), _mm512_loadu_ps(src + i));
        _mm512_storeu_si512(dst + i, (__m512i)halves);
    }
    for (; i < even; i += 16) {
        const __mmask16 from = k - i < 16 ? (__mmask16)((1u << (k - i)) - 1) : (__mmask16)~0u;
        const __mmask16 to = even - i < 16 ? (__mmask16)((1u << (even - i)) - 1) : (__mmask16)~0u;
        const __m256bh halves = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(from, src + i));
        _mm256_mask_storeu_epi16(dst + i, to, (__m256i)halves);
    }
}

void em__round_turn_bf16(uint16_t *dst, const uint16_t *src, int64_t row, int columns, int64_t k)
{
    for (int64_t i = 0; i < k; i += 32, dst += 16 * 32) {
        const int64_t left = k - i < 32 ? k - i : 32;
        const __mmask32 mask = left < 32 ? (1u << left) - 1 : ~0u;
        __m512 r[16];
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++)
            r[j] = j < columns ? _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, src + j * row + i))
                               : _mm512_setzero_ps();
        em__transpose_16(r);
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++)
            if (2 * j < left)
                _mm512_store_ps((float *)(void *)(dst + j * 32), r[j]);
    }
}

void em__round_pair_bf16(uint16_t *dst, const uint16_t *src, int64_t row, int columns, int64_t k)
{
    const __mmask16 mask = (__mmask16)((1u << columns) - 1);
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (int64_t i = 0; i < k; i += 2, dst += 2 * EM__ROUND_COLUMNS) {
        const __m256i even = _mm256_maskz_loadu_epi16(mask, src + i * row);
        const __m256i odd = i + 1 < k ? _mm256_maskz_loadu_epi16(mask, src + (i + 1) * row) : _mm256_setzero_si256();
        const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(even), odd, 1);
        _mm512_store_si512((void *)dst, _mm512_permutexvar_epi16(order, both));
    }
}

const em__round_kernels *em__round_kernels_bf16(void)
{
    static const em__round_kernels kernels = {.tile_rows = TILE_ROWS,
                                              .panels = 4,
                                              .rate = 1,
                                              .tile = tile_bf16,
                                              .round = em__round_bf16,
                                              .turn = em__round_turn_bf16,
                                              .pair = em__round_pair_bf16};
    return &kernels;
}
