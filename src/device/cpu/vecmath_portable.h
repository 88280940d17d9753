/*
 * A "vector" of one f32 in plain C: what the templates compile to where no vector level exists. The names and their
 * meanings are those of vecmath_avx512.h. fma goes through double: the product is exact there, so only rare double
 * roundings differ from a real fma.
 */
#ifndef EM_DEVICE_CPU_VECMATH_PORTABLE_H
#define EM_DEVICE_CPU_VECMATH_PORTABLE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/float16.h"

#define VF_LANES 1

typedef float vf;
typedef int32_t vi;
typedef int vm;

static inline vf vf_set1(float x)
{
    return x;
}

static inline vf vf_load(const float *p)
{
    return *p;
}

static inline vf vf_load_n(const float *p, int n)
{
    return n ? *p : 0.0f;
}

static inline void vf_store(float *p, vf x)
{
    *p = x;
}

static inline void vf_store_n(float *p, vf x, int n)
{
    if (n)
        *p = x;
}

static inline vf vf_add(vf a, vf b)
{
    return a + b;
}

static inline vf vf_sub(vf a, vf b)
{
    return a - b;
}

static inline vf vf_mul(vf a, vf b)
{
    return a * b;
}

static inline vf vf_div(vf a, vf b)
{
    return a / b;
}

static inline vf vf_sqrt(vf a)
{
    return sqrtf(a);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return (float)((double)a * b + c);
}

static inline vf vf_fnma(vf a, vf b, vf c)
{
    return (float)(c - (double)a * b);
}

static inline vf vf_min(vf a, vf b)
{
    return a < b ? a : b;
}

static inline vf vf_max(vf a, vf b)
{
    return a > b ? a : b;
}

static inline vf vf_abs(vf a)
{
    return fabsf(a);
}

static inline vf vf_neg(vf a)
{
    return -a;
}

static inline vf vf_copysign(vf a, vf s)
{
    return copysignf(a, s);
}

static inline vf vf_round_even(vf a)
{
    return rintf(a);
}

static inline vf vf_floor(vf a)
{
    return floorf(a);
}

static inline vf vf_ceil(vf a)
{
    return ceilf(a);
}

static inline vf vf_trunc(vf a)
{
    return truncf(a);
}

static inline vm vf_lt(vf a, vf b)
{
    return a < b;
}

static inline vm vf_le(vf a, vf b)
{
    return a <= b;
}

static inline vm vf_eq(vf a, vf b)
{
    return a == b;
}

static inline vm vf_is_nan(vf a)
{
    return a != a;
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
    return !a;
}

static inline int vm_any(vm a)
{
    return a;
}

static inline vf vf_select(vm m, vf a, vf b)
{
    return m ? a : b;
}

static inline vm vm_load_u8_n(const uint8_t *p, int n)
{
    return n && *p != 0;
}

static inline void vm_store_u8_n(uint8_t *p, vm m, int n)
{
    if (n)
        *p = (uint8_t)m;
}

static inline vi vi_set1(int x)
{
    return x;
}

static inline vi vi_add(vi a, vi b)
{
    return (vi)((uint32_t)a + (uint32_t)b);
}

static inline vi vi_sub(vi a, vi b)
{
    return (vi)((uint32_t)a - (uint32_t)b);
}

static inline vi vi_and(vi a, vi b)
{
    return a & b;
}

static inline vi vi_xor(vi a, vi b)
{
    return a ^ b;
}

static inline vi vi_shl(vi a, int by)
{
    return (vi)((uint32_t)a << by);
}

static inline vi vi_sar(vi a, int by)
{
    return a >> by;
}

static inline vm vi_test(vi a, vi b)
{
    return (a & b) != 0;
}

static inline vi vf_bits(vf a)
{
    vi bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

static inline vf vi_bits(vi a)
{
    vf x;
    memcpy(&x, &a, sizeof x);
    return x;
}

static inline vf vi_to_f32(vi a)
{
    return (float)a;
}

/* What does not fit, NaN included, gives INT32_MIN as the processor's own conversion does. */
static inline vi vf_to_s32(vf a)
{
    return a >= -2147483648.0f && a < 2147483648.0f ? (vi)rintf(a) : INT32_MIN;
}

static inline vf vf_scale(vf x, vf n)
{
    vi k = vf_to_s32(n), half = vi_sar(k, 1);
    return x * vi_bits(vi_shl(vi_add(half, 127), 23)) * vi_bits(vi_shl(vi_add(vi_sub(k, half), 127), 23));
}

static inline vf vf_table16(const float table[16], vi i)
{
    return table[i & 15];
}

static inline vf vf_load_bf16(const uint16_t *p)
{
    return em__bf16_to_f32(*p);
}

static inline vf vf_load_bf16_n(const uint16_t *p, int n)
{
    return n ? em__bf16_to_f32(*p) : 0.0f;
}

static inline void vf_store_bf16(uint16_t *p, vf x)
{
    *p = em__f32_to_bf16(x);
}

static inline void vf_store_bf16_n(uint16_t *p, vf x, int n)
{
    if (n)
        *p = em__f32_to_bf16(x);
}

static inline vf vf_load_f16(const uint16_t *p)
{
    return em__f16_to_f32(*p);
}

static inline vf vf_load_f16_n(const uint16_t *p, int n)
{
    return n ? em__f16_to_f32(*p) : 0.0f;
}

static inline void vf_store_f16(uint16_t *p, vf x)
{
    *p = em__f32_to_f16(x);
}

static inline void vf_store_f16_n(uint16_t *p, vf x, int n)
{
    if (n)
        *p = em__f32_to_f16(x);
}

static inline vf vf_pad(vf x, int n, vf fill)
{
    return n ? x : fill;
}

static inline float vf_fold_add(vf x)
{
    return x;
}

static inline float vf_fold_max(vf x)
{
    return x;
}

#include "device/cpu/vecmath_f32.h"

#endif
