/*
 * The driver of products with w [k, n]: the columns of w are the lanes. Few rows of x meet the codes of 64 columns at a
 * time; otherwise, and at the right edge, PANEL columns are decoded for DEPTH rows of w and go through the tiles of the
 * dense product. Both take chains of EM__GEMM_CHUNK, so both give the same bits.
 */
#include <string.h>

#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/quant.h"

#define PANEL EM__GEMM_PANEL
#define DEPTH (3 * EM__GEMM_CHUNK)
#define STRIPE 64      /* columns that meet the codes */
#define BLOCK_M 112    /* rows of x of a task */
#define WIDE_SCALES 64 /* rows of scales that one task widens */

typedef struct columns_job {
    const em__quant_product *p;
    const em__gemm_kernels *gemm;
    em__quant_kind kind;
    const float *x, *scales, *biases;
    int64_t groups, row_bytes;
    int64_t stripes; /* of STRIPE columns, direct; what is right of them goes by panels */
    int64_t panels, m_blocks;
} columns_job;

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t scale_bytes(const em__quant_product *p)
{
    return p->scale_dtype == EM_F32 ? 0 : padded((size_t)(p->k * (p->n / p->scheme.group)) * sizeof(float));
}

void em__quant_columns_needs(const em__quant_product *p, size_t *memory, size_t *scratch)
{
    *memory = 2 * scale_bytes(p) + (p->x_dtype == EM_F32 ? 0 : padded((size_t)(p->m * p->k) * sizeof(float)));
    *scratch = (DEPTH + BLOCK_M) * PANEL * sizeof(float);
}

typedef struct widen_job {
    const em__quant_product *p;
    float *to[2];
    int64_t groups;
} widen_job;

static void widen_rows(void *context, int64_t task, int worker)
{
    const widen_job *job = context;
    const int64_t row = task * WIDE_SCALES, rows = em__gemm_min(WIDE_SCALES, job->p->k - row);
    (void)worker;
    em__quant_scales(job->p, job->p->scales, row * job->groups, rows * job->groups, job->to[0] + row * job->groups);
    em__quant_scales(job->p, job->p->biases, row * job->groups, rows * job->groups, job->to[1] + row * job->groups);
}

/* All rows of a stripe, in chunks. */
static void run_stripe(const columns_job *job, int64_t stripe)
{
    const em__quant_product *p = job->p;
    const int64_t column = stripe * STRIPE;
    _Alignas(64) float sum[4 * STRIPE], row[STRIPE];
    em__quant_axpy axpy = {.row_bytes = job->row_bytes, .ldx = p->k, .scales_ld = job->groups, .sum = sum};
    for (int j = 0; j < 4; j++)
        axpy.scale_at[j] = (column + j * EM__QUANT_STEP) / p->scheme.group;
    for (int64_t k = 0; k < p->k; k += EM__GEMM_CHUNK) {
        axpy.codes = (const uint8_t *)p->codes + k * job->row_bytes + column * p->scheme.bits / 8;
        axpy.scales = job->scales + k * job->groups;
        axpy.biases = job->biases ? job->biases + k * job->groups : NULL;
        axpy.depth = em__gemm_min(EM__GEMM_CHUNK, p->k - k);
        axpy.x = job->x + k;
        axpy.first = k == 0;
        p->kernels->axpy[job->kind][p->m - 1](&axpy);
    }
    for (int64_t i = 0; i < p->m; i++) {
        const float *from = sum + i * STRIPE;
        if (em__quant_reorders(job->kind)) {
            p->kernels->from_lanes(row, from, STRIPE);
            from = row;
        }
        em__quant_store(p, i, column, from, STRIPE);
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
    tile.columns = (int)em__gemm_min(PANEL, p->n - column);
    for (int64_t k = 0; k < p->k; k += DEPTH) {
        tile.k = em__gemm_min(DEPTH, p->k - k);
        tile.first = k == 0;
        expand_panel(job, column, tile.columns, k, tile.k, scratch);
        for (int64_t i = 0; i < count; i += tile.rows) {
            tile.rows = (int)em__gemm_min(job->gemm->tile_rows, count - i);
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
    if (task < job->stripes) {
        run_stripe(job, task);
        return;
    }
    task -= job->stripes;
    const int64_t column = job->stripes * STRIPE + task % job->panels * PANEL, of_m = task / job->panels;
    const int64_t m = em__gemm_part(p->m, job->m_blocks, of_m);
    run_panel(job, column, m, em__gemm_part(p->m, job->m_blocks, of_m + 1) - m, em__pool_scratch(p->pool, worker));
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
        em__pool_run(p->pool, widen_rows, &widen, em__gemm_ceil_div(p->k, WIDE_SCALES));
        job.scales = widen.to[0];
        job.biases = p->biases ? widen.to[1] : NULL;
        memory += 2 * scale_bytes(p);
    }
    job.x = em__quant_x(p, false, (float *)(void *)memory);
    job.row_bytes = p->n / 32 * 4 * p->scheme.bits + p->n % 32 * p->scheme.bits / 8;
    job.stripes = p->m <= p->kernels->direct_m ? p->n / STRIPE : 0;
    job.panels = em__gemm_ceil_div(p->n - job.stripes * STRIPE, PANEL);
    job.m_blocks = em__gemm_ceil_div(p->m, BLOCK_M);
    em__pool_run(p->pool, run_task, &job, job.stripes + job.panels * job.m_blocks);
}
