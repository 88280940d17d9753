/* The activations that follow a product. */
#ifndef EM_DEVICE_CUDA_ACTIVATE_CUH
#define EM_DEVICE_CUDA_ACTIVATE_CUH

#include <math.h>

#include "device/cuda/common.cuh"

__device__ __forceinline__ double em_gelu(double x)
{
    return 0.5 * x * erfc(-x * M_SQRT1_2);
}

/*
 * With a = |x| / sqrt 2 the lower tail of the normal distribution is erfc(a) / 2, and (1 + 2 a) e^(a a) erfc(a) is
 * smooth: a polynomial in (a - 2) / (a + 2), fitted for 0 <= a <= 12 to 4e-8, so that what rounding adds has no side.
 * Within 4e-7 of the value for -2 < x, a millionth below. Without branches, unlike erfc: several run side by side.
 */
__device__ __forceinline__ float em_gelu(float x)
{
    float a = fminf(fabsf(x) * 0.70710678f, 12.0f), wide = fmaf(a, 2.0f, 1.0f);
    float r = __fdividef(1.0f, (a + 2) * wide), q = (a - 2) * wide * r;
    float p = -0.000390532641f;
    p = fmaf(p, q, -0.00120862332f);
    p = fmaf(p, q, 0.00131826717f);
    p = fmaf(p, q, 0.00861632846f);
    p = fmaf(p, q, -0.00806777845f);
    p = fmaf(p, q, -0.0542013842f);
    p = fmaf(p, q, 0.164057371f);
    p = fmaf(p, q, -0.166031495f);
    p = fmaf(p, q, -0.0927641006f);
    p = fmaf(p, q, 1.27697839f);
    float tail = 0.5f * p * ((a + 2) * r) * exp2f(-0.72134752f * x * x);
    return x > 0 ? fmaf(fmaxf(-x, -17.0f), tail, x) : x * tail;
}

template <typename S> __device__ __forceinline__ S em_activate(int op, S x)
{
    switch (op) {
    case EM__OP_RELU: return isnan(x) ? x : x > 0 ? x : 0;
    case EM__OP_SILU: return x == -INFINITY ? S(-0.0) : x / (1 + exp(-x));
    case EM__OP_GELU: return x == -INFINITY ? S(-0.0) : em_gelu(x);
    case EM__OP_GELU_TANH: {
        S inner = S(2 * 0.79788456080286535588) * (x + S(0.044715) * x * x * x);
        return x == -INFINITY ? S(-0.0) : x / (1 + exp(-inner));
    }
    case EM__OP_TANH: return tanh(x);
    case EM__OP_SIGMOID: return 1 / (1 + exp(-x));
    default: return x;
    }
}

#endif
