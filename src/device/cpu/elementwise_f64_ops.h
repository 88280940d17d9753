/* The operations on f64, under the ops' names (f64_<name>): of libm, or as vecmath_f32.h has them. */
#ifndef EM_DEVICE_CPU_ELEMENTWISE_F64_OPS_H
#define EM_DEVICE_CPU_ELEMENTWISE_F64_OPS_H

#include <math.h>

#include "device/cpu/elementwise.h"

static inline double f64_neg(double x)
{
    return -x;
}

static inline double f64_abs(double x)
{
    return fabs(x);
}

static inline double f64_sign(double x)
{
    return fabs(x) > 0.0 ? copysign(1.0, x) : x;
}

static inline double f64_square(double x)
{
    return x * x;
}

static inline double f64_floor(double x)
{
    return floor(x);
}

static inline double f64_ceil(double x)
{
    return ceil(x);
}

static inline double f64_round(double x)
{
    return trunc(x + copysign(0x1.fffffffffffffp-2, x));
}

static inline double f64_rint(double x)
{
    return rint(x);
}

static inline double f64_trunc(double x)
{
    return trunc(x);
}

static inline double f64_real(double x)
{
    return x;
}

static inline double f64_imag(double x)
{
    (void)x;
    return 0.0;
}

static inline double f64_phase(double x)
{
    return x != x ? x : copysign(1.0, x) < 0.0 ? 3.14159265358979323846 : 0.0;
}

static inline double f64_exp2(double x)
{
    return exp2(x);
}

static inline double f64_log10(double x)
{
    return log10(x);
}

static inline double f64_hypot(double a, double b)
{
    return hypot(a, b);
}

static inline double f64_logaddexp(double a, double b)
{
    return em__logaddexp(a, b);
}

static inline uint8_t f64_is_finite(double x)
{
    return fabs(x) < (double)INFINITY;
}

static inline double f64_relu(double x)
{
    return 0.0 > x ? 0.0 : x;
}

static inline double f64_reciprocal(double x)
{
    return 1.0 / x;
}

static inline double f64_sqrt(double x)
{
    return sqrt(x);
}

static inline double f64_rsqrt(double x)
{
    return 1.0 / sqrt(x);
}

static inline double f64_cbrt(double x)
{
    return cbrt(x);
}

static inline double f64_exp(double x)
{
    return exp(x);
}

static inline double f64_expm1(double x)
{
    return expm1(x);
}

static inline double f64_log(double x)
{
    return log(x);
}

static inline double f64_log1p(double x)
{
    return log1p(x);
}

static inline double f64_log2(double x)
{
    return log2(x);
}

static inline double f64_sin(double x)
{
    return sin(x);
}

static inline double f64_cos(double x)
{
    return cos(x);
}

static inline double f64_tan(double x)
{
    return tan(x);
}

static inline double f64_asin(double x)
{
    return asin(x);
}

static inline double f64_acos(double x)
{
    return acos(x);
}

static inline double f64_atan(double x)
{
    return atan(x);
}

static inline double f64_sinh(double x)
{
    return sinh(x);
}

static inline double f64_cosh(double x)
{
    return cosh(x);
}

static inline double f64_tanh(double x)
{
    return tanh(x);
}

static inline double f64_asinh(double x)
{
    return asinh(x);
}

static inline double f64_acosh(double x)
{
    return acosh(x);
}

static inline double f64_atanh(double x)
{
    return atanh(x);
}

static inline double f64_erf(double x)
{
    return erf(x);
}

static inline double f64_erfc(double x)
{
    return erfc(x);
}

static inline double f64_erf_inv(double x)
{
    return em__erf_inv(x);
}

static inline double f64_sigmoid(double x)
{
    double e = exp(-fabs(x));
    return (x >= 0.0 ? 1.0 : e) / (1.0 + e);
}

static inline double f64_silu(double x)
{
    return (x < -1000.0 ? -1000.0 : x) * f64_sigmoid(x);
}

static inline double f64_gelu(double x)
{
    return 0.5 * (x < -1000.0 ? -1000.0 : x) * erfc(-x * 0x1.6a09e667f3bcdp-1);
}

static inline double f64_gelu_tanh(double x)
{
    double u = 0x1.9884533d43651p+0 * x * (1.0 + 0.044715 * x * x);
    return (x < -1000.0 ? -1000.0 : x) * f64_sigmoid(u);
}

static inline uint8_t f64_logical_not(double x)
{
    return x == 0.0;
}

static inline uint8_t f64_is_nan(double x)
{
    return x != x;
}

static inline uint8_t f64_is_inf(double x)
{
    return fabs(x) == (double)INFINITY;
}

static inline double f64_add(double a, double b)
{
    return a + b;
}

static inline double f64_sub(double a, double b)
{
    return a - b;
}

static inline double f64_mul(double a, double b)
{
    return a * b;
}

static inline double f64_div(double a, double b)
{
    return a / b;
}

static inline double f64_remainder(double a, double b)
{
    return fmod(a, b);
}

static inline double f64_pow(double a, double b)
{
    return pow(a, b);
}

static inline double f64_swiglu(double a, double b)
{
    return f64_silu(a) * b;
}

static inline double f64_geglu(double a, double b)
{
    return f64_gelu(a) * b;
}

static inline double f64_geglu_tanh(double a, double b)
{
    return f64_gelu_tanh(a) * b;
}

static inline double f64_atan2(double a, double b)
{
    return atan2(a, b);
}

static inline double f64_maximum(double a, double b)
{
    double larger = a > b ? a : b;
    return a != a ? a : larger;
}

static inline double f64_minimum(double a, double b)
{
    double smaller = a < b ? a : b;
    return a != a ? a : smaller;
}

static inline uint8_t f64_logical_and(double a, double b)
{
    return (a != 0.0) & (b != 0.0);
}

static inline uint8_t f64_logical_or(double a, double b)
{
    return (a != 0.0) | (b != 0.0);
}

static inline uint8_t f64_logical_xor(double a, double b)
{
    return (a != 0.0) ^ (b != 0.0);
}

static inline uint8_t f64_equal(double a, double b)
{
    return a == b;
}

static inline uint8_t f64_not_equal(double a, double b)
{
    return a != b;
}

static inline uint8_t f64_less(double a, double b)
{
    return a < b;
}

static inline uint8_t f64_less_equal(double a, double b)
{
    return a <= b;
}

static inline uint8_t f64_greater(double a, double b)
{
    return a > b;
}

static inline uint8_t f64_greater_equal(double a, double b)
{
    return a >= b;
}

#endif
