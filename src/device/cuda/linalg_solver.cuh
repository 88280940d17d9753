/*
 * One matrix after the other through cuSOLVER and cuBLAS: what linalg.cu lays out and linalg_solver.cu runs.
 */
#ifndef EM_DEVICE_CUDA_LINALG_SOLVER_CUH
#define EM_DEVICE_CUDA_LINALG_SOLVER_CUH

#include "device/cuda/linalg_move.cuh"

extern "C" {
#include "ops/linalg.h"
}

/* The libraries' handles of a device. */
struct em_solver;

/* A call with its memory. Arrays hold all matrices of the batch; `work` is one routine's. */
struct em_linalg_job {
    em__cuda_linalg call;
    const em_solver *solver;
    bool turned; /* an SVD of fewer rows than columns: that of its adjoint */
    bool wide, complex;
    int64_t m, n, k, columns;       /* of operand 0 as it is worked on, the lesser of them; columns of operand 1 */
    int64_t q;                      /* columns of Q, of U */
    char *a, *b, *values, *vectors; /* operands; real values; Q, or U and then V^H */
    int64_t *pivots, *rows;
    char *tau, *work;
    int *bad, *info, *spare; /* of each matrix: not finite; what the routine said */
    size_t work_bytes, host_bytes;
};

/* Opened at first use under the device's lock; NULL where there is none. */
const em_solver *em_solver_of(const em__cuda *cuda);

/* What the routine takes, on the device and on the host, into the job; false where the library can't say. */
bool em_solver_measure(em_linalg_job *job);

/* The routine on matrix `index` of the batch; `host` as large as was measured. 0 when the library took it. */
int em_solver_run(em__cuda *cuda, const em_linalg_job *job, int64_t index, void *host);

static inline size_t em_linalg_element(const em_linalg_job *j)
{
    return em_dtype_size(j->call.work);
}

/* V^H of all matrices. */
static inline char *em_linalg_adjoint(const em_linalg_job *j)
{
    return j->vectors + ((size_t)(j->call.batch * j->m * j->q) * em_linalg_element(j) + 255) / 256 * 256;
}

#endif
