/* What the warps of a block of a march share, and how they find their way in it: see march_kernel.cuh. */
#ifndef EM_DEVICE_CUDA_MARCH_MEMORY_CUH
#define EM_DEVICE_CUDA_MARCH_MEMORY_CUH

#include "device/cuda/march.cuh"
#include "device/cuda/wgmma.cuh"

static constexpr int EM_MARCH_THREADS = EM_MARCH_WARPS * 32; /* that compute */
static constexpr int EM_MARCH_ALL = EM_MARCH_THREADS + 128;  /* and a group of warps that fetch and tidy */
static constexpr int EM_MARCH_KNOWN = 16;                    /* jobs in shared memory, EM_MARCH_BACK of them past */

/* Shared memory before the slots. */
struct em_march_memory {
    uint64_t full[EM_MARCH_SLOTS], empty[EM_MARCH_SLOTS];
    int places[EM_MARCH_SLOTS];                            /* where stages of any size lie in the ring */
    uint64_t known[EM_MARCH_KNOWN], begun[EM_MARCH_KNOWN]; /* that job j is in `jobs`, that all have come to it */
    int now, last;            /* the job that it has come to, for who only keeps pace; it is the last to leave */
    uint32_t launch, written; /* as the desk had them at first */
    em__march_job jobs[EM_MARCH_KNOWN]; /* job j at j mod EM_MARCH_KNOWN */
    alignas(16) float squares[EM_MARCH_WARPS];
    float turn[EM_MARCH_TURN];                   /* cosines and sines of the position */
    float table[EM_MARCH_MOST * EM_MARCH_WARPS]; /* sums of a tile, by warps, as the kind of weights has them */
    alignas(16) char room[];                     /* x as it is staged; attention */
};

/* em_bulk_load of what is read once a step: it leaves the second-level cache before what blocks tell each other. */
__device__ __forceinline__ void em_bulk_pass(void *to, const void *from, int bytes, uint64_t *barrier)
{
    uint64_t policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, "
                 "[%3], %4;" ::"r"(em_shared(to)),
                 "l"(from), "r"(bytes), "r"(em_shared(barrier)), "l"(policy)
                 : "memory");
}

/* The thread's number, read where it is needed: what follows from it does not stay in registers from job to job. */
__device__ __forceinline__ int em_march_thread()
{
    int thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
}

/* Of the warps that compute. */
__device__ __forceinline__ void em_march_sync()
{
    asm volatile("bar.sync 1, %0;" ::"n"(EM_MARCH_WARPS * 32) : "memory");
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
