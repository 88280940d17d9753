/*
 * FUSED_LINEAR of f32 whose weights are constants of a program: they are cut into bf16 once, when the program is made
 * (device.h: pack), 6 bytes an element beside the 4 of the weights themselves.
 */
#ifndef EM_DEVICE_CUDA_LINEAR_CUT_H
#define EM_DEVICE_CUDA_LINEAR_CUT_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As in the vtable. */
size_t em__cuda_packed_bytes(em_device *device, const em__call *call);
em_status em__cuda_pack(em_device *device, const em__call *call, void *to);

/* A call whose weights were packed: true, with the plan filled (linear.cu asks). */
bool em__cuda_prepare_linear_cut(em__cuda *cuda, const em__call *call, em__plan *plan);

#ifdef __cplusplus
}
#endif
#endif
