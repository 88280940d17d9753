/* What the readers of calls that run together (device.h: merge) ask of all of them. */
#ifndef EM_DEVICE_CUDA_MERGE_H
#define EM_DEVICE_CUDA_MERGE_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether two tensors share memory. */
bool em__cuda_overlap(const em__tensor *a, const em__tensor *b);

/* Whether nobody else reads what one kernel in place of the first `taken` calls does not write: it writes the last
 * one's result, and what updates of caches change. */
bool em__cuda_hides(const em__merge_call *calls, size_t taken);

/* What `add` adds to the product's result, elements side by side, one each; NULL where it is no such sum of f32. */
const em__tensor *em__cuda_added(const em__call *product, const em__call *add);

/* The calls that a merged one runs. */
size_t em__cuda_merged(const em__call *call);

/* Runs a call by itself. */
em_status em__cuda_run_one(em_device *device, const em__call *call);

/* Runs them one by one: where an operand, which is a view now, lies as the kernel in their place can't read it. Memory
 * of what lies between them is kept for all of them (graph/merge.c). */
em_status em__cuda_run_apart(em_device *device, const em__call *first);

#ifdef __cplusplus
}
#endif
#endif
