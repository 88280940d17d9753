/*
 * The driver of product.h: B is packed into panels, A made contiguous where it isn't, then tasks of rows x panels of
 * one product of the batch meet block after block of depth.
 */
#include "device/cpu/product.h"

#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_small.h"
#include "device/cpu/product_pack.h"

#define BLOCK (4 * EM__PRODUCT_CHUNK) /* steps of depth at a time: C is read and written once in so many */
#define BLOCK_ROWS 112
#define MOST_ROWS 16 /* of any tile */
#define MOST_COLUMNS 32
#define PAGE 4096
#define LINE 64

typedef struct plan {
    const em__product *product;
    const em__product_kernel *kernel;
    em__pool *pool;
    em__product_kind kind;
    bool complex, copies_a;
    size_t size; /* bytes of the kind's element */
    int64_t count, steps, columns, panels;
    int64_t copy_row; /* of A's copies, in elements of the kind */
    int64_t block;    /* steps of depth at a time */
    char *a, *b;
    em__gemm_cut cut;
} plan;

static bool kind_of(em_dtype dtype, em__product_kind *kind)
{
    switch (dtype) {
    case EM_C64: *kind = EM__PRODUCT_F32; return true;
    case EM_F64:
    case EM_C128: *kind = EM__PRODUCT_F64; return true;
    case EM_S32:
    case EM_U32: *kind = EM__PRODUCT_U32; return true;
    case EM_S64:
    case EM_U64: *kind = EM__PRODUCT_U64; return true;
    case EM_S8:
    case EM_U8:
    case EM_S16:
    case EM_U16:
    case EM_PRED: *kind = EM__PRODUCT_PAIRS; return true;
    default: return false;
    }
}

bool em__product_takes(em_dtype dtype)
{
    em__product_kind kind;
    return kind_of(dtype, &kind);
}

/* A's rows are so far apart that those of a tile fall on the same lines of the first cache, and are read often. */
static bool falls_together(const em__product *product)
{
    return product->a.row != 0 && product->m >= MOST_ROWS / 2 && product->n >= 2 * MOST_COLUMNS &&
           (size_t)product->a.row * em_dtype_size(product->dtype) % PAGE == 0;
}

static plan make_plan(const em__product *product, em__cpu_level level)
{
    plan p = {.product = product, .count = 1, .steps = product->k, .columns = product->n};
    kind_of(product->dtype, &p.kind);
    p.kernel = em__product_kernel_get(p.kind, level);
    p.complex = em_dtype_get_kind(product->dtype) == EM_KIND_COMPLEX;
    p.size = p.kind == EM__PRODUCT_F64 || p.kind == EM__PRODUCT_U64 ? 8 : 4;
    if (p.complex) {
        p.steps *= 2;
        p.columns *= 2;
    }
    if (p.kind == EM__PRODUCT_PAIRS)
        p.steps = (p.steps + 1) / 2;
    p.copies_a = p.kind == EM__PRODUCT_PAIRS || (product->a.depth != 1 && product->k > 1) || falls_together(product);
    p.copy_row = p.steps;
    if ((size_t)p.steps * p.size % PAGE == 0)
        p.copy_row += LINE / (int64_t)p.size;
    p.panels = em__div_up(p.columns, p.kernel->columns);
    p.block = p.kind == EM__PRODUCT_PAIRS ? (p.steps > 1 ? p.steps : 1) : BLOCK;
    for (int i = 0; i < product->rank; i++)
        p.count *= product->dims[i];
    return p;
}

/* Bytes of A's copies and of B's panels, each a multiple of 64; false on overflow. */
static bool sizes(const plan *p, size_t *a, size_t *b)
{
    const size_t step = p->size * (size_t)p->steps;
    size_t rows, columns;
    if (em__mul_overflows((size_t)p->count, (size_t)p->product->m, &rows) ||
        em__mul_overflows(rows, p->size * (size_t)p->copy_row, a) ||
        em__mul_overflows((size_t)p->count, (size_t)(p->panels * p->kernel->columns), &columns) ||
        em__mul_overflows(columns, step, b))
        return false;
    *a = p->copies_a ? em__align64(*a) : 0;
    *b = em__align64(*b);
    return *a < SIZE_MAX / 4 && *b < SIZE_MAX / 4;
}

/* A side's first element in product `index` of the batch. */
static const char *side_at(const plan *p, const em__product_side *side, int64_t index)
{
    int64_t offset = 0;
    for (int axis = p->product->rank - 1; axis >= 0; axis--) {
        offset += index % p->product->dims[axis] * side->batch[axis];
        index /= p->product->dims[axis];
    }
    return (const char *)side->data + offset * (int64_t)em_dtype_size(p->product->dtype);
}

static void pack_panel(void *context, int64_t index, int worker)
{
    const plan *p = context;
    (void)worker;
    const int64_t panel = index % p->panels, width = p->kernel->columns / (p->complex ? 2 : 1);
    const int64_t column = panel * width;
    em__product_piece piece = {.src = side_at(p, &p->product->b, index / p->panels),
                               .row = p->product->b.row,
                               .depth = p->product->b.depth,
                               .rows = (int)em__min(p->product->n - column, width),
                               .k = p->product->k,
                               .width = p->kernel->columns};
    piece.src += column * piece.row * (int64_t)em_dtype_size(p->product->dtype);
    em__product_pack_panel(p->product->dtype, &piece, p->b + (size_t)(index * p->steps * p->kernel->columns) * p->size);
}

#define COPY_ROWS 64

static void copy_rows(void *context, int64_t index, int worker)
{
    const plan *p = context;
    (void)worker;
    const int64_t blocks = em__div_up(p->product->m, COPY_ROWS), row = index % blocks * COPY_ROWS;
    em__product_piece piece = {.src = side_at(p, &p->product->a, index / blocks),
                               .row = p->product->a.row,
                               .depth = p->product->a.depth,
                               .rows = (int)em__min(p->product->m - row, COPY_ROWS),
                               .k = p->product->k,
                               .copy_row = p->copy_row};
    piece.src += row * piece.row * (int64_t)em_dtype_size(p->product->dtype);
    em__product_copy_rows(p->product->dtype, &piece,
                          p->a + (size_t)((index / blocks * p->product->m + row) * p->copy_row) * p->size);
}

typedef struct task {
    const plan *p;
    const char *a;
    int64_t lda;
    const char *b;
    char *c; /* of this product */
    int64_t row, rows, panel, panel_end;
} task;

static em__product_tile tile_of(const task *t, int64_t tiles, int64_t index, int64_t panel, int64_t k)
{
    const plan *p = t->p;
    const int64_t row = em__gemm_part(t->rows, tiles, index), column = panel * p->kernel->columns;
    return (em__product_tile){
        .a = t->a + (size_t)((t->row + row) * t->lda + k) * p->size,
        .lda = t->lda,
        .b = t->b + (size_t)((panel * p->steps + k) * p->kernel->columns) * p->size,
        .c = t->c + (size_t)((t->row + row) * p->columns + column) * p->size,
        .ldc = p->columns,
        .k = em__min(p->steps - k, p->block),
        .rows = (int)(em__gemm_part(t->rows, tiles, index + 1) - row),
        .columns = (int)em__min(p->columns - column, p->kernel->columns),
        .first = k == 0,
        .prefetch = t->b,
    };
}

/* The next panel's B and C are called into the second cache, by each tile its part. */
static void fetch_next(const plan *p, em__product_tile *tile, int64_t tiles, int64_t index)
{
    const int64_t line = p->kernel->columns * (int64_t)p->size, next = p->steps * line;
    tile->prefetch_step = em__div_up(line, tiles);
    tile->prefetch = (const char *)tile->b + next + index * tile->k * tile->prefetch_step;
    const char *c = (const char *)tile->c + line;
    for (int r = 0; r < tile->rows; r++, c += tile->ldc * (int64_t)p->size) {
        __builtin_prefetch(c, 1, 2);
        __builtin_prefetch(c + line - 1, 1, 2);
    }
}

static void multiply(const task *t)
{
    const plan *p = t->p;
    const int64_t tiles = em__div_up(t->rows, p->kernel->rows);
    int64_t k = 0;
    do {
        for (int64_t panel = t->panel; panel < t->panel_end; panel++)
            for (int64_t i = 0; i < tiles; i++) {
                em__product_tile tile = tile_of(t, tiles, i, panel, k);
                if (panel + 1 < t->panel_end)
                    fetch_next(p, &tile, tiles, i);
                p->kernel->tile(&tile);
            }
        k += p->block;
    } while (k < p->steps);
}

/* Narrow results pass through 32 bits. */
static void multiply_pairs(const task *t)
{
    const plan *p = t->p;
    const int64_t tiles = em__div_up(t->rows, p->kernel->rows);
    _Alignas(64) uint32_t wide[MOST_ROWS * MOST_COLUMNS];
    for (int64_t panel = t->panel; panel < t->panel_end; panel++)
        for (int64_t i = 0; i < tiles; i++) {
            em__product_tile tile = tile_of(t, tiles, i, panel, 0);
            const int64_t row = t->row + em__gemm_part(t->rows, tiles, i);
            tile.c = wide;
            tile.ldc = p->kernel->columns;
            p->kernel->tile(&tile);
            for (int r = 0; r < tile.rows; r++)
                em__product_narrow(p->product->dtype, t->c, (row + r) * p->columns + panel * p->kernel->columns,
                                   wide + r * p->kernel->columns, tile.columns);
        }
}

static void run_task(void *context, int64_t index, int worker)
{
    const plan *p = context;
    const em__product *product = p->product;
    (void)worker;
    const int64_t per_product = p->cut.row_blocks * p->cut.column_blocks, in_product = index % per_product;
    const int64_t block = in_product / p->cut.column_blocks, column = in_product % p->cut.column_blocks;
    const int64_t at = index / per_product;
    task t = {.p = p, .row = em__gemm_part(product->m, p->cut.row_blocks, block)};
    t.rows = em__gemm_part(product->m, p->cut.row_blocks, block + 1) - t.row;
    t.panel = em__gemm_part(p->panels, p->cut.column_blocks, column);
    t.panel_end = em__gemm_part(p->panels, p->cut.column_blocks, column + 1);
    t.a = p->copies_a ? p->a + (size_t)(at * product->m * p->copy_row) * p->size : side_at(p, &product->a, at);
    t.lda = p->copies_a ? p->copy_row : product->a.row * (p->complex ? 2 : 1);
    t.b = p->b + (size_t)(at * p->panels * p->steps * p->kernel->columns) * p->size;
    t.c = (char *)product->c + (size_t)(at * product->m * product->n) * em_dtype_size(product->dtype);
    if (p->kind == EM__PRODUCT_PAIRS)
        multiply_pairs(&t);
    else
        multiply(&t);
}

#define TASK_WORK ((int64_t)1 << 18) /* multiply-adds of a task of small products, more or less */
#define STRIP 64                     /* columns of a task of one product with few rows, at least */

/* Products of f64 whose B has contiguous columns and is small, or is read once: gemm_small.h. */
static bool is_direct(const em__product *product, em__cpu_level level)
{
    return product->dtype == EM_F64 && em__gemm_small_f64(level) && product->b.row == 1 &&
           (product->m <= EM__GEMM_SMALL_ROWS || product->k * product->n <= EM__GEMM_SMALL_BYTES / 8);
}

typedef struct direct_job {
    plan *p;
    em__gemm_small_fn small;
    int64_t each, cuts; /* products of a task, or tasks of a product */
} direct_job;

static void run_direct(void *context, int64_t index, int worker)
{
    const direct_job *job = context;
    const em__product *product = job->p->product;
    (void)worker;
    const int64_t first = index / job->cuts * job->each, end = em__min(first + job->each, job->p->count);
    const int64_t column = em__gemm_part(product->n, job->cuts, index % job->cuts);
    for (int64_t i = first; i < end; i++) {
        const em__gemm_small small = {.m = product->m,
                                      .n = em__gemm_part(product->n, job->cuts, index % job->cuts + 1) - column,
                                      .k = product->k,
                                      .a = side_at(job->p, &product->a, i),
                                      .row = product->a.row,
                                      .depth = product->a.depth,
                                      .b = side_at(job->p, &product->b, i) + column * (int64_t)sizeof(double),
                                      .ldb = product->b.depth,
                                      .c = (double *)product->c + i * product->m * product->n + column,
                                      .ldc = product->n};
        job->small(&small);
    }
}

static void run_all_direct(plan *p, em__cpu_level level, em__pool *pool)
{
    const em__product *product = p->product;
    const int64_t work = product->m * product->n * (product->k > 0 ? product->k : 1), threads = em__pool_size(pool);
    direct_job job = {.p = p, .small = em__gemm_small_f64(level), .each = 1, .cuts = 1};
    if (work < TASK_WORK)
        job.each = em__min(TASK_WORK / work, em__div_up(p->count, 2 * threads));
    else
        job.cuts = em__min(em__div_up(product->n, STRIP), 2 * threads);
    em__pool_run(pool, run_direct, &job, em__div_up(p->count, job.each) * job.cuts);
}

bool em__product_memory(const em__product *product, em__cpu_level level, size_t *bytes)
{
    size_t a, b;
    const plan p = make_plan(product, level);
    if (!sizes(&p, &a, &b))
        return false;
    *bytes = is_direct(product, level) ? 0 : a + b;
    return true;
}

void em__product_run(const em__product *product, em__cpu_level level, em__pool *pool)
{
    size_t a, b;
    plan p = make_plan(product, level);
    if (p.count == 0 || product->m == 0 || product->n == 0 || !sizes(&p, &a, &b))
        return;
    if (is_direct(product, level)) {
        run_all_direct(&p, level, pool);
        return;
    }
    p.a = product->memory;
    p.b = p.a + a;
    em__pool_run(pool, pack_panel, &p, p.count * p.panels);
    if (p.copies_a)
        em__pool_run(pool, copy_rows, &p, p.count * em__div_up(product->m, COPY_ROWS));
    const em__gemm_costs costs = {.tile_rows = p.kernel->rows,
                                  .per_row = 2 * p.steps,
                                  .per_tile = 80,
                                  .per_panel = 2 * p.steps,
                                  .most_rows = BLOCK_ROWS};
    const int64_t threads = em__pool_size(pool);
    p.cut = em__gemm_choose_cut(&costs, product->m, p.panels, em__div_up(threads, p.count));
    em__pool_run(pool, run_task, &p, p.count * p.cut.row_blocks * p.cut.column_blocks);
}
