/*
 * The kernel of thin.cu: a block makes 32 rows (16 behind attention) by 8 * COLUMNS columns of the result. Each of its
 * warps has 32 of the depth, or EACH times 32, straight from memory to registers; where that is not all of the depth,
 * blocks of a cluster share it. Sums of warps, then of blocks, are put together in order in shared memory.
 *
 * Weights are fetched before the kernel before has ended, where they are constants. f32 is cut (mma.cuh); a sum that is
 * no number is taken again, element by element, but behind attention.
 */
#ifndef EM_DEVICE_CUDA_THIN_KERNEL_CUH
#define EM_DEVICE_CUDA_THIN_KERNEL_CUH

#include "device/cuda/activate.cuh"
#include "device/cuda/attention_short.cuh"
#include "device/cuda/thin.h"

namespace em_thin
{

enum { MOST_ROWS = 32, MOST_WARPS = 16, FEW_WARPS = 12, DEEP = 32 };

struct arguments {
    em__thin t;
    int column[EM_THIN_WEIGHTS + 1]; /* with which a weight begins */
    int cluster;
};

/* Rows of 16 that a block has: attention needs the registers of the others. */
template <int FROM> constexpr int blocks()
{
    return FROM == EM_THIN_ATTENTION ? 1 : 2;
}

/* Which part of the product a thread works on. */
struct place {
    int weight, row, column; /* of the block's tile; the column within the weight */
    int warp, g, c, depth[2];
};

template <int FROM, int COLUMNS, int EACH> __device__ __forceinline__ place place_of(const arguments &a)
{
    place p = {0, (int)blockIdx.y * blocks<FROM>() * 16, (int)blockIdx.x / a.cluster * COLUMNS * 8};
    const int warps = blockDim.x / 32, rank = blockIdx.x % a.cluster;
    while (p.column >= a.column[p.weight + 1])
        p.weight++;
    p.column -= a.column[p.weight];
    p.warp = threadIdx.x / 32;
    p.g = threadIdx.x % 32 / 4;
    p.c = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < EACH; i++)
        p.depth[i] = ((rank * EACH + i) * warps + p.warp) * DEEP + p.c * 8;
    return p;
}

/* Rows of a warp: blocks of 16, of which a lane has g and g + 8. */
__device__ __forceinline__ int row_of(const place &p, int b, int high)
{
    return p.row + b * 16 + high * 8 + p.g;
}

template <typename T, int FROM, int EACH> struct rows {
    em_lane_operand<T> x[EACH][blocks<FROM>()][2];
};

template <bool WIDE, typename T, int EACH>
__device__ __forceinline__ void read_plain(const arguments &a, const place &p, rows<T, EM_THIN_PLAIN, EACH> *r)
{
    constexpr int BLOCKS = blocks<EM_THIN_PLAIN>();
    em_lane_eight<T> e[EACH][BLOCKS][2];
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int b = 0; b < BLOCKS; b++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                e[i][b][h] = em_lane_fetch<WIDE>((const T *)a.t.x + (int64_t)row_of(p, b, h) * a.t.k + p.depth[i],
                                                 row_of(p, b, h) < a.t.m && p.depth[i] < a.t.k);
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int b = 0; b < BLOCKS; b++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                r->x[i][b][h] = em_lane_operand_of<T>(e[i][b][h]);
}

__device__ __forceinline__ float quad_sum(float x)
{
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}

/* Mean, and one over the deviation, of each row of the tile. */
struct moments {
    float mean[MOST_ROWS], scale[MOST_ROWS];
    float sum[MOST_WARPS][MOST_ROWS], squares[MOST_WARPS][MOST_ROWS];
};

/* A row's element after the norm. */
__device__ __forceinline__ float normal(float x, float mean, float scale, float gain, float bias)
{
    return fmaf((x - mean) * scale, gain, bias);
}

/* The warps' moments as one: each is of 32 * EACH elements. All are read before any is looked at. */
template <int EACH> __device__ __forceinline__ void join(const arguments &a, moments *m)
{
    constexpr float COUNT = DEEP * EACH;
    const int row = threadIdx.x, warps = blockDim.x / 32;
    float sums[MOST_WARPS], squares[MOST_WARPS], sum = 0, all = 0;
    if (row >= MOST_ROWS)
        return;
#pragma unroll
    for (int w = 0; w < MOST_WARPS; w++) {
        sums[w] = w < warps ? m->sum[w][row] : 0;
        squares[w] = w < warps ? m->squares[w][row] : 0;
    }
#pragma unroll
    for (int w = 0; w < MOST_WARPS; w++)
        sum += sums[w];
    const float mean = sum / (float)a.t.k;
#pragma unroll
    for (int w = 0; w < MOST_WARPS; w++) {
        const float apart = sums[w] / COUNT - mean;
        all += w < warps ? squares[w] + COUNT * apart * apart : 0;
    }
    m->mean[row] = mean;
    m->scale[row] = 1 / sqrtf(all / (float)a.t.k + a.t.norm.eps);
}

/* Gain and bias of a norm, for the lane's depth; 1 and 0 where there are none. */
template <typename T, int EACH> struct norm_weights {
    em_lane_eight<T> gain[EACH], bias[EACH];
};

template <bool WIDE, typename T, int EACH>
__device__ __forceinline__ void read_norm_weights(const arguments &a, const place &p, norm_weights<T, EACH> *w)
{
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        w->gain[i] = em_lane_fetch<WIDE>((const T *)a.t.norm.gain + p.depth[i], a.t.norm.gain != NULL);
        w->bias[i] = em_lane_fetch<WIDE>((const T *)a.t.norm.bias + p.depth[i], a.t.norm.bias != NULL);
#pragma unroll
        for (int j = 0; j < 8; j++)
            if (!a.t.norm.gain)
                ((T *)w->gain[i].x)[j] = (T)1.0f;
    }
}

template <bool WIDE, typename T> __device__ __forceinline__ void keep(T *to, const float (&v)[8])
{
    em_lane_eight<T> e;
#pragma unroll
    for (int j = 0; j < 8; j++)
        ((T *)e.x)[j] = (T)v[j];
#pragma unroll
    for (int j = 0; j < em_mma_traits<T>::FETCHES && WIDE; j++)
        ((uint4 *)to)[j] = e.x[j];
    for (int j = 0; j < 8 && !WIDE; j++)
        to[j] = (T)v[j];
}

/* The depth is EACH * 32 of every warp of the block: there is no cluster, and no rest. */
template <bool WIDE, typename T, int EACH>
__device__ __forceinline__ void read_normal(const arguments &a, const place &p, const norm_weights<T, EACH> &w,
                                            moments *m, rows<T, EM_THIN_NORM, EACH> *r)
{
    constexpr int BLOCKS = blocks<EM_THIN_NORM>();
    float v[BLOCKS][2][EACH][8];
    em_lane_eight<T> e[BLOCKS][2][EACH], added[BLOCKS][2][EACH] = {};
#pragma unroll
    for (int b = 0; b < BLOCKS; b++)
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                const int64_t at = (int64_t)row_of(p, b, h) * a.t.k + p.depth[i];
                const bool on = row_of(p, b, h) < a.t.m;
                e[b][h][i] = em_lane_fetch<WIDE>((const T *)a.t.x + at, on);
                if (a.t.norm.added)
                    added[b][h][i] = em_lane_fetch<WIDE>((const T *)a.t.norm.added + at, on);
            }
#pragma unroll
    for (int b = 0; b < BLOCKS; b++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float sum = 0, squares = 0;
#pragma unroll
            for (int i = 0; i < EACH * 8; i++)
                sum += v[b][h][i / 8][i % 8] = e[b][h][i / 8].at(i % 8) + added[b][h][i / 8].at(i % 8);
            sum = quad_sum(sum);
#pragma unroll
            for (int i = 0; i < EACH * 8; i++) {
                const float apart = v[b][h][i / 8][i % 8] - sum / (DEEP * EACH);
                squares += apart * apart;
            }
            squares = quad_sum(squares);
            if (p.c == 0) {
                m->sum[p.warp][b * 16 + h * 8 + p.g] = sum;
                m->squares[p.warp][b * 16 + h * 8 + p.g] = squares;
            }
        }
    __syncthreads();
    join<EACH>(a, m);
    __syncthreads();
#pragma unroll
    for (int b = 0; b < BLOCKS; b++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int row = b * 16 + h * 8 + p.g;
#pragma unroll
            for (int i = 0; i < EACH; i++) {
#pragma unroll
                for (int j = 0; j < 8; j++)
                    v[b][h][i][j] =
                        normal(v[b][h][i][j], m->mean[row], m->scale[row], w.gain[i].at(j), w.bias[i].at(j));
                r->x[i][b][h] = em_lane_operand_of<T>(v[b][h][i]);
                if (blockIdx.x == 0 && p.row + row < a.t.m)
                    keep<WIDE>((T *)a.t.norm.normed + (int64_t)(p.row + row) * a.t.k + p.depth[i], v[b][h][i]);
            }
        }
}

/* The keys that row `lane` of the tile sees, of 16. */
__device__ __forceinline__ int2 keys_of_row(const arguments &a, const place &p)
{
    const auto &t = a.t.attention;
    const int mine = p.row + threadIdx.x % 16;
    int2 keys = {a.t.m, 0};
    for (int i = 0; i < t.segments; i++) {
        const int from = min(max(t.offsets[i * t.offset_step], 0), a.t.m);
        const int to = min(max(t.offsets[(i + 1) * t.offset_step], from), a.t.m);
        if (from <= mine && mine < to)
            keys = {from, to};
    }
    return keys;
}

/* A warp has a head, whose results are where a left operand's elements belong. Where 32 keys are all that there are
 * they are fetched before it is known who sees them. */
template <bool WIDE, typename T>
__device__ __forceinline__ void read_attention(const arguments &a, const place &p, rows<T, EM_THIN_ATTENTION, 1> *r)
{
    constexpr int BLOCKS = blocks<EM_THIN_ATTENTION>();
    const auto &t = a.t.attention;
    const int head = p.warp * 32;
    const em_short::head<T> one = {
        (const T *)t.q + head, (const T *)t.k + head, (const T *)t.v + head, t.q_step, t.k_step, t.v_step};
    const bool once = a.t.m <= em_short::KEYS;
    em_short::queries<T, 32> q[BLOCKS];
    em_short::tile<T, 32> tile;
    em_short::result<32> x[BLOCKS];
    em_short::seen keys[BLOCKS];
    if (once)
        em_short::fetch_tile<WIDE>(&tile, one, 0, a.t.m);
#pragma unroll
    for (int b = 0; b < BLOCKS; b++)
        em_short::fetch_queries<WIDE>(&q[b], one, p.row + b * 16, a.t.m);
    const int2 mine = keys_of_row(a, p);
    const int first = __reduce_min_sync(~0u, mine.x), end = __reduce_max_sync(~0u, mine.y);
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
        em_short::start(&x[b]);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            keys[b].first[h] = __shfl_sync(~0u, mine.x, b * 16 + h * 8 + p.g);
            keys[b].end[h] = __shfl_sync(~0u, mine.y, b * 16 + h * 8 + p.g);
        }
    }
    for (int from = once ? 0 : first; from < end; from += em_short::KEYS) {
        if (!once)
            em_short::fetch_tile<WIDE>(&tile, one, from, end);
        if (once && (first > 0 || end < a.t.m))
            em_short::clear_values(&tile, from, first, end);
#pragma unroll
        for (int b = 0; b < BLOCKS; b++)
            em_short::add_tile(q[b], tile, from, keys[b], t.scale * 1.4426950408889634f, &x[b]);
    }
#pragma unroll
    for (int b = 0; b < BLOCKS; b++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float to[8];
            em_short::divided(x[b], h, to);
            r->x[0][b][h] = em_lane_operand_of<T>(to);
        }
}

/* x[row, i] as the product sees it. */
template <typename T>
__device__ __forceinline__ float element(const arguments &a, const moments *m, int row, int tile_row, int i)
{
    const int64_t at = (int64_t)row * a.t.k + i;
    float x = (float)((const T *)a.t.x)[at];
    if (!m)
        return x;
    if (a.t.norm.added)
        x += (float)((const T *)a.t.norm.added)[at];
    const T *gain = (const T *)a.t.norm.gain, *bias = (const T *)a.t.norm.bias;
    return normal(x, m->mean[tile_row], m->scale[tile_row], gain ? (float)gain[i] : 1, bias ? (float)bias[i] : 0);
}

/* A sum of f32 with something in it that is not finite, by itself. */
template <typename T>
__device__ __noinline__ float sum_alone(const arguments &a, const place &p, const moments *m, int tile_row, int column)
{
    const T *w = (const T *)a.t.w[p.weight].at + column * a.t.w[p.weight].step;
    float sum = 0;
    for (int i = 0; i < a.t.k; i++)
        sum = fmaf(element<T>(a, m, p.row + tile_row, tile_row, i), (float)w[i], sum);
    return sum;
}

__device__ __forceinline__ void cluster_arrive()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
}

__device__ __forceinline__ void cluster_wait()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

/* To this place of the shared memory of block `rank` of the cluster. */
__device__ __forceinline__ void store_at(const float2 *here, int rank, float2 x)
{
#if __CUDA_ARCH__ >= 900
    unsigned at;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
                 : "=r"(at)
                 : "r"((unsigned)__cvta_generic_to_shared(here)), "r"(rank));
    asm volatile("st.shared::cluster.v2.f32 [%0], {%1, %2};" ::"r"(at), "f"(x.x), "f"(x.y) : "memory");
#endif
}

template <int COLUMNS> constexpr int pitch()
{
    return COLUMNS * 8 + 2;
}

/* Two neighbours of the result that a thread finishes, and what is fetched for them early. */
struct pair {
    int row, column; /* of the tile */
    float bias[2], residual[2];
};

template <int COLUMNS> __device__ __forceinline__ pair pair_at(int i)
{
    return {i / (COLUMNS * 4), i % (COLUMNS * 4) * 2};
}

__device__ __forceinline__ bool is_there(const arguments &a, const place &p, const pair &at, int i)
{
    return p.row + at.row < a.t.m && a.column[p.weight] + p.column + at.column + i < a.column[p.weight + 1];
}

template <typename T> __device__ __forceinline__ void read_bias(const arguments &a, const place &p, pair *at)
{
    const T *bias = (const T *)a.t.bias + a.column[p.weight] + p.column + at->column;
#pragma unroll
    for (int i = 0; i < 2; i++)
        at->bias[i] = a.t.bias && is_there(a, p, *at, i) ? (float)bias[i] : 0.0f;
}

__device__ __forceinline__ int64_t index_of(const arguments &a, const place &p, const pair &at)
{
    return (int64_t)(p.row + at.row) * a.t.n + a.column[p.weight] + p.column + at.column;
}

template <typename T> __device__ __forceinline__ void read_residual(const arguments &a, const place &p, pair *at)
{
    const T *residual = (const T *)a.t.residual + index_of(a, p, *at);
#pragma unroll
    for (int i = 0; i < 2; i++)
        at->residual[i] = a.t.residual && is_there(a, p, *at, i) ? (float)residual[i] : 0.0f;
}

/* Bias, activation, residual and rounding. */
template <typename T, int FROM>
__device__ __forceinline__ void finish(const arguments &a, const place &p, const moments *m, const pair &at, float2 sum)
{
    T *to = (T *)a.t.out + index_of(a, p, at);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float x = i ? sum.y : sum.x;
        if (!is_there(a, p, at, i))
            continue;
        if (em_mma_traits<T>::PARTS > 1 && FROM != EM_THIN_ATTENTION && !isfinite(x))
            x = sum_alone<T>(a, p, m, at.row, p.column + at.column + i);
        x = em_activate((int)a.t.activation, a.t.bias ? x + at.bias[i] : x);
        to[i] = (T)(a.t.residual ? x + at.residual[i] : x);
    }
}

/* A pair that was not fetched early. */
template <typename T, int FROM, int COLUMNS>
__device__ __forceinline__ void finish_late(const arguments &a, const place &p, const moments *m, int i, float2 sum)
{
    pair at = pair_at<COLUMNS>(i);
    read_bias<T>(a, p, &at);
    read_residual<T>(a, p, &at);
    finish<T, FROM>(a, p, m, at, sum);
}

/* The warps' sums, then the blocks', two neighbours a thread; `early` is the first of them that the thread finishes.
 * Pair i is block i % cluster's, to which the others bring theirs. */
template <typename T, int FROM, int COLUMNS>
__device__ __forceinline__ void put_together(const arguments &a, const place &p, const moments *m, const float *sums,
                                             const pair &early)
{
    constexpr int PAIRS = COLUMNS * 4, PITCH = pitch<COLUMNS>(), ROWS = 16 * blocks<FROM>();
    __shared__ float2 brought[ROWS * PAIRS]; /* [cluster][pairs of a block] */
    const int warps = blockDim.x / 32, rank = blockIdx.x % a.cluster, own = ROWS * PAIRS / a.cluster;
    if (a.cluster > 1)
        cluster_wait(); /* all have begun: they arrived as they did */
    for (int i = threadIdx.x; i < ROWS * PAIRS; i += blockDim.x) {
        const float *from = sums + i / PAIRS * PITCH + i % PAIRS * 2;
        float2 sum = {0, 0}, x[MOST_WARPS];
#pragma unroll
        for (int w = 0; w < MOST_WARPS; w++)
            x[w] = w < warps ? *(const float2 *)(from + w * ROWS * PITCH) : float2{0, 0};
#pragma unroll
        for (int w = 0; w < MOST_WARPS; w++)
            sum = {sum.x + x[w].x, sum.y + x[w].y};
        if (a.cluster > 1)
            store_at(&brought[rank * own + i / a.cluster], i % a.cluster, sum);
        else if (i == (int)threadIdx.x)
            finish<T, FROM>(a, p, m, early, sum);
        else
            finish_late<T, FROM, COLUMNS>(a, p, m, i, sum);
    }
    if (a.cluster == 1)
        return;
    cluster_arrive();
    cluster_wait();
    for (int i = threadIdx.x; i < own; i += blockDim.x) {
        float2 sum = {0, 0};
#pragma unroll 4
        for (int b = 0; b < a.cluster; b++)
            sum = {sum.x + brought[b * own + i].x, sum.y + brought[b * own + i].y};
        if (i == (int)threadIdx.x)
            finish<T, FROM>(a, p, m, early, sum);
        else
            finish_late<T, FROM, COLUMNS>(a, p, m, rank + i * a.cluster, sum);
    }
}

/* Threads of a block, at most: some need many registers. */
template <typename T, int FROM> constexpr int threads()
{
    return FROM == EM_THIN_PLAIN || (FROM == EM_THIN_ATTENTION && sizeof(T) == 2) ? MOST_WARPS * 32 : FEW_WARPS * 32;
}

template <typename T, int FROM, int COLUMNS, int EACH, bool WIDE>
__global__ void __launch_bounds__(threads<T, FROM>(), 1) thin_kernel(const __grid_constant__ arguments a)
{
    constexpr int PITCH = pitch<COLUMNS>(), BLOCKS = blocks<FROM>(), ROWS = 16 * BLOCKS;
    extern __shared__ float sums[];
    __shared__ moments shared;
    moments *m = FROM == EM_THIN_NORM ? &shared : NULL;
    const place p = place_of<FROM, COLUMNS, EACH>(a);
    rows<T, FROM, EACH> x;
    em_lane_operand<T> w[EACH][COLUMNS];
    norm_weights<T, EACH> own;
    pair early = pair_at<COLUMNS>(blockIdx.x % a.cluster + threadIdx.x * a.cluster);
    em_grid_next();
    if (a.cluster > 1)
        cluster_arrive();
    if (!a.t.constant)
        em_grid_wait();
    if constexpr (FROM == EM_THIN_NORM)
        read_norm_weights<WIDE>(a, p, &own);
    read_bias<T>(a, p, &early);
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            const int column = p.column + j * 8 + p.g;
            const bool on = column < a.t.w[p.weight].rows && p.depth[i] < a.t.k;
            w[i][j] = em_lane_operand_of<T, true>(
                em_lane_fetch<WIDE>((const T *)a.t.w[p.weight].at + column * a.t.w[p.weight].step + p.depth[i], on));
        }
    if (a.t.constant)
        em_grid_wait();
    read_residual<T>(a, p, &early);
    if constexpr (FROM == EM_THIN_NORM)
        read_normal<WIDE>(a, p, own, m, &x);
    else if constexpr (FROM == EM_THIN_ATTENTION)
        read_attention<WIDE>(a, p, &x);
    else
        read_plain<WIDE>(a, p, &x);
#pragma unroll
    for (int b = 0; b < BLOCKS; b++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            float v[4] = {};
#pragma unroll
            for (int i = 0; i < EACH; i++)
                em_lane_multiply<T>(v, x.x[i][b][0], x.x[i][b][1], w[i][j]);
            float *to = sums + (p.warp * ROWS + b * 16 + p.g) * PITCH + j * 8 + p.c * 2;
            *(float2 *)to = {v[0], v[1]};
            *(float2 *)(to + 8 * PITCH) = {v[2], v[3]};
        }
    __syncthreads();
    put_together<T, FROM, COLUMNS>(a, p, m, sums, early);
}

} // namespace em_thin
#endif
