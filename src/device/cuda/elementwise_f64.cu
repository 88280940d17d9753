/* Elementwise ops of f64: a kernel each. */
#include "device/cuda/elementwise.cuh"

em__kernel_fn em__elementwise_f64(em__op op)
{
    return em_find_float<EM_F64>(op);
}
