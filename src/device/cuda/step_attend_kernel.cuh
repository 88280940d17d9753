/*
 * What a block does in attention of one token (step_attend.cuh): the new rows of query, key and value made ready, the
 * cache's keys and values gone through, the warps' results joined. G queries share a key of D elements of type T.
 */
#ifndef EM_DEVICE_CUDA_STEP_ATTEND_KERNEL_CUH
#define EM_DEVICE_CUDA_STEP_ATTEND_KERNEL_CUH

#include "device/cuda/step_attend.cuh"

#define EM_NO_SCORE (-INFINITY)

/* Eight elements as they lie in the cache. */
template <typename T> struct eight;
template <> struct eight<__nv_bfloat16> {
    static __device__ __forceinline__ void open(uint4 w, float (&x)[8])
    {
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            x[2 * i] = __uint_as_float(words[i] << 16);
            x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
        }
    }
    static __device__ __forceinline__ __nv_bfloat16 round(float v)
    {
        return __float2bfloat16_rn(v);
    }
};
template <> struct eight<__half> {
    static __device__ __forceinline__ void open(uint4 w, float (&x)[8])
    {
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float2 v = __half22float2(*(const __half2 *)&words[i]);
            x[2 * i] = v.x;
            x[2 * i + 1] = v.y;
        }
    }
    static __device__ __forceinline__ __half round(float v)
    {
        return __float2half_rn(v);
    }
};

/* The sums of one stretch of keys: the largest score, the weights' sum by it, the weighted values. */
template <int W, int D, int G> struct em_partial {
    float top[W][G], sum[W][G], mixed[W][G][D];
};

/* What a block of W warps keeps in shared memory. */
template <int W, typename T, int D, int G> struct em_attend_memory {
    float q[G][D];
    alignas(16) T k[D], v[D];
    em_partial<W, D, G> parts;
    float top[G], sum[G], mixed[G][D]; /* of the block */
};

/* Cosines and sines of the new position, exactly reduced. */
__device__ __forceinline__ void find_turns(const em__step_attend &a, int32_t at, double step, float *turn)
{
    const int half = a.turned / 2;
    for (int i = threadIdx.x; i < half; i += blockDim.x) {
        double angle = (double)at * step / (double)a.periods[i];
        angle -= 6.283185307179586476925 * rint(angle * 0.15915494309189533577);
        float sine, cosine;
        sincosf((float)angle, &sine, &cosine);
        turn[i] = cosine;
        turn[half + i] = sine;
    }
}

/* One head's row by a warp: normalised, turned. Lane l has elements l, l + 32, ...: a pair is half the row apart. */
template <int D>
__device__ __forceinline__ void prepare_row(const em__step_attend &a, bool normed, const float (&gain)[D / 32],
                                            float eps, const float *turn, int lane, float (&x)[D / 32])
{
    if (normed) {
        float squares = 0;
#pragma unroll
        for (int i = 0; i < D / 32; i++)
            squares = fmaf(x[i], x[i], squares);
#pragma unroll
        for (int reach = 16; reach; reach >>= 1)
            squares += __shfl_xor_sync(~0u, squares, reach);
        const float factor = __frsqrt_rn(squares / (float)D + eps);
#pragma unroll
        for (int i = 0; i < D / 32; i++)
            x[i] = x[i] * factor * gain[i];
    }
    if (a.turned)
#pragma unroll
        for (int i = 0; i < D / 64; i++) {
            const float cosine = turn[lane + 32 * i], sine = turn[D / 2 + lane + 32 * i];
            const float first = x[i], second = x[i + D / 64];
            x[i] = first * cosine - second * sine;
            x[i + D / 64] = second * cosine + first * sine;
        }
}

/* Queries of the group to shared memory, scaled; the new key and value there too, rounded as the cache has them.
 * take(i, x): a lane's elements i, i + 32, ... of the products. */
template <int W, typename T, int D, int G, typename Take>
__device__ __forceinline__ void prepare_rows(const em__step_attend &a, int head, em_attend_memory<W, T, D, G> &m,
                                             const float *turn, int warp, int lane, const Take &take)
{
    for (int r = warp; r < G + 2; r += W) {
        const float *from = r < G ? a.q_gain : r == G ? a.k_gain : NULL;
        float x[D / 32], gain[D / 32]; /* which comes while x is waited for */
#pragma unroll
        for (int i = 0; i < D / 32; i++)
            gain[i] = from ? from[lane + 32 * i] : 1;
        take(lane + (r < G ? a.q_at + (head * G + r) * D : (r == G ? a.k_at : a.v_at) + head * D), x);
        if (r <= G)
            prepare_row<D>(a, from, gain, r < G ? a.q_eps : a.k_eps, turn, lane, x);
#pragma unroll
        for (int i = 0; i < D / 32; i++)
            if (r < G)
                m.q[r][lane + 32 * i] = x[i] * a.scale;
            else
                (r == G ? m.k : m.v)[lane + 32 * i] = eight<T>::round(x[i]);
    }
}

/* Adds up a warp's groups of lanes, which hold a partial result each. */
template <int D, int G>
__device__ __forceinline__ void join_lanes(float (&top)[G], float (&sum)[G], float (&mixed)[G][8])
{
#pragma unroll
    for (int reach = D / 8; reach < 32; reach <<= 1)
#pragma unroll
        for (int g = 0; g < G; g++) {
            const float other = __shfl_xor_sync(~0u, top[g], reach), most = fmaxf(top[g], other);
            const float mine = top[g] == EM_NO_SCORE ? 0 : __expf(top[g] - most),
                        its = other == EM_NO_SCORE ? 0 : __expf(other - most);
            sum[g] = sum[g] * mine + __shfl_xor_sync(~0u, sum[g], reach) * its;
#pragma unroll
            for (int i = 0; i < 8; i++)
                mixed[g][i] = mixed[g][i] * mine + __shfl_xor_sync(~0u, mixed[g][i], reach) * its;
            top[g] = most;
        }
}

/* A warp's result, of which the lane has eight elements, to shared memory. */
template <int W, int D, int G>
__device__ __forceinline__ void keep_partial(em_partial<W, D, G> &parts, int warp, int part, const float (&top)[G],
                                             const float (&sum)[G], const float (&mixed)[G][8])
{
#pragma unroll
    for (int g = 0; g < G; g++) {
        parts.top[warp][g] = top[g];
        parts.sum[warp][g] = sum[g];
#pragma unroll
        for (int i = 0; i < 8; i++)
            parts.mixed[warp][g][part * 8 + i] = mixed[g][i];
    }
}

/* The block's warps to one result. */
template <int W, typename T, int D, int G> __device__ __forceinline__ void join_warps(em_attend_memory<W, T, D, G> &m)
{
#pragma unroll 1
    for (int i = threadIdx.x; i < G * D; i += W * 32) {
        const int g = i / D, d = i % D;
        float most = EM_NO_SCORE, sum = 0, mixed = 0;
#pragma unroll
        for (int w = 0; w < W; w++)
            most = fmaxf(most, m.parts.top[w][g]);
#pragma unroll
        for (int w = 0; w < W; w++) {
            const float top = m.parts.top[w][g], weight = top == EM_NO_SCORE ? 0 : __expf(top - most);
            sum = fmaf(m.parts.sum[w][g], weight, sum);
            mixed = fmaf(m.parts.mixed[w][g][d], weight, mixed);
        }
        m.mixed[g][d] = mixed;
        if (d == 0) {
            m.top[g] = most;
            m.sum[g] = sum;
        }
    }
}

/* Keys `base` + i * step of a group of lanes, as they lie. */
template <int D, int N>
__device__ __forceinline__ void fetch_keys(const uint4 *from, int base, int step, int end, int part, uint4 (&to)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        if (base + i * step < end)
            to[i] = from[(int64_t)(base + i * step) * (D / 8) + part];
}

/* A group of lanes' sums over the keys that it has seen: a lane has eight elements of each query and result. */
template <int G> struct running {
    float q[G][8], top[G], sum[G], mixed[G][8];
};

/* The scores of the keys `k`, which are `step` apart, those from `end` on unseen: they are computed all the same, so
 * that all sums are on their way at once. */
template <typename T, int D, int G, int N>
__device__ __forceinline__ void score_keys(const running<G> &r, const uint4 (&k)[N], int key, int step, int end,
                                           float (&scores)[N][G])
{
#pragma unroll
    for (int u = 0; u < N; u++) {
        float x[8];
        eight<T>::open(k[u], x);
#pragma unroll
        for (int g = 0; g < G; g++) {
            scores[u][g] = 0;
#pragma unroll
            for (int i = 0; i < 8; i++)
                scores[u][g] = fmaf(r.q[g][i], x[i], scores[u][g]);
        }
    }
#pragma unroll
    for (int reach = 1; reach < D / 8; reach <<= 1)
#pragma unroll
        for (int u = 0; u < N; u++)
#pragma unroll
            for (int g = 0; g < G; g++)
                scores[u][g] += __shfl_xor_sync(~0u, scores[u][g], reach);
#pragma unroll
    for (int u = 0; u < N; u++)
#pragma unroll
        for (int g = 0; g < G; g++)
            scores[u][g] = key + u * step < end ? scores[u][g] : EM_NO_SCORE;
}

/* Scores to weights by the largest so far; what was summed before is brought to the same. */
template <int G, int N> __device__ __forceinline__ void weigh_keys(running<G> &r, float (&scores)[N][G])
{
#pragma unroll
    for (int g = 0; g < G; g++) {
        float most = r.top[g];
#pragma unroll
        for (int u = 0; u < N; u++)
            most = fmaxf(most, scores[u][g]);
        const float keep = r.top[g] == EM_NO_SCORE ? 0 : __expf(r.top[g] - most);
        r.sum[g] *= keep;
#pragma unroll
        for (int i = 0; i < 8; i++)
            r.mixed[g][i] *= keep;
#pragma unroll
        for (int u = 0; u < N; u++) {
            scores[u][g] = scores[u][g] == EM_NO_SCORE ? 0 : __expf(scores[u][g] - most);
            r.sum[g] += scores[u][g];
        }
        r.top[g] = most;
    }
}

template <typename T, int G, int N>
__device__ __forceinline__ void mix_values(running<G> &r, const uint4 (&v)[N], int key, int step, int end,
                                           const float (&weights)[N][G])
{
#pragma unroll
    for (int u = 0; u < N; u++) {
        float x[8];
        eight<T>::open(v[u], x);
        if (key + u * step < end)
#pragma unroll
            for (int g = 0; g < G; g++)
#pragma unroll
                for (int i = 0; i < 8; i++)
                    r.mixed[g][i] = fmaf(weights[u][g], x[i], r.mixed[g][i]);
    }
}

/* What a block sees of the cache. */
template <typename T> struct view {
    T *keys, *values;
    int begin, end, k_slot, v_slot;
};

template <typename T, int D> __device__ __forceinline__ view<T> look(const em__step_attend &a, int head)
{
    view<T> v = {(T *)a.keys + (int64_t)head * a.capacity * D, (T *)a.values + (int64_t)head * a.capacity * D};
    const int length = a.length ? *a.length : a.capacity, last = a.capacity - 1;
    v.end = length < 0 ? 0 : min(length, a.capacity);
    v.begin = a.window && v.end > a.window ? v.end - a.window : 0;
    v.k_slot = max(0, min((int)*a.k_slot, last));
    v.v_slot = max(0, min((int)*a.v_slot, last));
    return v;
}

/* A group of lanes goes through its keys: from `key` on, `step` apart; the warp's first is `base`. The new row is
 * taken from shared memory. `k` and `v` have been fetched. */
template <int W, typename T, int D, int G, int N>
__device__ __forceinline__ void see_keys(const view<T> &c, const em_attend_memory<W, T, D, G> &m, running<G> &r,
                                         int base, int key, int step, int part, uint4 (&k)[N], uint4 (&v)[N])
{
    for (; base < c.end; base += N * step, key += N * step) {
        float scores[N][G];
#pragma unroll
        for (int u = 0; u < N; u++) {
            if (key + u * step == c.k_slot)
                k[u] = ((const uint4 *)m.k)[part];
            if (key + u * step == c.v_slot)
                v[u] = ((const uint4 *)m.v)[part];
        }
        score_keys<T, D, G, N>(r, k, key, step, c.end, scores);
        weigh_keys<G, N>(r, scores);
        mix_values<T, G, N>(r, v, key, step, c.end, scores);
        fetch_keys<D, N>((const uint4 *)c.keys, key + N * step, step, c.end, part, k);
        fetch_keys<D, N>((const uint4 *)c.values, key + N * step, step, c.end, part, v);
    }
}

/* The new rows of key and value to the cache, by a warp. */
template <int W, typename T, int D, int G>
__device__ __forceinline__ void put_rows(const view<T> &c, const em_attend_memory<W, T, D, G> &m, int lane)
{
    constexpr int PARTS = D / 8;
    if (lane < PARTS) {
        ((uint4 *)c.keys)[(int64_t)c.k_slot * PARTS + lane] = ((const uint4 *)m.k)[lane];
        ((uint4 *)c.values)[(int64_t)c.v_slot * PARTS + lane] = ((const uint4 *)m.v)[lane];
    }
}

/* A warp's keys, from see_keys' `base` on, to its result in shared memory. */
template <int W, typename T, int D, int G, int N>
__device__ __forceinline__ void attend_warp(const view<T> &c, em_attend_memory<W, T, D, G> &m, int base, int key,
                                            int step, int warp, int lane, uint4 (&k)[N], uint4 (&v)[N])
{
    const int part = lane % (D / 8);
    running<G> r;
#pragma unroll
    for (int g = 0; g < G; g++) {
        r.top[g] = EM_NO_SCORE;
        r.sum[g] = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            r.q[g][i] = m.q[g][part * 8 + i];
            r.mixed[g][i] = 0;
        }
    }
    see_keys<W, T, D, G, N>(c, m, r, base, key, step, part, k, v);
    join_lanes<D, G>(r.top, r.sum, r.mixed);
    if (lane < D / 8)
        keep_partial<W, D, G>(m.parts, warp, part, r.top, r.sum, r.mixed);
}

#endif
