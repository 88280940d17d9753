/*
 * The driver of products with w [k, n]: the columns of w are the lanes. Few rows of x meet the codes themselves, four
 * rows of w at a time over a stripe of columns; more of them meet PANEL columns that were decoded for DEPTH rows of w,
 * in the tiles of the dense product. Both take chains of EM__GEMM_CHUNK, so both give the same bits.
 */
#include <string.h>

#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/quant.h"

#define PANEL EM__GEMM_PANEL
#define DEPTH (3 * EM__GEMM_CHUNK)
#define MOST_COLUMNS 1024 /* of a stripe whose codes meet x; no group is larger */
#define LEAST_COLUMNS 256
#define AHEAD_ROWS 16  /* of w, that are fetched ahead */
#define BLOCK_M 112    /* rows of x of a task */
#define WIDE_SCALES 64 /* rows of scales that one task widens */

typedef struct columns_job {
    const em__quant_product *p;
    const em__gemm_kernels *gemm;
    em__quant_kind kind;
    const float *x, *scales, *biases;
    int64_t groups, row_bytes;
    int64_t stripes; /* of columns, when few rows of x meet the codes; otherwise 0 */
    int64_t panels, m_blocks;
} columns_job;

static size_t scale_bytes(const em__quant_product *p)
{
    return p->scale_dtype == EM_F32 ? 0 : em__align64((size_t)(p->k * (p->n / p->scheme.group)) * sizeof(float));
}

static bool direct(const em__quant_product *p)
{
    return p->m <= p->kernels->direct_m && p->k % EM__QUANT_ROWS == 0;
}

void em__quant_columns_needs(const em__quant_product *p, size_t *memory, size_t *scratch)
{
    *memory = 2 * scale_bytes(p) + (p->x_dtype == EM_F32 ? 0 : em__align64((size_t)(p->m * p->k) * sizeof(float)));
    *scratch = (direct(p) ? 8 * MOST_COLUMNS : (DEPTH + BLOCK_M) * PANEL) * sizeof(float);
}

typedef struct widen_job {
    const em__quant_product *p;
    float *to[2];
    int64_t groups;
} widen_job;

static void widen_rows(void *context, int64_t task, int worker)
{
    const widen_job *job = context;
    const int64_t row = task * WIDE_SCALES, rows = em__min(WIDE_SCALES, job->p->k - row);
    (void)worker;
    em__quant_scales(job->p, job->p->scales, row * job->groups, rows * job->groups, job->to[0] + row * job->groups);
    em__quant_scales(job->p, job->p->biases, row * job->groups, rows * job->groups, job->to[1] + row * job->groups);
}

/* The rows of w [k, k + EM__QUANT_ROWS) in a stripe's columns. */
static void run_rows(const columns_job *job, int64_t group, int64_t k, em__quant_axpy *axpy)
{
    const em__quant_product *p = job->p;
    for (int64_t j = 0; j < EM__QUANT_ROWS; j++) {
        const int64_t scale = (k + j) * job->groups + group;
        axpy->codes[j] =
            (const uint8_t *)p->codes + (k + j) * job->row_bytes + group * p->scheme.group * p->scheme.bits / 8;
        axpy->scales[j] = job->scales + scale;
        axpy->biases[j] = job->biases ? job->biases + scale : NULL;
        for (int64_t i = 0; i < axpy->groups; i += 16) {
            __builtin_prefetch(job->scales + scale + AHEAD_ROWS * job->groups + i);
            if (job->biases)
                __builtin_prefetch(job->biases + scale + AHEAD_ROWS * job->groups + i);
        }
    }
    axpy->x = job->x + k;
    p->kernels->axpy[job->kind][p->m - 1](axpy);
}

/* Groups [group, group + groups) of all rows: a chunk's sums in the first half of the scratch, those before in the
 * second. */
static void run_stripe(const columns_job *job, int64_t group, int64_t groups, float *scratch)
{
    const em__quant_product *p = job->p;
    const int64_t columns = groups * p->scheme.group;
    float *sum = scratch, *total = scratch + 4 * MOST_COLUMNS;
    em__quant_axpy axpy = {.groups = groups,
                           .group_steps = p->scheme.group / EM__QUANT_STEP,
                           .ahead = AHEAD_ROWS * job->row_bytes,
                           .ldx = p->k,
                           .ldsum = MOST_COLUMNS};
    for (int64_t k = 0; k < p->k; k += EM__QUANT_ROWS) {
        axpy.first = k % EM__GEMM_CHUNK == 0;
        axpy.sum = k < EM__GEMM_CHUNK ? total : sum;
        run_rows(job, group, k, &axpy);
        if (k >= EM__GEMM_CHUNK && ((k + EM__QUANT_ROWS) % EM__GEMM_CHUNK == 0 || k + EM__QUANT_ROWS == p->k))
            for (int64_t i = 0; i < p->m; i++)
                p->kernels->add(total + i * MOST_COLUMNS, sum + i * MOST_COLUMNS, columns);
    }
    for (int64_t i = 0; i < p->m; i++) {
        float *row = total + i * MOST_COLUMNS;
        if (em__quant_reorders(job->kind))
            p->kernels->from_lanes(row, row, columns);
        em__quant_store(p, i, group * p->scheme.group, row, columns);
    }
}

/* Rows [k, k + depth) of the panel's columns, as the dense tiles want B. */
static void expand_panel(const columns_job *job, int64_t column, int64_t columns, int64_t k, int64_t depth, float *b)
{
    const em__quant_product *p = job->p;
    const int64_t step_bytes = 2 * p->scheme.bits, whole = p->scheme.group / EM__QUANT_STEP;
    for (int64_t row = 0; row < depth; row++) {
        const uint8_t *codes = (const uint8_t *)p->codes + (k + row) * job->row_bytes;
        const int64_t scales = (k + row) * job->groups;
        for (int64_t step = 0; step < PANEL / EM__QUANT_STEP; step++) {
            const int64_t at = column / EM__QUANT_STEP + step, group = scales + at / whole;
            float *to = b + row * PANEL + step * EM__QUANT_STEP;
            if (step * EM__QUANT_STEP < columns)
                p->kernels->expand[job->kind](to, codes + at * step_bytes, job->scales + group,
                                              job->biases ? job->biases + group : NULL, 1, 1);
            else
                memset(to, 0, EM__QUANT_STEP * sizeof *to);
        }
    }
}

/* A panel's columns for rows [m, m + count) of x. */
static void run_panel(const columns_job *job, int64_t column, int64_t m, int64_t count, float *scratch)
{
    const em__quant_product *p = job->p;
    float *c = scratch + DEPTH * PANEL;
    em__gemm_tile tile = {.lda = p->k, .b = scratch, .ldb = PANEL, .ldc = PANEL, .prefetch = (const char *)scratch};
    tile.columns = (int)em__min(PANEL, p->n - column);
    for (int64_t k = 0; k < p->k; k += DEPTH) {
        tile.k = em__min(DEPTH, p->k - k);
        tile.first = k == 0;
        expand_panel(job, column, tile.columns, k, tile.k, scratch);
        for (int64_t i = 0; i < count; i += tile.rows) {
            tile.rows = (int)em__min(job->gemm->tile_rows, count - i);
            tile.a = job->x + (m + i) * p->k + k;
            tile.c = c + i * PANEL;
            job->gemm->tile(&tile);
        }
    }
    for (int64_t i = 0; i < count; i++)
        em__quant_store(p, m + i, column, c + i * PANEL, tile.columns);
}

static void run_task(void *context, int64_t task, int worker)
{
    const columns_job *job = context;
    const em__quant_product *p = job->p;
    if (job->stripes) {
        const int64_t group = em__gemm_part(job->groups, job->stripes, task);
        run_stripe(job, group, em__gemm_part(job->groups, job->stripes, task + 1) - group,
                   em__pool_scratch(p->pool, worker));
        return;
    }
    const int64_t column = task % job->panels * PANEL, of_m = task / job->panels;
    const int64_t m = em__gemm_part(p->m, job->m_blocks, of_m);
    run_panel(job, column, m, em__gemm_part(p->m, job->m_blocks, of_m + 1) - m, em__pool_scratch(p->pool, worker));
}

/* As many as keep the threads busy, of MOST_COLUMNS at most. */
static int64_t stripes_of(const em__quant_product *p)
{
    const int64_t groups = p->n / p->scheme.group, least = em__div_up(groups, MOST_COLUMNS / p->scheme.group);
    const int64_t wanted = em__min(4 * em__pool_size(p->pool), p->n / LEAST_COLUMNS);
    return wanted > least ? em__min(wanted, groups) : least;
}

void em__quant_columns_run(const em__quant_product *p)
{
    columns_job job = {.p = p,
                       .gemm = em__gemm_kernels_get(p->kernels->level),
                       .kind = em__quant_kind_of(&p->scheme),
                       .scales = p->scales,
                       .biases = p->biases,
                       .groups = p->n / p->scheme.group};
    if (p->k == 0) {
        memset(p->y, 0, (size_t)(p->m * p->n) * em_dtype_size(p->y_dtype));
        return;
    }
    char *memory = p->memory;
    if (p->scale_dtype != EM_F32) {
        widen_job widen = {p, {(float *)(void *)memory, (float *)(void *)(memory + scale_bytes(p))}, job.groups};
        em__pool_run(p->pool, widen_rows, &widen, em__div_up(p->k, WIDE_SCALES));
        job.scales = widen.to[0];
        job.biases = p->biases ? widen.to[1] : NULL;
        memory += 2 * scale_bytes(p);
    }
    job.x = em__quant_x(p, false, (float *)(void *)memory);
    job.row_bytes = p->n / 32 * 4 * p->scheme.bits + p->n % 32 * p->scheme.bits / 8;
    job.stripes = direct(p) ? stripes_of(p) : 0;
    job.panels = em__div_up(p->n, PANEL);
    job.m_blocks = em__div_up(p->m, BLOCK_M);
    em__pool_run(p->pool, run_task, &job, job.stripes ? job.stripes : job.panels * job.m_blocks);
}
