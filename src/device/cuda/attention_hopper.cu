/*
 * Many queries of a cache of halves on Hopper: a block has two tiles of 64 queries of one head, a group of four warps
 * each, and a warp whose copies bring keys and values, 128 at a time, two of each ahead of the groups.
 *
 * A group has the product of its last values under way while it makes weights of the next scores. What a tile takes
 * grows with its place in a causal call: a block has one from the front and one from the back, so that all blocks take
 * alike. Both read the same keys; the one that has seen enough lets the rest go by.
 *
 * Rows of the cache past its length may hold anything: values there become zero before they meet weights of zero.
 */
#include "device/cuda/attention_lanes.cuh"
#include "device/cuda/tensor_map.cuh"

namespace
{

enum { ROWS = 64, KEYS = 128, STAGES = 2, GROUP = 128, THREADS = 3 * GROUP, WARP = 32 };

struct arguments {
    CUtensorMap keys, values; /* [batch, kv_heads, tokens, size] each, in boxes of KEYS x 64 */
    em_attend a;
    em_attend_out out;
    int tiles;
    bool far; /* a block's tiles are from both ends; otherwise side by side */
};

struct barriers {
    uint64_t key_full[STAGES], key_free[STAGES], value_full[STAGES], value_free[STAGES], last;
};

template <int WIDTH> struct sizes {
    static constexpr unsigned PANEL = KEYS * 128, TILE = PANEL * (WIDTH / 64);
    static constexpr unsigned VALUES = STAGES * TILE, BYTES = 2 * VALUES + 1024;
};

#if EM_FLASH_GROUPS

__device__ __forceinline__ void box_load(unsigned to, const CUtensorMap *map, int column, int token, int head,
                                         int batch, uint64_t *barrier)
{
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, "
                 "%3, %4, %5}], [%6];" ::"r"(to),
                 "l"((uint64_t)map), "r"(column), "r"(token), "r"(head), "r"(batch), "r"(em_shared(barrier))
                 : "memory");
}

/* What a block has to do: keys [origin, end) in steps, of which a tile sees those from step `first` to `past`. */
struct range {
    int origin, steps;
};

struct task {
    int tile, first, past;
    em_keys seen;
};

__device__ __forceinline__ task task_of(const arguments &p, int length, int group)
{
    const int pair = blockIdx.y, near = p.far ? pair : 2 * pair, other = p.far ? p.tiles - 1 - pair : near + 1;
    task t = {group ? near : other, 0, 0, {0, 0}};
    if (t.tile >= p.tiles || (group && near == other))
        t.tile = -1;
    if (t.tile < 0)
        return t;
    t.seen.first = em_attend_seen(p.a, length, t.tile * ROWS).first;
    t.seen.end = em_attend_seen(p.a, length, min(t.tile * ROWS + ROWS, p.a.queries) - 1).end;
    return t;
}

/* Both tasks of the block, and what they span. */
__device__ __forceinline__ range range_of(task (&t)[2])
{
    int from = INT32_MAX, to = 0;
#pragma unroll
    for (int i = 0; i < 2; i++)
        if (t[i].seen.first < t[i].seen.end) {
            from = min(from, t[i].seen.first);
            to = max(to, t[i].seen.end);
        }
    const range r = {from, from < to ? (to - from + KEYS - 1) / KEYS : 0};
#pragma unroll
    for (int i = 0; i < 2; i++)
        if (t[i].seen.first < t[i].seen.end) {
            t[i].first = (t[i].seen.first - from) / KEYS;
            t[i].past = (t[i].seen.end - from + KEYS - 1) / KEYS;
        }
    return r;
}

/* Rows [from, KEYS) of a tile of values become zero. */
template <int WIDTH> __device__ __forceinline__ void clear_rows(unsigned tile, int from)
{
    for (int panel = 0; panel < WIDTH / 64; panel++)
        for (int i = from * 8 + (int)threadIdx.x % WARP; i < KEYS * 8; i += WARP)
            asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(tile + panel * sizes<WIDTH>::PANEL + i * 16),
                         "r"(0)
                         : "memory");
    em_fence_async();
    __syncwarp();
}

/* The warp that copies. */
template <int WIDTH>
__device__ __forceinline__ void copy_tiles(const arguments &p, barriers &b, unsigned base, const range &r, int length)
{
    constexpr unsigned PANEL = sizes<WIDTH>::PANEL, TILE = sizes<WIDTH>::TILE;
    const int head = blockIdx.x / (p.a.heads / p.a.kv_heads), batch = blockIdx.z;
    const bool leads = threadIdx.x % WARP == 0;
    for (int i = 0; i < r.steps; i++) {
        const int stage = i % STAGES, token = r.origin + i * KEYS, left = length - token;
        const unsigned free = (i / STAGES & 1) ^ 1;
        const unsigned keys = base + stage * TILE, values = keys + sizes<WIDTH>::VALUES;
        const bool cut = left < KEYS && length < p.a.keys; /* the last step alone */
        em_barrier_wait(&b.key_free[stage], free);
        if (leads) {
            em_barrier_expect(&b.key_full[stage], TILE);
            for (int panel = 0; panel < WIDTH / 64; panel++)
                box_load(keys + panel * PANEL, &p.keys, 64 * panel, token, head, batch, &b.key_full[stage]);
        }
        em_barrier_wait(&b.value_free[stage], free);
        uint64_t *full = cut ? &b.last : &b.value_full[stage];
        if (leads) {
            em_barrier_expect(full, TILE);
            for (int panel = 0; panel < WIDTH / 64; panel++)
                box_load(values + panel * PANEL, &p.values, 64 * panel, token, head, batch, full);
        }
        if (cut) {
            em_barrier_wait(&b.last, 0);
            clear_rows<WIDTH>(values, left);
            if (leads)
                em_barrier_arrive(&b.value_full[stage]);
        }
        __syncwarp();
    }
}

__device__ __forceinline__ void let_go(uint64_t *barrier)
{
    if (threadIdx.x % WARP == 0)
        em_barrier_arrive(barrier);
}

/* Steps [from, to), of which this group wants nothing. */
__device__ __forceinline__ void pass_by(barriers &b, int from, int to)
{
    for (int i = from; i < to; i++) {
        em_barrier_wait(&b.key_full[i % STAGES], i / STAGES & 1);
        let_go(&b.key_free[i % STAGES]);
        em_barrier_wait(&b.value_full[i % STAGES], i / STAGES & 1);
        let_go(&b.value_free[i % STAGES]);
    }
}

template <int N> __device__ __forceinline__ void pin(float (&c)[N][4])
{
#pragma unroll
    for (int i = 0; i < N; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
            asm volatile("" : "+f"(c[i][j])::"memory");
}

typedef float scores[KEYS / 8][4];
typedef uint32_t packed[KEYS / 16][4];

template <typename T, int WIDTH>
__device__ __forceinline__ void begin_scores(scores &s, const uint32_t (&q)[WIDTH / 16][4], unsigned keys)
{
    em_wgmma_begin();
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++)
        multiply_group<T, 0>(s, q[k], matrix_at<KEYS>(keys + k / 4 * sizes<WIDTH>::PANEL + k % 4 * 32), k > 0);
    em_wgmma_commit();
}

template <typename T, int WIDTH>
__device__ __forceinline__ void begin_values(float (&acc)[WIDTH / 8][4], const packed &w, unsigned values)
{
    em_wgmma_begin();
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++)
        multiply_group<T, 1>(acc, w[k], matrix_at<KEYS>(values + k * 2048), 1);
    em_wgmma_commit();
}

/* Scores that some rows may not see. */
__device__ __forceinline__ void hide(scores &s, const lane_rows &rows, int from)
{
    const bool whole = from >= rows.seen[0].first && from >= rows.seen[1].first && from + KEYS <= rows.seen[0].end &&
                       from + KEYS <= rows.seen[1].end;
    if (__all_sync(~0u, whole))
        return;
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = from + 8 * j + threadIdx.x % 4 * 2 + i % 2;
            if (key < rows.seen[i / 2].first || key >= rows.seen[i / 2].end)
                s[j][i] = -INFINITY;
        }
}

template <typename T> __device__ __forceinline__ void pack(packed &w, const scores &s)
{
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            w[k][i] = pair_of<T>::make(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
}

__device__ __forceinline__ void begin_rows(const em_attend &a, int first, int length, lane_rows *rows)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + threadIdx.x % WARP / 4 + 8 * half;
        rows->top[half] = -INFINITY;
        rows->sum[half] = 0;
        rows->seen[half] = em_attend_seen(a, length, row);
        rows->seen[half].end = row < a.queries ? rows->seen[half].end : 0;
        rows->unit[half] = a.scale * 1.4426950408889634f;
    }
}

/* What a group of warps has in registers. */
template <typename T, int WIDTH> struct state {
    uint32_t q[WIDTH / 16][4];
    lane_rows rows;
    float acc[WIDTH / 8][4], shrink[2];
    scores s;
    packed w;
};

/* Two neighbours of a query. */
template <typename T, typename Q> __device__ __forceinline__ uint32_t query_pair(const Q *p)
{
    if constexpr (__is_same(T, Q))
        return *(const uint32_t *)p;
    else
        return pair_of<T>::make(read_two(p).x, read_two(p).y);
}

/* Queries of this warp as operands; of what is past the last the last again. */
template <typename T, typename Q, int WIDTH>
__device__ __forceinline__ void read_queries(const em_attend &a, int first, uint32_t (&q)[WIDTH / 16][4])
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = min(first + (int)threadIdx.x % WARP / 4 + 8 * half, a.queries - 1);
        const Q *from = (const Q *)a.q.data + blockIdx.z * a.q.batch + blockIdx.x * a.q.head + row * a.q.token;
#pragma unroll
        for (int i = 0; i < WIDTH / 8; i++)
            q[i / 2][i % 2 * 2 + half] = 8 * i < a.size ? query_pair<T>(from + 8 * i + threadIdx.x % 4 * 2) : 0;
    }
}

/* Scores of a step become weights. */
template <typename T, int WIDTH> __device__ __forceinline__ void weigh(state<T, WIDTH> &g, barriers &b, int i, int from)
{
    pin(g.s);
    let_go(&b.key_free[i % STAGES]);
    hide(g.s, g.rows, from);
    soften(g.s, g.rows.unit, &g.rows, g.shrink);
}

/* What a step leaves for the next: sums that shrink to the new top, weights as halves. */
template <typename T, int WIDTH> __device__ __forceinline__ void settle(state<T, WIDTH> &g)
{
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            g.acc[j][k] *= g.shrink[k / 2];
    pack<T>(g.w, g.s);
}

/* Values of the step before meet their weights while those of this step's keys are made. The wait for values before
 * that stands behind the one for keys: in one stretch with the weights the compiler would put it first. */
template <typename T, int WIDTH>
__device__ __forceinline__ void next_step(state<T, WIDTH> &g, barriers &b, unsigned base, int i, int from, bool second)
{
    const int stage = i % STAGES, before = (i - 1) % STAGES;
    em_barrier_wait(&b.key_full[stage], i / STAGES & 1);
    em_wgmma_wait<0>();
    pin(g.acc);
    if (!second)
        let_go(&b.value_free[(i - 2) % STAGES]);
    settle(g);
    begin_scores<T, WIDTH>(g.s, g.q, base + stage * sizes<WIDTH>::TILE);
    em_barrier_wait(&b.value_full[before], (i - 1) / STAGES & 1);
    begin_values<T, WIDTH>(g.acc, g.w, base + sizes<WIDTH>::VALUES + before * sizes<WIDTH>::TILE);
    em_wgmma_wait<1>();
    weigh(g, b, i, from);
}

/* All keys of a tile. */
template <typename T, int WIDTH>
__device__ __forceinline__ void walk(state<T, WIDTH> &g, barriers &b, unsigned base, const range &r, const task &t)
{
    const int last = t.past - 1;
    em_barrier_wait(&b.key_full[t.first % STAGES], t.first / STAGES & 1);
    begin_scores<T, WIDTH>(g.s, g.q, base + t.first % STAGES * sizes<WIDTH>::TILE);
    em_wgmma_wait<0>();
    weigh(g, b, t.first, r.origin + t.first * KEYS);
#pragma unroll 1
    for (int i = t.first + 1; i <= last; i++)
        next_step(g, b, base, i, r.origin + i * KEYS, i == t.first + 1);
    em_barrier_wait(&b.value_full[last % STAGES], last / STAGES & 1);
    em_wgmma_wait<0>();
    pin(g.acc);
    if (last > t.first)
        let_go(&b.value_free[(last - 1) % STAGES]);
    settle(g);
    begin_values<T, WIDTH>(g.acc, g.w, base + sizes<WIDTH>::VALUES + last % STAGES * sizes<WIDTH>::TILE);
    em_wgmma_wait<0>();
    pin(g.acc);
    let_go(&b.value_free[last % STAGES]);
}

/* What the sums of a row are multiplied by. */
__device__ __forceinline__ float factor_of(const em_attend &a, const lane_rows &rows, int half)
{
    float total = rows.sum[half], shrink = 1;
#pragma unroll
    for (int o = 2; o; o /= 2)
        total += __shfl_xor_sync(~0u, total, o);
    if (a.sinks) {
        const float top = rows.top[half] * rows.unit[half], sink = a.sinks[blockIdx.x] * 1.4426950408889634f;
        const float high = em_finite_top(fmaxf(top, sink));
        shrink = total != 0 ? power_of_two(em_finite_top(top) - high) : 0;
        total = total * shrink + power_of_two(sink - high);
    }
    return total == 0 ? 0 : shrink / total;
}

template <typename Q, int WIDTH>
__device__ __forceinline__ void write_results(const em_attend &a, const em_attend_out &out, int first,
                                              const lane_rows &rows, const float (&acc)[WIDTH / 8][4])
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + (int)threadIdx.x % WARP / 4 + 8 * half;
        const bool is = row < a.queries;
        const float by = factor_of(a, rows, half);
        const int column = threadIdx.x % 4 * 2;
        Q *to = (Q *)a.out + blockIdx.z * out.batch + blockIdx.x * out.head + row * out.token + column;
#pragma unroll
        for (int j = 0; j < WIDTH / 8; j += 2) {
            const float *x = acc[j] + 2 * half, *y = acc[j + 1] + 2 * half;
            if constexpr (sizeof(Q) == 4) {
                if (is && 8 * j < a.value_size)
                    *(float2 *)(to + 8 * j) = make_float2(x[0] * by, x[1] * by);
                if (is && 8 * j + 8 < a.value_size)
                    *(float2 *)(to + 8 * j + 8) = make_float2(y[0] * by, y[1] * by);
            } else {
                const uint2 four =
                    em_wgmma_four(pair_of<Q>::make(x[0] * by, x[1] * by), pair_of<Q>::make(y[0] * by, y[1] * by));
                const int at = 8 * j + em_wgmma_on();
                if (is && column + at < a.value_size)
                    *(uint2 *)(to + at) = four;
            }
        }
    }
}

/* A group of warps with its tile. */
template <typename T, typename Q, int WIDTH>
__device__ __forceinline__ void attend(const arguments &p, barriers &b, unsigned base, const range &r, const task &t,
                                       int length)
{
    const int first = t.tile * ROWS + threadIdx.x % GROUP / WARP * 16;
    state<T, WIDTH> g;
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
        for (int k = 0; k < 4; k++)
            g.acc[j][k] = 0;
    read_queries<T, Q, WIDTH>(p.a, first, g.q);
    begin_rows(p.a, first, length, &g.rows);
    pass_by(b, 0, t.first);
    if (t.first < t.past)
        walk(g, b, base, r, t);
    write_results<Q, WIDTH>(p.a, p.out, first, g.rows, g.acc);
}

#endif

/* Of queries and results Q. */
template <typename T, typename Q, int WIDTH>
__global__ void __launch_bounds__(THREADS, 1) hopper_kernel(const __grid_constant__ arguments p)
{
#if EM_FLASH_GROUPS
    extern __shared__ uint4 shared[];
    __shared__ barriers b;
    const unsigned base = ((unsigned)__cvta_generic_to_shared(shared) + 1023) & ~1023u;
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            em_barrier_init(&b.key_full[i], 1);
            em_barrier_init(&b.value_full[i], 1);
            em_barrier_init(&b.key_free[i], 2 * GROUP / WARP);
            em_barrier_init(&b.value_free[i], 2 * GROUP / WARP);
        }
        em_barrier_init(&b.last, 1);
        em_barrier_publish();
        em_tile_prefetch(&p.keys);
        em_tile_prefetch(&p.values);
    }
    __syncthreads();
    em_grid_next();
    em_grid_wait();
    const int length = em_attend_length(p.a, (int)blockIdx.z);
    task tasks[2] = {task_of(p, length, 0), task_of(p, length, 1)};
    const range r = range_of(tasks);
    if (threadIdx.x < GROUP) {
        em_registers_give<24>();
        if (threadIdx.x < WARP)
            copy_tiles<WIDTH>(p, b, base, r, length);
    } else {
        em_registers_take<240>();
        const task t = threadIdx.x < 2 * GROUP ? tasks[0] : tasks[1];
        if (t.tile >= 0)
            attend<T, Q, WIDTH>(p, b, base, r, t, length);
        pass_by(b, t.past, r.steps);
    }
#endif
}

bool make_map(CUtensorMap *map, const em_attend &a, const em_attend_operand &o, int size)
{
    const int64_t extents[4] = {size, a.keys, a.kv_heads, a.batch}, steps[3] = {o.token, o.head, o.batch};
    cuuint64_t dims[4], bytes[3], whole = (cuuint64_t)size * 2;
    for (int i = 0; i < 4; i++)
        dims[i] = (cuuint64_t)extents[i];
    for (int i = 0; i < 3; i++) {
        bytes[i] = extents[i + 1] == 1 ? whole : (cuuint64_t)steps[i] * 2;
        whole = bytes[i] * dims[i + 1];
    }
    const cuuint32_t box[4] = {64, KEYS, 1, 1}, ones[4] = {1, 1, 1, 1};
    return em_map_encoder()(
               map, a.cache == EM_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4,
               (void *)o.data, dims, bytes, box, ones, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

bool suits_map(const em_attend &a, const em_attend_operand &o)
{
    const int64_t most = (int64_t)1 << 38;
    return (a.keys == 1 || (o.token > 0 && o.token < most)) && (a.kv_heads == 1 || (o.head > 0 && o.head < most)) &&
           (a.batch == 1 || (o.batch > 0 && o.batch < most));
}

template <typename T, typename Q, int WIDTH>
em_status launch(em__cuda *cuda, const em_attend &a, const em_attend_out &out)
{
    arguments p = {};
    p.a = a;
    p.out = out;
    p.tiles = (a.queries + ROWS - 1) / ROWS;
    p.far = a.causal && !a.window;
    EM__FAIL_IF(!make_map(&p.keys, a, a.k, a.size) || !make_map(&p.values, a, a.v, a.value_size), EM_ERROR_INTERNAL,
                "%s: sdpa: no tensor map for caches [%d, %d, %d, %d]", cuda->name, a.batch, a.kv_heads, a.keys, a.size);
    auto kernel = hopper_kernel<T, Q, WIDTH>;
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)sizes<WIDTH>::BYTES),
        "sdpa"));
    return em_launch(cuda, "sdpa", kernel, dim3((unsigned)a.heads, em_blocks(p.tiles, 2), (unsigned)a.batch), THREADS,
                     sizes<WIDTH>::BYTES, p);
}

template <typename T> em_status launch_of(em__cuda *cuda, const em_attend &a, const em_attend_out &out)
{
    const bool narrow = a.size <= 64 && a.value_size <= 64;
    if (a.dtype == EM_F32)
        return narrow ? launch<T, float, 64>(cuda, a, out) : launch<T, float, 128>(cuda, a, out);
    return narrow ? launch<T, T, 64>(cuda, a, out) : launch<T, T, 128>(cuda, a, out);
}

} // namespace

bool em_attend_hopper_takes(const em__cuda *cuda, const em_attend *a)
{
    return cuda->major == 9 && a->causal && !a->mask && a->softcap == 0 && a->scale > 0 && a->keys > 0 &&
           a->queries > 0 && a->q.wide && (a->dtype == EM_F32 || a->dtype == a->cache) && suits_map(*a, a->k) &&
           suits_map(*a, a->v) && em_map_encoder();
}

em_status em_attend_hopper(em__cuda *cuda, const em_attend *a, const em_attend_out *out)
{
    return a->cache == EM_BF16 ? launch_of<__nv_bfloat16>(cuda, *a, *out) : launch_of<__half>(cuda, *a, *out);
}
