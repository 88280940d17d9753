/*
 * The driver of quant_tiles.h. x is split once. A task is some blocks of rows by some column blocks; for DEPTH elements
 * of k at a time it lays out their codes, which stay in the second cache while the blocks of rows come by one after the
 * other, each of them in the first cache meanwhile.
 */
#include "device/cpu/quant_tiles.h"

#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"

#define ROWS EM__TILES_ROWS
#define COLUMNS EM__PLANES_ROWS
#define DEPTH 512
#define TASK_ROWS 16  /* blocks, of a task at most */
#define TASK_PANELS 8 /* the same of columns; a panel is a packed one, two column blocks */
#define HALVES (EM__PLANES_PANEL / COLUMNS)
#define LDC (TASK_PANELS * EM__PLANES_PANEL + 16) /* rows of sums do not fall on the same cache lines */
#define SMALL (1 << 15)                           /* weights that one thread multiplies by itself */
#define LEAST_ROWS 9             /* of x: packed weights meet some fewer on the units, too (quant_planes.h) */
#define MOST_GROUPS (DEPTH / 32) /* of a DEPTH */

typedef struct tiles_job {
    const em__quant_product *p;
    const em__tiles_kernels *kernels;
    em__planes_scheme scheme;
    em__planes_x x;
    int64_t groups, row_bytes, scale_bytes; /* of a row of w */
    int64_t blocks, panels;                 /* of rows, of columns */
    int64_t tasks_m, tasks_n;
} tiles_job;

/* What a worker's scratch holds: of column blocks, codes and scales of a DEPTH; and sums of a task. */
typedef struct own_room {
    float c[TASK_ROWS * ROWS * LDC];
    float scales[TASK_PANELS * HALVES][MOST_GROUPS * COLUMNS], biases[TASK_PANELS * HALVES][MOST_GROUPS * COLUMNS];
    int8_t codes[TASK_PANELS * HALVES][DEPTH * COLUMNS];
} own_room;

bool em__quant_tiles_takes(const em__quant_product *p)
{
    return p->kernels->tiles && p->m >= LEAST_ROWS && em__quant_planes_takes(p);
}

/* Bytes of the planes of a block of rows. */
static int64_t block_bytes(int64_t k)
{
    return k * EM__PLANES * ROWS;
}

bool em__quant_tiles_needs(const em__quant_product *p, size_t *memory, size_t *scratch)
{
    int64_t elements;
    if (em__mul_overflows(p->m, p->k, &elements) || elements > INT64_MAX / 256)
        return false;
    const int64_t blocks = em__div_up(p->m, ROWS), groups = p->k / p->scheme.group;
    *memory = (size_t)(blocks * (block_bytes(p->k) + groups * ROWS * 3 * 4)) +
              (p->x_dtype == EM_F32 ? 0 : (size_t)em__round_up(p->m * p->k * 4, 64));
    *scratch = sizeof(own_room);
    return true;
}

static tiles_job make_job(const em__quant_product *p)
{
    tiles_job job = {.p = p,
                     .kernels = p->kernels->tiles,
                     .scheme = em__planes_scheme_of(p),
                     .groups = p->k / p->scheme.group,
                     .row_bytes = p->k / 2,
                     .blocks = em__div_up(p->m, ROWS),
                     .panels = em__div_up(p->n, EM__PLANES_PANEL)};
    const int64_t all = job.blocks * job.groups * ROWS;
    job.scale_bytes = job.groups * (int64_t)em_dtype_size(p->scale_dtype);
    job.x.plane = ROWS * em__min(p->scheme.group, EM__TILES_STEP);
    job.x.ld = 1;
    job.x.step = ROWS;
    job.x.planes = p->memory;
    job.x.scale = (float *)(void *)(job.x.planes + job.blocks * block_bytes(p->k));
    job.x.sum = job.x.scale + all;
    job.x.middle = (int32_t *)(void *)(job.x.sum + all);
    job.tasks_m = em__div_up(job.blocks, TASK_ROWS);
    const int64_t finer = em__min(job.panels, em__div_up(4 * em__pool_size(p->pool), job.tasks_m));
    const int64_t least = em__div_up(job.panels, TASK_PANELS);
    job.tasks_n = finer > least && p->n * p->k * p->m > SMALL ? finer : least;
    return job;
}

/* Block `index` of x from group `group` on. */
static em__planes_x x_at(const tiles_job *job, int64_t index, int64_t group)
{
    em__planes_x x = job->x;
    const int64_t at = (index * job->groups + group) * ROWS;
    x.planes += index * block_bytes(job->p->k) + group * block_bytes(job->scheme.group);
    x.scale += at;
    x.sum += at;
    x.middle += at;
    return x;
}

typedef struct split_job {
    const tiles_job *of;
    const float *x;
} split_job;

/* Rows that are not there repeat the last one. */
static void split_block(void *context, int64_t index, int worker)
{
    const split_job *job = context;
    const em__quant_product *p = job->of->p;
    em__planes_x x = x_at(job->of, index, 0);
    (void)worker;
    for (int64_t row = index * ROWS; row < (index + 1) * ROWS; row++) {
        p->kernels->planes->split(&x, job->x + em__min(row, p->m - 1) * p->k, job->of->groups, &job->of->scheme);
        x.planes += x.plane / ROWS;
        x.scale++;
        x.sum++;
        x.middle++;
    }
}

static void split_x(const tiles_job *job)
{
    const em__quant_product *p = job->p;
    float *room = job->x.scale + 3 * job->blocks * job->groups * ROWS;
    split_job split = {job, em__quant_x(p, false, room)};
    em__pool_run(p->pool, split_block, &split, job->blocks);
}

/* Scales or biases of a column block as they lie. */
static void lay_scales(const tiles_job *job, const void *from, int64_t column, int64_t group, int64_t groups, float *to)
{
    const em__quant_product *p = job->p;
    const uint8_t *rows[COLUMNS];
    if (!from)
        return;
    for (int r = 0; r < COLUMNS; r++)
        rows[r] = (const uint8_t *)from + em__min(column + r, p->n - 1) * job->scale_bytes +
                  group * (int64_t)em_dtype_size(p->scale_dtype);
    p->kernels->planes->columns(to, rows, groups, em__planes_scale_of(p->scale_dtype));
}

/* The column block from `column` on, packed: scales lie behind a group's codes, biases behind the scales. */
static void lay_packed(const tiles_job *job, int64_t column, int64_t group, int64_t groups, int8_t *codes,
                       float *const *to)
{
    const em__quant_product *p = job->p;
    const int64_t bytes = em__planes_group_bytes(p), half = column % EM__PLANES_PANEL / COLUMNS;
    const uint8_t *packed = (const uint8_t *)p->packed + (column / EM__PLANES_PANEL * job->groups + group) * bytes;
    const uint8_t *scales = packed + EM__PLANES_PANEL * p->scheme.group / 2;
    for (int64_t g = 0; g < groups; g++, scales += bytes)
        for (int i = 0; i < 2; i++) {
            float *const at = to[i] + g * COLUMNS;
            const float *wide = em__quant_scales(p, scales, (HALVES * i + half) * COLUMNS, COLUMNS, at);
            if (wide != at)
                memcpy(at, wide, COLUMNS * sizeof *at);
        }
    job->kernels->lay_packed(codes, packed + half * COLUMNS * 4, bytes, groups, job->scheme.group);
}

static void lay(const tiles_job *job, int64_t column, int64_t group, int64_t groups, own_room *room, int64_t index)
{
    const em__quant_product *p = job->p;
    float *const to[2] = {room->scales[index], room->biases[index]};
    const uint8_t *rows[COLUMNS];
    if (p->packed) {
        lay_packed(job, column, group, groups, room->codes[index], to);
        return;
    }
    for (int r = 0; r < COLUMNS; r++)
        rows[r] =
            (const uint8_t *)p->codes + em__min(column + r, p->n - 1) * job->row_bytes + group * job->scheme.group / 2;
    lay_scales(job, p->scales, column, group, groups, to[0]);
    lay_scales(job, p->biases, column, group, groups, to[1]);
    job->kernels->lay(room->codes[index], rows, groups, job->scheme.group, job->scheme.e2m1);
}

/* Some groups of some column blocks of a task. */
typedef struct part {
    int64_t column, columns, group, groups;
} part;

typedef struct tiles_task {
    const tiles_job *job;
    own_room *room;
    int64_t block, end;    /* of rows */
    int64_t column, count; /* rows of w */
    int64_t columns, step; /* column blocks, and how many of them are laid out at a time */
} tiles_task;

/* What comes after a part; its groups are 0 where nothing does. A single block of rows meets the weight from end to
 * end, so that memory is read in order; more of them meet all of the task's column blocks. */
static part part_after(const tiles_task *t, part now)
{
    now.group += now.groups;
    if (now.group == t->job->groups) {
        now.group = 0;
        now.column += now.columns;
    }
    now.columns = em__min(t->step, t->columns - now.column);
    now.groups = now.columns ? em__min(DEPTH / t->job->scheme.group, t->job->groups - now.group) : 0;
    return now;
}

/* Calls share `index` of `shares` of a part's codes into the second cache. */
static void fetch(const tiles_task *t, part next, int64_t index, int64_t shares)
{
    const tiles_job *job = t->job;
    const em__quant_product *p = job->p;
    const int64_t column = t->column + next.column * COLUMNS, rows = em__min(next.columns * COLUMNS, p->n - column);
    const int64_t scale_bytes = (int64_t)em_dtype_size(p->scale_dtype), group_bytes = job->scheme.group / 2;
    if (next.groups == 0)
        return;
    if (p->packed) {
        const int64_t bytes = em__planes_group_bytes(p);
        em__gemm_fetch((const char *)p->packed + (column / EM__PLANES_PANEL * job->groups + next.group) * bytes,
                       job->groups * bytes, em__div_up(next.columns, HALVES), next.groups * bytes, index, shares);
        return;
    }
    em__gemm_fetch((const char *)p->codes + column * job->row_bytes + next.group * group_bytes, job->row_bytes, rows,
                   next.groups * group_bytes, index, shares);
    for (int i = 0; i < 2; i++) {
        const char *scales = i ? p->biases : p->scales;
        if (scales)
            em__gemm_fetch(scales + column * job->scale_bytes + next.group * scale_bytes, job->scale_bytes, rows,
                           next.groups * scale_bytes, index, shares);
    }
}

/* The task's rows by what is laid out. */
static void multiply(const tiles_task *t, part now)
{
    const tiles_job *job = t->job;
    const part next = part_after(t, now);
    em__tiles_product product = {.groups = now.groups, .group = job->scheme.group, .ldc = LDC};
    for (int64_t i = t->block; i < t->end; i++) {
        product.x = x_at(job, i, now.group);
        for (int64_t j = 0; j < now.columns; j++) {
            const float *biases = job->scheme.e2m1 ? NULL : t->room->biases[j];
            const em__tiles_columns w = {t->room->codes[j], t->room->scales[j], biases};
            product.w = &w;
            product.c = t->room->c + (i - t->block) * ROWS * LDC + (now.column + j) * COLUMNS;
            product.from = now.group ? product.c : NULL;
            fetch(t, next, (i - t->block) * now.columns + j, (t->end - t->block) * now.columns);
            job->kernels->multiply(&product);
        }
    }
}

static void run_task(void *context, int64_t task, int worker)
{
    const tiles_job *job = context;
    const em__quant_product *p = job->p;
    const int64_t of_n = task % job->tasks_n, of_m = task / job->tasks_n;
    tiles_task t = {.job = job,
                    .room = em__pool_scratch(p->pool, worker),
                    .block = em__gemm_part(job->blocks, job->tasks_m, of_m),
                    .end = em__gemm_part(job->blocks, job->tasks_m, of_m + 1),
                    .column = em__gemm_part(job->panels, job->tasks_n, of_n) * EM__PLANES_PANEL};
    t.count = em__min(p->n, em__gemm_part(job->panels, job->tasks_n, of_n + 1) * EM__PLANES_PANEL) - t.column;
    t.columns = em__div_up(t.count, COLUMNS);
    t.step = job->blocks == 1 ? HALVES : t.columns;
    job->kernels->begin(job->scheme.group);
    for (part now = part_after(&t, (part){0}); now.groups; now = part_after(&t, now)) {
        for (int64_t j = 0; j < now.columns; j++)
            lay(job, t.column + (now.column + j) * COLUMNS, now.group, now.groups, t.room, j);
        multiply(&t, now);
    }
    job->kernels->end();
    for (int64_t row = t.block * ROWS; row < em__min(t.end * ROWS, p->m); row++)
        em__quant_store(p, row, t.column, t.room->c + (row - t.block * ROWS) * LDC, t.count);
}

void em__quant_tiles_run(const em__quant_product *p)
{
    tiles_job job = make_job(p);
    split_x(&job);
    em__pool_run(p->pool, run_task, &job, job.tasks_m * job.tasks_n);
}
