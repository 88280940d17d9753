/*
 * LU, QR, CHOLESKY, EIGH, SVD, SOLVE, TRIANGULAR_SOLVE, DETERMINANT: matrices are brought into column-major scratch, go
 * one by one through cuSOLVER or cuBLAS (linalg_solver.cu), and come back as results. A call waits for its end: whether
 * a matrix has an answer is known only then.
 */
#include "device/cuda/linalg_solver.cuh"

#include <string.h>

extern "C" {
#include "core/alloc.h"
}

enum { THREADS = 256, SMALL = 64 };

static char *take(char *base, size_t *used, int64_t count, size_t size)
{
    char *at = base ? base + *used : NULL;
    *used += ((size_t)count * size + 255) / 256 * 256;
    return at;
}

static size_t lay_out(em_linalg_job *j, char *base)
{
    size_t used = 0, element = em_linalg_element(j), real = element / (j->complex ? 2 : 1);
    int64_t batch = j->call.batch;
    em__op op = j->call.op;
    bool pivots = op == EM__OP_LU || op == EM__OP_SOLVE || op == EM__OP_DETERMINANT;
    bool svd = op == EM__OP_SVD && j->call.n_out > 1, vectors = op == EM__OP_QR || op == EM__OP_LU || svd;
    j->bad = (int *)take(base, &used, 3 * batch, sizeof(int));
    j->info = j->bad + batch;
    j->spare = j->info + batch;
    j->a = take(base, &used, batch * j->m * j->n, element);
    j->b = take(base, &used, j->call.n_in > 1 ? batch * j->m * j->columns : 0, element);
    j->values = take(base, &used, batch * j->k, real);
    j->vectors = take(base, &used, vectors ? batch * j->m * j->q : 0, element);
    take(base, &used, svd ? batch * j->n * j->n : 0, element); /* V^H follows */
    j->pivots = (int64_t *)take(base, &used, pivots ? batch * j->k : 0, sizeof(int64_t));
    j->rows = (int64_t *)take(base, &used, op == EM__OP_LU ? batch * j->m : 0, sizeof(int64_t));
    j->tau = take(base, &used, op == EM__OP_QR ? j->k : op == EM__OP_DETERMINANT ? batch : 0, element);
    j->work = take(base, &used, (int64_t)j->work_bytes, 1);
    return used;
}

static bool open_job(em__cuda *cuda, const em__call *call, em_linalg_job *j)
{
    memset(j, 0, sizeof *j);
    if (em__cuda_linalg_open(call, &j->call) != EM_OK || !(j->solver = em_solver_of(cuda)))
        return false;
    const em__cuda_matrix *a = &j->call.in[0];
    j->wide = j->call.work == EM_F64 || j->call.work == EM_C128;
    j->complex = em_dtype_get_kind(j->call.work) == EM_KIND_COMPLEX;
    j->turned = j->call.op == EM__OP_SVD && a->rows < a->columns;
    j->m = j->turned ? a->columns : a->rows;
    j->n = j->turned ? a->rows : a->columns;
    j->k = j->m < j->n ? j->m : j->n;
    j->columns = j->call.n_in > 1 ? j->call.in[1].columns : 0;
    j->q = j->call.mode == EM__SVD_FULL ? j->m : j->k;
    if (j->call.op == EM__OP_QR || j->call.op == EM__OP_LU)
        j->q = j->call.out[0].columns;
    bool empty = j->k == 0 || j->call.batch == 0 || (j->call.n_in > 1 && j->columns == 0);
    bool small = j->m <= SMALL && j->n <= SMALL; /* the processor is faster, and as fast a matrix in any batch */
    return !empty && !small && em_solver_measure(j);
}

/* Rows as a chain of swaps leaves them, one matrix a thread: rows[i] is where row i came from. */
__global__ void rows_kernel(const int64_t *pivots, int64_t *rows, int64_t k, int64_t m, int64_t batch)
{
    em_grid_wait();
    int64_t matrix = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (matrix >= batch)
        return;
    rows += matrix * m;
    pivots += matrix * k;
    for (int64_t i = 0; i < m; i++)
        rows[i] = i;
    for (int64_t i = 0; i < k; i++) {
        int64_t other = pivots[i] - 1, row = rows[i];
        rows[i] = rows[other];
        rows[other] = row;
    }
}

/* P as a column-major matrix of the work's elements, R their real part, N to an element. */
template <typename R, int N> __global__ void permutation_kernel(const int64_t *rows, R *p, int64_t m, int64_t size)
{
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (index >= size)
        return;
    int64_t column = index / m, row = index - column * m;
    for (int i = 0; i < N; i++)
        p[index * N + i] = i == 0 && rows[column] == row; /* a = p l u */
}

/* The product of the pivots, one matrix a thread; 0 where one of them is. */
template <typename R, int N>
__global__ void determinant_kernel(const R *a, const int64_t *pivots, const int *info, R *out, int64_t n, int64_t batch)
{
    em_grid_wait();
    int64_t matrix = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (matrix >= batch)
        return;
    R re = 1, im = 0;
    for (int64_t i = 0; i < n; i++) {
        const R *x = a + ((matrix * n + i) * n + i) * N;
        R sign = pivots[matrix * n + i] != i + 1 ? -1 : 1, x_re = sign * x[0], x_im = N > 1 ? sign * x[N - 1] : 0;
        R next = re * x_re - im * x_im;
        im = re * x_im + im * x_re;
        re = next;
    }
    out[matrix * N] = info[matrix] > 0 ? 0 : re;
    if (N > 1)
        out[matrix * N + N - 1] = info[matrix] > 0 ? 0 : im;
}

/* info 1 where a diagonal has a 0. */
template <typename R, int N> __global__ void diagonal_kernel(const R *a, int *info, int64_t n, int64_t batch)
{
    em_grid_wait();
    int64_t matrix = blockIdx.x;
    for (int64_t i = threadIdx.x; i < n; i += THREADS) {
        const R *x = a + ((matrix * n + i) * n + i) * N;
        if (x[0] == 0 && x[N - 1] == 0)
            info[matrix] = 1;
    }
}

/* LAUNCH(R, N) for the reals and the number of them that make an element. */
#define BY_WORK(j, LAUNCH)                                                                                             \
    ((j)->complex ? ((j)->wide ? LAUNCH(double, 2) : LAUNCH(float, 2))                                                 \
     : (j)->wide  ? LAUNCH(double, 1)                                                                                  \
                  : LAUNCH(float, 1))

static em_status bring_in(em__cuda *cuda, const em_linalg_job *j)
{
    const em__cuda_linalg *call = &j->call;
    em__cuda_matrix a = call->in[0];
    em_turn turn = {EM_PART_WHOLE, call->unit, j->turned, j->turned};
    if (call->half != EM__CUDA_WHOLE)
        turn.part = call->half == EM__CUDA_UPPER ? EM_PART_UPPER : EM_PART_LOWER;
    a.rows = j->m;
    a.columns = j->n;
    size_t counters = 3 * (size_t)call->batch * sizeof(int);
    EM__TRY(em__cuda_check(cuda, cudaMemsetAsync(j->bad, 0, counters, cuda->stream), "matrices"));
    EM__TRY(em_matrices_in(cuda, a, call->batch, turn, j->a, j->bad));
    EM__TRY(em_matrices_mend(cuda, call->work, j->a, j->m, j->n, call->batch, j->bad));
    if (call->n_in < 2)
        return EM_OK;
    em_turn side = {EM_PART_WHOLE, false, call->swap, call->conjugate};
    return em_matrices_in(cuda, call->in[1], call->batch, side, j->b, NULL);
}

static em_status run_all(em__cuda *cuda, const em_linalg_job *j)
{
    void *host = em__alloc(j->host_bytes);
    int status = 0;
    if (!host)
        return EM_ERROR_OUT_OF_MEMORY;
    for (int64_t i = 0; i < j->call.batch && status == 0; i++)
        status = em_solver_run(cuda, j, i, host);
    em_status waited = em__cuda_memory.wait(&cuda->device); /* `host` is in use until then */
    em__free(host);
    EM__TRY(waited);
    EM__FAIL_IF(status != 0, EM_ERROR_INTERNAL, "%s: %s: cuSOLVER failed with %d", cuda->name,
                em__op_get(j->call.op)->name, status);
    return EM_OK;
}

/* Result i from memory of `lead` rows a column and `step` elements a matrix. */
static em_status give(em__cuda *cuda, const em_linalg_job *j, int i, em_part part, const void *from, int64_t lead,
                      int64_t step)
{
    em_turn turn = {part, false, j->call.swap, j->call.conjugate};
    return em_matrices_out(cuda, j->call.out[i], j->call.batch, turn, from, lead, step, j->bad);
}

static em_status give_lu(em__cuda *cuda, const em_linalg_job *j)
{
    int64_t batch = j->call.batch, size = batch * j->m * j->m;
    EM__TRY(em_launch(cuda, "lu", rows_kernel, em_blocks(batch, THREADS), THREADS, 0, j->pivots, j->rows, j->k, j->m,
                      batch));
#define PERMUTE(R, N)                                                                                                  \
    em_launch(cuda, "lu", permutation_kernel<R, N>, em_blocks(size, THREADS), THREADS, 0, j->rows, (R *)j->vectors,    \
              j->m, size)
    EM__TRY(BY_WORK(j, PERMUTE));
    EM__TRY(give(cuda, j, 0, EM_PART_WHOLE, j->vectors, j->m, j->m * j->m));
    EM__TRY(give(cuda, j, 1, EM_PART_UNIT_LOWER, j->a, j->m, j->m * j->n));
    return give(cuda, j, 2, EM_PART_UPPER, j->a, j->m, j->m * j->n);
}

/* U and V^H; of the adjoint's decomposition, V and U^H. */
static em_status give_svd(em__cuda *cuda, const em_linalg_job *j)
{
    EM__TRY(give(cuda, j, 0, EM_PART_WHOLE, j->values, j->k, j->k));
    if (j->call.n_out == 1)
        return EM_OK;
    if (!j->turned) {
        EM__TRY(give(cuda, j, 1, EM_PART_WHOLE, j->vectors, j->m, j->m * j->q));
        return give(cuda, j, 2, EM_PART_WHOLE, em_linalg_adjoint(j), j->n, j->n * j->n);
    }
    em_turn turn = {EM_PART_WHOLE, false, true, true};
    em__cuda_matrix u = j->call.out[1], v = j->call.out[2];
    u.rows = u.columns = j->n;
    v.rows = j->m;
    v.columns = j->q;
    EM__TRY(em_matrices_out(cuda, u, j->call.batch, turn, em_linalg_adjoint(j), j->n, j->n * j->n, j->bad));
    return em_matrices_out(cuda, v, j->call.batch, turn, j->vectors, j->m, j->m * j->q, j->bad);
}

static em_status give_determinant(em__cuda *cuda, const em_linalg_job *j)
{
    int64_t batch = j->call.batch;
#define MULTIPLY(R, N)                                                                                                 \
    em_launch(cuda, "determinant", determinant_kernel<R, N>, em_blocks(batch, THREADS), THREADS, 0, (const R *)j->a,   \
              j->pivots, j->info, (R *)j->tau, j->n, batch)
    EM__TRY(BY_WORK(j, MULTIPLY));
    return give(cuda, j, 0, EM_PART_WHOLE, j->tau, 1, 1);
}

static em_status give_results(em__cuda *cuda, const em_linalg_job *j)
{
    switch (j->call.op) {
    case EM__OP_LU: return give_lu(cuda, j);
    case EM__OP_SVD: return give_svd(cuda, j);
    case EM__OP_DETERMINANT: return give_determinant(cuda, j);
    case EM__OP_QR:
        EM__TRY(give(cuda, j, 0, EM_PART_WHOLE, j->vectors, j->m, j->m * j->q));
        return give(cuda, j, 1, EM_PART_UPPER, j->a, j->m, j->m * j->n);
    case EM__OP_EIGH:
        EM__TRY(give(cuda, j, 0, EM_PART_WHOLE, j->values, j->n, j->n));
        return j->call.n_out > 1 ? give(cuda, j, 1, EM_PART_WHOLE, j->a, j->n, j->n * j->n) : EM_OK;
    case EM__OP_CHOLESKY:
        return give(cuda, j, 0, j->call.half == EM__CUDA_UPPER ? EM_PART_UPPER : EM_PART_LOWER, j->a, j->n,
                    j->n * j->n);
    default: return give(cuda, j, 0, EM_PART_WHOLE, j->b, j->m, j->m * j->columns);
    }
}

/* The error of the first matrix that has no answer. A singular one has factors and a determinant all the same. */
static em_status ask_all(em__cuda *cuda, const em_linalg_job *j)
{
    int64_t batch = j->call.batch;
    if (j->call.op == EM__OP_LU || j->call.op == EM__OP_DETERMINANT || j->call.op == EM__OP_QR)
        return EM_OK;
    int *said = (int *)em__calloc((size_t)batch, 2 * sizeof *said);
    if (!said)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = em__cuda_memory.download(&cuda->device, said, j->bad, 2 * (size_t)batch * sizeof *said);
    for (int64_t i = 0; i < batch && status == EM_OK; i++)
        if (!said[i] && said[batch + i])
            status = em__cuda_linalg_fail(j->call.op, i, batch);
    em__free(said);
    return status;
}

static em_status run_linalg(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em_linalg_job j;
    EM__FAIL_IF(!open_job(cuda, call, &j), EM_ERROR_INTERNAL, "%s: %s: cuSOLVER can't be used", cuda->name,
                em__op_get(call->op)->name);
    lay_out(&j, (char *)call->scratch);
    EM__TRY(bring_in(cuda, &j));
    if (call->op == EM__OP_TRIANGULAR_SOLVE && !j.call.unit) {
#define LOOK(R, N)                                                                                                     \
    em_launch(cuda, "triangular_solve", diagonal_kernel<R, N>, (unsigned)j.call.batch, THREADS, 0, (const R *)j.a,     \
              j.info, j.n, j.call.batch)
        EM__TRY(BY_WORK(&j, LOOK));
    }
    EM__TRY(run_all(cuda, &j));
    EM__TRY(give_results(cuda, &j));
    return ask_all(cuda, &j);
}

extern "C" bool em__cuda_prepare_linalg(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    em_linalg_job j;
    switch (call->op) {
    case EM__OP_LU:
    case EM__OP_QR:
    case EM__OP_CHOLESKY:
    case EM__OP_EIGH:
    case EM__OP_SVD:
    case EM__OP_SOLVE:
    case EM__OP_TRIANGULAR_SOLVE:
    case EM__OP_DETERMINANT: break;
    default: return false;
    }
    if (!open_job(cuda, call, &j))
        return false;
    plan->kernel = run_linalg;
    plan->strided = 3;
    plan->host = true;
    plan->scratch = lay_out(&j, NULL);
    return true;
}
