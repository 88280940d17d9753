/* Reading what a decoder's step consists of off its calls: see step.cu. */
#ifndef EM_DEVICE_CUDA_STEP_CUH
#define EM_DEVICE_CUDA_STEP_CUH

#include "device/cuda/layer.cuh"
#include "device/cuda/march.cuh"

enum { EM_STEP_CALLS = 16 }; /* of a stretch, at most */

/* How many of the n > 0 calls are a stretch that runs together, with its one job or two; 0 for none. */
size_t em__step_read(em__call *const *calls, size_t n, em__march_job (&jobs)[2], int *count);

/* Whether nothing but the last of the first `taken` calls, and updates of caches, is seen by others, and no kernel
 * writes where another of its blocks still reads. */
bool em__step_stands_alone(const em__merge_call *calls, size_t taken);

/* How many of the calls are stretches of one march, which `kernel` runs; 0: too few. */
size_t em__march_merge(em__cuda *cuda, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);

/* Sees to the device's desk; false: there is no memory for it. */
bool em__march_desk_make(em__cuda *cuda);

#endif
