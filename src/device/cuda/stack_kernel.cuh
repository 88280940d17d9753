/*
 * The kernel of stack.cu. Two warpgroups of a block multiply, and two warps fetch their weights ahead into a ring each.
 * Products are turned: 64 rows of a weight by the tile's rows, so that a tile may have 32.
 *
 * Of a layer block `rank` makes, with a meeting of the cluster behind each:
 *
 *   1. q, k, v of its head, and the attention         what all heads give goes to all
 *   2. its 32 columns of the product behind it, + x   to all, which norm all of it
 *   3. its 128 inner columns, activated, and what these add to the whole result: sums to the blocks that own columns
 *   4. the sums of its 32 columns, + x                to all, which norm all of it
 *
 * At a meeting a block waits for bytes, from all blocks, in memory of which it is known that nobody reads it any more:
 * who sends has met everybody since that memory was read. Rows of 32 columns lie as one block made them, 64 bytes each,
 * swizzled by 64 bytes, so that a block's part is sent as one piece.
 */
#ifndef EM_DEVICE_CUDA_STACK_KERNEL_CUH
#define EM_DEVICE_CUDA_STACK_KERNEL_CUH

#include "device/cuda/rows.cuh"
#include "device/cuda/stack_attend.cuh"

namespace em_stack
{

/* ---- 2. and 4. the ends of products ---- */

/* The block's columns: sums that COUNT parts add up to, in order, the bias and what was there before; to all. */
template <typename F, int COUNT>
__device__ __forceinline__ void finish(const place &p, worker<F> &w, const char *sums, const typename F::T *bias,
                                       int meeting)
{
    const int row = threadIdx.x % F::ROWS, piece = threadIdx.x / F::ROWS;
    const int at = piece / 4 * F::SLICE + piece_at(row, piece % 4);
    char *own = w.m->x + p.rank * F::EACH * F::SLICE;
    expect(w.s, meeting, others<F>());
    if (piece < 4 * F::EACH) {
        const float *from = (const float *)sums + piece * 8 * F::ROWS + row;
        em_lane_eight<typename F::T> before, more;
        before.x[0] = *(const uint4 *)(own + at);
        more.x[0] = *(const uint4 *)(bias + piece * 8);
        float v[8];
#pragma unroll
        for (int i = 0; i < 8; i++) {
            v[i] = from[i * F::ROWS];
#pragma unroll
            for (int part = 1; part < COUNT; part++)
                v[i] += from[(part * F::COLUMNS + i) * F::ROWS];
            v[i] = v[i] + more.at(i) + before.at(i);
        }
        const uint4 eight = em_lane_operand_of<typename F::T>(v).part[0];
        *(uint4 *)(w.m->part + at) = *(uint4 *)(own + at) = eight;
        em_fence_async();
    }
    meet_here();
    send_to_all<F>(p, w.s, meeting, w.m->part, own);
}

template <typename F>
__device__ __forceinline__ void make_middle(const em__stack &a, const place &p, worker<F> &w, const ends<F> &e, int l)
{
    float sums[F::ROWS / 2];
    char *halves = w.m->sums[F::BLOCKS / 2];
    const int first = first_chunk(p.group);
    em_barrier_wait(&w.s->met[CONTEXT], l & 1);
    multiply<F>(a, p, w, (char *)w.m->sums + first * (F::ROWS * 128), first_chunk(p.group + 1) - first, sums);
    if (p.warp < 2 * F::EACH)
        store_sums<F>(sums, (float *)halves + (p.group * F::COLUMNS + p.warp * 16 + p.g) * F::ROWS + p.c * 2);
    meet_here();
    finish<F, 2>(p, w, halves, e.out, MIDDLE);
}

/* Half a warp norms AT_ONCE rows, where they lie, or to `out` those that are this block's to write. */
template <typename F>
__device__ __forceinline__ void norm(const em__stack &a, const place &p, worker<F> &w, const typename F::T *gain,
                                     const typename F::T *bias, float eps, typename F::T *out)
{
    typedef typename F::T T;
    enum { LANES = 16, PIECES = WIDTH / 8 / LANES, APART = WORKERS / LANES, AT_ONCE = F::ROWS / APART };
    const int lane = threadIdx.x % LANES, first = threadIdx.x / LANES;
    float v[AT_ONCE][PIECES][8], mean[AT_ONCE], scale[AT_ONCE];
#pragma unroll
    for (int r = 0; r < AT_ONCE; r++) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int piece = i * LANES + lane;
            em_lane_eight<T> e;
            e.x[0] = *(const uint4 *)(w.m->x + piece / 4 * F::SLICE + piece_at(first + r * APART, piece % 4));
            float(&x)[8] = v[r][i];
#pragma unroll
            for (int j = 0; j < 8; j++)
                x[j] = e.at(j);
            sum += ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
        }
        mean[r] = em_lanes_sum(sum, LANES) * (1.0f / WIDTH);
    }
#pragma unroll
    for (int r = 0; r < AT_ONCE; r++) {
        float squares[2] = {0, 0};
#pragma unroll
        for (int i = 0; i < PIECES; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) {
                v[r][i][j] -= mean[r];
                squares[j % 2] += v[r][i][j] * v[r][i][j];
            }
        scale[r] = rsqrtf(em_lanes_sum(squares[0] + squares[1], LANES) * (1.0f / WIDTH) + eps);
    }
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        const int piece = i * LANES + lane;
        em_lane_eight<T> g, b;
        g.x[0] = *(const uint4 *)(gain + piece * 8);
        b.x[0] = *(const uint4 *)(bias + piece * 8);
#pragma unroll
        for (int r = 0; r < AT_ONCE; r++) {
            const int row = first + r * APART;
#pragma unroll
            for (int j = 0; j < 8; j++)
                v[r][i][j] = fmaf(v[r][i][j] * scale[r], g.at(j), b.at(j));
            const uint4 eight = em_lane_operand_of<T>(v[r][i]).part[0];
            if (!out)
                *(uint4 *)(w.m->x + piece / 4 * F::SLICE + piece_at(row, piece % 4)) = eight;
            else if (row % F::BLOCKS == p.rank && p.row + row < a.m)
                *(uint4 *)(out + (int64_t)(p.row + row) * WIDTH + piece * 8) = eight;
        }
    }
    em_fence_async();
}

/* Waits for all parts of x, and norms it. */
template <typename F>
__device__ __forceinline__ void norm_all(const em__stack &a, const place &p, worker<F> &w, const ends<F> &e, int l,
                                         int which)
{
    em_barrier_wait(&w.s->met[which ? END : MIDDLE], l & 1);
    norm<F>(a, p, w, e.gain[which], e.bias[which], a.eps[l][which],
            which && l + 1 == a.n ? (typename F::T *)a.out : NULL);
    meet_here();
}

/* ---- 3. inner columns ---- */

/* A lane's neighbour along the rows has the other half of what it sends: four rows of one column. */
template <typename F>
__device__ __forceinline__ void send_sums(const place &p, worker<F> &w, int tile, const float (&sums)[F::ROWS / 2])
{
    const bool odd = p.c & 1;
    const int column = tile * 64 + p.warp * 16, owner = column / F::COLUMNS;
    const float *at =
        (const float *)w.m->sums[p.rank] + (column % F::COLUMNS + p.g + (odd ? 8 : 0)) * F::ROWS + p.c / 2 * 4;
    const uint32_t to = em_cluster_map(at, owner), barrier = em_cluster_map(&w.s->met[SUMS], owner);
#pragma unroll
    for (int j = 0; j < F::ROWS / 8; j++) {
        const float x = __shfl_xor_sync(~0u, odd ? sums[4 * j] : sums[4 * j + 2], 1);
        const float y = __shfl_xor_sync(~0u, odd ? sums[4 * j + 1] : sums[4 * j + 3], 1);
        send_four(to + j * 32, barrier,
                  odd ? float4{x, y, sums[4 * j + 2], sums[4 * j + 3]} : float4{sums[4 * j], sums[4 * j + 1], x, y});
    }
}

/* What the block's inner columns add to all of the result; two chunks are under way while sums are sent. */
template <typename F> __device__ __forceinline__ void add_inner(const em__stack &a, const place &p, worker<F> &w)
{
    enum { TILES = CHUNKS / 2, EACH = 2 * F::EACH, ALL = TILES * EACH, AHEAD = 2 };
    float sums[TILES][F::ROWS / 2];
    int stages[ALL];
    uint64_t *empty = w.s->empty[p.group];
#pragma unroll
    for (int t = 0; t < TILES; t++)
        clear<F>(sums[t]);
#pragma unroll
    for (int i = 0; i < ALL + AHEAD; i++) {
        if (i < ALL) {
            stages[i] = w.at.stage;
            begin_chunk<F, true>(a, p, w, w.m->inner + i % EACH * (F::ROWS * 128), sums[i / EACH]);
        }
        if (i < AHEAD)
            continue;
        if (i < ALL)
            em_wgmma_wait<AHEAD>();
        else if (i == ALL)
            em_wgmma_wait<1>();
        else
            em_wgmma_wait<0>();
        if (threadIdx.x % 32 == 0)
            em_barrier_arrive(&empty[stages[i - AHEAD]]);
        if ((i - AHEAD) % EACH == EACH - 1) {
            const int t = (i - AHEAD) / EACH;
            em_wgmma_pin(sums[t]);
            send_sums<F>(p, w, tile_of(p, t), sums[t]);
        }
    }
}

template <typename F>
__device__ __forceinline__ void make_inner(const em__stack &a, const place &p, worker<F> &w, const ends<F> &e)
{
    float sums[F::ROWS / 2];
    expect(w.s, SUMS, sizeof w.m->sums);
    for (int i = 0; i < F::EACH; i++) {
        const int tile = p.group * F::EACH + i;
        char *to = w.m->inner + tile * F::ROWS * 128;
        multiply<F>(a, p, w, w.m->x, CHUNKS, sums);
        add_bias<F>(e.up + tile * 64 + p.warp * 16 + p.g, sums);
        ::activate<16>(a.op, sums, F::ROWS / 2);
        store_columns<F>(sums,
                         [=](int row, int high) { return to + row * 128 + ((p.warp * 2 + high) ^ (row & 7)) * 16; });
    }
    em_fence_async();
    meet_here();
    add_inner<F>(a, p, w);
}

/* ---- all ---- */

template <typename F> __device__ __forceinline__ void read_rows(const em__stack &a, const place &p, worker<F> &w)
{
    for (int i = threadIdx.x; i < F::ROWS * HEADS * 4; i += WORKERS) {
        const int row = i / (HEADS * 4), piece = i % (HEADS * 4);
        const typename F::T *from = (const typename F::T *)a.x + (int64_t)(p.row + row) * WIDTH + piece * 8;
        *(uint4 *)(w.m->x + piece / 4 * F::SLICE + piece_at(row, piece % 4)) = em_fetch<16>(from, p.row + row < a.m);
    }
    em_fence_async();
}

/* Which tokens each row sees, and all of them together. */
template <typename F> __device__ __forceinline__ void read_texts(const em__stack &a, const place &p, worker<F> &w)
{
    const int row = threadIdx.x, mine = p.row + row;
    if (row >= F::ROWS)
        return;
    int2 keys = {a.m, 0};
    for (int i = 0; i < a.segments; i++) {
        const int from = min(max(a.offsets[i * a.offset_step], 0), a.m);
        const int to = min(max(a.offsets[(i + 1) * a.offset_step], from), a.m);
        if (from <= mine && mine < to)
            keys = {from, to};
    }
    w.seen[row] = keys;
    const int first = __reduce_min_sync(~0u, keys.x), end = __reduce_max_sync(~0u, keys.y);
    if (row % 32 == 0) {
        atomicMin(&w.s->first, first);
        atomicMax(&w.s->end, end);
    }
}

template <typename F> __device__ __forceinline__ void work(const em__stack &a, const place &p, worker<F> w)
{
    em_grid_wait();
    read_rows<F>(a, p, w);
    read_texts<F>(a, p, w);
    meet_here();
    for (int l = 0; l < a.n; l++) {
        const ends<F> &e = w.m->layers[l % 2];
        em_barrier_wait(&w.s->come[l % 2], l / 2 & 1);
        make_context<F>(a, p, w, e, l);
        make_middle<F>(a, p, w, e, l);
        norm_all<F>(a, p, w, e, l, 0);
        make_inner<F>(a, p, w, e);
        em_barrier_wait(&w.s->met[SUMS], l & 1);
        finish<F, F::BLOCKS>(p, w, (const char *)w.m->sums, e.down, END);
        norm_all<F>(a, p, w, e, l, 1);
        if (threadIdx.x % 32 == 0)
            em_barrier_arrive(&w.s->gone[l % 2]);
    }
}

template <typename F> __global__ void __launch_bounds__(THREADS, 1) stack_kernel(const __grid_constant__ em__stack a)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ char bytes[];
    __shared__ shared s;
    __shared__ int2 seen[F::ROWS];
    char *rings = bytes + (-em_shared(bytes) & 1023);
    memory<F> *m = (memory<F> *)(rings + 2 * a.stages * STAGE_BYTES);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, tile = blockIdx.x / F::BLOCKS;
    const int group = threadIdx.x < WORKERS ? warp / 4 : warp % 2;
    const place p = {tile, tile * F::ROWS, (int)blockIdx.x % F::BLOCKS, group, warp % 4, lane / 4, lane % 4};
    char *ring = rings + group * a.stages * STAGE_BYTES;
    if (threadIdx.x == 0) {
        for (int i = 0; i < 2 * a.stages; i++) {
            em_barrier_init(&s.full[i % 2][i / 2], 1);
            em_barrier_init(&s.empty[i % 2][i / 2], GROUP / 32);
        }
        for (int i = 0; i < MEETINGS; i++)
            em_barrier_init(&s.met[i], 1);
        for (int i = 0; i < 2; i++) {
            em_barrier_init(&s.come[i], 1);
            em_barrier_init(&s.gone[i], WORKERS / 32);
        }
        s.first = a.m;
        s.end = 0;
        em_barrier_publish();
    }
    em_grid_next();
    __syncwarp();
    em_cluster_sync(); /* nobody is sent anything before its barriers stand */
    if (threadIdx.x < WORKERS)
        work<F>(a, p, {m, &s, ring, seen, {0, 0}});
    else if (lane == 0)
        fetch<F>(a, p, m, &s, {ring, s.full[group], s.empty[group], {0, 0}});
    __syncwarp();
    em_cluster_sync(); /* the others have what they read of this block */
#endif
}

/* Nothing is in memory yet. */
__global__ void clear_kernel(uint32_t *layers_done, int n)
{
    em_grid_next();
    em_grid_wait();
    for (int i = threadIdx.x; i < n; i += blockDim.x)
        layers_done[i] = 0;
}

} // namespace em_stack
#endif
