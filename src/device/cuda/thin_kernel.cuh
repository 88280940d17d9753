/*
 * The kernel of thin.cu: a block makes 32 rows by 8 * COLUMNS columns of the result. Each of its warps has 32 of the
 * depth, or EACH times 32, straight from memory to registers; where that is not all of the depth, blocks of a cluster
 * share it. Sums of warps, then of blocks, are put together in order in shared memory.
 *
 * Weights are fetched before the kernel before has ended, where they are constants. f32 is cut into three bf16 that add
 * up to it; of nine products those six count that are not below f32's own last bit, and a sum that is no number is
 * taken again, element by element.
 */
#ifndef EM_DEVICE_CUDA_THIN_KERNEL_CUH
#define EM_DEVICE_CUDA_THIN_KERNEL_CUH

#include "device/cuda/activate.cuh"
#include "device/cuda/attention_short.cuh"
#include "device/cuda/thin.h"

namespace em_thin
{

enum { ROWS = 32, BLOCKS = ROWS / 16, MOST_WARPS = 16, DEEP = 32 };

struct arguments {
    em__thin t;
    int column[EM_THIN_WEIGHTS + 1]; /* with which a weight begins */
    int cluster;
};

template <typename T> struct traits {
    typedef T half;
    enum { PARTS = 1, FETCHES = 1 };
};
template <> struct traits<float> {
    typedef __nv_bfloat16 half;
    enum { PARTS = 3, FETCHES = 2 };
};

/* Eight elements as they lie. */
template <typename T> struct eight {
    uint4 x[traits<T>::FETCHES];
    __device__ __forceinline__ float at(int i) const
    {
        return (float)((const T *)x)[i];
    }
};

/* WIDE: p is at a multiple of 16 bytes. */
template <bool WIDE, typename T> __device__ __forceinline__ eight<T> fetch(const T *p, bool on)
{
    eight<T> e;
#pragma unroll
    for (int i = 0; i < traits<T>::FETCHES && WIDE; i++)
        e.x[i] = em_fetch<16>((const char *)p + 16 * i, on);
    for (int i = 0; i < 8 && !WIDE; i++)
        ((T *)e.x)[i] = on ? p[i] : (T)0.0f;
    return e;
}

/* Eight elements as the matrix units take them. */
template <typename T> struct operand {
    uint4 part[traits<T>::PARTS];
};

__device__ __forceinline__ uint32_t upper_halves(float x, float y)
{
    return __byte_perm(__float_as_uint(x), __float_as_uint(y), 0x7632);
}

__device__ __forceinline__ float without_upper(float x)
{
    return x - __uint_as_float(__float_as_uint(x) & 0xffff0000u);
}

template <typename T> __device__ __forceinline__ operand<T> operand_of(const float (&x)[8])
{
    operand<T> o;
    uint32_t *words = (uint32_t *)o.part;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float a = x[2 * i], b = x[2 * i + 1];
        if constexpr (traits<T>::PARTS == 1) {
            words[i] = em_pair<T>(a, b);
        } else {
#pragma unroll
            for (int p = 0; p < traits<T>::PARTS; p++) {
                words[4 * p + i] = upper_halves(a, b);
                a = without_upper(a);
                b = without_upper(b);
            }
        }
    }
    return o;
}

template <typename T> __device__ __forceinline__ operand<T> operand_of(const eight<T> &e)
{
    operand<T> o;
    if constexpr (traits<T>::PARTS == 1) {
        o.part[0] = e.x[0];
    } else {
        float x[8];
#pragma unroll
        for (int i = 0; i < 8; i++)
            x[i] = e.at(i);
        o = operand_of<T>(x);
    }
    return o;
}

/* Sums += rows times columns; smallest products first. */
template <typename T>
__device__ __forceinline__ void multiply(float (&sums)[4], const operand<T> &low, const operand<T> &high,
                                         const operand<T> &w)
{
    constexpr int LAST = traits<T>::PARTS - 1;
#pragma unroll
    for (int sum = LAST; sum >= 0; sum--)
#pragma unroll
        for (int q = LAST; q >= 0; q--)
            if (sum - q >= 0)
                em_mma_32<typename traits<T>::half>(sums, {low.part[sum - q], high.part[sum - q]}, w.part[q]);
}

/* Which part of the product a thread works on. */
struct place {
    int weight, row, column; /* of the block's tile; the column within the weight */
    int warp, g, c, depth[2];
};

template <int COLUMNS, int EACH> __device__ __forceinline__ place place_of(const arguments &a)
{
    place p = {0, (int)blockIdx.y * ROWS, (int)blockIdx.x / a.cluster * COLUMNS * 8};
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

/* Rows of a warp: BLOCKS of 16, of which a lane has g and g + 8. */
__device__ __forceinline__ int row_of(const place &p, int b, int high)
{
    return p.row + b * 16 + high * 8 + p.g;
}

template <typename T, int EACH> struct rows {
    operand<T> x[EACH][BLOCKS][2];
};

template <bool WIDE, typename T, int EACH>
__device__ __forceinline__ void read_plain(const arguments &a, const place &p, rows<T, EACH> *r)
{
    eight<T> e[EACH][BLOCKS][2];
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int b = 0; b < BLOCKS; b++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                e[i][b][h] = fetch<WIDE>((const T *)a.t.x + (int64_t)row_of(p, b, h) * a.t.k + p.depth[i],
                                         row_of(p, b, h) < a.t.m && p.depth[i] < a.t.k);
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int b = 0; b < BLOCKS; b++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                r->x[i][b][h] = operand_of<T>(e[i][b][h]);
}

__device__ __forceinline__ float quad_sum(float x)
{
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}

/* Mean, and one over the deviation, of each row of the tile. */
struct moments {
    float mean[ROWS], scale[ROWS];
    float sum[MOST_WARPS][ROWS], squares[MOST_WARPS][ROWS];
};

/* A row's element after the norm. */
template <typename T>
__device__ __forceinline__ float normal(float x, float mean, float scale, bool gain, float by, bool bias, float more)
{
    x = (x - mean) * scale;
    x = gain ? x * by : x;
    return bias ? x + more : x;
}

/* The warps' moments as one: each is of 32 * EACH elements. */
template <int EACH> __device__ __forceinline__ void join(const arguments &a, moments *m)
{
    const int row = threadIdx.x, warps = blockDim.x / 32;
    const float count = DEEP * EACH;
    if (row >= ROWS)
        return;
    float sum = 0, squares = 0;
    for (int w = 0; w < warps; w++)
        sum += m->sum[w][row];
    const float mean = sum / (float)a.t.k;
    for (int w = 0; w < warps; w++) {
        const float apart = m->sum[w][row] / count - mean;
        squares += m->squares[w][row] + count * apart * apart;
    }
    m->mean[row] = mean;
    m->scale[row] = 1 / sqrtf(squares / (float)a.t.k + a.t.norm.eps);
}

/* Gain and bias of a norm, for the lane's depth. */
template <typename T, int EACH> struct norm_weights {
    eight<T> gain[EACH], bias[EACH];
};

template <bool WIDE, typename T, int EACH>
__device__ __forceinline__ void read_norm_weights(const arguments &a, const place &p, norm_weights<T, EACH> *w)
{
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        w->gain[i] = fetch<WIDE>((const T *)a.t.norm.gain + p.depth[i], a.t.norm.gain != NULL);
        w->bias[i] = fetch<WIDE>((const T *)a.t.norm.bias + p.depth[i], a.t.norm.bias != NULL);
    }
}

template <bool WIDE, typename T> __device__ __forceinline__ void keep(T *to, const float (&v)[8])
{
    eight<T> e;
#pragma unroll
    for (int j = 0; j < 8; j++)
        ((T *)e.x)[j] = (T)v[j];
#pragma unroll
    for (int j = 0; j < traits<T>::FETCHES && WIDE; j++)
        ((uint4 *)to)[j] = e.x[j];
    for (int j = 0; j < 8 && !WIDE; j++)
        to[j] = (T)v[j];
}

/* The depth is EACH * 32 of every warp of the block: there is no cluster, and no rest. */
template <bool WIDE, typename T, int EACH>
__device__ __forceinline__ void read_normal(const arguments &a, const place &p, const norm_weights<T, EACH> &w,
                                            moments *m, rows<T, EACH> *r)
{
    float v[BLOCKS][2][EACH][8];
    eight<T> e[BLOCKS][2][EACH], added[BLOCKS][2][EACH];
#pragma unroll
    for (int b = 0; b < BLOCKS; b++)
#pragma unroll
        for (int h = 0; h < 2; h++)
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                const int64_t at = (int64_t)row_of(p, b, h) * a.t.k + p.depth[i];
                const bool on = row_of(p, b, h) < a.t.m;
                e[b][h][i] = fetch<WIDE>((const T *)a.t.x + at, on);
                added[b][h][i] = fetch<WIDE>((const T *)a.t.norm.added + at, on && a.t.norm.added);
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
                    v[b][h][i][j] = normal<T>(v[b][h][i][j], m->mean[row], m->scale[row], a.t.norm.gain,
                                              w.gain[i].at(j), a.t.norm.bias, w.bias[i].at(j));
                r->x[i][b][h] = operand_of<T>(v[b][h][i]);
                if (blockIdx.x == 0 && p.row + row < a.t.m)
                    keep<WIDE>((T *)a.t.norm.normed + (int64_t)(p.row + row) * a.t.k + p.depth[i], v[b][h][i]);
            }
        }
}

/* A warp has a head, whose results are where a left operand's elements belong. */
template <bool WIDE, typename T>
__device__ __forceinline__ void read_attention(const arguments &a, const place &p, rows<T, 1> *r)
{
    const auto &t = a.t.attention;
    const int head = p.warp * 32, mine = p.row + threadIdx.x % 32;
    int first = 0, end = 0; /* of the keys that row `lane` of the tile sees */
    for (int i = 0; i < t.segments; i++) {
        const int from = min(max(t.offsets[i * t.offset_step], 0), a.t.m);
        const int to = min(max(t.offsets[(i + 1) * t.offset_step], from), a.t.m);
        if (from <= mine && mine < to) {
            first = from;
            end = to;
        }
    }
#pragma unroll
    for (int b = 0; b < BLOCKS; b++) {
        em_short::seen keys;
        int from = __shfl_sync(~0u, first, b * 16), last = 0;
        for (int i = 0; i < 2; i++) {
            keys.first[i] = __shfl_sync(~0u, first, b * 16 + i * 8 + p.g);
            keys.end[i] = __shfl_sync(~0u, end, b * 16 + i * 8 + p.g);
        }
        for (int i = 0; i < 16; i++) {
            const int f = __shfl_sync(~0u, first, b * 16 + i), e = __shfl_sync(~0u, end, b * 16 + i);
            from = e > f && (last == 0 || f < from) ? f : from;
            last = max(last, e);
        }
        const em_short::head<T> one = {(const T *)t.q + head,
                                       (const T *)t.k + head,
                                       (const T *)t.v + head,
                                       t.q_step,
                                       t.k_step,
                                       t.v_step,
                                       last,
                                       t.scale * 1.4426950408889634f,
                                       WIDE};
        const em_short::result<32> x = em_short::attend<T, 32>(one, p.row + b * 16, from, keys);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            uint32_t words[4];
            em_short::divided<T, 32>(x, h, words);
            r->x[0][b][h].part[0] = {words[0], words[1], words[2], words[3]};
        }
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
    return normal<T>(x, m->mean[tile_row], m->scale[tile_row], gain, gain ? (float)gain[i] : 0, bias,
                     bias ? (float)bias[i] : 0);
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

__device__ __forceinline__ void cluster_arrive_and_wait()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

/* What block `rank` of the cluster has at this place of its shared memory. */
__device__ __forceinline__ float2 of_block(const float2 *here, int rank)
{
    float2 x = *here;
#if __CUDA_ARCH__ >= 900
    unsigned at;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
                 : "=r"(at)
                 : "r"((unsigned)__cvta_generic_to_shared(here)), "r"(rank));
    asm volatile("ld.shared::cluster.v2.f32 {%0, %1}, [%2];" : "=f"(x.x), "=f"(x.y) : "r"(at) : "memory");
#endif
    return x;
}

template <int COLUMNS> constexpr int pitch()
{
    return COLUMNS * 8 + 2;
}

/* Bias, activation, residual and rounding of one element. */
template <typename T>
__device__ __forceinline__ void finish(const arguments &a, const place &p, const moments *m, int row, int column,
                                       float sum)
{
    const int n = a.column[p.weight] + p.column + column;
    if (p.row + row >= a.t.m || n >= a.column[p.weight + 1])
        return;
    if (traits<T>::PARTS > 1 && !isfinite(sum))
        sum = sum_alone<T>(a, p, m, row, p.column + column);
    const int64_t at = (int64_t)(p.row + row) * a.t.n + n;
    sum = em_activate((int)a.t.activation, a.t.bias ? sum + (float)((const T *)a.t.bias)[n] : sum);
    ((T *)a.t.out)[at] = (T)(a.t.residual ? sum + (float)((const T *)a.t.residual)[at] : sum);
}

/* The warps' sums, then the blocks', two neighbours a thread. */
template <typename T, int COLUMNS>
__device__ __forceinline__ void put_together(const arguments &a, const place &p, const moments *m, float *sums)
{
    constexpr int PAIRS = COLUMNS * 4, PITCH = pitch<COLUMNS>();
    __shared__ float2 partial[ROWS * PAIRS];
    const int warps = blockDim.x / 32, rank = blockIdx.x % a.cluster;
    for (int i = threadIdx.x; i < ROWS * PAIRS; i += blockDim.x) {
        const int row = i / PAIRS, column = i % PAIRS * 2;
        float2 sum = {0, 0};
#pragma unroll 4
        for (int w = 0; w < warps; w++) {
            const float2 x = *(const float2 *)(sums + (w * ROWS + row) * PITCH + column);
            sum = {sum.x + x.x, sum.y + x.y};
        }
        if (a.cluster > 1) {
            partial[i] = sum;
        } else {
            finish<T>(a, p, m, row, column, sum.x);
            finish<T>(a, p, m, row, column + 1, sum.y);
        }
    }
    if (a.cluster == 1)
        return;
    cluster_arrive_and_wait();
    for (int i = rank + threadIdx.x * a.cluster; i < ROWS * PAIRS; i += blockDim.x * a.cluster) {
        float2 sum = {0, 0};
#pragma unroll 4
        for (int b = 0; b < a.cluster; b++) {
            const float2 x = of_block(&partial[i], b);
            sum = {sum.x + x.x, sum.y + x.y};
        }
        finish<T>(a, p, m, i / PAIRS, i % PAIRS * 2, sum.x);
        finish<T>(a, p, m, i / PAIRS, i % PAIRS * 2 + 1, sum.y);
    }
    cluster_arrive_and_wait(); /* nobody reads from here any more */
}

template <typename T, int FROM, int COLUMNS, int EACH, bool WIDE>
__global__ void __launch_bounds__(EACH == 1 ? 512 : 384, 1) thin_kernel(const __grid_constant__ arguments a)
{
    constexpr int PITCH = pitch<COLUMNS>();
    extern __shared__ float sums[];
    __shared__ moments shared;
    moments *m = FROM == EM_THIN_NORM ? &shared : NULL;
    const place p = place_of<COLUMNS, EACH>(a);
    rows<T, EACH> x;
    operand<T> w[EACH][COLUMNS];
    norm_weights<T, EACH> own;
    em_grid_next();
    if (!a.t.constant)
        em_grid_wait();
    if constexpr (FROM == EM_THIN_NORM)
        read_norm_weights<WIDE>(a, p, &own);
#pragma unroll
    for (int i = 0; i < EACH; i++)
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
            const int column = p.column + j * 8 + p.g;
            const bool on = column < a.t.w[p.weight].rows && p.depth[i] < a.t.k;
            w[i][j] = operand_of<T>(
                fetch<WIDE>((const T *)a.t.w[p.weight].at + column * a.t.w[p.weight].step + p.depth[i], on));
        }
    if (a.t.constant)
        em_grid_wait();
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
                multiply<T>(v, x.x[i][b][0], x.x[i][b][1], w[i][j]);
            float *to = sums + (p.warp * ROWS + b * 16 + p.g) * PITCH + j * 8 + p.c * 2;
            *(float2 *)to = {v[0], v[1]};
            *(float2 *)(to + 8 * PITCH) = {v[2], v[3]};
        }
    __syncthreads();
    put_together<T, COLUMNS>(a, p, m, sums);
}

} // namespace em_thin
#endif
