/*
 * Products of Hopper's matrix units with both operands in shared memory, and how blocks of a cluster read each other's
 * shared memory. For sm_90a alone.
 */
#ifndef EM_DEVICE_CUDA_WGMMA_SHARED_CUH
#define EM_DEVICE_CUDA_WGMMA_SHARED_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <type_traits>

#include "device/cuda/wgmma.cuh"

/* Where block `rank` has what lies at `p` here. */
__device__ __forceinline__ uint32_t em_cluster_map(const void *p, unsigned rank)
{
    uint32_t at;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(em_shared(p)), "r"(rank));
    return at;
}

__device__ __forceinline__ float4 em_cluster_load(const float4 *p, unsigned rank)
{
    float4 v;
    asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "r"(em_cluster_map(p, rank))
                 : "memory");
    return v;
}

/* All threads of all blocks of the cluster meet; what they wrote to shared memory before is seen after. */
__device__ __forceinline__ void em_cluster_sync()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/* d[64, N] += a[64, 16] b[N, 16]^T; the operands as em_wgmma_b describes them. */
template <typename T, int N> struct em_wgmma_shared;

/* Operands by sixteens, as text and as what they stand for. */
#define EM_NAMES_0 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define EM_NAMES_16 "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define EM_NAMES_32 "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define EM_NAMES_48 "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define EM_NAMES_64 "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define EM_NAMES_80 "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define EM_NAMES_96 "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111"
#define EM_NAMES_112 "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define EM_FOUR(n) "+f"(d[n]), "+f"(d[n + 1]), "+f"(d[n + 2]), "+f"(d[n + 3])
#define EM_SIXTEEN(n) EM_FOUR(n), EM_FOUR(n + 4), EM_FOUR(n + 8), EM_FOUR(n + 12)

#define EM_MULTIPLY(N, TYPE, NAMES, A, B, ...)                                                                         \
    asm volatile("{\n.reg .pred add;\nsetp.ne.u32 add, 1, 0;\nwgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE    \
                 "." TYPE " {" NAMES "}, " A ", " B ", add, 1, 1, 0, 0;\n}"                                            \
                 : __VA_ARGS__                                                                                         \
                 : "l"(a), "l"(b))

#define EM_SHARED(N, NAMES, A, B, ...)                                                                                 \
    template <typename T> struct em_wgmma_shared<T, N> {                                                               \
        static __device__ __forceinline__ void multiply(float (&d)[N / 2], uint64_t a, uint64_t b)                     \
        {                                                                                                              \
            if constexpr (std::is_same<T, __half>::value)                                                              \
                EM_MULTIPLY(N, "f16", NAMES, A, B, __VA_ARGS__);                                                       \
            else                                                                                                       \
                EM_MULTIPLY(N, "bf16", NAMES, A, B, __VA_ARGS__);                                                      \
        }                                                                                                              \
    };
EM_SHARED(32, EM_NAMES_0, "%16", "%17", EM_SIXTEEN(0))
EM_SHARED(64, EM_NAMES_0 ", " EM_NAMES_16, "%32", "%33", EM_SIXTEEN(0), EM_SIXTEEN(16))
EM_SHARED(96, EM_NAMES_0 ", " EM_NAMES_16 ", " EM_NAMES_32, "%48", "%49", EM_SIXTEEN(0), EM_SIXTEEN(16), EM_SIXTEEN(32))
EM_SHARED(128, EM_NAMES_0 ", " EM_NAMES_16 ", " EM_NAMES_32 ", " EM_NAMES_48, "%64", "%65", EM_SIXTEEN(0),
          EM_SIXTEEN(16), EM_SIXTEEN(32), EM_SIXTEEN(48))
EM_SHARED(192, EM_NAMES_0 ", " EM_NAMES_16 ", " EM_NAMES_32 ", " EM_NAMES_48 ", " EM_NAMES_64 ", " EM_NAMES_80, "%96",
          "%97", EM_SIXTEEN(0), EM_SIXTEEN(16), EM_SIXTEEN(32), EM_SIXTEEN(48), EM_SIXTEEN(64), EM_SIXTEEN(80))
EM_SHARED(256,
          EM_NAMES_0 ", " EM_NAMES_16 ", " EM_NAMES_32 ", " EM_NAMES_48 ", " EM_NAMES_64 ", " EM_NAMES_80
                     ", " EM_NAMES_96 ", " EM_NAMES_112,
          "%128", "%129", EM_SIXTEEN(0), EM_SIXTEEN(16), EM_SIXTEEN(32), EM_SIXTEEN(48), EM_SIXTEEN(64), EM_SIXTEEN(80),
          EM_SIXTEEN(96), EM_SIXTEEN(112))
#undef EM_SHARED
#undef EM_MULTIPLY
#undef EM_SIXTEEN
#undef EM_FOUR
#undef EM_NAMES_0
#undef EM_NAMES_16
#undef EM_NAMES_32
#undef EM_NAMES_48
#undef EM_NAMES_64
#undef EM_NAMES_80
#undef EM_NAMES_96
#undef EM_NAMES_112

#endif
