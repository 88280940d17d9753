/*
 * The driver of quant_planes.h. x is split once; a task takes some rows of w, a panel at a time: its scales as columns,
 * then its codes, as they lie, against each tile of x. Packed panels have both within.
 */
#include "device/cpu/quant_planes.h"

#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/quant_tiles.h"

#define ROWS EM__PLANES_ROWS
#define BLOCK_TILES 12  /* of x, of a task */
#define SMALL (1 << 15) /* weights that one thread multiplies by itself */
#define TASKS 4         /* of a thread at most */
#define MANY_SCALES 128 /* bytes of a row's scales from which they are fetched in steps */

typedef struct planes_job {
    const em__quant_product *p;
    em__planes_scheme scheme;
    em__planes_x x;
    int64_t groups, blocks; /* of a row */
    int64_t row_bytes;      /* of codes */
    int64_t scale_bytes;    /* of a row of scales or biases */
    int64_t tiles;          /* of x */
    int64_t tasks_n, m_blocks;
} planes_job;

/* What a worker's scratch holds. */
typedef struct own_room {
    float *scales, *biases; /* [groups][ROWS] */
    float *c;               /* [rows of BLOCK_TILES][ROWS] */
} own_room;

bool em__quant_planes_takes(const em__quant_product *p)
{
    const int group = (int)p->scheme.group;
    const em__quant_kind kind = em__quant_kind_of(&p->scheme);
    return p->kernels->planes && p->transpose && (kind == EM__QUANT_U4 || kind == EM__QUANT_E2M1) && p->k > 0 &&
           (group == 32 || group == 64 || group == 128);
}

/* Codes less their middle are 8 at most, or 12: a group's sum of them times x stays within s32. */
em__planes_scheme em__planes_scheme_of(const em__quant_product *p)
{
    const int group = (int)p->scheme.group;
    if (em__quant_kind_of(&p->scheme) == EM__QUANT_E2M1)
        return (em__planes_scheme){group, group == 32 ? 22 : group == 64 ? 21 : 20, 12, true};
    return (em__planes_scheme){group, group == 32 ? 23 : group == 64 ? 22 : 21, 8, false};
}

/* Whether matrix units meet the panels. More rows than a tile's don't come here where there are any. */
static bool on_units(const em__quant_product *p)
{
    return p->packed && p->kernels->tiles && p->m >= EM__PLANES_UNITS;
}

/* Some rows of x, from row `row` on. */
typedef struct x_tile {
    em__planes_x x;
    int64_t row;
    int m;
} x_tile;

/* The first rows of x are those of tile 0, ... */
static x_tile tile_at(const planes_job *job, int64_t index)
{
    x_tile t = {.x = job->x, .row = em__gemm_part(job->p->m, job->tiles, index)};
    t.m = (int)(em__gemm_part(job->p->m, job->tiles, index + 1) - t.row);
    t.x.planes += t.row * job->x.ld_bytes;
    t.x.scale += t.row * job->groups;
    t.x.sum += t.row * job->groups;
    t.x.middle += t.row * job->groups;
    t.x.ld = 1;
    t.x.step = t.m;
    t.x.ld_bytes = EM__PLANES_CELL;
    t.x.word = t.m * EM__PLANES_CELL;
    if (job->p->m <= EM__PLANES_DOT && !job->p->packed) {
        t.x.ld = job->groups;
        t.x.step = 1;
        t.x.ld_bytes = job->x.ld_bytes;
        t.x.word = 0;
    }
    if (on_units(job->p)) {
        t.x.ld_bytes = em__min(job->scheme.group, EM__TILES_STEP);
        t.x.plane = t.m * t.x.ld_bytes;
    }
    return t;
}

static planes_job make_job(const em__quant_product *p)
{
    planes_job job = {.p = p, .scheme = em__planes_scheme_of(p), .groups = p->k / p->scheme.group};
    job.blocks = em__div_up(p->k, EM__PLANES_BLOCK);
    job.row_bytes = p->k / 2;
    job.scale_bytes = job.groups * (int64_t)em_dtype_size(p->scale_dtype);
    job.tiles = em__div_up(p->m, EM__PLANES_TILE);
    job.m_blocks = em__div_up(job.tiles, BLOCK_TILES);
    job.x.ld_bytes = job.blocks * EM__PLANES_X_BYTES;
    char *memory = p->memory;
    job.x.planes = (int8_t *)memory;
    memory += p->m * job.x.ld_bytes;
    job.x.scale = (float *)(void *)memory;
    job.x.sum = job.x.scale + p->m * job.groups;
    job.x.middle = (int32_t *)(void *)(job.x.sum + p->m * job.groups);
    return job;
}

static own_room make_room(const planes_job *job, int worker)
{
    own_room r = {.scales = em__pool_scratch(job->p->pool, worker)};
    r.biases = r.scales + job->groups * ROWS;
    r.c = r.biases + job->groups * ROWS;
    return r;
}

bool em__quant_planes_needs(const em__quant_product *p, size_t *memory, size_t *scratch)
{
    int64_t elements;
    if (em__mul_overflows(p->m, p->k, &elements) || elements > INT64_MAX / 256)
        return false;
    const int64_t groups = p->k / p->scheme.group, blocks = em__div_up(p->k, EM__PLANES_BLOCK);
    *memory = (size_t)(p->m * blocks * EM__PLANES_X_BYTES + em__round_up(p->m * groups * 3 * 4, 64)) +
              (p->x_dtype == EM_F32 ? 0 : (size_t)em__round_up(p->m * p->k * 4, 64));
    *scratch = (p->packed ? BLOCK_TILES * EM__PLANES_TILE * 2 * EM__PLANES_PANEL
                          : (size_t)(2 * groups + BLOCK_TILES * EM__PLANES_TILE) * ROWS) *
               sizeof(float);
    return true;
}

typedef struct split_job {
    const planes_job *of;
    const float *x;
    int64_t tiles; /* of a task */
} split_job;

static void split_rows(void *context, int64_t task, int worker)
{
    const split_job *job = context;
    const planes_job *of = job->of;
    const em__quant_product *p = of->p;
    (void)worker;
    for (int64_t i = task * job->tiles; i < em__min((task + 1) * job->tiles, of->tiles); i++) {
        x_tile t = tile_at(of, i);
        for (int row = 0; row < t.m; row++) {
            if (!t.x.word && p->k % EM__PLANES_BLOCK)
                memset(t.x.planes + (of->blocks - 1) * EM__PLANES_X_BYTES, 0, EM__PLANES_X_BYTES);
            p->kernels->planes->split(&t.x, job->x + (t.row + row) * p->k, of->groups, &of->scheme);
            t.x.planes += t.x.ld_bytes;
            t.x.scale += t.x.ld;
            t.x.sum += t.x.ld;
            t.x.middle += t.x.ld;
        }
    }
}

static void split_x(const planes_job *job)
{
    const em__quant_product *p = job->p;
    float *room = job->x.scale + em__round_up(p->m * job->groups * 3, 16);
    const split_job split = {job, em__quant_x(p, false, room), em__div_up(1 << 14, p->k * EM__PLANES_TILE)};
    em__pool_run(p->pool, split_rows, (void *)(uintptr_t)&split, em__div_up(job->tiles, split.tiles));
}

em__planes_scale em__planes_scale_of(em_dtype dtype)
{
    if (dtype == EM_U8)
        return EM__PLANES_E8M0;
    return dtype == EM_F32 ? EM__PLANES_F32 : dtype == EM_BF16 ? EM__PLANES_BF16 : EM__PLANES_F16;
}

/* Where the panel's rows from `row` on begin, of `bytes` each; the last one stands for those that are not there. */
static void panel_rows(const planes_job *job, int64_t row, int64_t bytes, int64_t *at)
{
    const int64_t last = (job->p->n - 1) * bytes;
    int64_t next = row * bytes;
    for (int r = 0; r < ROWS; r++, next += bytes)
        at[r] = em__min(next, last);
}

/* Scales or biases of the rows that begin at `at` as columns. */
static void panel_scales(const planes_job *job, const void *from, const int64_t *at, float *to)
{
    const uint8_t *rows[ROWS];
    if (!from)
        return;
    for (int r = 0; r < ROWS; r++)
        rows[r] = (const uint8_t *)from + at[r];
    job->p->kernels->planes->columns(to, rows, job->groups, em__planes_scale_of(job->p->scale_dtype));
}

/* Fetches scales or biases of the panel from `row`. Inlined by force: what only fetches passes for a function without
 * effect, a call of which may go. */
static inline __attribute__((always_inline)) void fetch_scales(const planes_job *job, const void *from, int64_t row)
{
    const int64_t bytes = em__min(ROWS, job->p->n - row) * job->scale_bytes;
    for (int64_t at = 0; from && at < bytes; at += 64)
        __builtin_prefetch((const char *)from + row * job->scale_bytes + at, 0, 2);
}

/* The panel that `dot` stands for against tiles [tile, last) of x. Its codes come from memory once. */
static void run_panel(const planes_job *job, em__planes_dot *dot, int64_t tile, int64_t last, const uint8_t *ahead)
{
    const em__planes_kernels *kernels = job->p->kernels->planes;
    float *const c = dot->c;
    for (; tile < last; tile++) {
        const x_tile t = tile_at(job, tile);
        dot->x = t.x;
        dot->m = t.m;
        dot->ahead = ahead;
        if (t.x.word)
            kernels->tile(dot);
        else
            kernels->dot(dot);
        dot->c += t.m * ROWS;
        ahead = NULL;
    }
    dot->c = c;
}

/* Panels [first, end) against tiles [tile, last) of x. Many scales are fetched between codes: at once they would wait
 * for each other. */
static void run_panels(const planes_job *job, const own_room *room, int64_t first, int64_t end, int64_t tile,
                       int64_t last)
{
    const em__quant_product *p = job->p;
    const int64_t m = tile_at(job, tile).row, count = tile_at(job, last).row - m;
    const bool in_steps = job->scale_bytes > MANY_SCALES;
    int64_t scales[ROWS];
    em__planes_dot dot = {.codes = p->codes,
                          .scales = room->scales,
                          .biases = p->biases ? room->biases : NULL,
                          .groups = job->groups,
                          .group = job->scheme.group,
                          .c = room->c,
                          .ldc = ROWS,
                          .ahead_step = in_steps ? ROWS * job->scale_bytes / job->blocks : 0};
    for (int64_t row = first * ROWS; row < end * ROWS; row += ROWS) {
        const int64_t next = em__min(row + ROWS, p->n - 1);
        panel_rows(job, row, job->row_bytes, dot.row);
        panel_rows(job, row, job->scale_bytes, scales);
        if (!in_steps) {
            fetch_scales(job, p->scales, row + ROWS);
            fetch_scales(job, p->biases, row + ROWS);
        }
        panel_scales(job, p->scales, scales, room->scales);
        panel_scales(job, p->biases, scales, room->biases);
        dot.ahead_scales[0] = (const uint8_t *)p->scales + next * job->scale_bytes;
        dot.ahead_scales[1] = p->biases ? (const uint8_t *)p->biases + next * job->scale_bytes : NULL;
        run_panel(job, &dot, tile, last, dot.codes + next * job->row_bytes);
        for (int64_t i = 0; i < count; i++)
            em__quant_store(p, m + i, row, room->c + i * ROWS, em__min(ROWS, p->n - row));
    }
}

/* Sums of `panels` packed panels from `first` on, into place. */
static void store_panels(const planes_job *job, int64_t row, int64_t count, int64_t first, int64_t panels,
                         const float *c, int64_t ldc)
{
    const int64_t column = first * EM__PLANES_PANEL, columns = em__min(panels * EM__PLANES_PANEL, job->p->n - column);
    for (int64_t i = 0; i < count && columns > 0; i++)
        em__quant_store(job->p, row + i, column, c + i * ldc, columns);
}

/* The same of packed panels [first, end), and of those `apart` behind them that there are: as many at a time as there
 * is room for their sums; where they meet several tiles, one by one, so that they stay in a cache meanwhile. */
static void run_packed(const planes_job *job, float *c, int64_t first, int64_t end, int64_t apart, int64_t tile,
                       int64_t last)
{
    const em__quant_product *p = job->p;
    const int64_t m = tile_at(job, tile).row, count = tile_at(job, last).row - m;
    const int64_t step = last - tile > 1 ? 1 : BLOCK_TILES, bytes = job->groups * em__planes_group_bytes(p);
    const int64_t all = em__div_up(p->n, EM__PLANES_PANEL);
    void (*const panels)(const em__planes_panels *) =
        on_units(p) ? p->kernels->tiles->panels : p->kernels->planes->panels;
    em__planes_panels d = {.as = em__planes_scale_of(p->scale_dtype), .groups = job->groups};
    d.group = job->scheme.group;
    d.bytes = bytes;
    d.apart = apart * bytes;
    d.apart_c = step * EM__PLANES_PANEL;
    d.ldc = 2 * d.apart_c;
    for (; first < end; first += d.panels) {
        d.packed = (const uint8_t *)p->packed + first * bytes;
        d.panels = em__min(step, end - first);
        d.both = em__min(d.panels, all - apart - first);
        for (int64_t i = tile; i < last; i++) {
            const x_tile t = tile_at(job, i);
            d.x = t.x;
            d.m = t.m;
            d.c = c + (t.row - m) * d.ldc;
            panels(&d);
        }
        store_panels(job, m, count, first, d.panels, c, d.ldc);
        store_panels(job, m, count, first + apart, d.both, c + d.apart_c, d.ldc);
    }
}

/* Pieces that w's rows can be cut into at most: of panels, or of pairs of packed ones. */
static int64_t finest_of(const em__quant_product *p)
{
    return em__div_up(p->n, p->packed ? 2 * EM__PLANES_PANEL : ROWS);
}

static void run_task(void *context, int64_t task, int worker)
{
    const planes_job *job = context;
    const em__quant_product *p = job->p;
    const int64_t piece = task % job->tasks_n, of_m = task / job->tasks_n, all = finest_of(p);
    const int64_t first = em__gemm_part(all, job->tasks_n, piece), end = em__gemm_part(all, job->tasks_n, piece + 1);
    const int64_t tile = em__gemm_part(job->tiles, job->m_blocks, of_m);
    const int64_t last = em__gemm_part(job->tiles, job->m_blocks, of_m + 1);
    const own_room room = make_room(job, worker);
    if (p->packed)
        run_packed(job, em__pool_scratch(p->pool, worker), first, end, all, tile, last);
    else
        run_panels(job, &room, first, end, tile, last);
}

void em__quant_planes_run(const em__quant_product *p)
{
    planes_job job = make_job(p);
    split_x(&job);
    job.tasks_n = p->n * p->k * p->m <= SMALL ? 1 : em__min(finest_of(p), em__pool_size(p->pool) * TASKS);
    em__pool_run(p->pool, run_task, &job, job.tasks_n * job.m_blocks);
}
