/* Few queries over a long cache of f16. */
#include "device/cuda/attention_decode.cuh"

em_status em_decode::run_f16(em_device *device, const em__call *call)
{
    return run<__half>(device, call);
}
