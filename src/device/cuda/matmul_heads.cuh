/*
 * What follows the sums of matmul_kernel.cuh where they are heads of queries, keys or values: see em__matmul_heads.
 *
 * A tile holds whole heads, and a thread both halves of its pairs: of two rows, columns 8 j + 2 t and the next one of
 * each eight, t being its place among four lanes, which have a row's head together.
 */
#ifndef EM_DEVICE_CUDA_MATMUL_HEADS_CUH
#define EM_DEVICE_CUDA_MATMUL_HEADS_CUH

#include "device/cuda/matmul_ends.cuh"

/* A thread's rows, and where its head of the first goes. */
typedef struct head_place {
    int row[2];
    bool there[2];
    __nv_bfloat16 *out[2];
} head_place;

__device__ __forceinline__ head_place head_place_of(const arguments &a, const place &p, int column)
{
    const auto &to = a.heads.of[p.matrix];
    const int slot = to.slot ? max(0, min(*to.slot, to.last_slot)) : 0, t = threadIdx.x % 4;
    head_place at;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = p.row + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + 8 * r;
        at.there[r] = row < a.m && column < a.of[p.matrix].n;
        at.row[r] = min(row, a.m - 1);
        at.out[r] =
            (__nv_bfloat16 *)to.out + column / a.heads.size * to.head + (int64_t)(slot + row) * to.token + 2 * t;
    }
    return at;
}

/* Elements FIRST .. of the sums are a head. */
template <int HEAD, int FIRST, int TOTAL>
__device__ __forceinline__ void norm_head(float (&v)[TOTAL], const float *gain, float eps)
{
    float sum[2] = {0, 0}, scale[2];
#pragma unroll
    for (int i = 0; i < HEAD / 2; i++)
        sum[i / 2 % 2] += v[FIRST + i] * v[FIRST + i];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(~0u, sum[r], 1);
        sum[r] += __shfl_xor_sync(~0u, sum[r], 2);
        scale[r] = 1 / sqrtf(sum[r] / HEAD + eps);
    }
#pragma unroll
    for (int j = 0; j < HEAD / 8; j++) {
        const float2 by = *(const float2 *)(gain + 8 * j + threadIdx.x % 4 * 2);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float *x = v + FIRST + 4 * j + 2 * r;
            x[0] = x[0] * scale[r] * by.x;
            x[1] = x[1] * scale[r] * by.y;
        }
    }
}

/* Elements p and p + HEAD / 2 turn by the row's angle p. */
template <int HEAD, int FIRST, int TOTAL>
__device__ __forceinline__ void turn_head(float (&v)[TOTAL], const float2 *turns, const head_place &at)
{
    enum { FAR = HEAD / 4 };
#pragma unroll
    for (int j = 0; j < HEAD / 16; j++) {
        asm volatile("" ::: "memory"); /* few loads at a time: the sums leave few registers */
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float4 by = *(const float4 *)(turns + at.row[r] * (HEAD / 2) + 8 * j + threadIdx.x % 4 * 2);
            float *x = v + FIRST + 4 * j + 2 * r;
            const float a0 = x[0], a1 = x[1], b0 = x[FAR], b1 = x[FAR + 1];
            x[0] = a0 * by.x - b0 * by.y;
            x[1] = a1 * by.z - b1 * by.w;
            x[FAR] = b0 * by.x + a0 * by.y;
            x[FAR + 1] = b1 * by.z + a1 * by.w;
        }
    }
}

template <int HEAD, int FIRST, int TOTAL>
__device__ __forceinline__ void finish_head(const arguments &a, const place &p, float (&v)[TOTAL])
{
    const auto &to = a.heads.of[p.matrix];
    const head_place at = head_place_of(a, p, p.column + FIRST * 2);
    if (to.gain)
        norm_head<HEAD, FIRST>(v, to.gain, to.eps);
    if (to.turned)
        turn_head<HEAD, FIRST>(v, a.heads.turns, at);
#pragma unroll
    for (int j = 0; j < HEAD / 8; j += 2)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float *x = v + FIRST + 4 * j + 2 * r;
            typedef two<__nv_bfloat16> halves;
            const uint2 four = em_wgmma_four(halves::narrow(x[0], x[1]), halves::narrow(x[4], x[5]));
            if (at.there[r])
                *(uint2 *)(at.out[r] + 8 * j + em_wgmma_on()) = four;
        }
}

/* All heads of the tile. */
template <typename SHAPE, int HEAD, int FIRST = 0>
__device__ __forceinline__ void finish_heads(const arguments &a, const place &p, float (&sums)[SHAPE::COLUMNS / 2])
{
    finish_head<HEAD, FIRST>(a, p, sums);
    if constexpr (FIRST + HEAD / 2 < SHAPE::COLUMNS / 2)
        finish_heads<SHAPE, HEAD, FIRST + HEAD / 2>(a, p, sums);
}

#endif
