/* The frame of linear algebra: decoding, sizes, slots, what no routine sees. Elements move in linalg_move.c. */
#include "device/linalg.h"

#include <stdint.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/linalg_move.h"
#include "ops/linalg.h"

#define ALIGN ((size_t)64)
#define MOST_SLOTS 16
#define SLOTS_BYTES ((size_t)64 << 20) /* more slots than one only below this */
#define MOST_SPECTRAL 20000            /* rows or columns, the fewer: LAPACK's workspaces must count in 32 bits */

void *em__workspace_take(em__workspace *workspace, int64_t count, size_t size)
{
    size_t at = workspace->used;
    workspace->used = (at + (size_t)(count > 0 ? count : 1) * size + ALIGN - 1) / ALIGN * ALIGN;
    return workspace->base ? workspace->base + at : NULL;
}

/* The matrix in the last `axes` axes: a scalar is 1 x 1, a vector a column. */
static em__matrix matrix_of(const em__tensor *tensor, int axes, em_dtype dtype)
{
    int rank = tensor->spec.rank;
    int64_t rows = axes == 0 ? 1 : tensor->spec.dims[axes == 1 ? rank - 1 : rank - 2];
    return (em__matrix){.dtype = dtype, .rows = rows, .columns = axes == 2 ? tensor->spec.dims[rank - 1] : 1};
}

static int axes_of_result(em__op op, int part)
{
    bool values = (op == EM__OP_EIGH || op == EM__OP_SVD) && part == 0;
    return op == EM__OP_DETERMINANT ? 0 : values ? 1 : 2;
}

static em_status results(const em__call *call, em_dtype work, em__linalg *job)
{
    job->n_out = 1;
    job->out[0] = call->out;
    if (call->op == EM__OP_LU || call->op == EM__OP_SVD)
        job->n_out = call->op == EM__OP_SVD && call->ints[0] == EM__SVD_VALUES ? 1 : 3;
    if (call->op == EM__OP_QR || call->op == EM__OP_EIGH)
        job->n_out = call->op == EM__OP_EIGH && !call->ints[0] ? 1 : 2;
    bool parts = call->op == EM__OP_LU || call->op == EM__OP_QR || call->op == EM__OP_EIGH || call->op == EM__OP_SVD;
    if (parts)
        EM__TRY(em__call_parts(call, job->out, job->n_out));
    else
        em__tensor_contiguous(&job->out[0]);
    for (int i = 0; i < job->n_out; i++) {
        int axes = axes_of_result(job->op, i);
        job->out_matrix[i] = matrix_of(&job->out[i], axes, axes == 1 ? em__real_dtype(work) : work);
    }
    return EM_OK;
}

/* x op(a) = b is op(a)^T x^T = b^T; where op(a)^T would be conj(a), the adjoints are taken: a x^H = b^H. */
static void triangular(em__linalg *job, int64_t flags)
{
    job->half = flags & EM_TRIANGLE_UPPER ? EM__UPPER : EM__LOWER;
    job->unit = (flags & EM_TRIANGLE_UNIT) != 0;
    job->swap = (flags & EM_TRIANGLE_RIGHT) != 0;
    job->conjugate = job->swap && (flags & EM_TRIANGLE_ADJOINT);
    bool turned = flags & (EM_TRIANGLE_TRANSPOSE | EM_TRIANGLE_ADJOINT);
    if (job->swap)
        job->transform = turned ? 'N' : 'T';
    else
        job->transform = flags & EM_TRIANGLE_ADJOINT ? 'C' : turned ? 'T' : 'N';
}

static em_status check_size(const em__linalg *job, const em__matrix *m)
{
    int64_t less = m->rows < m->columns ? m->rows : m->columns, size;
    bool large = m->rows > INT32_MAX || m->columns > INT32_MAX || em__mul_overflows(m->rows, m->columns, &size) ||
                 size > INT32_MAX ||
                 ((job->op == EM__OP_EIGH || job->op == EM__OP_SVD) && m == job->in_matrix && less > MOST_SPECTRAL);
    EM__FAIL_IF(large, EM_ERROR_UNSUPPORTED, "%s: a matrix of %lld x %lld is too large", em__op_get(job->op)->name,
                (long long)m->rows, (long long)m->columns);
    return EM_OK;
}

static void swap_sides(em__matrix *m)
{
    int64_t rows = m->rows;
    m->rows = m->columns;
    m->columns = rows;
}

/* Lays a slot out and asks the routine what it takes. */
static em_status measure(em__linalg *job)
{
    em__workspace slot = {0}, own = {0};
    for (int i = 0; i < job->n_in; i++)
        em__workspace_take(&slot, job->in_matrix[i].rows * job->in_matrix[i].columns,
                           em_dtype_size(job->in_matrix[i].dtype));
    for (int i = 0; i < job->n_out; i++)
        em__workspace_take(&slot, job->out_matrix[i].rows * job->out_matrix[i].columns,
                           em_dtype_size(job->out_matrix[i].dtype));
    job->work_at = slot.used;
    bool empty = job->in_matrix[0].rows == 0 || job->in_matrix[0].columns == 0;
    EM__FAIL_IF(!empty && job->routine(job, job->in_matrix, job->out_matrix, &own) != 0, EM_ERROR_UNSUPPORTED,
                "%s: LAPACK cannot count the memory for a matrix of %lld x %lld", em__op_get(job->op)->name,
                (long long)job->in_matrix[0].rows, (long long)job->in_matrix[0].columns);
    job->slot_bytes = slot.used + own.used;
    int64_t slots = (int64_t)(SLOTS_BYTES / job->slot_bytes);
    slots = slots > MOST_SLOTS ? MOST_SLOTS : slots;
    slots = slots > job->batch ? job->batch : slots;
    job->slots = slots > 0 ? slots : 1;
    return EM_OK;
}

em_status em__linalg_open(const em__call *call, em_dtype work, em__linalg_fn routine, em__linalg *job)
{
    *job = (em__linalg){.op = call->op, .routine = routine, .ints = call->ints, .n_in = call->n_in, .batch = 1};
    for (int i = 0; i < call->n_in; i++) {
        job->in[i] = call->in[i];
        job->in_matrix[i] = matrix_of(&call->in[i], 2, work);
    }
    EM__TRY(results(call, work, job));
    for (int i = 0; i < job->in[0].spec.rank - 2; i++)
        job->batch *= job->in[0].spec.dims[i];
    atomic_init(&job->failed, job->batch);
    if (call->op == EM__OP_EIGH)
        job->half = EM__LOWER;
    if (call->op == EM__OP_CHOLESKY)
        job->half = call->ints[0] ? EM__UPPER : EM__LOWER;
    if (call->op == EM__OP_TRIANGULAR_SOLVE)
        triangular(job, call->ints[0]);
    if (job->swap) {
        swap_sides(&job->in_matrix[1]);
        swap_sides(&job->out_matrix[0]);
    }
    for (int i = 0; i < job->n_in; i++)
        EM__TRY(check_size(job, &job->in_matrix[i]));
    for (int i = 0; i < job->n_out; i++)
        EM__TRY(check_size(job, &job->out_matrix[i]));
    return measure(job);
}

size_t em__linalg_scratch(const em__linalg *job)
{
    return job->slot_bytes * (size_t)job->slots;
}

/* The lowest index wins, whoever comes first. */
static void note_failure(em__linalg *job, int64_t index)
{
    int_fast64_t lowest = atomic_load(&job->failed);
    while (index < lowest && !atomic_compare_exchange_weak(&job->failed, &lowest, index)) {
    }
}

static void run_matrix(em__linalg *job, char *slot, int64_t index)
{
    em__matrix in[2], out[3];
    em__workspace memory = {.base = slot}, own = {.base = slot + job->work_at};
    em__move move = {.half = EM__WHOLE};
    bool finite = true;
    for (int i = 0; i < job->n_in; i++) {
        in[i] = job->in_matrix[i];
        in[i].data = em__workspace_take(&memory, in[i].rows * in[i].columns, em_dtype_size(in[i].dtype));
        move = i == 0 ? (em__move){.half = job->half, .unit = job->unit}
                      : (em__move){.swap = job->swap, .conjugate = job->conjugate};
        em__matrix_load(&job->in[i], index, move, &in[i]);
        if (i == 0)
            finite = em__matrix_is_finite(&in[0]);
    }
    for (int i = 0; i < job->n_out; i++) {
        out[i] = job->out_matrix[i];
        out[i].data = em__workspace_take(&memory, out[i].rows * out[i].columns, em_dtype_size(out[i].dtype));
    }
    if (in[0].rows == 0 || in[0].columns == 0) {
        for (int i = 0; i < job->n_out; i++)
            em__matrix_fill(&out[i], 0, 1);
    } else if (!finite) {
        for (int i = 0; i < job->n_out; i++)
            em__matrix_fill(&out[i], __builtin_nan(""), __builtin_nan(""));
    } else if (job->routine(job, in, out, &own) != 0) {
        note_failure(job, index);
        return;
    }
    for (int i = 0; i < job->n_out; i++)
        em__matrix_store(&out[i], axes_of_result(job->op, i), index,
                         (em__move){.swap = job->swap, .conjugate = job->conjugate}, &job->out[i]);
}

void em__linalg_slot(em__linalg *job, void *scratch, int64_t slot)
{
    for (int64_t i = slot; i < job->batch; i += job->slots)
        run_matrix(job, (char *)scratch + (size_t)slot * job->slot_bytes, i);
}

em_status em__linalg_close(em__linalg *job)
{
    int64_t index = (int64_t)atomic_load(&job->failed);
    if (index >= job->batch)
        return EM_OK;
    const char *why = "is singular";
    if (job->op == EM__OP_CHOLESKY)
        why = "is not positive definite";
    if (job->op == EM__OP_EIGH || job->op == EM__OP_SVD)
        why = "did not converge";
    return em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: matrix %lld of %lld %s", em__op_get(job->op)->name,
                    (long long)index, (long long)job->batch, why);
}
