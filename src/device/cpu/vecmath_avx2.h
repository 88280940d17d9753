/*
 * A vector of f32 on AVX2 with FMA and F16C: 8 lanes. Only for files built with the AVX2 flags (*_avx2.c).
 * The names and their meanings are those of vecmath_avx512.h; masks are vectors of all-ones or all-zero lanes.
 */
#ifndef EM_DEVICE_CPU_VECMATH_AVX2_H
#define EM_DEVICE_CPU_VECMATH_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define VF_LANES 8

typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;

static inline __m256i vf_first(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline vf vf_load_n(const float *p, int n)
{
    return _mm256_maskload_ps(p, vf_first(n));
}

static inline void vf_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

static inline void vf_store_n(float *p, vf x, int n)
{
    _mm256_maskstore_ps(p, vf_first(n), x);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

static inline vf vf_neg(vf a)
{
    return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f));
}

static inline vf vf_copysign(vf a, vf s)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_and_ps(sign, s), _mm256_andnot_ps(sign, a));
}

static inline vf vf_round_even(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_floor(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

static inline vf vf_ceil(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

static inline vf vf_trunc(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

static inline vm vf_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}

static inline vm vf_le(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}

static inline vm vf_eq(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}

static inline vm vf_is_nan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}

static inline vm vm_and(vm a, vm b)
{
    return _mm256_and_ps(a, b);
}

static inline vm vm_or(vm a, vm b)
{
    return _mm256_or_ps(a, b);
}

static inline vm vm_xor(vm a, vm b)
{
    return _mm256_xor_ps(a, b);
}

static inline vm vm_not(vm a)
{
    return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1)));
}

static inline int vm_any(vm a)
{
    return _mm256_movemask_ps(a) != 0;
}

static inline vf vf_select(vm m, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, m);
}

static inline vm vm_load_u8_n(const uint8_t *p, int n)
{
    uint64_t bytes = 0;
    if (n == VF_LANES)
        memcpy(&bytes, p, VF_LANES);
    else
        memcpy(&bytes, p, (size_t)n);
    __m256i wide = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(wide, _mm256_setzero_si256()));
}

static inline void vm_store_u8_n(uint8_t *p, vm m, int n)
{
    __m256i wide = _mm256_castps_si256(m);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    __m128i bytes = _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1));
    uint64_t packed = (uint64_t)_mm_cvtsi128_si64(bytes);
    if (n == VF_LANES)
        memcpy(p, &packed, VF_LANES);
    else
        memcpy(p, &packed, (size_t)n);
}

static inline vi vi_set1(int x)
{
    return _mm256_set1_epi32(x);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}

static inline vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}

static inline vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}

static inline vi vi_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}

static inline vi vi_shl(vi a, int by)
{
    return _mm256_slli_epi32(a, by);
}

static inline vi vi_sar(vi a, int by)
{
    return _mm256_srai_epi32(a, by);
}

static inline vm vi_test(vi a, vi b)
{
    __m256i none = _mm256_cmpeq_epi32(_mm256_and_si256(a, b), _mm256_setzero_si256());
    return _mm256_castsi256_ps(_mm256_xor_si256(none, _mm256_set1_epi32(-1)));
}

static inline vi vf_bits(vf a)
{
    return _mm256_castps_si256(a);
}

static inline vf vi_bits(vi a)
{
    return _mm256_castsi256_ps(a);
}

static inline vf vi_to_f32(vi a)
{
    return _mm256_cvtepi32_ps(a);
}

static inline vi vf_to_s32(vf a)
{
    return _mm256_cvtps_epi32(a);
}

/* In two steps: the first is exact, so the result is rounded once, as vscalefps does. */
static inline vf vf_scale(vf x, vf n)
{
    __m256i k = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(k, 1);
    __m256i bias = _mm256_set1_epi32(127);
    __m256 low = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
    __m256 high = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(k, half), bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(x, low), high);
}

static inline vf vf_table16(const float table[16], vi i)
{
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), i);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}

static inline __m256 vf__from_bf16(__m128i h)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}

static inline __m128i vf__to_bf16(vf x)
{
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    rounded = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(vf_is_nan(x)));
    rounded = _mm256_srli_epi32(rounded, 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}

static inline __m128i vf__load_16_n(const uint16_t *p, int n)
{
    uint16_t part[VF_LANES] = {0};
    memcpy(part, p, (size_t)n * sizeof *p);
    return _mm_loadu_si128((const __m128i *)part);
}

static inline void vf__store_16_n(uint16_t *p, __m128i h, int n)
{
    uint16_t part[VF_LANES];
    _mm_storeu_si128((__m128i *)part, h);
    memcpy(p, part, (size_t)n * sizeof *p);
}

static inline vf vf_load_bf16(const uint16_t *p)
{
    return vf__from_bf16(_mm_loadu_si128((const __m128i *)p));
}

static inline vf vf_load_bf16_n(const uint16_t *p, int n)
{
    return vf__from_bf16(vf__load_16_n(p, n));
}

static inline void vf_store_bf16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, vf__to_bf16(x));
}

static inline void vf_store_bf16_n(uint16_t *p, vf x, int n)
{
    vf__store_16_n(p, vf__to_bf16(x), n);
}

static inline vf vf_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline vf vf_load_f16_n(const uint16_t *p, int n)
{
    return _mm256_cvtph_ps(vf__load_16_n(p, n));
}

static inline void vf_store_f16(uint16_t *p, vf x)
{
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline void vf_store_f16_n(uint16_t *p, vf x, int n)
{
    vf__store_16_n(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), n);
}

static inline vf vf_pad(vf x, int n, vf fill)
{
    return _mm256_blendv_ps(fill, x, _mm256_castsi256_ps(vf_first(n)));
}

static inline float vf_fold_add(vf x)
{
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

static inline float vf_fold_max(vf x)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_shuffle_ps(b, b, 1)));
}

#include "device/cpu/vecmath_f32.h"

#endif
