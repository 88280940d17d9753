/* Elementwise ops of f32: a kernel each. */
#include "device/cuda/elementwise.cuh"

em__kernel_fn em__elementwise_f32(em__op op)
{
    return em_find_float<EM_F32>(op);
}
