/*
 * Dtypes as the arithmetic of elementwise ops sees them: see op_math.cuh, whose texts are compiled by nvcc and NVRTC.
 *
 * An element of dtype T is stored as em_type<T>::store and computed with as em_type<T>::math: halves and f8 as float,
 * integers under 32 bits as 32 bits. A math value need not be one that T holds: em_round makes it so, em_pack does on
 * its way to memory.
 */
#ifndef EM_DEVICE_CUDA_OP_TYPES_CUH
#define EM_DEVICE_CUDA_OP_TYPES_CUH

#ifndef __CUDACC_RTC__
#include "device/cuda/cuda.h"
#endif

#define EM_DEV static __device__ __forceinline__

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

#endif
