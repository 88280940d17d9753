/* Floats as kernels compute with them: halves are read as f32 and rounded to nearest even when they are stored. */
#ifndef EM_DEVICE_CUDA_REALS_CUH
#define EM_DEVICE_CUDA_REALS_CUH

#include "device/cuda/common.cuh"

/* What a dtype is computed in. */
template <typename T> struct em_real {
    typedef float type;
};
template <> struct em_real<double> {
    typedef double type;
};

static __device__ __forceinline__ float em_load(const __half *x)
{
    return __half2float(*x);
}

static __device__ __forceinline__ float em_load(const __nv_bfloat16 *x)
{
    return __bfloat162float(*x);
}

static __device__ __forceinline__ float em_load(const float *x)
{
    return *x;
}

static __device__ __forceinline__ double em_load(const double *x)
{
    return *x;
}

static __device__ __forceinline__ void em_store(__half *to, float x)
{
    *to = __float2half_rn(x);
}

static __device__ __forceinline__ void em_store(__nv_bfloat16 *to, float x)
{
    *to = __float2bfloat16_rn(x);
}

static __device__ __forceinline__ void em_store(float *to, float x)
{
    *to = x;
}

static __device__ __forceinline__ void em_store(double *to, double x)
{
    *to = x;
}

/* Element `at` of a tensor of f32, bf16 or f16. */
static __device__ __forceinline__ void em_store_as(em_dtype dtype, void *data, int64_t at, float x)
{
    if (dtype == EM_F32)
        em_store((float *)data + at, x);
    else if (dtype == EM_BF16)
        em_store((__nv_bfloat16 *)data + at, x);
    else
        em_store((__half *)data + at, x);
}

#endif
