/*
 * Few queries over a long cache. The rows of one key/value head (its group of query heads, each with its queries) are
 * held together in registers, so that keys and values are read once. The keys that these rows see are cut into as many
 * parts as a block cluster has blocks (or, without clusters, as there are partial results in scratch); in a block, each
 * warp takes 16-byte pieces of 16 / R * (32 / LPK) keys at a time with a maximum and a sum of its own. Parts are merged
 * in their order, so the bits depend on the row's keys alone.
 *
 * In a warp LPK lanes hold a key, 8 elements each. 16 dot products a lane become one or two whole ones a lane by a
 * butterfly that halves what each lane carries.
 */
#ifndef EM_DEVICE_CUDA_ATTENTION_DECODE_CUH
#define EM_DEVICE_CUDA_ATTENTION_DECODE_CUH

#include "device/cuda/attention.cuh"

namespace em_decode
{

enum { THREADS = 256, WARPS = THREADS / 32, CHUNK = 16 /* dot products a lane begins with */ };

/* The blocks of a cluster send their parts to the first: each store counts its bytes at that block's barrier, so nobody
 * waits but the first, once it has what it expects. No block sends before the first has set up its barrier. */
__device__ __forceinline__ void cluster_begin(uint64_t *barrier, bool first)
{
#if __CUDA_ARCH__ >= 900
    if (first && threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"((unsigned)__cvta_generic_to_shared(barrier)));
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncwarp();
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}

__device__ __forceinline__ void cluster_begun()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

/* *to = x in the first block's shared memory. */
__device__ __forceinline__ void send(float *to, float x, uint64_t *barrier)
{
#if __CUDA_ARCH__ >= 900
    unsigned there, gate;
    asm("mapa.shared::cluster.u32 %0, %1, 0;" : "=r"(there) : "r"((unsigned)__cvta_generic_to_shared(to)));
    asm("mapa.shared::cluster.u32 %0, %1, 0;" : "=r"(gate) : "r"((unsigned)__cvta_generic_to_shared(barrier)));
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(there), "f"(x),
                 "r"(gate)
                 : "memory");
#endif
}

/* The first block: until `bytes` have come. */
__device__ __forceinline__ void receive(uint64_t *barrier, unsigned bytes)
{
#if __CUDA_ARCH__ >= 900
    const unsigned gate = (unsigned)__cvta_generic_to_shared(barrier);
    if (threadIdx.x == 0)
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(gate), "r"(bytes) : "memory");
    unsigned done = 0;
    while (!done)
        asm volatile("{.reg .pred p;\n\tmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], 0;\n\t"
                     "selp.u32 %0, 1, 0, p;}"
                     : "=r"(done)
                     : "r"(gate)
                     : "memory");
#endif
}

__device__ __forceinline__ void put(float *to, float x, uint64_t *barrier)
{
    if (barrier)
        send(to, x, barrier);
    else
        *to = x;
}

__device__ __forceinline__ float read_half(const void *data, em_dtype dtype, int64_t at)
{
    return dtype == EM_BF16 ? __bfloat162float(((const __nv_bfloat16 *)data)[at])
                            : __half2float(((const __half *)data)[at]);
}

/* Partial results of R rows of WIDTH values: parts beside each other. */
struct partials {
    float *values, *tops, *sums; /* [parts][R][WIDTH], [parts][R] twice */
};

template <int R, int WIDTH> __host__ __device__ __forceinline__ partials partials_at(float *base, int parts)
{
    return {base, base + parts * R * WIDTH, base + parts * R * WIDTH + parts * R};
}

template <int R, int WIDTH> __host__ __device__ constexpr int partial_floats()
{
    return R * (WIDTH + 2);
}

/* Rows of up to 32 parts, a warp each: their common tops and sums; `tops` becomes the factors of the parts. */
template <int R> __device__ __forceinline__ void weigh(const partials &p, int parts, float *top, float *sum)
{
    const int r = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (r >= R)
        return;
    const float mine = lane < parts ? p.tops[lane * R + r] : -INFINITY;
    float high = mine;
#pragma unroll
    for (int o = 16; o; o /= 2)
        high = fmaxf(high, __shfl_xor_sync(~0u, high, o));
    const float factor = em_exp_fast(mine - em_finite_top(high));
    float total = lane < parts ? factor * p.sums[lane * R + r] : 0;
#pragma unroll
    for (int o = 16; o; o /= 2)
        total += __shfl_xor_sync(~0u, total, o);
    if (lane < parts)
        p.tops[lane * R + r] = factor;
    if (lane == 0) {
        top[r] = high;
        sum[r] = total;
    }
}

template <int R, int WIDTH> __device__ __forceinline__ float mix(const partials &p, int parts, int r, int d)
{
    float x = 0;
#pragma unroll 8
    for (int i = 0; i < parts; i++) {
        const float value = p.values[(i * R + r) * WIDTH + d];
        x += p.tops[i * R + r] * (p.sums[i * R + r] != 0 ? value : 0); /* of no key: not written */
    }
    return x;
}

/* The R rows of key/value head kv of batch b that a block holds, in shared memory. A row that is none sees nothing. */
template <int R, int WIDTH> struct block_rows {
    float q[R][WIDTH];
    em_keys seen[R];
    int64_t mask[R], out[R]; /* where their masks and results begin, in elements; out -1: no row */
    float sink[R];
};

/* Fills `rows`; b, kv and tile are the block's. */
template <int R, int WIDTH>
__device__ __forceinline__ void find_rows(const em_attend &a, block_rows<R, WIDTH> *rows, int b, int kv, int tile,
                                          int length)
{
    const int group = a.heads / a.kv_heads, all = group * a.queries;
#pragma unroll 1
    for (int at = threadIdx.x; at < R * WIDTH; at += THREADS) {
        const int r = at / WIDTH, d = at % WIDTH, row = tile * R + r;
        const int g = a.queries == 1 ? row : row / a.queries, h = kv * group + g, i = row - g * a.queries;
        const bool is = row < all;
        rows->q[r][d] = 0;
        if (is && d < a.size) {
            const int64_t from = b * a.q.batch + h * a.q.head + i * a.q.token + d;
            rows->q[r][d] = a.dtype == EM_F32 ? ((const float *)a.q.data)[from] : read_half(a.q.data, a.dtype, from);
        }
        if (d == 0) {
            const em_keys none = {length, 0};
            rows->seen[r] = is ? em_attend_seen(a, length, i) : none;
            rows->mask[r] = b * a.mask_strides[0] + h * a.mask_strides[1] + i * a.mask_strides[2];
            rows->out[r] = is ? (((int64_t)b * a.heads + h) * a.queries + i) * a.value_size : -1;
            rows->sink[r] = a.sinks && is ? a.sinks[h] : -INFINITY;
        }
    }
}

/* Writes the rows whose parts are `p`, weighed already: totals in top and sum. */
template <int R, int WIDTH>
__device__ __forceinline__ void finish(const em_attend &a, const block_rows<R, WIDTH> *rows, const partials &p,
                                       int parts, const float *tops, const float *sums)
{
#pragma unroll 1
    for (int at = threadIdx.x; at < R * WIDTH; at += THREADS) {
        const int r = at / WIDTH, d = at % WIDTH;
        float x = mix<R, WIDTH>(p, parts, r, d), sum = sums[r];
        if (a.sinks) {
            const float high = em_finite_top(fmaxf(tops[r], rows->sink[r]));
            const float shrink = sum != 0 ? em_exp_fast(em_finite_top(tops[r]) - high) : 0;
            x *= shrink;
            sum = sum * shrink + em_exp_fast(rows->sink[r] - high);
        }
        if (rows->out[r] >= 0 && d < a.value_size)
            em_store_as(a.dtype, a.out, rows->out[r] + d, sum == 0 ? 0 : x / sum);
    }
}

/* Halves what a lane carries, step by step: afterwards v[0..] of lane e are the sums over the LPK lanes of values
 * e * CHUNK / LPK and on (LPK > CHUNK: of value e / (LPK / CHUNK)). */
template <int O, int N = CHUNK / 2> __device__ __forceinline__ void fold(float (&v)[CHUNK])
{
    if constexpr (O > 0 && N > 0) {
        const bool upper = threadIdx.x & O;
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float keep = upper ? v[i + N] : v[i], give = upper ? v[i] : v[i + N];
            v[i] = keep + __shfl_xor_sync(~0u, give, O);
        }
        fold<O / 2, N / 2>(v);
    } else if constexpr (O > 0) {
        v[0] += __shfl_xor_sync(~0u, v[0], O);
        fold<O / 2, 0>(v);
    }
}

/* What a lane keeps of the scores: HELD values, of which value i is of key PLACE / R and row PLACE % R of its step. */
template <int LPK, int R> struct lane_roles {
    static constexpr int HELD = LPK < CHUNK ? CHUNK / LPK : 1, SAME = LPK > CHUNK ? LPK / CHUNK : 1;
    static constexpr int KEYS = CHUNK / R, GROUPS = 32 / LPK; /* keys a lane group; lane groups */
    /* lane bits that tell rows apart, and those of lanes that hold the same */
    static constexpr int ROW_BITS = (R / (HELD < R ? HELD : R) - 1) * SAME, SAME_BITS = SAME - 1;
};

template <int LPK, int R> __device__ __forceinline__ float top_of_row(float x)
{
#pragma unroll
    for (int o = 16; o; o /= 2)
        if (!(lane_roles<LPK, R>::ROW_BITS & o))
            x = fmaxf(x, __shfl_xor_sync(~0u, x, o));
    return x;
}

template <int LPK, int R> __device__ __forceinline__ float sum_of_row(float x)
{
#pragma unroll
    for (int o = 16; o; o /= 2)
        if (!((lane_roles<LPK, R>::ROW_BITS | lane_roles<LPK, R>::SAME_BITS) & o))
            x += __shfl_xor_sync(~0u, x, o);
    return x;
}

/* This lane's pieces of the keys, or values, of a step; zeros from key `to` on. */
template <int LPK, int R, typename T>
__device__ __forceinline__ void fetch_keys(em_eight<T> (&x)[CHUNK / R], const T *from, const em_attend_operand &o,
                                           int base, int to, int left)
{
    constexpr int GROUPS = 32 / LPK;
    const int first = base + threadIdx.x % 32 / LPK;
    const T *p = from + first * o.token;
#pragma unroll
    for (int u = 0; u < CHUNK / R; u++)
        x[u] = em_fetch_eight(p + u * GROUPS * o.token, first + u * GROUPS < to && left > 0);
}

/* The keys of a block: [from, to), of those that its rows see; `active` parts have any, the first counts always. */
struct key_part {
    int from, to, active;
};

template <int R, int WIDTH>
__device__ __forceinline__ key_part cut_keys(const block_rows<R, WIDTH> *rows, int step, int parts, int part)
{
    int first = rows->seen[0].first, end = rows->seen[0].end;
#pragma unroll
    for (int r = 1; r < R; r++) {
        first = min(first, rows->seen[r].first);
        end = max(end, rows->seen[r].end);
    }
    const int span = end > first ? end - first : 0, each = ((span + parts - 1) / parts + step - 1) / step * step;
    key_part k;
    k.active = span > each ? (span + each - 1) / each : 1;
    k.from = (int)min((int64_t)end, first + (int64_t)part * each);
    k.to = min(end, k.from + each);
    return k;
}

/* What a lane has of the rows so far: of the scores that it holds, and of 8 dims of each row. */
template <int LPK, int R> struct lane_state {
    float top[lane_roles<LPK, R>::HELD], sum[lane_roles<LPK, R>::HELD], acc[R][8];
};

/* The dot products of a step: of this lane's pieces, then of whole keys (lane_roles). */
template <int LPK, int R, typename T>
__device__ __forceinline__ void dot_step(float (&s)[CHUNK], const float (&q)[R][8], const em_eight<T> (&k)[CHUNK / R])
{
#pragma unroll
    for (int u = 0; u < CHUNK / R; u++)
#pragma unroll
        for (int r = 0; r < R; r++) {
            float dot = 0;
#pragma unroll
            for (int d = 0; d < 8; d++)
                dot += q[r][d] * em_as_float(k[u].x[d]);
            s[u * R + r] = dot;
        }
    fold<LPK / 2>(s);
}

/* Scores to weights, which go to `weights` with the factors that the rows so far shrink by. `base` is the step's first
 * key; `scales` is where those of the head begin. */
template <int LPK, int R, int WIDTH>
__device__ __forceinline__ void weigh_step(const em_attend &a, const block_rows<R, WIDTH> &rows,
                                           const float (&s)[CHUNK], int base, int to, int64_t scales,
                                           lane_state<LPK, R> *state, float *weights)
{
    typedef lane_roles<LPK, R> roles;
    const int e = threadIdx.x % LPK, group = threadIdx.x % 32 / LPK, held = e / roles::SAME * roles::HELD;
    const int key = base + held / R * roles::GROUPS + group;
#pragma unroll
    for (int i = 0; i < roles::HELD; i++) {
        const int r = (held + i) % R;
        const bool is_seen = key < to && key >= rows.seen[r].first && key < rows.seen[r].end;
        float x = s[i] * a.scale;
        if (a.k_scales && key < to)
            x *= a.k_scales[scales + key];
        if ((a.mask || a.softcap != 0) && is_seen)
            x = em_attend_bend(a, rows.mask[r] + key * a.mask_strides[3], x);
        x = is_seen ? x : -INFINITY;
        const float high = fmaxf(state->top[i], top_of_row<LPK, R>(x)), base_top = em_finite_top(high);
        const float shrink = em_exp_fast(state->top[i] - base_top);
        x = em_exp_fast(x - base_top);
        state->top[i] = high;
        state->sum[i] = state->sum[i] * shrink + x;
        if (a.v_scales && key < to)
            x *= a.v_scales[scales + key];
        weights[group * CHUNK + held + i] = x;
        weights[roles::GROUPS * CHUNK + r] = shrink;
    }
}

template <int LPK, int R, typename T>
__device__ __forceinline__ void add_step(float (&acc)[R][8], const float *weights, const em_eight<T> (&v)[CHUNK / R])
{
    const int group = threadIdx.x % 32 / LPK;
#pragma unroll
    for (int r = 0; r < R; r++) {
        const float shrink = weights[32 / LPK * CHUNK + r];
#pragma unroll
        for (int d = 0; d < 8; d++)
            acc[r][d] *= shrink;
    }
#pragma unroll
    for (int u = 0; u < CHUNK / R; u++)
#pragma unroll
        for (int r = 0; r < R; r++) {
            const float w = weights[group * CHUNK + u * R + r];
#pragma unroll
            for (int d = 0; d < 8; d++)
                acc[r][d] += w * em_as_float(v[u].x[d]);
        }
}

/* A warp's results to shared memory, as one part. */
template <int LPK, int R> __device__ __forceinline__ void leave(const partials &p, const lane_state<LPK, R> &state)
{
    typedef lane_roles<LPK, R> roles;
    const int warp = threadIdx.x / 32, e = threadIdx.x % LPK, group = threadIdx.x % 32 / LPK;
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
        for (int d = 0; d < 8; d++) {
            float x = state.acc[r][d];
#pragma unroll
            for (int o = LPK; o < 32; o *= 2)
                x += __shfl_xor_sync(~0u, x, o);
            if (group == 0)
                p.values[(warp * R + r) * LPK * 8 + e * 8 + d] = x;
        }
#pragma unroll
    for (int i = 0; i < roles::HELD; i++) {
        const int r = (e / roles::SAME * roles::HELD + i) % R;
        const float total = sum_of_row<LPK, R>(state.sum[i]);
        p.tops[warp * R + r] = state.top[i];
        p.sums[warp * R + r] = total;
    }
}

/* The keys of this block that are this warp's. */
template <typename T, int LPK, int R, int WIDTH>
__device__ __forceinline__ void walk_keys(const em_attend &a, const block_rows<R, WIDTH> &rows, int b, int kv,
                                          const key_part &part, float *weights, lane_state<LPK, R> *state)
{
    constexpr int STEP = CHUNK / R * (32 / LPK);
    const int e = threadIdx.x % LPK;
    const T *keys = (const T *)a.k.data + b * a.k.batch + kv * a.k.head + e * 8;
    const T *values = (const T *)a.v.data + b * a.v.batch + kv * a.v.head + e * 8;
    const int64_t scales = ((int64_t)b * a.kv_heads + kv) * a.keys;
    float q[R][8];
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
        for (int d = 0; d < 8; d++)
            q[r][d] = rows.q[r][e * 8 + d];
    for (int base = part.from + threadIdx.x / 32 * STEP; base < part.to; base += WARPS * STEP) {
        em_eight<T> k[CHUNK / R], v[CHUNK / R];
        float s[CHUNK];
        fetch_keys<LPK, R>(k, keys, a.k, base, part.to, a.size - e * 8);
        fetch_keys<LPK, R>(v, values, a.v, base, part.to, a.value_size - e * 8);
        dot_step<LPK, R>(s, q, k);
        __syncwarp();
        weigh_step<LPK, R>(a, rows, s, base, part.to, scales, state, weights);
        __syncwarp();
        add_step<LPK, R>(state->acc, weights, v);
    }
}

template <typename T, int LPK, int R>
__global__ void __launch_bounds__(THREADS, sizeof(T) == 4 || R == 8 ? 1 : 2)
    decode_kernel(const __grid_constant__ em_attend a, int tiles, float *scratch)
{
    constexpr int WIDTH = LPK * 8, STEP = WARPS * (CHUNK / R) * (32 / LPK), FLOATS = partial_floats<R, WIDTH>();
    extern __shared__ float shared[];
    __shared__ float weights[WARPS][32 / LPK * CHUNK + R];
    __shared__ block_rows<R, WIDTH> rows;
    __shared__ float row_top[R], row_sum[R];
    __shared__ uint64_t arrived;
    const int parts = gridDim.x, part = blockIdx.x, b = blockIdx.z, kv = blockIdx.y / tiles;
    const bool clustered = !scratch && parts > 1;
    em_grid_next();
    if (clustered)
        cluster_begin(&arrived, part == 0);
    em_grid_wait();
    find_rows(a, &rows, b, kv, blockIdx.y % tiles, em_attend_length(a, b));
    __syncthreads();
    const key_part mine = cut_keys(&rows, STEP, parts, part);
    if (part >= mine.active && !scratch)
        return;
    lane_state<LPK, R> state = {};
#pragma unroll
    for (int i = 0; i < lane_roles<LPK, R>::HELD; i++)
        state.top[i] = -INFINITY;
    walk_keys<T>(a, rows, b, kv, mine, weights[threadIdx.x / 32], &state);
    const partials warps = partials_at<R, WIDTH>(shared, WARPS);
    leave<LPK, R>(warps, state);
    __syncthreads();
    weigh<R>(warps, WARPS, row_top, row_sum);
    if (clustered)
        cluster_begun();
    __syncthreads();
    /* This block's part goes to the first block of the cluster, or to scratch, or stays. */
    const int64_t block = (int64_t)blockIdx.z * gridDim.y + blockIdx.y;
    const partials all =
        partials_at<R, WIDTH>(scratch ? scratch + block * parts * FLOATS : shared + WARPS * FLOATS, parts);
    uint64_t *const far = !scratch && part > 0 ? &arrived : NULL;
#pragma unroll 1
    for (int at = threadIdx.x; at < R * WIDTH; at += THREADS)
        put(&all.values[part * R * WIDTH + at], mix<R, WIDTH>(warps, WARPS, at / WIDTH, at % WIDTH), far);
    if (threadIdx.x < R) {
        put(&all.tops[part * R + threadIdx.x], row_top[threadIdx.x], far);
        put(&all.sums[part * R + threadIdx.x], row_sum[threadIdx.x], far);
    }
    if (scratch || part > 0)
        return;
    if (mine.active > 1)
        receive(&arrived, (unsigned)sizeof(float) * FLOATS * (mine.active - 1));
    __syncthreads();
    weigh<R>(all, mine.active, row_top, row_sum);
    __syncthreads();
    finish<R, WIDTH>(a, &rows, all, mine.active, row_top, row_sum);
}

/* Merges what the blocks of a tile left in scratch. */
template <int LPK, int R>
__global__ void __launch_bounds__(THREADS)
    merge_kernel(const __grid_constant__ em_attend a, int tiles, int parts, float *scratch)
{
    constexpr int WIDTH = LPK * 8;
    __shared__ float row_top[R], row_sum[R];
    __shared__ block_rows<R, WIDTH> rows;
    const int64_t block = (int64_t)blockIdx.z * gridDim.y + blockIdx.y;
    const partials all = partials_at<R, WIDTH>(scratch + block * parts * partial_floats<R, WIDTH>(), parts);
    em_grid_next();
    em_grid_wait();
    find_rows(a, &rows, blockIdx.z, blockIdx.y / tiles, blockIdx.y % tiles, 0);
    weigh<R>(all, parts, row_top, row_sum);
    __syncthreads();
    finish<R, WIDTH>(a, &rows, all, parts, row_top, row_sum);
}

/* How a call is cut. */
struct shape {
    int lanes, rows, tiles, parts; /* lanes a key; rows a tile; tiles a head; parts of the keys */
    bool cluster;
};

shape shape_of(const em__cuda *cuda, const em__call *call);

template <typename T, int LPK, int R>
em_status launch(em__cuda *cuda, const em__call *call, const em_attend &a, const shape &s)
{
    constexpr int FLOATS = partial_floats<R, LPK * 8>();
    float *scratch = s.cluster || s.parts == 1 ? NULL : (float *)call->scratch;
    const size_t shared = sizeof(float) * FLOATS * (WARPS + (scratch ? 0 : s.parts));
    auto kernel = decode_kernel<T, LPK, R>;
    EM__TRY(em__cuda_check(cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
                           "sdpa"));
    if (s.cluster && s.parts > 8)
        EM__TRY(em__cuda_check(cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
                               "sdpa"));
    const dim3 grid((unsigned)s.parts, (unsigned)(a.kv_heads * s.tiles), (unsigned)a.batch);
    EM__TRY(em_launch_clusters(cuda, "sdpa", kernel, s.cluster ? (unsigned)s.parts : 1, grid, THREADS, shared, a,
                               s.tiles, scratch));
    if (!scratch)
        return EM_OK;
    return em_launch(cuda, "sdpa", merge_kernel<LPK, R>, dim3(1, grid.y, grid.z), THREADS, 0, a, s.tiles, s.parts,
                     scratch);
}

/* Of a cache of T; one file a dtype, for they take long to compile. */
template <typename T> em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    const em_attend a = em_attend_of(call);
    if (!a.k.wide || !a.v.wide)
        return em_attend_plain(device, call);
    const shape s = shape_of(cuda, call);
    switch (s.lanes * 16 + s.rows) {
    case 8 * 16 + 2: return launch<T, 8, 2>(cuda, call, a, s);
    case 8 * 16 + 4: return launch<T, 8, 4>(cuda, call, a, s);
    case 8 * 16 + 8: return launch<T, 8, 8>(cuda, call, a, s);
    case 16 * 16 + 2: return launch<T, 16, 2>(cuda, call, a, s);
    case 16 * 16 + 4: return launch<T, 16, 4>(cuda, call, a, s);
    case 16 * 16 + 8: return launch<T, 16, 8>(cuda, call, a, s);
    case 32 * 16 + 2: return launch<T, 32, 2>(cuda, call, a, s);
    case 32 * 16 + 4: return launch<T, 32, 4>(cuda, call, a, s);
    default: return launch<T, 32, 8>(cuda, call, a, s);
    }
}

em_status run_f32(em_device *device, const em__call *call);
em_status run_f16(em_device *device, const em__call *call);
em_status run_bf16(em_device *device, const em__call *call);
em_status run_s8(em_device *device, const em__call *call);

} // namespace em_decode
#endif
