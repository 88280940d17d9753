/*
 * The driver of products that round A. A task is a block of rows x a range of panels of C; it takes a group of panels
 * at a time over all blocks of k, makes the group's block in L2, and lets every tile of rows meet it. While it works on
 * one block, the next one's weights are fetched. No choice made here changes a bit of the result.
 */
#include "device/cpu/gemm_round.h"

#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define BLOCK_ROWS 1024 /* most rows of a task */
#define ROUND_ROWS 16   /* rows of A that are rounded at a time */
#define HALF (EM__ROUND_DEPTH * EM__ROUND_COLUMNS)
#define LINE 32 /* elements */

const em__round_kernels *em__round_kernels_get(em__cpu_level level)
{
#if defined(__x86_64__)
    const em__cpu_info *cpu = em__cpu_get();
    const em__cpu_level best = cpu->hardware < level ? cpu->hardware : level;
    if (best >= EM__CPU_AMX)
        return em__round_kernels_amx();
    if (best >= EM__CPU_AVX512 && cpu->avx512_bf16)
        return em__round_kernels_bf16();
#endif
    (void)level;
    return NULL;
}

/* A line more than k takes, so that rows do not fall on the same cache lines. */
int64_t em__round_stride(int64_t k)
{
    return em__div_up(k, LINE) * LINE + LINE;
}

size_t em__round_bytes(int64_t m, int64_t k)
{
    return (size_t)m * (size_t)em__round_stride(k) * sizeof(uint16_t);
}

size_t em__round_scratch_bytes(const em__round_kernels *kernels, const em__round_weight *weight)
{
    return (size_t)kernels->panels * 2 * HALF * sizeof(uint16_t) + (weight ? weight->room : 0);
}

typedef struct rounding {
    const em__round_kernels *kernels;
    const em__gemm_args *args;
    uint16_t *to;
} rounding;

static void round_some(void *context, int64_t index, int worker)
{
    const rounding *job = context;
    const em__gemm_args *args = job->args;
    const int64_t end = em__min(args->m, (index + 1) * ROUND_ROWS);
    (void)worker;
    for (int64_t r = index * ROUND_ROWS; r < end; r++)
        job->kernels->round(job->to + r * em__round_stride(args->k), args->a + r * args->lda, args->k);
}

void em__round_rows(const em__round_kernels *kernels, em__pool *pool, const em__gemm_args *args, uint16_t *to)
{
    rounding job = {kernels, args, to};
    em__pool_run(pool, round_some, &job, em__div_up(args->m, ROUND_ROWS));
}

typedef struct round_plan {
    const em__round_kernels *kernels;
    em__pool *pool;
    const em__gemm_args *args;
    const em__round_weight *weight; /* or NULL */
    const uint16_t *a;
    int64_t lda, panels;
    em__gemm_cut cut;
} round_plan;

/* One block of k of one group of panels. */
typedef struct round_block {
    const round_plan *plan;
    int64_t row, rows, tiles;
    int64_t panel, panel_end, k0, depth;
    int64_t then_panel, then_k; /* what comes after it */
    uint16_t *b;
} round_block;

/* Half a panel of a packed B: its blocks, which are turned already. */
static void unpack(const round_block *block, int64_t column, uint16_t *dst)
{
    const em__gemm_kernels *kernels = em__gemm_kernels_get(EM__CPU_AVX512);
    const em__bf12 *w = (const void *)block->plan->args->half.data;
    const int64_t first = column / EM__BF12_COLUMNS * w->chunks + block->k0 / EM__BF12_DEPTH;
    for (int64_t i = 0; i < block->depth / EM__BF12_DEPTH; i++)
        em__bf12_unpack(kernels, w, first + i, dst + i * EM__BF12_ELEMENTS, EM__BF12_STEP);
}

static void make_panels(const round_block *block)
{
    const em__gemm_args *args = block->plan->args;
    const em__round_weight *weight = block->plan->weight;
    const int64_t end = em__min(block->panel_end * EM__GEMM_PANEL, args->n);
    uint16_t *dst = block->b;
    for (int64_t j = block->panel * EM__GEMM_PANEL; j < end; j += EM__ROUND_COLUMNS, dst += HALF) {
        const int columns = (int)em__min(end - j, EM__ROUND_COLUMNS);
        if (weight)
            weight->make(weight->w, dst, j, columns, block->k0, block->depth,
                         block->b + block->plan->kernels->panels * 2 * HALF);
        else if (args->half.packed)
            unpack(block, j, dst);
        else
            block->plan->kernels->turn(dst, args->half.data + j * args->half.row + block->k0, args->half.row, columns,
                                       block->depth);
    }
}

static void fetch_packed(const round_block *block, int64_t index, int64_t parts)
{
    const em__bf12 *w = (const void *)block->plan->args->half.data;
    const int64_t group = block->then_panel * EM__GEMM_PANEL / EM__BF12_COLUMNS;
    const int64_t chunks = em__min(w->k - block->then_k, EM__ROUND_DEPTH) / EM__BF12_DEPTH;
    const int64_t groups = em__min(em__div_up(w->n, EM__BF12_COLUMNS) - group,
                                   block->plan->kernels->panels * EM__GEMM_PANEL / EM__BF12_COLUMNS);
    em__gemm_fetch((const char *)em__bf12_block_at(w, group * w->chunks + block->then_k / EM__BF12_DEPTH),
                   w->chunks * EM__BF12_BYTES, groups, chunks * EM__BF12_BYTES, index, parts);
}

/* Before each tile, its part of the weights that come next. */
static void fetch_next(const round_block *block, int64_t tile, int64_t panel)
{
    const em__gemm_args *args = block->plan->args;
    const int64_t column = block->then_panel * EM__GEMM_PANEL, group = block->panel_end - block->panel;
    if (column >= args->n || args->k == 0)
        return;
    const em__round_weight *weight = block->plan->weight;
    const int64_t columns = em__min(args->n - column, block->plan->kernels->panels * EM__GEMM_PANEL);
    const int64_t depth = em__min(args->k - block->then_k, EM__ROUND_DEPTH);
    const int64_t index = tile * group + panel - block->panel, parts = block->tiles * group;
    if (weight) {
        weight->fetch(weight->w, column, columns, block->then_k, depth, index, parts);
    } else if (args->half.packed) {
        fetch_packed(block, index, parts);
    } else {
        const uint16_t *at = args->half.data + column * args->half.row + block->then_k;
        em__gemm_fetch((const char *)at, args->half.row * (int64_t)sizeof *at, columns, depth * (int64_t)sizeof *at,
                       index, parts);
    }
}

/* Where C is next written behind the tile at (row, panel): the next panel's, or the first one's of the next rows. */
static const float *next_of(const round_block *block, int64_t row, int64_t rows, int64_t panel)
{
    const em__gemm_args *args = block->plan->args;
    if (panel + 1 < block->panel_end)
        return args->c + row * args->ldc + (panel + 1) * EM__GEMM_PANEL;
    if (row + rows < block->row + block->rows)
        return args->c + (row + rows) * args->ldc + block->panel * EM__GEMM_PANEL;
    return NULL;
}

static void run_tile(const round_block *block, int64_t row, int64_t rows, int64_t panel)
{
    const round_plan *plan = block->plan;
    const em__gemm_args *args = plan->args;
    const int64_t column = panel * EM__GEMM_PANEL;
    const bool last = block->k0 + block->depth >= args->k;
    const em__round_tile tile = {
        .a = plan->a + row * plan->lda + block->k0,
        .lda = plan->lda,
        .b = block->b + (panel - block->panel) * 2 * HALF,
        .half = HALF,
        .c = args->c + row * args->ldc + column,
        .ldc = args->ldc,
        .next_c = next_of(block, row, rows, panel),
        .pairs = em__div_up(block->depth, 2),
        .rows = (int)rows,
        .columns = (int)em__min(args->n - column, EM__GEMM_PANEL),
        .first = block->k0 == 0,
        .bias = last && args->bias ? args->bias + column : NULL,
        .residual = last && args->residual && !args->activation ? args->residual + row * args->ldr + column : NULL,
        .ldr = args->ldr};
    plan->kernels->tile(&tile);
}

static void finish_rows(const round_block *block, int64_t row, int64_t rows)
{
    const em__gemm_args *args = block->plan->args;
    const int64_t column = block->panel * EM__GEMM_PANEL;
    const int64_t columns = em__min(args->n, block->panel_end * EM__GEMM_PANEL) - column;
    for (int64_t r = row; r < row + rows; r++) {
        float *c = args->c + r * args->ldc + column;
        args->activation(c, c, (size_t)columns);
        for (int64_t j = 0; args->residual && j < columns; j++)
            c[j] += args->residual[r * args->ldr + column + j];
    }
}

static void run_block(const round_block *block)
{
    const em__gemm_args *args = block->plan->args;
    make_panels(block);
    for (int64_t i = 0; i < block->tiles; i++) {
        const int64_t from = em__gemm_part(block->rows, block->tiles, i);
        const int64_t rows = em__gemm_part(block->rows, block->tiles, i + 1) - from;
        for (int64_t p = block->panel; p < block->panel_end; p++) {
            fetch_next(block, i, p);
            run_tile(block, block->row + from, rows, p);
        }
        if (args->activation && block->k0 + block->depth >= args->k)
            finish_rows(block, block->row + from, rows);
    }
}

static void run_task(void *context, int64_t index, int worker)
{
    const round_plan *plan = context;
    const em__gemm_args *args = plan->args;
    const int64_t rows = index / plan->cut.column_blocks, column = index % plan->cut.column_blocks;
    const int64_t end = em__gemm_part(plan->panels, plan->cut.column_blocks, column + 1);
    round_block block = {.plan = plan,
                         .row = em__gemm_part(args->m, plan->cut.row_blocks, rows),
                         .panel = em__gemm_part(plan->panels, plan->cut.column_blocks, column),
                         .b = em__pool_scratch(plan->pool, worker)};
    block.rows = em__gemm_part(args->m, plan->cut.row_blocks, rows + 1) - block.row;
    block.tiles = em__div_up(block.rows, plan->kernels->tile_rows);
    em__round_begin(plan->kernels);
    for (; block.panel < end; block.panel = block.panel_end) {
        block.panel_end = em__min(block.panel + plan->kernels->panels, end);
        block.k0 = 0;
        do {
            block.depth = em__min(args->k - block.k0, EM__ROUND_DEPTH);
            const bool more = block.k0 + block.depth < args->k;
            block.then_panel = more ? block.panel : block.panel_end;
            block.then_k = more ? block.k0 + block.depth : 0;
            run_block(&block);
            block.k0 += EM__ROUND_DEPTH;
        } while (block.k0 < args->k);
    }
    em__round_end(plan->kernels);
}

em_status em__round_run(const em__round_kernels *kernels, em__pool *pool, const em__gemm_args *args,
                        const uint16_t *rounded, const em__round_weight *weight)
{
    if (args->m <= 0 || args->n <= 0)
        return EM_OK;
    const em__gemm_costs costs = {.tile_rows = kernels->tile_rows,
                                  .per_row = args->k / kernels->rate,
                                  .per_tile = 80,
                                  .per_panel = 8 * args->k,
                                  .most_rows = BLOCK_ROWS,
                                  .long_task = kernels->long_task};
    round_plan plan = {kernels, pool, args, weight, rounded, em__round_stride(args->k), 0, {0}};
    plan.panels = em__div_up(args->n, EM__GEMM_PANEL);
    plan.cut = em__gemm_choose_cut(&costs, args->m, plan.panels, em__pool_size(pool));
    EM__TRY(em__pool_reserve(pool, em__round_scratch_bytes(kernels, weight)));
    em__pool_run(pool, run_task, &plan, plan.cut.row_blocks * plan.cut.column_blocks);
    return EM_OK;
}
