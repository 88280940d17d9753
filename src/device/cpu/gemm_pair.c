/*
 * Two products with an activation between them, on matrix units: C = activation(A B + bias) D + bias + residual.
 *
 * What lies between is never whole: a panel of B leaves a step of D's depth, which goes through the activation and is
 * split while it is in the first cache; a chunk of such steps then meets D and is done with. So a block of rows takes
 * little of the second cache, and the more rows a block has, the less often the weights come from the third one.
 *
 * The bits are those of the two calls: the sums of a chunk are whole, and are added in the order of gemm_split.h. Rows
 * or panels that are not to be split are left to the two calls: nothing of C has been written by then.
 */
#include "device/cpu/gemm_pair.h"

#include <string.h>

#include "core/whole.h"

#define PANEL EM__GEMM_PANEL
#define CHUNK EM__SPLIT_CHUNK
#define ROWS EM__SPLIT_ROWS
#define CACHE_BYTES ((int64_t)1500 << 10) /* of the second cache, beside panels */
#define MOST_ROWS 224

_Static_assert(PANEL == EM__SPLIT_DEPTH, "a panel of the first product is a step of the second");

typedef struct pair {
    const em__gemm_kernels *kernels;
    const em__gemm_args *up, *down;
    int64_t steps, between, panels, blocks; /* of A; panels of B; panels of D; blocks of 32 rows */
    uint16_t *a;                            /* split: [16 rows][steps] */
    uint16_t *chunk;                        /* of what lies between, split: [16 rows][CHUNK] */
    float *sums;                            /* [panels][blocks][ROWS][PANEL] */
    uint32_t *largest;                      /* of each row of what lies between */
} pair;

static int64_t row_bytes(int64_t k, int64_t n)
{
    const int64_t split = (em__div_up(k, EM__SPLIT_DEPTH) + CHUNK) * EM__SPLIT_A_STEP / 16 * (int64_t)sizeof(uint16_t);
    return split + em__div_up(n, PANEL) * PANEL * (int64_t)sizeof(float) + (int64_t)sizeof(uint32_t);
}

int64_t em__gemm_pair_rows(int64_t k, int64_t n)
{
    return em__min(MOST_ROWS, CACHE_BYTES / row_bytes(k, n) / ROWS * ROWS);
}

size_t em__gemm_pair_bytes(int64_t k, int64_t n)
{
    return (size_t)(em__gemm_pair_rows(k, n) * row_bytes(k, n));
}

static int64_t rows_of(const pair *p, int64_t block)
{
    return em__min(p->up->m - block * ROWS, ROWS);
}

/* Block `block` of rows split into `a`, of which 16 have `stride` steps, against `steps` from b on. A share of what
 * comes next, `bytes` at `next`, is called into the cache. */
static void multiply(const pair *p, const uint16_t *a, int64_t stride, int64_t block, const uint16_t *b, int64_t steps,
                     const uint16_t *next, int64_t bytes, float *sum)
{
    const int64_t lines = em__div_up(bytes / 64, p->blocks * steps);
    em__split_block s = {.b = b, .steps = steps, .prefetch_step = lines * 64, .sum = sum};
    s.a[0] = a + 2 * block * stride * EM__SPLIT_A_STEP;
    s.a[1] = rows_of(p, block) > 16 ? s.a[0] + stride * EM__SPLIT_A_STEP : NULL;
    s.prefetch = (const char *)next + block * steps * s.prefetch_step;
    p->kernels->split->multiply(&s);
}

static bool split_input(const pair *p)
{
    const em__gemm_args *up = p->up;
    memset(p->largest, 0, (size_t)up->m * sizeof *p->largest);
    for (int64_t row = 0; row < up->m; row += 16)
        p->kernels->split->split_rows(p->a + row / 16 * p->steps * EM__SPLIT_A_STEP, up->a + row * up->lda, up->lda,
                                      (int)em__min(up->m - row, 16), up->k, p->largest + row);
    return em__gemm_split_are_safe(p->largest, up->m);
}

static bool may_split(const em__gemm_args *args, int64_t panels)
{
    for (int64_t i = 0; i < panels; i++)
        if (!em__gemm_split_panel(args, i))
            return false;
    return true;
}

/* What panel `panel` of B leaves, as step `step` of the chunk. */
static void make_step(const pair *p, int64_t panel, int64_t step, const uint16_t *next, int64_t bytes)
{
    const em__gemm_args *up = p->up;
    const uint16_t *b = em__gemm_split_panel(up, panel);
    const int columns = (int)em__min(up->n - panel * PANEL, PANEL);
    _Alignas(64) float sum[ROWS * PANEL], piece[ROWS * PANEL];
    memset(piece, 0, sizeof piece); /* columns that are not there go through the activation, too */
    for (int64_t i = 0; i < p->blocks; i++) {
        const int rows = (int)rows_of(p, i);
        const em__gemm_tile tile = {.c = piece,
                                    .ldc = PANEL,
                                    .rows = rows,
                                    .columns = columns,
                                    .bias = up->bias ? up->bias + panel * PANEL : NULL};
        multiply(p, p->a, p->steps, i, b, p->steps, next, bytes, sum);
        p->kernels->split->store(sum, &tile);
        up->activation(piece, piece, (size_t)rows * PANEL);
        for (int row = 0; row < rows; row += 16)
            p->kernels->split->split_rows(p->chunk + ((2 * i + row / 16) * CHUNK + step) * EM__SPLIT_A_STEP,
                                          piece + row * PANEL, PANEL, rows - row < 16 ? rows - row : 16, columns,
                                          p->largest + i * ROWS + row);
    }
}

/* Panel `panel` of C: all of its chunks are summed up. */
static void store(const pair *p, int64_t panel, int64_t block, const float *sum)
{
    const em__gemm_args *down = p->down;
    const int64_t row = block * ROWS, column = panel * PANEL;
    const em__gemm_tile tile = {.c = down->c + row * down->ldc + column,
                                .ldc = down->ldc,
                                .rows = (int)rows_of(p, block),
                                .columns = (int)em__min(down->n - column, PANEL),
                                .bias = down->bias ? down->bias + column : NULL,
                                .residual = down->residual ? down->residual + row * down->ldr + column : NULL,
                                .ldr = down->ldr};
    p->kernels->split->store(sum, &tile);
}

/* A panel of D from step `from` on. */
static const uint16_t *part_of(const pair *p, int64_t panel, int64_t from)
{
    return em__gemm_split_panel(p->down, panel) + from * EM__SPLIT_B_STEP;
}

/* The chunk, `steps` from step `from` of D's depth on, against panel `panel`. */
static void add_chunk(const pair *p, int64_t panel, int64_t from, int64_t steps, const uint16_t *next, int64_t bytes)
{
    const uint16_t *b = part_of(p, panel, from);
    _Alignas(64) float sum[ROWS * PANEL];
    for (int64_t i = 0; i < p->blocks; i++) {
        float *to = p->sums + (panel * p->blocks + i) * ROWS * PANEL;
        multiply(p, p->chunk, CHUNK, i, b, steps, next, bytes, from ? sum : to);
        if (from)
            p->kernels->add(to, sum, em__min(em__div_up(rows_of(p, i), 16) * 16, ROWS) * PANEL);
        if (from + steps == p->between)
            store(p, panel, i, to);
    }
}

/* Steps [from, from + steps) of D's depth: made, then multiplied. False: some rows may not be split. */
static bool run_chunk(const pair *p, int64_t from, int64_t steps)
{
    const int64_t step_bytes = EM__SPLIT_B_STEP * (int64_t)sizeof(uint16_t), end = from + steps;
    const int64_t up_bytes = p->steps * step_bytes, down_bytes = steps * step_bytes;
    for (int64_t i = from; i < end; i++) {
        const bool more = i + 1 < end;
        const uint16_t *next = more ? em__gemm_split_panel(p->up, i + 1) : part_of(p, 0, from);
        make_step(p, i, i - from, next, more ? up_bytes : down_bytes);
    }
    if (end == p->between && !em__gemm_split_are_safe(p->largest, p->up->m))
        return false;
    for (int64_t i = 0; i < p->panels; i++) {
        if (i + 1 < p->panels)
            add_chunk(p, i, from, steps, part_of(p, i + 1, from), down_bytes);
        else if (end < p->between)
            add_chunk(p, i, from, steps, em__gemm_split_panel(p->up, end), up_bytes);
        else
            add_chunk(p, i, from, steps, part_of(p, i, from), 0);
    }
    return true;
}

bool em__gemm_pair_run(const em__gemm_kernels *kernels, char *scratch, const em__gemm_args *up,
                       const em__gemm_args *down)
{
    pair p = {.kernels = kernels, .up = up, .down = down, .steps = em__div_up(up->k, EM__SPLIT_DEPTH)};
    p.between = em__div_up(up->n, PANEL);
    p.panels = em__div_up(down->n, PANEL);
    p.blocks = em__div_up(up->m, ROWS);
    p.a = (uint16_t *)(void *)scratch;
    p.chunk = p.a + 2 * p.blocks * p.steps * EM__SPLIT_A_STEP;
    p.sums = (float *)(void *)(p.chunk + 2 * p.blocks * CHUNK * EM__SPLIT_A_STEP);
    p.largest = (uint32_t *)(void *)(p.sums + p.panels * p.blocks * ROWS * PANEL);
    if (!may_split(up, p.between) || !may_split(down, p.panels) || !split_input(&p))
        return false;
    memset(p.largest, 0, (size_t)up->m * sizeof *p.largest);
    bool done = true;
    kernels->split->begin();
    for (int64_t from = 0; from < p.between && done; from += CHUNK)
        done = run_chunk(&p, from, em__min(p.between - from, CHUNK));
    kernels->split->end();
    return done;
}
