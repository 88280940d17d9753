/*
 * The kernel of gemv_codes.cuh.
 *
 * Blocks stay, and have neighbouring tiles of 16 rows of weights each. A warp has two groups of the depth. It cuts x of
 * them, all rows, into digits once and keeps these in registers, where the matrix units want them: columns of B are
 * rows of x, a product for each digit. Then it goes through the block's tiles, whose codes, scales and biases run ahead
 * in a ring in shared memory that no other warp touches. A row's unit is that of the warp's 128 columns. Sums are
 * exact, below 2^22, become floats by lying down in the mantissa of 1.5 * 2^23, and meet scales there; biases meet the
 * groups' sums of x. x is off by 2^-26 of the largest of its 128, at most; where x is not finite the sum is NaN.
 *
 * Sums go to a table [warp][tile][row][row of x] in shared memory, of a batch of tiles, which the block adds up in
 * order of warps while its table of the next batch fills. Long depths are divided among the blocks of a cluster, which
 * read each other's sums, in order. A row of the result does not depend on what other rows x has.
 */
#ifndef EM_DEVICE_CUDA_GEMV_CODES_KERNEL_CUH
#define EM_DEVICE_CUDA_GEMV_CODES_KERNEL_CUH

#include <cooperative_groups.h>

#include "device/cuda/digits.cuh"
#include "device/cuda/gemv.cuh"

namespace em_few
{

namespace cg = cooperative_groups;

enum {
    TILE = 16,           /* rows of weights */
    ROWS = EM_GEMV_MOST, /* of x */
    ENTRIES = TILE * ROWS,
    FOURS = ENTRIES / 4, /* a lane's */
    GROUP = 64,
    GROUPS = 2, /* of a warp */
    COLUMNS = GROUP * GROUPS,
    LINE = COLUMNS / 2, /* bytes of a row's codes */
    WARPS = 20,         /* at most */
    STAGES = 4,         /* of a warp's ring */
    STAGE = TILE * (LINE + 2 * GROUPS * 2),
};

struct arguments {
    const char *codes[EM_GEMV_MATRICES], *scales[EM_GEMV_MATRICES], *biases[EM_GEMV_MATRICES];
    void *out[EM_GEMV_MATRICES];
    int rows[EM_GEMV_MATRICES], end[EM_GEMV_MATRICES]; /* tiles of this matrix and those before it */
    const float *x, *residual;                         /* residual: of one matrix; NULL: none */
    int m, depth;
    int pairs; /* of groups, of a block: its warps */
    int batch; /* tiles of a table */
    uint8_t out_dtype;
    bool constant;
};

/* A lane's columns of the warp's x, cut: of row lane / 4 of x. */
struct cut {
    uint32_t low[GROUPS][2][EM_DIGITS], high[GROUPS][2][EM_DIGITS]; /* [group][word of codes][digit] */
    float sums[GROUPS][2], units[2];                                /* of rows 2 (lane % 4) and the next one */
};

/* A lane's share of a tile: two words of codes of each group, of rows lane / 4 and that + 8, and what they go with. */
struct share {
    uint2 codes[2][GROUPS];
    uint32_t scales[2], biases[2]; /* of both groups */
};

/* Where a tile lies. */
struct place {
    int matrix, row; /* its first */
};

__device__ __forceinline__ place find(const arguments &a, int tile)
{
    const int matrix = tile < a.end[0] ? 0 : tile < a.end[1] ? 1 : 2;
    return {matrix, (tile - (matrix ? a.end[matrix - 1] : 0)) * TILE};
}

template <int BYTES> __device__ __forceinline__ void copy(unsigned to, const char *from)
{
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(from), "n"(BYTES) : "memory");
}

/* Where 16 bytes of a row's codes lie in a stage: groups take turns in which comes first, so that lanes that read at
 * the same time meet in no bank. */
__device__ __forceinline__ int at_codes(int row, int piece)
{
    return row * LINE + (piece ^ (row >> 1 & 1) * 2) * 16;
}

/* Asks for the warp's columns of a tile; rows behind the last one are the last one's. */
__device__ __forceinline__ void fetch(const arguments &a, int tile, int pair, int lane, unsigned stage)
{
    const place at = find(a, tile);
    const int last = a.rows[at.matrix] - 1, line = a.depth / 2, scales_line = a.depth / GROUP * 2;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int row = i * 8 + lane / 4;
        copy<16>(stage + at_codes(row, lane % 4),
                 a.codes[at.matrix] + (int64_t)min(at.row + row, last) * line + pair * LINE + lane % 4 * 16);
    }
    const char *const from = lane < TILE ? a.scales[at.matrix] : a.biases[at.matrix];
    copy<4>(stage + TILE * LINE + lane * 4, from + (int64_t)min(at.row + lane % TILE, last) * scales_line + pair * 4);
}

__device__ __forceinline__ void read(const char *stage, int lane, share &s)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = half * 8 + lane / 4;
#pragma unroll
        for (int g = 0; g < GROUPS; g++)
            s.codes[half][g] = *(const uint2 *)(stage + at_codes(row, g * 2 + lane % 4 / 2) + lane % 2 * 8);
        s.scales[half] = *(const uint32_t *)(stage + TILE * LINE + row * 4);
        s.biases[half] = *(const uint32_t *)(stage + TILE * LINE + TILE * 4 + row * 4);
    }
}

/* Cuts x: a lane has 16 neighbours of each group, what its two words of codes meet. */
__device__ __forceinline__ void cut_rows(const arguments &a, int pair, int lane, cut &c)
{
    const int row = lane / 4;
    float x[GROUPS][16], sums[GROUPS], unit;
    uint32_t most = 0;
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const float *const from = a.x + (int64_t)row * a.depth + pair * COLUMNS + g * GROUP + lane % 4 * 16;
#pragma unroll
        for (int i = 0; i < 16; i += 4)
            *(float4 *)&x[g][i] = row < a.m ? *(const float4 *)(from + i) : make_float4(0, 0, 0, 0);
    }
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        sums[g] = 0;
#pragma unroll
        for (int i = 0; i < 16; i++) {
            sums[g] += x[g][i];
            most = max(most, __float_as_uint(x[g][i]) & 0x7fffffffu);
        }
    }
#pragma unroll
    for (int reach = 1; reach < 4; reach *= 2) {
        most = max(most, __shfl_xor_sync(~0u, most, reach));
#pragma unroll
        for (int g = 0; g < GROUPS; g++)
            sums[g] += __shfl_xor_sync(~0u, sums[g], reach);
    }
    const float turn = em_digits_turn(most, unit);
#pragma unroll
    for (int g = 0; g < GROUPS; g++)
#pragma unroll
        for (int word = 0; word < 2; word++) {
            const float *const its = &x[g][word * 8];
            em_digits_of({its[0], its[2], its[4], its[6]}, turn, c.low[g][word]);
            em_digits_of({its[1], its[3], its[5], its[7]}, turn * 0.0625f, c.high[g][word]);
        }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int from = (lane % 4 * 2 + i) * 4;
        c.units[i] = __shfl_sync(~0u, unit, from);
#pragma unroll
        for (int g = 0; g < GROUPS; g++)
            c.sums[g][i] = __shfl_sync(~0u, sums[g] * turn, from);
    }
}

__device__ __forceinline__ float scale_of(uint32_t pair, int group)
{
    return __uint_as_float(group ? pair & 0xffff0000u : pair << 16);
}

/* acc += the tile's products with the warp's columns, in units. */
__device__ __forceinline__ void multiply(const share &s, const cut &c, float (&acc)[4])
{
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        int d[EM_DIGITS][4];
#pragma unroll
        for (int i = 0; i < 4 * EM_DIGITS; i++)
            d[i / 4][i % 4] = EM_DIGITS_SUM;
#pragma unroll
        for (int word = 0; word < 2; word++) {
            const uint32_t u = word ? s.codes[0][g].y : s.codes[0][g].x, v = word ? s.codes[1][g].y : s.codes[1][g].x;
            const uint32_t codes[4] = {u & EM_LOW_CODES, v & EM_LOW_CODES, u & EM_HIGH_CODES, v & EM_HIGH_CODES};
#pragma unroll
            for (int k = 0; k < EM_DIGITS; k++)
                em_multiply_codes(d[k], codes[0], codes[1], codes[2], codes[3], c.low[g][word][k], c.high[g][word][k],
                                  d[k]);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float digit[EM_DIGITS];
#pragma unroll
            for (int k = 0; k < EM_DIGITS; k++)
                digit[k] = __int_as_float(d[k][i]) - EM_DIGITS_ZERO;
            const float v = fmaf(fmaf(digit[3], 256, digit[2]), 65536, fmaf(digit[1], 256, digit[0]));
            acc[i] = fmaf(scale_of(s.scales[i / 2], g), v, acc[i]);
            acc[i] = fmaf(scale_of(s.biases[i / 2], g), c.sums[g][i % 2], acc[i]);
        }
    }
}

__device__ __forceinline__ void put(float *table, const float (&acc)[4], const float (&units)[2], int lane)
{
#pragma unroll
    for (int half = 0; half < 2; half++)
        *(float2 *)(table + (half * 8 + lane / 4) * ROWS + lane % 4 * 2) =
            make_float2(acc[2 * half] * units[0], acc[2 * half + 1] * units[1]);
}

/* Four sums of a tile, of neighbours in the table. */
__device__ __forceinline__ void give(const arguments &a, int tile, int four, float4 v)
{
    const place at = find(a, tile);
    const int row = at.row + four / (ROWS / 4), m = four % (ROWS / 4) * 4;
    if (row >= a.rows[at.matrix])
        return;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int64_t to = (int64_t)(m + i) * a.rows[at.matrix] + row;
        if (m + i >= a.m)
            return;
        if (a.residual)
            (&v.x)[i] += a.residual[to];
        if (a.out_dtype == EM_F32)
            ((float *)a.out[at.matrix])[to] = (&v.x)[i];
        else if (a.out_dtype == EM_BF16)
            ((__nv_bfloat16 *)a.out[at.matrix])[to] = __float2bfloat16_rn((&v.x)[i]);
        else
            ((__half *)a.out[at.matrix])[to] = __float2half_rn((&v.x)[i]);
    }
}

/* What a warp has under way. */
struct walk {
    int pair, next, end, slot; /* the tile to ask for, behind the last one; the stage to read */
    unsigned ring;

    __device__ __forceinline__ void ask(const arguments &a, int lane, int to)
    {
        if (next < end)
            fetch(a, next++, pair, lane, ring + (unsigned)to * STAGE);
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
template <bool DIVIDED> __global__ void __launch_bounds__(WARPS * 32, 1) few_codes(const __grid_constant__ arguments a)
{
    extern __shared__ __align__(16) char shared[];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    const team t = find_team<DIVIDED>();
    const int64_t all = a.end[EM_GEMV_MATRICES - 1];
    const int units = (int)gridDim.x / t.parts, unit = (int)blockIdx.x / t.parts;
    const int first = (int)(all * unit / units), end = (int)(all * (unit + 1) / units);
    const int live = min(warps, a.depth / COLUMNS - t.rank * a.pairs), step = a.batch * ENTRIES;
    const char *const mine = shared + warp * (STAGES * STAGE);
    float *const tables = (float *)(shared + warps * (STAGES * STAGE)), *const sums = tables + 2 * warps * step;
    walk w = {t.rank * a.pairs + warp, first, warp < live ? end : first, 0, (unsigned)__cvta_generic_to_shared(mine)};
    cut c;
    em_grid_next();
    if (!a.constant)
        em_grid_wait();
#pragma unroll 1
    for (int i = 0; i + 1 < STAGES; i++)
        w.ask(a, lane, i);
    if (a.constant)
        em_grid_wait();
    if (warp < live)
        cut_rows(a, w.pair, lane, c);
    int parity = 0;
#pragma unroll 1
    for (int tile = first; tile < end; tile += a.batch, parity ^= 1) {
        const int n = min(a.batch, end - tile);
        float *const table = tables + parity * warps * step;
#pragma unroll 1
        for (int i = 0; warp < live && i < n; i++) {
            share s;
            float acc[4] = {0, 0, 0, 0};
            read(mine + w.step(a, lane) * STAGE, lane, s);
            multiply(s, c, acc);
            put(table + warp * step + i * ENTRIES, acc, c.units, lane);
        }
        end_batch<DIVIDED>(a, t, (const float4 *)table, step / 4, live, tile, n, (float4 *)(sums + parity * step));
    }
    sync_team<DIVIDED>(); /* its memory is read no more */
}

} // namespace em_few

#endif
