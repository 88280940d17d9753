/*
 * The kernel of march.cuh, over a kind of weights (march_weights.cuh) and a kind of attention (step_attend_kernel.cuh).
 *
 * The last warp of a block fetches weights, stage by stage, job by job, as far ahead as there are slots; the others
 * compute, and wait for letters without weights in their way.
 */
#ifndef EM_DEVICE_CUDA_MARCH_KERNEL_CUH
#define EM_DEVICE_CUDA_MARCH_KERNEL_CUH

#include "device/cuda/march_mail.cuh"
#include "device/cuda/march_weights.cuh"
#include "device/cuda/rows.cuh"
#include "device/cuda/step_attend_kernel.cuh"

static constexpr int EM_MARCH_KEYS = 32; /* of a block, before another one helps it */

/* Job j comes to shared memory: constant memory is slow to answer. */
__device__ __forceinline__ void em_march_learn(const em__march &m, em_march_memory &memory, int j, int lane)
{
    while (j - em_march_look(&memory.done) >= EM_MARCH_KNOWN)
        ;
    const uint32_t *from = (const uint32_t *)&m.jobs[j];
    for (int i = lane; i < (int)sizeof(em__march_job) / 4; i += 32)
        ((uint32_t *)&memory.jobs[j % EM_MARCH_KNOWN])[i] = from[i];
    __threadfence_block();
    __syncwarp();
    if (lane == 0)
        *(volatile int *)&memory.known = j + 1;
}

/* The last warp's work. */
template <typename W>
__device__ __forceinline__ void em_march_fetch_all(const em__march &m, em_march_memory &memory, char *ring, int lane)
{
    typename W::fetcher at = W::begin(m);
    em_march_tile t;
#pragma unroll 1
    for (int j = 0; j < m.n; j++) {
        em_march_learn(m, memory, j, lane);
        const em__march_job &job = memory.jobs[j % EM_MARCH_KNOWN];
        const em__gemv &g = job.gemv;
#pragma unroll 1
        for (int tile = 0; !job.attends && em_march_cut(g, tile, t); tile++)
            W::fetch_tile(m, g, t, memory, ring, at, lane);
    }
}

/* The block brings x to shared memory, times the gain of a norm. */
template <typename W>
__device__ __forceinline__ void em_march_stage(const em__march_job &job, int j, const em_march_post &post,
                                               em_march_memory &memory)
{
    enum { BATCH = 4, STEP = EM_MARCH_THREADS * 2 };
    const em__gemv &g = job.gemv;
    float sum = 0;
#pragma unroll 1
    for (int i = threadIdx.x * 2; i < g.depth; i += BATCH * STEP) {
        const int n = (g.depth - i + STEP - 1) / STEP;
        float2 x[BATCH], gain[BATCH];
#pragma unroll
        for (int b = 0; b < BATCH; b++) {
            gain[b] = g.gain && b < n ? *(const float2 *)(g.gain + i + b * STEP) : make_float2(1, 1);
        }
        if (job.x_from)
            em_receive_pairs<BATCH>(post.box(j - job.x_from) + i, STEP, n, post.number(j - job.x_from), x);
        else
#pragma unroll
            for (int b = 0; b < BATCH; b++)
                if (b < n)
                    x[b] = *(const float2 *)((const float *)g.x + i + b * STEP);
#pragma unroll
        for (int b = 0; b < BATCH; b++)
            if (b < n) {
                sum = fmaf(x[b].x, x[b].x, fmaf(x[b].y, x[b].y, sum));
                x[b] = make_float2(x[b].x * gain[b].x, x[b].y * gain[b].y);
                W::put(memory.room, g.depth, i + b * STEP, x[b]);
            }
    }
    if (g.norm) {
        sum = em_lanes_sum(sum, 32);
        if ((threadIdx.x & 31) == 0)
            memory.squares[threadIdx.x >> 5] = sum;
    }
}

/* The residual of a row is asked for before it is needed: a letter, which may not have come, or what lies in memory. */
__device__ __forceinline__ uint64_t em_march_ask(const em__march_job &job, int j, const em_march_post &post, int row)
{
    if (job.residual_from)
        return em_peek(post.box(j - job.residual_from) + row);
    return job.gemv.residual ? __float_as_uint(job.gemv.residual[row]) : 0;
}

__device__ __forceinline__ float em_march_hear(const em__march_job &job, int j, const em_march_post &post, int row,
                                               uint64_t letter)
{
    if (job.residual_from)
        while ((uint32_t)(letter >> 32) != post.number(j - job.residual_from))
            letter = em_peek(post.box(j - job.residual_from) + row);
    return __uint_as_float((uint32_t)letter);
}

/* A row's sum, in order of warps. */
template <typename W> __device__ __forceinline__ float em_march_total(const em_march_memory &memory, int row)
{
    float sum = 0;
#pragma unroll
    for (int warp = 0; warp < EM_MARCH_WARPS; warp++)
        sum += memory.table[W::at_table(row, warp)];
    return sum;
}

__device__ __forceinline__ float em_march_factor(const em__gemv &g, const em_march_memory &memory)
{
    float squares = 0;
#pragma unroll
    for (int i = 0; i < EM_MARCH_WARPS; i += 4) {
        const float4 four = *(const float4 *)&memory.squares[i];
        squares += (four.x + four.y) + (four.z + four.w);
    }
    return __frsqrt_rn(squares / (float)g.depth + g.eps);
}

/* What the sums of a tile become: rows first .. first + n - 1 of the result, one a thread. */
template <typename W>
__device__ __forceinline__ void em_march_end(const em__march_job &job, int j, const em_march_post &post,
                                             const em_march_memory &memory, int first, int n, uint64_t residual)
{
    const em__gemv &g = job.gemv;
    const int r = threadIdx.x;
    if (r >= n)
        return;
    const int row = first + r;
    const float factor = g.norm ? em_march_factor(g, memory) : 1;
    float v = factor * em_march_total<W>(memory, W::entry(g, r, n, false));
    if (g.bias)
        v += g.bias[row];
    if (g.activation != EM__OP_COPY)
        v = em_gemv_activate((em__op)g.activation, v);
    if (g.pair)
        v *= factor * em_march_total<W>(memory, W::entry(g, r, n, true));
    v += em_march_hear(job, j, post, row, residual);
    if (job.heard)
        em_send(post.box(j) + row, v, post.number(j));
    if (g.out[0])
        ((float *)g.out[0])[row] = v;
}

/* A product: the block's tiles of it. */
template <typename W>
__device__ __forceinline__ void em_march_product(int j, const em_march_post &post, em_march_memory &memory,
                                                 const char *ring, em_march_slots &at)
{
    const em__march_job &job = memory.jobs[j % EM_MARCH_KNOWN];
    const em__gemv &g = job.gemv;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, halves = g.pair ? 2 : 1;
    em_march_tile t;
#pragma unroll 1
    for (int tile = 0; em_march_cut(g, tile, t); tile++) {
        const int first = t.first / halves, n = t.rows / halves;
        const uint64_t residual = (int)threadIdx.x < n ? em_march_ask(job, j, post, first + (int)threadIdx.x) : 0;
        if (tile == 0)
            em_march_stage<W>(job, j, post, memory);
        em_march_sync();
        W::multiply_tile(g, t, memory, ring, at, warp, lane);
        em_march_sync();
        em_march_end<W>(job, j, post, memory, first, n, residual);
    }
}

/* Joins the blocks of a head: each takes its share of the results, from every block's mail. */
template <typename T, int D, int G>
__device__ __forceinline__ void em_march_join(int parts, int j, const em_march_post &post, float *out, int head,
                                              int part, const em_attend_memory<EM_MARCH_WARPS, T, D, G> &memory)
{
    enum { LETTERS = G * (D + 2) };
    const uint32_t number = post.number(j);
    uint64_t *const to = post.box(j) + head * G * D;
    if (parts == 1) {
        for (int i = threadIdx.x; i < G * D; i += EM_MARCH_THREADS) {
            const float sum = memory.sum[i / D], v = sum == 0 ? 0 : memory.mixed[i / D][i % D] / sum;
            em_send(to + i, v, number);
            out[head * G * D + i] = v;
        }
        return;
    }
    uint64_t *const all = post.desk->partials + (int64_t)head * parts * LETTERS, *const mine = all + part * LETTERS;
    for (int i = threadIdx.x; i < G * D; i += EM_MARCH_THREADS) {
        em_send(mine + i, memory.mixed[i / D][i % D], number);
        if (i < G) {
            em_send(mine + G * D + i, memory.top[i], number);
            em_send(mine + G * D + G + i, memory.sum[i], number);
        }
    }
    const int share = G * D / parts; /* a result to `parts` neighbours of a warp */
    for (int i = threadIdx.x; i < G * D; i += EM_MARCH_THREADS) {
        const int other = i % parts, at = part * share + i / parts, g = at / D;
        const uint64_t *its = all + other * LETTERS;
        float x[3]; /* the largest score, the weights' sum, the value */
        em_receive<3>({its + G * D + g, its + G * D + G + g, its + at}, number, x);
        float most = x[0];
        for (int reach = 1; reach < parts; reach <<= 1)
            most = fmaxf(most, __shfl_xor_sync(~0u, most, reach));
        const float weight = x[0] == EM_NO_SCORE ? 0 : expf(x[0] - most);
        float sum = x[1] * weight, value = x[2] * weight;
        for (int reach = 1; reach < parts; reach <<= 1) {
            sum += __shfl_xor_sync(~0u, sum, reach);
            value += __shfl_xor_sync(~0u, value, reach);
        }
        if (other == 0) {
            const float v = sum == 0 ? 0 : value / sum; /* no key: 0; a NaN stays */
            em_send(to + at, v, number);
            out[head * G * D + at] = v;
        }
    }
}

/* Attention: up to m.parts blocks for each head of keys, by their number; the others go on. */
template <typename T, int D, int G>
__device__ __forceinline__ void em_march_attend(int most, int j, const em_march_post &post, em_march_memory &shared)
{
    constexpr int PARTS = D / 8, KEYS = 32 / PARTS, AHEAD = G > 2 ? 2 : 4; /* lanes a key; keys a warp */
    using memory = em_attend_memory<EM_MARCH_WARPS, T, D, G>;
    const em__step_attend &a = shared.jobs[j % EM_MARCH_KNOWN].attend;
    memory &mine = *(memory *)shared.room;
    const int head = blockIdx.x / most, rank = blockIdx.x % most;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, part = lane % PARTS;
    if (head >= a.kv_heads)
        return;
    const view<T> c = look<T, D>(a, head);
    int parts = 1;
    while (parts < most && c.end - c.begin > parts * EM_MARCH_KEYS)
        parts *= 2;
    if (rank >= parts)
        return;
    const int step = parts * EM_MARCH_WARPS * KEYS; /* keys that the blocks of a head look at at once */
    const int base = c.begin + (warp * parts + rank) * KEYS, key = base + lane / PARTS;
    uint4 k[AHEAD], v[AHEAD];
    fetch_keys<D, AHEAD>((const uint4 *)c.keys, key, step, c.end, part, k);
    fetch_keys<D, AHEAD>((const uint4 *)c.values, key, step, c.end, part, v);
    const uint64_t *products = post.box(j - 1);
    prepare_rows<EM_MARCH_WARPS, T, D, G>(a, head, mine, shared.turn, warp, lane, [&](int at, float(&x)[D / 32]) {
        const uint64_t *from[D / 32];
#pragma unroll
        for (int i = 0; i < D / 32; i++)
            from[i] = products + at + 32 * i;
        em_receive<D / 32>(from, post.number(j - 1), x);
    });
    em_march_sync();
    if (rank == 0 && warp == 0)
        put_rows<EM_MARCH_WARPS, T, D, G>(c, mine, lane);
    attend_warp<EM_MARCH_WARPS, T, D, G, AHEAD>(c, mine, base, key, step, warp, lane, k, v);
    em_march_sync();
    join_warps<EM_MARCH_WARPS, T, D, G>(mine);
    em_march_sync();
    em_march_join<T, D, G>(parts, j, post, a.out, head, rank, mine);
}

/* The last block to leave sets the next launch's numbers. */
__device__ __forceinline__ void em_march_leave(const em__march &m, const em_march_post &post)
{
    if (atomicAdd(&m.desk->left, 1) == gridDim.x - 1) {
        m.desk->left = 0;
        m.desk->number = post.first + (uint32_t)m.n;
    }
}

/* The other warps' work. */
template <typename W, typename T, int D, int G>
__device__ __forceinline__ void em_march_compute(const em__march &m, em_march_memory &memory, const char *ring)
{
    const em_march_post post = {m.desk, m.desk->number + 1};
    const em__step_attend &first = m.jobs[m.attention].attend;
    em_march_slots at = {m.slots, 0, 0};
    if (first.turned)
        find_turns(first, *first.at, first.step, memory.turn);
#pragma unroll 1
    for (int j = 0; j < m.n; j++) {
        em_march_sync(); /* the block has ended the job before: its memory is this one's */
        if (threadIdx.x == 0)
            *(volatile int *)&memory.done = j;
        while (em_march_look(&memory.known) <= j)
            ;
        if (memory.jobs[j % EM_MARCH_KNOWN].attends)
            em_march_attend<T, D, G>(m.parts, j, post, memory);
        else
            em_march_product<W>(j, post, memory, ring, at);
    }
    em_march_sync();
    if (threadIdx.x == 0)
        em_march_leave(m, post);
}

template <typename W, typename T, int D, int G>
__global__ void __launch_bounds__(EM_MARCH_THREADS + 32) em_march_kernel(const __grid_constant__ em__march m)
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900 /* what it is not asked for elsewhere */
    extern __shared__ __align__(16) char shared[];
    em_march_memory &memory = *(em_march_memory *)(shared + m.ring);
    if (threadIdx.x == 0) {
        for (int i = 0; i < m.slots; i++) {
            em_barrier_init(&memory.full[i], 1);
            em_barrier_init(&memory.empty[i], EM_MARCH_WARPS);
        }
        memory.known = memory.done = 0;
        em_barrier_publish();
    }
    em_grid_next();
    em_grid_wait();
    __syncthreads();
    if (threadIdx.x >= EM_MARCH_THREADS)
        em_march_fetch_all<W>(m, memory, shared, threadIdx.x & 31);
    else
        em_march_compute<W, T, D, G>(m, memory, shared);
#endif
}

#endif
