/* The first part of a layer in stack_kernel.cuh: q, k, v of a block's heads, and their attention. */
#ifndef EM_DEVICE_CUDA_STACK_ATTEND_CUH
#define EM_DEVICE_CUDA_STACK_ATTEND_CUH

#include "device/cuda/attention_short.cuh"
#include "device/cuda/stack_worker.cuh"

namespace em_stack
{

/* q, k and v of the block's heads are rows in shared memory. A warpgroup has one of q and k, and half of the depth of
 * v; or, of one head, q and k, or v. */
template <typename F>
__device__ __forceinline__ void make_qkv(const em__stack &a, const place &p, worker<F> &w, const ends<F> &e, char *qkv)
{
    float sums[F::ROWS / 2];
    if constexpr (F::EACH == 1) {
        const int which = p.group * 2 + p.warp / 2, column = p.warp % 2 * 16;
        multiply<F>(a, p, w, w.m->x, CHUNKS, sums);
        if (which > 2)
            return;
        add_bias<F>(e.qkv[which] + column + p.g, sums);
        store_row_columns<F>(sums, qkv + which * F::ROWS * F::PITCH + column * 2);
    } else {
        const int column = p.warp * 16, first = first_chunk(p.group);
        char *v = qkv + 2 * F::ROWS * F::PITCH;
        float *half = (float *)(v + F::ROWS * F::PITCH) + (column + p.g) * F::ROWS + p.c * 2;
        multiply<F>(a, p, w, w.m->x, CHUNKS, sums);
        add_bias<F>(e.qkv[p.group] + column + p.g, sums);
        store_row_columns<F>(sums, qkv + p.group * F::ROWS * F::PITCH + column * 2);
        multiply<F>(a, p, w, w.m->x + first * (F::ROWS * 128), first_chunk(p.group + 1) - first, sums);
        if (p.group == 0)
            store_sums<F>(sums, half);
        meet_here();
        if (p.group == 0)
            return;
        add_bias<F>(e.qkv[2] + column + p.g, sums);
        add_sums<F>(half, sums);
        store_row_columns<F>(sums, v + column * 2);
    }
}

/* Keys and values of the tile to memory, and those of the tiles that share texts with it there. */
template <typename F>
__device__ void publish(const em__stack &a, const place &p, const worker<F> &w, int layer, const char *qkv)
{
    typedef typename F::T T;
    enum { PIECES = 4 * F::EACH };
    T *to = (T *)a.layers[layer].qkv + p.rank * F::COLUMNS;
    for (int i = threadIdx.x; i < 2 * F::ROWS * PIECES; i += WORKERS) {
        const int which = 1 + i / (F::ROWS * PIECES), row = i / PIECES % F::ROWS, piece = i % PIECES;
        if (p.row + row < a.m)
            *(uint4 *)(to + (int64_t)(p.row + row) * 3 * WIDTH + which * WIDTH + piece * 8) =
                *(const uint4 *)(qkv + (which * F::ROWS + row) * F::PITCH + piece * 16);
    }
    __threadfence();
    meet_here();
    const unsigned done = layer + 1;
    if (threadIdx.x == 0)
        asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(a.layers_done + p.tile * HEADS + p.rank), "r"(done)
                     : "memory");
    const int tile = w.s->first / F::ROWS + (int)threadIdx.x;
    unsigned there = tile * F::ROWS < w.s->end ? 0 : done;
    for (unsigned looks = 0; there < done; looks++) {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                     : "=r"(there)
                     : "l"(a.layers_done + tile * HEADS + p.rank)
                     : "memory");
        if (looks == 1u << 28) /* who never runs beside this one ends it as an error, not as a hung GPU */
            __trap();
    }
    meet_here();
}

/* Keys and values of a head from shared memory; `from`, `end` are rows of the tile. */
template <typename F>
__device__ __forceinline__ void fetch_tile(em_short::tile<typename F::T, HEAD> *t, const char *qkv, const place &p,
                                           int from, int end)
{
    const char *k = qkv + F::ROWS * F::PITCH, *v = k + F::ROWS * F::PITCH;
#pragma unroll
    for (int j = 0; j < em_short::KEYS / 8; j++) {
        const int key = from + j * 8 + p.g;
        t->k[j][0].x[0] = key < end ? *(const uint4 *)(k + key * F::PITCH + p.c * 16) : uint4{0, 0, 0, 0};
    }
#pragma unroll
    for (int s = 0; s < em_short::KEYS / 16; s++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = from + s * 16 + 2 * p.c + i % 2 + i / 2 * 8;
            const uint2 x = key < end ? *(const uint2 *)(v + key * F::PITCH + p.g * 8) : uint2{0, 0};
            t->v[s][i] = make_uint4(x.x, x.y, 0, 0);
        }
}

/* A warp's 16 queries of one head. */
template <typename F>
__device__ __forceinline__ void attend(const em__stack &a, const place &p, const worker<F> &w, const char *qkv,
                                       const void *memory_qkv, bool apart)
{
    typedef typename F::T T;
    const int query = threadIdx.x / 32 % (F::ROWS / 16) * 16, head = threadIdx.x / 32 / (F::ROWS / 16);
    const int2 mine = w.seen[query + threadIdx.x % 16];
    const int first = __reduce_min_sync(~0u, mine.x), end = __reduce_max_sync(~0u, mine.y);
    const T *far = (const T *)memory_qkv + p.rank * F::COLUMNS + head * HEAD;
    const em_short::head<T> one = {far, far + WIDTH, far + 2 * WIDTH, 3 * WIDTH, 3 * WIDTH, 3 * WIDTH};
    qkv += head * HEAD * 2;
    em_short::queries<T, HEAD> q;
    em_short::tile<T, HEAD> tile;
    em_short::result<HEAD> x;
    em_short::seen keys;
    em_short::start(&x);
    q.low[0].part[0] = *(const uint4 *)(qkv + (query + p.g) * F::PITCH + p.c * 16);
    q.high[0].part[0] = *(const uint4 *)(qkv + (query + p.g + 8) * F::PITCH + p.c * 16);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        keys.first[h] = __shfl_sync(~0u, mine.x, h * 8 + p.g);
        keys.end[h] = __shfl_sync(~0u, mine.y, h * 8 + p.g);
    }
    for (int from = first; from < end; from += em_short::KEYS) {
        if (apart)
            em_short::fetch_tile<true>(&tile, one, from, end);
        else
            fetch_tile<F>(&tile, qkv, p, from - p.row, end - p.row);
        em_short::add_tile(q, tile, from, keys, a.scale * 1.4426950408889634f, &x);
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float to[8];
        em_short::divided(x, h, to);
        const uint4 eight = em_lane_operand_of<T>(to).part[0];
        const int at = head * F::SLICE + piece_at(query + p.g + 8 * h, p.c);
        *(uint4 *)(w.m->inner + at) = eight;
        *(uint4 *)((char *)w.m->sums + p.rank * F::EACH * F::SLICE + at) = eight;
    }
}

template <typename F>
__device__ __forceinline__ void make_context(const em__stack &a, const place &p, worker<F> &w, const ends<F> &e, int l)
{
    const bool apart = w.s->first < p.row || w.s->end > p.row + F::ROWS;
    char *qkv = w.m->sums[F::BLOCKS / 2];
    static_assert(3 * F::ROWS * F::PITCH + F::COLUMNS * F::ROWS * sizeof(float) <= F::BLOCKS / 2 * sizeof w.m->sums[0],
                  "half of the sums' memory has room");
    expect(w.s, CONTEXT, others<F>());
    make_qkv<F>(a, p, w, e, qkv);
    meet_here();
    if (apart)
        publish<F>(a, p, w, l, qkv);
    if (threadIdx.x < F::ROWS * 2 * F::EACH) {
        attend<F>(a, p, w, qkv, a.layers[l].qkv, apart);
        em_fence_async();
    }
    meet_here();
    send_to_all<F>(p, w.s, CONTEXT, w.m->inner, (char *)w.m->sums + p.rank * F::EACH * F::SLICE);
}

} // namespace em_stack
#endif
