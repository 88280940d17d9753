/*
 * What the plugin calls of cuBLAS, for a toolkit without its headers: names, types and values as NVIDIA documents them.
 * The library is opened at run time (library.h), so that declarations are all that building needs. Where the toolkit's
 * own header is found, that one is used (cmake/Cuda.cmake).
 */
#ifndef EM_DEVICE_CUDA_DECLARED_CUBLAS_H
#define EM_DEVICE_CUDA_DECLARED_CUBLAS_H

#include <cuComplex.h>
#include <driver_types.h>
#include <library_types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cublasContext *cublasHandle_t;
typedef enum { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_INTERNAL_ERROR = 14 } cublasStatus_t;
typedef enum { CUBLAS_OP_N, CUBLAS_OP_T, CUBLAS_OP_C } cublasOperation_t;
typedef enum { CUBLAS_FILL_MODE_LOWER, CUBLAS_FILL_MODE_UPPER } cublasFillMode_t;
typedef enum { CUBLAS_SIDE_LEFT, CUBLAS_SIDE_RIGHT } cublasSideMode_t;
typedef enum { CUBLAS_DIAG_NON_UNIT, CUBLAS_DIAG_UNIT } cublasDiagType_t;
typedef enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_64F = 70 } cublasComputeType_t;

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle);
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream);
#define EM_TRSM(NAME, T)                                                                                               \
    cublasStatus_t NAME(cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t trans,  \
                        cublasDiagType_t diagonal, int m, int n, const T *alpha, const T *a, int lda, T *b, int ldb);
EM_TRSM(cublasStrsm_v2, float)
EM_TRSM(cublasDtrsm_v2, double)
EM_TRSM(cublasCtrsm_v2, cuComplex)
EM_TRSM(cublasZtrsm_v2, cuDoubleComplex)
#undef EM_TRSM

#ifdef __cplusplus
}
#endif
#endif
