/* See step_attend.cuh. */
#include "device/cuda/step_attend.cuh"

#include <cooperative_groups.h>

enum { CLUSTER = 8, WARPS = 8, AHEAD = 4 }; /* blocks; warps of one; keys that a group of lanes fetches at once */

#define NONE (-INFINITY)

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
template <int D, int G> struct partial {
    float top[WARPS][G], sum[WARPS][G], mixed[WARPS][G][D];
};

template <typename T, int D, int G> struct block_memory {
    float q[G][D], turn[D]; /* cosines, then sines */
    alignas(16) T k[D], v[D];
    partial<D, G> parts;
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
__device__ __forceinline__ void prepare_row(const em__step_attend &a, const float *row, const float *gain, float eps,
                                            const float *turn, int lane, float (&x)[D / 32])
{
    float squares = 0;
#pragma unroll
    for (int i = 0; i < D / 32; i++) {
        x[i] = row[lane + 32 * i];
        squares = fmaf(x[i], x[i], squares);
    }
    if (gain) {
#pragma unroll
        for (int reach = 16; reach; reach >>= 1)
            squares += __shfl_xor_sync(~0u, squares, reach);
        const float factor = 1 / sqrtf(squares / (float)D + eps);
#pragma unroll
        for (int i = 0; i < D / 32; i++)
            x[i] = x[i] * factor * gain[lane + 32 * i];
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

/* Queries of the group to shared memory, scaled; the new key and value there too, rounded as the cache has them. */
template <typename T, int D, int G>
__device__ __forceinline__ void prepare_rows(const em__step_attend &a, int head, block_memory<T, D, G> &m, int warp,
                                             int lane)
{
    for (int r = warp; r < G + 2; r += WARPS) {
        float x[D / 32];
        if (r < G) {
            prepare_row<D>(a, a.q + (head * G + r) * D, a.q_gain, a.q_eps, m.turn, lane, x);
#pragma unroll
            for (int i = 0; i < D / 32; i++)
                m.q[r][lane + 32 * i] = x[i] * a.scale;
        } else if (r == G) {
            prepare_row<D>(a, a.k + head * D, a.k_gain, a.k_eps, m.turn, lane, x);
#pragma unroll
            for (int i = 0; i < D / 32; i++)
                m.k[lane + 32 * i] = eight<T>::round(x[i]);
        } else {
#pragma unroll
            for (int i = 0; i < D / 32; i++)
                m.v[lane + 32 * i] = eight<T>::round(a.v[head * D + lane + 32 * i]);
        }
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
            const float mine = top[g] == NONE ? 0 : expf(top[g] - most), its = other == NONE ? 0 : expf(other - most);
            sum[g] = sum[g] * mine + __shfl_xor_sync(~0u, sum[g], reach) * its;
#pragma unroll
            for (int i = 0; i < 8; i++)
                mixed[g][i] = mixed[g][i] * mine + __shfl_xor_sync(~0u, mixed[g][i], reach) * its;
            top[g] = most;
        }
}

/* A warp's result, of which the lane has eight elements, to shared memory. */
template <int D, int G>
__device__ __forceinline__ void keep_partial(partial<D, G> &parts, int warp, int part, const float (&top)[G],
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
template <typename T, int D, int G> __device__ __forceinline__ void join_warps(block_memory<T, D, G> &m)
{
    for (int i = threadIdx.x; i < G * D; i += blockDim.x) {
        const int g = i / D, d = i % D;
        float most = NONE, sum = 0, mixed = 0;
#pragma unroll
        for (int w = 0; w < WARPS; w++)
            most = fmaxf(most, m.parts.top[w][g]);
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            const float top = m.parts.top[w][g], weight = top == NONE ? 0 : expf(top - most);
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

/* The cluster's blocks to the result; each block writes its share. */
template <typename T, int D, int G>
__device__ __forceinline__ void join_blocks(const em__step_attend &a, int head, block_memory<T, D, G> &m, int rank)
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    cooperative_groups::cluster_group cluster = cooperative_groups::this_cluster();
    const int share = G * D / CLUSTER;
    for (int i = rank * share + threadIdx.x; i < (rank + 1) * share; i += blockDim.x) {
        const int g = i / D, d = i % D;
        float tops[CLUSTER], sums[CLUSTER], mixes[CLUSTER], most = NONE, sum = 0, mixed = 0;
#pragma unroll
        for (int b = 0; b < CLUSTER; b++) {
            const block_memory<T, D, G> *there = cluster.map_shared_rank(&m, b);
            tops[b] = there->top[g];
            sums[b] = there->sum[g];
            mixes[b] = there->mixed[g][d];
        }
#pragma unroll
        for (int b = 0; b < CLUSTER; b++)
            most = fmaxf(most, tops[b]);
#pragma unroll
        for (int b = 0; b < CLUSTER; b++) {
            const float weight = tops[b] == NONE ? 0 : expf(tops[b] - most);
            sum = fmaf(sums[b], weight, sum);
            mixed = fmaf(mixes[b], weight, mixed);
        }
        a.out[head * G * D + i] = sum == 0 ? 0 : mixed / sum; /* no key: 0; a NaN stays */
    }
#endif
}

/* Keys `base` + i * step of a group of lanes, as they lie. */
template <int D>
__device__ __forceinline__ void fetch_keys(const uint4 *from, int base, int step, int end, int part, uint4 (&to)[AHEAD])
{
#pragma unroll
    for (int i = 0; i < AHEAD; i++)
        if (base + i * step < end)
            to[i] = from[(int64_t)(base + i * step) * (D / 8) + part];
}

/* Of all blocks of the cluster; clusters came with compute capability 9.0. */
__device__ __forceinline__ void sync_cluster()
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    cooperative_groups::this_cluster().sync();
#endif
}

/* A group of lanes' sums over the keys that it has seen: a lane has eight elements of each query and result. */
template <int G> struct running {
    float q[G][8], top[G], sum[G], mixed[G][8];
};

/* The scores of the keys `k`, those from `end` on unseen. Keys are `step` apart. */
template <typename T, int D, int G>
__device__ __forceinline__ void score_keys(const running<G> &r, const uint4 (&k)[AHEAD], int key, int step, int end,
                                           float (&scores)[AHEAD][G])
{
#pragma unroll
    for (int u = 0; u < AHEAD; u++) {
        float x[8];
        eight<T>::open(k[u], x);
#pragma unroll
        for (int g = 0; g < G; g++) {
            float score = 0;
#pragma unroll
            for (int i = 0; i < 8; i++)
                score = fmaf(r.q[g][i], x[i], score);
#pragma unroll
            for (int reach = 1; reach < D / 8; reach <<= 1)
                score += __shfl_xor_sync(~0u, score, reach);
            scores[u][g] = key + u * step < end ? score : NONE;
        }
    }
}

/* Scores to weights by the largest so far; what was summed before is brought to the same. */
template <int G> __device__ __forceinline__ void weigh_keys(running<G> &r, float (&scores)[AHEAD][G])
{
#pragma unroll
    for (int g = 0; g < G; g++) {
        float most = r.top[g];
#pragma unroll
        for (int u = 0; u < AHEAD; u++)
            most = fmaxf(most, scores[u][g]);
        const float keep = r.top[g] == NONE ? 0 : expf(r.top[g] - most);
        r.sum[g] *= keep;
#pragma unroll
        for (int i = 0; i < 8; i++)
            r.mixed[g][i] *= keep;
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            scores[u][g] = scores[u][g] == NONE ? 0 : expf(scores[u][g] - most);
            r.sum[g] += scores[u][g];
        }
        r.top[g] = most;
    }
}

template <typename T, int G>
__device__ __forceinline__ void mix_values(running<G> &r, const uint4 (&v)[AHEAD], int key, int step, int end,
                                           const float (&weights)[AHEAD][G])
{
#pragma unroll
    for (int u = 0; u < AHEAD; u++) {
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
template <typename T, int D, int G>
__device__ __forceinline__ void see_keys(const view<T> &c, const block_memory<T, D, G> &m, running<G> &r, int base,
                                         int key, int step, int part, uint4 (&k)[AHEAD], uint4 (&v)[AHEAD])
{
    for (; base < c.end; base += AHEAD * step, key += AHEAD * step) {
        float scores[AHEAD][G];
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            if (key + u * step == c.k_slot)
                k[u] = ((const uint4 *)m.k)[part];
            if (key + u * step == c.v_slot)
                v[u] = ((const uint4 *)m.v)[part];
        }
        score_keys<T, D, G>(r, k, key, step, c.end, scores);
        weigh_keys<G>(r, scores);
        mix_values<T, G>(r, v, key, step, c.end, scores);
        fetch_keys<D>((const uint4 *)c.keys, key + AHEAD * step, step, c.end, part, k);
        fetch_keys<D>((const uint4 *)c.values, key + AHEAD * step, step, c.end, part, v);
    }
}

template <typename T, int D, int G>
__global__ void __launch_bounds__(WARPS * 32) attend_kernel(const __grid_constant__ em__step_attend a)
{
    constexpr int PARTS = D / 8, KEYS = 32 / PARTS; /* lanes a key; keys a warp */
    extern __shared__ __align__(16) char shared[];
    block_memory<T, D, G> &m = *(block_memory<T, D, G> *)shared;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, part = lane % PARTS;
    const int head = blockIdx.x / CLUSTER, rank = blockIdx.x % CLUSTER;
    em_grid_next();
    em_grid_wait();
    const view<T> c = look<T, D>(a, head);
    const int step = CLUSTER * WARPS * KEYS; /* keys that the cluster looks at at once */
    const int base = c.begin + (warp * CLUSTER + rank) * KEYS, key = base + lane / PARTS;
    uint4 k[AHEAD], v[AHEAD];
    fetch_keys<D>((const uint4 *)c.keys, key, step, c.end, part, k);
    fetch_keys<D>((const uint4 *)c.values, key, step, c.end, part, v);
    if (a.turned) {
        find_turns(a, *a.at, a.step, m.turn);
        __syncthreads();
    }
    prepare_rows<T, D, G>(a, head, m, warp, lane);
    __syncthreads();
    if (rank == 0 && warp == 0 && lane < PARTS) {
        ((uint4 *)c.keys)[(int64_t)c.k_slot * PARTS + lane] = ((const uint4 *)m.k)[lane];
        ((uint4 *)c.values)[(int64_t)c.v_slot * PARTS + lane] = ((const uint4 *)m.v)[lane];
    }
    running<G> r;
#pragma unroll
    for (int g = 0; g < G; g++) {
        r.top[g] = NONE;
        r.sum[g] = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            r.q[g][i] = m.q[g][part * 8 + i];
            r.mixed[g][i] = 0;
        }
    }
    see_keys<T, D, G>(c, m, r, base, key, step, part, k, v);
    join_lanes<D, G>(r.top, r.sum, r.mixed);
    if (lane < PARTS)
        keep_partial<D, G>(m.parts, warp, part, r.top, r.sum, r.mixed);
    __syncthreads();
    join_warps<T, D, G>(m);
    sync_cluster();
    join_blocks<T, D, G>(a, head, m, rank);
    sync_cluster(); /* no block leaves while another reads its memory */
}

template <typename T, int D, int G> static em_status launch(em__cuda *cuda, const em__step_attend *job)
{
    const size_t shared = sizeof(block_memory<T, D, G>);
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(attend_kernel<T, D, G>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
        "attention"));
    return em_launch_clusters(cuda, "attention", attend_kernel<T, D, G>, CLUSTER, (unsigned)(job->kv_heads * CLUSTER),
                              WARPS * 32, shared, *job);
}

typedef em_status (*launch_fn)(em__cuda *, const em__step_attend *);

template <typename T, int D> static launch_fn find_group(int group)
{
    switch (group) {
    case 1: return launch<T, D, 1>;
    case 2: return launch<T, D, 2>;
    case 4: return launch<T, D, 4>;
    default: return NULL;
    }
}

static launch_fn find_launch(const em__step_attend *job)
{
    const int group = job->heads / job->kv_heads;
    if (job->heads % job->kv_heads != 0)
        return NULL;
    if (job->cache == EM_BF16)
        return job->size == 128  ? find_group<__nv_bfloat16, 128>(group)
               : job->size == 64 ? find_group<__nv_bfloat16, 64>(group)
                                 : NULL;
    if (job->cache == EM_F16)
        return job->size == 128 ? find_group<__half, 128>(group) : NULL;
    return NULL;
}

bool em__step_attend_takes(const em__step_attend *job)
{
    return job->capacity > 0 && job->kv_heads > 0 && (job->turned == 0 || job->turned == job->size) &&
           find_launch(job) != NULL;
}

em_status em__step_attend_run(em__cuda *cuda, const em__step_attend *job)
{
    return find_launch(job)(cuda, job);
}
