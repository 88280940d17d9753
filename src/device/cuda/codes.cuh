/* What 4-bit codes stand for, as bf16. For chips of 9.0 on. */
#ifndef EM_DEVICE_CUDA_CODES_CUH
#define EM_DEVICE_CUDA_CODES_CUH

#include "device/cuda/common.cuh"

enum { EM_CODES_MATRICES = 3 };

/* A weight of affine codes, row-major, scales and biases of bf16, as a whole. */
typedef struct em_codes_matrix {
    const uint32_t *codes;
    const __nv_bfloat16 *scales, *biases;
    int64_t words; /* of eight codes */
    int shift;     /* log2 of a group */
    uint4 *to;
} em_codes_matrix;

/* Of up to three weights at once: code * scale + bias, rounded once. */
em_status em_codes_widen(em__cuda *cuda, const em_codes_matrix *matrices, int n);

__device__ __forceinline__ uint32_t em_as_word(__nv_bfloat162 x)
{
    return *(const uint32_t *)&x;
}

/* The eight of a word. In the mantissa of 128 a code is 128 + code. */
__device__ __forceinline__ uint4 em_codes_eight(uint32_t codes, __nv_bfloat162 scale, __nv_bfloat162 bias)
{
    const uint32_t base = 0x43004300;
    uint32_t v[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t both = (codes >> 4 * i & 0x000f000f) | base;
        v[i] =
            em_as_word(__hfma2(__hsub2(*(const __nv_bfloat162 *)&both, *(const __nv_bfloat162 *)&base), scale, bias));
    }
    return {__byte_perm(v[0], v[1], 0x5410), __byte_perm(v[2], v[3], 0x5410), __byte_perm(v[0], v[1], 0x7632),
            __byte_perm(v[2], v[3], 0x7632)};
}

#endif
