/*
 * What follows the sums of matmul_kernel.cuh: activation, the second of a pair, residual, rounding, and the way out.
 *
 * A thread has pairs of columns of two rows. Where the result lies well they leave from registers: halves after
 * neighbours have swapped, so that four lanes fill a sector. Sums of a divided depth, and results that lie anyhow, go
 * through shared memory.
 *
 * The activations are good to a few hundred thousandths of the value, which is less than the operands' rounding.
 */
#ifndef EM_DEVICE_CUDA_MATMUL_ENDS_CUH
#define EM_DEVICE_CUDA_MATMUL_ENDS_CUH

#include "device/cuda/matmul.cuh"
#include "device/cuda/reals.cuh"
#include "device/cuda/wgmma_shared.cuh"

enum { GROUP = 128, MOST_STAGES = 16 };

/* A kernel's tile: WARPGROUPS * 64 rows of x, COLUMNS rows of weights, and RESIDENT blocks of a multiprocessor. */
template <typename TYPE, int WARPGROUPS, int WIDE, int AT_ONCE> struct shape {
    typedef TYPE T;
    enum {
        ROWS = 64 * WARPGROUPS,
        COLUMNS = WIDE,
        RESIDENT = AT_ONCE,
        WORKERS = GROUP * WARPGROUPS,
        THREADS = WORKERS + 32,
        X_BYTES = ROWS * 64 * 2,
        W_BYTES = COLUMNS * 64 * 2,
        STAGE_BYTES = X_BYTES + W_BYTES,
        PITCH = COLUMNS + 8, /* floats of a row of sums in shared memory: no two rows of a quarter warp in one bank */
        SUM_BYTES = ROWS * PITCH * 4,
    };
};

/* A result's dtype decides how its elements are read and written. */
typedef struct matrix {
    int64_t step; /* elements from row to row of result and residual */
    const void *bias, *residual;
    void *out;
    int n;
} matrix;

/* What the kernel needs by value. */
typedef struct arguments {
    CUtensorMap x, w[EM_MATMUL_MATRICES];
    CUtensorMap scales[EM_MATMUL_MATRICES], biases[EM_MATMUL_MATRICES]; /* of codes */
    matrix of[EM_MATMUL_MATRICES];
    em__matmul_heads heads;
    int first[EM_MATMUL_MATRICES + 1]; /* tile of columns with which a matrix begins */
    int m, steps, row_tiles, tiles, op, matrices;
    int cluster, stages;    /* blocks that divide the depth among them */
    int x_box;              /* rows of x that the copy engine brings */
    int shift, scale_slots; /* of codes: log2 of a group; slots of scales */
    bool pair, constant;
    bool direct;  /* pieces of a sector go straight to the result; residual and result are of one dtype */
    bool by_four; /* residual and result can be read and written four at a time */
    em_dtype bias, residual, out;
} arguments;

/* The tile that a block makes, and the steps of depth that it takes. */
typedef struct place {
    int matrix, row, column, begin, end;
    int rank; /* in the cluster */
} place;

__device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float reciprocal(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* The larger; NaN where one is. */
__device__ __forceinline__ float larger(float x, float y)
{
    float z;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
    return z;
}

/* x / (1 + 2^(-y)): x times the logistic function of y ln 2, for an x that is not infinite. */
__device__ __forceinline__ float times_logistic(float x, float y)
{
    return x * reciprocal(1.0f + power_of_two(-y));
}

/* max(x, 0) - |x| t, with the lower tail t of the normal distribution: e^(-x x / 2) by a polynomial in 1 / (1 + c |x|),
 * fitted for its error over the value: 2e-5 up to |x| = 9, beyond which the tail is below 2e-19. */
__device__ __forceinline__ float gelu(float x)
{
    const float a = fminf(fabsf(x), 13.0f), t = reciprocal(fmaf(a, 0.37f, 1.0f));
    float p = -0.09302738f;
    p = fmaf(p, t, 0.21613025f);
    p = fmaf(p, t, 0.07109822f);
    p = fmaf(p, t, 0.15906457f);
    p = fmaf(p, t, 0.14672505f);
    return fmaf(-a * t, p * power_of_two(a * a * -0.72134752f), larger(x, 0.0f));
}

/* By a polynomial where 1 - 2 / (1 + e^(2 x)) would cancel. */
__device__ __forceinline__ float hyperbolic(float x)
{
    const float a = fabsf(x), q = x * x;
    const float near = fmaf(x * q, fmaf(q, fmaf(q, -0.053968254f, 0.13333334f), -0.33333334f), x);
    const float far = copysignf(1.0f - 2.0f * reciprocal(1.0f + power_of_two(a * 2.885390082f)), x);
    return a > 0.3f ? far : near;
}

template <int OP> __device__ __forceinline__ float activated(float x)
{
    const float low = larger(x, -1e30f); /* of -infinity: times 0 it is 0 */
    switch (OP) {
    case EM__OP_RELU: return larger(x, 0.0f);
    case EM__OP_SILU: return times_logistic(low, low * 1.44269504f);
    case EM__OP_GELU: return gelu(x);
    case EM__OP_GELU_TANH: return times_logistic(low, low * fmaf(low * low, 0.102943240f, 2.30220819f));
    case EM__OP_TANH: return hyperbolic(x);
    case EM__OP_SIGMOID: return times_logistic(1.0f, x * 1.44269504f);
    default: return x;
    }
}

template <int OP, int N, int TOTAL> __device__ __forceinline__ void activate_as(float (&v)[TOTAL], int first)
{
#pragma unroll
    for (int i = 0; i < N; i++)
        v[first + i] = activated<OP>(v[first + i]);
}

/* The first `count` of them, a multiple of EACH. Not in one go: the compiler would run out of registers. */
template <int EACH, int TOTAL> __device__ __forceinline__ void activate(int op, float (&v)[TOTAL], int count)
{
#pragma unroll
    for (int first = 0; first < TOTAL; first += EACH) {
        if (first >= count)
            break;
        switch (op) {
        case EM__OP_RELU: activate_as<EM__OP_RELU, EACH>(v, first); break;
        case EM__OP_SILU: activate_as<EM__OP_SILU, EACH>(v, first); break;
        case EM__OP_GELU: activate_as<EM__OP_GELU, EACH>(v, first); break;
        case EM__OP_GELU_TANH: activate_as<EM__OP_GELU_TANH, EACH>(v, first); break;
        case EM__OP_TANH: activate_as<EM__OP_TANH, EACH>(v, first); break;
        case EM__OP_SIGMOID: activate_as<EM__OP_SIGMOID, EACH>(v, first); break;
        default: break;
        }
    }
}

/* Two neighbours of a result's dtype. */
template <typename O> struct two;

template <> struct two<float> {
    typedef float2 word;
    static __device__ __forceinline__ float2 wide(float2 v)
    {
        return v;
    }
};

template <> struct two<__nv_bfloat16> {
    typedef uint32_t word;
    static __device__ __forceinline__ float2 wide(uint32_t v)
    {
        return __bfloat1622float2(*(const __nv_bfloat162 *)&v);
    }
    static __device__ __forceinline__ uint32_t narrow(float x, float y)
    {
        __nv_bfloat162 v = __floats2bfloat162_rn(x, y);
        return *(const uint32_t *)&v;
    }
};

template <> struct two<__half> {
    typedef uint32_t word;
    static __device__ __forceinline__ float2 wide(uint32_t v)
    {
        return __half22float2(*(const __half2 *)&v);
    }
    static __device__ __forceinline__ uint32_t narrow(float x, float y)
    {
        __half2 v = __floats2half2_rn(x, y);
        return *(const uint32_t *)&v;
    }
};

/* A thread's place in the result: its two rows, and the first of its columns. */
template <typename O> struct corner {
    const O *residual;
    O *out;
    int64_t down; /* from one row to the other */
    bool rows[2];
    int left; /* columns from here on */
    __device__ __forceinline__ corner(const arguments &a, const place &p)
    {
        const matrix &of = a.of[p.matrix];
        const int row = p.row + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, column = p.column + threadIdx.x % 4 * 2;
        const int64_t at = row * of.step + column;
        residual = of.residual ? (const O *)of.residual + at : NULL;
        out = (O *)of.out + at;
        down = 8 * of.step;
        rows[0] = row < a.m;
        rows[1] = row + 8 < a.m;
        left = of.n - column;
    }
};

/* The residual of N groups of eight columns, asked for at once. */
template <typename O, int N, int TOTAL>
__device__ __forceinline__ void add_residual(const corner<O> &c, int first, float (&sums)[TOTAL])
{
    typename two<O>::word words[N][2];
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
        for (int r = 0; r < 2; r++)
            if (c.rows[r] && (first + j) * 8 < c.left)
                words[j][r] = *(const typename two<O>::word *)(c.residual + r * c.down + (first + j) * 8);
#pragma unroll
    for (int j = 0; j < N; j++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float2 v = two<O>::wide(words[j][r]);
            sums[(first + j) * 4 + r * 2] += v.x;
            sums[(first + j) * 4 + r * 2 + 1] += v.y;
        }
}

/* Groups j and j + 1 of a row. */
template <typename O>
__device__ __forceinline__ void store_groups(const corner<O> &c, int j, int r, float x0, float x1, float y0, float y1)
{
    O *to = c.out + r * c.down + j * 8;
    if constexpr (sizeof(O) == 4) {
        if (c.rows[r] && j * 8 < c.left)
            *(float2 *)to = {x0, x1};
        if (c.rows[r] && j * 8 + 8 < c.left)
            *(float2 *)(to + 8) = {y0, y1};
    } else {
        const uint2 four = em_wgmma_four(two<O>::narrow(x0, x1), two<O>::narrow(y0, y1));
        const int on = em_wgmma_on();
        if (c.rows[r] && j * 8 + on < c.left)
            *(uint2 *)(to + on) = four;
    }
}

template <typename SHAPE, typename O, int WIDTH>
__device__ __forceinline__ void leave_as(const arguments &a, const place &p, float (&sums)[SHAPE::COLUMNS / 2])
{
    enum { GROUPS = WIDTH / 8, MOST = sizeof(O) == 4 ? 4 : 8, EACH = GROUPS % MOST == 0 ? MOST : 2 };
    const corner<O> c(a, p);
#pragma unroll
    for (int first = 0; first < GROUPS; first += EACH) {
        if (c.residual)
            add_residual<O, EACH>(c, first, sums);
#pragma unroll
        for (int j = first; j < first + EACH; j += 2)
#pragma unroll
            for (int r = 0; r < 2; r++)
                store_groups<O>(c, j, r, sums[j * 4 + r * 2], sums[j * 4 + r * 2 + 1], sums[j * 4 + 4 + r * 2],
                                sums[j * 4 + 5 + r * 2]);
    }
}

template <typename SHAPE, typename O>
__device__ __forceinline__ void leave_by(const arguments &a, const place &p, float (&sums)[SHAPE::COLUMNS / 2])
{
    if (a.pair)
        leave_as<SHAPE, O, SHAPE::COLUMNS / 2>(a, p, sums);
    else
        leave_as<SHAPE, O, SHAPE::COLUMNS>(a, p, sums);
}

/* From the registers to the result. */
template <typename SHAPE>
__device__ __forceinline__ void leave(const arguments &a, const place &p, float (&sums)[SHAPE::COLUMNS / 2])
{
    enum { HALF = SHAPE::COLUMNS / 4 };
    activate<HALF % 16 == 0 ? 16 : 8>(a.op, sums, a.pair ? HALF : 2 * HALF);
    if (a.pair) {
#pragma unroll
        for (int i = 0; i < HALF; i++)
            sums[i] *= sums[HALF + i];
    }
    if (a.out == EM_F32)
        leave_by<SHAPE, float>(a, p, sums);
    else
        leave_by<SHAPE, typename SHAPE::T>(a, p, sums);
}

/* An element, or four, of a dtype that is known when the kernel runs. */
__device__ __forceinline__ float4 load_four(em_dtype dtype, const void *at, int64_t i)
{
    if (dtype == EM_F32)
        return *(const float4 *)((const float *)at + i);
    const uint2 v = *(const uint2 *)((const uint16_t *)at + i);
    float2 low, high;
    if (dtype == EM_BF16) {
        low = __bfloat1622float2(*(const __nv_bfloat162 *)&v.x);
        high = __bfloat1622float2(*(const __nv_bfloat162 *)&v.y);
    } else {
        low = __half22float2(*(const __half2 *)&v.x);
        high = __half22float2(*(const __half2 *)&v.y);
    }
    return {low.x, low.y, high.x, high.y};
}

__device__ __forceinline__ float load_one(em_dtype dtype, const void *at, int64_t i)
{
    return dtype == EM_F32    ? ((const float *)at)[i]
           : dtype == EM_BF16 ? __bfloat162float(((const __nv_bfloat16 *)at)[i])
                              : __half2float(((const __half *)at)[i]);
}

__device__ __forceinline__ void store_four(em_dtype dtype, void *at, int64_t i, float4 v)
{
    if (dtype == EM_F32) {
        *(float4 *)((float *)at + i) = v;
    } else if (dtype == EM_BF16) {
        __nv_bfloat162 pair[2] = {__floats2bfloat162_rn(v.x, v.y), __floats2bfloat162_rn(v.z, v.w)};
        *(uint2 *)((__nv_bfloat16 *)at + i) = *(const uint2 *)pair;
    } else {
        __half2 pair[2] = {__floats2half2_rn(v.x, v.y), __floats2half2_rn(v.z, v.w)};
        *(uint2 *)((__half *)at + i) = *(const uint2 *)pair;
    }
}

/* The warpgroup's sums to shared memory, rows PITCH apart. */
template <typename SHAPE> __device__ __forceinline__ void lay_down(const float (&sums)[SHAPE::COLUMNS / 2], float *to)
{
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
#pragma unroll
    for (int j = 0; j < SHAPE::COLUMNS / 8; j++) {
        float *at = to + row * SHAPE::PITCH + j * 8 + (lane & 3) * 2;
        *(float2 *)at = {sums[j * 4], sums[j * 4 + 1]};
        *(float2 *)(at + 8 * SHAPE::PITCH) = {sums[j * 4 + 2], sums[j * 4 + 3]};
    }
}

/* A lane's piece of its warp's 16 rows: EACH neighbours of the result, and where their sums lie. */
template <typename SHAPE, int WIDTH, int EACH> struct piece {
    float *sum;
    int64_t at;
    bool there;
    __device__ __forceinline__ piece(const arguments &a, const place &p, float *sums, int i)
    {
        enum { ACROSS = WIDTH / EACH };
        const int e = i * 32 + threadIdx.x % 32, within = threadIdx.x / 32 * 16 + e / ACROSS, row = p.row + within;
        const int column = p.column + e % ACROSS * EACH;
        sum = sums + within * SHAPE::PITCH + e % ACROSS * EACH;
        at = row * a.of[p.matrix].step + column;
        there = row < a.m && column < a.of[p.matrix].n;
    }
};

__device__ __forceinline__ float4 plus(float4 a, float4 b)
{
    return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}

/* Four sums: of a divided depth those of all blocks, in order of depth. */
__device__ __forceinline__ float4 four_sums(const arguments &a, const float *at)
{
    if (a.cluster == 1)
        return *(const float4 *)at;
    float4 sum = em_cluster_load((const float4 *)at, 0);
    for (int i = 1; i < a.cluster; i++)
        sum = plus(sum, em_cluster_load((const float4 *)at, (unsigned)i));
    return sum;
}

__device__ __forceinline__ float one_sum(const arguments &a, const float *at)
{
    const float4 v = four_sums(a, (const float *)((uintptr_t)at & ~(uintptr_t)15));
    const int i = (int)((uintptr_t)at / 4 % 4);
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

template <typename SHAPE, int WIDTH>
__device__ __forceinline__ void finish_four(const arguments &a, const place &p, float *sums, int i)
{
    const piece<SHAPE, WIDTH, 4> at(a, p, sums, i);
    const matrix &of = a.of[p.matrix];
    if (!at.there)
        return;
    float4 residual = {0, 0, 0, 0};
    if (of.residual)
        residual = load_four(a.residual, of.residual, at.at);
    const float4 sum = four_sums(a, at.sum);
    float v[4] = {sum.x, sum.y, sum.z, sum.w};
    activate<4>(a.op, v, 4);
    float4 out = {v[0], v[1], v[2], v[3]};
    if (WIDTH < SHAPE::COLUMNS) {
        const float4 by = four_sums(a, at.sum + WIDTH);
        out = {v[0] * by.x, v[1] * by.y, v[2] * by.z, v[3] * by.w};
    }
    store_four(a.out, of.out, at.at, plus(out, residual));
}

template <typename SHAPE, int WIDTH>
__device__ __forceinline__ void finish_one(const arguments &a, const place &p, float *sums, int i)
{
    const piece<SHAPE, WIDTH, 1> at(a, p, sums, i);
    const matrix &of = a.of[p.matrix];
    if (!at.there)
        return;
    float v[1] = {one_sum(a, at.sum)};
    activate<1>(a.op, v, 1);
    if (WIDTH < SHAPE::COLUMNS)
        v[0] *= one_sum(a, at.sum + WIDTH);
    em_store_as(a.out, of.out, at.at, of.residual ? v[0] + load_one(a.residual, of.residual, at.at) : v[0]);
}

/* Blocks that divide the depth divide the pieces, of four columns each: a warp has its 16 rows in each of them. */
template <typename SHAPE, int WIDTH>
__device__ __forceinline__ void finish_as(const arguments &a, const place &p, float *sums)
{
    enum { PIECES = WIDTH / 8 };
    const int begin = PIECES * p.rank / a.cluster, end = PIECES * (p.rank + 1) / a.cluster;
#pragma unroll 1
    for (int i = begin; i < end && a.by_four; i++)
        finish_four<SHAPE, WIDTH>(a, p, sums, i);
#pragma unroll 1
    for (int i = begin * 4; i < end * 4 && !a.by_four; i++)
        finish_one<SHAPE, WIDTH>(a, p, sums, i);
}

template <typename SHAPE> __device__ __forceinline__ void finish(const arguments &a, const place &p, float *sums)
{
    if (a.pair)
        finish_as<SHAPE, SHAPE::COLUMNS / 2>(a, p, sums);
    else
        finish_as<SHAPE, SHAPE::COLUMNS>(a, p, sums);
}

#endif
