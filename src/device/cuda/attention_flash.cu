/*
 * Many queries of a cache of halves, on tensor cores: a block holds 64 queries of one head, 16 a warp, and walks the
 * keys in tiles of 64, fetched a tile ahead. Scores and results are f32 in registers, with a running maximum and sum.
 *
 * f32 queries are the sum of two halves, and so are the weights that meet the values: 16 bits and more of each count,
 * for twice the products (PASSES 2). Queries that are halves, or that half_products lets round, go through once.
 *
 * A tile lies in shared memory in pieces of 16 bytes, piece c of row r at c ^ (r & 7), so that what one load of
 * matrices wants is in different banks.
 *
 * Compute capability 9 has products of four warps at once (GROUP), which read keys and values where they lie: then a
 * tile is two panels of 64 columns, rows of 128 bytes. They serve causal calls with heads of 65 to 128; others run
 * products of one warp. Causal calls whose queries go through once have a kernel of their own there
 * (attention_hopper.cu).
 */
#include "device/cuda/attention_lanes.cuh"
#include "device/cuda/mma.cuh"

namespace
{

enum { THREADS = 128, WARPS = THREADS / 32, ROWS = 16 * WARPS, KEYS = 64 };

/* Four 8 x 8 matrices, whose rows' addresses lanes 8 i .. 8 i + 7 bring. */
template <bool TURNED> __device__ __forceinline__ void load_matrices(uint32_t (&x)[4], unsigned at)
{
    if (TURNED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(at));
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "r"(at));
}

template <int WIDTH, bool GROUP> __device__ __forceinline__ unsigned place(unsigned base, int row, int piece)
{
    if (GROUP)
        return base + piece / 8 * (KEYS * 128) + row * 128 + ((piece % 8 ^ (row & 7)) << 4);
    return base + row * WIDTH * 2 + ((piece ^ (row & 7)) << 4);
}

/* Starts the fetch of a tile: its rows from `rows` on, and pieces past `size`, become zero. */
template <typename T, int WIDTH, bool GROUP>
__device__ __forceinline__ void fetch(unsigned to, const T *from, int64_t stride, int rows, int size)
{
    constexpr int PIECES = WIDTH / 8, STEP = THREADS / PIECES; /* rows that the block fetches at a time: 8 or 16 */
    const int row = threadIdx.x / PIECES, piece = threadIdx.x % PIECES;
    const T *p = from + row * stride + piece * 8;
    to = place<WIDTH, GROUP>(to, row, piece);
#pragma unroll
    for (int i = 0; i < KEYS / STEP; i++, p += STEP * stride) {
        const bool is = row + i * STEP < rows && piece * 8 < size;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to + i * STEP * (GROUP ? 128 : WIDTH * 2)),
                     "l"(is ? p : from), "r"(is ? 16 : 0)
                     : "memory");
    }
}

/* Products of a warp's queries with a tile's keys: n tile j, columns 8 j + 2 t, + 1 of rows g and g + 8. */
template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void score_tile(float (&s)[KEYS / 8][4], const warp_queries<T, WIDTH, PASSES> &q,
                                           unsigned keys)
{
    const int lane = threadIdx.x % 32, row = lane / 16 * 8 + lane % 8, piece = lane / 8 % 2;
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            s[j][i] = 0;
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++)
#pragma unroll
        for (int j = 0; j < KEYS / 16; j++) {
            uint32_t b[4];
            load_matrices<false>(b, place<WIDTH, false>(keys, j * 16 + row, k * 2 + piece));
#pragma unroll
            for (int pass = PASSES - 1; pass >= 0; pass--) {
                em_mma<T>(s[2 * j], q.x[pass][k], b[0], b[1]);
                em_mma<T>(s[2 * j + 1], q.x[pass][k], b[2], b[3]);
            }
        }
}

/* The weights of 16 keys of a tile, as PASSES halves. */
template <typename T, int PASSES>
__device__ __forceinline__ void split_weights(uint32_t (&w)[PASSES][KEYS / 16][4], const float (&s)[KEYS / 8][4], int k)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 y = make_float2(s[2 * k + i / 2][i % 2 * 2], s[2 * k + i / 2][i % 2 * 2 + 1]);
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) {
            w[pass][k][i] = pair_of<T>::make(y.x, y.y);
            const float2 there = pair_of<T>::widen(w[pass][k][i]);
            y = make_float2(y.x - there.x, y.y - there.y);
        }
    }
}

/* Adds the values of a tile, weighed. */
template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void value_tile(float (&acc)[WIDTH / 8][4], const float (&s)[KEYS / 8][4], unsigned values)
{
    const int lane = threadIdx.x % 32, row = lane / 8 % 2 * 8 + lane % 8, piece = lane / 16;
    uint32_t w[PASSES][KEYS / 16][4];
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) {
        split_weights<T, PASSES>(w, s, k);
#pragma unroll
        for (int j = 0; j < WIDTH / 16; j++) {
            uint32_t b[4];
            load_matrices<true>(b, place<WIDTH, false>(values, k * 16 + row, j * 2 + piece));
#pragma unroll
            for (int pass = PASSES - 1; pass >= 0; pass--) {
                em_mma<T>(acc[2 * j], w[pass][k], b[0], b[1]);
                em_mma<T>(acc[2 * j + 1], w[pass][k], b[2], b[3]);
            }
        }
    }
}

template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void score_group(float (&s)[KEYS / 8][4], const warp_queries<T, WIDTH, PASSES> &q,
                                            unsigned keys)
{
    group_begin();
#pragma unroll
    for (int pass = PASSES - 1; pass >= 0; pass--)
#pragma unroll
        for (int k = 0; k < WIDTH / 16; k++)
            multiply_group<T, 0>(s, q.x[pass][k], matrix_at<KEYS>(keys + k / 4 * (KEYS * 128) + k % 4 * 32),
                                 k > 0 || pass < PASSES - 1);
    group_end();
}

template <typename T, int WIDTH, int PASSES>
__device__ __forceinline__ void value_group(float (&acc)[WIDTH / 8][4], const float (&s)[KEYS / 8][4], unsigned values)
{
    uint32_t w[PASSES][KEYS / 16][4];
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++)
        split_weights<T, PASSES>(w, s, k);
    group_begin();
#pragma unroll
    for (int pass = PASSES - 1; pass >= 0; pass--)
#pragma unroll
        for (int k = 0; k < KEYS / 16; k++)
            multiply_group<T, 1>(acc, w[pass][k], matrix_at<KEYS>(values + k * 2048), 1);
    group_end();
}

static __device__ __noinline__ float bend(const em_attend &a, int64_t at, float score)
{
    const float x = em_attend_bend(a, at, score * 0.6931471805599453f), y = x * 1.4426950408889634f;
    return x != -INFINITY && y == -INFINITY ? -3.4e38f : y;
}

/* Scores that some rows may not see, or that a mask bends. */
template <bool BENT>
__device__ __forceinline__ void hide(const em_attend &a, float (&s)[KEYS / 8][4], const lane_rows &rows, int from)
{
    const bool bent = BENT && (a.mask || a.softcap != 0);
#pragma unroll
    for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = from + 8 * j + threadIdx.x % 4 * 2 + i % 2;
            const bool is = key >= rows.seen[i / 2].first && key < rows.seen[i / 2].end;
            if (bent && is)
                s[j][i] = bend(a, rows.mask[i / 2] + key * a.mask_strides[3], s[j][i]);
            s[j][i] = is ? s[j][i] : -INFINITY;
        }
}

/* Scores to weights; what the rows have so far shrinks to the new top. */
template <int WIDTH>
__device__ __forceinline__ void soften_rows(float (&s)[KEYS / 8][4], lane_rows *rows, float (&acc)[WIDTH / 8][4])
{
    const float one[2] = {1, 1};
    float shrink[2];
    soften(s, one, rows, shrink);
#pragma unroll
    for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            acc[j][i] *= shrink[i / 2];
}

__device__ __forceinline__ void begin_rows(const em_attend &a, int b, int h, int first, int length,
                                           const float (&unit)[2], lane_rows *rows)
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = first + threadIdx.x % 32 / 4 + 8 * half;
        rows->top[half] = -INFINITY;
        rows->sum[half] = 0;
        rows->seen[half] = em_attend_seen(a, length, row);
        rows->seen[half].end = row < a.queries ? rows->seen[half].end : 0;
        rows->unit[half] = unit[half] * a.scale * 1.4426950408889634f;
        rows->mask[half] = b * a.mask_strides[0] + h * a.mask_strides[1] + row * a.mask_strides[2];
    }
}

/* The block's tile of queries. Long ones first; where all blocks run at once, two a processor, long and short meet. */
__device__ __forceinline__ int query_tile(const em_attend &a, bool meet)
{
    const int tiles = gridDim.y, order = blockIdx.y;
    if (!a.causal)
        return order;
    const int half = tiles / 2;
    return !meet || order < half ? tiles - 1 - order : order - half;
}

template <typename T, int WIDTH, int PASSES, bool GROUP>
__global__ void __launch_bounds__(THREADS, PASSES == 1 ? 3 : 2)
    flash_kernel(const __grid_constant__ em_attend a, const __grid_constant__ em_attend_out out, bool meet)
{
    constexpr unsigned TILE = KEYS * WIDTH * 2;
    extern __shared__ uint4 shared[];
    const unsigned base = ((unsigned)__cvta_generic_to_shared(shared) + 1023) & ~1023u;
    const int h = blockIdx.x, b = blockIdx.z, kv = h / (a.heads / a.kv_heads);
    em_grid_next();
    em_grid_wait();
    const int length = em_attend_length(a, b), tile = query_tile(a, meet) * ROWS;
    const int first = tile + threadIdx.x / 32 * 16; /* this warp's first query */
    const em_keys low = em_attend_seen(a, length, tile);
    const em_keys high = em_attend_seen(a, length, min(tile + ROWS, a.queries) - 1);
    const T *keys = (const T *)a.k.data + b * a.k.batch + kv * a.k.head;
    const T *values = (const T *)a.v.data + b * a.v.batch + kv * a.v.head;
    auto fetch_tile = [&](int from, int turn) {
        const unsigned to = base + turn * 2 * TILE;
        fetch<T, WIDTH, GROUP>(to, keys + from * a.k.token, a.k.token, high.end - from, a.size);
        fetch<T, WIDTH, GROUP>(to + TILE, values + from * a.v.token, a.v.token, high.end - from, a.value_size);
        asm volatile("cp.async.commit_group;" ::: "memory");
    };
    if (low.first < high.end)
        fetch_tile(low.first, 0);
    warp_queries<T, WIDTH, PASSES> q;
    load_queries(a, b, h, first, &q);
    lane_rows rows;
    begin_rows(a, b, h, first, length, q.unit, &rows);
    float acc[WIDTH / 8][4] = {};
    const bool bent = !GROUP && (a.mask || a.softcap != 0);
    int turn = 0;
    for (int from = low.first; from < high.end; from += KEYS, turn ^= 1) {
        asm volatile("cp.async.wait_group 0;" ::: "memory");
#if EM_FLASH_GROUPS
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
        __syncthreads();
        if (from + KEYS < high.end)
            fetch_tile(from + KEYS, turn ^ 1);
        float s[KEYS / 8][4];
        if (GROUP)
            score_group<T, WIDTH, PASSES>(s, q, base + turn * 2 * TILE);
        else
            score_tile<T, WIDTH, PASSES>(s, q, base + turn * 2 * TILE);
#pragma unroll
        for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                s[j][i] *= rows.unit[i / 2];
        const bool whole = from >= rows.seen[0].first && from >= rows.seen[1].first &&
                           from + KEYS <= rows.seen[0].end && from + KEYS <= rows.seen[1].end;
        if (bent || !__all_sync(~0u, whole))
            hide<!GROUP>(a, s, rows, from);
        soften_rows<WIDTH>(s, &rows, acc);
        if (GROUP)
            value_group<T, WIDTH, PASSES>(acc, s, base + turn * 2 * TILE + TILE);
        else
            value_tile<T, WIDTH, PASSES>(acc, s, base + turn * 2 * TILE + TILE);
    }
    write_rows<WIDTH>(a, out, b, h, first, rows, acc);
}

template <typename T, int WIDTH, int PASSES, bool GROUP>
em_status launch(em__cuda *cuda, const em_attend &a, const em_attend_out &out)
{
    const size_t shared = (size_t)4 * KEYS * WIDTH * 2 + 1024;
    auto kernel = flash_kernel<T, WIDTH, PASSES, GROUP>;
    EM__TRY(em__cuda_check(cuda, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
                           "sdpa"));
    const dim3 grid((unsigned)a.heads, em_blocks(a.queries, ROWS), (unsigned)a.batch);
    const int64_t blocks = (int64_t)grid.x * grid.y * grid.z;
    const bool meet = grid.y % 2 == 0 && blocks > cuda->sms && blocks <= 2 * cuda->sms;
    return em_launch(cuda, "sdpa", kernel, grid, THREADS, shared, a, out, meet);
}

template <typename T> em_status run(em__cuda *cuda, const em_attend &a, const em_attend_out &out, bool once)
{
    const bool narrow = a.size <= 64 && a.value_size <= 64;
    const bool group = cuda->major == 9 && a.causal && !a.mask && a.softcap == 0;
    if (narrow)
        return once ? launch<T, 64, 1, false>(cuda, a, out) : launch<T, 64, 2, false>(cuda, a, out);
    if (group && !once)
        return launch<T, 128, 2, true>(cuda, a, out);
    return once ? launch<T, 128, 1, false>(cuda, a, out) : launch<T, 128, 2, false>(cuda, a, out);
}

em_status run_call(em_device *device, const em__call *call)
{
    const em_attend a = em_attend_of(call);
    const em_attend_out out = {(int64_t)a.heads * a.queries * a.value_size, (int64_t)a.queries * a.value_size,
                               a.value_size};
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    if (!a.k.wide || !a.v.wide)
        return em_attend_rows(device, call);
    return em_attend_flash(em__cuda_of(device), &a, &out,
                           a.dtype != EM_F32 || (call->half_products && a.cache == EM_BF16));
}

bool suits(const em_attend &a)
{
    return (a.cache == EM_BF16 || a.cache == EM_F16) && a.batch <= UINT16_MAX &&
           a.queries <= UINT16_MAX * (int64_t)ROWS && a.size <= 128 && a.value_size <= 128 && a.size % 8 == 0 &&
           a.value_size % 8 == 0;
}

} // namespace

bool em_attend_flash_takes(const em_attend *attend)
{
    return suits(*attend) && attend->k.wide && attend->v.wide;
}

em_status em_attend_flash(em__cuda *cuda, const em_attend *attend, const em_attend_out *out, bool once)
{
    if (once && em_attend_hopper_takes(cuda, attend))
        return em_attend_hopper(cuda, attend, out);
    return attend->cache == EM_BF16 ? run<__nv_bfloat16>(cuda, *attend, *out, once)
                                    : run<__half>(cuda, *attend, *out, once);
}

bool em_attend_prepare_flash(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->kernel = run_call;
    return suits(em_attend_of(call));
}
