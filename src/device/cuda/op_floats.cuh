/*
 * Elementwise ops of floats and doubles, one text for both: see op_math.cuh. What CUDA's functions give slowly, or not
 * at all, is worked out here.
 */
#ifndef EM_DEVICE_CUDA_OP_FLOATS_CUH
#define EM_DEVICE_CUDA_OP_FLOATS_CUH

#ifndef __CUDACC_RTC__
#include "device/cuda/op_types.cuh"
#endif

/* C's functions by one name for both widths. */
/* clang-format off */
#define EM_C_MATH1(X)                                                                                                  \
    X(floor) X(ceil) X(round) X(rint) X(trunc) X(sqrt) X(rsqrt) X(cbrt) X(exp) X(exp2) X(expm1) X(log) X(log1p)        \
    X(log2) X(log10) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh)   \
    X(erf) X(erfc) X(erfinv) X(fabs)
#define EM_C_MATH2(X) X(fmod) X(atan2) X(hypot) X(copysign)
/* clang-format on */
#define EM_C_NAME1(name)                                                                                               \
    EM_DEV float em_##name(float x)                                                                                    \
    {                                                                                                                  \
        return name##f(x);                                                                                             \
    }                                                                                                                  \
    EM_DEV double em_##name(double x)                                                                                  \
    {                                                                                                                  \
        return name(x);                                                                                                \
    }
#define EM_C_NAME2(name)                                                                                               \
    EM_DEV float em_##name(float x, float y)                                                                           \
    {                                                                                                                  \
        return name##f(x, y);                                                                                          \
    }                                                                                                                  \
    EM_DEV double em_##name(double x, double y)                                                                        \
    {                                                                                                                  \
        return name(x, y);                                                                                             \
    }
EM_C_MATH1(EM_C_NAME1)
EM_C_MATH2(EM_C_NAME2)

#define EM_INFINITY __longlong_as_double(0x7ff0000000000000ll)

/* a / b to 2 ulp, for b that is no power of two near the ends of the range. */
EM_DEV float em_quotient(float a, float b)
{
    return __fdividef(a, b);
}

EM_DEV double em_quotient(double a, double b)
{
    return a / b;
}

EM_DEV float em_exp2_near(float x)
{
    float e;
    asm("ex2.approx.f32 %0, %1;" : "=f"(e) : "f"(x));
    return e;
}

EM_DEV float em_reciprocal(float x)
{
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

/* To 4 ulp, as powf, in half its time: x = 2^k m with m near 1, whose logarithm is a series in u = 2 (m - 1) / (m + 1);
 * what each rounding takes is kept beside the value. What may be special goes to powf. */
EM_DEV float em_pow(float x, float y)
{
    uint32_t bits = __float_as_uint(x);
    int k = (int)(bits - 0x3f3504f3u) >> 23; /* m is in [sqrt(1/2), sqrt(2)) */
    float m = __uint_as_float(bits - ((uint32_t)k << 23)), f = m - 1.0f, r = em_reciprocal(m + 1.0f);
    float u = 2.0f * f * r, u_rest = r * __fmaf_rn(-u, f, 2.0f * (f - u)), v = u * u;
    float p = __fmaf_rn(0.00010312f, v, 0.00043212f);
    p = __fmaf_rn(p, v, 0.00223225f);
    p = __fmaf_rn(p, v, 0.0125f);
    p = __fmaf_rn(p, v, 0.083333336f);
    float tail = u * v * p, h = u + tail, rest = u - h + tail + u_rest;
    float g = h * 1.44269502f, g_rest = __fmaf_rn(h, 1.44269502f, -g); /* to base 2 */
    g_rest = __fmaf_rn(rest, 1.44269502f, __fmaf_rn(h, 1.925963e-8f, g_rest));
    float whole = (float)k, sum = whole + g, t = y * sum;
    float t_rest = __fmaf_rn(y, whole - sum + g + g_rest, __fmaf_rn(y, sum, -t));
    if (!(fabsf(t) < 126.0f) || bits - 0x00800000u >= 0x7f000000u)
        return powf(x, y);
    float e = em_exp2_near(t);
    return __fmaf_rn(e, 0.6931472f * t_rest, e);
}

EM_DEV double em_pow(double x, double y)
{
    return pow(x, y);
}

template <class F> EM_DEV F em_sigmoid(F x)
{
    F e = em_exp(-em_fabs(x));
    return em_quotient(x >= 0 ? (F)1 : e, 1 + e);
}

template <class F> EM_DEV F em_silu(F x)
{
    return x == (F)-EM_INFINITY ? (F)-0.0 : x * em_sigmoid(x);
}

/* NaN stays, and -0 is what negative numbers become. */
EM_DEV float em_not_below_zero(float x)
{
    float r;
    asm("max.NaN.f32 %0, %1, 0f80000000;" : "=f"(r) : "f"(x));
    return r;
}

/* x Phi(x). The normal tail beyond a = |x| is exp(-a^2 / 2) s p(s), s = 1 / (1 + 0.265 a), with p fitted to 2e-8 of it
 * on [0, 14.5]; what roundings took of the exponent is put back. */
EM_DEV float em_gelu(float x)
{
    float a = fminf(fabsf(x), 16.0f), s = em_reciprocal(__fmaf_rn(0.265f, a, 1.0f));
    float p = __fmaf_rn(0.030624567f, s, -0.14330107f);
    p = __fmaf_rn(p, s, 0.21595122f);
    p = __fmaf_rn(p, s, -0.1142873f);
    p = __fmaf_rn(p, s, 0.13655548f);
    p = __fmaf_rn(p, s, 0.060894813f);
    p = __fmaf_rn(p, s, 0.10255513f);
    p = __fmaf_rn(p, s, 0.10526677f);
    p = __fmaf_rn(p, s, 0.1057404f) * s;
    float square = a * a, t = square * -0.7213475f, rest = __fmaf_rn(square, -0.7213475f, -t); /* log2(e) / -2 */
    rest = __fmaf_rn(__fmaf_rn(a, a, -square), -0.7213475f, rest);
    rest = __fmaf_rn(square, -9.629815e-9f, rest);
    float e = em_exp2_near(t);
    p = p * __fmaf_rn(e, 0.6931472f * rest, e);
    return __fmaf_rn(-a, p, em_not_below_zero(x));
}

/* The same to 1e-5, for results of 11 bits and fewer. The exponential is taken 2^24 fold, and p by as much less: where
 * it need not be subnormal the unit is faster. */
EM_DEV float em_gelu_half(float x)
{
    const float least = 0x1p-24f;
    float a = fminf(fabsf(x), 16.0f), s = em_reciprocal(__fmaf_rn(0.265f, a, 1.0f)), e;
    float p = __fmaf_rn(-0.06770964f * least, s, 0.19500412f * least);
    p = __fmaf_rn(p, s, -0.06598854f * least);
    p = __fmaf_rn(p, s, 0.1422273f * least);
    p = __fmaf_rn(p, s, 0.08304798f * least);
    p = __fmaf_rn(p, s, 0.10781721f * least);
    p = __fmaf_rn(p, s, 0.10560133f * least);
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(__fmaf_rn(a * a, -0.7213475f, 24.0f)));
    return __fmaf_rn(-a * s, p * e, em_not_below_zero(x));
}

EM_DEV double em_gelu(double x)
{
    return x == -EM_INFINITY ? -0.0 : 0.5 * x * erfc(-x * 0.70710678118654752440);
}

/* x (1 + tanh(u)) / 2 is x sigmoid(2 u), which keeps its digits where tanh nears -1. */
template <class F> EM_DEV F em_gelu_tanh(F x)
{
    F u = (F)1.59576912160573071176 * (x + (F)0.044715 * x * x * x);
    return x == (F)-EM_INFINITY ? (F)-0.0 : x * em_sigmoid(u);
}

/* clang-format off */
#define EM_NAMED1(X)                                                                                                   \
    X(FLOOR, floor) X(CEIL, ceil) X(ROUND, round) X(RINT, rint) X(TRUNC, trunc) X(SQRT, sqrt) X(RSQRT, rsqrt)          \
    X(CBRT, cbrt) X(EXP, exp) X(EXP2, exp2) X(EXPM1, expm1) X(LOG, log) X(LOG1P, log1p) X(LOG2, log2) X(LOG10, log10)  \
    X(SIN, sin) X(COS, cos) X(TAN, tan) X(ASIN, asin) X(ACOS, acos) X(ATAN, atan) X(SINH, sinh) X(COSH, cosh)          \
    X(TANH, tanh) X(ASINH, asinh) X(ACOSH, acosh) X(ATANH, atanh) X(ERF, erf) X(ERFC, erfc) X(SIGMOID, sigmoid)        \
    X(SILU, silu) X(GELU, gelu) X(GELU_TANH, gelu_tanh)

/* clang-format on */
template <int OP, class F> EM_DEV F em_float1(F x)
{
    if constexpr (OP == EM__OP_NEG)
        return -x;
    else if constexpr (OP == EM__OP_ABS)
        return em_fabs(x);
    else if constexpr (OP == EM__OP_SIGN)
        return x != x || x == 0 ? x : em_copysign((F)1, x);
    else if constexpr (OP == EM__OP_SQUARE)
        return x * x;
    else if constexpr (OP == EM__OP_RECIPROCAL)
        return 1 / x;
    else if constexpr (OP == EM__OP_ERF_INV)
        return em_erfinv(x);
    else if constexpr (OP == EM__OP_RELU)
        return x != x || x > 0 ? x : 0;
    else if constexpr (OP == EM__OP_REAL)
        return x;
    else if constexpr (OP == EM__OP_IMAG)
        return 0;
    else if constexpr (OP == EM__OP_PHASE)
        return x != x ? x : em_copysign((F)1, x) < 0 ? (F)3.14159265358979323846 : (F)0;
#define EM_CASE(NAME, name) else if constexpr (OP == EM__OP_##NAME) return em_##name(x);
    EM_NAMED1(EM_CASE)
#undef EM_CASE
}

/* log(exp(a) + exp(b)); equal infinities are not subtracted. */
template <class F> EM_DEV F em_logaddexp(F a, F b)
{
    F top = a > b ? a : b, apart = a - b;
    if (a == b)
        return a + (F)0.69314718055994530942;
    return apart != apart ? apart : top + em_log1p(em_exp(-em_fabs(apart)));
}

template <int OP, class F> EM_DEV F em_float2(F a, F b)
{
    bool unordered = a != a || b != b;
    if constexpr (OP == EM__OP_ADD)
        return a + b;
    else if constexpr (OP == EM__OP_SUB)
        return a - b;
    else if constexpr (OP == EM__OP_MUL)
        return a * b;
    else if constexpr (OP == EM__OP_DIV)
        return a / b;
    else if constexpr (OP == EM__OP_REMAINDER)
        return em_fmod(a, b);
    else if constexpr (OP == EM__OP_POW)
        return em_pow(a, b);
    else if constexpr (OP == EM__OP_MAXIMUM)
        return unordered ? a + b : a > b ? a : b;
    else if constexpr (OP == EM__OP_MINIMUM)
        return unordered ? a + b : a < b ? a : b;
    else if constexpr (OP == EM__OP_ATAN2)
        return em_atan2(a, b);
    else if constexpr (OP == EM__OP_SWIGLU)
        return em_silu(a) * b;
    else if constexpr (OP == EM__OP_GEGLU)
        return em_gelu(a) * b;
    else if constexpr (OP == EM__OP_GEGLU_TANH)
        return em_gelu_tanh(a) * b;
    else if constexpr (OP == EM__OP_HYPOT)
        return em_hypot(a, b);
    else if constexpr (OP == EM__OP_LOGADDEXP)
        return em_logaddexp(a, b);
}

#endif
