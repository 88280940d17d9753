/*
 * Codes of 4 bits as panels of bf16 with AVX512-BF16. A word holds 8 codes of a row; words of 16 rows are turned, so
 * that a lane is a row, and so are scales and biases. A weight has the bits that it has in f32, rounded.
 */
#include <immintrin.h>

#include "device/cpu/quant.h"
#include "device/cpu/transpose_avx512.h"

#define ALWAYS static inline __attribute__((always_inline))
#define ROWS 16
#define BLOCK 128 /* codes of a row in a vector */
#define WORDS (BLOCK / 8)

ALWAYS __m512 weight(__m512i words, const int shift, __m512 scale, __m512 bias)
{
    const __m512i code = _mm512_and_si512(_mm512_srli_epi32(words, shift), _mm512_set1_epi32(15));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(code), scale, bias);
}

/* The 8 codes of a word as four pairs of each row. */
ALWAYS void word_pairs(uint16_t *to, __m512i words, __m512 scale, __m512 bias)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
    {
        const __m512 even = weight(words, 8 * i, scale, bias), odd = weight(words, 8 * i + 4, scale, bias);
        const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
        _mm512_store_si512((void *)(to + 2 * ROWS * i), _mm512_permutexvar_epi16(order, both));
    }
}

void em__quant_panel_bf16(uint16_t *to, const uint8_t *const *rows, const float *scales, const float *biases,
                          int64_t depth, int64_t group)
{
    for (int64_t k = 0; k < depth; k += BLOCK) {
        const int64_t words = depth - k < BLOCK ? (depth - k) / 8 : WORDS;
        const __mmask16 there = (__mmask16)((1u << words) - 1);
        __m512 r[ROWS];
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; i++)
            r[i] = _mm512_castsi512_ps(_mm512_maskz_loadu_epi32(there, rows[i] + k / 2));
        em__transpose_16(r);
        for (int64_t w = 0; w < words; w++, to += 8 * ROWS) {
            const int64_t at = (k + 8 * w) / group * ROWS;
            word_pairs(to, _mm512_castps_si512(r[w]), _mm512_load_ps(scales + at), _mm512_load_ps(biases + at));
        }
    }
}

void em__quant_packed_bf16(uint16_t *to, const uint8_t *packed, int64_t stride, const float *scales,
                           const float *biases, int64_t depth, int64_t group)
{
    for (int64_t k = 0; k < depth; k += group, packed += stride, scales += ROWS, biases += ROWS)
        for (int64_t w = 0; w < group / 8; w++, to += 8 * ROWS)
            word_pairs(to, _mm512_loadu_si512(packed + w * (2 * ROWS * 4)), _mm512_load_ps(scales),
                       _mm512_load_ps(biases));
}
