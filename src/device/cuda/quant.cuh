/* Quantized weights on the device: how codes and scales are read (emily/quantize.h). */
#ifndef EM_DEVICE_CUDA_QUANT_CUH
#define EM_DEVICE_CUDA_QUANT_CUH

#include "device/cuda/common.cuh"

extern "C" {
#include "ops/quant.h"
}

/* 0 .5 1 1.5 2 3 4 6, the sign in bit 3. */
__device__ __forceinline__ float em_e2m1(unsigned code)
{
    unsigned magnitude = code & 7;
    float v = magnitude < 2 ? 0.5f * (float)magnitude
                            : __uint_as_float(((magnitude >> 1) + 126) << 23 | (magnitude & 1) << 22);
    return code & 8 ? -v : v;
}

/* e4m3 without NaN: 0x7f is 480. */
__device__ __forceinline__ float em_e4m3(unsigned code)
{
    unsigned exponent = code >> 3 & 15, mantissa = code & 7;
    float v = exponent ? __uint_as_float((exponent + 120) << 23 | mantissa << 20) : (float)mantissa * 0x1p-9f;
    return code & 0x80 ? -v : v;
}

/* 2^(byte - 127), subnormal for 0. */
__device__ __forceinline__ float em_e8m0(unsigned byte)
{
    return __uint_as_float(byte ? byte << 23 : 0x400000u);
}

/* `bits` bits from bit `at` on of a row of words: what spans two of them too. */
__device__ __forceinline__ unsigned em_code(const uint32_t *words, int64_t at, int bits)
{
    const uint32_t *word = words + (at >> 5);
    int low = (int)(at & 31);
    unsigned code = *word >> low;
    if (low + bits > 32)
        code |= word[1] << (32 - low);
    return code & ((1u << bits) - 1);
}

#endif
