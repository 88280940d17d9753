/* 16 weights at a time on AVX2, in two registers. Only for files built with its flags. See quant_v_avx512.h. */
#ifndef EM_DEVICE_CPU_QUANT_V_AVX2_H
#define EM_DEVICE_CPU_QUANT_V_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "device/cpu/quant.h"

#define ALWAYS static inline __attribute__((always_inline))
#define DIRECT_M 1
#define TILE_M 3
#define HALVES 2

typedef struct v16 {
    __m256 lo, hi;
} v16;
typedef __m256 vh;
typedef __m256 v8;
typedef __m128 v4;

ALWAYS v16 v16_zero(void)
{
    return (v16){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

ALWAYS v16 v16_load(const float *p)
{
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

ALWAYS void v16_store(float *p, v16 x)
{
    _mm256_storeu_ps(p, x.lo);
    _mm256_storeu_ps(p + 8, x.hi);
}

ALWAYS v16 v16_set1(float x)
{
    return (v16){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

ALWAYS v16 v16_add(v16 a, v16 b)
{
    return (v16){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}

ALWAYS v16 v16_fma(v16 a, v16 b, v16 c)
{
    return (v16){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

ALWAYS vh vh_zero(void)
{
    return _mm256_setzero_ps();
}

ALWAYS vh vh_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

ALWAYS vh vh_fma(vh a, vh b, vh c)
{
    return _mm256_fmadd_ps(a, b, c);
}

ALWAYS v8 fold_halves(vh lo, vh hi)
{
    return _mm256_add_ps(lo, hi);
}

ALWAYS v8 fold_half(v16 x)
{
    return fold_halves(x.lo, x.hi);
}

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

ALWAYS v16 v16_max(v16 a, v16 b)
{
    return (v16){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}

ALWAYS v16 v16_min(v16 a, v16 b)
{
    return (v16){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}

ALWAYS float v16_most(v16 x)
{
    const __m256 eight = _mm256_max_ps(x.lo, x.hi);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

ALWAYS float v16_least(v16 x)
{
    const __m256 eight = _mm256_min_ps(x.lo, x.hi);
    __m128 four = _mm_min_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_min_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_min_ss(four, _mm_movehdup_ps(four)));
}

ALWAYS v16 v16_to_lanes(v16 x)
{
    const __m256 lo = _mm256_unpacklo_ps(x.lo, x.hi), hi = _mm256_unpackhi_ps(x.lo, x.hi);
    return (v16){_mm256_permute2f128_ps(lo, hi, 0x20), _mm256_permute2f128_ps(lo, hi, 0x31)};
}

ALWAYS v16 v16_from_lanes(v16 x)
{
    const __m256i order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    const __m256 lo = _mm256_permutevar8x32_ps(x.lo, order), hi = _mm256_permutevar8x32_ps(x.hi, order);
    return (v16){_mm256_permute2f128_ps(lo, hi, 0x20), _mm256_permute2f128_ps(lo, hi, 0x31)};
}

typedef struct qgroup {
    __m256 a, b;
} qgroup;

ALWAYS qgroup q_group(const em__quant_kind kind, float scale, float bias)
{
    const __m256 s = _mm256_set1_ps(scale), b = _mm256_set1_ps(bias);
    if (kind == EM__QUANT_U2)
        return (qgroup){_mm256_fmadd_ps(_mm256_setr_ps(0, 1, 2, 3, 0, 1, 2, 3), s, b), b};
    if (kind == EM__QUANT_U3)
        return (qgroup){_mm256_fmadd_ps(_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7), s, b), b};
    if (kind == EM__QUANT_E2M1)
        return (qgroup){_mm256_mul_ps(_mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6), s), b};
    return (qgroup){s, b};
}

typedef struct codes16 {
    __m256i lo, hi;
} codes16;

/* The bytes of a step that is no power of two long. */
ALWAYS __m128i step_bytes(const int bits, const uint8_t *p)
{
    uint64_t part[2] = {0};
    memcpy(part, p, 2 * (size_t)bits);
    return _mm_set_epi64x((long long)part[1], (long long)part[0]);
}

ALWAYS codes16 shift_codes(__m256i lo, __m256i hi, const int *by)
{
    return (codes16){_mm256_srlv_epi32(lo, _mm256_loadu_si256((const __m256i *)(const void *)by)),
                     _mm256_srlv_epi32(hi, _mm256_loadu_si256((const __m256i *)(const void *)(by + 8)))};
}

ALWAYS codes16 q_codes(const em__quant_kind kind, const uint8_t *p)
{
    const int bits = em__quant_bits(kind);
    if (bits == 4) {
        static const int by[16] = {0, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28};
        long long words;
        memcpy(&words, p, sizeof words);
        const __m256i all = _mm256_set1_epi64x(words);
        return shift_codes(all, all, by);
    }
    if (bits == 2) {
        static const int by[16] = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
        int word;
        memcpy(&word, p, sizeof word);
        const __m256i all = _mm256_set1_epi32(word);
        return shift_codes(all, all, by);
    }
    if (bits == 8)
        return (codes16){_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)),
                         _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p + 8)))};
#define PAIR(l) ((((l)*bits / 8) | ((l)*bits / 8 + 1) << 8) | (int)0x80800000)
#define BY(l) ((l)*bits % 8)
    const __m256i bytes = _mm256_broadcastsi128_si256(step_bytes(bits, p));
    const __m256i low = _mm256_setr_epi32(PAIR(0), PAIR(1), PAIR(2), PAIR(3), PAIR(4), PAIR(5), PAIR(6), PAIR(7));
    const __m256i high =
        _mm256_setr_epi32(PAIR(8), PAIR(9), PAIR(10), PAIR(11), PAIR(12), PAIR(13), PAIR(14), PAIR(15));
    const __m256i by = _mm256_setr_epi32(BY(0), BY(1), BY(2), BY(3), BY(4), BY(5), BY(6), BY(7));
#undef PAIR
#undef BY
    /* eight codes are whole bytes: both halves shift alike */
    return (codes16){_mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, low), by),
                     _mm256_srlv_epi32(_mm256_shuffle_epi8(bytes, high), by)};
}

ALWAYS __m256 eight_weights(const em__quant_kind kind, __m256i codes, qgroup g)
{
    if (kind == EM__QUANT_U2 || kind == EM__QUANT_U3)
        return _mm256_permutevar8x32_ps(g.a, codes);
    if (kind == EM__QUANT_E2M1) {
        const __m256i sign = _mm256_and_si256(_mm256_slli_epi32(codes, 28), _mm256_set1_epi32(INT32_MIN));
        return _mm256_xor_ps(_mm256_permutevar8x32_ps(g.a, codes), _mm256_castsi256_ps(sign));
    }
    const int mask = (1 << em__quant_bits(kind)) - 1;
    if (kind != EM__QUANT_U8)
        codes = _mm256_and_si256(codes, _mm256_set1_epi32(mask));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(codes), g.a, g.b);
}

ALWAYS v16 e4m3_weights(const uint8_t *p, __m256 scale)
{
    const __m256i words = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
    const __m256i half =
        _mm256_and_si256(_mm256_srai_epi16(_mm256_slli_epi16(words, 8), 1), _mm256_set1_epi16((short)0xbfff));
    const __m256 lo = _mm256_cvtph_ps(_mm256_castsi256_si128(half)), up = _mm256_set1_ps(256);
    const __m256 hi = _mm256_cvtph_ps(_mm256_extracti128_si256(half, 1));
    return (v16){_mm256_mul_ps(_mm256_mul_ps(lo, up), scale), _mm256_mul_ps(_mm256_mul_ps(hi, up), scale)};
}

ALWAYS v16 q_weights(const em__quant_kind kind, const uint8_t *p, qgroup g)
{
    if (kind == EM__QUANT_E4M3)
        return e4m3_weights(p, g.a);
    const codes16 codes = q_codes(kind, p);
    return (v16){eight_weights(kind, codes.lo, g), eight_weights(kind, codes.hi, g)};
}

#endif
