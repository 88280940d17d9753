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

/* Scores to weights; what the rows have so far shrinks to the new top. `scale`: to exponents of 2. */
template <int SIZE>
__device__ __forceinline__ void weigh(float (&s)[KEYS / 8][4], int from, const seen &keys, float scale, result<SIZE> *r)
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
        const float base = em_finite_top(high), shrink = power(r->top[row] - base);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                sum += s[j][row * 2 + i] = power(s[j][row * 2 + i] - base);
        r->top[row] = high;
        r->sum[row] = r->sum[row] * shrink + sum;
#pragma unroll
        for (int j = 0; j < SIZE / 8; j++) {
            r->x[j][row * 2] *= shrink;
            r->x[j][row * 2 + 1] *= shrink;
        }
    }
}

/* Neighbours of a left operand's row, as halves that add up to them. */
template <typename T> struct pairs {
    uint32_t part[em_mma_traits<T>::PARTS];
    __device__ __forceinline__ pairs(float a, float b)
    {
        if constexpr (em_mma_traits<T>::PARTS == 1)
            part[0] = em_pair<T>(a, b);
        else
#pragma unroll
            for (int p = 0; p < em_mma_traits<T>::PARTS; p++) {
                part[p] = em_upper_halves(a, b);
                a = em_without_upper(a);
                b = em_without_upper(b);
            }
    }
};

/* Element j of two keys' values, side by side. */
template <typename T> __device__ __forceinline__ pairs<T> pair_of(const uint4 &first, const uint4 &next, int j)
{
    if constexpr (em_mma_traits<T>::PARTS == 1) {
        pairs<T> p(0, 0);
        p.part[0] = __byte_perm(word(first, j / 2), word(next, j / 2), j % 2 ? 0x7632 : 0x5410);
        return p;
    } else {
        return pairs<T>(__uint_as_float(word(first, j)), __uint_as_float(word(next, j)));
    }
}

template <typename T, int SIZE>
__device__ __forceinline__ void add_values(const float (&s)[KEYS / 8][4], const tile<T, SIZE> &t, result<SIZE> *r)
{
    constexpr int LAST = em_mma_traits<T>::PARTS - 1;
#pragma unroll
    for (int step = 0; step < KEYS / 16; step++) {
        const float(&low)[4] = s[2 * step], (&high)[4] = s[2 * step + 1];
        const pairs<T> w[4] = {{low[0], low[1]}, {low[2], low[3]}, {high[0], high[1]}, {high[2], high[3]}};
#pragma unroll
        for (int j = 0; j < SIZE / 8; j++) {
            const pairs<T> b0 = pair_of<T>(t.v[step][0], t.v[step][1], j);
            const pairs<T> b1 = pair_of<T>(t.v[step][2], t.v[step][3], j);
#pragma unroll
            for (int sum = LAST; sum >= 0; sum--)
#pragma unroll
                for (int q = LAST; q >= 0; q--) {
                    if (sum - q < 0)
                        continue;
                    const int p = sum - q;
                    const uint32_t a[4] = {w[0].part[p], w[1].part[p], w[2].part[p], w[3].part[p]};
                    em_mma<typename em_mma_traits<T>::half>(r->x[j], a, b0.part[q], b1.part[q]);
                }
        }
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
    float s[KEYS / 8][4] = {};
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int i = 0; i < SIZE / 32; i++)
            em_lane_multiply<T>(s[j], q.low[i], q.high[i], em_lane_operand_of<T>(t.k[j][i]));
    weigh(s, from, keys, scale, r);
    add_values(s, t, r);
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
