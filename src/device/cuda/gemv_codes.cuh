/*
 * Products of two to eight rows of f32 with 4-bit codes, affine, in groups of 64 with scales and biases of bf16, on the
 * matrix units, in whole numbers (digits.cuh): gemv_codes_kernel.cuh.
 */
#ifndef EM_DEVICE_CUDA_GEMV_CODES_CUH
#define EM_DEVICE_CUDA_GEMV_CODES_CUH

#include "device/cuda/gemv.cuh"

/* Whether they take a job that em__gemv_takes. Looks at pointers too. */
bool em__gemv_codes_takes(const em__cuda *cuda, const em__gemv *job);

em_status em__gemv_codes_run(em__cuda *cuda, const em__gemv *job, const char *what);

#endif
