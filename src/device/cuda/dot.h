/* Products of the dtypes that cuBLASLt has not: integers, which wrap around, predicates, f8 with sums in f32. */
#ifndef EM_DEVICE_CUDA_DOT_H
#define EM_DEVICE_CUDA_DOT_H

#include "device/cuda/blas.h"

#ifdef __cplusplus
extern "C" {
#endif

/* As em__cuda_gemm, without addend and epilogue; a, b and d are of one dtype. */
bool em__cuda_product_any_takes(const em__gemm *gemm);
em_status em__cuda_product_any(em__cuda *cuda, const em__gemm *gemm, const void *a, const void *b, void *d);

#ifdef __cplusplus
}
#endif
#endif
