/* The ends that the kernels of products of few rows have in common: an activation out of line, a value stored. */
#ifndef EM_DEVICE_CUDA_GEMV_ENDS_CUH
#define EM_DEVICE_CUDA_GEMV_ENDS_CUH

#include "device/cuda/activate.cuh"

/* Once in a kernel, however often it is called: the switch over activations is larger than all that is around it. */
static __device__ __noinline__ float em_gemv_activate(em__op op, float v)
{
    return em_activate<float>((int)op, v);
}

__device__ __forceinline__ void em_gemv_store(em_dtype dtype, void *out, int64_t at, float v)
{
    if (dtype == EM_F32)
        ((float *)out)[at] = v;
    else if (dtype == EM_BF16)
        ((__nv_bfloat16 *)out)[at] = __float2bfloat16_rn(v);
    else
        ((__half *)out)[at] = __float2half_rn(v);
}

#endif
