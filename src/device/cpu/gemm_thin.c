/*
 * Few rows of A against a B that lies as a Linear weight does, [n, k]: bound by the memory that B is read from, once.
 *
 * A task has a range of B's columns. It walks them in EM__THIN_COLUMNS stretches at once, far apart: each is one stream
 * through memory that the processor sees coming, and together they keep more lines under way than one would.
 */
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define MOST_ROWS 8
#define TASK_BYTES ((int64_t)512 << 10) /* of B */
#define TASKS 2                         /* of a thread at least */
#define COLUMNS EM__THIN_COLUMNS

typedef struct thin_job {
    const em__gemm_kernels *kernels;
    const em__gemm_args *args;
    int kind;
    const char *b;
    int64_t stride; /* bytes from a column of B to the next */
    int64_t each;   /* columns of a task */
} thin_job;

/* C's columns first, first + step... from as many of B. */
static void run_columns(const thin_job *job, int64_t first, int64_t step, int columns)
{
    const em__gemm_args *args = job->args;
    _Alignas(64) float c[MOST_ROWS * COLUMNS];
    em__gemm_thin thin = {.b = job->b + first * job->stride,
                          .stride = step * job->stride,
                          .columns = columns,
                          .lda = args->lda,
                          .k = args->k,
                          .c = c};
    for (int64_t row = 0; row < args->m; row += thin.rows) {
        thin.rows = (int)em__gemm_min(args->m - row, job->kernels->thin_rows);
        thin.a = args->a + row * args->lda;
        job->kernels->thin[job->kind](&thin);
        for (int r = 0; r < thin.rows; r++)
            for (int j = 0; j < columns; j++)
                args->c[(row + r) * args->ldc + first + j * step] = c[r * COLUMNS + j];
    }
}

static void finish_rows(const thin_job *job, int64_t from, int64_t columns)
{
    const em__gemm_args *args = job->args;
    for (int64_t row = 0; row < args->m; row++) {
        float *c = args->c + row * args->ldc + from;
        if (args->bias)
            job->kernels->add(c, args->bias + from, columns);
        if (args->activation)
            args->activation(c, c, (size_t)columns);
        if (args->residual)
            job->kernels->add(c, args->residual + row * args->ldr + from, columns);
    }
}

static void run_task(void *context, int64_t index, int worker)
{
    const thin_job *job = context;
    (void)worker;
    const int64_t from = index * job->each, columns = em__gemm_min(job->args->n - from, job->each);
    const int64_t step = columns / COLUMNS;
    for (int64_t i = 0; i < step; i++)
        run_columns(job, from + i, step, COLUMNS);
    if (columns % COLUMNS)
        run_columns(job, from + step * COLUMNS, 1, (int)(columns % COLUMNS));
    finish_rows(job, from, columns);
}

bool em__gemm_is_thin(const em__gemm_kernels *kernels, const em__gemm_args *args, int kind)
{
    return kernels->thin[kind] && args->m <= MOST_ROWS;
}

/* Columns of a task: enough bytes to be worth a task, and some tasks for each thread. */
static int64_t columns_of_task(const em__gemm_args *args, int64_t bytes, int64_t threads)
{
    const int64_t many = bytes * args->k > 0 ? TASK_BYTES / (bytes * args->k) : args->n;
    const int64_t few = em__gemm_ceil_div(args->n, TASKS * threads);
    return em__gemm_ceil_div(em__gemm_min(many, few), COLUMNS) * COLUMNS;
}

void em__gemm_thin_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args, int kind,
                       const void *b, int64_t row)
{
    const int64_t bytes = kind == EM__B_F32 ? (int64_t)sizeof(float) : (int64_t)sizeof(uint16_t);
    thin_job job = {kernels, args, kind, b, row * bytes, 0};
    job.each = columns_of_task(args, bytes, pool ? em__pool_size(pool) : 1);
    job.each = job.each < COLUMNS ? COLUMNS : job.each;
    const int64_t tasks = em__gemm_ceil_div(args->n, job.each);
    if (pool) {
        em__pool_run(pool, run_task, &job, tasks);
    } else {
        for (int64_t i = 0; i < tasks; i++)
            run_task(&job, i, 0);
    }
}
