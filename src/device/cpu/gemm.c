/*
 * The driver of the f32 matrix product: how C is cut into tasks, and the order of the tiles inside one.
 *
 * A task is a block of rows x a range of panels of C. Inside it k goes chunk by chunk; per chunk, groups of GROUP
 * panels (they stay in L2) meet every tile of rows (which stays in L1 while it meets the group). While a group is
 * worked on, the tiles prefetch the one after it, so that B streams from L3 or memory behind the arithmetic.
 * No choice made here changes a bit of the result.
 */
#include "device/cpu/gemm.h"

#include <stdbool.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/cpu/gemm_kernels.h"

#define GROUP 4                          /* panels that share a tile of A while it is in L1 */
#define BLOCK_ROWS 224                   /* most rows of a task */
#define BLOCK_DEPTH (3 * EM__GEMM_CHUNK) /* of a block of k: what a tile takes at a time */
#define COPY_LD (BLOCK_DEPTH + 16)
#define TASKS_PER_THREAD 4
#define TASK_COST 400000 /* cycles from which work is cut smaller than threads alone ask, against disturbed cores */
#define FEW_TILES 4      /* with no more, panels go one by one past all rows: what comes next is read sooner */
#define PAGE 4096

/* C cut into row_blocks x column_blocks tasks; task t is row block t / column_blocks. */
typedef struct gemm_plan {
    const em__gemm_kernels *kernels;
    em__pool *pool;
    const em__gemm_args *args;
    int64_t panels;
    int64_t row_blocks, column_blocks;
    bool copy_a; /* through scratch: the rows of A are so far apart that they fall on the same cache lines */
} gemm_plan;

typedef struct gemm_task {
    int64_t row, rows;
    int64_t panel, panel_end;
    const char *after; /* the first panel of the next task */
    float *copy;
} gemm_task;

/* Where part `index` of `total` cut into `parts` begins. */
static int64_t part_begin(int64_t total, int64_t parts, int64_t index)
{
    return total / parts * index + (index < total % parts ? index : total % parts);
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

size_t em__gemm_f32_packed_bytes(int64_t n, int64_t k)
{
    size_t bytes;
    if (n < 0 || k < 0 || em__mul_overflows((size_t)ceil_div(n, EM__GEMM_PANEL), (size_t)k, &bytes) ||
        em__mul_overflows(bytes, EM__GEMM_PANEL * sizeof(float), &bytes))
        return 0;
    return bytes;
}

size_t em__gemm_scratch_bytes(void)
{
    return (size_t)BLOCK_ROWS * COPY_LD * sizeof(float);
}

/* The rows of a tile, given that a block of `rows` is cut into `tiles` of nearly equal height. */
typedef struct tile_span {
    int64_t row;
    int rows;
} tile_span;

static tile_span tile_at(int64_t rows, int64_t tiles, int64_t index)
{
    int64_t begin = part_begin(rows, tiles, index);
    return (tile_span){begin, (int)(part_begin(rows, tiles, index + 1) - begin)};
}

/* One chunk of k of one task: what its tiles have in common. */
typedef struct gemm_chunk {
    const gemm_plan *plan;
    const gemm_task *task;
    em__gemm_tile tile;
    int64_t k0, tiles;
    bool last;
    int64_t panel_bytes; /* from one panel of B to the next */
} gemm_chunk;

static void run_tile(gemm_chunk *chunk, int64_t index, int64_t panel, const char *next)
{
    const gemm_plan *plan = chunk->plan;
    const em__gemm_args *args = plan->args;
    em__gemm_tile *tile = &chunk->tile;
    const tile_span span = tile_at(chunk->task->rows, chunk->tiles, index);
    const int64_t row = chunk->task->row + span.row, column = panel * EM__GEMM_PANEL;
    tile->rows = span.rows;
    tile->lda = plan->copy_a ? COPY_LD : args->lda;
    tile->a = plan->copy_a ? chunk->task->copy + span.row * COPY_LD : args->a + row * args->lda + chunk->k0;
    tile->b = args->b + (panel * args->k + chunk->k0) * EM__GEMM_PANEL;
    tile->c = args->c + row * args->ldc + column;
    tile->columns = (int)min64(args->n - column, EM__GEMM_PANEL);
    tile->bias = chunk->last && args->bias ? args->bias + column : NULL;
    const bool add = chunk->last && args->residual && !args->activation;
    tile->residual = add ? args->residual + row * args->ldr + column : NULL;
    tile->prefetch = next + index * tile->k * tile->prefetch_step;
    plan->kernels->tile(tile);
}

static void finish_rows(const gemm_plan *plan, int64_t row, int64_t rows, int64_t panel, int64_t panel_end)
{
    const em__gemm_args *args = plan->args;
    const int64_t column = panel * EM__GEMM_PANEL;
    const int64_t columns = min64(args->n, panel_end * EM__GEMM_PANEL) - column;
    for (int64_t r = row; r < row + rows; r++) {
        float *c = args->c + r * args->ldc + column;
        args->activation(c, c, (size_t)columns);
        if (args->residual)
            plan->kernels->add(c, args->residual + r * args->ldr + column, columns);
    }
}

/* Panels [panel, panel_end) of a chunk; `next` is the panel that comes after them. */
static void run_group(gemm_chunk *chunk, int64_t panel, int64_t panel_end, const char *next)
{
    const gemm_task *task = chunk->task;
    const bool finish = chunk->last && chunk->plan->args->activation;
    if (chunk->tiles <= FEW_TILES) {
        const char *b = (const char *)(chunk->plan->args->b + chunk->k0 * EM__GEMM_PANEL);
        for (int64_t p = panel; p < panel_end; p++)
            for (int64_t i = 0; i < chunk->tiles; i++)
                run_tile(chunk, i, p, p + 1 < panel_end ? b + (p + 1) * chunk->panel_bytes : next);
        if (finish)
            finish_rows(chunk->plan, task->row, task->rows, panel, panel_end);
        return;
    }
    for (int64_t i = 0; i < chunk->tiles; i++) {
        for (int64_t p = panel; p < panel_end; p++)
            run_tile(chunk, i, p, next + (p - panel) * chunk->panel_bytes);
        const tile_span span = tile_at(task->rows, chunk->tiles, i);
        if (finish)
            finish_rows(chunk->plan, task->row + span.row, span.rows, panel, panel_end);
    }
}

/* `after` is the first panel of the task to come. */
static void run_chunk(const gemm_plan *plan, const gemm_task *task, int64_t k0, const char *after)
{
    const em__gemm_args *args = plan->args;
    gemm_chunk chunk = {.plan = plan, .task = task, .k0 = k0, .tiles = ceil_div(task->rows, plan->kernels->tile_rows)};
    chunk.panel_bytes = args->k * EM__GEMM_PANEL * (int64_t)sizeof(float);
    chunk.tile = (em__gemm_tile){.k = min64(args->k - k0, BLOCK_DEPTH),
                                 .ldb = EM__GEMM_PANEL,
                                 .ldc = args->ldc,
                                 .first = k0 == 0,
                                 .ldr = args->ldr,
                                 .prefetch_step = ceil_div(EM__GEMM_PANEL * (int64_t)sizeof(float), chunk.tiles)};
    chunk.last = k0 + chunk.tile.k >= args->k;
    const char *b = (const char *)(args->b + k0 * EM__GEMM_PANEL);
    const char *wrap =
        chunk.last ? after
                   : b + task->panel * chunk.panel_bytes + BLOCK_DEPTH * EM__GEMM_PANEL * (int64_t)sizeof(float);
    for (int64_t p = task->panel; p < task->panel_end; p += GROUP) {
        int64_t end = min64(p + GROUP, task->panel_end);
        run_group(&chunk, p, end, end < task->panel_end ? b + end * chunk.panel_bytes : wrap);
    }
}

static void copy_rows(const gemm_plan *plan, const gemm_task *task, int64_t k0)
{
    const em__gemm_args *args = plan->args;
    size_t bytes = (size_t)min64(args->k - k0, BLOCK_DEPTH) * sizeof(float);
    for (int64_t r = 0; r < task->rows; r++)
        memcpy(task->copy + r * COPY_LD, args->a + (task->row + r) * args->lda + k0, bytes);
}

static void run_task(void *context, int64_t index, int worker)
{
    const gemm_plan *plan = context;
    const em__gemm_args *args = plan->args;
    const int64_t block = index / plan->column_blocks, column = index % plan->column_blocks;
    gemm_task task = {.row = part_begin(args->m, plan->row_blocks, block),
                      .panel = part_begin(plan->panels, plan->column_blocks, column),
                      .panel_end = part_begin(plan->panels, plan->column_blocks, column + 1)};
    task.rows = part_begin(args->m, plan->row_blocks, block + 1) - task.row;
    task.copy = plan->copy_a ? em__pool_scratch(plan->pool, worker) : NULL;
    const int64_t next_panel = column + 1 < plan->column_blocks ? task.panel_end : 0;
    const char *after = (const char *)(args->b + next_panel * args->k * EM__GEMM_PANEL);
    int64_t k0 = 0;
    do {
        if (plan->copy_a)
            copy_rows(plan, &task, k0);
        run_chunk(plan, &task, k0, after);
        k0 += BLOCK_DEPTH;
    } while (k0 < args->k);
}

/* Cycles-like cost of one task: multiply-adds of its tallest cut, and what each tile and each panel cost besides. */
static int64_t task_cost(const gemm_plan *plan, int64_t rows, int64_t panels)
{
    int64_t tiles = ceil_div(rows, plan->kernels->tile_rows);
    return panels * (rows * plan->args->k * 2 + tiles * 80 + plan->args->k * 2) + 500;
}

/* The least time of the slowest thread, over few candidates: this runs before every product. */
static void choose_blocks(gemm_plan *plan)
{
    const em__gemm_args *args = plan->args;
    const int64_t threads = plan->pool ? em__pool_size(plan->pool) : 1;
    const int64_t least_rows = ceil_div(args->m, BLOCK_ROWS);
    const int64_t most_rows = least_rows + (args->m >= 4 * plan->kernels->tile_rows ? threads : 0);
    const int64_t whole = task_cost(plan, args->m, plan->panels);
    const int64_t wanted = whole > threads * TASKS_PER_THREAD * TASK_COST ? threads * TASKS_PER_THREAD : threads;
    int64_t best = INT64_MAX;
    for (int64_t r = least_rows; r <= most_rows; r++) {
        const int64_t rows = ceil_div(args->m, r), least = min64(plan->panels, ceil_div(wanted, r));
        const int64_t most = min64(plan->panels, least + threads);
        for (int64_t c = least; c <= most; c++) {
            int64_t cost = ceil_div(r * c, threads) * task_cost(plan, rows, ceil_div(plan->panels, c));
            if (cost < best) {
                best = cost;
                plan->row_blocks = r;
                plan->column_blocks = c;
            }
        }
    }
}

static void run_plan(gemm_plan *plan)
{
    choose_blocks(plan);
    int64_t tasks = plan->row_blocks * plan->column_blocks;
    if (plan->pool) {
        em__pool_run(plan->pool, run_task, plan, tasks);
    } else {
        for (int64_t i = 0; i < tasks; i++)
            run_task(plan, i, 0);
    }
}

static gemm_plan make_plan(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    gemm_plan plan = {.kernels = kernels, .pool = pool, .args = args};
    plan.panels = ceil_div(args->n, EM__GEMM_PANEL);
    plan.copy_a = pool && args->m >= 8 && args->lda * (int64_t)sizeof(float) % PAGE == 0;
    return plan;
}

em_status em__gemm_f32(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    if (args->m <= 0 || args->n <= 0)
        return EM_OK;
    gemm_plan plan = make_plan(kernels, pool, args);
    if (plan.copy_a)
        EM__TRY(em__pool_reserve(pool, em__gemm_scratch_bytes()));
    run_plan(&plan);
    return EM_OK;
}

void em__gemm_f32_inline(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    gemm_plan plan = make_plan(kernels, pool, args);
    if (args->m > 0 && args->n > 0)
        run_plan(&plan);
}

/* Bytes from which packing writes past the caches. A weight is one of many, all packed before the first is read; the
 * right side of a product is read at once. */
#define PAST_WEIGHT ((size_t)256 << 10)
#define PAST_MATRIX ((size_t)16 << 20)

typedef struct pack_job {
    const em__gemm_kernels *kernels;
    float *dst;
    const float *src;
    int64_t n, k, stride_n, stride_k;
    bool past;
} pack_job;

static void pack_strided(const pack_job *job, float *dst, int64_t column, int columns)
{
    for (int64_t k = 0; k < job->k; k++)
        for (int j = 0; j < EM__GEMM_PANEL; j++)
            dst[k * EM__GEMM_PANEL + j] = j < columns ? job->src[k * job->stride_k + (column + j) * job->stride_n] : 0;
}

static void pack_panel(void *context, int64_t panel, int worker)
{
    const pack_job *job = context;
    (void)worker;
    int64_t column = panel * EM__GEMM_PANEL;
    int columns = (int)min64(job->n - column, EM__GEMM_PANEL);
    float *dst = job->dst + panel * job->k * EM__GEMM_PANEL;
    if (job->stride_k == 1)
        job->kernels->pack_rows(dst, job->src + column * job->stride_n, job->stride_n, columns, job->k, job->past);
    else if (job->stride_n == 1)
        job->kernels->pack_columns(dst, job->src + column, job->stride_k, columns, job->k, job->past);
    else
        pack_strided(job, dst, column, columns);
}

void em__gemm_f32_pack(const em__gemm_kernels *kernels, em__pool *pool, float *dst, const float *src, int64_t n,
                       int64_t k, int64_t stride_n, int64_t stride_k)
{
    const size_t bytes = em__gemm_f32_packed_bytes(n, k);
    pack_job job = {kernels, dst, src, n, k, stride_n, stride_k, false};
    job.past = bytes >= (stride_k == 1 ? PAST_WEIGHT : PAST_MATRIX);
    int64_t panels = ceil_div(n, EM__GEMM_PANEL);
    if (pool) {
        em__pool_run(pool, pack_panel, &job, panels);
    } else {
        for (int64_t i = 0; i < panels; i++)
            pack_panel(&job, i, 0);
    }
}
