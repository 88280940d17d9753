/*
 * The product of an implicit-GEMM convolution (conv.h): a task is a block of output channels of one group x a range of
 * panels. GROUP panels at a time, depth goes block by block: they are gathered into the worker's scratch, where they
 * stay in the second cache while every tile of channels meets them.
 */
#include "device/cpu/conv.h"

#include <string.h>

#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define PANEL EM__GEMM_PANEL
#define GROUP 8
#define BLOCK_DEPTH EM__CONV_BLOCK_DEPTH
#define BLOCK_ROWS 512 /* of a task: the more, the seldomer its panels are gathered again */
#define COPY_ROWS 224  /* of one that copies its weights: they stay in the second cache */
#define COPY_LD (BLOCK_DEPTH + 16)
#define PAGE 4096
#define STAGE_BYTES ((size_t)8 << 20) /* of images staged at a time, unless one is larger */

/* The weights' rows are so far apart that a tile's fall on the same cache lines. */
static bool copies_weights(const em__conv_job *job)
{
    return job->depth * (int64_t)sizeof(float) % PAGE == 0 && job->outputs >= 8;
}

static size_t stage_bytes(em__conv_job *job)
{
    const size_t image = (size_t)(job->groups * job->channels * job->plane) * sizeof(float);
    const int64_t fit = (int64_t)(STAGE_BYTES / (image ? image : 1));
    job->some = em__min(fit < 1 ? 1 : fit, job->images);
    return job->staged && !job->depthwise ? em__align64(image * (size_t)job->some) : 0;
}

/* Of what Winograd's way tells about its images. */
static size_t strange_bytes(const em__conv_job *job)
{
    return em__align64((size_t)job->images * sizeof(atomic_bool));
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t em__conv_memory(const em__conv_job *job)
{
    em__conv_job copy = *job;
    copy.images = job->winograd ? 1 : job->images;
    const size_t staged = stage_bytes(&copy); /* sets how many images at a time */
    const size_t product = staged + em__align64((size_t)job->depth * sizeof(int64_t)) + em__conv_turned_memory(&copy);
    return job->winograd ? strange_bytes(job) + larger(product, em__conv_winograd_memory(job)) : product;
}

size_t em__conv_worker_memory(const em__conv_job *job)
{
    if (job->depthwise)
        return job->staged ? (size_t)job->plane * sizeof(float) : 0;
    const int64_t copy = copies_weights(job) ? COPY_ROWS * COPY_LD : 0;
    const size_t product = (size_t)(GROUP * (BLOCK_DEPTH + BLOCK_ROWS) * PANEL + copy) * sizeof(float);
    return job->winograd ? larger(product, em__conv_winograd_worker_memory(job)) : product;
}

typedef struct gemm_task {
    const em__conv_images *gemm;
    int64_t group, row, rows; /* rows within the group */
    float *packed;
    float *parts; /* [GROUP][BLOCK_ROWS][PANEL] */
    float *copy;  /* of the weights */
    bool copies;
} gemm_task;

/* True when the panel's columns belong to one image. */
static bool is_whole(const em__conv_images *gemm, int64_t panel)
{
    const int64_t pixel = panel * PANEL, last = em__min(pixel + PANEL, gemm->pixels) - 1;
    return pixel / gemm->job->pixels == last / gemm->job->pixels;
}

/* Panels [panel, panel_end) of the task: those that hold two images are gathered in task->parts. */
static void multiply(const gemm_task *task, int64_t k0, int64_t k, int64_t panel, int64_t panel_end)
{
    const em__conv_images *gemm = task->gemm;
    const em__conv_job *job = gemm->job;
    const int64_t tiles = em__div_up(task->rows, job->gemm->tile_rows);
    em__gemm_tile tile = {.ldb = PANEL, .k = k, .first = k0 == 0};
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t from = em__gemm_part(task->rows, tiles, i);
        const int64_t row = task->group * job->outputs + task->row + from;
        tile.rows = (int)(em__gemm_part(task->rows, tiles, i + 1) - from);
        tile.lda = task->copies ? COPY_LD : job->depth;
        tile.a = task->copies ? task->copy + from * COPY_LD : job->weights + row * job->depth + k0;
        for (int64_t p = panel; p < panel_end; p++) {
            const bool whole = is_whole(gemm, p);
            tile.b = task->packed + (p - panel) * BLOCK_DEPTH * PANEL;
            tile.c = whole ? em__conv_result_at(gemm, row, p * PANEL)
                           : task->parts + ((p - panel) * BLOCK_ROWS + from) * PANEL;
            tile.ldc = whole ? job->pixels : PANEL;
            tile.columns = (int)em__min(gemm->pixels - p * PANEL, PANEL);
            tile.prefetch = (const char *)tile.b;
            job->gemm->tile(&tile);
        }
    }
}

/* A finished panel of several images goes where they are. */
static void hand_out(const gemm_task *task, int64_t panel, const float *parts)
{
    const em__conv_images *gemm = task->gemm;
    const em__conv_job *job = gemm->job;
    const int64_t end = em__min((panel + 1) * PANEL, gemm->pixels);
    for (int64_t pixel = panel * PANEL; pixel < end;) {
        const int64_t count = em__min(job->pixels - pixel % job->pixels, end - pixel);
        for (int64_t r = 0; r < task->rows; r++)
            memcpy(em__conv_result_at(gemm, task->group * job->outputs + task->row + r, pixel),
                   parts + r * PANEL + pixel % PANEL, (size_t)count * sizeof *parts);
        pixel += count;
    }
}

static void copy_weights(const gemm_task *task, int64_t k0, int64_t k)
{
    const em__conv_job *job = task->gemm->job;
    const float *from = job->weights + (task->group * job->outputs + task->row) * job->depth + k0;
    for (int64_t r = 0; r < task->rows; r++)
        memcpy(task->copy + r * COPY_LD, from + r * job->depth, (size_t)k * sizeof *from);
}

/* Panels [panel, end) through the whole depth. */
static void run_group(const gemm_task *task, int64_t panel, int64_t end)
{
    const em__conv_images *gemm = task->gemm;
    const em__conv_job *job = gemm->job;
    em__conv_run_of runs[GROUP][PANEL];
    int n_runs[GROUP];
    for (int64_t p = panel; p < end; p++)
        n_runs[p - panel] = em__conv_find_runs(gemm, p, runs[p - panel]);
    for (int64_t k0 = 0; k0 < job->depth; k0 += BLOCK_DEPTH) {
        const int64_t k = em__min(job->depth - k0, BLOCK_DEPTH);
        if (task->copies)
            copy_weights(task, k0, k);
        for (int64_t p = panel; p < end; p++)
            job->kernels->pack(task->packed + (p - panel) * BLOCK_DEPTH * PANEL, em__conv_group_base(gemm, task->group),
                               job->reach + k0, k, runs[p - panel], n_runs[p - panel]);
        multiply(task, k0, k, panel, end);
    }
    for (int64_t p = panel; p < end; p++)
        if (!is_whole(gemm, p))
            hand_out(task, p, task->parts + (p - panel) * BLOCK_ROWS * PANEL);
}

static void run_task(void *context, int64_t index, int worker)
{
    const em__conv_images *gemm = context;
    const em__conv_job *job = gemm->job;
    const int64_t per_group = gemm->cut.row_blocks * gemm->cut.column_blocks, in_group = index % per_group;
    const int64_t block = in_group / gemm->cut.column_blocks, column = in_group % gemm->cut.column_blocks;
    gemm_task task = {.gemm = gemm, .group = index / per_group, .copies = copies_weights(job)};
    task.row = em__gemm_part(job->outputs, gemm->cut.row_blocks, block);
    task.rows = em__gemm_part(job->outputs, gemm->cut.row_blocks, block + 1) - task.row;
    task.packed = em__pool_scratch(job->pool, worker);
    task.parts = task.packed + GROUP * BLOCK_DEPTH * PANEL;
    task.copy = task.parts + GROUP * BLOCK_ROWS * PANEL;
    const int64_t panel_end = em__gemm_part(gemm->panels, gemm->cut.column_blocks, column + 1);
    for (int64_t p = em__gemm_part(gemm->panels, gemm->cut.column_blocks, column); p < panel_end; p += GROUP)
        run_group(&task, p, em__min(p + GROUP, panel_end));
}

static void run_images(const em__conv_job *job, int64_t first, int64_t count)
{
    em__conv_images gemm = {.job = job, .first = first, .count = count, .pixels = count * job->pixels};
    gemm.panels = em__div_up(gemm.pixels, PANEL);
    if (em__conv_is_turned(job, gemm.pixels)) {
        em__conv_turned_run(&gemm);
        return;
    }
    const int64_t pieces = job->staged ? 2 + 2 * PANEL / job->axis[2].out : 1; /* that a panel is gathered from */
    const em__gemm_costs costs = {.tile_rows = job->gemm->tile_rows,
                                  .per_row = 2 * job->depth,
                                  .per_tile = 80,
                                  .per_panel = 12 * pieces * job->depth,
                                  .most_rows = copies_weights(job) ? COPY_ROWS : BLOCK_ROWS};
    const int64_t threads = em__div_up(em__pool_size(job->pool), job->groups);
    gemm.cut = em__gemm_choose_cut(&costs, job->outputs, gemm.panels, threads);
    em__pool_run(job->pool, run_task, &gemm, job->groups * gemm.cut.row_blocks * gemm.cut.column_blocks);
}

/* By products alone. */
static void run_products(em__conv_job *job, void *scratch)
{
    const size_t staged = stage_bytes(job);
    job->stage = scratch;
    job->reach = (int64_t *)(void *)((char *)scratch + staged);
    job->rows = (float *)(void *)((char *)job->reach + em__align64((size_t)job->depth * sizeof(int64_t)));
    em__conv_find_reach(job);
    if (job->depthwise) {
        em__conv_depth_run(job);
        return;
    }
    for (int64_t first = 0; first < job->images; first += job->some) {
        const int64_t count = em__min(job->some, job->images - first);
        if (job->staged)
            em__conv_stage(job, first, count);
        run_images(job, first, count);
    }
}

void em__conv_run(em__conv_job *job, void *scratch)
{
    if (!job->winograd) {
        run_products(job, scratch);
        return;
    }
    atomic_bool *strange = scratch;
    void *rest = (char *)scratch + strange_bytes(job);
    for (int64_t i = 0; i < job->images; i++)
        atomic_init(&strange[i], false);
    em__conv_winograd_run(job, rest, strange);
    for (int64_t i = 0; i < job->images; i++) {
        em__conv_job one = *job;
        one.images = 1;
        one.input += i * job->channels * job->axis[1].in * job->axis[2].in;
        one.out += i * job->outputs * job->pixels;
        if (atomic_load(&strange[i]))
            run_products(&one, rest);
    }
}
