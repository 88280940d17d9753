/*
 * The driver of quant_planes.h. x is split once; a task takes some rows of w, a block of panels at a time: their scales
 * as columns, then for each chunk of k the panels and the tiles of all rows of x.
 */
#include "device/cpu/quant_planes.h"

#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"

#define ROWS EM__PLANES_ROWS
#define FEW EM__PLANES_TILE /* rows of x for which w streams through */
#define DIRECT_M 2
#define PANELS 4        /* of a block, for more */
#define CHUNK 1024      /* elements of k */
#define BLOCK_M 96      /* rows of x of a task */
#define SMALL (1 << 15) /* weights that one thread multiplies by itself */
#define MANY_SCALES 128 /* bytes of a row's scales from which they are fetched in steps */
#define AHEAD 512       /* bytes of a row of codes that are fetched ahead */

typedef struct planes_job {
    const em__quant_product *p;
    em__planes_scheme scheme;
    em__planes_x x;
    int64_t groups, blocks; /* of a row */
    int64_t row_bytes;      /* of codes */
    int64_t scale_bytes;    /* of a row of scales or biases */
    int64_t panels;         /* of a block */
    int64_t tasks_n, m_blocks;
} planes_job;

/* What a worker's scratch holds. */
typedef struct own_room {
    float *scales, *biases; /* [panels][groups][ROWS] */
    float *c;               /* [BLOCK_M][panels * ROWS] */
    uint8_t *w;             /* [panels] of CHUNK */
} own_room;

bool em__quant_planes_takes(const em__quant_product *p)
{
    const int group = (int)p->scheme.group;
    const em__quant_kind kind = em__quant_kind_of(&p->scheme);
    return p->kernels->planes && p->transpose && (kind == EM__QUANT_U4 || kind == EM__QUANT_E2M1) && p->k > 0 &&
           (group == 32 || group == 64 || group == 128);
}

/* Codes less their middle are 8 at most, or 12: a group's sum of them times x stays within s32. */
static em__planes_scheme scheme_of(const em__quant_product *p)
{
    const int group = (int)p->scheme.group;
    if (em__quant_kind_of(&p->scheme) == EM__QUANT_E2M1)
        return (em__planes_scheme){group, group == 32 ? 22 : group == 64 ? 21 : 20, 12, true};
    return (em__planes_scheme){group, group == 32 ? 23 : group == 64 ? 22 : 21, 8, false};
}

/* Few rows of x meet the codes as they lie. */
static bool direct(const em__quant_product *p)
{
    return p->m <= DIRECT_M;
}

static planes_job make_job(const em__quant_product *p)
{
    planes_job job = {.p = p, .scheme = scheme_of(p), .groups = p->k / p->scheme.group};
    job.blocks = em__div_up(p->k, EM__PLANES_BLOCK);
    job.row_bytes = p->k / 2;
    job.scale_bytes = job.groups * (int64_t)em_dtype_size(p->scale_dtype);
    job.panels = p->m <= FEW ? 1 : PANELS;
    job.m_blocks = em__div_up(p->m, BLOCK_M);
    job.x.ld_bytes = job.blocks * EM__PLANES_X_BYTES;
    job.x.ld = em__round_up(job.groups * 4, 64) / 4;
    char *memory = p->memory;
    job.x.planes = (int8_t *)memory;
    memory += p->m * job.x.ld_bytes;
    job.x.scale = (float *)(void *)memory;
    job.x.sum = job.x.scale + p->m * job.x.ld;
    job.x.middle = (int32_t *)(void *)(job.x.sum + p->m * job.x.ld);
    return job;
}

static own_room make_room(const planes_job *job, int worker)
{
    own_room r = {.scales = em__pool_scratch(job->p->pool, worker)};
    r.biases = r.scales + job->panels * job->groups * ROWS;
    r.c = r.biases + job->panels * job->groups * ROWS;
    r.w = (uint8_t *)(r.c + BLOCK_M * job->panels * ROWS);
    return r;
}

bool em__quant_planes_needs(const em__quant_product *p, size_t *memory, size_t *scratch)
{
    int64_t elements;
    if (em__mul_overflows(p->m, p->k, &elements) || elements > INT64_MAX / 256)
        return false;
    const int64_t groups = p->k / p->scheme.group, panels = p->m <= FEW ? 1 : PANELS;
    const int64_t blocks = em__div_up(p->k, EM__PLANES_BLOCK);
    *memory = (size_t)(p->m * (blocks * EM__PLANES_X_BYTES + 3 * em__round_up(groups * 4, 64))) +
              (p->x_dtype == EM_F32 ? 0 : (size_t)em__round_up(p->m * p->k * 4, 64));
    *scratch = (size_t)(2 * panels * groups * ROWS * 4 + BLOCK_M * panels * ROWS * 4 + panels * CHUNK * ROWS);
    return true;
}

typedef struct split_job {
    const planes_job *of;
    const float *x;
    int64_t rows; /* of a task */
} split_job;

static void split_rows(void *context, int64_t task, int worker)
{
    const split_job *job = context;
    const planes_job *of = job->of;
    const em__quant_product *p = of->p;
    (void)worker;
    for (int64_t i = task * job->rows; i < em__min((task + 1) * job->rows, p->m); i++) {
        em__planes_x to = of->x;
        to.planes += i * to.ld_bytes;
        to.scale += i * to.ld;
        to.sum += i * to.ld;
        to.middle += i * to.ld;
        if (p->k % EM__PLANES_BLOCK)
            memset(to.planes + (of->blocks - 1) * EM__PLANES_X_BYTES, 0, EM__PLANES_X_BYTES);
        p->kernels->planes->split(&to, job->x + i * p->k, of->groups, &of->scheme);
    }
}

static void split_x(const planes_job *job)
{
    const em__quant_product *p = job->p;
    float *room = (float *)(void *)(job->x.middle + p->m * job->x.ld);
    const split_job split = {job, em__quant_x(p, false, room), em__div_up(1 << 14, p->k)};
    em__pool_run(p->pool, split_rows, (void *)(uintptr_t)&split, em__div_up(p->m, split.rows));
}

/* The row of w that lane `lane` of the panel from `row` stands for; the last one where there are fewer. */
static int64_t row_of(const planes_job *job, int64_t row, int lane)
{
    return em__min(row + lane, job->p->n - 1);
}

static em__planes_scale scale_as(const em__quant_product *p)
{
    if (p->scale_dtype == EM_U8)
        return EM__PLANES_E8M0;
    return p->scale_dtype == EM_F32 ? EM__PLANES_F32 : p->scale_dtype == EM_BF16 ? EM__PLANES_BF16 : EM__PLANES_F16;
}

/* Where the panel's rows from `row` on begin, of `bytes` each. */
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
    job->p->kernels->planes->columns(to, rows, job->groups, scale_as(job->p));
}

/* Groups [group, group + groups) of the panels from `row`, against rows [m, m + count) of x. */
static void run_chunk(const planes_job *job, own_room *room, int64_t row, int64_t panels, int64_t group, int64_t groups,
                      int64_t m, int64_t count)
{
    const em__quant_product *p = job->p;
    const int64_t at = group * job->scheme.group, tiles = em__div_up(count, EM__PLANES_TILE);
    for (int64_t panel = 0; panel < panels; panel++) {
        const uint8_t *rows[ROWS];
        for (int r = 0; r < ROWS; r++)
            rows[r] = (const uint8_t *)p->codes + row_of(job, row + panel * ROWS, r) * job->row_bytes + at / 2;
        p->kernels->planes->panel(room->w + panel * CHUNK * ROWS, rows, groups * job->scheme.group / 2,
                                  p->m <= FEW ? ROWS * job->row_bytes : AHEAD, job->scheme.e2m1);
    }
    em__planes_tile tile = {.groups = groups, .group = job->scheme.group, .ldc = job->panels * ROWS};
    tile.first = group == 0;
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t i = em__gemm_part(count, tiles, t), x = (m + i) * job->x.ld + group;
        tile.m = (int)(em__gemm_part(count, tiles, t + 1) - i);
        tile.x = job->x;
        tile.x.planes += (m + i) * job->x.ld_bytes + at / EM__PLANES_BLOCK * EM__PLANES_X_BYTES;
        tile.x.scale += x;
        tile.x.sum += x;
        tile.x.middle += x;
        for (int64_t panel = 0; panel < panels; panel++) {
            const int64_t scale = (panel * job->groups + group) * ROWS;
            tile.w = room->w + panel * CHUNK * ROWS;
            tile.scales = room->scales + scale;
            tile.biases = p->biases ? room->biases + scale : NULL;
            tile.c = room->c + i * tile.ldc + panel * ROWS;
            p->kernels->planes->tile(&tile);
        }
    }
}

/* Fetches scales or biases of the panel from `row`. */
static void fetch_scales(const planes_job *job, const void *from, int64_t row)
{
    const int64_t bytes = em__min(ROWS, job->p->n - row) * job->scale_bytes;
    for (int64_t at = 0; from && at < bytes; at += 64)
        __builtin_prefetch((const char *)from + row * job->scale_bytes + at, 0, 2);
}

/* Panels [first, end) against all of x, few rows, which meet the codes as they lie. Many scales are fetched between
 * codes: at once they would wait for each other. */
static void run_dots(const planes_job *job, const own_room *room, int64_t first, int64_t end)
{
    const em__quant_product *p = job->p;
    const bool in_steps = job->scale_bytes > MANY_SCALES;
    int64_t scales[ROWS];
    em__planes_dot dot = {.codes = p->codes,
                          .scales = room->scales,
                          .biases = p->biases ? room->biases : NULL,
                          .x = job->x,
                          .groups = job->groups,
                          .group = job->scheme.group,
                          .m = (int)p->m,
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
        dot.ahead = dot.codes + next * job->row_bytes;
        dot.ahead_scales[0] = (const uint8_t *)p->scales + next * job->scale_bytes;
        dot.ahead_scales[1] = p->biases ? (const uint8_t *)p->biases + next * job->scale_bytes : NULL;
        p->kernels->planes->dot(&dot);
        for (int64_t i = 0; i < p->m; i++)
            em__quant_store(p, i, row, room->c + i * ROWS, em__min(ROWS, p->n - row));
    }
}

/* The same against rows [m, m + count) of x, more of them, by panels of codes that are laid out first. */
static void run_tiles(const planes_job *job, own_room *room, int64_t first, int64_t end, int64_t m, int64_t count)
{
    const em__quant_product *p = job->p;
    const int64_t most = CHUNK / job->scheme.group;
    int64_t scales[ROWS];
    for (; first < end; first += job->panels) {
        const int64_t panels = em__min(job->panels, end - first), row = first * ROWS;
        fetch_scales(job, p->scales, row + ROWS);
        fetch_scales(job, p->biases, row + ROWS);
        for (int64_t panel = 0; panel < panels; panel++) {
            const int64_t at = panel * job->groups * ROWS;
            panel_rows(job, row + panel * ROWS, job->scale_bytes, scales);
            panel_scales(job, p->scales, scales, room->scales + at);
            panel_scales(job, p->biases, scales, room->biases + at);
        }
        for (int64_t group = 0; group < job->groups; group += most)
            run_chunk(job, room, row, panels, group, em__min(most, job->groups - group), m, count);
        for (int64_t i = 0; i < count; i++)
            em__quant_store(p, m + i, row, room->c + i * job->panels * ROWS, em__min(panels * ROWS, p->n - row));
    }
}

static void run_task(void *context, int64_t task, int worker)
{
    const planes_job *job = context;
    const em__quant_product *p = job->p;
    own_room room = make_room(job, worker);
    const int64_t piece = task % job->tasks_n, of_m = task / job->tasks_n, all = em__div_up(p->n, ROWS);
    const int64_t m = em__gemm_part(p->m, job->m_blocks, of_m),
                  count = em__gemm_part(p->m, job->m_blocks, of_m + 1) - m;
    const int64_t first = em__gemm_part(all, job->tasks_n, piece), end = em__gemm_part(all, job->tasks_n, piece + 1);
    if (direct(p))
        run_dots(job, &room, first, end);
    else
        run_tiles(job, &room, first, end, m, count);
}

void em__quant_planes_run(const em__quant_product *p)
{
    planes_job job = make_job(p);
    const int64_t finest = em__div_up(em__div_up(p->n, ROWS), job.panels);
    split_x(&job);
    job.tasks_n = p->n * p->k * p->m <= SMALL ? 1 : em__min(finest, em__pool_size(p->pool) * 8);
    em__pool_run(p->pool, run_task, &job, job.tasks_n * job.m_blocks);
}
