/* The table of row kernels, filled level by level, and the drivers over the rows of a matrix. */
#include "device/cpu/rows.h"

#include <pthread.h>
#include <string.h>

static em__rows best;
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__rows_init(em__rows *kernels, em__cpu_level level)
{
    memset(kernels, 0, sizeof *kernels);
    em__rows_fill_portable(kernels);
    em__rows_fill_f64(kernels);
    kernels->level = EM__CPU_PORTABLE;
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX2) {
        em__rows_fill_avx2(kernels);
        kernels->level = EM__CPU_AVX2;
    }
    if (level >= EM__CPU_AVX512) {
        em__rows_fill_avx512(kernels);
        kernels->level = EM__CPU_AVX512;
    }
#else
    (void)level;
#endif
    kernels->chunk = 8192;
    kernels->serial = 12288;
}

static void init_best(void)
{
    em__rows_init(&best, em__cpu_get()->level);
}

const em__rows *em__rows_get(void)
{
    pthread_once(&best_once, init_best);
    return &best;
}

typedef struct job {
    em__softmax_fn softmax; /* or NULL: then norm */
    em__norm_fn norm;
    em__norm_args args;
    size_t size, chunk_rows;
} job;

static void run_row(const job *j, void *out, size_t row)
{
    const em__norm_args *a = &j->args;
    const uint8_t *x = (const uint8_t *)a->x + row * a->x_stride * j->size;
    if (j->softmax) {
        j->softmax(out, x, a->cols);
        return;
    }
    const uint8_t *residual = a->residual;
    if (residual)
        residual += row * a->residual_stride * j->size;
    j->norm(out, x, residual, a->weight, a->bias, a->eps, a->cols);
}

static void run_chunk(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const job *j = context;
    size_t from = (size_t)chunk * j->chunk_rows, to = from + j->chunk_rows;
    to = to < j->args.rows ? to : j->args.rows;
    uint8_t *out = (uint8_t *)j->args.out + from * j->args.out_stride * j->size;
    for (size_t row = from; row < to; row++, out += j->args.out_stride * j->size)
        run_row(j, out, row);
}

static void run_job(const em__rows *kernels, em__pool *pool, job *j)
{
    const em__norm_args *a = &j->args;
    if (!a->rows || !a->cols)
        return;
    size_t elements = a->rows * a->cols, rows = kernels->chunk / a->cols;
    j->chunk_rows = rows ? rows : 1;
    if (!pool || elements <= kernels->serial) {
        j->chunk_rows = a->rows;
        run_chunk(j, 0, 0);
        return;
    }
    em__pool_run(pool, run_chunk, j, (int64_t)((a->rows + j->chunk_rows - 1) / j->chunk_rows));
}

void em__rows_softmax(const em__rows *kernels, em__pool *pool, em__softmax_kind kind, em_dtype dtype, void *out,
                      size_t out_stride, const void *x, size_t x_stride, size_t rows, size_t cols)
{
    job j = {.softmax = kernels->softmax[kind][dtype], .size = em_dtype_size(dtype)};
    j.args =
        (em__norm_args){.out = out, .x = x, .rows = rows, .cols = cols, .out_stride = out_stride, .x_stride = x_stride};
    run_job(kernels, pool, &j);
}

void em__rows_norm(const em__rows *kernels, em__pool *pool, em__norm_kind kind, em_dtype dtype,
                   const em__norm_args *args)
{
    job j = {.norm = kernels->norm[kind][dtype], .size = em_dtype_size(dtype), .args = *args};
    run_job(kernels, pool, &j);
}
