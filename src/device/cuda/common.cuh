/*
 * What kernels share: launching, waiting for the kernel before, strided layouts.
 *
 * Kernels are launched with programmatic stream serialisation: a grid may start while the one before it still runs, so
 * every kernel calls em_grid_wait() before it touches memory that others write or read (weights, which nothing writes,
 * may be fetched earlier). em_grid_next() lets the next grid start early; it is a hint.
 */
#ifndef EM_DEVICE_CUDA_COMMON_CUH
#define EM_DEVICE_CUDA_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <stdint.h>

#include "device/cuda/cuda.h"

__device__ __forceinline__ void em_grid_wait()
{
#if __CUDA_ARCH__ >= 900
    cudaGridDependencySynchronize();
#endif
}

__device__ __forceinline__ void em_grid_next()
{
#if __CUDA_ARCH__ >= 900
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}

/* Asks for kernel<<<grid, block, shared>>>(arguments...) on the device's stream, neighbours along x in clusters of so
 * many blocks: 1 but on chips of 9.0 and later. */
template <typename... Parameters, typename... Arguments>
static em_status em_launch_clusters(em__cuda *cuda, const char *what, void (*kernel)(Parameters...), unsigned cluster,
                                    dim3 grid, dim3 block, size_t shared, const Arguments &...arguments)
{
    cudaLaunchAttribute attributes[2] = {};
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim = {cluster, 1, 1};
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = cuda->stream;
    config.attrs = attributes;
    config.numAttrs = cuda->major < 9 ? 0 : cluster > 1 ? 2 : 1;
    return em__cuda_check(cuda, cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), what);
}

template <typename... Parameters, typename... Arguments>
static em_status em_launch(em__cuda *cuda, const char *what, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                           size_t shared, const Arguments &...arguments)
{
    return em_launch_clusters(cuda, what, kernel, 1, grid, block, shared, arguments...);
}

static inline unsigned em_blocks(int64_t elements, int64_t per_block)
{
    return (unsigned)((elements + per_block - 1) / per_block);
}

/* A strided tensor by value, for kernels: axes of extent 1 gone, neighbours that step alike merged. Strides count
 * elements. Several tensors of one shape are collapsed together. */
template <int N> struct em_layout {
    int rank;
    int64_t dims[EM_MAX_RANK];
    int64_t strides[N][EM_MAX_RANK];
};

template <int N> static em_layout<N> em_collapse(const em__spec *shape, const em__tensor *const (&tensors)[N])
{
    em_layout<N> out = {};
    for (int axis = 0; axis < shape->rank; axis++) {
        int64_t dim = shape->dims[axis];
        if (dim == 1)
            continue;
        int last = out.rank - 1;
        bool joins = last >= 0;
        for (int i = 0; i < N && joins; i++)
            joins = out.strides[i][last] == tensors[i]->strides[axis] * dim;
        if (!joins)
            last = out.rank++;
        out.dims[last] = joins ? out.dims[last] * dim : dim;
        for (int i = 0; i < N; i++)
            out.strides[i][last] = tensors[i]->strides[axis];
    }
    return out;
}

/* Offsets of the element that is `index` in row-major order. */
template <int N> __device__ __forceinline__ void em_offsets(const em_layout<N> &layout, int64_t index, int64_t (&at)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        at[i] = 0;
    for (int axis = layout.rank - 1; axis >= 0; axis--) {
        int64_t next = axis > 0 ? index / layout.dims[axis] : 0;
        int64_t within = index - next * layout.dims[axis];
#pragma unroll
        for (int i = 0; i < N; i++)
            at[i] += within * layout.strides[i][axis];
        index = next;
    }
}

#endif
