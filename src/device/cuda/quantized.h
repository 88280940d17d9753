/* How a QUANTIZED_MATMUL runs (quantized.cu), for those who run several together. */
#ifndef EM_DEVICE_CUDA_QUANTIZED_H
#define EM_DEVICE_CUDA_QUANTIZED_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the whole weight becomes bf16 before it is multiplied: the call's scratch begins with room for it. */
bool em__cuda_quantized_widens(em__cuda *cuda, const em__call *call);

#ifdef __cplusplus
}
#endif
#endif
