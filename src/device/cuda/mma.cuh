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

/* f32 goes through as three bf16 that add up to it: of nine products those six count that are not below f32's own last
 * bit. */
template <typename T> struct em_mma_traits {
    typedef T half;
    enum { PARTS = 1, FETCHES = 1 }; /* halves of an element; 16 bytes of eight of them */
};
template <> struct em_mma_traits<float> {
    typedef __nv_bfloat16 half;
    enum { PARTS = 3, FETCHES = 2 };
};

/* Eight elements as they lie. */
template <typename T> struct em_lane_eight {
    uint4 x[em_mma_traits<T>::FETCHES];
    __device__ __forceinline__ float at(int i) const
    {
        return (float)((const T *)x)[i];
    }
};

/* WIDE: p is at a multiple of 16 bytes. */
template <bool WIDE, typename T> __device__ __forceinline__ em_lane_eight<T> em_lane_fetch(const T *p, bool on)
{
    em_lane_eight<T> e;
#pragma unroll
    for (int i = 0; i < em_mma_traits<T>::FETCHES && WIDE; i++)
        e.x[i] = em_fetch<16>((const char *)p + 16 * i, on);
    for (int i = 0; i < 8 && !WIDE; i++)
        ((T *)e.x)[i] = on ? p[i] : (T)0.0f;
    return e;
}

/* Eight elements as the matrix units take them. */
template <typename T> struct em_lane_operand {
    uint4 part[em_mma_traits<T>::PARTS];
};

__device__ __forceinline__ uint32_t em_upper_halves(float x, float y)
{
    return __byte_perm(__float_as_uint(x), __float_as_uint(y), 0x7632);
}

/* Two neighbours as the next PARTS pairs of bf16 that add up to them. Upper bits leave a rest of the same sign; NEAR
 * rounds, so that what products of parts leave out vanishes on average, but the very greatest become infinities. */
template <int PARTS, bool NEAR> __device__ __forceinline__ void em_cut_pair(float a, float b, uint32_t *part, int apart)
{
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        const uint32_t word = NEAR ? em_pair<__nv_bfloat16>(a, b) : em_upper_halves(a, b);
        part[p * apart] = word;
        a -= __uint_as_float(word << 16);
        b -= __uint_as_float(word & 0xffff0000u);
    }
}

template <typename T, bool NEAR = false>
__device__ __forceinline__ em_lane_operand<T> em_lane_operand_of(const float (&x)[8])
{
    em_lane_operand<T> o;
    uint32_t *words = (uint32_t *)o.part;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if constexpr (em_mma_traits<T>::PARTS == 1)
            words[i] = em_pair<T>(x[2 * i], x[2 * i + 1]);
        else
            em_cut_pair<em_mma_traits<T>::PARTS, NEAR>(x[2 * i], x[2 * i + 1], words + i, 4);
    }
    return o;
}

template <typename T, bool NEAR = false>
__device__ __forceinline__ em_lane_operand<T> em_lane_operand_of(const em_lane_eight<T> &e)
{
    em_lane_operand<T> o;
    if constexpr (em_mma_traits<T>::PARTS == 1) {
        o.part[0] = e.x[0];
    } else {
        float x[8];
#pragma unroll
        for (int i = 0; i < 8; i++)
            x[i] = e.at(i);
        o = em_lane_operand_of<T, NEAR>(x);
    }
    return o;
}

/* Sums += rows times columns; smallest products first. */
template <typename T>
__device__ __forceinline__ void em_lane_multiply(float (&sums)[4], const em_lane_operand<T> &low,
                                                 const em_lane_operand<T> &high, const em_lane_operand<T> &w)
{
    constexpr int LAST = em_mma_traits<T>::PARTS - 1;
#pragma unroll
    for (int sum = LAST; sum >= 0; sum--)
#pragma unroll
        for (int q = LAST; q >= 0; q--)
            if (sum - q >= 0)
                em_mma_32<typename em_mma_traits<T>::half>(sums, {low.part[sum - q], high.part[sum - q]}, w.part[q]);
}

#endif
