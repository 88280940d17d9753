/* Attention of many queries on matrix units, for those who lay out queries and results themselves. */
#ifndef EM_DEVICE_CUDA_ATTENTION_FLASH_CUH
#define EM_DEVICE_CUDA_ATTENTION_FLASH_CUH

#include "device/cuda/attention.cuh"

/* Strides of the result, in elements; a head of a token is side by side. */
struct em_attend_out {
    int64_t batch, head, token;
};

/* Whether em_attend_flash takes it: sizes, dtypes, how operands lie. Looks at no memory. */
bool em_attend_flash_takes(const em_attend *attend);

/* `once`: queries of f32 may be rounded to the cache's dtype. */
em_status em_attend_flash(em__cuda *cuda, const em_attend *attend, const em_attend_out *out, bool once);

/* The same, of what em_attend_flash_takes, where queries go through once: on Hopper (attention_hopper.cu). */
bool em_attend_hopper_takes(const em__cuda *cuda, const em_attend *attend);
em_status em_attend_hopper(em__cuda *cuda, const em_attend *attend, const em_attend_out *out);

#endif
