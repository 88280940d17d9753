/* See linalg_solver.cuh. */
#include "device/cuda/linalg_solver.cuh"

#include <cublas_v2.h>
#include <cusolverDn.h>

#include "device/cuda/library.h"

enum { MOST_DEVICES = 16 };

static struct {
    decltype(&cusolverDnCreate) create;
    decltype(&cusolverDnCreateParams) create_params;
    decltype(&cusolverDnSetStream) stream;
    decltype(&cusolverDnXgetrf_bufferSize) getrf_size;
    decltype(&cusolverDnXgetrf) getrf;
    decltype(&cusolverDnXgetrs) getrs;
    decltype(&cusolverDnXpotrf_bufferSize) potrf_size;
    decltype(&cusolverDnXpotrf) potrf;
    decltype(&cusolverDnXgeqrf_bufferSize) geqrf_size;
    decltype(&cusolverDnXgeqrf) geqrf;
    decltype(&cusolverDnXsyevd_bufferSize) syevd_size;
    decltype(&cusolverDnXsyevd) syevd;
    decltype(&cusolverDnXgesvd_bufferSize) gesvd_size;
    decltype(&cusolverDnXgesvd) gesvd;
    decltype(&cusolverDnSorgqr_bufferSize) sorgqr_size;
    decltype(&cusolverDnDorgqr_bufferSize) dorgqr_size;
    decltype(&cusolverDnCungqr_bufferSize) cungqr_size;
    decltype(&cusolverDnZungqr_bufferSize) zungqr_size;
    decltype(&cusolverDnSorgqr) sorgqr;
    decltype(&cusolverDnDorgqr) dorgqr;
    decltype(&cusolverDnCungqr) cungqr;
    decltype(&cusolverDnZungqr) zungqr;
} solver;

static struct {
    decltype(&cublasCreate_v2) create;
    decltype(&cublasSetStream_v2) stream;
    decltype(&cublasStrsm_v2) strsm;
    decltype(&cublasDtrsm_v2) dtrsm;
    decltype(&cublasCtrsm_v2) ctrsm;
    decltype(&cublasZtrsm_v2) ztrsm;
} blas;

struct em_solver {
    cusolverDnHandle_t dense;
    cusolverDnParams_t params;
    cublasHandle_t blas;
};

static bool open_libraries()
{
    static const em__cuda_symbol of_solver[] = {
        {"cusolverDnCreate", (void **)&solver.create},
        {"cusolverDnCreateParams", (void **)&solver.create_params},
        {"cusolverDnSetStream", (void **)&solver.stream},
        {"cusolverDnXgetrf_bufferSize", (void **)&solver.getrf_size},
        {"cusolverDnXgetrf", (void **)&solver.getrf},
        {"cusolverDnXgetrs", (void **)&solver.getrs},
        {"cusolverDnXpotrf_bufferSize", (void **)&solver.potrf_size},
        {"cusolverDnXpotrf", (void **)&solver.potrf},
        {"cusolverDnXgeqrf_bufferSize", (void **)&solver.geqrf_size},
        {"cusolverDnXgeqrf", (void **)&solver.geqrf},
        {"cusolverDnXsyevd_bufferSize", (void **)&solver.syevd_size},
        {"cusolverDnXsyevd", (void **)&solver.syevd},
        {"cusolverDnXgesvd_bufferSize", (void **)&solver.gesvd_size},
        {"cusolverDnXgesvd", (void **)&solver.gesvd},
        {"cusolverDnSorgqr_bufferSize", (void **)&solver.sorgqr_size},
        {"cusolverDnDorgqr_bufferSize", (void **)&solver.dorgqr_size},
        {"cusolverDnCungqr_bufferSize", (void **)&solver.cungqr_size},
        {"cusolverDnZungqr_bufferSize", (void **)&solver.zungqr_size},
        {"cusolverDnSorgqr", (void **)&solver.sorgqr},
        {"cusolverDnDorgqr", (void **)&solver.dorgqr},
        {"cusolverDnCungqr", (void **)&solver.cungqr},
        {"cusolverDnZungqr", (void **)&solver.zungqr},
    };
    static const em__cuda_symbol of_blas[] = {
        {"cublasCreate_v2", (void **)&blas.create}, {"cublasSetStream_v2", (void **)&blas.stream},
        {"cublasStrsm_v2", (void **)&blas.strsm},   {"cublasDtrsm_v2", (void **)&blas.dtrsm},
        {"cublasCtrsm_v2", (void **)&blas.ctrsm},   {"cublasZtrsm_v2", (void **)&blas.ztrsm},
    };
    static int there = -1;
    if (there < 0)
        there = em__cuda_library("libcublas.so.13", of_blas, sizeof of_blas / sizeof of_blas[0]) &&
                em__cuda_library("libcusolver.so.12", of_solver, sizeof of_solver / sizeof of_solver[0]);
    return there;
}

const em_solver *em_solver_of(const em__cuda *cuda)
{
    static em_solver all[MOST_DEVICES];
    em_solver *h = &all[cuda->ordinal];
    if (!open_libraries())
        return NULL;
    if (!h->dense && (solver.create(&h->dense) != CUSOLVER_STATUS_SUCCESS ||
                      solver.create_params(&h->params) != CUSOLVER_STATUS_SUCCESS ||
                      solver.stream(h->dense, cuda->stream) != CUSOLVER_STATUS_SUCCESS)) {
        h->dense = NULL;
        return NULL;
    }
    if (!h->blas && (blas.create(&h->blas) != CUBLAS_STATUS_SUCCESS ||
                     blas.stream(h->blas, cuda->stream) != CUBLAS_STATUS_SUCCESS)) {
        h->blas = NULL;
        return NULL;
    }
    return h;
}

static cudaDataType type_of(const em_linalg_job *j)
{
    return j->complex ? (j->wide ? CUDA_C_64F : CUDA_C_32F) : j->wide ? CUDA_R_64F : CUDA_R_32F;
}

static cudaDataType real_type_of(const em_linalg_job *j)
{
    return j->wide ? CUDA_R_64F : CUDA_R_32F;
}

static cublasFillMode_t half_of(const em_linalg_job *j)
{
    return j->call.half == EM__CUDA_UPPER ? CUBLAS_FILL_MODE_UPPER : CUBLAS_FILL_MODE_LOWER;
}

static int orgqr_size(const em_linalg_job *j, int *length)
{
    int m = (int)j->m, q = (int)j->q, k = (int)j->k;
    if (!j->complex)
        return j->wide ? solver.dorgqr_size(j->solver->dense, m, q, k, NULL, m, NULL, length)
                       : solver.sorgqr_size(j->solver->dense, m, q, k, NULL, m, NULL, length);
    return j->wide ? solver.zungqr_size(j->solver->dense, m, q, k, NULL, m, NULL, length)
                   : solver.cungqr_size(j->solver->dense, m, q, k, NULL, m, NULL, length);
}

static int orgqr(const em_linalg_job *j, void *q_matrix, int *info)
{
    int m = (int)j->m, q = (int)j->q, k = (int)j->k, length = (int)(j->work_bytes / em_linalg_element(j));
    if (!j->complex)
        return j->wide ? solver.dorgqr(j->solver->dense, m, q, k, (double *)q_matrix, m, (double *)j->tau,
                                       (double *)j->work, length, info)
                       : solver.sorgqr(j->solver->dense, m, q, k, (float *)q_matrix, m, (float *)j->tau,
                                       (float *)j->work, length, info);
    return j->wide ? solver.zungqr(j->solver->dense, m, q, k, (cuDoubleComplex *)q_matrix, m, (cuDoubleComplex *)j->tau,
                                   (cuDoubleComplex *)j->work, length, info)
                   : solver.cungqr(j->solver->dense, m, q, k, (cuComplex *)q_matrix, m, (cuComplex *)j->tau,
                                   (cuComplex *)j->work, length, info);
}

static signed char svd_mode(const em_linalg_job *j)
{
    return j->call.mode == EM__SVD_VALUES ? 'N' : j->call.mode == EM__SVD_FULL ? 'A' : 'S';
}

static cusolverEigMode_t eigh_mode(const em_linalg_job *j)
{
    return j->call.n_out > 1 ? CUSOLVER_EIG_MODE_VECTOR : CUSOLVER_EIG_MODE_NOVECTOR;
}

bool em_solver_measure(em_linalg_job *j)
{
    cusolverDnHandle_t h = j->solver->dense;
    cudaDataType type = type_of(j), real = real_type_of(j);
    int64_t m = j->m, n = j->n;
    size_t *on_device = &j->work_bytes, *on_host = &j->host_bytes;
    signed char mode = svd_mode(j);
    int length = 0, status = 0;
    switch (j->call.op) {
    case EM__OP_TRIANGULAR_SOLVE: break;
    case EM__OP_CHOLESKY:
        status = solver.potrf_size(h, j->solver->params, half_of(j), n, type, NULL, n, type, on_device, on_host);
        break;
    case EM__OP_QR:
        status = solver.geqrf_size(h, j->solver->params, m, n, type, NULL, m, type, NULL, type, on_device, on_host);
        status |= orgqr_size(j, &length);
        if ((size_t)length * em_linalg_element(j) > j->work_bytes)
            j->work_bytes = (size_t)length * em_linalg_element(j);
        break;
    case EM__OP_EIGH:
        status = solver.syevd_size(h, j->solver->params, eigh_mode(j), CUBLAS_FILL_MODE_LOWER, n, type, NULL, n, real,
                                   NULL, type, on_device, on_host);
        break;
    case EM__OP_SVD:
        status = solver.gesvd_size(h, j->solver->params, mode, mode, m, n, type, NULL, m, real, NULL, type, NULL, m,
                                   type, NULL, n, type, on_device, on_host);
        break;
    default: status = solver.getrf_size(h, j->solver->params, m, n, type, NULL, m, type, on_device, on_host); break;
    }
    return status == 0;
}

static int trsm(const em_linalg_job *j, void *a, void *b)
{
    cublasFillMode_t half = half_of(j);
    cublasOperation_t turn = j->call.transform == 'C'   ? CUBLAS_OP_C
                             : j->call.transform == 'T' ? CUBLAS_OP_T
                                                        : CUBLAS_OP_N;
    cublasDiagType_t unit = j->call.unit ? CUBLAS_DIAG_UNIT : CUBLAS_DIAG_NON_UNIT;
    int n = (int)j->n, columns = (int)j->columns;
    const float one = 1;
    const double wide_one = 1;
    const cuComplex complex_one = {1, 0};
    const cuDoubleComplex wide_complex_one = {1, 0};
    cublasSideMode_t left = CUBLAS_SIDE_LEFT;
    if (j->complex && j->wide)
        return blas.ztrsm(j->solver->blas, left, half, turn, unit, n, columns, &wide_complex_one, (cuDoubleComplex *)a,
                          n, (cuDoubleComplex *)b, n);
    if (j->complex)
        return blas.ctrsm(j->solver->blas, left, half, turn, unit, n, columns, &complex_one, (cuComplex *)a, n,
                          (cuComplex *)b, n);
    if (j->wide)
        return blas.dtrsm(j->solver->blas, left, half, turn, unit, n, columns, &wide_one, (double *)a, n, (double *)b,
                          n);
    return blas.strsm(j->solver->blas, left, half, turn, unit, n, columns, &one, (float *)a, n, (float *)b, n);
}

static int factor(const em_linalg_job *j, void *a, int64_t index, void *host)
{
    return solver.getrf(j->solver->dense, j->solver->params, j->m, j->n, type_of(j), a, j->m, j->pivots + index * j->k,
                        type_of(j), j->work, j->work_bytes, host, j->host_bytes, j->info + index);
}

static int qr(em__cuda *cuda, const em_linalg_job *j, char *a, int64_t index, void *host)
{
    size_t element = em_linalg_element(j);
    char *q = j->vectors + (size_t)(index * j->m * j->q) * element;
    int status = solver.geqrf(j->solver->dense, j->solver->params, j->m, j->n, type_of(j), a, j->m, type_of(j), j->tau,
                              type_of(j), j->work, j->work_bytes, host, j->host_bytes, j->info + index);
    int64_t reflectors = j->q < j->n ? j->q : j->n;
    status |= em__cuda_memory.copy(&cuda->device, q, a, (size_t)(j->m * reflectors) * element);
    return status | orgqr(j, q, j->info + index);
}

int em_solver_run(em__cuda *cuda, const em_linalg_job *j, int64_t index, void *host)
{
    size_t element = em_linalg_element(j), real = element / (j->complex ? 2 : 1);
    cusolverDnHandle_t h = j->solver->dense;
    cudaDataType type = type_of(j), real_type = real_type_of(j);
    int64_t m = j->m, n = j->n;
    char *a = j->a + (size_t)(index * m * n) * element, *b = j->b + (size_t)(index * m * j->columns) * element;
    char *values = j->values + (size_t)(index * j->k) * real, *u = j->vectors + (size_t)(index * m * j->q) * element;
    char *v = em_linalg_adjoint(j) + (size_t)(index * n * n) * element;
    int *info = j->info + index, status;
    signed char mode = svd_mode(j);
    switch (j->call.op) {
    case EM__OP_TRIANGULAR_SOLVE: return trsm(j, a, b);
    case EM__OP_QR: return qr(cuda, j, a, index, host);
    case EM__OP_CHOLESKY:
        return solver.potrf(h, j->solver->params, half_of(j), n, type, a, n, type, j->work, j->work_bytes, host,
                            j->host_bytes, info);
    case EM__OP_EIGH:
        return solver.syevd(h, j->solver->params, eigh_mode(j), CUBLAS_FILL_MODE_LOWER, n, type, a, n, real_type,
                            values, type, j->work, j->work_bytes, host, j->host_bytes, info);
    case EM__OP_SVD:
        return solver.gesvd(h, j->solver->params, mode, mode, m, n, type, a, m, real_type, values, type, u, m, type, v,
                            n, type, j->work, j->work_bytes, host, j->host_bytes, info);
    case EM__OP_SOLVE:
        status = factor(j, a, index, host);
        return status | solver.getrs(h, j->solver->params, CUBLAS_OP_N, n, j->columns, type, a, n,
                                     j->pivots + index * j->k, type, b, n, j->spare + index);
    default: return factor(j, a, index, host);
    }
}
