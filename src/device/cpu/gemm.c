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
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/gemm_split.h"

#define GROUP 4                          /* panels that share a tile of A while it is in L1 */
#define BLOCK_ROWS 224                   /* most rows of a task */
#define BLOCK_DEPTH (3 * EM__GEMM_CHUNK) /* of a block of k: what a tile takes at a time */
#define COPY_LD (BLOCK_DEPTH + 16)
#define COPY_BYTES ((size_t)BLOCK_ROWS * COPY_LD * sizeof(float))
#define WIDE_BYTES ((size_t)GROUP * BLOCK_DEPTH * ROW_BYTES)
#define FEW_TILES 4 /* with no more, panels go one by one past all rows: what comes next is read sooner */
#define PAGE 4096
#define AHEAD 4096 /* bytes */
#define ROW_BYTES (EM__GEMM_PANEL * (int64_t)sizeof(float))

typedef struct gemm_plan {
    const em__gemm_kernels *kernels;
    em__pool *pool;
    const em__gemm_args *args;
    int64_t panels;
    em__gemm_cut cut;
    bool follow; /* a thread has several tasks: the one after this is probably its next */
    bool copy_a; /* through scratch: the rows of A are so far apart that they fall on the same cache lines */
} gemm_plan;

typedef struct gemm_task {
    int64_t row, rows;
    int64_t panel, panel_end;
    const char *after; /* the first panel of the next task */
    float *copy;
    float *wide; /* a group of panels of a half B; NULL when B is packed */
} gemm_task;

/* Of one panel of B. */
static size_t panel_bytes(const em__gemm_kernels *kernels, int64_t k)
{
    return kernels->split ? em__gemm_split_panel_bytes(k) : (size_t)k * EM__GEMM_PANEL * sizeof(float);
}

size_t em__gemm_f32_packed_bytes(const em__gemm_kernels *kernels, int64_t n, int64_t k)
{
    size_t bytes;
    const bool sane = n >= 0 && k >= 0 && n <= INT64_MAX / 2 && k <= INT64_MAX / 1024;
    if (!sane || em__mul_overflows((size_t)em__div_up(n, EM__GEMM_PANEL), panel_bytes(kernels, k), &bytes))
        return 0;
    return bytes;
}

size_t em__gemm_scratch_bytes(const em__gemm_kernels *kernels, int64_t k)
{
    return kernels->split ? em__gemm_split_scratch_bytes(k) : COPY_BYTES;
}

/* The rows of a tile, given that a block of `rows` is cut into `tiles` of nearly equal height. */
typedef struct tile_span {
    int64_t row;
    int rows;
} tile_span;

static tile_span tile_at(int64_t rows, int64_t tiles, int64_t index)
{
    int64_t begin = em__gemm_part(rows, tiles, index);
    return (tile_span){begin, (int)(em__gemm_part(rows, tiles, index + 1) - begin)};
}

/* One chunk of k of one task: what its tiles have in common. */
typedef struct gemm_chunk {
    const gemm_plan *plan;
    const gemm_task *task;
    em__gemm_tile tile;
    int64_t k0, tiles;
    bool last;
    const char *b; /* k0 of panel b_panel */
    int64_t b_panel;
    int64_t group;              /* panels of a half B that were made, */
    int64_t then_panel, then_k; /* and where the next ones begin; panel -1: nothing to fetch */
    int64_t panel_bytes;        /* from one panel of B to the next */
} gemm_chunk;

/* Before each tile, its part of what the next group of a half B is made of. */
static void fetch_half(const gemm_chunk *chunk, int64_t index, int64_t panel)
{
    const em__gemm_half *half = &chunk->plan->args->half;
    const uint16_t *at = half->data + chunk->then_panel * EM__GEMM_PANEL * half->row + chunk->then_k;
    const int64_t left = chunk->plan->args->n - chunk->then_panel * EM__GEMM_PANEL;
    const int64_t depth = em__min(chunk->plan->args->k - chunk->then_k, BLOCK_DEPTH);
    const int64_t part = index * chunk->group + panel - chunk->b_panel, parts = chunk->tiles * chunk->group;
    if (half->packed) {
        em__bf12_fetch((const void *)half->data, chunk->then_panel * EM__GEMM_PANEL,
                       em__min(left, GROUP * EM__GEMM_PANEL), chunk->then_k, depth, part, parts);
        return;
    }
    em__gemm_fetch((const char *)at, half->row * (int64_t)sizeof *at, em__min(left, GROUP * EM__GEMM_PANEL),
                   depth * (int64_t)sizeof *at, part, parts);
}

static void run_tile(gemm_chunk *chunk, int64_t index, int64_t panel)
{
    const gemm_plan *plan = chunk->plan;
    const em__gemm_args *args = plan->args;
    em__gemm_tile *tile = &chunk->tile;
    if (chunk->task->wide && chunk->then_panel >= 0)
        fetch_half(chunk, index, panel);
    const tile_span span = tile_at(chunk->task->rows, chunk->tiles, index);
    const int64_t row = chunk->task->row + span.row, column = panel * EM__GEMM_PANEL;
    tile->rows = span.rows;
    tile->lda = plan->copy_a ? COPY_LD : args->lda;
    tile->a = plan->copy_a ? chunk->task->copy + span.row * COPY_LD : args->a + row * args->lda + chunk->k0;
    tile->b = (const float *)(const void *)(chunk->b + (panel - chunk->b_panel) * chunk->panel_bytes);
    tile->c = args->c + row * args->ldc + column;
    tile->columns = (int)em__min(args->n - column, EM__GEMM_PANEL);
    tile->bias = chunk->last && args->bias ? args->bias + column : NULL;
    const bool add = chunk->last && args->residual && !args->activation;
    tile->residual = add ? args->residual + row * args->ldr + column : NULL;
    plan->kernels->tile(tile);
}

static void finish_rows(const gemm_plan *plan, int64_t row, int64_t rows, int64_t panel, int64_t panel_end)
{
    const em__gemm_args *args = plan->args;
    const int64_t column = panel * EM__GEMM_PANEL;
    const int64_t columns = em__min(args->n, panel_end * EM__GEMM_PANEL) - column;
    for (int64_t r = row; r < row + rows; r++) {
        float *c = args->c + r * args->ldc + column;
        args->activation(c, c, (size_t)columns);
        if (args->residual)
            plan->kernels->add(c, args->residual + r * args->ldr + column, columns);
    }
}

/* Part `index` of `parts` of the chunk that begins `offset` behind `next` is fetched while the coming tile runs. A half
 * B's panels are made beforehand. */
static void prefetch_part(gemm_chunk *chunk, const char *next, int64_t offset, int64_t index, int64_t parts)
{
    em__gemm_tile *tile = &chunk->tile;
    if (!next) {
        tile->prefetch_step = 0;
        tile->prefetch = chunk->b;
        return;
    }
    tile->prefetch_step = em__div_up(ROW_BYTES, parts);
    tile->prefetch = next + offset + index * tile->k * tile->prefetch_step;
}

/* Few tiles: each panel meets all of them while the next one comes. The first panel of a task nobody has asked for: its
 * first tile fetches what it will read itself a little later. */
static void run_panels(gemm_chunk *chunk, int64_t panel, int64_t panel_end, const char *next)
{
    const gemm_task *task = chunk->task;
    for (int64_t p = panel; p < panel_end; p++) {
        const char *here = next ? chunk->b + (p - chunk->b_panel) * chunk->panel_bytes : NULL;
        const char *then = next && p + 1 < panel_end ? here + chunk->panel_bytes : next;
        const int64_t cold = p == task->panel && chunk->k0 == 0;
        for (int64_t i = 0; i < chunk->tiles; i++) {
            if (cold && i == 0)
                prefetch_part(chunk, here, AHEAD, 0, 1);
            else
                prefetch_part(chunk, then, 0, i - cold, chunk->tiles - cold);
            run_tile(chunk, i, p);
        }
    }
    if (chunk->last && chunk->plan->args->activation)
        finish_rows(chunk->plan, task->row, task->rows, panel, panel_end);
}

/* Panels [panel, panel_end) of a half B's chunk, made in the task's scratch. */
static void widen_group(gemm_chunk *chunk, int64_t panel, int64_t panel_end)
{
    const gemm_plan *plan = chunk->plan;
    chunk->b = (const char *)chunk->task->wide;
    chunk->b_panel = panel;
    chunk->group = panel_end - panel;
    for (int64_t p = panel; p < panel_end; p++) {
        const int64_t column = p * EM__GEMM_PANEL;
        em__gemm_widen_panel(plan->kernels, &plan->args->half, column,
                             (int)em__min(plan->args->n - column, EM__GEMM_PANEL), chunk->k0, chunk->tile.k,
                             chunk->task->wide + (p - panel) * BLOCK_DEPTH * EM__GEMM_PANEL);
    }
}

/* Panels [panel, panel_end) of a chunk; `next` is the panel that comes after them, NULL if B is not packed. */
static void run_group(gemm_chunk *chunk, int64_t panel, int64_t panel_end, const char *next)
{
    const gemm_task *task = chunk->task;
    if (task->wide)
        widen_group(chunk, panel, panel_end);
    if (chunk->tiles <= FEW_TILES) {
        run_panels(chunk, panel, panel_end, next);
        return;
    }
    for (int64_t i = 0; i < chunk->tiles; i++) {
        for (int64_t p = panel; p < panel_end; p++) {
            prefetch_part(chunk, next, (p - panel) * chunk->panel_bytes, i, chunk->tiles);
            run_tile(chunk, i, p);
        }
        const tile_span span = tile_at(task->rows, chunk->tiles, i);
        if (chunk->last && chunk->plan->args->activation)
            finish_rows(chunk->plan, task->row + span.row, span.rows, panel, panel_end);
    }
}

/* k of a panel of B; NULL if it is not packed. */
static const char *packed_at(const em__gemm_args *args, int64_t panel, int64_t k)
{
    return args->half.data ? NULL : (const char *)(args->b + (panel * args->k + k) * EM__GEMM_PANEL);
}

/* `after` is the first panel of the task to come. */
static void run_chunk(const gemm_plan *plan, const gemm_task *task, int64_t k0, const char *after)
{
    const em__gemm_args *args = plan->args;
    gemm_chunk chunk = {
        .plan = plan, .task = task, .k0 = k0, .tiles = em__div_up(task->rows, plan->kernels->tile_rows)};
    chunk.panel_bytes = (task->wide ? BLOCK_DEPTH : args->k) * ROW_BYTES;
    chunk.tile = (em__gemm_tile){.k = em__min(args->k - k0, BLOCK_DEPTH),
                                 .ldb = EM__GEMM_PANEL,
                                 .ldc = args->ldc,
                                 .first = k0 == 0,
                                 .ldr = args->ldr,
                                 .prefetch_step = em__div_up(EM__GEMM_PANEL * (int64_t)sizeof(float), chunk.tiles)};
    chunk.last = k0 + chunk.tile.k >= args->k;
    for (int64_t p = task->panel; p < task->panel_end; p += GROUP) {
        const int64_t end = em__min(p + GROUP, task->panel_end);
        const char *next = end < task->panel_end ? packed_at(args, end, k0)
                           : chunk.last          ? after
                                                 : packed_at(args, task->panel, k0 + BLOCK_DEPTH);
        chunk.b = packed_at(args, 0, k0);
        chunk.then_panel = end < task->panel_end ? end : task->panel;
        chunk.then_k = end < task->panel_end ? k0 : k0 + BLOCK_DEPTH;
        if (args->half.depth != 1 || chunk.then_k >= args->k)
            chunk.then_panel = -1;
        run_group(&chunk, p, end, next);
    }
}

static void copy_rows(const gemm_plan *plan, const gemm_task *task, int64_t k0)
{
    const em__gemm_args *args = plan->args;
    size_t bytes = (size_t)em__min(args->k - k0, BLOCK_DEPTH) * sizeof(float);
    for (int64_t r = 0; r < task->rows; r++)
        memcpy(task->copy + r * COPY_LD, args->a + (task->row + r) * args->lda + k0, bytes);
}

static void run_task(void *context, int64_t index, int worker)
{
    const gemm_plan *plan = context;
    const em__gemm_args *args = plan->args;
    const int64_t block = index / plan->cut.column_blocks, column = index % plan->cut.column_blocks;
    gemm_task task = {.row = em__gemm_part(args->m, plan->cut.row_blocks, block),
                      .panel = em__gemm_part(plan->panels, plan->cut.column_blocks, column),
                      .panel_end = em__gemm_part(plan->panels, plan->cut.column_blocks, column + 1)};
    task.rows = em__gemm_part(args->m, plan->cut.row_blocks, block + 1) - task.row;
    char *scratch = plan->pool ? em__pool_scratch(plan->pool, worker) : NULL;
    task.copy = plan->copy_a ? (float *)(void *)scratch : NULL;
    task.wide = args->half.data ? (float *)(void *)(scratch + COPY_BYTES) : NULL;
    const bool more = plan->follow && column + 1 < plan->cut.column_blocks;
    const int64_t next_panel = more ? task.panel_end : task.panel;
    const char *after = packed_at(args, next_panel, 0);
    int64_t k0 = 0;
    do {
        if (plan->copy_a)
            copy_rows(plan, &task, k0);
        run_chunk(plan, &task, k0, after);
        k0 += BLOCK_DEPTH;
    } while (k0 < args->k);
}

static em__gemm_cut choose_cut(const gemm_plan *plan)
{
    const em__gemm_args *args = plan->args;
    const em__gemm_costs costs = {.tile_rows = plan->kernels->tile_rows,
                                  .per_row = 2 * args->k,
                                  .per_tile = 80,
                                  .per_panel = (args->half.data ? 16 : 2) * args->k,
                                  .most_rows = BLOCK_ROWS};
    return em__gemm_choose_cut(&costs, args->m, plan->panels, em__pool_width(plan->pool));
}

static void run_plan(gemm_plan *plan)
{
    plan->cut = choose_cut(plan);
    const int64_t tasks = plan->cut.row_blocks * plan->cut.column_blocks;
    plan->follow = !plan->pool || tasks > em__pool_size(plan->pool);
    em__pool_run(plan->pool, run_task, plan, tasks);
}

static gemm_plan make_plan(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    gemm_plan plan = {.kernels = kernels, .pool = pool, .args = args};
    plan.panels = em__div_up(args->n, EM__GEMM_PANEL);
    plan.copy_a = pool && args->m >= 8 && args->lda * (int64_t)sizeof(float) % PAGE == 0;
    return plan;
}

em_status em__gemm_f32(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    if (args->m <= 0 || args->n <= 0)
        return EM_OK;
    if (kernels->split)
        return em__gemm_split_run(kernels, pool, args);
    gemm_plan plan = make_plan(kernels, pool, args);
    if (plan.copy_a)
        EM__TRY(em__pool_reserve(pool, em__gemm_scratch_bytes(kernels, args->k)));
    run_plan(&plan);
    return EM_OK;
}

/* Matrix units take bf16 as it is. */
static bool is_split_half(const em__gemm_kernels *kernels, const em__gemm_half *half)
{
    return kernels->split && half->dtype == EM_BF16 && half->depth == 1;
}

size_t em__gemm_half_scratch_bytes(const em__gemm_kernels *kernels, int64_t k)
{
    const size_t split = kernels->split ? em__gemm_split_half_scratch_bytes(k) : 0;
    return split > COPY_BYTES + WIDE_BYTES ? split : COPY_BYTES + WIDE_BYTES;
}

em_status em__gemm_half_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    const int kind = args->half.packed ? EM__B_PACKED : args->half.dtype == EM_BF16 ? EM__B_BF16 : EM__B_F16;
    if (args->m <= 0 || args->n <= 0)
        return EM_OK;
    if (args->half.depth == 1 && (args->laid || em__gemm_is_thin(kernels, args))) {
        em__gemm_thin_run(kernels, pool, args, kind, args->half.data, args->half.row);
        return EM_OK;
    }
    if (is_split_half(kernels, &args->half))
        return em__gemm_split_half_run(kernels, pool, args);
    gemm_plan plan = make_plan(kernels, pool, args);
    EM__TRY(em__pool_reserve(pool, COPY_BYTES + WIDE_BYTES));
    run_plan(&plan);
    return EM_OK;
}

void em__gemm_f32_inline(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    if (args->m <= 0 || args->n <= 0)
        return;
    if (kernels->split) {
        em__gemm_split_inline(kernels, pool, args);
        return;
    }
    gemm_plan plan = make_plan(kernels, pool, args);
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

static void pack_strided(const em__gemm_columns *from, float *dst)
{
    for (int64_t k = 0; k < from->k; k++)
        for (int j = 0; j < EM__GEMM_PANEL; j++)
            dst[k * EM__GEMM_PANEL + j] = j < from->columns ? from->data[k * from->stride_k + j * from->stride_n] : 0;
}

void em__gemm_pack_panel(const em__gemm_kernels *kernels, const em__gemm_columns *from, float *dst, bool past)
{
    if (from->stride_k == 1)
        kernels->pack_rows(dst, from->data, from->stride_n, from->columns, from->k, past);
    else if (from->stride_n == 1)
        kernels->pack_columns(dst, from->data, from->stride_k, from->columns, from->k, past);
    else
        pack_strided(from, dst);
}

static void pack_panel(void *context, int64_t panel, int worker)
{
    const pack_job *job = context;
    (void)worker;
    const int64_t column = panel * EM__GEMM_PANEL;
    const em__gemm_columns from = {.data = job->src + column * job->stride_n,
                                   .stride_n = job->stride_n,
                                   .stride_k = job->stride_k,
                                   .columns = (int)em__min(job->n - column, EM__GEMM_PANEL),
                                   .k = job->k};
    char *dst = (char *)job->dst + (size_t)panel * panel_bytes(job->kernels, job->k);
    if (job->kernels->split)
        em__gemm_split_pack_panel(job->kernels, &from, dst);
    else
        em__gemm_pack_panel(job->kernels, &from, (float *)(void *)dst, job->past);
}

void em__gemm_f32_pack(const em__gemm_kernels *kernels, em__pool *pool, float *dst, const float *src, int64_t n,
                       int64_t k, int64_t stride_n, int64_t stride_k)
{
    const size_t bytes = em__gemm_f32_packed_bytes(kernels, n, k);
    pack_job job = {kernels, dst, src, n, k, stride_n, stride_k, false};
    job.past = bytes >= (stride_k == 1 ? PAST_WEIGHT : PAST_MATRIX);
    em__pool_run(pool, pack_panel, &job, em__div_up(n, EM__GEMM_PANEL));
}
