/* See linalg_job.h: decoding is the frame's (device/linalg.c), which no C++ can include. */
#include "device/cuda/linalg_job.h"

#include "core/error.h"
#include "device/linalg.h"

static int measure_nothing(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    (void)job;
    (void)in;
    (void)out;
    (void)workspace;
    return 0;
}

/* A determinant is taken wider: the product of n pivots would lose n roundings, and overflows early. */
static em_dtype work_dtype(const em__call *call)
{
    em_dtype dtype = call->in[0].spec.dtype;
    if (call->op != EM__OP_DETERMINANT)
        return dtype;
    return dtype == EM_F32 ? EM_F64 : dtype == EM_C64 ? EM_C128 : dtype;
}

static em__cuda_matrix matrix_of(const em__tensor *tensor, const em__matrix *matrix, int axes)
{
    return (em__cuda_matrix){
        .tensor = *tensor, .work = matrix->dtype, .rows = matrix->rows, .columns = matrix->columns, .axes = axes};
}

em_status em__cuda_linalg_open(const em__call *call, em__cuda_linalg *job)
{
    em__linalg frame;
    EM__TRY(em__linalg_open(call, work_dtype(call), measure_nothing, &frame));
    *job = (em__cuda_linalg){.op = call->op, .work = work_dtype(call), .batch = frame.batch};
    job->mode = call->n_ints > 0 ? call->ints[0] : 0;
    job->n_in = frame.n_in;
    job->n_out = frame.n_out;
    for (int i = 0; i < frame.n_in; i++)
        job->in[i] = matrix_of(&frame.in[i], &frame.in_matrix[i], 2);
    for (int i = 0; i < frame.n_out; i++) {
        bool values = (call->op == EM__OP_EIGH || call->op == EM__OP_SVD) && i == 0;
        int axes = call->op == EM__OP_DETERMINANT ? 0 : values ? 1 : 2;
        job->out[i] = matrix_of(&frame.out[i], &frame.out_matrix[i], axes);
    }
    job->half = frame.half == EM__LOWER ? EM__CUDA_LOWER : frame.half == EM__UPPER ? EM__CUDA_UPPER : EM__CUDA_WHOLE;
    job->transform = frame.transform;
    job->unit = frame.unit;
    job->swap = frame.swap;
    job->conjugate = frame.conjugate;
    return EM_OK;
}

em_status em__cuda_linalg_fail(em__op op, int64_t index, int64_t batch)
{
    em__linalg frame = {.op = op, .batch = batch};
    atomic_init(&frame.failed, index);
    return em__linalg_close(&frame);
}
