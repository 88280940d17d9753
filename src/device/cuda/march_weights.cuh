/*
 * Kinds of weights of a march: how a tile of them is fetched, how x is laid out for it, its product. This one: bf16.
 *
 * A stage is eight rows by DEPTH columns, of which each warp multiplies COLUMNS. mma.m16n8k16 multiplies 16 rows of A
 * by 8 columns of B: B's columns are the rows of weights, A's first three rows are x in three parts of bf16 whose sum
 * is the float, so that every product is exact, and sums are of f32; where x is not finite the sum is NaN. The order of
 * k within a step is free, as long as it is that of both. Rows lie padded, so that lanes meet in no bank.
 *
 * x lies in blocks of 32 columns: [block][part][32], in the order in which lanes want it.
 */
#ifndef EM_DEVICE_CUDA_MARCH_WEIGHTS_CUH
#define EM_DEVICE_CUDA_MARCH_WEIGHTS_CUH

#include "device/cuda/gemv_kernel.cuh"
#include "device/cuda/march_memory.cuh"
#include "device/cuda/wgmma.cuh"

/* sum[0], sum[1] += A's row of the lane's part of x by B's columns 2 (lane % 4), + 1. */
__device__ __forceinline__ void em_march_multiply(float (&sum)[2], uint32_t a0, uint32_t a2, uint32_t b0, uint32_t b1)
{
    float none[2] = {0, 0};
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(none[0]), "+f"(none[1])
        : "r"(a0), "r"(0), "r"(a2), "r"(0), "r"(b0), "r"(b1));
}

struct em_march_bf16 {
    static constexpr int ROWS = 8, DEPTH = 1024;                                  /* of a stage */
    static constexpr int COLUMNS = DEPTH / EM_MARCH_WARPS, BLOCKS = COLUMNS / 32; /* of a warp */
    static constexpr int PARTS = 3;
    static constexpr int BLOCK = 32 * PARTS * 2; /* bytes, as are the next */
    static constexpr int ROW = DEPTH * 2 + 64, SLOT = ROWS * ROW;
    static constexpr int FEWEST = 4; /* slots */

    /* Whether weights lie as they are fetched, and groups of rows in one matrix. */
    static bool takes(const em__gemv *g)
    {
        uintptr_t all = (uintptr_t)g->gain | (uintptr_t)g->x;
        int rows = 0;
        for (int i = 0; i < EM_GEMV_MATRICES; i++) {
            all |= (uintptr_t)g->weight[i];
            rows |= g->end[i] < em_gemv_rows(*g) ? g->end[i] : 0;
        }
        return all % 16 == 0 && rows % ROWS == 0 && (!g->pair || g->end[0] % ROWS == 0) && g->depth % COLUMNS == 0;
    }

    /* Rows of a block are a multiple of it. */
    static int unit(const em__gemv *g)
    {
        return g->pair ? 2 * ROWS : ROWS;
    }

    /* Bytes of x as it is staged. */
    static size_t staged(const em__gemv *g)
    {
        return (size_t)g->depth / 32 * BLOCK;
    }

    /* Bytes of the smallest ring for it. */
    static size_t least(const em__gemv *)
    {
        return FEWEST * SLOT;
    }

    static void set_ring(em__march *m, size_t bytes)
    {
        m->slots = bytes / SLOT < EM_MARCH_SLOTS ? (int)(bytes / SLOT) : EM_MARCH_SLOTS;
        m->ring = m->slots * SLOT;
    }

    /* Lanes 0 .. 7 fetch a row each. */
    static __device__ __forceinline__ void fetch(const em__gemv &g, char *slot, em_gemv_place at, int column,
                                                 int columns, uint64_t *barrier, int lane)
    {
        if (lane < ROWS && at.first + lane < at.end)
            em_bulk_load(slot + lane * ROW, g.weight[at.matrix] + ((int64_t)(at.first + lane) * g.depth + column) * 2,
                         columns * 2, barrier);
    }

    /* The fetching warp's place. */
    typedef em_march_slots fetcher;

    static __device__ __forceinline__ fetcher begin(const em__march &m)
    {
        return {m.slots, 0, 0};
    }

    /* All stages of a tile, by a warp. */
    static __device__ __forceinline__ void fetch_tile(const em__march &, const em__gemv &g, const em_march_tile &t,
                                                      em_march_memory &memory, char *ring, fetcher &at, int lane)
    {
#pragma unroll 1
        for (int row = 0, column = 0; row < t.rows;) {
            const em_gemv_place from = em_gemv_find<ROWS>(g, t.first, row / ROWS);
            const int columns = min(DEPTH, g.depth - column);
            em_barrier_wait(&memory.empty[at.slot], at.phase ^ 1);
            if (lane == 0)
                em_barrier_expect(&memory.full[at.slot], min(ROWS, from.end - from.first) * columns * 2);
            __syncwarp();
            fetch(g, ring + at.slot * SLOT, from, column, columns, &memory.full[at.slot], lane);
            at.step();
            column += DEPTH;
            if (column >= g.depth) {
                column = 0;
                row += ROWS;
            }
        }
    }

    /* x[k], x[k + 1] to their places, in parts. */
    static __device__ __forceinline__ void put(char *staged, int, int k, float2 x)
    {
        char *const block = staged + k / 32 * BLOCK;
#pragma unroll
        for (int part = 0; part < PARTS; part++) {
            const __nv_bfloat162 rounded = __float22bfloat162_rn(x);
            *(__nv_bfloat162 *)(block + part * 64 + (k & 31) * 2) = rounded;
            const float2 back = __bfloat1622float2(rounded);
            x = make_float2(x.x - back.x, x.y - back.y);
        }
    }

    /* The lane's x of a block. */
    static __device__ __forceinline__ uint4 take(const char *staged, int block, int lane)
    {
        const int part = lane >> 2;
        return part < PARTS ? *(const uint4 *)(staged + block * BLOCK + part * 64 + (lane & 3) * 16)
                            : make_uint4(0, 0, 0, 0);
    }

    /* A warp's columns of a stage. */
    static __device__ __forceinline__ void multiply(const char *slot, const char *x, int warp, int lane,
                                                    float (&sum)[4][2])
    {
        const char *row = slot + (lane >> 2) * ROW + warp * COLUMNS * 2 + (lane & 3) * 16;
        uint4 w[BLOCKS], its[BLOCKS];
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            w[b] = *(const uint4 *)(row + b * 64);
            its[b] = take(x, b, lane);
        }
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            em_march_multiply(sum[b % 2 * 2], its[b].x, its[b].y, w[b].x, w[b].y);
            em_march_multiply(sum[b % 2 * 2 + 1], its[b].z, its[b].w, w[b].z, w[b].w);
        }
    }

    /* Where a row of the result stands in the table; `second`: its other half, of a pair of n rows. */
    static __device__ __forceinline__ int entry(const em__gemv &g, int row, int, bool second)
    {
        return g.pair ? row + (row & ~(ROWS - 1)) + (second ? ROWS : 0) : row;
    }

    /* Where the table has a warp's sum of a row. */
    static __device__ __forceinline__ int at_table(int row, int warp)
    {
        return (row / ROWS * EM_MARCH_WARPS + warp) * ROWS + row % ROWS;
    }

    /* The block's warps multiply a tile, each its columns; their sums go to the table. */
    static __device__ __forceinline__ void multiply_tile(const em__gemv &g, const em_march_tile &t,
                                                         em_march_memory &memory, const char *ring, em_march_slots &at,
                                                         int warp, int lane)
    {
#pragma unroll 1
        for (int row = 0; row < t.rows; row += ROWS) {
            float sum[4][2] = {};
#pragma unroll 1
            for (int column = warp * COLUMNS; column - warp * COLUMNS < g.depth; column += DEPTH) {
                em_barrier_wait(&memory.full[at.slot], at.phase);
                if (column < g.depth)
                    multiply(ring + at.slot * SLOT, memory.room + column / 32 * BLOCK, warp, lane, sum);
                __syncwarp();
                if (lane == 0)
                    em_barrier_arrive(&memory.empty[at.slot]);
                at.step();
            }
            /* parts of x are four lanes apart */
            float2 v = make_float2((sum[0][0] + sum[1][0]) + (sum[2][0] + sum[3][0]),
                                   (sum[0][1] + sum[1][1]) + (sum[2][1] + sum[3][1]));
            v.x += __shfl_xor_sync(~0u, v.x, 4);
            v.y += __shfl_xor_sync(~0u, v.y, 4);
            v.x += __shfl_xor_sync(~0u, v.x, 8);
            v.y += __shfl_xor_sync(~0u, v.y, 8);
            if (lane < 4)
                *(float2 *)&memory.table[at_table(row, warp) + 2 * lane] = v;
        }
    }
};

#endif
