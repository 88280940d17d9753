/*
 * Calls of an encoder's forward that run together (device.h: merge), beside what step.cu has for decoders:
 *
 *   takes from tables, their sum, layer_norm       one kernel (embed.cu)
 *   layers of halves, up to a few hundred rows     one for all of them (stack.cu)
 *   layer_norm, a product, of few rows             one (encoder.cu)
 *   sdpa_segments, a product, of few rows          one
 */
#ifndef EM_DEVICE_CUDA_ENCODER_H
#define EM_DEVICE_CUDA_ENCODER_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As the vtable's merge. */
size_t em__cuda_merge_encoder(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);
size_t em__cuda_merge_embedding(const em__merge_call *calls, size_t n, em__kernel_fn *kernel);

#ifdef __cplusplus
}
#endif
#endif
