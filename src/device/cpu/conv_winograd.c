/*
 * Convolutions of three taps (or 3 x 3) by Winograd's algorithm: two neighbouring outputs of an axis take 4
 * multiplications instead of 6; with stride 2 they take 5, as the even pixels meet two taps and the odd ones the third.
 * Over both axes 2 x 2 outputs take 16 or 25 instead of 36.
 *
 * A tile is 2 (x 2) outputs of an image. Its 4 or 5 pixels on an axis are transformed to as many points; the taps to
 * four values, of which stride 2 meets the last at two points. At each point a matrix product over the channels
 * follows, and what it gives is transformed to the tile's outputs. Tiles are counted over all images, row by row, and
 * go in waves whose inputs stay in the caches.
 *
 *   inputs   [tile of the wave][point][channel]     rows of the products
 *   kernels  [value][channel][output of a panel]    made by the worker that multiplies with them
 *   sums     [point][tile][output of a panel]
 *
 * An output is a function of its image and its kernel alone: the sum over channels is that of gemm.h, the transforms
 * are sums of fixed order. Errors are 1.1 to 1.7 times those of a product, and go with the largest pixel of the tile.
 */
#include <string.h>

#include "core/whole.h"
#include "device/cpu/conv.h"
#include "device/cpu/gemm_kernels.h"

#define PANEL EM__GEMM_PANEL
#define WAVE_FLOATS ((int64_t)1 << 21)    /* of transformed inputs: they stay in the last cache */
#define SUMS_FLOATS ((int64_t)1 << 16)    /* of a worker: they stay in the second cache, */
#define KERNELS_FLOATS ((int64_t)1 << 17) /* as do the kernels of all channels, or half as much and the next taps */
#define CHUNK_TILES 128                   /* transformed at a time */
#define PACK_DEPTH 16
#define LEAST_CHANNELS 32

typedef struct winograd {
    const em__conv_job *job;
    const em__conv_axis *y, *x;
    atomic_bool *strange;
    float *inputs;
    int64_t taps, values, points;
    int64_t tiles_y, tiles_x; /* of an image */
    int64_t step, pitch;      /* of inputs: floats from a point to the next, and from a tile */
    int64_t depth;            /* channels whose kernels are made at a time */
    int64_t chunk, wave;      /* tiles */
    int64_t block;            /* tiles that are multiplied at a time */
    int64_t first, count;     /* tiles of the wave at work */
    int64_t pieces;           /* of the wave, to multiply */
    bool both;
    int stride;
} winograd;

/* Neighbouring tiles of an image: whole rows of them, or a part of one. */
typedef struct piece {
    int64_t image, y, rows, x, columns;
} piece;

static bool slides(const em__conv_axis *axis)
{
    return axis->taps == 3 && axis->stride <= 2 && axis->input_dilation == 1 && axis->kernel_dilation == 1;
}

static bool stands(const em__conv_axis *axis)
{
    return axis->taps == 1 && axis->stride == 1 && axis->input_dilation == 1 && axis->low == 0 && axis->out == axis->in;
}

/* The kernels of all channels, or a multiple of a chunk of the sums. */
static int64_t choose_depth(const winograd *w)
{
    const int64_t most = KERNELS_FLOATS / (w->values * PANEL), half = em__max(most / 2, EM__GEMM_CHUNK);
    return w->job->channels <= most ? w->job->channels : half / EM__GEMM_CHUNK * EM__GEMM_CHUNK;
}

static winograd describe(const em__conv_job *job)
{
    winograd w = {.job = job, .y = &job->axis[1], .x = &job->axis[2], .both = slides(&job->axis[1])};
    w.stride = (int)w.x->stride;
    w.taps = w.both ? 9 : 3;
    w.values = w.both ? 16 : 4;
    w.points = (w.both ? 3 + w.stride : 1) * (3 + w.stride);
    w.tiles_y = w.both ? em__div_up(w.y->out, 2) : w.y->out;
    w.tiles_x = em__div_up(w.x->out, 2);
    w.step = em__round_up(job->channels, 16);
    w.pitch = w.points * w.step + 16; /* not a power of two: neighbours would share cache lines */
    w.depth = choose_depth(&w);
    w.chunk = w.tiles_x > CHUNK_TILES ? CHUNK_TILES : CHUNK_TILES / w.tiles_x * w.tiles_x;
    w.wave = em__max(WAVE_FLOATS / w.pitch / w.chunk, 1) * w.chunk;
    w.wave = em__min(w.wave, job->images * w.tiles_y * w.tiles_x);
    w.block = em__min(SUMS_FLOATS / (w.points * PANEL), w.wave);
    return w;
}

/* Clearly fewer multiplications for an image, the kernels' transform counted. */
bool em__conv_is_winograd(const em__conv_job *job)
{
    const em__conv_axis *z = &job->axis[0], *y = &job->axis[1], *x = &job->axis[2];
    if (job->groups != 1 || job->channels < LEAST_CHANNELS || job->outputs < LEAST_CHANNELS || !slides(x) ||
        !((slides(y) && y->stride == x->stride) || stands(y)) || !stands(z) || z->in != 1)
        return false;
    const winograd w = describe(job);
    const int64_t kernels = w.both ? 72 : 24;
    return 20 * w.taps * job->pixels >= 23 * (w.points * w.tiles_y * w.tiles_x + kernels);
}

size_t em__conv_winograd_memory(const em__conv_job *job)
{
    const winograd w = describe(job);
    return (size_t)(w.wave * w.pitch) * sizeof(float);
}

/* Floats from a worker's kernels of a value to the next, and from its sums of a point. */
static int64_t kernels_step(const winograd *w)
{
    return w->depth * PANEL + 16;
}

static int64_t sums_step(const winograd *w)
{
    return w->block * PANEL + 16;
}

/* Pixels under so many tiles. */
static int64_t pixels_under(const winograd *w, int64_t tiles)
{
    return 2 * w->stride * (tiles - 1) + 3 + w->stride;
}

size_t em__conv_winograd_worker_memory(const em__conv_job *job)
{
    const winograd w = describe(job);
    const int64_t columns = em__min(w.tiles_x, w.chunk), rows = em__div_up(w.chunk, columns);
    const int64_t staged = pixels_under(&w, columns) * pixels_under(&w, rows) * PANEL;
    const int64_t multiply = w.values * kernels_step(&w) + w.points * sums_step(&w) + PACK_DEPTH * w.taps * PANEL +
                             4 * em__min(w.tiles_x, w.block) * PANEL;
    return (size_t)em__max(multiply, staged) * sizeof(float);
}

/* The piece that begins with `tile` (of all images) and ends before `end`; returns its tiles. */
static int64_t cut_piece(const winograd *w, int64_t tile, int64_t end, bool whole_rows, piece *p)
{
    const int64_t row = tile / w->tiles_x;
    *p = (piece){row / w->tiles_y, row % w->tiles_y, 1, tile % w->tiles_x, 0};
    p->columns = em__min(w->tiles_x - p->x, end - tile);
    if (whole_rows && p->columns == w->tiles_x)
        p->rows = em__min((end - tile) / w->tiles_x, w->tiles_y - p->y);
    return p->rows * p->columns;
}

/* Pixels from `at` on: `count` of them, of which [*first, *end) exist. */
static void find_inside(int64_t at, int64_t count, int64_t in, int64_t *first, int64_t *end)
{
    *first = em__min(em__max(-at, 0), count);
    *end = em__max(em__min(in - at, count), *first);
}

/* The pixels under a piece, of n channels from `channel` on, as lines of channels: [y][x][PANEL]. */
static void stage(const winograd *w, const piece *p, int64_t channel, int n, float *to)
{
    const int64_t plane = w->y->in * w->x->in, columns = pixels_under(w, p->columns);
    const int64_t rows = w->both ? pixels_under(w, p->rows) : p->rows;
    const int64_t at_y = w->both ? 2 * w->stride * p->y - w->y->low : p->y;
    const int64_t at_x = 2 * w->stride * p->x - w->x->low;
    const float *from = w->job->input + (p->image * w->job->channels + channel) * plane;
    int64_t top, bottom, left, right;
    find_inside(at_y, rows, w->y->in, &top, &bottom);
    find_inside(at_x, columns, w->x->in, &left, &right);
    for (int64_t y = 0; y < rows; y++, to += columns * PANEL) {
        if (y < top || y >= bottom || left == right) {
            memset(to, 0, (size_t)(columns * PANEL) * sizeof *to);
            continue;
        }
        memset(to, 0, (size_t)(left * PANEL) * sizeof *to);
        w->job->gemm->pack_rows(to + left * PANEL, from + (at_y + y) * w->x->in + at_x + left, plane, n, right - left,
                                false);
        memset(to + right * PANEL, 0, (size_t)((columns - right) * PANEL) * sizeof *to);
    }
}

/* A chunk of the wave's tiles x a line of channels. */
static void transform_inputs(void *context, int64_t index, int worker)
{
    const winograd *w = context;
    const int64_t lines = em__div_up(w->job->channels, PANEL), channel = index % lines * PANEL;
    const int n = (int)em__min(w->job->channels - channel, PANEL);
    const int64_t end = em__min((index / lines + 1) * w->chunk, w->count);
    float *pixels = em__pool_scratch(w->job->pool, worker);
    for (int64_t tile = index / lines * w->chunk; tile < end;) {
        piece p;
        const int64_t after = tile + cut_piece(w, w->first + tile, w->first + end, true, &p);
        stage(w, &p, channel, n, pixels);
        const em__conv_tiles tiles = {p.columns, w->step, pixels_under(w, p.columns) * PANEL, w->both, w->stride};
        const int64_t next = (w->both ? 2 * w->stride : 1) * tiles.row;
        for (int64_t y = 0; y < p.rows; y++, tile += p.columns)
            w->job->kernels->winograd_input(&tiles, w->inputs + tile * w->pitch + channel, w->pitch, pixels + y * next,
                                            (n + 15) / 16 * 16);
        tile = after;
    }
}

/* What multiplies a panel of outputs with tiles. */
typedef struct panel_task {
    const winograd *w;
    int64_t output;
    int columns;
    int64_t then_output, then_k;             /* whose taps are called into the second cache in the meantime */
    float *kernels, *sums, *packed, *pixels; /* the worker's */
} panel_task;

/* Of channels [k0, k0 + k). */
static void transform_kernels(const panel_task *task, int64_t k0, int64_t k)
{
    const winograd *w = task->w;
    const em__conv_job *job = w->job;
    const float *from = job->weights + task->output * job->depth + k0 * w->taps;
    em__conv_tiles tiles = {.step = kernels_step(w), .both = w->both, .stride = w->stride};
    for (int64_t c = 0; c < k; c += PACK_DEPTH) {
        tiles.n = em__min(k - c, PACK_DEPTH);
        job->gemm->pack_rows(task->packed, from + c * w->taps, job->depth, task->columns, tiles.n * w->taps, false);
        job->kernels->winograd_weights(&tiles, task->kernels + c * PANEL, task->packed);
    }
}

/* A point's share of the taps that are transformed next. */
static void fetch_kernels(const panel_task *task, int64_t point)
{
    const em__conv_job *job = task->w->job;
    if (task->then_output >= job->outputs)
        return;
    const int64_t k = em__min(job->channels - task->then_k, task->w->depth), size = (int64_t)sizeof(float);
    const float *at = job->weights + task->then_output * job->depth + task->then_k * task->w->taps;
    em__gemm_fetch((const char *)at, job->depth * size, em__min(job->outputs - task->then_output, PANEL),
                   k * task->w->taps * size, point, task->w->points);
}

/* Which of the values a point of the inputs meets. */
static int64_t value_at(const winograd *w, int64_t point)
{
    const int64_t wide = 3 + w->stride;
    return 4 * em__min(point / wide, 3) + em__min(point % wide, 3);
}

/* The wave's tiles [first, first + count) at every point, over channels [k0, k0 + k). */
static void multiply(const panel_task *task, int64_t first, int64_t count, int64_t k0, int64_t k)
{
    const winograd *w = task->w;
    const em__gemm_kernels *gemm = w->job->gemm;
    const int64_t parts = em__div_up(count, gemm->tile_rows);
    em__gemm_tile tile = {.lda = w->pitch, .ldb = PANEL, .ldc = PANEL, .k = k, .columns = PANEL, .first = k0 == 0};
    for (int64_t point = 0; point < w->points; point++) {
        tile.b = task->kernels + value_at(w, point) * kernels_step(w);
        tile.prefetch = (const char *)tile.b;
        fetch_kernels(task, point);
        for (int64_t i = 0; i < parts; i++) {
            const int64_t from = em__gemm_part(count, parts, i);
            tile.rows = (int)(em__gemm_part(count, parts, i + 1) - from);
            tile.a = w->inputs + (first + from) * w->pitch + point * w->step + k0;
            tile.c = task->sums + point * sums_step(w) + from * PANEL;
            gemm->tile(&tile);
        }
    }
}

/* The outputs of a piece of one row of tiles, whose sums begin there. */
static void hand_out(const panel_task *task, const piece *p, const float *sums)
{
    const winograd *w = task->w;
    const em__conv_job *job = w->job;
    const em__conv_tiles tiles = {p->columns, sums_step(w), 2 * p->columns * PANEL, w->both, w->stride};
    const int64_t x = 2 * p->x, y = w->both ? 2 * p->y : p->y;
    const int64_t columns = em__min(2 * p->columns, w->x->out - x), rows = em__min(w->both ? 2 : 1, w->y->out - y);
    if (!job->kernels->winograd_output(&tiles, task->pixels, sums))
        atomic_store_explicit(&w->strange[p->image], true, memory_order_relaxed);
    float *to = job->out + (p->image * job->outputs + task->output) * job->pixels + y * w->x->out + x;
    for (int64_t i = 0; i < rows; i++)
        job->kernels->turn_lines(to + i * w->x->out, job->pixels, task->pixels + i * tiles.row, task->columns, columns);
}

/* Tiles [first, end) of the wave with the panel; its kernels are there already where they are `kept`. */
static void multiply_block(panel_task *task, int64_t first, int64_t end, bool kept, bool last)
{
    const winograd *w = task->w;
    const int64_t channels = w->job->channels;
    for (int64_t k0 = 0; k0 < channels; k0 += w->depth) {
        const int64_t k = em__min(channels - k0, w->depth);
        if (!kept)
            transform_kernels(task, k0, k);
        task->then_k = k0 + k < channels ? k0 + k : 0;
        task->then_output = task->output + (last && task->then_k == 0 ? PANEL : 0);
        multiply(task, first, end - first, k0, k);
    }
    for (int64_t tile = first; tile < end;) {
        piece p;
        const float *sums = task->sums + (tile - first) * PANEL;
        tile += cut_piece(w, w->first + tile, w->first + end, false, &p);
        hand_out(task, &p, sums);
    }
}

/* A panel of outputs x a piece of the wave, block by block. */
static void multiply_panel(void *context, int64_t index, int worker)
{
    const winograd *w = context;
    panel_task task = {.w = w, .output = index / w->pieces * PANEL};
    task.columns = (int)em__min(w->job->outputs - task.output, PANEL);
    task.kernels = em__pool_scratch(w->job->pool, worker);
    task.sums = task.kernels + w->values * kernels_step(w);
    task.packed = task.sums + w->points * sums_step(w);
    task.pixels = task.packed + PACK_DEPTH * w->taps * PANEL;
    const int64_t from = em__gemm_part(w->count, w->pieces, index % w->pieces);
    const int64_t tiles = em__gemm_part(w->count, w->pieces, index % w->pieces + 1) - from;
    const int64_t blocks = em__div_up(tiles, w->block);
    for (int64_t b = 0; b < blocks; b++)
        multiply_block(&task, from + em__gemm_part(tiles, blocks, b), from + em__gemm_part(tiles, blocks, b + 1),
                       b > 0 && w->depth == w->job->channels, b + 1 == blocks);
}

void em__conv_winograd_run(const em__conv_job *job, void *memory, atomic_bool *strange)
{
    winograd w = describe(job);
    w.strange = strange;
    w.inputs = memory;
    const int64_t tiles = job->images * w.tiles_y * w.tiles_x, panels = em__div_up(job->outputs, PANEL);
    const int64_t enough = em__div_up(4 * em__pool_size(job->pool), panels); /* pieces that keep all at work */
    for (; w.first < tiles; w.first += w.count) {
        w.count = em__min(w.wave, tiles - w.first);
        w.pieces = em__max(em__min(enough, 2 * w.count / w.block), 1);
        em__pool_run(job->pool, transform_inputs, &w, em__div_up(w.count, w.chunk) * em__div_up(job->channels, PANEL));
        em__pool_run(job->pool, multiply_panel, &w, panels * w.pieces);
    }
}
