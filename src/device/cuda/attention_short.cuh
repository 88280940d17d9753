/*
 * Attention of short sequences, of one warp: 16 queries of one head, keys 32 at a time, all in registers. Scores and
 * results are f32, with a running maximum and sum. Halves meet halves, weights included; f32 goes through cut into
 * three (mma.cuh), where an infinity becomes NaN.
 *
 * Queries and keys lie as mma.cuh has it. Of values a lane reads dims SIZE / 8 * g on of the keys that its weights are
 * of: column g of product j is dim SIZE / 8 * g + j. So a lane's results are dims SIZE / 4 * c .. SIZE / 4 * (c + 1) of
 * rows g and g + 8, side by side: with SIZE 32 they are a left operand of the next product.
 */
#ifndef EM_DEVICE_CUDA_ATTENTION_SHORT_CUH
#define EM_DEVICE_CUDA_ATTENTION_SHORT_CUH

#include "device/cuda/attention.cuh"
#include "device/cuda/mma.cuh"

namespace em_short
{

enum { QUERIES = 16, KEYS = 32 };

/* q, k, v of one head, from some token on; steps in elements. */
template <typename T> struct head {
    const T *q, *k, *v;
    int64_t q_step, k_step, v_step;
};

/* The keys that rows g and g + 8 see. */
struct seen {
    int first[2], end[2];
};

template <typename T, int SIZE> struct queries {
    em_lane_operand<T> low[SIZE / 32], high[SIZE / 32];
};

template <typename T, int SIZE> struct tile {
    em_lane_eight<T> k[KEYS / 8][SIZE / 32];
    uint4 v[KEYS / 16][4]; /* SIZE / 8 elements */
};

template <int SIZE> struct result {
    float x[SIZE / 8][4], sum[2], top[2];
};

/* BYTES (8 or 16) from p on, or zeros. */
template <bool WIDE, int BYTES, typename T> __device__ __forceinline__ uint4 fetch(const T *p, bool on)
{
    if (WIDE)
        return em_fetch<BYTES>(p, on);
    uint4 x = {0, 0, 0, 0};
    for (int i = 0; i < BYTES / (int)sizeof(T); i++)
        ((T *)&x)[i] = on ? p[i] : (T)0.0f;
    return x;
}

/* Queries `first` .. first + 15; those from `end` on are zero. */
template <bool WIDE, typename T, int SIZE>
__device__ __forceinline__ void fetch_queries(queries<T, SIZE> *q, const head<T> &h, int first, int end)
{
    const int g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
    em_lane_eight<T> low[SIZE / 32], high[SIZE / 32];
#pragma unroll
    for (int i = 0; i < SIZE / 32; i++) {
        const T *from = h.q + (first + g) * h.q_step + i * 32 + c * 8;
        low[i] = em_lane_fetch<WIDE>(from, first + g < end);
        high[i] = em_lane_fetch<WIDE>(from + 8 * h.q_step, first + g + 8 < end);
    }
#pragma unroll
    for (int i = 0; i < SIZE / 32; i++) {
        q->low[i] = em_lane_operand_of<T>(low[i]);
        q->high[i] = em_lane_operand_of<T>(high[i]);
    }
}

/* Keys and values `from` on; from `end` on they are zero. */
template <bool WIDE, typename T, int SIZE>
__device__ __forceinline__ void fetch_tile(tile<T, SIZE> *t, const head<T> &h, int from, int end)
{
    constexpr int EACH = SIZE / 8;
    const int g = threadIdx.x % 32 / 4, c = threadIdx.x % 4;
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
        const int key = from + j * 8 + g;
#pragma unroll
        for (int i = 0; i < SIZE / 32; i++)
            t->k[j][i] = em_lane_fetch<WIDE>(h.k + key * h.k_step + i * 32 + c * 8, key < end);
    }
#pragma unroll
    for (int s = 0; s < KEYS / 16; s++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = from + s * 16 + 2 * c + i % 2 + i / 2 * 8;
            t->v[s][i] = fetch<WIDE, EACH *(int)sizeof(T)>(h.v + key * h.v_step + g * EACH, key < end);
        }
}

/* Values of keys outside [first, end) become zero: no weight of 0 meets what is no number. */
template <typename T, int SIZE>
__device__ __forceinline__ void clear_values(tile<T, SIZE> *t, int from, int first, int end)
{
    const int c = threadIdx.x % 4;
#pragma unroll
    for (int s = 0; s < KEYS / 16; s++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = from + s * 16 + 2 * c + i % 2 + i / 2 * 8;
            const bool on = key >= first && key < end;
            uint4 &v = t->v[s][i];
            v = {on ? v.x : 0, on ? v.y : 0, on ? v.z : 0, on ? v.w : 0};
        }
}

/* 2 to the x, for x <= 0; tiny results are zero. */
__device__ __forceinline__ float power(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ uint32_t word(const uint4 &x, int i)
{
    return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w;
}

/* Scores to weights. What the rows have so far is to shrink to the new top: the sum of weights does. `scale`: to
 * exponents of 2. */
template <int SIZE>
__device__ __forceinline__ void weigh(float (&s)[KEYS / 8][4], int from, const seen &keys, float scale,
                                      float (&shrink)[2], result<SIZE> *r)
{
    const int c = threadIdx.x % 4;
#pragma unroll
    for (int row = 0; row < 2; row++) {
        float high = r->top[row], sum = 0;
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float &x = s[j][row * 2 + i];
                const int key = from + j * 8 + 2 * c + i;
                x = key >= keys.first[row] && key < keys.end[row] ? x * scale : -INFINITY;
                high = fmaxf(high, x);
            }
        high = fmaxf(high, __shfl_xor_sync(~0u, high, 1));
        high = fmaxf(high, __shfl_xor_sync(~0u, high, 2));
        const float base = em_finite_top(high);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                sum += s[j][row * 2 + i] = power(s[j][row * 2 + i] - base);
        shrink[row] = power(r->top[row] - base);
        r->top[row] = high;
        r->sum[row] = r->sum[row] * shrink[row] + sum;
    }
}

/* Neighbours of a left operand's row, as halves that add up to them. */
template <typename T> struct pairs {
    uint32_t part[em_mma_traits<T>::PARTS];
};

template <typename T> __device__ __forceinline__ pairs<T> pair_from(float a, float b)
{
    pairs<T> p;
    if constexpr (em_mma_traits<T>::PARTS == 1)
        p.part[0] = em_pair<T>(a, b);
    else
        em_cut_pair<em_mma_traits<T>::PARTS, false>(a, b, p.part, 1);
    return p;
}

/* Element j of two keys' values, side by side. */
template <typename T> __device__ __forceinline__ pairs<T> pair_of(const uint4 &first, const uint4 &next, int j)
{
    if constexpr (em_mma_traits<T>::PARTS == 1) {
        pairs<T> p;
        p.part[0] = __byte_perm(word(first, j / 2), word(next, j / 2), j % 2 ? 0x7632 : 0x5410);
        return p;
    } else {
        return pair_from<T>(__uint_as_float(word(first, j)), __uint_as_float(word(next, j)));
    }
}

/* A tile's sums are made by themselves, smallest products first, and added with rounding: the units cut sums off. */
template <typename T, int SIZE>
__device__ __forceinline__ void add_values(const float (&s)[KEYS / 8][4], const tile<T, SIZE> &t,
                                           const float (&shrink)[2], result<SIZE> *r)
{
    constexpr int LAST = em_mma_traits<T>::PARTS - 1, STEPS = KEYS / 16;
    pairs<T> w[STEPS][4];
#pragma unroll
    for (int step = 0; step < STEPS; step++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            w[step][i] = pair_from<T>(s[2 * step + i / 2][i % 2 * 2], s[2 * step + i / 2][i % 2 * 2 + 1]);
#pragma unroll
    for (int j = 0; j < SIZE / 8; j++) {
        float sums[4] = {};
        pairs<T> b[STEPS][2];
#pragma unroll
        for (int i = 0; i < 2 * STEPS; i++)
            b[i / 2][i % 2] = pair_of<T>(t.v[i / 2][i % 2 * 2], t.v[i / 2][i % 2 * 2 + 1], j);
#pragma unroll
        for (int sum = LAST; sum >= 0; sum--)
#pragma unroll
            for (int q = LAST; q >= 0; q--)
#pragma unroll
                for (int step = 0; step < STEPS && sum >= q; step++) {
                    const int p = sum - q;
                    const uint32_t a[4] = {w[step][0].part[p], w[step][1].part[p], w[step][2].part[p],
                                           w[step][3].part[p]};
                    em_mma<typename em_mma_traits<T>::half>(sums, a, b[step][0].part[q], b[step][1].part[q]);
                }
#pragma unroll
        for (int i = 0; i < 4; i++)
            r->x[j][i] = fmaf(r->x[j][i], shrink[i / 2], sums[i]);
    }
}

template <int SIZE> __device__ __forceinline__ void start(result<SIZE> *r)
{
    *r = {};
    r->top[0] = r->top[1] = -INFINITY;
}

template <typename T, int SIZE>
__device__ __forceinline__ void add_tile(const queries<T, SIZE> &q, const tile<T, SIZE> &t, int from, const seen &keys,
                                         float scale, result<SIZE> *r)
{
    float s[KEYS / 8][4] = {}, shrink[2];
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int i = 0; i < SIZE / 32; i++)
            em_lane_multiply<T>(s[j], q.low[i], q.high[i], em_lane_operand_of<T>(t.k[j][i]));
    weigh(s, from, keys, scale, shrink, r);
    add_values(s, t, shrink, r);
}

/* The rows' results, divided by their sums: of row g + 8 * row SIZE / 4 elements from dim SIZE / 4 * c on. */
template <int SIZE> __device__ __forceinline__ void divided(const result<SIZE> &r, int row, float (&to)[SIZE / 4])
{
    float sum = r.sum[row];
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    const float factor = sum == 0 ? 0 : 1 / sum;
#pragma unroll
    for (int j = 0; j < SIZE / 8; j++) {
        to[j] = r.x[j][row * 2] * factor;
        to[SIZE / 8 + j] = r.x[j][row * 2 + 1] * factor;
    }
}

} // namespace em_short
#endif
