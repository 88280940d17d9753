/*
 * The kernel of tiles.cu.
 *
 * A block makes a tile of the result. One warp has the copy engine bring tiles of x and of the weight, in stages; each
 * warpgroup takes 64 rows: it reads its f32 of x, cuts them into bf16 in registers, and multiplies from there with the
 * weight's tile in shared memory. Cut, an element is the sum of three parts: the upper 8 bits of it, the next and the
 * last. A weight of f32 comes cut as well; of its nine products with x those count that are not below f32's own last
 * bit, six.
 *
 * What is no number in x, in the weight or in between (infinity times a part that is 0) would spread as NaN: a sum that
 * is not finite is taken again, element by element.
 */
#ifndef EM_DEVICE_CUDA_TILES_KERNEL_CUH
#define EM_DEVICE_CUDA_TILES_KERNEL_CUH

#include "device/cuda/activate.cuh"
#include "device/cuda/tiles.h"
#include "device/cuda/wgmma.cuh"

enum { DEEP = 64, HALF = DEEP / 2, GROUP = 128 };

/* A kernel's tile: WARPGROUPS * 64 rows of x, COLUMNS rows of the weight, which is there in so many parts. */
template <int WARPGROUPS, int COLUMNS, int STAGES, int CUT_X, int CUT_W> struct shape {
    enum {
        X_PARTS = CUT_X,
        W_PARTS = CUT_W,
        ROWS = 64 * WARPGROUPS,
        WIDE = COLUMNS,
        WORKERS = GROUP * WARPGROUPS,
        THREADS = WORKERS + (WARPGROUPS > 1 ? GROUP : 32), /* a whole warpgroup can hand over its registers */
        X_BYTES = ROWS * DEEP * 4,
        W_BYTES = COLUMNS * DEEP * 2, /* of a part */
        STAGE_BYTES = X_BYTES + W_PARTS * W_BYTES,
        DEPTH_OF_PIPE = STAGES,
        SHARED_BYTES = STAGES * STAGE_BYTES + 1024,
        PITCH = COLUMNS + 4 /* floats of a row of sums in shared memory */
    };
    static_assert(ROWS * PITCH * 4 <= STAGES * STAGE_BYTES, "the sums must fit where the stages were");
};

/* What the kernel needs by value. */
typedef struct arguments {
    CUtensorMap x, w[EM__TILES_WEIGHTS];
    const float *x_at;
    const __nv_bfloat16 *w_at[EM__TILES_WEIGHTS];
    int64_t x_step, w_step[EM__TILES_WEIGHTS]; /* elements from row to row */
    int first[EM__TILES_WEIGHTS + 1];          /* tile of columns with which a weight begins */
    int column[EM__TILES_WEIGHTS + 1];         /* column with which it begins */
    int m, n, k, row_tiles, op;
    int split;     /* blocks of a cluster that share a tile, each with its part of the depth */
    bool constant; /* nobody writes the weights */
    bool by_four;  /* bias, residual, result and their columns lie at multiples of 16 bytes */
    const float *bias, *residual;
    float *out;
} arguments;

/* The tile that a block makes, and with which stages of the depth. */
typedef struct place {
    int weight, row, column; /* the column within the weight */
    int rank, first, steps;
} place;

template <typename SHAPE> __device__ __forceinline__ place place_of(const arguments &a)
{
    const int block = blockIdx.x / a.split, steps = (a.k + DEEP - 1) / DEEP;
    int tile = block / a.row_tiles;
    place p = {0, block % a.row_tiles * SHAPE::ROWS, 0, (int)blockIdx.x % a.split};
    p.first = steps * p.rank / a.split;
    p.steps = steps * (p.rank + 1) / a.split - p.first;
    while (tile >= a.first[p.weight + 1])
        p.weight++;
    p.column = (tile - a.first[p.weight]) * SHAPE::WIDE;
    return p;
}

template <typename SHAPE>
__device__ __forceinline__ void fetch_weight(const arguments &a, const place &p, int i, char *stages, uint64_t *full)
{
    int s = i % SHAPE::DEPTH_OF_PIPE;
    char *w = stages + s * SHAPE::STAGE_BYTES + SHAPE::X_BYTES;
    em_barrier_expect(&full[s], SHAPE::STAGE_BYTES);
    for (int q = 0; q < SHAPE::W_PARTS; q++)
        em_tile_load(w + q * SHAPE::W_BYTES, &a.w[p.weight], (p.first + i) * DEEP,
                     p.column + q * (a.column[p.weight + 1] - a.column[p.weight]), &full[s]);
}

/* Weights that are constants come before the kernel before has ended, as many as there is room for. */
template <typename SHAPE>
__device__ void fetch(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty)
{
    const int ahead = a.constant ? min(p.steps, (int)SHAPE::DEPTH_OF_PIPE) : 0;
    for (int i = 0; i < ahead; i++)
        fetch_weight<SHAPE>(a, p, i, stages, full);
    em_grid_wait();
    for (int i = 0; i < p.steps; i++) {
        int s = i % SHAPE::DEPTH_OF_PIPE;
        char *x = stages + s * SHAPE::STAGE_BYTES;
        if (i >= SHAPE::DEPTH_OF_PIPE)
            em_barrier_wait(&empty[s], (i / SHAPE::DEPTH_OF_PIPE - 1) & 1);
        if (i >= ahead)
            fetch_weight<SHAPE>(a, p, i, stages, full);
        em_tile_load(x, &a.x, (p.first + i) * DEEP, p.row, &full[s]);
        em_tile_load(x + SHAPE::X_BYTES / 2, &a.x, (p.first + i) * DEEP + HALF, p.row, &full[s]);
    }
}

/* The upper halves of two f32 as a pair of bf16. */
__device__ __forceinline__ uint32_t upper_halves(float2 v)
{
    return __byte_perm(__float_as_uint(v.x), __float_as_uint(v.y), 0x7632);
}

__device__ __forceinline__ float2 without_upper(float2 v)
{
    return {v.x - __uint_as_float(__float_as_uint(v.x) & 0xffff0000u),
            v.y - __uint_as_float(__float_as_uint(v.y) & 0xffff0000u)};
}

/* Two neighbours of x as PARTS pairs of bf16. */
template <int PARTS> __device__ __forceinline__ void cut(float2 v, uint32_t (&part)[PARTS])
{
    if constexpr (PARTS == 1) {
        __nv_bfloat162 pair = __floats2bfloat162_rn(v.x, v.y);
        part[0] = *(uint32_t *)&pair;
    } else {
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            part[i] = upper_halves(v);
            v = without_upper(v);
        }
    }
}

/*
 * 32 of depth for a thread's two rows, as two steps of wgmma want them: part[step][register]. The rows of 128 bytes are
 * swizzled; odd ones are read with the steps the other way round, so that a half warp meets each bank once.
 */
template <int PARTS> __device__ __forceinline__ void load_x(const char *tile, int row, uint32_t (&part)[PARTS][2][4])
{
    const int lane = threadIdx.x % 32, within = lane & 3, odd = row & 1;
    float2 v[2][4];
#pragma unroll
    for (int step = 0; step < 2; step++)
#pragma unroll
        for (int r = 0; r < 4; r++) {
            int chunk = ((step ^ odd) * 4 + (r >> 1) * 2 + (within >> 1)) ^ (row & 7);
            v[step][r] = *(const float2 *)(tile + (row + (r & 1) * 8) * 128 + chunk * 16 + (within & 1) * 8);
        }
#pragma unroll
    for (int step = 0; step < 2; step++)
#pragma unroll
        for (int r = 0; r < 4; r++) {
            uint32_t parts[PARTS];
            cut<PARTS>(odd ? v[step ^ 1][r] : v[step][r], parts);
#pragma unroll
            for (int p = 0; p < PARTS; p++)
                part[p][step][r] = parts[p];
        }
}

/* The products of parts that count: those of the upper 8 bits with all, of the next with the next, and so on. Smallest
 * first over all of the depth, for each cuts the sum off: where it is small little is lost. */
template <typename SHAPE>
__device__ __forceinline__ void multiply(float (&sums)[SHAPE::WIDE / 2], const uint32_t (&part)[SHAPE::X_PARTS][2][4],
                                         uint64_t w, bool fresh)
{
    constexpr int LAST = SHAPE::X_PARTS - 1;
    em_wgmma_begin();
#pragma unroll
    for (int sum = LAST; sum >= 0; sum--)
#pragma unroll
        for (int q = SHAPE::W_PARTS - 1; q >= 0; q--)
#pragma unroll
            for (int step = 0; step < 2 && sum >= q; step++) {
                bool is_first = step == 0 && sum == LAST && q == SHAPE::W_PARTS - 1;
                em_wgmma<SHAPE::WIDE>::bf16(sums, part[sum - q][step], w + q * (SHAPE::W_BYTES >> 4) + step * 2,
                                            !(fresh && is_first));
            }
    em_wgmma_commit();
}

/* Sums stay in the matrix units' accumulators, which are cut off, not rounded: good enough where x was rounded. */
template <typename SHAPE>
__device__ __forceinline__ void accumulate(int steps, const char *stages, uint64_t *full, uint64_t *empty,
                                           float (&sums)[SHAPE::WIDE / 2])
{
    constexpr int PENDING = 1;
    const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
    uint32_t first[1][2][4], second[1][2][4];
    for (int i = 0; i < steps; i++) {
        int s = i % SHAPE::DEPTH_OF_PIPE;
        const char *x = stages + s * SHAPE::STAGE_BYTES;
        uint64_t w = em_wgmma_b(x + SHAPE::X_BYTES);
        em_barrier_wait(&full[s], i / SHAPE::DEPTH_OF_PIPE & 1);
        load_x<1>(x, row, first);
        multiply<SHAPE>(sums, first, w, i == 0);
        em_wgmma_wait<PENDING>(); /* the second half of the stage before is done */
        if (i > 0 && threadIdx.x % 32 == 0)
            em_barrier_arrive(&empty[(i - 1) % SHAPE::DEPTH_OF_PIPE]);
        load_x<1>(x + SHAPE::X_BYTES / 2, row, second);
        multiply<SHAPE>(sums, second, w + 4, false);
        em_wgmma_wait<PENDING>();
    }
    em_wgmma_wait<0>();
    em_wgmma_pin(sums);
}

template <int N> __device__ __forceinline__ void add_to(float (&sums)[N], float (&more)[N])
{
    em_wgmma_wait<0>();
    em_wgmma_pin(more);
#pragma unroll
    for (int j = 0; j < N; j++)
        sums[j] += more[j];
}

/* Each half of a stage is summed up by the matrix units, and added to the sums with rounding. What is next is read and
 * cut meanwhile. */
template <typename SHAPE>
__device__ __forceinline__ void accumulate_exactly(int steps, const char *stages, uint64_t *full, uint64_t *empty,
                                                   float (&sums)[SHAPE::WIDE / 2])
{
    const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4;
    uint32_t first[SHAPE::X_PARTS][2][4], second[SHAPE::X_PARTS][2][4];
    float half[SHAPE::WIDE / 2];
#pragma unroll
    for (int j = 0; j < SHAPE::WIDE / 2; j++)
        sums[j] = 0;
    em_barrier_wait(&full[0], 0);
    load_x<SHAPE::X_PARTS>(stages, row, first);
    for (int i = 0; i < steps; i++) {
        const int s = i % SHAPE::DEPTH_OF_PIPE, next = (i + 1) % SHAPE::DEPTH_OF_PIPE;
        const char *x = stages + s * SHAPE::STAGE_BYTES;
        const uint64_t w = em_wgmma_b(x + SHAPE::X_BYTES);
        multiply<SHAPE>(half, first, w, true);
        load_x<SHAPE::X_PARTS>(x + SHAPE::X_BYTES / 2, row, second);
        add_to(sums, half);
        multiply<SHAPE>(half, second, w + 4, true);
        if (i + 1 < steps) {
            em_barrier_wait(&full[next], (i + 1) / SHAPE::DEPTH_OF_PIPE & 1);
            load_x<SHAPE::X_PARTS>(stages + next * SHAPE::STAGE_BYTES, row, first);
        }
        add_to(sums, half);
        if (threadIdx.x % 32 == 0)
            em_barrier_arrive(&empty[s]);
    }
}

/* Element `i` of a row of the weight: one bf16, or the sum of parts that lie `apart` elements from each other. */
template <typename SHAPE> __device__ __forceinline__ float weight_at(const __nv_bfloat16 *w, int64_t apart)
{
    float sum = __bfloat162float(*w);
    for (int q = 1; q < SHAPE::W_PARTS && isfinite(sum); q++)
        sum += __bfloat162float(w[q * apart]);
    return sum;
}

/* A sum with something in it that is not finite, by itself. */
template <typename SHAPE> __device__ __noinline__ float sum_alone(const arguments &a, int weight, int row, int column)
{
    const float *x = a.x_at + row * a.x_step;
    const __nv_bfloat16 *w = a.w_at[weight] + column * a.w_step[weight];
    int64_t apart = (a.column[weight + 1] - a.column[weight]) * a.w_step[weight];
    float sum = 0;
    for (int i = 0; i < a.k; i++)
        sum = fmaf(SHAPE::X_PARTS == 1 ? __bfloat162float(__float2bfloat16_rn(x[i])) : x[i],
                   weight_at<SHAPE>(w + i, apart), sum);
    return sum;
}

/* The warpgroup's sums to shared memory, rows PITCH apart. */
template <typename SHAPE> __device__ __forceinline__ void lay_down(const float (&sums)[SHAPE::WIDE / 2], float *to)
{
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane / 4;
#pragma unroll
    for (int j = 0; j < SHAPE::WIDE / 8; j++) {
        float *at = to + row * SHAPE::PITCH + j * 8 + (lane & 3) * 2;
        *(float2 *)at = {sums[j * 4], sums[j * 4 + 1]};
        *(float2 *)(at + 8 * SHAPE::PITCH) = {sums[j * 4 + 2], sums[j * 4 + 3]};
    }
}

/* Where a lane's piece `i` of its warp's 16 rows is, and which element of the result begins there. */
template <typename SHAPE, int EACH> struct piece {
    int row, column; /* the column within the weight */
    float *sum;
    int64_t at;
    bool there;
    __device__ __forceinline__ piece(const arguments &a, const place &p, float *sums, int i)
    {
        enum { ACROSS = SHAPE::WIDE / EACH };
        int e = i * 32 + threadIdx.x % 32, within = threadIdx.x / 32 * 16 + e / ACROSS;
        row = p.row + within;
        column = p.column + e % ACROSS * EACH;
        sum = sums + within * SHAPE::PITCH + e % ACROSS * EACH;
        at = (int64_t)row * a.n + a.column[p.weight] + column;
        there = row < a.m && column < a.column[p.weight + 1] - a.column[p.weight];
    }
};

__device__ __forceinline__ void cluster_wait()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/* Whether piece i of so many is this block's to finish, of a tile that blocks share. */
__device__ __forceinline__ bool is_mine(const arguments &a, const place &p, int i, int pieces)
{
    return a.split == 1 || i * a.split / pieces == p.rank;
}

/* The sums of this block's pieces: what the cluster's blocks have at one place, in order. */
template <typename SHAPE> __device__ __forceinline__ void gather(const arguments &a, const place &p, float *sums)
{
    enum { PIECES = SHAPE::WIDE / 8, ACROSS = SHAPE::WIDE / 4 };
#pragma unroll 1
    for (int i = 0; i < PIECES; i++) {
        const int e = i * 32 + threadIdx.x % 32;
        float *at = sums + (threadIdx.x / 32 * 16 + e / ACROSS) * SHAPE::PITCH + e % ACROSS * 4;
        float4 sum = {0, 0, 0, 0};
        if (!is_mine(a, p, i, PIECES))
            continue;
#pragma unroll 4
        for (int rank = 0; rank < a.split; rank++) {
            float4 x;
            unsigned there;
            asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(em_shared(at)), "r"(rank));
            asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
                         : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w)
                         : "r"(there)
                         : "memory");
            sum = {sum.x + x.x, sum.y + x.y, sum.z + x.z, sum.w + x.w};
        }
        *(float4 *)at = sum;
    }
    __syncwarp();
}

/* Four sums, those that are not finite taken again. */
template <typename SHAPE>
__device__ __forceinline__ float4 mended(const arguments &a, const place &p, const piece<SHAPE, 4> &at)
{
    float4 v = *(const float4 *)at.sum;
    if (at.there && !isfinite(v.x + v.y + v.z + v.w))
        for (int j = 0; j < 4; j++)
            if (!isfinite(at.sum[j]))
                at.sum[j] = sum_alone<SHAPE>(a, p.weight, at.row, at.column + j);
    return *(const float4 *)at.sum;
}

__device__ __forceinline__ float4 plus(float4 a, float4 b)
{
    return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}

/* Four columns a lane. The activation is one short loop, for there is little room for instructions; what is read from
 * afar is read ahead. */
template <typename SHAPE>
__device__ __forceinline__ void finish_by_four(const arguments &a, const place &p, float *sums)
{
    enum { PIECES = SHAPE::WIDE / 8, BATCH = 8 };
    float4 bias[2] = {};
    for (int i = 0; i < 2 && a.bias; i++) { /* a lane's columns are those of its first two pieces */
        piece<SHAPE, 4> at(a, p, sums, i);
        if (at.column < a.column[p.weight + 1] - a.column[p.weight])
            bias[i] = *(const float4 *)(a.bias + a.column[p.weight] + at.column);
    }
#pragma unroll 1
    for (int i = 0; i < PIECES && a.op != EM__OP_COPY; i++) {
        piece<SHAPE, 4> at(a, p, sums, i);
        if (!is_mine(a, p, i, PIECES))
            continue;
        float4 v = plus(mended<SHAPE>(a, p, at), i & 1 ? bias[1] : bias[0]);
        *(float4 *)at.sum = {em_activate(a.op, v.x), em_activate(a.op, v.y), em_activate(a.op, v.z),
                             em_activate(a.op, v.w)};
    }
    for (int first = 0; first < PIECES; first += BATCH) {
        float4 residual[BATCH];
#pragma unroll
        for (int i = 0; i < BATCH; i++) {
            piece<SHAPE, 4> at(a, p, sums, first + i);
            at.there = at.there && is_mine(a, p, first + i, PIECES);
            residual[i] = a.residual && at.there ? *(const float4 *)(a.residual + at.at) : float4{0, 0, 0, 0};
        }
#pragma unroll
        for (int i = 0; i < BATCH; i++) {
            piece<SHAPE, 4> at(a, p, sums, first + i);
            at.there = at.there && is_mine(a, p, first + i, PIECES);
            float4 v = a.op == EM__OP_COPY ? plus(mended<SHAPE>(a, p, at), bias[i & 1]) : *(const float4 *)at.sum;
            if (at.there)
                *(float4 *)(a.out + at.at) = plus(v, residual[i]);
        }
    }
}

template <typename SHAPE> __device__ __forceinline__ void finish(const arguments &a, const place &p, float *sums)
{
#pragma unroll 1
    for (int i = 0; i < SHAPE::WIDE / 2; i++) {
        piece<SHAPE, 1> at(a, p, sums, i);
        if (!at.there || !is_mine(a, p, i, SHAPE::WIDE / 2))
            continue;
        float sum = isfinite(*at.sum) ? *at.sum : sum_alone<SHAPE>(a, p.weight, at.row, at.column);
        sum = em_activate(a.op, a.bias ? sum + a.bias[a.column[p.weight] + at.column] : sum);
        a.out[at.at] = a.residual ? sum + a.residual[at.at] : sum;
    }
}

/* From sums to the result, for a thread of a warpgroup. */
template <typename SHAPE>
__device__ __forceinline__ void work(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty)
{
    float sums[SHAPE::WIDE / 2];
    if constexpr (SHAPE::X_PARTS == 1)
        accumulate<SHAPE>(p.steps, stages, full, empty, sums);
    else
        accumulate_exactly<SHAPE>(p.steps, stages, full, empty, sums);
    asm volatile("bar.sync 1, %0;" ::"n"((int)SHAPE::WORKERS) : "memory"); /* no stage is read any more */
    lay_down<SHAPE>(sums, (float *)stages);
    __syncwarp();
    if (a.split > 1) {
        cluster_wait();
        gather<SHAPE>(a, p, (float *)stages);
        asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory"); /* nothing is read from afar any more */
    }
    if (a.by_four)
        finish_by_four<SHAPE>(a, p, (float *)stages);
    else
        finish<SHAPE>(a, p, (float *)stages);
    if (a.split > 1)
        asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

template <typename SHAPE>
__global__ void __launch_bounds__(SHAPE::THREADS, 1) tiles_kernel(const __grid_constant__ arguments a)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ char memory[];
    __shared__ uint64_t full[SHAPE::DEPTH_OF_PIPE], empty[SHAPE::DEPTH_OF_PIPE];
    char *stages = memory + (-em_shared(memory) & 1023);
    const place p = place_of<SHAPE>(a);
    em_grid_next();
    if (threadIdx.x == 0) {
        for (int i = 0; i < SHAPE::DEPTH_OF_PIPE; i++) {
            em_barrier_init(&full[i], 1);
            em_barrier_init(&empty[i], SHAPE::WORKERS / 32);
        }
        em_barrier_publish();
    }
    __syncthreads();
    if (threadIdx.x >= SHAPE::WORKERS) {
        if constexpr (SHAPE::THREADS - SHAPE::WORKERS == GROUP)
            em_registers_give<40>();
        if (threadIdx.x == SHAPE::WORKERS)
            fetch<SHAPE>(a, p, stages, full, empty);
        else
            em_grid_wait();
        if (a.split > 1) { /* the cluster counts all threads */
            __syncwarp();
            cluster_wait();
            cluster_wait();
        }
    } else {
        em_grid_wait();
        if constexpr (SHAPE::THREADS - SHAPE::WORKERS == GROUP)
            em_registers_take<232>();
        work<SHAPE>(a, p, stages, full, empty);
    }
#endif
}

/* The bf16 next to a weight; the upper half of one that would become an infinity. */
__device__ __forceinline__ float nearest(float v)
{
    const float near = __bfloat162float(__float2bfloat16_rn(v));
    return isinf(near) ? __uint_as_float(__float_as_uint(v) & 0xffff0000u) : near;
}

/* w [rows, depth] of f32 to three bf16 that add up to it, [3][rows][depth]. Rounded, they have either sign, and what is
 * left out of products vanishes on average. */
__global__ void cut_weight(const float *w, int64_t row_step, int64_t depth, int64_t size, __nv_bfloat16 *to)
{
    em_grid_wait();
    for (int64_t i = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) * 2; i < size;
         i += (int64_t)gridDim.x * blockDim.x * 2) {
        const float *from = w + i / depth * row_step + i % depth;
        float2 v = {from[0], from[1]};
        for (int q = 0; q < 3; q++) {
            const float2 part = {nearest(v.x), nearest(v.y)};
            *(uint32_t *)(to + q * size + i) = upper_halves(part);
            v = {v.x - part.x, v.y - part.y};
        }
    }
}

#endif
