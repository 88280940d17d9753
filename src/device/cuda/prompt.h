/*
 * Calls of a decoder's layer for many tokens that run together (device.h: merge), where f32 may be rounded to bf16 as
 * it meets bf16 weights.
 */
#ifndef EM_DEVICE_CUDA_PROMPT_H
#define EM_DEVICE_CUDA_PROMPT_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As em__device_vtable.merge. */
size_t em__cuda_merge_prompt(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);

#ifdef __cplusplus
}
#endif
#endif
