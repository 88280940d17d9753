/* What the plugin calls of cuSOLVER: see cublas_v2.h here. */
#ifndef EM_DEVICE_CUDA_DECLARED_CUSOLVERDN_H
#define EM_DEVICE_CUDA_DECLARED_CUSOLVERDN_H

#include <stddef.h>
#include <stdint.h>

#include "device/cuda/declared/cublas_v2.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cusolverDnContext *cusolverDnHandle_t;
typedef struct cusolverDnParams *cusolverDnParams_t;
typedef enum { CUSOLVER_STATUS_SUCCESS = 0, CUSOLVER_STATUS_INTERNAL_ERROR = 7 } cusolverStatus_t;
typedef enum { CUSOLVER_EIG_MODE_NOVECTOR, CUSOLVER_EIG_MODE_VECTOR } cusolverEigMode_t;

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *handle);
cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t *params);
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle, cudaStream_t stream);

cusolverStatus_t cusolverDnXgetrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params, int64_t m, int64_t n,
                                             cudaDataType type, const void *a, int64_t lda, cudaDataType compute,
                                             size_t *device_bytes, size_t *host_bytes);
cusolverStatus_t cusolverDnXgetrf(cusolverDnHandle_t handle, cusolverDnParams_t params, int64_t m, int64_t n,
                                  cudaDataType type, void *a, int64_t lda, int64_t *pivots, cudaDataType compute,
                                  void *device_buffer, size_t device_bytes, void *host_buffer, size_t host_bytes,
                                  int *info);
cusolverStatus_t cusolverDnXgetrs(cusolverDnHandle_t handle, cusolverDnParams_t params, cublasOperation_t trans,
                                  int64_t n, int64_t columns, cudaDataType a_type, const void *a, int64_t lda,
                                  const int64_t *pivots, cudaDataType b_type, void *b, int64_t ldb, int *info);
cusolverStatus_t cusolverDnXpotrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cublasFillMode_t fill, int64_t n, cudaDataType type, const void *a,
                                             int64_t lda, cudaDataType compute, size_t *device_bytes,
                                             size_t *host_bytes);
cusolverStatus_t cusolverDnXpotrf(cusolverDnHandle_t handle, cusolverDnParams_t params, cublasFillMode_t fill,
                                  int64_t n, cudaDataType type, void *a, int64_t lda, cudaDataType compute,
                                  void *device_buffer, size_t device_bytes, void *host_buffer, size_t host_bytes,
                                  int *info);
cusolverStatus_t cusolverDnXgeqrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params, int64_t m, int64_t n,
                                             cudaDataType type, const void *a, int64_t lda, cudaDataType tau_type,
                                             const void *tau, cudaDataType compute, size_t *device_bytes,
                                             size_t *host_bytes);
cusolverStatus_t cusolverDnXgeqrf(cusolverDnHandle_t handle, cusolverDnParams_t params, int64_t m, int64_t n,
                                  cudaDataType type, void *a, int64_t lda, cudaDataType tau_type, void *tau,
                                  cudaDataType compute, void *device_buffer, size_t device_bytes, void *host_buffer,
                                  size_t host_bytes, int *info);
cusolverStatus_t cusolverDnXsyevd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params,
                                             cusolverEigMode_t mode, cublasFillMode_t fill, int64_t n,
                                             cudaDataType type, const void *a, int64_t lda, cudaDataType w_type,
                                             const void *w, cudaDataType compute, size_t *device_bytes,
                                             size_t *host_bytes);
cusolverStatus_t cusolverDnXsyevd(cusolverDnHandle_t handle, cusolverDnParams_t params, cusolverEigMode_t mode,
                                  cublasFillMode_t fill, int64_t n, cudaDataType type, void *a, int64_t lda,
                                  cudaDataType w_type, void *w, cudaDataType compute, void *device_buffer,
                                  size_t device_bytes, void *host_buffer, size_t host_bytes, int *info);
cusolverStatus_t cusolverDnXgesvd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t params, signed char u_mode,
                                             signed char v_mode, int64_t m, int64_t n, cudaDataType type, const void *a,
                                             int64_t lda, cudaDataType s_type, const void *s, cudaDataType u_type,
                                             const void *u, int64_t ldu, cudaDataType v_type, const void *v,
                                             int64_t ldv, cudaDataType compute, size_t *device_bytes,
                                             size_t *host_bytes);
cusolverStatus_t cusolverDnXgesvd(cusolverDnHandle_t handle, cusolverDnParams_t params, signed char u_mode,
                                  signed char v_mode, int64_t m, int64_t n, cudaDataType type, void *a, int64_t lda,
                                  cudaDataType s_type, void *s, cudaDataType u_type, void *u, int64_t ldu,
                                  cudaDataType v_type, void *v, int64_t ldv, cudaDataType compute, void *device_buffer,
                                  size_t device_bytes, void *host_buffer, size_t host_bytes, int *info);

#define EM_ORGQR(NAME, T)                                                                                              \
    cusolverStatus_t NAME##_bufferSize(cusolverDnHandle_t handle, int m, int n, int k, const T *a, int lda,            \
                                       const T *tau, int *size);                                                       \
    cusolverStatus_t NAME(cusolverDnHandle_t handle, int m, int n, int k, T *a, int lda, const T *tau, T *work,        \
                          int size, int *info);
EM_ORGQR(cusolverDnSorgqr, float)
EM_ORGQR(cusolverDnDorgqr, double)
EM_ORGQR(cusolverDnCungqr, cuComplex)
EM_ORGQR(cusolverDnZungqr, cuDoubleComplex)
#undef EM_ORGQR

#ifdef __cplusplus
}
#endif
#endif
