/*
 * The kernel of matmul.cu for weights of 4-bit codes, affine, with scales and biases of bf16.
 *
 * Beside the warpgroups that multiply, one or two make weights of codes: code * scale + bias, rounded to bf16 once,
 * where the matrix units read them. Two warps have the copy engine bring what these need: x, into the stages of the
 * ring, and codes, two steps of depth a slot, in a ring of their own. With the first slot, and with each that begins
 * eight groups, come the scales and biases of these; they lie in slots that come round no sooner than the last codes
 * that need them.
 */
#ifndef EM_DEVICE_CUDA_MATMUL_CODES_CUH
#define EM_DEVICE_CUDA_MATMUL_CODES_CUH

#include "device/cuda/codes.cuh"
#include "device/cuda/matmul_kernel.cuh"

enum {
    CODE_STEPS = 2,  /* of a slot of codes */
    CODE_GROUPS = 8, /* of a slot of scales */
    MOST_SLOTS = 8,
};

/* As shape. */
template <int WARPGROUPS, int WIDE, int AT_ONCE, int MAKING>
struct code_shape : shape<__nv_bfloat16, WARPGROUPS, WIDE, AT_ONCE> {
    typedef shape<__nv_bfloat16, WARPGROUPS, WIDE, AT_ONCE> plain;
    enum {
        MAKERS = MAKING, /* warpgroups that make weights */
        FETCHER = plain::WORKERS + GROUP * MAKERS,
        THREADS = FETCHER + 64,
        SLOTS = WIDE > 64 ? 4 : MOST_SLOTS,
        CODE_BYTES = WIDE * CODE_STEPS * DEEP / 2,
        SCALE_BYTES = WIDE * CODE_GROUPS * 2,
    };
};

/* Where rings of codes, of scales and of biases lie, and their barriers. */
typedef struct code_rings {
    char *codes, *scales;
    uint64_t *full, *empty;
} code_rings;

/* The first group of a step. */
__device__ __forceinline__ int group_of(const arguments &a, int step)
{
    return step * DEEP >> a.shift;
}

/* Whether scales come with the slot of codes that begins with this step. */
__device__ __forceinline__ bool begins_scales(const arguments &a, const place &p, int step)
{
    return step == p.begin || group_of(a, step) % CODE_GROUPS == 0;
}

/* One thread's work: tiles of x. */
template <typename SHAPE>
__device__ void fetch_x(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty)
{
    turn t = {0, 0};
    em_grid_wait();
    for (int i = 0; i < p.end - p.begin; i++, move_on(a, t)) {
        if (t.round > 0)
            em_barrier_wait(&empty[t.stage], (t.round - 1) & 1);
        em_barrier_expect(&full[t.stage], (unsigned)a.x_box * DEEP * 2);
        em_tile_load(stages + t.stage * SHAPE::STAGE_BYTES, &a.x, (p.begin + i) * DEEP, p.row, &full[t.stage]);
    }
}

/* A box of each of a pair, or of one matrix, side by side. */
__device__ __forceinline__ void load_both(const arguments &a, const place &p, char *to, int bytes,
                                          const CUtensorMap *maps, int x, uint64_t *full)
{
    em_tile_load(to, &maps[p.matrix], x, p.column, full);
    if (a.pair)
        em_tile_load(to + bytes / 2, &maps[1], x, p.column, full);
}

/* One thread's work: codes, scales and biases. */
template <typename SHAPE> __device__ void fetch_codes(const arguments &a, const place &p, const code_rings &rings)
{
    int slot = 0, round = 0, scale_slot = 0;
    if (!a.constant)
        em_grid_wait();
    for (int at = p.begin; at < p.end; at += CODE_STEPS) {
        const bool scales = begins_scales(a, p, at);
        const int group = group_of(a, at) / CODE_GROUPS * CODE_GROUPS;
        uint64_t *come = &rings.full[slot];
        if (round > 0)
            em_barrier_wait(&rings.empty[slot], (round - 1) & 1);
        em_barrier_expect(come, SHAPE::CODE_BYTES + (scales ? 2 * SHAPE::SCALE_BYTES : 0));
        load_both(a, p, rings.codes + slot * SHAPE::CODE_BYTES, SHAPE::CODE_BYTES, a.w, at * (DEEP / 8), come);
        if (scales) {
            char *to = rings.scales + scale_slot * 2 * SHAPE::SCALE_BYTES;
            load_both(a, p, to, SHAPE::SCALE_BYTES, a.scales, group, come);
            load_both(a, p, to + SHAPE::SCALE_BYTES, SHAPE::SCALE_BYTES, a.biases, group, come);
            scale_slot = scale_slot + 1 == a.scale_slots ? 0 : scale_slot + 1;
        }
        slot = slot + 1 == SHAPE::SLOTS ? 0 : slot + 1;
        round += slot == 0;
    }
}

/* The weights of a step, by a warpgroup; a thread has neighbours of one group. */
template <typename SHAPE>
__device__ __forceinline__ void make_weights(const arguments &a, int step, const char *codes, const char *scales,
                                             char *to)
{
    enum { WORDS = 4, ACROSS = DEEP / 8 / WORDS, DOWN = GROUP / ACROSS };
    const int thread = threadIdx.x % GROUP, part = thread % ACROSS;
    const int group = ((step * DEEP + part * WORDS * 8) >> a.shift) % CODE_GROUPS;
#pragma unroll
    for (int row = thread / ACROSS; row < SHAPE::COLUMNS; row += DOWN) {
        const char *from = codes + row * (CODE_STEPS * DEEP / 2) + part * WORDS * 4;
        const __nv_bfloat16 *by = (const __nv_bfloat16 *)scales + row * CODE_GROUPS + group;
        const __nv_bfloat162 scale = __bfloat162bfloat162(*by),
                             bias = __bfloat162bfloat162(*(by + SHAPE::SCALE_BYTES / 2));
        uint32_t words[WORDS];
        *(uint4 *)words = *(const uint4 *)from;
#pragma unroll
        for (int j = 0; j < WORDS; j++)
            *(uint4 *)(to + row * (DEEP * 2) + ((part * WORDS + j) ^ (row & 7)) * 16) =
                em_codes_eight(words[j], scale, bias);
    }
}

/* A warpgroup's work: from codes to stages, of each slot the step of its number, or both. */
template <typename SHAPE>
__device__ void make_all(const arguments &a, const place &p, char *stages, uint64_t *full, uint64_t *empty,
                         const code_rings &rings)
{
    const int first = SHAPE::MAKERS == 1 ? 0 : (threadIdx.x - SHAPE::WORKERS) / GROUP;
    int slot = 0, round = 0, scale_slot = 0;
    turn t = {0, 0};
    for (int at = p.begin; at < p.end; at += CODE_STEPS) {
        if (at > p.begin && begins_scales(a, p, at))
            scale_slot = scale_slot + 1 == a.scale_slots ? 0 : scale_slot + 1;
        em_barrier_wait(&rings.full[slot], round & 1);
#pragma unroll
        for (int i = 0; i < CODE_STEPS; i++, move_on(a, t)) {
            if (SHAPE::MAKERS > 1 && i != first)
                continue;
            if (t.round > 0)
                em_barrier_wait(&empty[t.stage], (t.round - 1) & 1);
            make_weights<SHAPE>(a, at + i, rings.codes + slot * SHAPE::CODE_BYTES + i * (DEEP / 2),
                                rings.scales + scale_slot * 2 * SHAPE::SCALE_BYTES,
                                stages + t.stage * SHAPE::STAGE_BYTES + SHAPE::X_BYTES);
            em_fence_async();
            __syncwarp();
            if (threadIdx.x % 32 == 0)
                em_barrier_arrive(&full[t.stage]);
        }
        if (threadIdx.x % 32 == 0)
            em_barrier_arrive(&rings.empty[slot]);
        slot = slot + 1 == SHAPE::SLOTS ? 0 : slot + 1;
        round += slot == 0;
    }
}

template <typename SHAPE>
__device__ __forceinline__ void set_up_codes(const arguments &a, uint64_t *full, uint64_t *empty,
                                             const code_rings &rings)
{
    em_tile_prefetch(&a.x);
    for (int i = 0; i < a.stages; i++) {
        em_barrier_init(&full[i], 1 + GROUP / 32);
        em_barrier_init(&empty[i], SHAPE::WORKERS / 32);
    }
    for (int i = 0; i < SHAPE::SLOTS; i++) {
        em_barrier_init(&rings.full[i], 1);
        em_barrier_init(&rings.empty[i], SHAPE::MAKERS * GROUP / 32);
    }
    em_barrier_publish();
}

template <typename SHAPE, int HEAD>
__global__ void __launch_bounds__(SHAPE::THREADS, SHAPE::RESIDENT) codes_kernel(const __grid_constant__ arguments a)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ char memory[];
    __shared__ uint64_t full[MOST_STAGES], empty[MOST_STAGES], codes_full[MOST_SLOTS], codes_empty[MOST_SLOTS];
    char *stages = memory + (-em_shared(memory) & 1023), *codes = stages + a.stages * SHAPE::STAGE_BYTES;
    const code_rings rings = {codes, codes + SHAPE::SLOTS * SHAPE::CODE_BYTES, codes_full, codes_empty};
    const place p = place_of<SHAPE>(a, blockIdx.x);
    if (threadIdx.x == SHAPE::WORKERS)
        set_up_codes<SHAPE>(a, full, empty, rings);
    __syncwarp();
    em_grid_next();
    __syncthreads();
    if (threadIdx.x < SHAPE::WORKERS)
        return work<SHAPE, HEAD>(a, p, stages, full, empty);
    if (threadIdx.x < SHAPE::FETCHER)
        make_all<SHAPE>(a, p, stages, full, empty, rings);
    else if (threadIdx.x == SHAPE::FETCHER)
        fetch_x<SHAPE>(a, p, stages, full, empty);
    else if (threadIdx.x == SHAPE::FETCHER + 32)
        fetch_codes<SHAPE>(a, p, rings);
    __syncwarp();
    if (a.cluster > 1) {
        em_cluster_sync();
        em_cluster_sync();
    }
#endif
}

#endif
