/*
 * Products of few rows, out = activation(x w^T + bias) + residual, as encoders have them for one text (thin.cu). x may
 * come from a layer norm, or from attention over the same few tokens, within the kernel.
 */
#ifndef EM_DEVICE_CUDA_THIN_H
#define EM_DEVICE_CUDA_THIN_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EM_THIN_ROWS = 64, EM_THIN_WEIGHTS = 4 };

typedef enum em__thin_from { EM_THIN_PLAIN, EM_THIN_NORM, EM_THIN_ATTENTION } em__thin_from;

typedef struct em__thin {
    em_dtype dtype; /* f32, bf16, f16: of everything */
    em__thin_from from;
    int m, n, k, weights;
    em__op activation;
    bool constant; /* nobody writes the weights, the bias and what a norm has */
    const void *x; /* [m, k], row-major */
    struct {
        const void *at;
        int64_t step; /* elements from row to row */
        int rows;
    } w[EM_THIN_WEIGHTS];
    const void *bias, *residual; /* NULL: none; the residual may be `out` */
    void *out;
    struct {                             /* x is norm(x + added), which also goes to `normed` */
        const void *added, *gain, *bias; /* NULL: none */
        void *normed;
        float eps;
    } norm;
    struct { /* x is attention among those tokens that the same two offsets enclose, in heads of 32 */
        const void *q, *k, *v;
        int64_t q_step, k_step, v_step; /* elements from token to token; heads lie 32 apart */
        const int32_t *offsets;
        int64_t offset_step;
        int segments;
        float scale;
    } attention;
} em__thin;

/* The product of the call; false where it is not a thin one. Looks at no pointer. */
bool em__cuda_thin_read(const em__cuda *cuda, const em__call *call, em__thin *thin);

/* Whether the kernel can take x as thin->from says. */
bool em__cuda_thin_takes(const em__thin *thin);
em_status em__cuda_thin(em__cuda *cuda, const em__thin *thin);

/* A FUSED_LINEAR alone, for linear.cu: true, with the plan filled, where it is a thin one. */
bool em__cuda_prepare_thin(em__cuda *cuda, const em__call *call, em__plan *plan);

#ifdef __cplusplus
}
#endif
#endif
