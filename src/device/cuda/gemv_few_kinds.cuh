/*
 * Kinds of weights of gemv_few_kernel.cuh: how a warp's columns of a tile come to shared memory, what of x it keeps,
 * and how the two meet. A tile has 16 rows of weights; lane 4 r + q has rows r and r + 8 of these, and of x row r, and
 * gets sums of rows 2 q and 2 q + 1 of x.
 */
#ifndef EM_DEVICE_CUDA_GEMV_FEW_KINDS_CUH
#define EM_DEVICE_CUDA_GEMV_FEW_KINDS_CUH

#include "device/cuda/digits.cuh"
#include "device/cuda/gemv.cuh"
#include "device/cuda/mma.cuh"

namespace em_few
{

enum {
    TILE = 16,           /* rows of weights */
    ROWS = EM_GEMV_MOST, /* of x */
};

struct arguments {
    const char *weight[EM_GEMV_MATRICES], *scales[EM_GEMV_MATRICES], *biases[EM_GEMV_MATRICES];
    void *out[EM_GEMV_MATRICES];
    int rows[EM_GEMV_MATRICES], end[EM_GEMV_MATRICES];     /* tiles of this matrix and those before it */
    int width[EM_GEMV_MATRICES], column[EM_GEMV_MATRICES]; /* of a row of the result; where the matrix begins in it */
    const float *x, *bias, *residual;                      /* bias, residual: of one result; NULL: none */
    int m, depth;
    int pieces; /* of the depth, of a block: its warps */
    int batch;  /* tiles of a table */
    uint16_t activation;
    uint8_t out_dtype;
    bool constant;
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

/* x[i] of a lane's row, zeros where there is no such row. */
template <int N> __device__ __forceinline__ void load_x(const arguments &a, int column, int lane, float (&x)[N])
{
    const float *const from = a.x + (int64_t)(lane / 4) * a.depth + column;
#pragma unroll
    for (int i = 0; i < N; i += 4)
        *(float4 *)&x[i] = lane / 4 < a.m ? *(const float4 *)(from + i) : make_float4(0, 0, 0, 0);
}

/*
 * Weights of bf16, 64 columns a warp. x is cut into three bf16 that add up to it, so that products are exact; 32 of
 * depth are summed in the matrix units at a time, smallest products first, and added with rounding. Where x is not
 * finite the sum is NaN.
 */
struct halves {
    static constexpr int COLUMNS = 64, BLOCKS = COLUMNS / 32;
    static constexpr int LINE = COLUMNS * 2; /* bytes of a row */
    static constexpr int STAGE = TILE * LINE;

    struct cut {
        em_lane_operand<float> x[BLOCKS];

        __device__ __forceinline__ float unit(int) const
        {
            return 1;
        }
    };

    struct share {
        em_mma_rows rows[BLOCKS];
    };

    /* Where 16 bytes of a row lie in a stage: the two halves of a row take turns in which comes first, so that lanes
     * that read at the same time meet in no bank. */
    static __device__ __forceinline__ int at(int row, int piece)
    {
        return row * LINE + (piece ^ (row & 1) * 4) * 16;
    }

    static __device__ __forceinline__ void fetch(const arguments &a, int tile, int piece, int lane, unsigned stage)
    {
        const place from = find(a, tile);
        const int last = a.rows[from.matrix] - 1;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = i * 4 + lane / 8;
            copy<16>(stage + at(row, lane % 8), a.weight[from.matrix] +
                                                    (int64_t)min(from.row + row, last) * a.depth * 2 + piece * LINE +
                                                    lane % 8 * 16);
        }
    }

    static __device__ __forceinline__ void read(const char *stage, int lane, share &s)
    {
#pragma unroll
        for (int b = 0; b < BLOCKS; b++)
            s.rows[b] = {*(const uint4 *)(stage + at(lane / 4, b * 4 + lane % 4)),
                         *(const uint4 *)(stage + at(8 + lane / 4, b * 4 + lane % 4))};
    }

    static __device__ __forceinline__ void cut_rows(const arguments &a, int piece, int lane, cut &c)
    {
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            float x[8];
            load_x(a, piece * COLUMNS + b * 32 + lane % 4 * 8, lane, x);
            c.x[b] = em_lane_operand_of<float>(x);
        }
    }

    static __device__ __forceinline__ void multiply(const share &s, const cut &c, float (&acc)[4])
    {
#pragma unroll
        for (int b = 0; b < BLOCKS; b++) {
            float sums[4] = {0, 0, 0, 0};
#pragma unroll
            for (int part = em_mma_traits<float>::PARTS - 1; part >= 0; part--)
                em_mma_32<__nv_bfloat16>(sums, s.rows[b], c.x[b].part[part]);
#pragma unroll
            for (int i = 0; i < 4; i++)
                acc[i] += sums[i];
        }
    }
};

/*
 * Weights of 4-bit codes, affine, in groups of 64 with scales and biases of bf16, two groups a warp, in whole numbers
 * (digits.cuh). A row's unit is that of the warp's 128 columns. Sums are exact, below 2^22, become floats by lying down
 * in the mantissa of 1.5 * 2^23, and meet scales there; biases meet the groups' sums of x. x is off by 2^-26 of the
 * largest of its 128, at most; where x is not finite the sum is NaN.
 */
struct codes {
    static constexpr int GROUP = 64, GROUPS = 2, COLUMNS = GROUP * GROUPS;
    static constexpr int LINE = COLUMNS / 2; /* bytes of a row's codes */
    static constexpr int STAGE = TILE * (LINE + 2 * GROUPS * 2);

    /* A lane's columns of the warp's x. */
    struct cut {
        uint32_t low[GROUPS][2][EM_DIGITS], high[GROUPS][2][EM_DIGITS]; /* [group][word of codes][digit] */
        float sums[GROUPS][2], units[2];                                /* of the rows of which the lane gets sums */

        __device__ __forceinline__ float unit(int i) const
        {
            return units[i];
        }
    };

    /* Two words of codes of each group, of both rows, and what they go with, of both groups. */
    struct share {
        uint2 words[2][GROUPS];
        uint32_t scales[2], biases[2];
    };

    /* Where 16 bytes of a row's codes lie in a stage: groups take turns in which comes first, so that lanes that read
     * at the same time meet in no bank. */
    static __device__ __forceinline__ int at(int row, int piece)
    {
        return row * LINE + (piece ^ (row >> 1 & 1) * 2) * 16;
    }

    static __device__ __forceinline__ void fetch(const arguments &a, int tile, int piece, int lane, unsigned stage)
    {
        const place from = find(a, tile);
        const int last = a.rows[from.matrix] - 1, line = a.depth / 2, scales_line = a.depth / GROUP * 2;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int row = i * 8 + lane / 4;
            copy<16>(stage + at(row, lane % 4),
                     a.weight[from.matrix] + (int64_t)min(from.row + row, last) * line + piece * LINE + lane % 4 * 16);
        }
        const char *const beside = lane < TILE ? a.scales[from.matrix] : a.biases[from.matrix];
        copy<4>(stage + TILE * LINE + lane * 4,
                beside + (int64_t)min(from.row + lane % TILE, last) * scales_line + piece * 4);
    }

    static __device__ __forceinline__ void read(const char *stage, int lane, share &s)
    {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = half * 8 + lane / 4;
#pragma unroll
            for (int g = 0; g < GROUPS; g++)
                s.words[half][g] = *(const uint2 *)(stage + at(row, g * 2 + lane % 4 / 2) + lane % 2 * 8);
            s.scales[half] = *(const uint32_t *)(stage + TILE * LINE + row * 4);
            s.biases[half] = *(const uint32_t *)(stage + TILE * LINE + TILE * 4 + row * 4);
        }
    }

    /* A lane has 16 neighbours of each group, what its two words of codes meet. */
    static __device__ __forceinline__ void cut_rows(const arguments &a, int piece, int lane, cut &c)
    {
        float x[GROUPS][16], sums[GROUPS], unit;
        uint32_t most = 0;
#pragma unroll
        for (int g = 0; g < GROUPS; g++)
            load_x(a, piece * COLUMNS + g * GROUP + lane % 4 * 16, lane, x[g]);
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

    static __device__ __forceinline__ float scale_of(uint32_t pair, int group)
    {
        return __uint_as_float(group ? pair & 0xffff0000u : pair << 16);
    }

    /* In units. */
    static __device__ __forceinline__ void multiply(const share &s, const cut &c, float (&acc)[4])
    {
#pragma unroll
        for (int g = 0; g < GROUPS; g++) {
            int d[EM_DIGITS][4];
#pragma unroll
            for (int i = 0; i < 4 * EM_DIGITS; i++)
                d[i / 4][i % 4] = EM_DIGITS_SUM;
#pragma unroll
            for (int word = 0; word < 2; word++) {
                const uint32_t u = word ? s.words[0][g].y : s.words[0][g].x,
                               v = word ? s.words[1][g].y : s.words[1][g].x;
                const uint32_t four[4] = {u & EM_LOW_CODES, v & EM_LOW_CODES, u & EM_HIGH_CODES, v & EM_HIGH_CODES};
#pragma unroll
                for (int k = 0; k < EM_DIGITS; k++)
                    em_multiply_codes(d[k], four[0], four[1], four[2], four[3], c.low[g][word][k], c.high[g][word][k],
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
};

} // namespace em_few

#endif
