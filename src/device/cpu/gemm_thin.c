/*
 * Few rows of A against a B that lies as a Linear weight does, [n, k]: bound by the memory that B is read from, once.
 *
 * A task has a range of B's columns. It walks them in EM__THIN_COLUMNS stretches at once, far apart: each is one stream
 * through memory that the processor sees coming, and together they keep more lines under way than one would.
 */
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define MOST_ROWS 16                    /* of any level's tile, or that meet a packed weight at a time */
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

/* Sums of C's columns first, first + step... with as many of B, into place. */
static void put(const thin_job *job, int64_t row, int rows, int64_t first, int64_t step, int columns, const float *c,
                int64_t ldc)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++)
            job->args->c[(row + r) * job->args->ldc + first + j * step] = c[r * ldc + j];
}

/* In how many parts A's rows meet a packed weight. */
static int64_t passes(const em__gemm_kernels *kernels, int64_t m)
{
    return em__div_up(m, kernels->packed_rows);
}

/* A group of a packed weight: what the first rows met is in a cache for the others. */
static void run_packed(const thin_job *job, int64_t first, int64_t step, int columns)
{
    const em__gemm_args *args = job->args;
    const int64_t parts = passes(job->kernels, args->m);
    _Alignas(64) float c[MOST_ROWS * COLUMNS];
    for (int64_t i = 0; i < parts; i++) {
        const int64_t row = em__gemm_part(args->m, parts, i), rows = em__gemm_part(args->m, parts, i + 1) - row;
        const em__gemm_thin thin = {
            .a = args->m == 1 ? args->a : args->laid + row * args->k, .rows = (int)rows, .k = args->k, .c = c};
        job->kernels->bf12_thin(&thin, (const void *)job->b, first / COLUMNS);
        put(job, row, thin.rows, first, step, columns, c, COLUMNS);
    }
}

/* Straight from memory. */
static void run_direct(const thin_job *job, int64_t first, int64_t step, int columns)
{
    const em__gemm_args *args = job->args;
    _Alignas(64) float c[MOST_ROWS * COLUMNS];
    const em__gemm_thin thin = {.b = job->b + first * job->stride,
                                .stride = step * job->stride,
                                .columns = columns,
                                .a = args->a,
                                .lda = args->lda,
                                .rows = (int)args->m,
                                .k = args->k,
                                .c = c};
    job->kernels->thin[job->kind](&thin);
    put(job, 0, thin.rows, first, step, columns, c, COLUMNS);
}

/* `count` elements of columns from `k` on as a panel of f32. */
static void widen(const thin_job *job, float *panel, int64_t first, int64_t step, int columns, int64_t k, int64_t count)
{
    const char *b = job->b + first * job->stride;
    const int64_t stride = step * job->stride;
    if (job->kind == EM__B_PACKED) {
        em__bf12_widen_panel(job->kernels, (const void *)job->b, first, columns, k, count, panel);
        return;
    }
    const float *f32 = (const float *)(const void *)b;
    const uint16_t *half = (const uint16_t *)(const void *)b;
    if (job->kind == EM__B_F32)
        job->kernels->pack_rows(panel, f32 + k, stride / (int64_t)sizeof *f32, columns, count, false);
    else
        job->kernels->widen_rows[job->kind](panel, half + k, stride / (int64_t)sizeof *half, columns, count);
}

/* What the columns' next panel is made of; behind the last one begin the columns that come next. */
static void fetch(const thin_job *job, int64_t first, int64_t step, int columns, int64_t k)
{
    if (job->kind == EM__B_PACKED) {
        em__bf12_fetch((const void *)job->b, first, columns, k, EM__GEMM_CHUNK, 0, 1);
        return;
    }
    const int64_t size = job->kind == EM__B_F32 ? (int64_t)sizeof(float) : (int64_t)sizeof(uint16_t);
    em__gemm_fetch(job->b + first * job->stride + k * size, step * job->stride, columns, EM__GEMM_CHUNK * size, 0, 1);
}

/* By panels in the first cache: more work a column, less a row. */
static void run_panel(const thin_job *job, int64_t first, int64_t step, int columns)
{
    const em__gemm_args *args = job->args;
    _Alignas(64) float panel[EM__GEMM_CHUNK * EM__GEMM_PANEL], c[MOST_ROWS * EM__GEMM_PANEL];
    em__gemm_tile tile = {.a = args->a,
                          .lda = args->lda,
                          .b = panel,
                          .ldb = EM__GEMM_PANEL,
                          .c = c,
                          .ldc = EM__GEMM_PANEL,
                          .rows = (int)args->m,
                          .columns = columns,
                          .prefetch = (const char *)panel};
    for (int64_t k = 0; k == 0 || k < args->k; k += EM__GEMM_CHUNK) {
        tile.k = em__min(args->k - k, EM__GEMM_CHUNK);
        tile.first = k == 0;
        widen(job, panel, first, step, columns, k, tile.k);
        fetch(job, first, step, columns, k + tile.k);
        job->kernels->tile(&tile);
        tile.a += tile.k;
    }
    put(job, 0, tile.rows, first, step, columns, c, EM__GEMM_PANEL);
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

static bool is_direct(const thin_job *job)
{
    if (job->kind == EM__B_PACKED)
        return job->args->laid || (job->args->m == 1 && job->kernels->packed_rows);
    return job->args->m <= job->kernels->thin_rows;
}

static void run_task(void *context, int64_t index, int worker)
{
    const thin_job *job = context;
    (void)worker;
    const int64_t from = index * job->each, columns = em__min(job->args->n - from, job->each);
    const bool packed = job->kind == EM__B_PACKED; /* its columns lie in groups */
    const bool direct = is_direct(job);
    void (*const run)(const thin_job *, int64_t, int64_t, int) = !direct ? run_panel : packed ? run_packed : run_direct;
    const int streams = direct ? COLUMNS : EM__GEMM_PANEL;
    const int64_t whole = columns / streams * streams;
    for (int64_t i = 0; i < whole / streams; i++)
        run(job, from + (packed ? i * streams : i), packed ? 1 : whole / streams, streams);
    if (columns > whole)
        run(job, from + whole, 1, (int)(columns - whole));
    finish_rows(job, from, columns);
}

bool em__gemm_is_thin(const em__gemm_kernels *kernels, const em__gemm_args *args)
{
    return args->m <= (kernels->split ? kernels->thin_rows : kernels->tile_rows);
}

/* Matrix units sum in an order of their own, which their driver has more rows for. */
size_t em__gemm_laid_bytes(const em__gemm_kernels *kernels, int64_t m, int64_t k)
{
    const int64_t most = kernels->split ? kernels->thin_rows : kernels->packed_most;
    return m > 1 && m <= most ? ((size_t)(m * k) * sizeof(float) + 2 * 64 - 1) / 64 * 64 : 0;
}

void em__gemm_lay(const em__gemm_kernels *kernels, const em__gemm_args *args, float *to)
{
    const int64_t parts = passes(kernels, args->m);
    for (int64_t i = 0; i < parts; i++) {
        const int64_t row = em__gemm_part(args->m, parts, i), rows = em__gemm_part(args->m, parts, i + 1) - row;
        kernels->bf12_lay(to + row * args->k, args->a + row * args->lda, args->lda, (int)rows, args->k);
    }
}

/* Columns of a task: enough bytes to be worth a task, and some tasks for each thread. */
static int64_t columns_of_task(const em__gemm_args *args, int64_t bytes, int64_t threads)
{
    const int64_t many = bytes * args->k > 0 ? TASK_BYTES / (bytes * args->k) : args->n;
    const int64_t few = em__div_up(args->n, TASKS * threads);
    return em__div_up(em__min(many > 0 ? many : 1, few), EM__GEMM_PANEL) * EM__GEMM_PANEL;
}

void em__gemm_thin_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args, int kind,
                       const void *b, int64_t row)
{
    const int64_t bytes = kind == EM__B_F32 ? (int64_t)sizeof(float) : (int64_t)sizeof(uint16_t);
    thin_job job = {kernels, args, kind, b, row * bytes, 0};
    job.each = columns_of_task(args, bytes, pool ? em__pool_size(pool) : 1);
    em__pool_run(pool, run_task, &job, em__div_up(args->n, job.each));
}
