/* Elementwise ops of f16: a kernel each. */
#include "device/cuda/elementwise.cuh"

em__kernel_fn em__elementwise_f16(em__op op)
{
    return em_find_float<EM_F16>(op);
}
