/*
 * Products of 4-bit codes in whole numbers: x as digits of 8 bits with signs, of a unit of which the largest |x| has
 * 2^29 to 2^30; codes as unsigned bytes, as masks make them of a word: those in the low halves of its bytes, and 16
 * times the others, whose x is of 16 times the unit. So x is off by half of that at most: 2^-26 of the largest, or
 * 2^-89 where all are below 2^-63.
 */
#ifndef EM_DEVICE_CUDA_DIGITS_CUH
#define EM_DEVICE_CUDA_DIGITS_CUH

#include "device/cuda/common.cuh"

static constexpr int EM_DIGITS = 4;
static constexpr uint32_t EM_LOW_CODES = 0x0f0f0f0f, EM_HIGH_CODES = 0xf0f0f0f0; /* of a word */
static constexpr int EM_DIGITS_SUM = 0x4b400000;  /* where sums begin: 0 in the mantissa of 1.5 * 2^23 */
static constexpr float EM_DIGITS_ZERO = 12582912; /* which is that */

/* d = c + 16 rows of unsigned bytes by 8 columns of signed ones, exactly. */
__device__ __forceinline__ void em_multiply_codes(int (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                                  uint32_t b0, uint32_t b1, const int (&c)[4])
{
    asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %11, %12, %13};"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "r"(c[0]), "r"(c[1]), "r"(c[2]), "r"(c[3]));
}

/* What x is multiplied by, 1 / unit, where `most` has the bits of the largest |x|; `unit` is NaN where that is not
 * finite. */
__device__ __forceinline__ float em_digits_turn(uint32_t most, float &unit)
{
    constexpr uint32_t INFINITE = 0x7f800000, LEAST = 0x20000000; /* bits of floats: infinity, 2^-63 */
    most = max(most, LEAST);
    const uint32_t exponent = most >> 23; /* the largest is less than 2^(exponent - 126) */
    unit = most < INFINITE ? __uint_as_float((exponent - 29) << 23) : NAN;
    return __uint_as_float((283 - exponent) << 23);
}

/* Words of four values' digits, the lowest first. Eight bits are a digit; what lies above half of the range counts as
 * negative, with one more for the next digit. */
__device__ __forceinline__ void em_digits_of(const float (&x)[4], float turn, uint32_t (&words)[EM_DIGITS])
{
    constexpr uint32_t BYTES = 0x00808080; /* added, then taken off bit by bit: digits with signs */
    uint32_t v[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        v[i] = ((uint32_t)__float2int_rn(x[i] * turn) + BYTES) ^ BYTES;
    const uint32_t a = __byte_perm(v[0], v[1], 0x5140), b = __byte_perm(v[2], v[3], 0x5140);
    const uint32_t c = __byte_perm(v[0], v[1], 0x7362), d = __byte_perm(v[2], v[3], 0x7362);
    words[0] = __byte_perm(a, b, 0x5410);
    words[1] = __byte_perm(a, b, 0x7632);
    words[2] = __byte_perm(c, d, 0x5410);
    words[3] = __byte_perm(c, d, 0x7632);
}

#endif
