/*
 * The kernel of march.cuh, over a kind of weights (march_weights.cuh) and a kind of attention (step_attend_kernel.cuh).
 *
 * The first warps of a block compute, and wait for letters without weights in their way. Of the others one or more, as
 * the kind of weights has it, fetch weights, stage by stage, job by job, as far ahead as there are slots; one tidies.
 */
#ifndef EM_DEVICE_CUDA_MARCH_KERNEL_CUH
#define EM_DEVICE_CUDA_MARCH_KERNEL_CUH

#include "device/cuda/march_mail.cuh"
#include "device/cuda/march_weights.cuh"
#include "device/cuda/rows.cuh"
#include "device/cuda/step_attend_kernel.cuh"

static constexpr int EM_MARCH_KEYS = 32;               /* of a block, before another one helps it */
static constexpr uint32_t EM_MARCH_LAST = 0xffff0000u; /* numbers that a launch begins with end here */

/* Waits until job j is in shared memory. */
__device__ __forceinline__ const em__march_job &em_march_known(em_march_memory &memory, int j)
{
    em_barrier_wait(&memory.known[j % EM_MARCH_KNOWN], j / EM_MARCH_KNOWN & 1);
    return memory.jobs[j % EM_MARCH_KNOWN];
}

/* A warp has read what it wants of the jobs before job j. */
__device__ __forceinline__ void em_march_begin(em_march_memory &memory, int j, int lane)
{
    __syncwarp();
    if (lane == 0)
        em_barrier_arrive(&memory.begun[j % EM_MARCH_KNOWN]);
}

/* Job j comes to shared memory: constant memory is slow to answer. It takes the place of one that nobody looks back to
 * any more, as soon as all warps have begun a job that is far enough behind that. */
__device__ __forceinline__ void em_march_learn(const em__march &m, em_march_memory &memory, int j, int lane)
{
    const int old = j - EM_MARCH_KNOWN + EM_MARCH_BACK + 1;
    if (old > 0)
        em_barrier_wait(&memory.begun[old % EM_MARCH_KNOWN], old / EM_MARCH_KNOWN & 1);
    __syncwarp();
    const uint32_t *from = (const uint32_t *)&m.jobs[j];
    for (int i = lane; i < (int)sizeof(em__march_job) / 4; i += 32)
        ((uint32_t *)&memory.jobs[j % EM_MARCH_KNOWN])[i] = from[i];
    __syncwarp();
    if (lane == 0)
        em_barrier_arrive(&memory.known[j % EM_MARCH_KNOWN]);
}

/* The work of a warp that fetches; the first one learns jobs for all. */
template <typename W>
__device__ __forceinline__ void em_march_fetch_all(const em__march &m, em_march_memory &memory, char *ring, int lane)
{
    typename W::fetcher at = W::begin(m);
    em_march_tile t;
#pragma unroll 1
    for (int j = 0; j < m.n; j++) {
        if (threadIdx.x < EM_MARCH_THREADS + 32)
            em_march_learn(m, memory, j, lane);
        else
            em_march_begin(memory, j, lane);
        const em__march_job &job = em_march_known(memory, j);
        const em__gemv &g = job.gemv;
#pragma unroll 1
        for (int tile = 0; !job.attends && em_march_cut(g, tile, t); tile++)
            W::fetch_tile(m, g, t, memory, ring, at, lane);
    }
}

/* Mail of the job that is so many before job j. */
__device__ __forceinline__ float *em_march_box(const em_march_memory &memory, const em_march_post &post, int j,
                                               int back)
{
    return post.mail + memory.jobs[(j - back) % EM_MARCH_KNOWN].box;
}

/* Warps bring to shared memory what they multiply of x, times the gain of a norm. */
template <typename W>
__device__ __forceinline__ void em_march_stage(const em__march_job &job, int j, const em_march_post &post,
                                               em_march_memory &memory, int thread)
{
    const float *mail = job.x_from ? em_march_box(memory, post, j, job.x_from) : NULL;
    float sum = W::stage(job.gemv, mail, memory.room, thread);
    if (job.gemv.norm) {
        sum = em_lanes_sum(sum, 32);
        if ((thread & 31) == 0)
            memory.squares[thread >> 5] = sum;
    }
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

/* What becomes of a thread's row of a tile: read before it is needed, since the end of a job is what others wait for.
 * The residual is mail, which may not have come, or lies in memory. */
struct em_march_ending {
    const float *mail;
    float *to, *out;
    uint32_t residual;
    float bias, share, eps; /* share: of a square, in their mean */
    int entry, second;      /* in the table, of a pair; -1: it is none */
    em__op activation;
    bool norm;
};

template <typename W>
__device__ __forceinline__ em_march_ending em_march_foresee(const em__march_job &job, int j, const em_march_post &post,
                                                            const em_march_memory &memory, int first, int n, int r)
{
    const em__gemv &g = job.gemv;
    const int row = first + r;
    em_march_ending e = {};
    if (r >= n)
        return e;
    if (job.residual_from) {
        e.mail = em_march_box(memory, post, j, job.residual_from) + row;
        e.residual = em_mail_peek(e.mail);
    } else if (g.residual) {
        e.residual = __float_as_uint(g.residual[row]);
    }
    e.to = job.heard ? em_march_box(memory, post, j, 0) + row : NULL;
    e.out = g.out[0] ? (float *)g.out[0] + row : NULL;
    e.bias = g.bias ? g.bias[row] : 0;
    e.share = __fdividef(1, (float)g.depth);
    e.eps = g.eps;
    e.entry = W::entry(g, r, n, false);
    e.second = g.pair ? W::entry(g, r, n, true) : -1;
    e.activation = (em__op)g.activation;
    e.norm = g.norm;
    return e;
}

__device__ __forceinline__ float em_march_factor(const em_march_ending &e, const em_march_memory &memory)
{
    float squares = 0;
#pragma unroll
    for (int i = 0; i < EM_MARCH_WARPS; i += 4) {
        const float4 four = *(const float4 *)&memory.squares[i];
        squares += (four.x + four.y) + (four.z + four.w);
    }
    return rsqrtf(fmaf(squares, e.share, e.eps));
}

/* What the sums of a tile become: n rows of the result, one a thread. */
template <typename W>
__device__ __forceinline__ void em_march_end(const em_march_ending &e, const em_march_memory &memory, int n, int thread)
{
    if (thread >= n)
        return;
    const float factor = e.norm ? em_march_factor(e, memory) : 1;
    float v = factor * em_march_total<W>(memory, e.entry) + e.bias;
    const float second = e.second < 0 ? 1 : factor * em_march_total<W>(memory, e.second);
    if (e.activation == EM__OP_SILU)
        v = __fdividef(v, 1 + __expf(-v)); /* most models' */
    else if (e.activation != EM__OP_COPY)
        v = em_gemv_activate(e.activation, v);
    v *= second;
    uint32_t residual = e.residual;
    while (e.mail && residual == EM_MARCH_NONE)
        residual = em_mail_peek(e.mail);
    v += __uint_as_float(residual);
    if (e.to)
        em_mail(e.to, v);
    if (e.out)
        *e.out = v;
}

/* A product: the block's tiles of it. */
template <typename W>
__device__ __forceinline__ void em_march_product(int j, const em_march_post &post, em_march_memory &memory,
                                                 const char *ring, typename W::reader &at)
{
    const em__march_job &job = memory.jobs[j % EM_MARCH_KNOWN];
    const em__gemv &g = job.gemv;
    const int thread = em_march_thread(), lane = thread & 31, warp = thread >> 5, half = g.pair ? 1 : 0;
    em_march_tile t;
#pragma unroll 1
    for (int tile = 0; em_march_cut(g, tile, t); tile++) {
        const int n = t.rows >> half;
        const em_march_ending e = em_march_foresee<W>(job, j, post, memory, t.first >> half, n, thread);
        if (tile == 0) {
            em_march_stage<W>(job, j, post, memory, thread);
            W::staged_sync();
        } else {
            em_march_sync(); /* the table is this tile's */
        }
        W::multiply_tile(g, t, memory, ring, at, warp, lane);
        em_march_sync();
        em_march_end<W>(e, memory, n, thread);
    }
}

/* Joins the blocks of a head: each takes its share of the results, from every block's mail. */
template <typename T, int D, int G>
__device__ __forceinline__ void em_march_join(int parts, uint32_t number, uint64_t *partials, float *to, float *out,
                                              int head, int part,
                                              const em_attend_memory<EM_MARCH_WARPS, T, D, G> &memory)
{
    enum { LETTERS = G * (D + 2) };
    to += head * G * D;
    out += head * G * D;
    if (parts == 1) {
#pragma unroll 1
        for (int i = threadIdx.x; i < G * D; i += EM_MARCH_THREADS) {
            const float sum = memory.sum[i / D], v = sum == 0 ? 0 : memory.mixed[i / D][i % D] / sum;
            em_mail(to + i, v);
            out[i] = v;
        }
        return;
    }
    uint64_t *const all = partials + (int64_t)head * parts * LETTERS, *const mine = all + part * LETTERS;
#pragma unroll 1
    for (int i = threadIdx.x; i < G * D; i += EM_MARCH_THREADS) {
        em_send(mine + i, memory.mixed[i / D][i % D], number);
        if (i < G) {
            em_send(mine + G * D + i, memory.top[i], number);
            em_send(mine + G * D + G + i, memory.sum[i], number);
        }
    }
    const int share = G * D / parts; /* a result to `parts` neighbours of a warp */
#pragma unroll 1
    for (int i = threadIdx.x; i < G * D; i += EM_MARCH_THREADS) {
        const int other = i % parts, at = part * share + i / parts, g = at / D;
        const uint64_t *its = all + other * LETTERS;
        float x[3]; /* the largest score, the weights' sum, the value */
        em_receive<3>({its + G * D + g, its + G * D + G + g, its + at}, number, x);
        float most = x[0];
        for (int reach = 1; reach < parts; reach <<= 1)
            most = fmaxf(most, __shfl_xor_sync(~0u, most, reach));
        const float weight = x[0] == EM_NO_SCORE ? 0 : __expf(x[0] - most);
        float sum = x[1] * weight, value = x[2] * weight;
        for (int reach = 1; reach < parts; reach <<= 1) {
            sum += __shfl_xor_sync(~0u, sum, reach);
            value += __shfl_xor_sync(~0u, value, reach);
        }
        if (other == 0) {
            const float v = sum == 0 ? 0 : value / sum; /* no key: 0; a NaN stays */
            em_mail(to + at, v);
            out[at] = v;
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
    const float *products = em_march_box(shared, post, j, 1);
    prepare_rows<EM_MARCH_WARPS, T, D, G>(a, head, mine, shared.turn, warp, lane, [&](int at, float(&x)[D / 32]) {
        em_mail_receive<D / 32>(products + at, 32, x);
    });
    em_march_sync();
    if (rank == 0 && warp == 0)
        put_rows<EM_MARCH_WARPS, T, D, G>(c, mine, lane);
    attend_warp<EM_MARCH_WARPS, T, D, G, AHEAD>(c, mine, base, key, step, warp, lane, k, v);
    em_march_sync();
    join_warps<EM_MARCH_WARPS, T, D, G>(mine);
    em_march_sync();
    em_march_join<T, D, G>(parts, post.number(j), post.partials, em_march_box(shared, post, j, 0), a.out, head, rank,
                           mine);
}

/* The last block to leave prepares the next launch. Numbers begin anew when they come to an end: letters of old must
 * not be there. */
__device__ __forceinline__ void em_march_leave(const em__march &m, const em_march_post &post, em_march_memory &memory)
{
    em__march_desk &desk = *m.desk;
    if (threadIdx.x == 0)
        memory.last = atomicAdd(&desk.left, 1) == gridDim.x - 1;
    em_march_sync();
    if (!memory.last)
        return;
    const bool over = post.first > EM_MARCH_LAST;
    for (int i = threadIdx.x; over && i < EM_MARCH_PARTIALS; i += EM_MARCH_THREADS)
        desk.partials[i] = 0;
    if (threadIdx.x == 0) {
        desk.left = 0;
        desk.number = over ? 0 : post.first + (uint32_t)m.n;
        desk.launch++;
        desk.written = (uint32_t)m.mail;
    }
}

/* What a job reads beside weights, in pieces; NULL: the piece is none. */
__device__ __forceinline__ const char *em_march_beside(const em__march_job &job, int piece, int64_t &bytes)
{
    const em__step_attend &a = job.attend;
    if (!job.attends) {
        bytes = job.gemv.depth * 4;
        return (const char *)job.gemv.gain;
    }
    bytes = a.size * 4;
    if (piece < 2)
        return (const char *)(piece ? a.k_gain : a.q_gain);
    bytes = (int64_t)(a.length ? max(0, min((int)*a.length, a.capacity)) : a.capacity) * a.size * 2;
    return (const char *)(piece & 1 ? a.keys : a.values) + (int64_t)(piece / 2 - 1) * a.capacity * a.size * 2;
}

/* A warp's work: the block's share of what the launch before has left in its boxes is cleared, then boxes and what
 * else is no weights comes to the second-level cache before it is asked for. */
__device__ __forceinline__ void em_march_tidy(const em__march &m, em_march_memory &memory, int lane)
{
    enum { LINE = 128 };
    const int first = ((int)blockIdx.x * 32 + lane) * 4, step = (int)gridDim.x * 128;
    uint4 *const old = (uint4 *)m.desk->mail[~memory.launch & 1];
    for (int i = first; i < (int)memory.written; i += step)
        old[i / 4] = make_uint4(EM_MARCH_NONE, EM_MARCH_NONE, EM_MARCH_NONE, EM_MARCH_NONE);
    const float *const mail = m.desk->mail[memory.launch & 1];
    for (int j = 0; j < m.n; j++) {
        while (j - atomicAdd(&memory.now, 0) > EM_MARCH_BACK)
            __nanosleep(200);
        const int end = j + 1 < m.n ? m.jobs[j + 1].box : m.mail;
        const int pieces = m.jobs[j].attends ? 2 + 2 * m.jobs[j].attend.kv_heads : 1;
#pragma unroll 1
        for (int piece = -1; piece < pieces; piece++) {
            int64_t bytes = (end - m.jobs[j].box) * 4;
            const char *from =
                piece < 0 ? (const char *)(mail + m.jobs[j].box) : em_march_beside(m.jobs[j], piece, bytes);
#pragma unroll 1
            for (int64_t i = ((int)blockIdx.x + lane * (int)gridDim.x) * LINE; from && i < bytes;
                 i += 32 * LINE * (int)gridDim.x)
                asm volatile("prefetch.global.L2 [%0];" ::"l"(from + i) : "memory");
        }
    }
}

/* The other warps' work. */
template <typename W, typename T, int D, int G>
__device__ __forceinline__ void em_march_compute(const em__march &m, em_march_memory &memory, const char *ring)
{
    const em_march_post post = {m.desk->mail[memory.launch & 1], m.desk->partials, m.desk->number + 1};
    const em__step_attend &first = m.jobs[m.attention].attend;
    typename W::reader at = W::begin_reading(m);
    if (first.turned)
        find_turns(first, *first.at, first.step, memory.turn);
#pragma unroll 1
    for (int j = 0; j < m.n; j++) {
        em_march_sync(); /* the block has ended the job before: its memory is this one's */
        if (threadIdx.x == 0) {
            em_barrier_arrive(&memory.begun[j % EM_MARCH_KNOWN]);
            atomicExch(&memory.now, j);
        }
        if (em_march_known(memory, j).attends)
            em_march_attend<T, D, G>(m.parts, j, post, memory);
        else
            em_march_product<W>(j, post, memory, ring, at);
    }
    em_march_sync();
    em_march_leave(m, post, memory);
}

template <typename W, typename T, int D, int G>
__global__ void __launch_bounds__(EM_MARCH_ALL, 1) em_march_kernel(const __grid_constant__ em__march m)
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900 /* what it is not asked for elsewhere */
    extern __shared__ __align__(16) char shared[];
    em_march_memory &memory = *(em_march_memory *)(shared + m.ring);
    em_grid_next();
    em_grid_wait();
    if (threadIdx.x == 0) {
        for (int i = 0; i < m.slots; i++) {
            em_barrier_init(&memory.full[i], W::FETCHERS);
            em_barrier_init(&memory.empty[i], EM_MARCH_WARPS);
        }
        for (int i = 0; i < EM_MARCH_KNOWN; i++) {
            em_barrier_init(&memory.known[i], 1);
            em_barrier_init(&memory.begun[i], W::FETCHERS); /* they but the one that learns, and those that compute */
        }
        memory.now = 0;
        memory.launch = m.desk->launch;
        memory.written = m.desk->written;
        em_barrier_publish();
    }
    __syncthreads();
    if (threadIdx.x >= EM_MARCH_THREADS) {
        em_registers_give<56>();
        if (threadIdx.x < EM_MARCH_THREADS + W::FETCHERS * 32)
            em_march_fetch_all<W>(m, memory, shared, threadIdx.x & 31);
        else if (threadIdx.x >= EM_MARCH_ALL - 32)
            em_march_tidy(m, memory, threadIdx.x & 31);
    } else {
        em_registers_take<224>();
        em_march_compute<W, T, D, G>(m, memory, shared);
    }
#endif
}

#endif
