/*
 * Products of two to eight rows that run together (device.h: merge), in the steps of several answers.
 */
#ifndef EM_DEVICE_CUDA_FEW_H
#define EM_DEVICE_CUDA_FEW_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As em__device_vtable.merge. */
size_t em__cuda_merge_few(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);

#ifdef __cplusplus
}
#endif
#endif
