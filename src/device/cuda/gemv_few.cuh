/*
 * Products of two to eight rows of f32 on the matrix units, with weights of bf16, or of 4-bit codes, affine, in groups
 * of 64 with scales and biases of bf16: as good as f32's own (gemv_few_kinds.cuh).
 */
#ifndef EM_DEVICE_CUDA_GEMV_FEW_CUH
#define EM_DEVICE_CUDA_GEMV_FEW_CUH

#include "device/cuda/gemv.cuh"

/* Whether they take the job. Looks at pointers too. */
bool em__gemv_few_takes(const em__cuda *cuda, const em__gemv *job);

em_status em__gemv_few_run(em__cuda *cuda, const em__gemv *job, const char *what);

#endif
