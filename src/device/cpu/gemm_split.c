/*
 * The driver of products by bf16 thirds: tasks, and the f32 detours of gemm_split.h.
 *
 * A task is a block of rows x a range of panels. It splits its rows into the worker's scratch, where they stay in L2
 * while the panels come by one after the other; each panel meets 32 rows at a time, and meanwhile the next one is cut
 * and the one behind it called nearer. Of long rows a slab of the depth is split at a time, for more rows to stay; C
 * has the sums meanwhile, to which chunks are added in the same order.
 */
#include "device/cpu/gemm_split.h"

#include <string.h>

#include "core/block.h"
#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"

#define PANEL EM__GEMM_PANEL
#define RING 2  /* steps of a panel that are there at a time where it meets 32 rows and no more, in the first cache; */
#define LEAD 1  /* and so many of them are ahead */
#define GROUP 4 /* panels after which finished rows meet the activation */
#define SLAB (2 * EM__SPLIT_CHUNK)        /* steps: rows more than half as long again are split, and met, by so many */
#define SPLIT_BYTES ((int64_t)1200 << 10) /* of split rows in a worker's scratch, if one block of rows allows it */
#define BLOCK_ROWS_MAX 512
#define LARGEST_BYTES (BLOCK_ROWS_MAX * sizeof(uint32_t))
#define STEP_PAIRS EM__SPLIT_STEP_PAIRS
#define LONG_TASK 50000 /* cycles: a thread whose core is busy otherwise multiplies at a third of the rate of others */

typedef struct split_plan {
    const em__gemm_kernels *kernels;
    em__pool *pool;
    const em__gemm_args *args;
    int64_t steps, slab, panels;
    size_t panel_bytes;
    em__gemm_cut cut;
    char *scratch; /* when there is no pool */
} split_plan;

typedef struct split_task {
    const split_plan *plan;
    int64_t row, rows, panel_end;
    int64_t from, steps; /* what of the depth is met now; */
    bool last;           /* nothing comes behind it */
    uint16_t *split;     /* of the rows and these steps */
    uint32_t *largest;   /* [rows] */
    bool any_unsafe;     /* known with the last steps */
    float *widened;      /* room for one f32 panel */
    uint16_t *half;      /* and for one of a B of bf16 */
    uint16_t *cut[2];    /* or for two panels of thirds: the one that is multiplied, and the next one, */
    int64_t ready;       /* which is that panel; -1: none is */
} split_task;

/* Rows of a task: multiples of 32 of which the split form fits, at least one. */
static int64_t most_rows(int64_t steps)
{
    const int64_t row_bytes = steps * EM__SPLIT_A_STEP / 16 * (int64_t)sizeof(uint16_t);
    const int64_t rows = row_bytes ? SPLIT_BYTES / row_bytes / EM__SPLIT_ROWS * EM__SPLIT_ROWS : BLOCK_ROWS_MAX;
    return rows < EM__SPLIT_ROWS ? EM__SPLIT_ROWS : em__min(rows, BLOCK_ROWS_MAX);
}

static int64_t slab_of(int64_t steps)
{
    return steps <= SLAB + SLAB / 2 ? steps : SLAB;
}

static size_t split_bytes(int64_t steps)
{
    return (size_t)(most_rows(steps) / 16 * steps) * EM__SPLIT_A_STEP * sizeof(uint16_t);
}

/* Room for what is split of a product of that depth, whichever way it goes. */
static size_t most_split_bytes(int64_t steps)
{
    const size_t whole = split_bytes(steps), slab = split_bytes(slab_of(steps));
    return whole > slab ? whole : slab;
}

size_t em__gemm_split_scratch_bytes(int64_t k)
{
    const int64_t steps = em__gemm_split_steps(k);
    return most_split_bytes(steps) + 2 * (size_t)(steps * EM__SPLIT_B_STEP) * sizeof(uint16_t) + LARGEST_BYTES;
}

static size_t half_bytes(int64_t steps)
{
    return (size_t)steps * EM__SPLIT_HALF_STEP * sizeof(uint16_t);
}

size_t em__gemm_split_half_scratch_bytes(int64_t k)
{
    const int64_t steps = em__gemm_split_steps(k);
    return most_split_bytes(steps) + (size_t)(steps * EM__SPLIT_DEPTH * PANEL) * sizeof(float) + half_bytes(steps) +
           LARGEST_BYTES;
}

/* What the elements of C at (row, panel) are made of, besides the products. */
static em__gemm_tile tile_at(const split_task *task, int64_t row, int rows, int64_t panel)
{
    const em__gemm_args *args = task->plan->args;
    const int64_t column = panel * PANEL, at = task->row + row;
    em__gemm_tile tile = {.a = args->a + at * args->lda,
                          .lda = args->lda,
                          .ldb = PANEL,
                          .c = args->c + at * args->ldc + column,
                          .ldc = args->ldc,
                          .k = args->k,
                          .rows = rows,
                          .columns = (int)em__min(args->n - column, PANEL),
                          .first = true,
                          .bias = args->bias && task->last ? args->bias + column : NULL,
                          .ldr = args->ldr};
    if (args->residual && !args->activation && task->last)
        tile.residual = args->residual + at * args->ldr + column;
    return tile;
}

/* Rows against a panel of plain f32. */
static void multiply_plain(const split_task *task, int64_t row, int64_t rows, int64_t panel, const float *b)
{
    const em__gemm_kernels *kernels = task->plan->kernels;
    for (int64_t r = 0; r < rows; r += kernels->tile_rows) {
        em__gemm_tile tile = tile_at(task, row + r, (int)em__min(rows - r, kernels->tile_rows), panel);
        tile.b = b;
        tile.prefetch = (const char *)b;
        kernels->tile(&tile);
    }
}

/* The sums so far, from C. */
static void take_up(float *sum, const em__gemm_tile *tile)
{
    if (tile->rows < EM__SPLIT_ROWS || tile->columns < PANEL)
        memset(sum, 0, sizeof *sum * EM__SPLIT_ROWS * PANEL);
    for (int r = 0; r < tile->rows; r++)
        memcpy(sum + r * PANEL, tile->c + r * tile->ldc, (size_t)tile->columns * sizeof *sum);
}

/* 32 rows at a time meet the panel's steps, that begin at `b`, by `multiply`, which may do more meanwhile: `ahead` says
 * what of it is block i's share. */
typedef void (*ahead_fn)(const split_task *task, em__split_block *block, int64_t panel, int64_t i, int64_t blocks);

static void multiply_blocks(const split_task *task, int64_t panel, const uint16_t *b, ahead_fn ahead,
                            void (*multiply)(const em__split_block *))
{
    const split_plan *plan = task->plan;
    _Alignas(64) float sum[EM__SPLIT_ROWS * PANEL];
    const int64_t blocks = em__div_up(task->rows, EM__SPLIT_ROWS);
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t row = i * EM__SPLIT_ROWS, rows = em__min(task->rows - row, EM__SPLIT_ROWS);
        const em__gemm_tile tile = tile_at(task, row, (int)rows, panel);
        em__split_block block = {.b = b, .steps = task->steps, .sum = sum, .add = task->from > 0};
        block.a[0] = task->split + 2 * i * task->steps * EM__SPLIT_A_STEP;
        block.a[1] = rows > 16 ? block.a[0] + task->steps * EM__SPLIT_A_STEP : NULL;
        ahead(task, &block, panel, i, blocks);
        if (block.add)
            take_up(sum, &tile);
        multiply(&block);
        plan->kernels->split->store(sum, &tile);
    }
}

static void multiply_unsafe(const split_task *task, int64_t panel, const float *b)
{
    for (int64_t r = 0; r < task->rows && task->any_unsafe; r++)
        if (!em__gemm_split_are_safe(task->largest + r, 1))
            multiply_plain(task, r, 1, panel, b);
}

/* The next panel of a half B as it lies is called nearer. */
static void fetch_half(const split_task *task, em__split_block *block, int64_t panel, int64_t i, int64_t blocks)
{
    const em__gemm_half *half = &task->plan->args->half;
    const bool more = panel + 1 < task->panel_end && half->row == task->plan->args->k && !half->packed;
    const int64_t lines = more ? em__div_up((int64_t)half_bytes(1) / 64, blocks) : 0;
    block->prefetch_step = lines * 64;
    block->prefetch = (const char *)(more ? half->data + (panel + 1) * PANEL * half->row : block->b) +
                      i * block->steps * block->prefetch_step;
}

static void multiply_half(const split_task *task, int64_t panel)
{
    const split_plan *plan = task->plan;
    const em__gemm_args *args = plan->args;
    const int64_t column = panel * PANEL;
    const int columns = (int)em__min(args->n - column, PANEL);
    const bool safe = em__gemm_split_lay_half(plan->kernels, args, panel, task->half);
    if (!safe || task->any_unsafe)
        em__gemm_widen_panel(plan->kernels, &args->half, column, columns, 0, args->k, task->widened);
    if (!safe) {
        multiply_plain(task, 0, task->rows, panel, task->widened);
        return;
    }
    multiply_blocks(task, panel, task->half, fetch_half, plan->kernels->split->multiply_half);
    multiply_unsafe(task, panel, task->widened);
}

/* The steps of a packed panel that are met now. */
static const float *panel_steps(const split_task *task, int64_t panel)
{
    return em__gemm_split_panel(task->plan->args, panel) + task->from * EM__SPLIT_DEPTH * PANEL;
}

/* The next panel is cut whole, to be met by all rows. */
static void cut_next(const split_task *task, em__split_block *block, int64_t panel, int64_t i, int64_t blocks)
{
    const bool more = task->ready == panel + 1;
    em__gemm_split_cut_ahead(block, panel_steps(task, panel + more), more ? block->steps : 0, task->cut[1],
                             (int64_t)task->plan->panel_bytes, i, blocks);
}

/* The panel's own steps are cut, just ahead of the products, and then the first ones of the next panel. */
static void cut_on(const split_task *task, em__split_block *block, int64_t panel, int64_t i, int64_t blocks)
{
    (void)i, (void)blocks;
    const int64_t own = (block->steps - LEAD) * STEP_PAIRS;
    block->ring = RING - 1;
    block->lead = LEAD;
    block->next = em__gemm_split_panel(task->plan->args, panel) + LEAD * EM__SPLIT_DEPTH * PANEL;
    block->cut = task->cut[0];
    block->cut_from = 0;
    block->cut_each = STEP_PAIRS;
    block->cut_gap = own;
    block->cut_end = task->ready == panel + 1 ? own + LEAD * STEP_PAIRS : own;
}

static void multiply_panel(split_task *task, int64_t panel)
{
    const split_plan *plan = task->plan;
    const bool once =
        task->rows <= EM__SPLIT_ROWS && task->steps == plan->steps && plan->steps >= RING && plan->steps % RING == 0;
    if (!em__gemm_split_may_cut(plan->args, panel)) {
        if (task->last)
            multiply_plain(task, 0, task->rows, panel, em__gemm_split_panel(plan->args, panel));
        return;
    }
    if (!once) { /* what was ready is multiplied */
        uint16_t *const cut = task->cut[1];
        task->cut[1] = task->cut[0];
        task->cut[0] = cut;
    }
    if (task->ready != panel)
        plan->kernels->split->cut(task->cut[0], panel_steps(task, panel), once ? LEAD : task->steps);
    const bool more = panel + 1 < task->panel_end && em__gemm_split_may_cut(plan->args, panel + 1);
    task->ready = more ? panel + 1 : -1;
    multiply_blocks(task, panel, task->cut[0], once ? cut_on : cut_next, plan->kernels->split->multiply);
    multiply_unsafe(task, panel, em__gemm_split_panel(plan->args, panel));
}

static void finish_rows(const split_task *task, int64_t panel, int64_t panel_end)
{
    const em__gemm_args *args = task->plan->args;
    const int64_t column = panel * PANEL, columns = em__min(args->n, panel_end * PANEL) - column;
    for (int64_t row = task->row; row < task->row + task->rows; row++) {
        float *c = args->c + row * args->ldc + column;
        args->activation(c, c, (size_t)columns);
        if (args->residual)
            task->plan->kernels->add(c, args->residual + row * args->ldr + column, columns);
    }
}

static void split_all_rows(split_task *task)
{
    const split_plan *plan = task->plan;
    const em__gemm_args *args = plan->args;
    const int64_t k = task->from * EM__SPLIT_DEPTH, depth = em__min(args->k - k, task->steps * EM__SPLIT_DEPTH);
    for (int64_t row = 0; row < task->rows; row += 16)
        plan->kernels->split->split_rows(task->split + row / 16 * task->steps * EM__SPLIT_A_STEP,
                                         args->a + (task->row + row) * args->lda + k, args->lda,
                                         (int)em__min(task->rows - row, 16), depth, task->largest + row);
    task->any_unsafe = task->last && !em__gemm_split_are_safe(task->largest, task->rows);
}

/* The task's rows by its panels, over the steps that are met now. */
static void multiply_panels(split_task *task, int64_t panel)
{
    const em__gemm_args *args = task->plan->args;
    task->ready = -1;
    for (; panel < task->panel_end; panel += GROUP) {
        const int64_t end = em__min(panel + GROUP, task->panel_end);
        for (int64_t i = panel; i < end && args->half.data; i++)
            multiply_half(task, i);
        for (int64_t i = panel; i < end && !args->half.data; i++)
            multiply_panel(task, i);
        if (args->activation && task->last)
            finish_rows(task, panel, end);
    }
}

static void run_task(void *context, int64_t index, int worker)
{
    const split_plan *plan = context;
    const em__gemm_args *args = plan->args;
    const int64_t block = index / plan->cut.column_blocks, column = index % plan->cut.column_blocks;
    const int64_t panel = em__gemm_part(plan->panels, plan->cut.column_blocks, column);
    char *scratch = plan->pool ? em__pool_scratch(plan->pool, worker) : plan->scratch;
    split_task task = {.plan = plan, .row = em__gemm_part(args->m, plan->cut.row_blocks, block)};
    task.rows = em__gemm_part(args->m, plan->cut.row_blocks, block + 1) - task.row;
    task.panel_end = em__gemm_part(plan->panels, plan->cut.column_blocks, column + 1);
    task.largest = (uint32_t *)(void *)scratch;
    task.split = (uint16_t *)(void *)(scratch + LARGEST_BYTES);
    task.half = task.cut[0] = task.split + most_split_bytes(plan->steps) / sizeof *task.split;
    task.cut[1] = task.cut[0] + plan->slab * EM__SPLIT_B_STEP;
    task.widened = (float *)(void *)(task.half + plan->steps * EM__SPLIT_HALF_STEP);
    memset(task.largest, 0, LARGEST_BYTES);
    plan->kernels->split->begin();
    do {
        task.steps = em__min(plan->slab, plan->steps - task.from);
        task.last = task.from + task.steps == plan->steps;
        split_all_rows(&task);
        multiply_panels(&task, panel);
        task.from += plan->slab;
    } while (!task.last);
    plan->kernels->split->end();
}

static split_plan make_plan(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    split_plan plan = {.kernels = kernels, .pool = pool, .args = args, .steps = em__gemm_split_steps(args->k)};
    plan.slab = args->half.data || args->m <= EM__SPLIT_ROWS ? plan.steps : slab_of(plan.steps);
    plan.panels = em__div_up(args->n, PANEL);
    plan.panel_bytes = em__gemm_split_panel_bytes(args->k);
    const em__gemm_costs costs = {.tile_rows = EM__SPLIT_ROWS,
                                  .per_row = 8,
                                  .per_tile = plan.steps * (args->half.data ? 200 : 400),
                                  .per_panel = plan.steps * (args->half.data ? 400 : 100),
                                  .per_row_once = plan.steps * 40,
                                  .most_rows = most_rows(plan.slab),
                                  .long_task = LONG_TASK};
    plan.cut = em__gemm_choose_cut(&costs, args->m, plan.panels, em__pool_width(pool));
    return plan;
}

void em__gemm_split_inline(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    split_plan plan = make_plan(kernels, pool, args);
    em__pool_run(pool, run_task, &plan, plan.cut.row_blocks * plan.cut.column_blocks);
}

static em_status run_alone(const em__gemm_kernels *kernels, const em__gemm_args *args)
{
    const size_t bytes = em__gemm_split_scratch_bytes(args->k);
    split_plan plan = make_plan(kernels, NULL, args);
    plan.scratch = em__block_alloc(bytes);
    if (!plan.scratch)
        return EM_ERROR_OUT_OF_MEMORY;
    for (int64_t i = 0; i < plan.cut.row_blocks * plan.cut.column_blocks; i++)
        run_task(&plan, i, 0);
    em__block_free(plan.scratch, bytes);
    return EM_OK;
}

em_status em__gemm_split_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    if (!pool)
        return run_alone(kernels, args);
    EM__TRY(em__pool_reserve(pool, em__gemm_split_scratch_bytes(args->k)));
    em__gemm_split_inline(kernels, pool, args);
    return EM_OK;
}

em_status em__gemm_split_half_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args)
{
    EM__TRY(em__pool_reserve(pool, em__gemm_split_half_scratch_bytes(args->k)));
    em__gemm_split_inline(kernels, pool, args);
    return EM_OK;
}
