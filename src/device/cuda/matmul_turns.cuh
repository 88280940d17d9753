/*
 * The kernel of matmul.cu for many tiles of pairs or heads: a block stays, and its two warpgroups take tiles in turn,
 * so that one multiplies while the other finishes and writes what it has. A tile has 128 rows, in two layers of 64 that
 * one warpgroup makes alone. A third one copies, and gives its registers to the others; its ring runs on from tile to
 * tile.
 *
 * A wait for a stage tells one round from the next but not from the one behind it, so a warpgroup waits for none of its
 * stages until the other has waited for all of those before.
 */
#ifndef EM_DEVICE_CUDA_MATMUL_TURNS_CUH
#define EM_DEVICE_CUDA_MATMUL_TURNS_CUH

#include "device/cuda/matmul_kernel.cuh"

template <typename TYPE, int WIDE> struct turn_shape {
    typedef TYPE T;
    enum {
        LAYERS = 2,
        ROWS = 64 * LAYERS,
        COLUMNS = WIDE,
        RESIDENT = 1,
        WORKERS = 2 * GROUP,
        THREADS = 3 * GROUP,
        X_BYTES = ROWS * 64 * 2,
        W_BYTES = COLUMNS * 64 * 2,
        STAGE_BYTES = X_BYTES + W_BYTES,
        SUM_BYTES = 0,
    };
};

template <typename SHAPE> using layers = float[SHAPE::LAYERS][SHAPE::COLUMNS / 2];

/* As fetch, of all the block's tiles. */
template <typename SHAPE> __device__ void fetch_turns(const arguments &a, char *stages, uint64_t *full, uint64_t *empty)
{
    const unsigned bytes = SHAPE::W_BYTES + a.x_box * DEEP * 2;
    turn t = {0, 0};
    int ahead = min(a.steps, a.stages);
    if (!a.constant)
        em_grid_wait();
    for (int i = 0; i < ahead; i++) {
        em_barrier_expect(&full[i], bytes);
        load_w<SHAPE>(a, place_of<SHAPE>(a, blockIdx.x), stages + i * SHAPE::STAGE_BYTES, i, &full[i]);
    }
    if (a.constant)
        em_grid_wait();
    for (int tile = blockIdx.x; tile < a.tiles; tile += gridDim.x, ahead = 0) {
        const place p = place_of<SHAPE>(a, tile);
        for (int i = 0; i < a.steps; i++, move_on(a, t)) {
            char *stage = stages + t.stage * SHAPE::STAGE_BYTES;
            if (i >= ahead) {
                if (t.round > 0)
                    em_barrier_wait(&empty[t.stage], (t.round - 1) & 1);
                em_barrier_expect(&full[t.stage], bytes);
                load_w<SHAPE>(a, p, stage, i, &full[t.stage]);
            }
            em_tile_load(stage, &a.x, i * DEEP, p.row, &full[t.stage]);
        }
    }
}

template <typename SHAPE>
__device__ __forceinline__ void multiply_layers(const char *stages, uint64_t *full, turn t, layers<SHAPE> &sums)
{
    enum { LAYER = 64 * DEEP * 2 / 16 };
    const uint64_t x = em_wgmma_b(stages + t.stage * SHAPE::STAGE_BYTES);
    const uint64_t w = em_wgmma_b(stages + t.stage * SHAPE::STAGE_BYTES + SHAPE::X_BYTES);
    em_barrier_wait(&full[t.stage], t.round & 1);
    em_wgmma_begin();
#pragma unroll
    for (int part = 0; part < DEEP / 16; part++)
#pragma unroll
        for (int i = 0; i < SHAPE::LAYERS; i++)
            em_wgmma_shared<typename SHAPE::T, SHAPE::COLUMNS>::multiply(sums[i], x + i * LAYER + part * 2,
                                                                         w + part * 2);
    em_wgmma_commit();
}

template <typename SHAPE> __device__ __forceinline__ void pin_layers(layers<SHAPE> &sums)
{
#pragma unroll
    for (int i = 0; i < SHAPE::LAYERS; i++)
        em_wgmma_pin(sums[i]);
}

__device__ __forceinline__ void let_go(uint64_t *barrier)
{
    if (threadIdx.x % 32 == 0)
        em_barrier_arrive(barrier);
}

/* As accumulate, from the ring's turn t on; `other` is told when no stage is left to wait for. */
template <typename SHAPE>
__device__ __forceinline__ void accumulate_layers(const arguments &a, const char *stages, uint64_t *full,
                                                  uint64_t *empty, uint64_t *other, turn t, layers<SHAPE> &sums)
{
    pin_layers<SHAPE>(sums);
    multiply_layers<SHAPE>(stages, full, t, sums);
    for (int i = 1; i < a.steps; i++) {
        const int last = t.stage;
        move_on(a, t);
        multiply_layers<SHAPE>(stages, full, t, sums);
        em_wgmma_wait<1>();
        let_go(&empty[last]);
    }
    let_go(other);
    em_wgmma_wait<0>();
    pin_layers<SHAPE>(sums);
    let_go(&empty[t.stage]);
}

/* A pair's layer, all of one activation: code that stands in one piece is fetched faster than it is jumped about in. */
template <typename SHAPE, int OP>
__device__ __forceinline__ void leave_pair(const arguments &a, const place &p, float (&sums)[SHAPE::COLUMNS / 2])
{
    typedef typename SHAPE::T T;
    enum { HALF = SHAPE::COLUMNS / 4 };
    const corner<T> c(a, p);
#pragma unroll
    for (int j = 0; j < HALF / 4; j += 2)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            uint32_t word[2];
#pragma unroll
            for (int k = 0; k < 2; k++) {
                const float *x = sums + (j + k) * 4 + r * 2;
                word[k] = two<T>::narrow(activated<OP>(x[0]) * x[HALF], activated<OP>(x[1]) * x[HALF + 1]);
            }
            const uint2 four = em_wgmma_four(word[0], word[1]);
            if (c.rows[r] && j * 8 + em_wgmma_on() < c.left)
                *(uint2 *)(c.out + r * c.down + j * 8 + em_wgmma_on()) = four;
        }
}

/* The sums of a tile on their way, a layer's rows as if each warpgroup had those of its number. */
template <typename SHAPE, int HEAD, int OP>
__device__ __forceinline__ void leave_layers(const arguments &a, place p, layers<SHAPE> &sums)
{
    p.row -= (int)(threadIdx.x / GROUP) * 64;
#pragma unroll
    for (int i = 0; i < SHAPE::LAYERS; i++, p.row += 64) {
        if constexpr (HEAD > 0)
            finish_heads<SHAPE, HEAD>(a, p, sums[i]);
        else
            leave_pair<SHAPE, OP>(a, p, sums[i]);
    }
}

template <typename SHAPE, int HEAD>
__device__ __forceinline__ void work_in_turn(const arguments &a, const char *stages, uint64_t *full, uint64_t *empty,
                                             uint64_t *mine)
{
    const int group = threadIdx.x / GROUP;
    em_grid_wait();
    for (int n = group, tile = blockIdx.x + group * gridDim.x; tile < a.tiles; n += 2, tile += 2 * gridDim.x) {
        const place p = place_of<SHAPE>(a, tile);
        const int before = n * a.steps;
        layers<SHAPE> sums;
#pragma unroll
        for (int i = 0; i < SHAPE::LAYERS; i++)
            begin_sums<SHAPE>(a, p, sums[i]);
        if (n > 0)
            em_barrier_wait(&mine[group], (n - 1) / 2 & 1);
        accumulate_layers<SHAPE>(a, stages, full, empty, &mine[!group], {before % a.stages, before / a.stages}, sums);
        if (HEAD > 0 || a.op == EM__OP_SILU)
            leave_layers<SHAPE, HEAD, EM__OP_SILU>(a, p, sums);
        else if (a.op == EM__OP_GELU)
            leave_layers<SHAPE, HEAD, EM__OP_GELU>(a, p, sums);
        else
            leave_layers<SHAPE, HEAD, EM__OP_GELU_TANH>(a, p, sums);
    }
}

template <typename SHAPE, int HEAD>
__global__ void __launch_bounds__(SHAPE::THREADS, 1) turns_kernel(const __grid_constant__ arguments a)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ char memory[];
    __shared__ uint64_t full[MOST_STAGES], empty[MOST_STAGES], mine[2];
    char *stages = memory + (-em_shared(memory) & 1023);
    if (threadIdx.x == SHAPE::WORKERS) {
        em_tile_prefetch(&a.x);
        for (int i = 0; i < (a.pair ? 2 : a.matrices); i++)
            em_tile_prefetch(&a.w[i]);
        for (int i = 0; i < a.stages; i++) {
            em_barrier_init(&full[i], 1);
            em_barrier_init(&empty[i], GROUP / 32);
        }
        em_barrier_init(&mine[0], GROUP / 32);
        em_barrier_init(&mine[1], GROUP / 32);
        em_barrier_publish();
    }
    __syncwarp();
    em_grid_next();
    __syncthreads();
    if (threadIdx.x < SHAPE::WORKERS) {
        em_registers_take<240>();
        work_in_turn<SHAPE, HEAD>(a, stages, full, empty, mine);
    } else {
        em_registers_give<24>();
        if (threadIdx.x == SHAPE::WORKERS)
            fetch_turns<SHAPE>(a, stages, full, empty);
    }
#endif
}

#endif
