/*
 * The arithmetic of elementwise ops, an element at a time: which ops there are, and those of integers, tests and casts;
 * op_floats.cuh has those of floats, op_types.cuh the dtypes. Compiled twice from these texts: by nvcc for the kernels
 * of single ops, and by NVRTC for chains (chain.cu), so both give the same bits. Hence they include nothing but the two
 * enums (NVRTC gets them as text), and are compiled without contraction.
 *
 * A function takes math values that its dtype holds exactly and gives one that is not rounded yet.
 */
#ifndef EM_DEVICE_CUDA_OP_MATH_CUH
#define EM_DEVICE_CUDA_OP_MATH_CUH

#ifndef __CUDACC_RTC__
#include "device/cuda/op_floats.cuh"
#endif

/* clang-format off */
/* Functions of one operand. Of floats, and the dtype is kept. */
#define EM_FLOAT1(X)                                                                                                   \
    X(NEG) X(ABS) X(SIGN) X(SQUARE) X(FLOOR) X(CEIL) X(ROUND) X(RINT) X(TRUNC) X(RECIPROCAL) X(SQRT) X(RSQRT) X(CBRT)  \
    X(EXP) X(EXP2) X(EXPM1) X(LOG) X(LOG1P) X(LOG2) X(LOG10) X(SIN) X(COS) X(TAN) X(ASIN) X(ACOS) X(ATAN) X(SINH)      \
    X(COSH) X(TANH) X(ASINH) X(ACOSH) X(ATANH) X(ERF) X(ERFC) X(ERF_INV) X(SIGMOID) X(RELU) X(SILU) X(GELU)            \
    X(GELU_TANH) X(REAL) X(IMAG) X(PHASE)
#define EM_INTEGER1(X)                                                                                                 \
    X(NEG) X(ABS) X(SIGN) X(SQUARE) X(FLOOR) X(CEIL) X(ROUND) X(RINT) X(TRUNC) X(RELU) X(BITWISE_NOT)                  \
    X(POPULATION_COUNT) X(COUNT_LEADING_ZEROS)
#define EM_TEST1(X) X(LOGICAL_NOT) X(IS_NAN) X(IS_INF) X(IS_FINITE) /* any dtype, gives pred */
#define EM_FLOAT2(X)                                                                                                   \
    X(ADD) X(SUB) X(MUL) X(DIV) X(REMAINDER) X(POW) X(MAXIMUM) X(MINIMUM) X(ATAN2) X(SWIGLU) X(GEGLU) X(GEGLU_TANH)    \
    X(HYPOT) X(LOGADDEXP)
#define EM_INTEGER2(X)                                                                                                 \
    X(ADD) X(SUB) X(MUL) X(QUOTIENT) X(REMAINDER) X(POW) X(MAXIMUM) X(MINIMUM) X(BITWISE_AND) X(BITWISE_OR)            \
    X(BITWISE_XOR) X(LEFT_SHIFT) X(RIGHT_SHIFT)
#define EM_TEST2(X)                                                                                                    \
    X(LOGICAL_AND) X(LOGICAL_OR) X(LOGICAL_XOR) X(EQUAL) X(NOT_EQUAL) X(LESS) X(LESS_EQUAL) X(GREATER)                 \
    X(GREATER_EQUAL)
/* clang-format on */

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
