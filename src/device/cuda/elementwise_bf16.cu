/* Elementwise ops of bf16: a kernel each. */
#include "device/cuda/elementwise.cuh"

em__kernel_fn em__elementwise_bf16(em__op op)
{
    return em_find_float<EM_BF16>(op);
}
