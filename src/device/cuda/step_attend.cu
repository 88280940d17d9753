/* See step_attend.cuh: a cluster of blocks for each head of keys. */
#include "device/cuda/step_attend.cuh"

#include <cooperative_groups.h>

#include "device/cuda/step_attend_kernel.cuh"

enum { CLUSTER = 8, WARPS = 8, AHEAD = 4 }; /* blocks; warps of one; keys that a group of lanes fetches at once */

template <typename T, int D, int G> using block_memory = em_attend_memory<WARPS, T, D, G>;

/* The cluster's blocks to the result; each block writes its share. */
template <typename T, int D, int G>
__device__ __forceinline__ void join_blocks(const em__step_attend &a, int head, block_memory<T, D, G> &m, int rank)
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    cooperative_groups::cluster_group cluster = cooperative_groups::this_cluster();
    const int share = G * D / CLUSTER;
    for (int i = rank * share + threadIdx.x; i < (rank + 1) * share; i += blockDim.x) {
        const int g = i / D, d = i % D;
        float tops[CLUSTER], sums[CLUSTER], mixes[CLUSTER], most = EM_NO_SCORE, sum = 0, mixed = 0;
#pragma unroll
        for (int b = 0; b < CLUSTER; b++) {
            const block_memory<T, D, G> *there = cluster.map_shared_rank(&m, b);
            tops[b] = there->top[g];
            sums[b] = there->sum[g];
            mixes[b] = there->mixed[g][d];
        }
#pragma unroll
        for (int b = 0; b < CLUSTER; b++)
            most = fmaxf(most, tops[b]);
#pragma unroll
        for (int b = 0; b < CLUSTER; b++) {
            const float weight = tops[b] == EM_NO_SCORE ? 0 : expf(tops[b] - most);
            sum = fmaf(sums[b], weight, sum);
            mixed = fmaf(mixes[b], weight, mixed);
        }
        a.out[head * G * D + i] = sum == 0 ? 0 : mixed / sum; /* no key: 0; a NaN stays */
    }
#endif
}

/* Of all blocks of the cluster; clusters came with compute capability 9.0. */
__device__ __forceinline__ void sync_cluster()
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
    cooperative_groups::this_cluster().sync();
#endif
}

template <typename T, int D, int G>
__global__ void __launch_bounds__(WARPS * 32) attend_kernel(const __grid_constant__ em__step_attend a)
{
    constexpr int PARTS = D / 8, KEYS = 32 / PARTS; /* lanes a key; keys a warp */
    extern __shared__ __align__(16) char shared[];
    __shared__ float turn[D]; /* cosines, then sines */
    block_memory<T, D, G> &m = *(block_memory<T, D, G> *)shared;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, part = lane % PARTS;
    const int head = blockIdx.x / CLUSTER, rank = blockIdx.x % CLUSTER;
    em_grid_next();
    em_grid_wait();
    const view<T> c = look<T, D>(a, head);
    const int step = CLUSTER * WARPS * KEYS; /* keys that the cluster looks at at once */
    const int base = c.begin + (warp * CLUSTER + rank) * KEYS, key = base + lane / PARTS;
    uint4 k[AHEAD], v[AHEAD];
    fetch_keys<D, AHEAD>((const uint4 *)c.keys, key, step, c.end, part, k);
    fetch_keys<D, AHEAD>((const uint4 *)c.values, key, step, c.end, part, v);
    if (a.turned) {
        find_turns(a, *a.at, a.step, turn);
        __syncthreads();
    }
    prepare_rows<WARPS, T, D, G>(a, head, m, turn, warp, lane, [&](int at, float(&x)[D / 32]) {
#pragma unroll
        for (int i = 0; i < D / 32; i++)
            x[i] = a.products[at + 32 * i];
    });
    __syncthreads();
    if (rank == 0 && warp == 0)
        put_rows<WARPS, T, D, G>(c, m, lane);
    attend_warp<WARPS, T, D, G, AHEAD>(c, m, base, key, step, warp, lane, k, v);
    __syncthreads();
    join_warps<WARPS, T, D, G>(m);
    sync_cluster();
    join_blocks<T, D, G>(a, head, m, rank);
    sync_cluster(); /* no block leaves while another reads its memory */
}

template <typename T, int D, int G> static em_status launch(em__cuda *cuda, const em__step_attend *job)
{
    const size_t shared = sizeof(block_memory<T, D, G>);
    EM__TRY(em__cuda_check(
        cuda, cudaFuncSetAttribute(attend_kernel<T, D, G>, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
        "attention"));
    return em_launch_clusters(cuda, "attention", attend_kernel<T, D, G>, CLUSTER, (unsigned)(job->kv_heads * CLUSTER),
                              WARPS * 32, shared, *job);
}

typedef em_status (*launch_fn)(em__cuda *, const em__step_attend *);

template <typename T, int D> static launch_fn find_group(int group)
{
    switch (group) {
    case 1: return launch<T, D, 1>;
    case 2: return launch<T, D, 2>;
    case 4: return launch<T, D, 4>;
    default: return NULL;
    }
}

static launch_fn find_launch(const em__step_attend *job)
{
    const int group = job->heads / job->kv_heads;
    if (job->heads % job->kv_heads != 0)
        return NULL;
    if (job->cache == EM_BF16)
        return job->size == 128  ? find_group<__nv_bfloat16, 128>(group)
               : job->size == 64 ? find_group<__nv_bfloat16, 64>(group)
                                 : NULL;
    if (job->cache == EM_F16)
        return job->size == 128 ? find_group<__half, 128>(group) : NULL;
    return NULL;
}

bool em__step_attend_takes(const em__step_attend *job)
{
    return job->capacity > 0 && job->kv_heads > 0 && (job->turned == 0 || job->turned == job->size) &&
           find_launch(job) != NULL;
}

em_status em__step_attend_run(em__cuda *cuda, const em__step_attend *job)
{
    return find_launch(job)(cuda, job);
}
