/* What the warps of a block of a march share, and how they find their way in it: see march_kernel.cuh. */
#ifndef EM_DEVICE_CUDA_MARCH_MEMORY_CUH
#define EM_DEVICE_CUDA_MARCH_MEMORY_CUH

#include "device/cuda/march.cuh"
#ifndef EM_AHEAD             //EM_STAMP
#define EM_AHEAD (128 << 10) //EM_STAMP
#endif                       //EM_STAMP
#ifndef EM_STAMP             //EM_STAMP
#define EM_STAMP(i, what)    //EM_STAMP
#define EM_WAITED(what)      //EM_STAMP
#endif                       //EM_STAMP

static constexpr int EM_MARCH_THREADS = EM_MARCH_WARPS * 32; /* that compute */
static constexpr int EM_MARCH_ALL = EM_MARCH_THREADS + 128;  /* and a group of warps, of which one fetches */
static constexpr int EM_MARCH_KNOWN = 16;                    /* jobs in shared memory, EM_MARCH_BACK of them past */

/* Shared memory before the slots. */
struct em_march_memory {
    uint64_t full[EM_MARCH_SLOTS], empty[EM_MARCH_SLOTS];
    int places[EM_MARCH_SLOTS];         /* where stages of any size lie in the ring */
    int known, done, last;              /* jobs that are in `jobs`, that the block has ended; it is the last to leave */
    uint32_t launch, written;           /* as the desk had them at first */
    em__march_job jobs[EM_MARCH_KNOWN]; /* job j at j mod EM_MARCH_KNOWN */
    alignas(16) float squares[EM_MARCH_WARPS];
    float turn[EM_MARCH_TURN];                   /* cosines and sines of the position */
    float table[EM_MARCH_MOST * EM_MARCH_WARPS]; /* sums of a tile, by warps, as the kind of weights has them */
    alignas(16) char room[];                     /* x as it is staged; attention */
};

/* Of the warps that compute. */
__device__ __forceinline__ void em_march_sync()
{
    asm volatile("bar.sync 1, %0;" ::"n"(EM_MARCH_WARPS * 32) : "memory");
}

__device__ __forceinline__ int em_march_look(const int *at)
{
    const int v = *(const volatile int *)at;
    asm volatile("" ::: "memory");
    return v;
}

/* What a block does of a product at once: rows first .. first + rows - 1. */
struct em_march_tile {
    int first, rows;
};

/* Tile number `tile` of the block; false: there is none. */
__device__ __forceinline__ bool em_march_cut(const em__gemv &g, int tile, em_march_tile &t)
{
    t.first = (tile * (int)gridDim.x + (int)blockIdx.x) * g.per_block;
    t.rows = min(g.per_block, em_gemv_rows(g) - t.first);
    return t.rows > 0;
}

/* The slots, in turn. */
struct em_march_slots {
    int slots, slot, phase;

    __device__ __forceinline__ void step()
    {
        if (++slot == slots) {
            slot = 0;
            phase ^= 1;
        }
    }
};

#endif
