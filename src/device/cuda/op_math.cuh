/*
 * The arithmetic of elementwise ops, an element at a time. Compiled twice from this one text: by nvcc for the kernels
 * of single ops, and by NVRTC for chains (chain.cu), so both give the same bits. Hence it includes nothing but the two
 * enums (NVRTC gets them as text), and it is compiled without contraction.
 *
 * An element of dtype T is stored as em_type<T>::store and computed with as em_type<T>::math: halves and f8 as float,
 * integers under 32 bits as 32 bits. A function takes math values that T holds exactly and gives one that is not
 * rounded yet; em_round makes it one that the dtype holds, em_pack does so on its way to memory.
 */
#ifndef EM_DEVICE_CUDA_OP_MATH_CUH
#define EM_DEVICE_CUDA_OP_MATH_CUH

#ifndef __CUDACC_RTC__
#include "device/cuda/cuda.h"
#endif

#define EM_DEV static __device__ __forceinline__

/* Functions of one operand. Of floats, and the dtype is kept. */
#define EM_FLOAT1(X)                                                                                                   \
    X(NEG)                                                                                                             \
    X(ABS)                                                                                                             \
    X(SIGN)                                                                                                            \
    X(SQUARE)                                                                                                          \
    X(FLOOR)                                                                                                           \
    X(CEIL)                                                                                                            \
    X(ROUND)                                                                                                           \
    X(RINT)                                                                                                            \
    X(TRUNC) X(RECIPROCAL) X(SQRT) X(RSQRT) X(CBRT) X(EXP) X(EXP2) X(EXPM1) X(LOG) X(LOG1P) X(LOG2) X(LOG10) X(SIN)    \
        X(COS) X(TAN) X(ASIN) X(ACOS) X(ATAN) X(SINH) X(COSH) X(TANH) X(ASINH) X(ACOSH) X(ATANH) X(ERF) X(ERFC)        \
            X(ERF_INV) X(SIGMOID) X(RELU) X(SILU) X(GELU) X(GELU_TANH) X(REAL) X(IMAG) X(PHASE)
#define EM_INTEGER1(X)                                                                                                 \
    X(NEG)                                                                                                             \
    X(ABS)                                                                                                             \
    X(SIGN)                                                                                                            \
    X(SQUARE)                                                                                                          \
    X(FLOOR) X(CEIL) X(ROUND) X(RINT) X(TRUNC) X(RELU) X(BITWISE_NOT) X(POPULATION_COUNT) X(COUNT_LEADING_ZEROS)
#define EM_TEST1(X) X(LOGICAL_NOT) X(IS_NAN) X(IS_INF) X(IS_FINITE) /* any dtype, gives pred */
#define EM_FLOAT2(X)                                                                                                   \
    X(ADD)                                                                                                             \
    X(SUB)                                                                                                             \
    X(MUL)                                                                                                             \
    X(DIV) X(REMAINDER) X(POW) X(MAXIMUM) X(MINIMUM) X(ATAN2) X(SWIGLU) X(GEGLU) X(GEGLU_TANH) X(HYPOT) X(LOGADDEXP)
#define EM_INTEGER2(X)                                                                                                 \
    X(ADD)                                                                                                             \
    X(SUB)                                                                                                             \
    X(MUL)                                                                                                             \
    X(QUOTIENT)                                                                                                        \
    X(REMAINDER) X(POW) X(MAXIMUM) X(MINIMUM) X(BITWISE_AND) X(BITWISE_OR) X(BITWISE_XOR) X(LEFT_SHIFT) X(RIGHT_SHIFT)
#define EM_TEST2(X)                                                                                                    \
    X(LOGICAL_AND) X(LOGICAL_OR) X(LOGICAL_XOR) X(EQUAL) X(NOT_EQUAL) X(LESS) X(LESS_EQUAL) X(GREATER) X(GREATER_EQUAL)

/* Two doubles; and two floats as they lie in memory. c64 is computed in double and rounded once. */
struct alignas(16) em_complex {
    double re, im;
};
struct alignas(8) em_complex_f32 {
    float re, im;
};

template <int T> struct em_type;
#define EM_TYPE(NAME, STORE, MATH, FLOATS, SIGNED, BITS)                                                               \
    template <> struct em_type<EM_##NAME> {                                                                            \
        typedef STORE store;                                                                                           \
        typedef MATH math;                                                                                             \
        static constexpr bool floats = FLOATS, is_signed = SIGNED;                                                     \
        static constexpr int bits = BITS;                                                                              \
    };
EM_TYPE(PRED, uint8_t, uint32_t, false, false, 8)
EM_TYPE(U8, uint8_t, uint32_t, false, false, 8)
EM_TYPE(U16, uint16_t, uint32_t, false, false, 16)
EM_TYPE(U32, uint32_t, uint32_t, false, false, 32)
EM_TYPE(U64, uint64_t, uint64_t, false, false, 64)
EM_TYPE(S8, int8_t, int32_t, false, true, 8)
EM_TYPE(S16, int16_t, int32_t, false, true, 16)
EM_TYPE(S32, int32_t, int32_t, false, true, 32)
EM_TYPE(S64, int64_t, int64_t, false, true, 64)
EM_TYPE(F8_E4M3FN, uint8_t, float, true, true, 8)
EM_TYPE(F8_E5M2, uint8_t, float, true, true, 8)
EM_TYPE(F16, uint16_t, float, true, true, 16)
EM_TYPE(BF16, uint16_t, float, true, true, 16)
EM_TYPE(F32, float, float, true, true, 32)
EM_TYPE(F64, double, double, true, true, 64)
EM_TYPE(C64, em_complex_f32, em_complex, false, true, 64)
EM_TYPE(C128, em_complex, em_complex, false, true, 128)
#undef EM_TYPE
template <int T> using em_math = typename em_type<T>::math;
template <int T> using em_stored = typename em_type<T>::store;
template <int T> constexpr bool em_is_complex = T == EM_C64 || T == EM_C128;

/* f8: see core/float16.c. MANT mantissa and EXP exponent bits; without IEEE the top exponent is numbers, but for the
 * all-ones pattern, which is NaN and what overflow becomes. */
template <int MANT, int EXP, bool IEEE> EM_DEV uint8_t em_f8_of(float x)
{
    constexpr uint32_t bias = (1u << (EXP - 1)) - 1, top = ((1u << EXP) - 1) << MANT;
    constexpr uint32_t infinity = IEEE ? top : top | ((1u << MANT) - 1);
    uint32_t bits = __float_as_uint(x), sign = bits >> 31 << 7, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u)
        return sign | (magnitude > 0x7f800000u && IEEE ? top | 1u << (MANT - 1) : infinity);
    int e = (int)(magnitude >> 23) - 127 + (int)bias;
    int shift = 23 - MANT + (e < 1 ? 1 - e : 0);
    if (magnitude < 0x00800000u || shift > 25)
        return sign; /* a float's subnormal is far below both formats */
    uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    uint32_t half = 1u << (shift - 1), rest = mantissa & ((half << 1) - 1), q = mantissa >> shift;
    q += rest > half || (rest == half && (q & 1));
    uint32_t r = e < 1 ? q : ((uint32_t)(e - 1) << MANT) + q; /* q holds the implicit bit, and may carry */
    return sign | (r > (IEEE ? top - 1 : infinity - 1) ? infinity : r);
}

EM_DEV float em_f16_to_f32(uint16_t bits)
{
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
}

EM_DEV float em_e4m3fn_to_f32(uint8_t byte)
{
    uint32_t low = byte & 0x7fu, sign = (uint32_t)(byte >> 7) << 31, bits;
    if (low == 0x7f)
        bits = 0x7fc00000u;
    else if (low < 8)
        bits = __float_as_uint((float)low * 0.001953125f); /* 2^-9 */
    else
        bits = (low << 20) + (120u << 23);
    return __uint_as_float(bits | sign);
}

/* A float on the way to a narrower one, so that rounding it again is one rounding: the last bit is set if anything was
 * cut off. */
EM_DEV float em_odd(float cut, bool exact)
{
    return exact ? cut : __uint_as_float(__float_as_uint(cut) | 1u);
}

EM_DEV float em_narrow(float x)
{
    return x;
}

EM_DEV float em_narrow(double x)
{
    float cut = __double2float_rz(x);
    return em_odd(cut, x != x || (double)cut == x);
}

/* A math value as it is stored, rounded; and what is stored as a math value. */
template <int T, class M> EM_DEV em_stored<T> em_pack(M x)
{
    if constexpr (T == EM_PRED) {
        return x != 0;
    } else if constexpr (T == EM_F8_E4M3FN) {
        return em_f8_of<3, 4, false>(em_narrow(x));
    } else if constexpr (T == EM_F8_E5M2) {
        return em_f8_of<2, 5, true>(em_narrow(x));
    } else if constexpr (T == EM_F16) {
        uint16_t bits;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(em_narrow(x)));
        return bits;
    } else if constexpr (T == EM_BF16) {
        uint16_t bits;
        asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(em_narrow(x)));
        return bits;
    } else if constexpr (T == EM_C64) {
        em_complex_f32 z = {(float)x.re, (float)x.im};
        return z;
    } else {
        return (em_stored<T>)x;
    }
}

template <int T> EM_DEV em_math<T> em_unpack(em_stored<T> x)
{
    if constexpr (T == EM_F8_E4M3FN) {
        return em_e4m3fn_to_f32(x);
    } else if constexpr (T == EM_F8_E5M2) {
        return em_f16_to_f32((uint16_t)((uint32_t)x << 8));
    } else if constexpr (T == EM_F16) {
        return em_f16_to_f32(x);
    } else if constexpr (T == EM_BF16) {
        return __uint_as_float((uint32_t)x << 16);
    } else if constexpr (T == EM_C64) {
        em_complex z = {x.re, x.im};
        return z;
    } else {
        return (em_math<T>)x;
    }
}

/* The value that the dtype holds. */
template <int T, class M> EM_DEV em_math<T> em_round(M x)
{
    return em_unpack<T>(em_pack<T>(x));
}

/* C's functions by one name for both widths. */
#define EM_C_MATH1(X)                                                                                                  \
    X(floor)                                                                                                           \
    X(ceil)                                                                                                            \
    X(round)                                                                                                           \
    X(rint)                                                                                                            \
    X(trunc)                                                                                                           \
    X(sqrt)                                                                                                            \
    X(rsqrt)                                                                                                           \
    X(cbrt)                                                                                                            \
    X(exp) X(exp2) X(expm1) X(log) X(log1p) X(log2) X(log10) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh)      \
        X(cosh) X(tanh) X(asinh) X(acosh) X(atanh) X(erf) X(erfc) X(erfinv) X(fabs)
#define EM_C_MATH2(X) X(fmod) X(atan2) X(hypot) X(copysign)
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

#define EM_NAMED1(X)                                                                                                   \
    X(FLOOR, floor)                                                                                                    \
    X(CEIL, ceil)                                                                                                      \
    X(ROUND, round)                                                                                                    \
    X(RINT, rint)                                                                                                      \
    X(TRUNC, trunc)                                                                                                    \
    X(SQRT, sqrt)                                                                                                      \
    X(RSQRT, rsqrt)                                                                                                    \
    X(CBRT, cbrt) X(EXP, exp) X(EXP2, exp2) X(EXPM1, expm1) X(LOG, log) X(LOG1P, log1p) X(LOG2, log2) X(LOG10, log10)  \
        X(SIN, sin) X(COS, cos) X(TAN, tan) X(ASIN, asin) X(ACOS, acos) X(ATAN, atan) X(SINH, sinh) X(COSH, cosh)      \
            X(TANH, tanh) X(ASINH, asinh) X(ACOSH, acosh) X(ATANH, atanh) X(ERF, erf) X(ERFC, erfc)                    \
                X(SIGMOID, sigmoid) X(SILU, silu) X(GELU, gelu) X(GELU_TANH, gelu_tanh)

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

/* Integers: two's complement, wrapping; computed unsigned (U) where overflow would be undefined. */
template <int OP, int T> EM_DEV em_math<T> em_integer1(em_math<T> x)
{
    typedef em_math<T> M;
    constexpr int bits = em_type<T>::bits;
    constexpr bool is_signed = em_type<T>::is_signed;
    uint64_t wide = (uint64_t)x, low = wide & ~0ull >> (64 - bits);
    if constexpr (OP == EM__OP_NEG)
        return (M)(0 - wide);
    else if constexpr (OP == EM__OP_ABS)
        return is_signed && x < 0 ? (M)(0 - wide) : x;
    else if constexpr (OP == EM__OP_SIGN)
        return is_signed && x < 0 ? (M)-1 : (M)(x != 0);
    else if constexpr (OP == EM__OP_SQUARE)
        return (M)(wide * wide);
    else if constexpr (OP == EM__OP_RELU)
        return is_signed && x < 0 ? (M)0 : x;
    else if constexpr (OP == EM__OP_BITWISE_NOT)
        return ~x;
    else if constexpr (OP == EM__OP_POPULATION_COUNT)
        return (M)__popcll(low);
    else if constexpr (OP == EM__OP_COUNT_LEADING_ZEROS)
        return (M)(__clzll(low) - (64 - bits));
    else
        return x; /* roundings */
}

template <class U> EM_DEV U em_power(U base, U exponent)
{
    U result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

template <int OP, int T> EM_DEV em_math<T> em_integer2(em_math<T> a, em_math<T> b)
{
    typedef em_math<T> M;
    constexpr bool is_signed = em_type<T>::is_signed, is_wide = sizeof(M) == 8;
    typedef typename em_type<is_wide ? EM_U64 : EM_U32>::math U;
    U x = (U)a, y = (U)b;
    bool out = (is_signed && b < 0) || y >= (U)em_type<T>::bits;
    if constexpr (OP == EM__OP_ADD)
        return (M)(x + y);
    else if constexpr (OP == EM__OP_SUB)
        return (M)(x - y);
    else if constexpr (OP == EM__OP_MUL)
        return (M)(x * y);
    else if constexpr (OP == EM__OP_QUOTIENT)
        return b == 0 ? (M)0 : is_signed && b == (M)-1 ? (M)(0 - x) : (M)(a / b);
    else if constexpr (OP == EM__OP_REMAINDER)
        return b == 0 || (is_signed && b == (M)-1) ? (M)0 : (M)(a % b);
    else if constexpr (OP == EM__OP_POW) {
        if (is_signed && b < 0) /* the truncated quotient: 0 but for the bases 1 and -1 */
            return a == 1 ? (M)1 : a == (M)-1 ? (b & 1 ? (M)-1 : (M)1) : (M)0;
        return (M)em_power(x, y);
    } else if constexpr (OP == EM__OP_MAXIMUM)
        return a < b ? b : a;
    else if constexpr (OP == EM__OP_MINIMUM)
        return a < b ? a : b;
    else if constexpr (OP == EM__OP_BITWISE_AND)
        return a & b;
    else if constexpr (OP == EM__OP_BITWISE_OR)
        return a | b;
    else if constexpr (OP == EM__OP_BITWISE_XOR)
        return a ^ b;
    else if constexpr (OP == EM__OP_LEFT_SHIFT)
        return out ? (M)0 : (M)(x << y);
    else if constexpr (OP == EM__OP_RIGHT_SHIFT)
        return !out ? (M)(a >> b) : is_signed ? (M)(a >> (sizeof(M) * 8 - 1)) : (M)0;
}

/* NaN counts as true. */
template <int T> EM_DEV bool em_truth(em_math<T> x)
{
    if constexpr (em_is_complex<T>)
        return x.re != 0 || x.im != 0;
    else
        return x != 0;
}

template <class F> EM_DEV bool em_is_finite(F x)
{
    return em_fabs(x) < (F)EM_INFINITY;
}

template <int OP, int T> EM_DEV bool em_test1(em_math<T> x)
{
    if constexpr (OP == EM__OP_LOGICAL_NOT)
        return !em_truth<T>(x);
    else if constexpr (em_is_complex<T>) {
        bool nan = x.re != x.re || x.im != x.im, finite = em_is_finite(x.re) && em_is_finite(x.im);
        bool infinite = em_fabs(x.re) == EM_INFINITY || em_fabs(x.im) == EM_INFINITY;
        return OP == EM__OP_IS_NAN ? nan : OP == EM__OP_IS_INF ? infinite : finite;
    } else if constexpr (em_type<T>::floats)
        return OP == EM__OP_IS_NAN ? x != x : em_is_finite(x) == (OP == EM__OP_IS_FINITE) && x == x;
    else
        return OP == EM__OP_IS_FINITE;
}

template <int OP, int T> EM_DEV bool em_test2(em_math<T> a, em_math<T> b)
{
    if constexpr (OP == EM__OP_LOGICAL_AND)
        return em_truth<T>(a) && em_truth<T>(b);
    else if constexpr (OP == EM__OP_LOGICAL_OR)
        return em_truth<T>(a) || em_truth<T>(b);
    else if constexpr (OP == EM__OP_LOGICAL_XOR)
        return em_truth<T>(a) != em_truth<T>(b);
    else if constexpr (em_is_complex<T>)
        return (a.re == b.re && a.im == b.im) == (OP == EM__OP_EQUAL);
    else if constexpr (OP == EM__OP_EQUAL)
        return a == b;
    else if constexpr (OP == EM__OP_NOT_EQUAL)
        return a != b;
    else if constexpr (OP == EM__OP_LESS)
        return a < b;
    else if constexpr (OP == EM__OP_LESS_EQUAL)
        return a <= b;
    else if constexpr (OP == EM__OP_GREATER)
        return a > b;
    else if constexpr (OP == EM__OP_GREATER_EQUAL)
        return a >= b;
}

/* A float as an integer: truncated, saturated, NaN 0. */
template <int T, class F> EM_DEV em_math<T> em_saturate(F f)
{
    constexpr int bits = em_type<T>::bits;
    if (f != f)
        return 0;
    if constexpr (bits == 64 && em_type<T>::is_signed)
        return __double2ll_rz((double)f);
    else if constexpr (bits == 64)
        return __double2ull_rz((double)f);
    else if constexpr (em_type<T>::is_signed) {
        constexpr int32_t most = 0x7fffffff >> (32 - bits);
        int32_t i = sizeof(F) == 8 ? __double2int_rz((double)f) : __float2int_rz((float)f);
        return i > most ? most : i < -most - 1 ? -most - 1 : i;
    } else {
        constexpr uint32_t most = 0xffffffffu >> (32 - bits);
        uint32_t u = sizeof(F) == 8 ? __double2uint_rz((double)f) : __float2uint_rz((float)f);
        return u > most ? most : u;
    }
}

/* An integer as a float, rounded once in all: on its way to what is narrower than f32 it is cut to odd. */
template <int T, class M> EM_DEV em_math<T> em_float_of(M i)
{
    if constexpr (T == EM_F64 || T == EM_F32) {
        return (em_math<T>)i;
    } else if constexpr (M(-1) < M(0)) {
        float cut = __ll2float_rz((long long)i);
        return em_odd(cut, __float2ll_rz(cut) == (long long)i);
    } else {
        float cut = __ull2float_rz((unsigned long long)i);
        return em_odd(cut, __float2ull_rz(cut) == (unsigned long long)i);
    }
}

/* CAST. What it gives is not rounded to TO yet, but one rounding away from it (a double still, say). */
template <int FROM, int TO> EM_DEV auto em_cast(em_math<FROM> x)
{
    if constexpr (em_is_complex<FROM> && em_is_complex<TO>)
        return x;
    else if constexpr (TO == EM_PRED)
        return (uint32_t)em_truth<FROM>(x);
    else if constexpr (em_is_complex<FROM>)
        return em_cast<EM_F64, TO>(x.re);
    else if constexpr (em_is_complex<TO>) {
        em_complex z = {(double)x, 0};
        if constexpr (TO == EM_C64 && !em_type<FROM>::floats)
            z.re = (float)x;
        return z;
    } else if constexpr (em_type<FROM>::floats && em_type<TO>::floats)
        return x;
    else if constexpr (em_type<FROM>::floats)
        return em_saturate<TO>(x);
    else if constexpr (em_type<TO>::floats)
        return em_float_of<TO>(x);
    else
        return (em_math<TO>)x;
}

#endif
