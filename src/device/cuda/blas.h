/*
 * Matrix products by cuBLASLt. Algorithms are chosen by its heuristic from the shape alone, once, and kept: the same
 * product always runs the same kernel. Sums of half types stay f32 until the end, f32 is never rounded to TF32.
 */
#ifndef EM_DEVICE_CUDA_BLAS_H
#define EM_DEVICE_CUDA_BLAS_H

#include "device/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One operand of a product, [batch][rows][depth]: depth is what is summed over. One of the two steps is 1; the other,
 * `ld`, is no less than the extent that it steps over. */
typedef struct em__matrix {
    int64_t ld, batch_step;
    int64_t across; /* 1: rows lie side by side, depth steps by ld; 0: the other way round */
} em__matrix;

/* d[i] = a[i] b[i]^T + c[i] + bias: d and c row-major [m, n] with rows ldd apart, the bias a row. All fields are int64
 * and none is padding: the struct is the key under which the algorithm is kept. */
typedef struct em__gemm {
    int64_t from, to; /* em_dtype of a and b; of c, d and bias */
    int64_t m, n, k, batch;
    em__matrix a, b;
    int64_t ldd, batch_step_d;
    int64_t add;  /* 1: c is there, laid out as d is, and may be d */
    int64_t bias; /* 1: it is there */
} em__gemm;

/* Whether cuBLASLt is there and has an algorithm: to be asked when a call is prepared. With k of 0 the product is
 * zeros, and only a plain one is taken. */
bool em__cuda_gemm_takes(em__cuda *cuda, const em__gemm *gemm);

/* Has a thread open cuBLASLt, which takes 0.1 s, while the device starts; under the lock of em_device_find. */
void em__cuda_blas_ahead(void);

em_status em__cuda_gemm(em__cuda *cuda, const em__gemm *gemm, const void *a, const void *b, const void *bias,
                        const void *c, void *d);

#ifdef __cplusplus
}
#endif
#endif
