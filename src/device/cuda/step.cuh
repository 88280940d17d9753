/* Reading what a decoder's step consists of off its calls: see step.cu. */
#ifndef EM_DEVICE_CUDA_STEP_CUH
#define EM_DEVICE_CUDA_STEP_CUH

#include "device/cuda/march.cuh"

enum { EM_STEP_CALLS = 16 }; /* of a stretch, at most */

static inline int64_t em__last_of(const em__tensor *t)
{
    return t->spec.rank ? t->spec.dims[t->spec.rank - 1] : 1;
}

/* rms_norm of f32, with a gain that the kernels can read. */
static inline bool em__is_step_norm(const em__call *call)
{
    if (call->op != EM__OP_RMS_NORM || call->in[0].spec.dtype != EM_F32 || call->ints[0] & 2)
        return false;
    const em__tensor *gain = call->ints[0] & 1 ? &call->in[1] : NULL;
    return !gain || (gain->spec.dtype == EM_F32 && gain->strides[0] == 1);
}

static inline const float *em__gain_of(const em__call *norm)
{
    return norm->ints[0] & 1 ? (const float *)norm->in[1].data : NULL;
}

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
