/*
 * Batches of products over strided operands, brought to what gemm.c runs: rows of A contiguous, B packed.
 *
 * Small products whose B has contiguous columns run where they lie (gemm_small.h), many in a task, or one cut by its
 * columns. When the packed operands of one product fit SMALL_BYTES, each is one task: pack and multiply in the worker's
 * scratch.
 * Otherwise the products go one after the other, each packed into the caller's memory and multiplied by the whole
 * pool.
 */
#include <string.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/gemm_small.h"

#define SMALL_BYTES ((size_t)384 << 10)
#define PANEL EM__GEMM_PANEL
#define TASK_WORK ((int64_t)1 << 19) /* multiply-adds of a task, more or less: some 10 us */
#define TURN_ROWS 128                /* rows of A transposed at a time, through PANEL x TURN_ROWS floats of the stack */

typedef struct batch_job {
    const em__gemm_kernels *kernels;
    em__pool *pool;
    const em__gemm_batch *args;
    bool copy_a;
    size_t packed_bytes, copy_bytes; /* of B and of A, multiples of 64 */
    em__gemm_small_fn small;         /* of products that pack B only; or NULL */
    int64_t count, each;             /* products; of a task, where a product is a task's part */
} batch_job;

static const float *operand_at(const em__gemm_batch *args, const em__gemm_operand *operand, int64_t index)
{
    const float *data = operand->data;
    for (int axis = args->rank - 1; axis >= 0; axis--) {
        data += index % args->dims[axis] * operand->batch[axis];
        index /= args->dims[axis];
    }
    return data;
}

/* One strip of A, [m][PANEL] of its k from `depth` on, into rows of k. */
static void turn_strip(const batch_job *job, float *dst, const float *a, int64_t depth)
{
    const em__gemm_batch *args = job->args;
    const int count = (int)em__min(PANEL, args->k - depth);
    _Alignas(64) float turned[TURN_ROWS * PANEL];
    for (int64_t row = 0; row < args->m; row += TURN_ROWS) {
        const int64_t rows = em__min(TURN_ROWS, args->m - row);
        job->kernels->pack_rows(turned, a + depth * args->a.depth + row, args->a.depth, count, rows, false);
        for (int64_t r = 0; r < rows; r++)
            memcpy(dst + (row + r) * args->k + depth, turned + r * PANEL, (size_t)count * sizeof *dst);
    }
}

static void gather_strip(const batch_job *job, float *dst, const float *a, int64_t depth)
{
    const em__gemm_batch *args = job->args;
    const int64_t end = em__min(args->k, depth + PANEL);
    for (int64_t row = 0; row < args->m; row++)
        for (int64_t i = depth; i < end; i++)
            dst[row * args->k + i] = a[row * args->a.row + i * args->a.depth];
}

static void copy_strip(const batch_job *job, float *dst, const float *a, int64_t depth)
{
    if (job->args->a.row == 1)
        turn_strip(job, dst, a, depth);
    else
        gather_strip(job, dst, a, depth);
}

static em__gemm_args product_args(const batch_job *job, int64_t index, const float *a, const float *packed)
{
    const em__gemm_batch *args = job->args;
    return (em__gemm_args){.m = args->m,
                           .n = args->n,
                           .k = args->k,
                           .a = a,
                           .lda = job->copy_a ? args->k : args->a.row,
                           .b = packed,
                           .c = args->c + index * args->m * args->n,
                           .ldc = args->n};
}

/* Packed B by its panels, A where it lies. */
static void multiply_small(const batch_job *job, int64_t index, const float *packed)
{
    const em__gemm_batch *args = job->args;
    em__gemm_small product = {.m = args->m,
                              .k = args->k,
                              .a = operand_at(args, &args->a, index),
                              .row = args->a.row,
                              .depth = args->a.depth,
                              .ldb = PANEL,
                              .ldc = args->n};
    for (int64_t column = 0; column < args->n; column += PANEL) {
        product.n = em__min(args->n - column, PANEL);
        product.b = packed + column * args->k;
        product.c = args->c + index * args->m * args->n + column;
        job->small(&product);
    }
}

static void run_product(const batch_job *job, int64_t index, int worker)
{
    const em__gemm_batch *args = job->args;
    const float *a = operand_at(args, &args->a, index);
    char *scratch = (char *)em__pool_scratch(job->pool, worker) + em__gemm_scratch_bytes(job->kernels, args->k);
    float *packed = (float *)(void *)scratch, *copy = (float *)(void *)(scratch + job->packed_bytes);
    em__gemm_f32_pack(job->kernels, NULL, packed, operand_at(args, &args->b, index), args->n, args->k, args->b.row,
                      args->b.depth);
    if (job->small) {
        multiply_small(job, index, packed);
        return;
    }
    for (int64_t depth = 0; job->copy_a && depth < args->k; depth += PANEL)
        copy_strip(job, copy, a, depth);
    const em__gemm_args product = product_args(job, index, job->copy_a ? copy : a, packed);
    em__gemm_f32_inline(job->kernels, job->pool, &product);
}

static void run_small(void *context, int64_t task, int worker)
{
    const batch_job *job = context;
    const int64_t end = em__min((task + 1) * job->each, job->count);
    for (int64_t index = task * job->each; index < end; index++)
        run_product(job, index, worker);
}

/* A single column is a single row, the sides exchanged: a row of B can be read in steps. */
static em__gemm_batch as_rows(const em__gemm_batch *args)
{
    em__gemm_batch turned = *args;
    if (args->n != 1 || args->m == 1)
        return turned;
    turned.m = 1;
    turned.n = args->m;
    turned.a = args->b;
    turned.b = args->a;
    return turned;
}

#define LEAST_COLUMNS 128

typedef struct direct_job {
    const em__gemm_batch *args;
    em__gemm_small_fn small;
    int64_t count, each; /* products; of a task */
    int64_t cuts;        /* of the columns, when a task has one product */
} direct_job;

/* Products whose B is read in place; the shape alone decides. Matrix units have an order of their own. */
static bool is_direct(const em__gemm_kernels *kernels, const em__gemm_batch *args)
{
    if (kernels->split || !em__gemm_small_f32(kernels->level) || args->k == 0)
        return false;
    if (args->b.row != 1 && args->n > 1)
        return false;
    return args->m <= EM__GEMM_SMALL_ROWS || args->k * args->n <= EM__GEMM_SMALL_BYTES / (int64_t)sizeof(float);
}

static void run_direct(void *context, int64_t task, int worker)
{
    const direct_job *job = context;
    const em__gemm_batch *args = job->args;
    (void)worker;
    const int64_t first = task / job->cuts * job->each, end = em__min(first + job->each, job->count);
    const int64_t blocks = (args->n + LEAST_COLUMNS - 1) / LEAST_COLUMNS, cut = task % job->cuts;
    const int64_t column = em__min(args->n, blocks * cut / job->cuts * LEAST_COLUMNS);
    const int64_t column_end = em__min(args->n, blocks * (cut + 1) / job->cuts * LEAST_COLUMNS);
    for (int64_t i = first; i < end; i++) {
        const em__gemm_small product = {.m = args->m,
                                        .n = column_end - column,
                                        .k = args->k,
                                        .a = operand_at(args, &args->a, i),
                                        .row = args->a.row,
                                        .depth = args->a.depth,
                                        .b = operand_at(args, &args->b, i) + column,
                                        .ldb = args->b.depth,
                                        .c = args->c + i * args->m * args->n + column,
                                        .ldc = args->n};
        job->small(&product);
    }
}

static void run_all_direct(const batch_job *job, int64_t count)
{
    const em__gemm_batch *args = job->args;
    direct_job direct = {.args = args, .small = em__gemm_small_f32(job->kernels->level), .count = count};
    const int64_t work = args->m * args->n * args->k, blocks = (args->n + LEAST_COLUMNS - 1) / LEAST_COLUMNS;
    direct.each =
        work >= TASK_WORK
            ? 1
            : em__min(TASK_WORK / work, (count + 2 * em__pool_size(job->pool) - 1) / (2 * em__pool_size(job->pool)));
    direct.cuts = direct.each > 1 || work < 65536 ? 1 : em__min(blocks, 2 * em__pool_size(job->pool));
    em__pool_run(job->pool, run_direct, &direct, (count + direct.each - 1) / direct.each * direct.cuts);
}

/* Few rows against a B whose depth is contiguous. Small ones: its panels pass through the first cache, chunk by chunk.
 * Large ones: straight from memory. */
static bool is_passing(const em__gemm_kernels *kernels, const em__gemm_batch *args)
{
    const int64_t most = em__min(kernels->tile_rows, kernels->thin_rows >= 8 ? 8 : 7);
    return !kernels->split && args->b.depth == 1 && args->k > 0 && args->m <= most &&
           (args->a.depth == 1 || args->k == 1);
}

#define THIN_ELEMENTS ((int64_t)64 << 10) /* of a B, from which it gets all threads */

static bool is_thin(const batch_job *job, int64_t count)
{
    return job->kernels->thin_rows > 0 && (count == 1 || job->args->n * job->args->k >= THIN_ELEMENTS);
}

static void run_all_thin(const batch_job *job, int64_t count)
{
    const em__gemm_batch *args = job->args;
    for (int64_t i = 0; i < count; i++) {
        const em__gemm_args product = product_args(job, i, operand_at(args, &args->a, i), NULL);
        em__gemm_thin_run(job->kernels, job->pool, &product, EM__B_F32, operand_at(args, &args->b, i), args->b.row);
    }
}

typedef struct passing_job {
    const batch_job *batch;
    int64_t panels, each; /* of a product; of a task */
} passing_job;

static void pass_panel(const batch_job *job, int64_t index, int64_t panel, float *room)
{
    const em__gemm_batch *args = job->args;
    const int64_t column = panel * PANEL;
    const float *b = operand_at(args, &args->b, index) + column * args->b.row;
    em__gemm_tile tile = {.a = operand_at(args, &args->a, index),
                          .lda = args->a.row,
                          .b = room,
                          .ldb = PANEL,
                          .c = args->c + index * args->m * args->n + column,
                          .ldc = args->n,
                          .rows = (int)args->m,
                          .columns = (int)em__min(args->n - column, PANEL),
                          .prefetch = (const char *)room};
    for (int64_t k = 0; k < args->k; k += EM__GEMM_CHUNK) {
        tile.k = em__min(args->k - k, EM__GEMM_CHUNK);
        tile.first = k == 0;
        job->kernels->pack_rows(room, b + k, args->b.row, tile.columns, tile.k, false);
        job->kernels->tile(&tile);
        tile.a += tile.k;
    }
}

static void run_passing(void *context, int64_t task, int worker)
{
    const passing_job *job = context;
    const int64_t tasks = (job->panels + job->each - 1) / job->each, index = task / tasks;
    const int64_t first = task % tasks * job->each, end = em__min(first + job->each, job->panels);
    for (int64_t panel = first; panel < end; panel++)
        pass_panel(job->batch, index, panel, em__pool_scratch(job->batch->pool, worker));
}

static void run_all_passing(const batch_job *job, int64_t count)
{
    const em__gemm_batch *args = job->args;
    passing_job passing = {.batch = job, .panels = (args->n + PANEL - 1) / PANEL};
    passing.each = em__div_up(TASK_WORK / 4, PANEL * args->k);
    passing.each = em__min(passing.each, passing.panels);
    em__pool_run(job->pool, run_passing, &passing, count * em__div_up(passing.panels, passing.each));
}

#define PASSING_BYTES (EM__GEMM_CHUNK * PANEL * sizeof(float))

typedef struct strip_job {
    const batch_job *job;
    float *dst;
    const float *a;
} strip_job;

static void run_strip(void *context, int64_t index, int worker)
{
    const strip_job *strip = context;
    (void)worker;
    copy_strip(strip->job, strip->dst, strip->a, index * PANEL);
}

static em_status run_large(const batch_job *job, int64_t count, char *block)
{
    const em__gemm_batch *args = job->args;
    float *packed = (float *)(void *)block, *copy = (float *)(void *)(block + job->packed_bytes);
    for (int64_t index = 0; index < count; index++) {
        const float *a = operand_at(args, &args->a, index);
        em__gemm_f32_pack(job->kernels, job->pool, packed, operand_at(args, &args->b, index), args->n, args->k,
                          args->b.row, args->b.depth);
        if (job->copy_a) {
            strip_job strip = {job, copy, a};
            em__pool_run(job->pool, run_strip, &strip, (args->k + PANEL - 1) / PANEL);
        }
        const em__gemm_args product = product_args(job, index, job->copy_a ? copy : a, packed);
        EM__TRY(em__gemm_f32(job->kernels, job->pool, &product));
    }
    return EM_OK;
}

/* The number of products; 0 when there is nothing to compute. */
static int64_t describe(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_batch *args, batch_job *job)
{
    int64_t count = args->m > 0 && args->n > 0 ? 1 : 0;
    for (int axis = 0; axis < args->rank; axis++)
        count *= args->dims[axis];
    *job = (batch_job){.kernels = kernels, .pool = pool, .args = args};
    job->copy_a = args->a.depth != 1 && args->k > 1;
    job->packed_bytes = em__gemm_f32_packed_bytes(kernels, args->n, args->k);
    job->copy_bytes = job->copy_a ? em__align64((size_t)(args->m * args->k) * sizeof(float)) : 0;
    return count;
}

static bool side_by_side(const batch_job *job, int64_t count)
{
    return count > 1 && job->packed_bytes + job->copy_bytes <= SMALL_BYTES;
}

bool em__gemm_f32_batched_needs(const em__gemm_kernels *kernels, const em__gemm_batch *given, size_t *memory,
                                size_t *scratch)
{
    batch_job job;
    const em__gemm_batch turned = as_rows(given), *args = &turned;
    int64_t count = describe(kernels, NULL, args, &job);
    size_t bytes = job.packed_bytes + job.copy_bytes;
    if (is_direct(kernels, args)) {
        *memory = *scratch = 0;
        return true;
    }
    if (is_passing(kernels, args)) {
        *memory = 0;
        *scratch = PASSING_BYTES;
        return true;
    }
    bool small = side_by_side(&job, count);
    *memory = small || count == 0 ? 0 : bytes;
    *scratch = em__gemm_scratch_bytes(kernels, args->k) + (small ? bytes : 0);
    return count == 0 || job.packed_bytes > 0 || args->k == 0;
}

em_status em__gemm_f32_batched(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_batch *given)
{
    batch_job job;
    const em__gemm_batch turned = as_rows(given), *args = &turned;
    int64_t count = describe(kernels, pool, args, &job);
    if (count == 0)
        return EM_OK;
    if (is_direct(kernels, args)) {
        run_all_direct(&job, count);
        return EM_OK;
    }
    if (is_passing(kernels, args) && is_thin(&job, count)) {
        run_all_thin(&job, count);
        return EM_OK;
    }
    if (is_passing(kernels, args)) {
        EM__TRY(em__pool_reserve(pool, PASSING_BYTES));
        run_all_passing(&job, count);
        return EM_OK;
    }
    EM__FAIL_IF(job.packed_bytes == 0 && args->k > 0, EM_ERROR_OUT_OF_MEMORY,
                "matmul: a right side of %lld x %lld is larger than memory", (long long)args->k, (long long)args->n);
    if (!side_by_side(&job, count))
        return run_large(&job, count, args->memory);
    EM__TRY(em__pool_reserve(pool, em__gemm_scratch_bytes(kernels, args->k) + job.packed_bytes + job.copy_bytes));
    const int64_t work = args->m * args->n * (args->k > 0 ? args->k : 1), threads = em__pool_size(pool);
    job.each = work >= TASK_WORK ? 1 : em__min(TASK_WORK / work, em__div_up(count, 2 * threads));
    job.count = count;
    if (!kernels->split && args->k > 0 && args->k * args->n <= EM__GEMM_SMALL_BYTES / (int64_t)sizeof(float))
        job.small = em__gemm_small_f32(kernels->level);
    em__pool_run(pool, run_small, &job, em__div_up(count, job.each));
    return EM_OK;
}
