/*
 * Attention of short sequences in half types, of one warp: 16 queries of one head, keys 32 at a time, all in registers.
 * Scores and results are f32, with a running maximum and sum; weights meet the values as halves.
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

/* q, k, v of one head, from some token on, of which those below `end` are there; steps in elements. */
template <typename T> struct head {
    const T *q, *k, *v;
    int64_t q_step, k_step, v_step;
    int end;
    float scale; /* of scores, as exponents of 2 */
    bool wide;   /* rows lie at multiples of 16 bytes; known when compiled */
};

/* The keys that rows g and g + 8 see. */
struct seen {
    int first[2], end[2];
};

template <int SIZE> struct result {
    float x[SIZE / 8][4], sum[2];
};

/* 2 to the x, for x <= 0; tiny results are zero. */
__device__ __forceinline__ float power(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* BYTES (8 or 16) from p on, or zeros. */
template <int BYTES> __device__ __forceinline__ uint4 fetch(const void *p, bool on, bool wide)
{
    if (wide)
        return em_fetch<BYTES>(p, on);
    uint4 x = {0, 0, 0, 0};
    for (int i = 0; i < BYTES / 2; i++)
        ((uint16_t *)&x)[i] = on ? ((const uint16_t *)p)[i] : 0;
    return x;
}

template <typename T, int SIZE> struct tile {
    uint4 k[KEYS / 8][SIZE / 32], v[KEYS / 16][4];
};

/* Keys and values `from` on; past the end they are zero. */
template <typename T, int SIZE> __device__ __forceinline__ void fetch(tile<T, SIZE> *t, const head<T> &h, int from)
{
    constexpr int EACH = SIZE / 8;
    const int lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++) {
        const int key = from + j * 8 + g;
#pragma unroll
        for (int i = 0; i < SIZE / 32; i++)
            t->k[j][i] = fetch<16>(h.k + key * h.k_step + i * 32 + c * 8, key < h.end, h.wide);
    }
#pragma unroll
    for (int s = 0; s < KEYS / 16; s++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = from + s * 16 + 2 * c + i % 2 + i / 2 * 8;
            t->v[s][i] = fetch<EACH * 2>(h.v + key * h.v_step + g * EACH, key < h.end, h.wide);
        }
}

__device__ __forceinline__ uint32_t word(const uint4 &x, int i)
{
    return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w;
}

/* Scores to weights; what the rows have so far shrinks to the new top. */
template <int SIZE>
__device__ __forceinline__ void weigh(float (&s)[KEYS / 8][4], int from, const seen &keys, float scale, float (&top)[2],
                                      result<SIZE> *r)
{
    const int c = threadIdx.x % 4;
#pragma unroll
    for (int row = 0; row < 2; row++) {
        float high = top[row], sum = 0;
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
        const float base = em_finite_top(high), shrink = power(top[row] - base);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 2; i++)
                sum += s[j][row * 2 + i] = power(s[j][row * 2 + i] - base);
        top[row] = high;
        r->sum[row] = r->sum[row] * shrink + sum;
#pragma unroll
        for (int j = 0; j < SIZE / 8; j++) {
            r->x[j][row * 2] *= shrink;
            r->x[j][row * 2 + 1] *= shrink;
        }
    }
}

template <typename T, int SIZE>
__device__ __forceinline__ void add_values(const float (&s)[KEYS / 8][4], const tile<T, SIZE> &t, result<SIZE> *r)
{
#pragma unroll
    for (int step = 0; step < KEYS / 16; step++) {
        const float(&low)[4] = s[2 * step], (&high)[4] = s[2 * step + 1];
        const uint32_t a[4] = {em_pair<T>(low[0], low[1]), em_pair<T>(low[2], low[3]), em_pair<T>(high[0], high[1]),
                               em_pair<T>(high[2], high[3])};
#pragma unroll
        for (int j = 0; j < SIZE / 8; j++) {
            const unsigned halves = j % 2 ? 0x7632 : 0x5410;
            em_mma<T>(r->x[j], a, __byte_perm(word(t.v[step][0], j / 2), word(t.v[step][1], j / 2), halves),
                      __byte_perm(word(t.v[step][2], j / 2), word(t.v[step][3], j / 2), halves));
        }
    }
}

/* Queries `first` .. first + 15 of the head with keys from `from` on, not yet divided by their sums; all 32 lanes call
 * it. */
template <typename T, int SIZE>
__device__ __forceinline__ result<SIZE> attend(const head<T> &h, int first, int from, const seen &keys)
{
    const int lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
    result<SIZE> r = {};
    float top[2] = {-INFINITY, -INFINITY};
    em_mma_rows q[SIZE / 32];
    tile<T, SIZE> t;
#pragma unroll
    for (int i = 0; i < SIZE / 32; i++) {
        const T *from = h.q + (first + g) * h.q_step + i * 32 + c * 8;
        q[i].low = fetch<16>(from, first + g < h.end, h.wide);
        q[i].high = fetch<16>(from + 8 * h.q_step, first + g + 8 < h.end, h.wide);
    }
    for (; from < h.end; from += KEYS) {
        float s[KEYS / 8][4] = {};
        fetch(&t, h, from);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < SIZE / 32; i++)
                em_mma_32<T>(s[j], q[i], t.k[j][i]);
        weigh(s, from, keys, h.scale, top, &r);
        add_values(s, t, &r);
    }
#pragma unroll
    for (int row = 0; row < 2; row++) {
        r.sum[row] += __shfl_xor_sync(~0u, r.sum[row], 1);
        r.sum[row] += __shfl_xor_sync(~0u, r.sum[row], 2);
    }
    return r;
}

/* The lane's results of row g + 8 * row, divided: SIZE / 4 elements from dim SIZE / 4 * c on, as words of two. */
template <typename T, int SIZE>
__device__ __forceinline__ void divided(const result<SIZE> &r, int row, uint32_t (&to)[SIZE / 8])
{
    const float factor = r.sum[row] == 0 ? 0 : 1 / r.sum[row];
#pragma unroll
    for (int j = 0; j < SIZE / 8; j += 2)
#pragma unroll
        for (int i = 0; i < 2; i++)
            to[i * SIZE / 16 + j / 2] = em_pair<T>(r.x[j][row * 2 + i] * factor, r.x[j + 1][row * 2 + i] * factor);
}

} // namespace em_short
#endif
