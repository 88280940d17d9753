/*
 * A vector of f32 on AVX-512: 16 lanes. Only for files built with the AVX-512 flags (*_avx512.c, *_amx.c).
 *
 * The same names exist in vecmath_avx2.h (8 lanes) and vecmath_portable.h (1 lane); vecmath_f32.h builds the functions
 * of mathematics on them, once. A file includes exactly one of the three.
 *
 * The `_n` forms touch only the first n elements, 0 <= n <= VF_LANES; lanes beyond n load as zero.
 */
#ifndef EM_DEVICE_CPU_VECMATH_AVX512_H
#define EM_DEVICE_CPU_VECMATH_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#define VF_LANES 16

typedef __m512 vf;    /* 16 x f32 */
typedef __m512i vi;   /* 16 x s32 */
typedef __mmask16 vm; /* one truth value a lane */

static inline __mmask16 vf_first(int n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline vf vf_load_n(const float *p, int n)
{
    return _mm512_maskz_loadu_ps(vf_first(n), p);
}

static inline void vf_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

static inline void vf_store_n(float *p, vf x, int n)
{
    _mm512_mask_storeu_ps(p, vf_first(n), x);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}

/* a * b + c and c - a * b, rounded once. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* The smaller or larger; b if either is NaN. */
static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}

static inline vf vf_neg(vf a)
{
    return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f));
}

/* |a| with the sign of s. */
static inline vf vf_copysign(vf a, vf s)
{
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_set1_epi32((int)0x80000000u), _mm512_castps_si512(s),
                                                         _mm512_castps_si512(a), 0xca));
}

/* To an integral value: nearest with ties to even, down, up, toward zero. */
static inline vf vf_round_even(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_floor(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}

static inline vf vf_ceil(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

static inline vf vf_trunc(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

static inline vm vf_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline vm vf_le(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}

static inline vm vf_eq(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}

static inline vm vf_is_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}

static inline vm vm_and(vm a, vm b)
{
    return a & b;
}

static inline vm vm_or(vm a, vm b)
{
    return a | b;
}

static inline vm vm_xor(vm a, vm b)
{
    return a ^ b;
}

static inline vm vm_not(vm a)
{
    return (vm)~a;
}

static inline int vm_any(vm a)
{
    return a != 0;
}

/* Lane i is a if m, else b. */
static inline vf vf_select(vm m, vf a, vf b)
{
    return _mm512_mask_blend_ps(m, b, a);
}

/* The mask of 16 bytes, nonzero is true; and the other way, 0 or 1 a byte. */
static inline vm vm_load_u8_n(const uint8_t *p, int n)
{
    __m128i bytes = _mm_maskz_loadu_epi8(vf_first(n), p);
    return _mm_test_epi8_mask(bytes, bytes);
}

static inline void vm_store_u8_n(uint8_t *p, vm m, int n)
{
    _mm_mask_storeu_epi8(p, vf_first(n), _mm_maskz_set1_epi8(m, 1));
}

static inline vi vi_set1(int x)
{
    return _mm512_set1_epi32(x);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}

static inline vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}

static inline vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}

static inline vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}

static inline vi vi_shl(vi a, int by)
{
    return _mm512_slli_epi32(a, (unsigned)by);
}

/* Arithmetic: the sign bit is copied down. */
static inline vi vi_sar(vi a, int by)
{
    return _mm512_srai_epi32(a, (unsigned)by);
}

static inline vm vi_test(vi a, vi b) /* (a & b) != 0 */
{
    return _mm512_test_epi32_mask(a, b);
}

static inline vi vf_bits(vf a)
{
    return _mm512_castps_si512(a);
}

static inline vf vi_bits(vi a)
{
    return _mm512_castsi512_ps(a);
}

static inline vf vi_to_f32(vi a)
{
    return _mm512_cvtepi32_ps(a);
}

static inline vi vf_to_s32(vf a) /* nearest; the value must fit */
{
    return _mm512_cvtps_epi32(a);
}

/* x * 2^n rounded once; n integral, -252 <= n <= 252, and 0.5 <= |x| <= 2 or x not finite. */
static inline vf vf_scale(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}

/* table[i & 15] by lane. */
static inline vf vf_table16(const float table[16], vi i)
{
    return _mm512_permutexvar_ps(i, _mm512_loadu_ps(table));
}

static inline __m512 vf__from_bf16(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* Round to nearest even; NaN stays NaN, quiet. Denormals are kept, which vcvtneps2bf16 would not do. */
static inline __m256i vf__to_bf16(vf x)
{
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    rounded = _mm512_mask_or_epi32(rounded, vf_is_nan(x), bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

static inline vf vf_load_bf16(const uint16_t *p)
{
    return vf__from_bf16(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf vf_load_bf16_n(const uint16_t *p, int n)
{
    return vf__from_bf16(_mm256_maskz_loadu_epi16(vf_first(n), p));
}

static inline void vf_store_bf16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, vf__to_bf16(x));
}

static inline void vf_store_bf16_n(uint16_t *p, vf x, int n)
{
    _mm256_mask_storeu_epi16(p, vf_first(n), vf__to_bf16(x));
}

static inline vf vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf vf_load_f16_n(const uint16_t *p, int n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vf_first(n), p));
}

static inline void vf_store_f16(uint16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

static inline void vf_store_f16_n(uint16_t *p, vf x, int n)
{
    _mm256_mask_storeu_epi16(p, vf_first(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

/* The first n lanes of x, `fill` in the others. */
static inline vf vf_pad(vf x, int n, vf fill)
{
    return _mm512_mask_blend_ps(vf_first(n), fill, x);
}

/* All lanes into one: lane i meets lane i + 8, then i + 4, i + 2, i + 1. Every width folds in this order. */
static inline float vf_fold_add(vf x)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_shuffle_ps(b, b, 1)));
}

static inline float vf_fold_max(vf x)
{
    __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_shuffle_ps(b, b, 1)));
}

#include "device/cpu/vecmath_f32.h"

#endif
