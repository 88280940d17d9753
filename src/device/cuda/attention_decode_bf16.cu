/* Few queries over a long cache of bf16. */
#include "device/cuda/attention_decode.cuh"

em_status em_decode::run_bf16(em_device *device, const em__call *call)
{
    return run<__nv_bfloat16>(device, call);
}
