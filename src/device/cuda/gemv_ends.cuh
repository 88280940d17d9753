/* The end that the kernels of products of few rows have in common: an activation out of line. */
#ifndef EM_DEVICE_CUDA_GEMV_ENDS_CUH
#define EM_DEVICE_CUDA_GEMV_ENDS_CUH

#include "device/cuda/activate.cuh"

/* Once in a kernel, however often it is called: the switch over activations is larger than all that is around it. */
static __device__ __noinline__ float em_gemv_activate(em__op op, float v)
{
    return em_activate<float>((int)op, v);
}

#endif
