/*
 * The kernel of matmul.cu: see matmul.cuh.
 *
 * Each stage of the ring holds 64 of depth of the block's rows of x and of the weight, in two boxes each. Of a cluster
 * that shares the weight (two tiles of rows) or x (two tiles of columns) each block loads half of what is shared, for
 * both. The sums begin as the bias. They are laid down where the stages were, activated there, and leave row by row.
 */
#ifndef EM_DEVICE_CUDA_MATMUL_KERNEL_CUH
#define EM_DEVICE_CUDA_MATMUL_KERNEL_CUH

#include "device/cuda/activate.cuh"
#include "device/cuda/matmul.cuh"
#include "device/cuda/wgmma_shared.cuh"

enum { DEEP = 64, GROUP = 128, BATCH = 4 };

/* What the blocks of a cluster do for each other. */
typedef enum sharing { ALONE, SHARE_WEIGHT, SHARE_X, SPLIT } sharing;

/* A kernel's tile: WARPGROUPS * 64 rows of x, COLUMNS rows of weights, and RESIDENT blocks of a multiprocessor. */
template <typename TYPE, int WARPGROUPS, int WIDE, int DEPTH_OF_RING, int AT_ONCE> struct shape {
    typedef TYPE T;
    enum {
        ROWS = 64 * WARPGROUPS,
        COLUMNS = WIDE,
        STAGES = DEPTH_OF_RING,
        RESIDENT = AT_ONCE,
        WORKERS = GROUP * WARPGROUPS,
        THREADS = WORKERS + 32,
        X_BYTES = ROWS * DEEP * 2,
        W_BYTES = COLUMNS * DEEP * 2,
        STAGE_BYTES = X_BYTES + W_BYTES,
        SHARED_BYTES = STAGES * STAGE_BYTES + 1024,
        PITCH = COLUMNS + 8,  /* floats of a row of sums in shared memory: no two rows of a quarter warp in one bank */
        PIECES = COLUMNS / 8, /* of four columns each, that a lane has of its warp's 16 rows */
    };
    static_assert(ROWS * PITCH * 4 <= STAGES * STAGE_BYTES, "the sums must fit where the stages were");
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
    matrix of[EM_MATMUL_MATRICES];
    int first[EM_MATMUL_MATRICES + 1]; /* tile of columns with which a matrix begins */
    int m, steps, row_groups, op, matrices;
    int cluster;
    sharing how;
    bool pair, constant, by_four; /* by_four: bias, residual and result can be read and written four at a time */
    em_dtype bias, residual, out;
} arguments;

/* The tile that a block makes, and the steps of depth that it takes. */
typedef struct place {
    int matrix, row, column, begin, end;
    unsigned rank; /* in the cluster */
} place;

template <typename SHAPE> __device__ __forceinline__ place place_of(const arguments &a)
{
    const int group = blockIdx.x / a.cluster, rank = blockIdx.x % a.cluster;
    int row = group % a.row_groups, tile = group / a.row_groups;
    place p = {0, 0, 0, 0, a.steps, (unsigned)rank};
    if (a.how == SHARE_WEIGHT)
        row = row * 2 + rank;
    if (a.how == SHARE_X)
        tile = tile * 2 + rank;
    if (a.how == SPLIT) {
        p.begin = a.steps * rank / a.cluster;
        p.end = a.steps * (rank + 1) / a.cluster;
    }
    while (p.matrix + 1 < a.matrices && tile >= a.first[p.matrix + 1])
        p.matrix++;
    p.row = row * SHAPE::ROWS;
    p.column = (tile - a.first[p.matrix]) * (a.pair ? SHAPE::COLUMNS / 2 : SHAPE::COLUMNS);
    return p;
}

/* Half of the weight's tile, or of x's, for this block or for both. */
template <typename SHAPE>
__device__ __forceinline__ void load_w(const arguments &a, const place &p, char *stage, int step, int half,
                                       uint64_t *full)
{
    char *to = stage + SHAPE::X_BYTES + half * (SHAPE::W_BYTES / 2);
    const CUtensorMap *map = &a.w[a.pair ? half : p.matrix];
    const int row = p.column + (a.pair ? 0 : half * (SHAPE::COLUMNS / 2));
    if (a.how != SHARE_WEIGHT)
        em_tile_load(to, map, step * DEEP, row, full);
    else if (half == (int)p.rank)
        em_tile_load_shared(to, map, step * DEEP, row, full, 3);
}

template <typename SHAPE>
__device__ __forceinline__ void load_x(const arguments &a, const place &p, char *stage, int step, int half,
                                       uint64_t *full)
{
    char *to = stage + half * (SHAPE::X_BYTES / 2);
    const int row = p.row + half * (SHAPE::ROWS / 2);
    if (a.how != SHARE_X)
        em_tile_load(to, &a.x, step * DEEP, row, full);
    else if (half == (int)p.rank)
        em_tile_load_shared(to, &a.x, step * DEEP, row, full, 3);
}

/* One thread's work. The weights of the first stages are asked for before x is there. */
template <typename SHAPE>
__device__ void fetch(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty)
{
    const int steps = p.end - p.begin, ahead = min(steps, (int)SHAPE::STAGES);
    if (!a.constant)
        em_grid_wait();
    for (int i = 0; i < ahead; i++) {
        em_barrier_expect(&full[i], SHAPE::STAGE_BYTES);
        for (int half = 0; half < 2; half++)
            load_w<SHAPE>(a, p, stages + i * SHAPE::STAGE_BYTES, p.begin + i, half, &full[i]);
    }
    if (a.constant)
        em_grid_wait();
    for (int i = 0; i < steps; i++) {
        const int s = i % SHAPE::STAGES;
        char *stage = stages + s * SHAPE::STAGE_BYTES;
        if (i >= ahead) {
            em_barrier_wait(&empty[s], (i / SHAPE::STAGES - 1) & 1);
            em_barrier_expect(&full[s], SHAPE::STAGE_BYTES);
            for (int half = 0; half < 2; half++)
                load_w<SHAPE>(a, p, stage, p.begin + i, half, &full[s]);
        }
        for (int half = 0; half < 2; half++)
            load_x<SHAPE>(a, p, stage, p.begin + i, half, &full[s]);
    }
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

__device__ __forceinline__ void store_one(em_dtype dtype, void *at, int64_t i, float v)
{
    if (dtype == EM_F32)
        ((float *)at)[i] = v;
    else if (dtype == EM_BF16)
        ((__nv_bfloat16 *)at)[i] = __float2bfloat16_rn(v);
    else
        ((__half *)at)[i] = __float2half_rn(v);
}

/* The sums before the first product: the bias, of a divided depth once. */
template <typename SHAPE, typename B>
__device__ __forceinline__ void begin_with(const B *bias, int column, int n, float (&sums)[SHAPE::COLUMNS / 2])
{
#pragma unroll
    for (int j = 0; j < SHAPE::COLUMNS / 8; j++)
#pragma unroll
        for (int c = 0; c < 2; c++) {
            const int at = column + j * 8 + c;
            sums[j * 4 + c] = at < n ? (float)bias[at] : 0.0f;
            sums[j * 4 + 2 + c] = sums[j * 4 + c];
        }
}

template <typename SHAPE>
__device__ __forceinline__ void begin_sums(const arguments &a, const place &p, float (&sums)[SHAPE::COLUMNS / 2])
{
    const matrix &of = a.of[p.matrix];
    const int column = p.column + threadIdx.x % 4 * 2;
    if (!of.bias || p.begin > 0) {
#pragma unroll
        for (int j = 0; j < SHAPE::COLUMNS / 2; j++)
            sums[j] = 0;
    } else if (a.bias == EM_F32) {
        begin_with<SHAPE>((const float *)of.bias, column, of.n, sums);
    } else {
        begin_with<SHAPE>((const typename SHAPE::T *)of.bias, column, of.n, sums);
    }
}

/* A stage is read no more: its loader may know, and that of the neighbour who fills half of it. */
__device__ __forceinline__ void release(const arguments &a, uint64_t *empty)
{
    if (a.how == SHARE_WEIGHT || a.how == SHARE_X) {
        if (threadIdx.x % 32 < 2)
            em_cluster_arrive(empty, threadIdx.x % 32);
    } else if (threadIdx.x % 32 == 0) {
        em_barrier_arrive(empty);
    }
}

template <typename SHAPE>
__device__ __forceinline__ void multiply(const char *stages, uint64_t *full, int i, float (&sums)[SHAPE::COLUMNS / 2])
{
    const int s = i % SHAPE::STAGES;
    const char *stage = stages + s * SHAPE::STAGE_BYTES;
    const uint64_t x = em_wgmma_b(stage + threadIdx.x / GROUP * (64 * DEEP * 2));
    const uint64_t w = em_wgmma_b(stage + SHAPE::X_BYTES);
    em_barrier_wait(&full[s], i / SHAPE::STAGES & 1);
    em_wgmma_begin();
#pragma unroll
    for (int part = 0; part < DEEP / 16; part++)
        em_wgmma_shared<typename SHAPE::T, SHAPE::COLUMNS>::multiply(sums, x + part * 2, w + part * 2);
    em_wgmma_commit();
}

/* The first step stands by itself: in the loop nothing but the matrix units touches the sums. */
template <typename SHAPE>
__device__ __forceinline__ void accumulate(const arguments &a, const place &p, const char *stages, uint64_t *full,
                                           uint64_t *empty, float (&sums)[SHAPE::COLUMNS / 2])
{
    const int steps = p.end - p.begin;
    em_wgmma_pin(sums);
    multiply<SHAPE>(stages, full, 0, sums);
    for (int i = 1; i < steps; i++) {
        multiply<SHAPE>(stages, full, i, sums);
        em_wgmma_wait<1>();
        if (i - 1 + SHAPE::STAGES < steps)
            release(a, &empty[(i - 1) % SHAPE::STAGES]);
    }
    em_wgmma_wait<0>();
    em_wgmma_pin(sums);
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
template <typename SHAPE, int EACH> struct piece {
    int column;
    float *sum;
    int64_t at;
    bool there;
    __device__ __forceinline__ piece(const arguments &a, const place &p, float *sums, int i)
    {
        const int across = (a.pair ? SHAPE::COLUMNS / 2 : SHAPE::COLUMNS) / EACH;
        const int e = i * 32 + threadIdx.x % 32, within = threadIdx.x / 32 * 16 + e / across, row = p.row + within;
        column = p.column + e % across * EACH;
        sum = sums + within * SHAPE::PITCH + e % across * EACH;
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
    if (a.how != SPLIT)
        return *(const float4 *)at;
    float4 sum = em_cluster_load((const float4 *)at, 0);
    for (int i = 1; i < a.cluster; i++)
        sum = plus(sum, em_cluster_load((const float4 *)at, (unsigned)i));
    return sum;
}

/* One short loop, for there is little room for instructions; to where the sums were. */
template <typename SHAPE>
__device__ __forceinline__ void activate(const arguments &a, const place &p, float *sums, int begin, int end)
{
#pragma unroll 1
    for (int i = begin; i < end; i++) {
        const piece<SHAPE, 4> at(a, p, sums, i);
        float4 v = four_sums(a, at.sum);
        v = {em_activate(a.op, v.x), em_activate(a.op, v.y), em_activate(a.op, v.z), em_activate(a.op, v.w)};
        if (a.pair) {
            const float4 by = four_sums(a, at.sum + SHAPE::COLUMNS / 2);
            v = {v.x * by.x, v.y * by.y, v.z * by.z, v.w * by.w};
        }
        *(float4 *)at.sum = v;
    }
}

template <typename SHAPE>
__device__ __forceinline__ void load_residual(const arguments &a, const place &p, int first, int end,
                                              float4 (&to)[BATCH])
{
    const matrix &of = a.of[p.matrix];
#pragma unroll
    for (int i = 0; i < BATCH; i++) {
        const piece<SHAPE, 4> at(a, p, NULL, first + i);
        to[i] = {0, 0, 0, 0};
        if (of.residual && first + i < end && at.there)
            to[i] = load_four(a.residual, of.residual, at.at);
    }
}

/* Four columns a lane; `ahead` is the residual of the first pieces. */
template <typename SHAPE>
__device__ __forceinline__ void finish_by_four(const arguments &a, const place &p, float *sums, int begin, int end,
                                               float4 (&ahead)[BATCH])
{
    const bool activated = a.op != EM__OP_COPY || a.pair;
    if (activated)
        activate<SHAPE>(a, p, sums, begin, end);
    for (int first = begin; first < end; first += BATCH) {
        if (first > begin)
            load_residual<SHAPE>(a, p, first, end, ahead);
#pragma unroll
        for (int i = 0; i < BATCH; i++) {
            const piece<SHAPE, 4> at(a, p, sums, first + i);
            if (first + i < end && at.there)
                store_four(a.out, a.of[p.matrix].out, at.at,
                           plus(activated ? *(const float4 *)at.sum : four_sums(a, at.sum), ahead[i]));
        }
    }
}

__device__ __forceinline__ float one_sum(const arguments &a, const float *at)
{
    const float4 v = four_sums(a, (const float *)((uintptr_t)at & ~(uintptr_t)15));
    const int i = (int)((uintptr_t)at / 4 % 4);
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

/* The same, element by element: nothing is known of how the result lies. */
template <typename SHAPE>
__device__ __forceinline__ void finish(const arguments &a, const place &p, float *sums, int begin, int end)
{
    const matrix &of = a.of[p.matrix];
#pragma unroll 1
    for (int i = begin * 4; i < end * 4; i++) {
        const piece<SHAPE, 1> at(a, p, sums, i);
        if (!at.there)
            continue;
        float sum = em_activate(a.op, one_sum(a, at.sum));
        if (a.pair)
            sum *= one_sum(a, at.sum + SHAPE::COLUMNS / 2);
        store_one(a.out, of.out, at.at, of.residual ? sum + load_one(a.residual, of.residual, at.at) : sum);
    }
}

/* From sums to the result, for a thread of a warpgroup. */
template <typename SHAPE>
__device__ __forceinline__ void work(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty)
{
    float sums[SHAPE::COLUMNS / 2];
    float4 ahead[BATCH];
    const int pieces = a.pair ? SHAPE::PIECES / 2 : SHAPE::PIECES;
    int begin = 0, end = pieces;
    if (a.how == SPLIT) {
        begin = pieces * (int)p.rank / a.cluster;
        end = pieces * ((int)p.rank + 1) / a.cluster;
    }
    if (!a.constant)
        em_grid_wait();
    begin_sums<SHAPE>(a, p, sums);
    em_grid_wait();
    if (a.by_four)
        load_residual<SHAPE>(a, p, begin, end, ahead);
    accumulate<SHAPE>(a, p, stages, full, empty, sums);
    asm volatile("bar.sync 1, %0;" ::"n"((int)SHAPE::WORKERS) : "memory"); /* no stage is read any more */
    lay_down<SHAPE>(sums, (float *)stages);
    __syncwarp();
    if (a.how == SPLIT)
        em_cluster_sync();
    if (a.by_four)
        finish_by_four<SHAPE>(a, p, (float *)stages, begin, end, ahead);
    else
        finish<SHAPE>(a, p, (float *)stages, begin, end);
    if (a.how == SPLIT)
        em_cluster_sync(); /* the others have read my sums */
}

template <typename SHAPE>
__global__ void __launch_bounds__(SHAPE::THREADS, SHAPE::RESIDENT) matmul_kernel(const __grid_constant__ arguments a)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ char memory[];
    __shared__ uint64_t full[SHAPE::STAGES], empty[SHAPE::STAGES];
    char *stages = memory + (-em_shared(memory) & 1023);
    const place p = place_of<SHAPE>(a);
    const bool shares = a.how == SHARE_WEIGHT || a.how == SHARE_X;
    if (threadIdx.x == SHAPE::WORKERS) {
        em_tile_prefetch(&a.x);
        em_tile_prefetch(&a.w[p.matrix]);
        for (int i = 0; i < SHAPE::STAGES; i++) {
            em_barrier_init(&full[i], 1);
            em_barrier_init(&empty[i], SHAPE::WORKERS / 32 * (shares ? 2 : 1));
        }
        em_barrier_publish();
    }
    __syncwarp();
    em_grid_next();
    if (shares)
        em_cluster_sync();
    else
        __syncthreads();
    if (threadIdx.x < SHAPE::WORKERS) {
        work<SHAPE>(a, p, stages, full, empty);
    } else {
        if (threadIdx.x == SHAPE::WORKERS)
            fetch<SHAPE>(a, p, stages, full, empty);
        __syncwarp();
        if (a.how == SPLIT) {
            em_cluster_sync();
            em_cluster_sync();
        }
    }
#endif
}

#endif
