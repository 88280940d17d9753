/* What lies around the products of gemm_split.h: rows of A split, bf16 panels laid out, sums stored. */
#include <immintrin.h>

#include "device/cpu/transpose_avx512.h"
#include "device/cpu/gemm_ends_amx.h"

#define PANEL EM__GEMM_PANEL
#define TILE EM__SPLIT_TILE

/* The nearest bf16, ties away from zero, in the upper halves; exact for every finite x that does not round to infinity.
 */
static inline __m512i round_bf16(__m512 x)
{
    const __m512i up = _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000));
    return _mm512_and_si512(up, _mm512_set1_epi32((int)0xffff0000));
}

static inline void split_vector(__m512 x, __m512i part[3])
{
    part[HIGH] = round_bf16(x);
    x = _mm512_sub_ps(x, _mm512_castsi512_ps(part[HIGH]));
    part[MIDDLE] = round_bf16(x);
    x = _mm512_sub_ps(x, _mm512_castsi512_ps(part[MIDDLE]));
    part[LOW] = _mm512_castps_si512(x);
}

void em__split_store_amx(const float *sum, const em__gemm_tile *t)
{
    const uint32_t mask = t->columns < PANEL ? (1u << t->columns) - 1 : ~0u;
    const __mmask16 m0 = (__mmask16)mask, m1 = (__mmask16)(mask >> 16);
    const __m512 zero = _mm512_setzero_ps();
    const __m512 bias0 = t->bias ? _mm512_maskz_loadu_ps(m0, t->bias) : zero;
    const __m512 bias1 = t->bias ? _mm512_maskz_loadu_ps(m1, t->bias + 16) : zero;
    for (int r = 0; r < t->rows; r++) {
        __m512 x0 = _mm512_load_ps(sum + r * PANEL), x1 = _mm512_load_ps(sum + r * PANEL + 16);
        if (t->bias) {
            x0 = _mm512_add_ps(x0, bias0);
            x1 = _mm512_add_ps(x1, bias1);
        }
        if (t->residual) {
            x0 = _mm512_add_ps(x0, _mm512_maskz_loadu_ps(m0, t->residual + r * t->ldr));
            x1 = _mm512_add_ps(x1, _mm512_maskz_loadu_ps(m1, t->residual + r * t->ldr + 16));
        }
        _mm512_mask_storeu_ps(t->c + r * t->ldc, m0, x0);
        _mm512_mask_storeu_ps(t->c + r * t->ldc + 16, m1, x1);
    }
}

static inline __m512i magnitude(__m512 x)
{
    return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}

/* The upper halves of x, then of y. */
static inline __m512i join_halves(__m512i x, __m512i y)
{
    const __m512i odd = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25,
                                         23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    return _mm512_permutex2var_epi16(x, odd, y);
}

static uint32_t split_row(uint16_t *dst, const float *a, int64_t k)
{
    __m512i largest = _mm512_setzero_si512();
    for (int64_t i = 0; i < k; i += EM__SPLIT_DEPTH) {
        const uint32_t mask = k - i < EM__SPLIT_DEPTH ? (1u << (k - i)) - 1 : ~0u;
        __m512 x = _mm512_maskz_loadu_ps((__mmask16)mask, a + i);
        __m512 y = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), a + i + 16);
        __m512i left[3], right[3];
        largest = _mm512_max_epu32(largest, _mm512_max_epu32(magnitude(x), magnitude(y)));
        split_vector(x, left);
        split_vector(y, right);
        for (int part = HIGH; part <= LOW; part++)
            _mm512_store_si512(dst + part * TILE, join_halves(left[part], right[part]));
        dst += EM__SPLIT_A_STEP;
    }
    return _mm512_reduce_max_epu32(largest);
}

void em__split_rows_amx(uint16_t *dst, const float *a, int64_t lda, int rows, int64_t k, uint32_t *largest)
{
    const int64_t steps = (k + EM__SPLIT_DEPTH - 1) / EM__SPLIT_DEPTH;
    for (int r = 0; r < rows; r++) {
        const uint32_t top = split_row(dst + r * EM__SPLIT_DEPTH, a + r * lda, k);
        largest[r] = top > largest[r] ? top : largest[r];
    }
    for (int64_t i = 0; i < steps * 3; i++)
        for (int r = rows; r < 16; r++)
            _mm512_store_si512(dst + i * TILE + r * EM__SPLIT_DEPTH, _mm512_setzero_si512());
}

/* 16 columns of a step, each a row of pairs, become 16 rows of the tile; top: the larger of what it had and these. */
static inline void lay_tile(uint16_t *dst, const uint16_t *src, int64_t stride, int columns, __mmask32 mask,
                            __m512i *top)
{
    __m512 v[16];
#pragma GCC unroll 16
    for (int j = 0; j < 16; j++)
        v[j] = _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(mask, src + (j < columns ? j : 0) * stride));
    em__transpose_16(v);
#pragma GCC unroll 16
    for (int j = 0; j < 16; j++) {
        const __m512i pair = _mm512_castps_si512(v[j]);
        *top = _mm512_max_epu16(*top, _mm512_and_si512(pair, _mm512_set1_epi16(0x7fff)));
        _mm512_store_si512(dst + j * EM__SPLIT_DEPTH, pair);
    }
}

void em__split_lay_half_amx(uint16_t *dst, const uint16_t *src, int64_t stride, int columns, int64_t k,
                            uint32_t *largest)
{
    for (int half = 0; half < 2; half++) {
        const int there = columns - 16 * half;
        const uint16_t *from = there > 0 ? src + 16 * half * stride : src;
        __m512i top = _mm512_setzero_si512();
        for (int64_t i = 0; i < k; i += EM__SPLIT_DEPTH) {
            const __mmask32 mask = k - i < EM__SPLIT_DEPTH ? (1u << (k - i)) - 1 : ~0u;
            lay_tile(dst + i / EM__SPLIT_DEPTH * EM__SPLIT_HALF_STEP + half * TILE, from + i, stride, there, mask,
                     &top);
        }
        top = _mm512_max_epu32(_mm512_slli_epi32(top, 16), _mm512_and_si512(top, _mm512_set1_epi32((int)0xffff0000)));
        _mm512_storeu_si512(largest + 16 * half, top);
    }
}
