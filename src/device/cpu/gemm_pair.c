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
    uint16_t *cut[2];                       /* steps of a panel: those that are multiplied, and the next ones */
    uint32_t *largest;                      /* of each row of what lies between */
} pair;

static int64_t row_bytes(int64_t k, int64_t n)
{
    const int64_t split = (em__div_up(k, EM__SPLIT_DEPTH) + CHUNK) * EM__SPLIT_A_STEP / 16 * (int64_t)sizeof(uint16_t);
    return split + em__div_up(n, PANEL) * PANEL * (int64_t)sizeof(float) + (int64_t)sizeof(uint32_t);
}

static int64_t cut_steps(int64_t k)
{
    const int64_t steps = em__div_up(k, EM__SPLIT_DEPTH);
    return steps > CHUNK ? steps : CHUNK;
}

int64_t em__gemm_pair_rows(int64_t k, int64_t n)
{
    return em__min(MOST_ROWS, CACHE_BYTES / row_bytes(k, n) / ROWS * ROWS);
}

size_t em__gemm_pair_bytes(int64_t k, int64_t n)
{
    const size_t cut = 2 * (size_t)(cut_steps(k) * EM__SPLIT_B_STEP) * sizeof(uint16_t);
    return (size_t)(em__gemm_pair_rows(k, n) * row_bytes(k, n)) + cut;
}

static int64_t rows_of(const pair *p, int64_t block)
{
    return em__min(p->up->m - block * ROWS, ROWS);
}

/* What the rows of a block meet next: steps of a panel, and how far behind them those lie that come then. */
typedef struct piece {
    const float *at;
    int64_t steps, behind; /* no steps: that was all */
} piece;

static piece up_piece(const pair *p, int64_t panel)
{
    return (piece){em__gemm_split_panel(p->up, panel), p->steps, (int64_t)em__gemm_split_panel_bytes(p->up->k)};
}

static piece down_piece(const pair *p, int64_t panel, int64_t from, int64_t steps)
{
    return (piece){em__gemm_split_panel(p->down, panel) + from * EM__SPLIT_DEPTH * PANEL, steps,
                   (int64_t)em__gemm_split_panel_bytes(p->down->k)};
}

/* Block `block` of rows split into `a`, of which 16 have `stride` steps, against the steps that are cut. */
static void multiply(const pair *p, const uint16_t *a, int64_t stride, int64_t block, int64_t steps, piece next,
                     float *sum)
{
    em__split_block s = {.b = p->cut[0], .steps = steps, .sum = sum};
    s.a[0] = a + 2 * block * stride * EM__SPLIT_A_STEP;
    s.a[1] = rows_of(p, block) > 16 ? s.a[0] + stride * EM__SPLIT_A_STEP : NULL;
    em__gemm_split_cut_ahead(&s, next.at, next.steps, p->cut[1], next.behind, block, p->blocks);
    p->kernels->split->multiply(&s);
}

static void turn(pair *p)
{
    uint16_t *const done = p->cut[0];
    p->cut[0] = p->cut[1];
    p->cut[1] = done;
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

static bool may_cut(const em__gemm_args *args, int64_t panels)
{
    for (int64_t i = 0; i < panels; i++)
        if (!em__gemm_split_may_cut(args, i))
            return false;
    return true;
}

/* What panel `panel` of B leaves, as step `step` of the chunk. */
static void make_step(const pair *p, int64_t panel, int64_t step, piece next)
{
    const em__gemm_args *up = p->up;
    const int columns = (int)em__min(up->n - panel * PANEL, PANEL);
    _Alignas(64) float sum[ROWS * PANEL], block[ROWS * PANEL];
    memset(block, 0, sizeof block); /* columns that are not there go through the activation, too */
    for (int64_t i = 0; i < p->blocks; i++) {
        const int rows = (int)rows_of(p, i);
        const em__gemm_tile tile = {.c = block,
                                    .ldc = PANEL,
                                    .rows = rows,
                                    .columns = columns,
                                    .bias = up->bias ? up->bias + panel * PANEL : NULL};
        multiply(p, p->a, p->steps, i, p->steps, next, sum);
        p->kernels->split->store(sum, &tile);
        up->activation(block, block, (size_t)rows * PANEL);
        for (int row = 0; row < rows; row += 16)
            p->kernels->split->split_rows(p->chunk + ((2 * i + row / 16) * CHUNK + step) * EM__SPLIT_A_STEP,
                                          block + row * PANEL, PANEL, rows - row < 16 ? rows - row : 16, columns,
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

/* The chunk, `steps` from step `from` of D's depth on, against panel `panel`. */
static void add_chunk(const pair *p, int64_t panel, int64_t from, int64_t steps, piece next)
{
    _Alignas(64) float sum[ROWS * PANEL];
    for (int64_t i = 0; i < p->blocks; i++) {
        float *to = p->sums + (panel * p->blocks + i) * ROWS * PANEL;
        multiply(p, p->chunk, CHUNK, i, steps, next, from ? sum : to);
        if (from)
            p->kernels->add(to, sum, em__min(em__div_up(rows_of(p, i), 16) * 16, ROWS) * PANEL);
        if (from + steps == p->between)
            store(p, panel, i, to);
    }
}

/* Steps [from, from + steps) of D's depth: made, then multiplied. False: some rows may not be split. */
static bool run_chunk(pair *p, int64_t from, int64_t steps)
{
    const int64_t end = from + steps;
    for (int64_t i = from; i < end; i++) {
        make_step(p, i, i - from, i + 1 < end ? up_piece(p, i + 1) : down_piece(p, 0, from, steps));
        turn(p);
    }
    if (end == p->between && !em__gemm_split_are_safe(p->largest, p->up->m))
        return false;
    for (int64_t i = 0; i < p->panels; i++) {
        const bool more = i + 1 < p->panels;
        const piece none = {.at = em__gemm_split_panel(p->down, i)};
        add_chunk(p, i, from, steps,
                  more               ? down_piece(p, i + 1, from, steps)
                  : end < p->between ? up_piece(p, end)
                                     : none);
        turn(p);
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
    p.cut[0] = (uint16_t *)(void *)(p.sums + p.panels * p.blocks * ROWS * PANEL);
    p.cut[1] = p.cut[0] + cut_steps(up->k) * EM__SPLIT_B_STEP;
    p.largest = (uint32_t *)(void *)(p.cut[1] + cut_steps(up->k) * EM__SPLIT_B_STEP);
    if (!may_cut(up, p.between) || !may_cut(down, p.panels) || !split_input(&p))
        return false;
    memset(p.largest, 0, (size_t)up->m * sizeof *p.largest);
    bool done = true;
    kernels->split->cut(p.cut[0], em__gemm_split_panel(up, 0), p.steps);
    kernels->split->begin();
    for (int64_t from = 0; from < p.between && done; from += CHUNK)
        done = run_chunk(&p, from, em__min(p.between - from, CHUNK));
    kernels->split->end();
    return done;
}
