/*
 * The kernel of gemv_few.cuh, over a kind of weights (gemv_few_kinds.cuh).
 *
 * Blocks stay, and have neighbouring tiles of 16 rows of weights each. A warp has a piece of the depth. It cuts x of
 * it, all rows, into what the matrix units want, once, and keeps that in registers: columns of B are rows of x, a
 * product for each part that a number is cut into. Then it goes through the block's tiles, which run ahead in a ring in
 * shared memory that no other warp touches.
 *
 * Sums go to a table [warp][tile][row][row of x] in shared memory, of a batch of tiles, which the block adds up in
 * order of warps while its table of the next batch fills. Long depths are divided among the blocks of a cluster, which
 * read each other's sums, in order. A row of the result does not depend on what other rows x has.
 */
#ifndef EM_DEVICE_CUDA_GEMV_FEW_KERNEL_CUH
#define EM_DEVICE_CUDA_GEMV_FEW_KERNEL_CUH

#include <cooperative_groups.h>

#include "device/cuda/gemv_ends.cuh"
#include "device/cuda/gemv_few_kinds.cuh"
#include "device/cuda/reals.cuh"

namespace em_few
{

namespace cg = cooperative_groups;

enum {
    WARPS = 20, /* at most */
    STAGES = 4, /* of a warp's ring */
    ENTRIES = TILE * ROWS,
    FOURS = ENTRIES / 4, /* a lane's */
};

template <typename C> __device__ __forceinline__ void put(float *table, const float (&acc)[4], const C &c, int lane)
{
#pragma unroll
    for (int half = 0; half < 2; half++)
        *(float2 *)(table + (half * 8 + lane / 4) * ROWS + lane % 4 * 2) =
            make_float2(acc[2 * half] * c.unit(0), acc[2 * half + 1] * c.unit(1));
}

/* Four sums of a tile, of neighbours in the table. */
__device__ __forceinline__ void give(const arguments &a, int tile, int four, float4 v)
{
    const place at = find(a, tile);
    const int row = at.row + four / (ROWS / 4), m = four % (ROWS / 4) * 4, column = a.column[at.matrix] + row;
    if (row >= a.rows[at.matrix])
        return;
    const float bias = a.bias ? a.bias[column] : 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int64_t to = (int64_t)(m + i) * a.width[at.matrix] + column;
        if (m + i >= a.m)
            return;
        float sum = (&v.x)[i] + bias;
        if (a.activation != EM__OP_COPY)
            sum = em_gemv_activate((em__op)a.activation, sum);
        if (a.residual)
            sum += a.residual[to];
        em_store_as((em_dtype)a.out_dtype, a.out[at.matrix], to, sum);
    }
}

/* What a warp has under way. */
template <typename K> struct walk {
    int piece, next, end, slot; /* the tile to ask for, behind the last one; the stage to read */
    unsigned ring;

    __device__ __forceinline__ void ask(const arguments &a, int lane, int to)
    {
        if (next < end)
            K::fetch(a, next++, piece, lane, ring + (unsigned)to * K::STAGE);
        asm volatile("cp.async.commit_group;" ::: "memory");
    }

    /* The next tile has come; the stage of the one before takes what comes last. */
    __device__ __forceinline__ int step(const arguments &a, int lane)
    {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        __syncwarp();
        const int now = slot;
        ask(a, lane, now ? now - 1 : STAGES - 1);
        slot = now + 1 == STAGES ? 0 : now + 1;
        return now;
    }
};

__device__ __forceinline__ void add(float4 &to, float4 v)
{
    to = make_float4(to.x + v.x, to.y + v.y, to.z + v.z, to.w + v.w);
}

/* The blocks of a cluster that divide the depth, and which this one is. */
struct team {
    int parts, rank;
};

template <bool DIVIDED> __device__ __forceinline__ team find_team()
{
#if __CUDA_ARCH__ >= 900
    if constexpr (DIVIDED)
        return {(int)cg::this_cluster().num_blocks(), (int)cg::this_cluster().block_rank()};
#endif
    return {1, 0};
}

template <bool DIVIDED> __device__ __forceinline__ void sync_team()
{
#if __CUDA_ARCH__ >= 900
    if constexpr (DIVIDED)
        cg::this_cluster().sync();
#endif
}

__device__ __forceinline__ float4 read_sum(float4 *sums, int part)
{
#if __CUDA_ARCH__ >= 900
    return *cg::this_cluster().map_shared_rank(sums, part);
#else
    return *sums;
#endif
}

/* The team's sums of n tiles from `tile` on, of which each block has its own. */
__device__ __forceinline__ void join(const arguments &a, team t, float4 *sums, int tile, int n)
{
    sync_team<true>();
    for (int i = threadIdx.x * t.parts + t.rank; i < n * FOURS; i += blockDim.x * t.parts) {
        float4 sum = read_sum(&sums[i], 0);
        for (int part = 1; part < t.parts; part++)
            add(sum, read_sum(&sums[i], part));
        give(a, tile + i / FOURS, i % FOURS, sum);
    }
}

/* The block's sums of n tiles from `tile` on, by `live` warps, whose tables lie `step` apart: a warp a tile, in turn,
 * so that the others go on. */
template <bool DIVIDED>
__device__ __forceinline__ void end_batch(const arguments &a, team t, const float4 *table, int step, int live, int tile,
                                          int n, float4 *sums)
{
    const int warps = blockDim.x >> 5, lane = threadIdx.x & 31;
    __syncthreads();
    for (int i = ((threadIdx.x >> 5) + tile) % warps; i < n; i += warps) {
        float4 sum = table[i * FOURS + lane];
#pragma unroll 4
        for (int w = 1; w < live; w++)
            add(sum, table[w * step + i * FOURS + lane]);
        if constexpr (DIVIDED)
            sums[i * FOURS + lane] = sum;
        else
            give(a, tile + i, lane, sum);
    }
    if constexpr (DIVIDED)
        join(a, t, sums, tile, n);
}

/* DIVIDED: the depth, among the blocks of a cluster. */
template <typename K, bool DIVIDED>
__global__ void __launch_bounds__(WARPS * 32, 1) few(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(16) char shared[];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    const team t = find_team<DIVIDED>();
    const int64_t all = a.end[EM_GEMV_MATRICES - 1];
    const int units = (int)gridDim.x / t.parts, unit = (int)blockIdx.x / t.parts;
    const int first = (int)(all * unit / units), end = (int)(all * (unit + 1) / units);
    const int live = min(warps, a.depth / K::COLUMNS - t.rank * a.pieces), step = a.batch * ENTRIES;
    const char *const mine = shared + warp * (STAGES * K::STAGE);
    float *const tables = (float *)(shared + warps * (STAGES * K::STAGE)), *const sums = tables + 2 * warps * step;
    walk<K> w = {t.rank * a.pieces + warp, first, warp < live ? end : first, 0,
                 (unsigned)__cvta_generic_to_shared(mine)};
    typename K::cut c;
    em_grid_next();
    if (!a.constant)
        em_grid_wait();
#pragma unroll 1
    for (int i = 0; i + 1 < STAGES; i++)
        w.ask(a, lane, i);
    if (a.constant)
        em_grid_wait();
    if (warp < live)
        K::cut_rows(a, w.piece, lane, c);
    int parity = 0;
#pragma unroll 1
    for (int tile = first; tile < end; tile += a.batch, parity ^= 1) {
        const int n = min(a.batch, end - tile);
        float *const table = tables + parity * warps * step;
#pragma unroll 1
        for (int i = 0; warp < live && i < n; i++) {
            typename K::share s;
            float acc[4] = {0, 0, 0, 0};
            K::read(mine + w.step(a, lane) * K::STAGE, lane, s);
            K::multiply(s, c, acc);
            put(table + warp * step + i * ENTRIES, acc, c, lane);
        }
        end_batch<DIVIDED>(a, t, (const float4 *)table, step / 4, live, tile, n, (float4 *)(sums + parity * step));
    }
    sync_team<DIVIDED>(); /* its memory is read no more */
}

} // namespace em_few

#endif
