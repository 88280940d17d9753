/*
 * Where a block of stack_kernel.cuh has what; and its warps that fetch weights ahead, into a ring for each warpgroup.
 */
#ifndef EM_DEVICE_CUDA_STACK_RING_CUH
#define EM_DEVICE_CUDA_STACK_RING_CUH

#include "device/cuda/matmul_ends.cuh"
#include "device/cuda/stack.cuh"

namespace em_stack
{

enum {
    HEADS = EM_STACK_HEADS,
    HEAD = EM_STACK_HEAD,
    WIDTH = EM_STACK_WIDTH,
    INNER = EM_STACK_INNER,
    WORKERS = 2 * GROUP,
    THREADS = WORKERS + 64,
    STAGE_BYTES = 64 * 128,
    CHUNKS = WIDTH / 64, /* of depth */
    CONTEXT = 0,         /* meetings */
    MIDDLE = 1,
    SUMS = 2,
    END = 3,
    MEETINGS = 4,
};

/* A cluster's tile, and how many heads, each with its columns, a block of it has. */
template <typename TYPE, int TILE, int TOGETHER> struct form {
    typedef TYPE T;
    enum {
        ROWS = TILE,
        EACH = TOGETHER,
        BLOCKS = HEADS / EACH,
        COLUMNS = EACH * HEAD,
        SLICE = ROWS * 64,        /* bytes of 32 columns of halves */
        PITCH = COLUMNS * 2 + 16, /* bytes of a row of q, k, v */
    };
};

/* What of a layer's rows of numbers a block needs. */
template <typename F> struct ends {
    typedef typename F::T T;
    T qkv[3][F::COLUMNS], out[F::COLUMNS], down[F::COLUMNS], up[4 * F::COLUMNS], gain[2][WIDTH], bias[2][WIDTH];
};

/* Shared memory, from a multiple of 1,024 on; the rings come before it. */
template <typename F> struct memory {
    char x[HEADS * F::SLICE];
    char sums[F::BLOCKS][F::COLUMNS * F::ROWS * sizeof(float)]; /* 1., 2. attention's result, and what is the block's */
    char inner[4 * F::EACH * F::SLICE]; /* 1. attention's result of the block's heads, on its way to all */
    char part[F::EACH * F::SLICE];      /* columns on their way to all */
    ends<F> layers[2];                  /* of this layer, of the next */
};

struct shared {
    uint64_t full[2][EM_STACK_STAGES], empty[2][EM_STACK_STAGES], met[MEETINGS], come[2], gone[2];
    int first, end; /* tokens that the tile's rows see */
};

struct place {
    int tile, row, rank;   /* of the cluster; its first row; the block in it */
    int group, warp, g, c; /* warpgroup, warp in it, lane 4 g + c */
};

/* A place in a ring, and how often it came round. */
struct turn {
    int stage, round;
};

__device__ __forceinline__ void move_on(const em__stack &a, turn &t)
{
    t.stage++;
    if (t.stage == a.stages)
        t = {0, t.round + 1};
}

/* All that multiply. */
__device__ __forceinline__ void meet_here()
{
    asm volatile("bar.sync 1, %0;" ::"n"((int)WORKERS) : "memory");
}

/* Rows of 64 bytes, swizzled by 64 bytes, from a multiple of 512 on, as an operand. */
__device__ __forceinline__ uint64_t operand_of(const void *slice)
{
    return (uint64_t)(em_shared(slice) >> 4 & 0x3fff) | (uint64_t)1 << 16 | (uint64_t)32 << 32 | (uint64_t)2 << 62;
}

/* Where eight columns of a row lie in a slice. */
__device__ __forceinline__ int piece_at(int row, int piece)
{
    return row * 64 + ((piece ^ (row >> 1)) & 3) * 16;
}

struct fetcher {
    char *ring;
    uint64_t *full, *empty;
    turn at;
    /* Room for so many bytes. */
    __device__ __forceinline__ char *take(const em__stack &a, unsigned bytes, uint64_t **come)
    {
        if (at.round > 0)
            em_barrier_wait(&empty[at.stage], (at.round - 1) & 1);
        char *stage = ring + at.stage * STAGE_BYTES;
        *come = &full[at.stage];
        em_barrier_expect(*come, bytes);
        move_on(a, at);
        return stage;
    }
    __device__ __forceinline__ void load(const em__stack &a, const CUtensorMap *map, int depth, int row, unsigned bytes)
    {
        uint64_t *come;
        char *stage = take(a, bytes, &come);
        em_tile_load(stage, map, depth, row, come);
    }
};

/* Chunks of depth of the product behind attention, whose columns are few: each warpgroup has a part of the depth. */
__device__ __forceinline__ int first_chunk(int group)
{
    return CHUNKS * group / 2;
}

/* Of the columns that the inner ones add to, tile i of a warpgroup; blocks begin elsewhere, to send elsewhere. */
__device__ __forceinline__ int tile_of(const place &p, int i)
{
    return (2 * i + p.group + p.rank) % CHUNKS;
}

/* A layer's rows of numbers, and word of its maps. */
template <typename F> __device__ void fetch_ends(const em__stack &a, const place &p, memory<F> *m, shared *s, int l)
{
    typedef typename F::T T;
    enum { BYTES = F::COLUMNS * sizeof(T) };
    const em__stack_layer &layer = a.layers[l];
    const int column = p.rank * F::COLUMNS;
    ends<F> *to = &m->layers[l % 2];
    uint64_t *come = &s->come[l % 2];
    if (l > 1)
        em_barrier_wait(&s->gone[l % 2], (l / 2 - 1) & 1);
    em_barrier_expect(come, sizeof *to);
    for (int i = 0; i < 3; i++)
        em_bulk_load(to->qkv[i], (const T *)layer.qkv_bias + i * WIDTH + column, BYTES, come);
    em_bulk_load(to->out, (const T *)layer.out_bias + column, BYTES, come);
    em_bulk_load(to->down, (const T *)layer.down_bias + column, BYTES, come);
    em_bulk_load(to->up, (const T *)layer.up_bias + 4 * column, 4 * BYTES, come);
    for (int i = 0; i < 2; i++) {
        em_bulk_load(to->gain[i], layer.gain[i], WIDTH * sizeof(T), come);
        em_bulk_load(to->bias[i], layer.bias[i], WIDTH * sizeof(T), come);
    }
    for (int i = 0; i < EM_STACK_WEIGHTS; i++)
        em_tile_prefetch(&layer.w[i]);
}

/* What a warpgroup multiplies with, in its order. */
template <typename F> __device__ void fetch(const em__stack &a, const place &p, memory<F> *m, shared *s, fetcher f)
{
    const int column = p.rank * F::COLUMNS, half = first_chunk(p.group), end = first_chunk(p.group + 1);
    if (!a.constant)
        em_grid_wait();
    if (p.group)
        fetch_ends<F>(a, p, m, s, 0);
    for (int l = 0; l < a.n; l++) {
        const CUtensorMap *w = a.layers[l].w;
        for (int i = 0; i < CHUNKS && F::EACH == 2; i++)
            f.load(a, &w[p.group ? EM_STACK_K : EM_STACK_Q], i * 64, column, STAGE_BYTES);
        for (int i = half; i < end && F::EACH == 2; i++)
            f.load(a, &w[EM_STACK_V], i * 64, column, STAGE_BYTES);
        for (int i = 0; i < CHUNKS && F::EACH == 1; i++) {
            uint64_t *come;
            char *stage = f.take(a, p.group ? STAGE_BYTES / 2 : STAGE_BYTES, &come);
            em_tile_load(stage, &w[p.group ? EM_STACK_V : EM_STACK_Q], i * 64, column, come);
            if (!p.group)
                em_tile_load(stage + STAGE_BYTES / 2, &w[EM_STACK_K], i * 64, column, come);
        }
        for (int i = half; i < end; i++)
            f.load(a, &w[EM_STACK_OUT], i * 64, column, STAGE_BYTES / 2 * F::EACH);
        if (p.group && l + 1 < a.n)
            fetch_ends<F>(a, p, m, s, l + 1);
        for (int i = 0; i < CHUNKS * F::EACH; i++)
            f.load(a, &w[EM_STACK_UP], i % CHUNKS * 64, column * 4 + (p.group * F::EACH + i / CHUNKS) * 64,
                   STAGE_BYTES);
        for (int i = 0; i < CHUNKS / 2; i++)
            for (int chunk = 0; chunk < 2 * F::EACH; chunk++)
                f.load(a, &w[EM_STACK_DOWN], column * 4 + chunk * 64, tile_of(p, i) * 64, STAGE_BYTES);
    }
}

} // namespace em_stack
#endif
