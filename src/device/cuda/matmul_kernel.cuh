/*
 * The kernel of matmul.cu: see matmul.cuh.
 *
 * Each stage of the ring holds 64 of depth of the block's rows of x and of the weights. The sums begin as the bias, are
 * activated where they are, in registers, and leave from there (matmul_ends.cuh), or as heads (matmul_heads.cuh).
 */
#ifndef EM_DEVICE_CUDA_MATMUL_KERNEL_CUH
#define EM_DEVICE_CUDA_MATMUL_KERNEL_CUH

#include "device/cuda/matmul_heads.cuh"

enum { DEEP = 64 };

template <typename SHAPE> __device__ __forceinline__ place place_of(const arguments &a, int block)
{
    const int group = block / a.cluster, rank = block % a.cluster, tile = group / a.row_tiles;
    place p = {0, 0, 0, a.steps * rank / a.cluster, a.steps * (rank + 1) / a.cluster, rank};
    while (tile >= a.first[p.matrix + 1])
        p.matrix++;
    p.row = group % a.row_tiles * SHAPE::ROWS;
    p.column = (tile - a.first[p.matrix]) * (a.pair ? SHAPE::COLUMNS / 2 : SHAPE::COLUMNS);
    return p;
}

/* A step's tile of the weight, or half of it of each of a pair. */
template <typename SHAPE>
__device__ __forceinline__ void load_w(const arguments &a, const place &p, char *stage, int step, uint64_t *full)
{
    char *to = stage + SHAPE::X_BYTES;
    em_tile_load(to, &a.w[p.matrix], step * DEEP, p.column, full);
    if (a.pair)
        em_tile_load(to + SHAPE::W_BYTES / 2, &a.w[1], step * DEEP, p.column, full);
}

/* A place in the ring, and how often it came round. */
typedef struct turn {
    int stage, round;
} turn;

__device__ __forceinline__ void move_on(const arguments &a, turn &t)
{
    t.stage++;
    if (t.stage == a.stages)
        t = {0, t.round + 1};
}

/* One thread's work. The weights of the first stages are asked for before x is there. Where the lower half of the tile
 * is behind the last row it is not brought: its sums go nowhere. */
template <typename SHAPE>
__device__ void fetch(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty)
{
    const int steps = p.end - p.begin, ahead = min(steps, a.stages);
    const unsigned bytes = SHAPE::W_BYTES + a.x_box * DEEP * 2;
    turn t = {0, 0};
    if (!a.constant)
        em_grid_wait();
    for (int i = 0; i < ahead; i++) {
        em_barrier_expect(&full[i], bytes);
        load_w<SHAPE>(a, p, stages + i * SHAPE::STAGE_BYTES, p.begin + i, &full[i]);
    }
    if (a.constant)
        em_grid_wait();
    for (int i = 0; i < steps; i++, move_on(a, t)) {
        char *stage = stages + t.stage * SHAPE::STAGE_BYTES;
        uint64_t *come = &full[t.stage];
        if (i >= ahead) {
            em_barrier_wait(&empty[t.stage], (t.round - 1) & 1);
            em_barrier_expect(come, bytes);
            load_w<SHAPE>(a, p, stage, p.begin + i, come);
        }
        em_tile_load(stage, &a.x, (p.begin + i) * DEEP, p.row, come);
    }
}

/* The sums before the first product: the bias, of a divided depth once. */
template <typename SHAPE, typename B>
__device__ __forceinline__ void begin_with(const B *bias, int column, int n, float (&sums)[SHAPE::COLUMNS / 2])
{
#pragma unroll
    for (int j = 0; j < SHAPE::COLUMNS / 8; j++)
#pragma unroll
        for (int c = 0; c < 2; c++) {
            const int at = column + j * 8 + c;
            sums[j * 4 + c] = at < n ? (float)bias[at] : 0.0f;
            sums[j * 4 + 2 + c] = sums[j * 4 + c];
        }
}

template <typename SHAPE>
__device__ __forceinline__ void begin_sums(const arguments &a, const place &p, float (&sums)[SHAPE::COLUMNS / 2])
{
    const matrix &of = a.of[p.matrix];
    const int column = p.column + threadIdx.x % 4 * 2;
    if (!of.bias || p.begin > 0) {
#pragma unroll
        for (int j = 0; j < SHAPE::COLUMNS / 2; j++)
            sums[j] = 0;
    } else if (a.bias == EM_F32) {
        begin_with<SHAPE>((const float *)of.bias, column, of.n, sums);
    } else {
        begin_with<SHAPE>((const typename SHAPE::T *)of.bias, column, of.n, sums);
    }
}

template <typename SHAPE>
__device__ __forceinline__ void multiply(const char *stages, uint64_t *full, turn t, float (&sums)[SHAPE::COLUMNS / 2])
{
    const char *stage = stages + t.stage * SHAPE::STAGE_BYTES;
    const uint64_t x = em_wgmma_b(stage + threadIdx.x / GROUP * (64 * DEEP * 2));
    const uint64_t w = em_wgmma_b(stage + SHAPE::X_BYTES);
    em_barrier_wait(&full[t.stage], t.round & 1);
    em_wgmma_begin();
#pragma unroll
    for (int part = 0; part < DEEP / 16; part++)
        em_wgmma_shared<typename SHAPE::T, SHAPE::COLUMNS>::multiply(sums, x + part * 2, w + part * 2);
    em_wgmma_commit();
}

/* The first step stands by itself: in the loop nothing but the matrix units touches the sums. */
template <typename SHAPE>
__device__ __forceinline__ void accumulate(const arguments &a, const place &p, const char *stages, uint64_t *full,
                                           uint64_t *empty, float (&sums)[SHAPE::COLUMNS / 2])
{
    const int steps = p.end - p.begin;
    turn t = {0, 0};
    em_wgmma_pin(sums);
    multiply<SHAPE>(stages, full, t, sums);
    for (int i = 1; i < steps; i++) {
        const int last = t.stage;
        move_on(a, t);
        multiply<SHAPE>(stages, full, t, sums);
        em_wgmma_wait<1>();
        if (i - 1 + a.stages < steps && threadIdx.x % 32 == 0)
            em_barrier_arrive(&empty[last]);
    }
    em_wgmma_wait<0>();
    em_wgmma_pin(sums);
}

/* From sums to the result, for a thread of a warpgroup. HEAD: of which size heads are; 0: there are none. */
template <typename SHAPE, int HEAD>
__device__ __forceinline__ void work(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty)
{
    float sums[SHAPE::COLUMNS / 2];
    if (!a.constant)
        em_grid_wait();
    begin_sums<SHAPE>(a, p, sums);
    em_grid_wait();
    accumulate<SHAPE>(a, p, stages, full, empty, sums);
    if constexpr (HEAD > 0)
        return finish_heads<SHAPE, HEAD>(a, p, sums);
    if (a.direct)
        return leave<SHAPE>(a, p, sums);
    asm volatile("bar.sync 1, %0;" ::"n"((int)SHAPE::WORKERS) : "memory"); /* no stage is read any more */
    lay_down<SHAPE>(sums, (float *)stages);
    __syncwarp();
    if (a.cluster > 1)
        em_cluster_sync();
    finish<SHAPE>(a, p, (float *)stages);
    if (a.cluster > 1)
        em_cluster_sync(); /* the others have read my sums */
}

template <typename SHAPE, int HEAD>
__global__ void __launch_bounds__(SHAPE::THREADS, SHAPE::RESIDENT) matmul_kernel(const __grid_constant__ arguments a)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ char memory[];
    __shared__ uint64_t full[MOST_STAGES], empty[MOST_STAGES];
    char *stages = memory + (-em_shared(memory) & 1023);
    const place p = place_of<SHAPE>(a, blockIdx.x);
    if (threadIdx.x == SHAPE::WORKERS) {
        em_tile_prefetch(&a.x);
        em_tile_prefetch(&a.w[p.matrix]);
        for (int i = 0; i < a.stages; i++) {
            em_barrier_init(&full[i], 1);
            em_barrier_init(&empty[i], SHAPE::WORKERS / 32);
        }
        em_barrier_publish();
    }
    __syncwarp();
    em_grid_next();
    __syncthreads();
    if (threadIdx.x < SHAPE::WORKERS) {
        work<SHAPE, HEAD>(a, p, stages, full, empty);
    } else {
        if (threadIdx.x == SHAPE::WORKERS)
            fetch<SHAPE>(a, p, stages, full, empty);
        __syncwarp();
        if (a.cluster > 1) {
            em_cluster_sync();
            em_cluster_sync();
        }
    }
#endif
}

#endif
