/*
 * Weights of a march, bf16: how a stage of them is fetched, how x is laid out for it, its product on tensor cores.
 *
 * A stage is eight rows by EM_MARCH_DEPTH columns, of which each warp multiplies EM_MARCH_COLUMNS. mma.m16n8k16
 * multiplies 16 rows of A by 8 columns of B: B's columns are the rows of weights, A's first three rows are x in three
 * parts of bf16 whose sum is the float, so that every product is exact, and sums are of f32; where x is not finite the
 * sum is NaN. The order of k within a step is free, as long as it is that of both. Rows lie padded, so that lanes meet
 * in no bank.
 *
 * x lies in blocks of 32 columns: [block][part][32], in the order in which lanes want it.
 */
#ifndef EM_DEVICE_CUDA_MARCH_WEIGHTS_CUH
#define EM_DEVICE_CUDA_MARCH_WEIGHTS_CUH

#include "device/cuda/gemv_kernel.cuh"
#include "device/cuda/wgmma.cuh"

enum {
    EM_MARCH_ROWS = 8,
    EM_MARCH_DEPTH = 1024,
    EM_MARCH_COLUMNS = EM_MARCH_DEPTH / EM_MARCH_WARPS,
    EM_MARCH_BLOCKS = EM_MARCH_COLUMNS / 32, /* of a warp */
    EM_MARCH_PARTS = 3,
    EM_MARCH_BLOCK = 32 * EM_MARCH_PARTS * 2, /* bytes, as are the next */
    EM_MARCH_ROW = EM_MARCH_DEPTH * 2 + 64,
    EM_MARCH_SLOT = EM_MARCH_ROWS * EM_MARCH_ROW,
};

/* A run of bytes to shared memory, by the copy engine; the barrier counts them. */
__device__ __forceinline__ void em_march_copy(void *to, const char *from, int bytes, uint64_t *barrier)
{
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(em_shared(to)),
        "l"(from), "r"(bytes), "r"(em_shared(barrier))
        : "memory");
}

/* sum[0], sum[1] += A's row of the lane's part of x by B's columns 2 (lane % 4), + 1. */
__device__ __forceinline__ void em_march_multiply(float (&sum)[2], uint32_t a0, uint32_t a2, uint32_t b0, uint32_t b1)
{
    float none[2] = {0, 0};
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(none[0]), "+f"(none[1])
        : "r"(a0), "r"(0), "r"(a2), "r"(0), "r"(b0), "r"(b1));
}

/* The lane's x of a block. */
__device__ __forceinline__ uint4 em_march_x(const char *staged, int block, int lane)
{
    const int part = lane >> 2;
    return part < EM_MARCH_PARTS ? *(const uint4 *)(staged + block * EM_MARCH_BLOCK + part * 64 + (lane & 3) * 16)
                                 : make_uint4(0, 0, 0, 0);
}

/* Bytes of so many rows and columns. */
__device__ __forceinline__ int em_march_bytes(int rows, int columns)
{
    return rows * columns * 2;
}

/* Lanes 0 .. 7 fetch a row each. */
__device__ __forceinline__ void em_march_fetch(const em__gemv &g, char *slot, em_gemv_place at, int column, int columns,
                                               uint64_t *barrier, int lane)
{
    if (lane < EM_MARCH_ROWS && at.first + lane < at.end)
        em_march_copy(slot + lane * EM_MARCH_ROW,
                      g.weight[at.matrix] + ((int64_t)(at.first + lane) * g.depth + column) * 2, columns * 2, barrier);
}

/* A warp's columns of a stage. */
__device__ __forceinline__ void em_march_stage_product(const char *slot, const char *x, int warp, int lane,
                                                       float (&sum)[4][2])
{
    const char *row = slot + (lane >> 2) * EM_MARCH_ROW + warp * EM_MARCH_COLUMNS * 2 + (lane & 3) * 16;
    uint4 w[EM_MARCH_BLOCKS], its[EM_MARCH_BLOCKS];
#pragma unroll
    for (int b = 0; b < EM_MARCH_BLOCKS; b++) {
        w[b] = *(const uint4 *)(row + b * 64);
        its[b] = em_march_x(x, b, lane);
    }
#pragma unroll
    for (int b = 0; b < EM_MARCH_BLOCKS; b++) {
        em_march_multiply(sum[b % 2 * 2], its[b].x, its[b].y, w[b].x, w[b].y);
        em_march_multiply(sum[b % 2 * 2 + 1], its[b].z, its[b].w, w[b].z, w[b].w);
    }
}

/* x[k], x[k + 1] to their places, in parts. */
__device__ __forceinline__ void em_march_put(char *staged, int k, float2 x)
{
    char *const block = staged + k / 32 * EM_MARCH_BLOCK;
#pragma unroll
    for (int part = 0; part < EM_MARCH_PARTS; part++) {
        const __nv_bfloat162 rounded = __float22bfloat162_rn(x);
        *(__nv_bfloat162 *)(block + part * 64 + (k & 31) * 2) = rounded;
        const float2 back = __bfloat1622float2(rounded);
        x = make_float2(x.x - back.x, x.y - back.y);
    }
}

#endif
