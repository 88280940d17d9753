/*
 * The product of conv.h turned, where pixels are few and would leave much of their panels empty: rows are pixels, whose
 * values under all taps are gathered first; columns are output channels, whose weights are packed a block of depth at a
 * time. Each output is the same chain of multiply-adds.
 */
#include "device/cpu/conv.h"

#include "core/whole.h"
#include "device/cpu/copy.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define PANEL EM__GEMM_PANEL
#define HALF (PANEL / 2) /* columns that a tile can leave out */
#define BLOCK_DEPTH EM__CONV_BLOCK_DEPTH
#define MOST_PIXELS (10 * (HALF - 1)) /* more do not leave a tenth of the columns empty */

bool em__conv_is_turned(const em__conv_job *job, int64_t pixels)
{
    const int64_t empty = em__div_up(pixels, HALF) * HALF - pixels;
    return pixels > 0 && job->outputs >= PANEL && 10 * empty >= pixels;
}

/* Floats from a pixel's row to the next: an odd number of lines, so that rows do not fall on the same ones. */
static int64_t row_floats(const em__conv_job *job)
{
    return (em__div_up(job->depth, 16) | 1) * 16;
}

size_t em__conv_turned_memory(const em__conv_job *job)
{
    const int64_t rest = job->images % job->some, pixels = em__min(job->some * job->pixels, MOST_PIXELS);
    if (!em__conv_is_turned(job, job->some * job->pixels) && !em__conv_is_turned(job, rest * job->pixels))
        return 0;
    return (size_t)(job->groups * pixels * row_floats(job)) * sizeof(float);
}

/* Of a group: a panel of pixels under a block of depth. */
static void gather(void *context, int64_t index, int worker)
{
    const em__conv_images *images = context;
    const em__conv_job *job = images->job;
    const int64_t blocks = em__div_up(job->depth, BLOCK_DEPTH), k0 = index % blocks * BLOCK_DEPTH;
    const int64_t panel = index / blocks % images->panels, group = index / blocks / images->panels;
    const int64_t k = em__min(job->depth - k0, BLOCK_DEPTH), pixel = panel * PANEL;
    em__conv_run_of runs[PANEL];
    const int n = em__conv_find_runs(images, panel, runs);
    float *packed = em__pool_scratch(job->pool, worker), *to = job->rows + k0;
    job->kernels->pack(packed, em__conv_group_base(images, group), job->reach + k0, k, runs, n);
    to += (group * images->pixels + pixel) * row_floats(job);
    em__copy_get()->transpose[2](to, row_floats(job), packed, PANEL, (size_t)em__min(images->pixels - pixel, PANEL),
                                 (size_t)k, false);
}

/* All pixels under a panel of a group's channels: sums [pixels][PANEL]. */
static void multiply(const em__conv_images *images, int64_t group, int64_t channel, int columns, float *packed,
                     float *sums)
{
    const em__conv_job *job = images->job;
    const int64_t tiles = em__div_up(images->pixels, job->gemm->tile_rows), row = row_floats(job);
    const float *weights = job->weights + (group * job->outputs + channel) * job->depth;
    const float *rows = job->rows + group * images->pixels * row;
    for (int64_t k0 = 0; k0 < job->depth; k0 += BLOCK_DEPTH) {
        const int64_t k = em__min(job->depth - k0, BLOCK_DEPTH);
        job->gemm->pack_rows(packed, weights + k0, job->depth, columns, k, false);
        em__gemm_tile tile = {.lda = row, .b = packed, .ldb = PANEL, .ldc = PANEL, .k = k, .first = k0 == 0};
        tile.columns = columns;
        tile.prefetch = (const char *)packed;
        for (int64_t i = 0; i < tiles; i++) {
            const int64_t from = em__gemm_part(images->pixels, tiles, i);
            tile.rows = (int)(em__gemm_part(images->pixels, tiles, i + 1) - from);
            tile.a = rows + from * row + k0;
            tile.c = sums + from * PANEL;
            job->gemm->tile(&tile);
        }
    }
}

static void run_panel(void *context, int64_t index, int worker)
{
    const em__conv_images *images = context;
    const em__conv_job *job = images->job;
    const int64_t panels = em__div_up(job->outputs, PANEL), group = index / panels;
    const int64_t channel = index % panels * PANEL;
    const int columns = (int)em__min(job->outputs - channel, PANEL);
    float *packed = em__pool_scratch(job->pool, worker), *sums = packed + BLOCK_DEPTH * PANEL;
    multiply(images, group, channel, columns, packed, sums);
    for (int64_t pixel = 0; pixel < images->pixels; pixel += job->pixels)
        em__copy_get()->transpose[2](em__conv_result_at(images, group * job->outputs + channel, pixel), job->pixels,
                                     sums + pixel * PANEL, PANEL, (size_t)columns, (size_t)job->pixels, false);
}

void em__conv_turned_run(em__conv_images *images)
{
    const em__conv_job *job = images->job;
    const int64_t blocks = em__div_up(job->depth, BLOCK_DEPTH);
    em__pool_run(job->pool, gather, images, job->groups * images->panels * blocks);
    em__pool_run(job->pool, run_panel, images, job->groups * em__div_up(job->outputs, PANEL));
}
