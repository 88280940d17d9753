/*
 * The f32 vector functions that elementwise kernels need beyond vecmath_f32.h, under the ops' names (vf_<name>).
 * Include one of vecmath_{portable,avx2,avx512}.h first.
 */
#ifndef EM_DEVICE_CPU_ELEMENTWISE_VF_OPS_H
#define EM_DEVICE_CPU_ELEMENTWISE_VF_OPS_H

#include <math.h>

#include "device/cpu/elementwise.h"

/* 0 and NaN stay themselves. */
static inline vf vf_sign(vf x)
{
    vm plain = vf_lt(vf_set1(0.0f), vf_abs(x));
    return vf_select(plain, vf_copysign(vf_set1(1.0f), x), x);
}

static inline vf vf_square(vf x)
{
    return vf_mul(x, x);
}

/* Half away from zero: adding the largest number below a half never carries a smaller fraction over. */
static inline vf vf_round(vf x)
{
    return vf_trunc(vf_add(x, vf_copysign(vf_set1(0x1.fffffep-2f), x)));
}

static inline vf vf_rint(vf x)
{
    return vf_round_even(x);
}

static inline vf vf_real(vf x)
{
    return x;
}

static inline vf vf_imag(vf x)
{
    (void)x;
    return vf_set1(0.0f);
}

/* The phase of a real number: 0, pi where the sign is set, NaN of NaN. */
static inline vf vf_phase(vf x)
{
    vm below = vf_lt(vf_copysign(vf_set1(1.0f), x), vf_set1(0.0f));
    return vf_select(vf_is_nan(x), x, vf_select(below, vf_set1(3.14159265f), vf_set1(0.0f)));
}

static inline vf vf_relu(vf x)
{
    return vf_max(vf_set1(0.0f), x);
}

static inline vf vf_reciprocal(vf x)
{
    return vf_div(vf_set1(1.0f), x);
}

static inline vf vf_cbrt(vf x)
{
    return vf_map(x, cbrtf);
}

static inline vf vf_exp2(vf x)
{
    return vf_map(x, exp2f);
}

static inline vf vf_log10(vf x)
{
    return vf_map(x, log10f);
}

static inline vf vf_log2(vf x)
{
    return vf_map(x, log2f);
}

static inline vf vf_asin(vf x)
{
    return vf_map(x, asinf);
}

static inline vf vf_acos(vf x)
{
    return vf_map(x, acosf);
}

static inline vf vf_atan(vf x)
{
    return vf_map(x, atanf);
}

static inline vf vf_sinh(vf x)
{
    return vf_map(x, sinhf);
}

static inline vf vf_cosh(vf x)
{
    return vf_map(x, coshf);
}

static inline vf vf_asinh(vf x)
{
    return vf_map(x, asinhf);
}

static inline vf vf_acosh(vf x)
{
    return vf_map(x, acoshf);
}

static inline vf vf_atanh(vf x)
{
    return vf_map(x, atanhf);
}

static inline vf vf_erfc(vf x)
{
    return vf_map(x, erfcf);
}

/* M. Giles, Approximating the erfinv function, GPU Computing Gems 2, 2011: polynomials in w = -log(1 - x^2), and in its
 * root where w is 5 or more. */
static inline vf vf_erf_inv(vf x)
{
    static const float middle[9] = {1.50140941f,     0.246640727f,   -0.00417768164f, -0.00125372503f, 0.00021858087f,
                                    -4.39150654e-6f, -3.5233877e-6f, 3.43273939e-7f,  2.81022636e-8f};
    static const float tail[9] = {2.83297682f,     1.00167406f,    0.00943887047f,  -0.0076224613f,  0.00573950773f,
                                  -0.00367342844f, 0.00134934322f, 0.000100950558f, -0.000200214257f};
    vf one = vf_set1(1.0f), w = vf_neg(vf_log(vf_mul(vf_sub(one, x), vf_add(one, x))));
    vf p = vf_poly(vf_sub(w, vf_set1(2.5f)), middle, 9);
    vf q = vf_poly(vf_sub(vf_sqrt(w), vf_set1(3.0f)), tail, 9);
    vf y = vf_mul(vf_select(vf_lt(w, vf_set1(5.0f)), p, q), x);
    return vf_select(vf_eq(vf_abs(x), one), vf_copysign(vf_set1(VF_INFINITY), x), y);
}

static inline vf vf_remainder(vf a, vf b)
{
    return vf_map2(a, b, fmodf);
}

static inline vf vf_pow(vf a, vf b)
{
    return vf_map2(a, b, powf);
}

static inline vf vf_atan2(vf a, vf b)
{
    return vf_map2(a, b, atan2f);
}

static inline vf vf_hypot(vf a, vf b)
{
    return vf_map2(a, b, hypotf);
}

static inline vf vf_logaddexp(vf a, vf b)
{
    return vf_map2(a, b, em__logaddexp_f32);
}

static inline vf vf_swiglu(vf a, vf b)
{
    return vf_mul(vf_silu(a), b);
}

static inline vf vf_geglu(vf a, vf b)
{
    return vf_mul(vf_gelu(a), b);
}

static inline vf vf_geglu_tanh(vf a, vf b)
{
    return vf_mul(vf_gelu_tanh(a), b);
}

static inline vf vf_maximum(vf a, vf b)
{
    return vf_select(vf_is_nan(a), a, vf_max(a, b));
}

static inline vf vf_minimum(vf a, vf b)
{
    return vf_select(vf_is_nan(a), a, vf_min(a, b));
}

static inline vm vf_truth(vf x) /* NaN is true: it is not 0 */
{
    return vm_not(vf_eq(x, vf_set1(0.0f)));
}

static inline vm vf_logical_not(vf x)
{
    return vf_eq(x, vf_set1(0.0f));
}

static inline vm vf_is_inf(vf x)
{
    return vf_eq(vf_abs(x), vf_set1(VF_INFINITY));
}

static inline vm vf_is_finite(vf x)
{
    return vf_lt(vf_abs(x), vf_set1(VF_INFINITY));
}

static inline vm vf_logical_and(vf a, vf b)
{
    return vm_and(vf_truth(a), vf_truth(b));
}

static inline vm vf_logical_or(vf a, vf b)
{
    return vm_or(vf_truth(a), vf_truth(b));
}

static inline vm vf_logical_xor(vf a, vf b)
{
    return vm_xor(vf_truth(a), vf_truth(b));
}

static inline vm vf_equal(vf a, vf b)
{
    return vf_eq(a, b);
}

static inline vm vf_not_equal(vf a, vf b)
{
    return vm_not(vf_eq(a, b));
}

static inline vm vf_less(vf a, vf b)
{
    return vf_lt(a, b);
}

static inline vm vf_less_equal(vf a, vf b)
{
    return vf_le(a, b);
}

static inline vm vf_greater(vf a, vf b)
{
    return vf_lt(b, a);
}

static inline vm vf_greater_equal(vf a, vf b)
{
    return vf_le(b, a);
}

#endif
