/*
 * The product of an implicit-GEMM convolution (conv.h): a task is a block of output channels of one group x a range of
 * panels. Depth goes block by block; per block, GROUP panels are gathered into the worker's scratch, where they stay in
 * the second cache while every tile of channels meets them.
 */
#include "device/cpu/conv.h"

#include <string.h>

#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define PANEL EM__GEMM_PANEL
#define GROUP 4
#define BLOCK_DEPTH (3 * EM__GEMM_CHUNK)
#define BLOCK_ROWS 224
#define COPY_LD (BLOCK_DEPTH + 16)
#define PAGE 4096
#define STAGE_BYTES ((size_t)8 << 20) /* of images staged at a time, unless one is larger */

static size_t rounded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* The weights' rows are so far apart that a tile's fall on the same cache lines. */
static bool copies_weights(const em__conv_job *job)
{
    return job->depth * (int64_t)sizeof(float) % PAGE == 0 && job->outputs >= 8;
}

static size_t stage_bytes(em__conv_job *job)
{
    const size_t image = (size_t)(job->groups * job->channels * job->plane) * sizeof(float);
    const int64_t fit = (int64_t)(STAGE_BYTES / image);
    job->some = em__gemm_min(fit < 1 ? 1 : fit, job->images);
    return job->staged ? rounded(image * (size_t)job->some) : 0;
}

size_t em__conv_memory(const em__conv_job *job)
{
    em__conv_job copy = *job;
    return stage_bytes(&copy) + rounded((size_t)job->depth * sizeof(int64_t));
}

size_t em__conv_worker_memory(const em__conv_job *job)
{
    return (size_t)(GROUP * BLOCK_DEPTH * PANEL + (copies_weights(job) ? BLOCK_ROWS * COPY_LD : 0)) * sizeof(float);
}

static void pack_portable(float *dst, const float *base, const int64_t *reach, int64_t k, const em__conv_run_of *runs,
                          int n_runs)
{
    const bool holes = n_runs == 0 || runs[n_runs - 1].column + runs[n_runs - 1].count < PANEL;
    for (int64_t i = 0; i < k; i++, dst += PANEL) {
        if (holes)
            memset(dst, 0, PANEL * sizeof *dst);
        for (int r = 0; r < n_runs; r++)
            memcpy(dst + runs[r].column, base + reach[i] + runs[r].offset, (size_t)runs[r].count * sizeof *dst);
    }
}

em__conv_pack_fn em__conv_pack_get(em__cpu_level level)
{
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX512)
        return em__conv_pack_avx512;
#endif
    (void)level;
    return pack_portable;
}

typedef struct gemm_job {
    const em__conv_job *job;
    em__conv_pack_fn pack;
    int64_t first, count, panels; /* images (of each group) at work, and their panels */
    em__gemm_cut cut;
} gemm_job;

typedef struct gemm_task {
    const gemm_job *gemm;
    int64_t group, row, rows; /* rows within the group */
    int64_t panel, panel_end;
    float *packed, *copy;
    bool copies;
} gemm_task;

/* Where a panel lies: its image of those at work, and its first pixel. */
static int64_t panel_image(const em__conv_job *job, int64_t panel, int64_t *pixel)
{
    const int64_t per_image = job->panels / job->images;
    *pixel = panel % per_image * PANEL;
    return panel / per_image;
}

/* The runs of a panel's pixels: they break where a row of the output ends. */
static int find_runs(const em__conv_job *job, int64_t pixel, em__conv_run_of *runs)
{
    const em__conv_axis *z = &job->axis[0], *y = &job->axis[1], *x = &job->axis[2];
    const int columns = (int)em__gemm_min(job->pixels - pixel, PANEL);
    int n = 0;
    for (int column = 0; column < columns;) {
        const int64_t at_x = (pixel + column) % x->out, row = (pixel + column) / x->out;
        const int64_t offset = row / y->out * z->pitch + row % y->out * y->pitch + at_x;
        const int count = (int)em__gemm_min(x->out - at_x, columns - column);
        if (n > 0 && runs[n - 1].offset + runs[n - 1].count == offset)
            runs[n - 1].count += count;
        else
            runs[n++] = (em__conv_run_of){offset, column, count};
        column += count;
    }
    return n;
}

static void pack_panel(const gemm_task *task, int64_t panel, int64_t k0, int64_t k, float *to)
{
    const em__conv_job *job = task->gemm->job;
    em__conv_run_of runs[PANEL];
    int64_t pixel;
    const int64_t image = panel_image(job, panel, &pixel), group = task->group;
    const int n = find_runs(job, pixel, runs);
    const float *base;
    if (job->staged)
        base = job->stage + (group * task->gemm->count + image) * job->channels * job->plane;
    else if (job->batch_groups)
        base = job->input + (group * job->images + task->gemm->first + image) * job->channels * job->plane;
    else
        base = job->input + ((task->gemm->first + image) * job->groups + group) * job->channels * job->plane;
    task->gemm->pack(to, base, job->reach + k0, k, runs, n);
}

/* All rows of the task against the packed panels [panel, panel_end). */
static void multiply(const gemm_task *task, int64_t k0, int64_t k, int64_t panel, int64_t panel_end)
{
    const em__conv_job *job = task->gemm->job;
    const int64_t tiles = em__gemm_ceil_div(task->rows, job->kernels->tile_rows);
    const int64_t channels = job->outputs * job->groups;
    em__gemm_tile tile = {.ldb = PANEL, .ldc = job->pixels, .k = k, .first = k0 == 0};
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t from = em__gemm_part(task->rows, tiles, i);
        const int64_t row = task->group * job->outputs + task->row + from;
        tile.rows = (int)(em__gemm_part(task->rows, tiles, i + 1) - from);
        tile.lda = task->copies ? COPY_LD : job->depth;
        tile.a = task->copies ? task->copy + from * COPY_LD : job->weights + row * job->depth + k0;
        for (int64_t p = panel; p < panel_end; p++) {
            int64_t pixel;
            const int64_t image = panel_image(job, p, &pixel);
            tile.b = task->packed + (p - panel) * BLOCK_DEPTH * PANEL;
            tile.c = job->out + ((task->gemm->first + image) * channels + row) * job->pixels + pixel;
            tile.columns = (int)em__gemm_min(job->pixels - pixel, PANEL);
            tile.prefetch = (const char *)tile.b;
            job->kernels->tile(&tile);
        }
    }
}

static void copy_weights(const gemm_task *task, int64_t k0, int64_t k)
{
    const em__conv_job *job = task->gemm->job;
    const float *from = job->weights + (task->group * job->outputs + task->row) * job->depth + k0;
    for (int64_t r = 0; r < task->rows; r++)
        memcpy(task->copy + r * COPY_LD, from + r * job->depth, (size_t)k * sizeof *from);
}

static void run_task(void *context, int64_t index, int worker)
{
    const gemm_job *gemm = context;
    const em__conv_job *job = gemm->job;
    const int64_t per_group = gemm->cut.row_blocks * gemm->cut.column_blocks, in_group = index % per_group;
    const int64_t block = in_group / gemm->cut.column_blocks, column = in_group % gemm->cut.column_blocks;
    gemm_task task = {.gemm = gemm, .group = index / per_group, .copies = copies_weights(job)};
    task.row = em__gemm_part(job->outputs, gemm->cut.row_blocks, block);
    task.rows = em__gemm_part(job->outputs, gemm->cut.row_blocks, block + 1) - task.row;
    task.panel = em__gemm_part(gemm->panels, gemm->cut.column_blocks, column);
    task.panel_end = em__gemm_part(gemm->panels, gemm->cut.column_blocks, column + 1);
    task.packed = em__pool_scratch(job->pool, worker);
    task.copy = task.packed + GROUP * BLOCK_DEPTH * PANEL;
    for (int64_t k0 = 0; k0 < job->depth; k0 += BLOCK_DEPTH) {
        const int64_t k = em__gemm_min(job->depth - k0, BLOCK_DEPTH);
        if (task.copies)
            copy_weights(&task, k0, k);
        for (int64_t p = task.panel; p < task.panel_end; p += GROUP) {
            const int64_t end = em__gemm_min(p + GROUP, task.panel_end);
            for (int64_t i = p; i < end; i++)
                pack_panel(&task, i, k0, k, task.packed + (i - p) * BLOCK_DEPTH * PANEL);
            multiply(&task, k0, k, p, end);
        }
    }
}

static void run_images(const em__conv_job *job, int64_t first, int64_t count)
{
    gemm_job gemm = {.job = job, .first = first, .count = count, .pack = em__conv_pack_get(job->level)};
    gemm.panels = job->panels / job->images * count;
    const em__gemm_costs costs = {.tile_rows = job->kernels->tile_rows,
                                  .per_row = 2 * job->depth,
                                  .per_tile = 80,
                                  .per_panel = 12 * job->depth,
                                  .most_rows = BLOCK_ROWS};
    const int64_t threads = em__gemm_ceil_div(em__pool_size(job->pool), job->groups);
    gemm.cut = em__gemm_choose_cut(&costs, job->outputs, gemm.panels, threads);
    em__pool_run(job->pool, run_task, &gemm, job->groups * gemm.cut.row_blocks * gemm.cut.column_blocks);
}

void em__conv_run(em__conv_job *job, void *scratch)
{
    const size_t staged = stage_bytes(job);
    job->stage = scratch;
    job->reach = (int64_t *)(void *)((char *)scratch + staged);
    em__conv_find_reach(job);
    for (int64_t first = 0; first < job->images; first += job->some) {
        const int64_t count = em__gemm_min(job->some, job->images - first);
        if (job->staged)
            em__conv_stage(job, first, count);
        run_images(job, first, count);
    }
}
