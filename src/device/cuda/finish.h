/* What follows the sums of a product: out = activation(sums + bias) + residual, rounded to the result's dtype. */
#ifndef EM_DEVICE_CUDA_FINISH_H
#define EM_DEVICE_CUDA_FINISH_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em__finish {
    em__op activation; /* COPY: none */
    em_dtype dtype;    /* f16, bf16, f32, f64: of bias, residual and result; halves have sums of f32 */
    int64_t size, columns;
    const void *sums;            /* may be `out`, where the dtypes are the same */
    const void *bias, *residual; /* NULL: none; the residual may be `out` */
    void *out;
} em__finish;

bool em__cuda_finish_takes(em__op activation);
em_status em__cuda_finish(em__cuda *cuda, const em__finish *finish);

#ifdef __cplusplus
}
#endif
#endif
