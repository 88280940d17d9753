/* Few queries over a long cache of s8 codes. */
#include "device/cuda/attention_decode.cuh"

em_status em_decode::run_s8(em_device *device, const em__call *call)
{
    return run<int8_t>(device, call);
}
