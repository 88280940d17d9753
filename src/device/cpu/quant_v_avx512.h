/* 16 weights at a time on AVX-512. Only for files built with its flags. Names are shared with the other quant_v_*.h. */
#ifndef EM_DEVICE_CPU_QUANT_V_AVX512_H
#define EM_DEVICE_CPU_QUANT_V_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "device/cpu/quant.h"

#define ALWAYS static inline __attribute__((always_inline))
#define DIRECT_M 4
#define TILE_M 6
#define HALVES 1

typedef __m512 v16;
typedef __m512 vh; /* what the sums of a tile are: all lanes, or half of them */
typedef __m256 v8;
typedef __m128 v4;

ALWAYS v16 v16_zero(void)
{
    return _mm512_setzero_ps();
}

ALWAYS v16 v16_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

ALWAYS void v16_store(float *p, v16 x)
{
    _mm512_storeu_ps(p, x);
}

ALWAYS v16 v16_set1(float x)
{
    return _mm512_set1_ps(x);
}

ALWAYS v16 v16_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}

ALWAYS v16 v16_fma(v16 a, v16 b, v16 c)
{
    return _mm512_fmadd_ps(a, b, c);
}

#define vh_zero v16_zero
#define vh_load v16_load
#define vh_fma v16_fma

/* Lanes l and l + 8. */
ALWAYS v8 fold_half(v16 x)
{
    return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}

#define fold_halves(lo, hi) fold_half(lo)

/* Four sums of eight lanes, each (0 + 2) + (1 + 3) in a four, then the two fours. */
ALWAYS v4 fold_four(v8 a, v8 b, v8 c, v8 d)
{
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 even = _mm256_shuffle_ps(ab, cd, 0x44), odd = _mm256_shuffle_ps(ab, cd, 0xee);
    const __m256 fours = _mm256_add_ps(even, odd);
    return _mm_add_ps(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1));
}

ALWAYS void put_four(float *to, v4 x, bool first)
{
    _mm_storeu_ps(to, first ? x : _mm_add_ps(_mm_loadu_ps(to), x));
}

/* The larger or smaller; b if a is NaN. */
ALWAYS v16 v16_max(v16 a, v16 b)
{
    return _mm512_max_ps(a, b);
}

ALWAYS v16 v16_min(v16 a, v16 b)
{
    return _mm512_min_ps(a, b);
}

/* Of the lanes, none of which is NaN. */
ALWAYS float v16_most(v16 x)
{
    return _mm512_reduce_max_ps(x);
}

ALWAYS float v16_least(v16 x)
{
    return _mm512_reduce_min_ps(x);
}

ALWAYS v16 v16_to_lanes(v16 x)
{
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15), x);
}

ALWAYS v16 v16_from_lanes(v16 x)
{
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15), x);
}

/* What turns the codes of a group into weights: a table of them, or scale and bias. */
typedef struct qgroup {
    __m512 a, b;
} qgroup;

/* Codes 0, 1, 2... as floats, repeated as often as the index of a permutation has bits above the code's. */
ALWAYS __m512 code_values(const em__quant_kind kind, const int from)
{
    const __m512i iota = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const int mask = (1 << em__quant_bits(kind)) - 1;
    if (kind == EM__QUANT_E2M1)
        return _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 0, -0.5f, -1, -1.5f, -2, -3, -4, -6);
    return _mm512_cvtepi32_ps(
        _mm512_and_si512(_mm512_add_epi32(iota, _mm512_set1_epi32(from)), _mm512_set1_epi32(mask)));
}

ALWAYS qgroup q_group(const em__quant_kind kind, float scale, float bias)
{
    const __m512 s = _mm512_set1_ps(scale), b = _mm512_set1_ps(bias);
    switch (kind) {
    case EM__QUANT_U2:
    case EM__QUANT_U3:
    case EM__QUANT_U4: return (qgroup){_mm512_fmadd_ps(code_values(kind, 0), s, b), s};
    case EM__QUANT_U5:
        return (qgroup){_mm512_fmadd_ps(code_values(kind, 0), s, b), _mm512_fmadd_ps(code_values(kind, 16), s, b)};
    case EM__QUANT_E2M1: return (qgroup){_mm512_mul_ps(code_values(kind, 0), s), s};
    case EM__QUANT_U6:
    case EM__QUANT_U8:
    case EM__QUANT_E4M3:
    case EM__QUANT_KINDS: break;
    }
    return (qgroup){s, b};
}

/* Codes of a step in the low bits of the lanes, with the bits of others above them. */
ALWAYS __m512i q_codes(const em__quant_kind kind, const uint8_t *p)
{
    const int bits = em__quant_bits(kind);
    if (bits == 4) {
        long long eight; /* bytes: steps of a row lie anywhere */
        memcpy(&eight, p, sizeof eight);
        const __m512i by = _mm512_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28);
        return _mm512_srlv_epi32(_mm512_set1_epi64(eight), by);
    }
    if (bits == 2) {
        int four;
        memcpy(&four, p, sizeof four);
        const __m512i by = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        return _mm512_srlv_epi32(_mm512_set1_epi32(four), by);
    }
    if (bits == 8)
        return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    const __m128i bytes = _mm_maskz_loadu_epi8((__mmask16)((1u << (2 * bits)) - 1), p);
#define PAIR(l) ((((l)*bits / 8) | ((l)*bits / 8 + 1) << 8) | (int)0x80800000)
#define BY(l) ((l)*bits % 8)
    const __m512i pairs =
        _mm512_setr_epi32(PAIR(0), PAIR(1), PAIR(2), PAIR(3), PAIR(4), PAIR(5), PAIR(6), PAIR(7), PAIR(8), PAIR(9),
                          PAIR(10), PAIR(11), PAIR(12), PAIR(13), PAIR(14), PAIR(15));
    const __m512i by = _mm512_setr_epi32(BY(0), BY(1), BY(2), BY(3), BY(4), BY(5), BY(6), BY(7), BY(8), BY(9), BY(10),
                                         BY(11), BY(12), BY(13), BY(14), BY(15));
#undef PAIR
#undef BY
    return _mm512_srlv_epi32(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), pairs), by);
}

/* e4m3 by way of f16, whose exponent is one bit wider: the value times 2^-8. */
ALWAYS __m512 e4m3_values(const uint8_t *p)
{
    const __m256i words = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
    const __m256i half =
        _mm256_and_si256(_mm256_srai_epi16(_mm256_slli_epi16(words, 8), 1), _mm256_set1_epi16((short)0xbfff));
    return _mm512_cvtph_ps(half);
}

/* The weights of a step, in lanes. */
ALWAYS v16 q_weights(const em__quant_kind kind, const uint8_t *p, qgroup g)
{
    if (kind == EM__QUANT_E4M3)
        return _mm512_mul_ps(_mm512_mul_ps(e4m3_values(p), _mm512_set1_ps(256)), g.a);
    const __m512i codes = q_codes(kind, p);
    if (kind == EM__QUANT_U8 || kind == EM__QUANT_U6) {
        const int mask = (1 << em__quant_bits(kind)) - 1;
        const __m512i only = kind == EM__QUANT_U8 ? codes : _mm512_and_si512(codes, _mm512_set1_epi32(mask));
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(only), g.a, g.b);
    }
    if (kind == EM__QUANT_U5)
        return _mm512_permutex2var_ps(g.a, codes, g.b);
    return _mm512_permutexvar_ps(codes, g.a);
}

#endif
