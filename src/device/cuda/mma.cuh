/*
 * Products of one warp on the matrix units, 16 x 16 by 16 x 8, with operands that come straight from memory.
 *
 * Lane 4 g + c has, of a left operand, rows g and g + 8; of a right one, column g. Which of the depth it has is free as
 * long as both operands agree: here a lane has elements 8 c .. 8 c + 7 of every 32, 16 bytes of halves, which serve two
 * products: the first four elements, then the others. Of a result it has columns 2 c and 2 c + 1 of rows g and g + 8.
 */
#ifndef EM_DEVICE_CUDA_MMA_CUH
#define EM_DEVICE_CUDA_MMA_CUH

#include "device/cuda/common.cuh"

/* Two neighbours as halves, the first in the lower bits. */
template <typename T> __device__ __forceinline__ uint32_t em_pair(float x, float y)
{
    if constexpr (__is_same(T, __half)) {
        const __half2 p = __floats2half2_rn(x, y);
        return *(const uint32_t *)&p;
    } else {
        const __nv_bfloat162 p = __floats2bfloat162_rn(x, y);
        return *(const uint32_t *)&p;
    }
}

/* c += a b. */
template <typename T>
__device__ __forceinline__ void em_mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    if constexpr (__is_same(T, __half))
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* What a lane has of 32 of depth: of rows g and g + 8 of the left operand, of column g of the right one. */
struct em_mma_rows {
    uint4 low, high;
};

/* c += a b over 32 of depth. */
template <typename T> __device__ __forceinline__ void em_mma_32(float (&c)[4], const em_mma_rows &a, const uint4 &b)
{
    const uint32_t first[4] = {a.low.x, a.high.x, a.low.y, a.high.y}, next[4] = {a.low.z, a.high.z, a.low.w, a.high.w};
    em_mma<T>(c, first, b.x, b.y);
    em_mma<T>(c, next, b.z, b.w);
}

/* BYTES (8 or 16) from p on, or zeros; without a branch, so that many are under way at once. */
template <int BYTES> __device__ __forceinline__ uint4 em_fetch(const void *p, bool on)
{
    uint4 x;
    if constexpr (BYTES == 16)
        asm volatile("{.reg .pred p;\n\tsetp.ne.s32 p, %5, 0;\n\tmov.b32 %0, 0;\n\tmov.b32 %1, 0;\n\t"
                     "mov.b32 %2, 0;\n\tmov.b32 %3, 0;\n\t@p ld.global.v4.u32 {%0, %1, %2, %3}, [%4];}"
                     : "=&r"(x.x), "=&r"(x.y), "=&r"(x.z), "=&r"(x.w)
                     : "l"(p), "r"((int)on)
                     : "memory");
    else {
        asm volatile("{.reg .pred p;\n\tsetp.ne.s32 p, %3, 0;\n\tmov.b32 %0, 0;\n\tmov.b32 %1, 0;\n\t"
                     "@p ld.global.v2.u32 {%0, %1}, [%2];}"
                     : "=&r"(x.x), "=&r"(x.y)
                     : "l"(p), "r"((int)on)
                     : "memory");
        x.z = x.w = 0;
    }
    return x;
}

#endif
