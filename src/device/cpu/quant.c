/*
 * The driver of products with w [n, k]: its rows meet the rows of x, which lie in lanes. Few rows of x meet the codes
 * themselves; more of them meet weights that were decoded to f32 for BLOCK_ROWS rows of w and a chunk of k, with the
 * same bits.
 */
#include "device/cpu/quant.h"

#include <pthread.h>
#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/quant_planes.h"
#include "device/cpu/quant_tiles.h"

#define ROWS EM__QUANT_ROWS
#define BLOCK_ROWS 32   /* of w */
#define BLOCK_M 96      /* rows of x that meet decoded weights while these are in L2 */
#define SMALL (1 << 15) /* weights that one thread codes and multiplies by itself */

static em__quant_kernels families[EM__CPU_LEVEL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        em__quant_fill_portable(&families[level]);
#if defined(__x86_64__)
        em__cpu_level best = em__cpu_get()->hardware;
        best = best < (em__cpu_level)level ? best : (em__cpu_level)level;
        if (best >= EM__CPU_AVX2)
            em__quant_fill_avx2(&families[level]);
        if (best >= EM__CPU_AVX512)
            em__quant_fill_avx512(&families[level]);
        if (best >= EM__CPU_AVX512 && em__cpu_get()->avx512_vnni)
            families[level].planes = em__quant_planes_vnni();
        if (best >= EM__CPU_AMX && families[level].planes && em__cpu_get()->amx_int8)
            families[level].tiles = em__quant_tiles_amx();
        if (best >= EM__CPU_AVX512 && em__cpu_get()->avx512_bf16) {
            families[level].panel_bf16 = em__quant_panel_bf16;
            families[level].packed_bf16 = em__quant_packed_bf16;
        }
        families[level].level = best;
#endif
    }
}

const em__quant_kernels *em__quant_kernels_get(em__cpu_level level)
{
    pthread_once(&once, fill);
    return &families[level];
}

em__quant_kind em__quant_kind_of(const em__quant *q)
{
    static const em__quant_kind affine[9] = {[2] = EM__QUANT_U2, [3] = EM__QUANT_U3, [4] = EM__QUANT_U4,
                                             [5] = EM__QUANT_U5, [6] = EM__QUANT_U6, [8] = EM__QUANT_U8};
    if (q->mode == EM_QUANT_AFFINE)
        return affine[q->bits];
    return q->bits == 4 ? EM__QUANT_E2M1 : EM__QUANT_E4M3;
}

/* Whole groups of a chunk. */
static int64_t chunk_groups(const em__quant *q)
{
    return EM__QUANT_CHUNK / q->group;
}

/* What a worker's scratch holds. */
typedef struct own_room {
    float *scales, *biases; /* of BLOCK_ROWS rows of w */
    float *c;               /* [BLOCK_M][BLOCK_ROWS] */
    float *w;               /* [BLOCK_ROWS][EM__QUANT_CHUNK] */
} own_room;

static size_t scale_floats(const em__quant_product *p)
{
    return em__align64((size_t)(BLOCK_ROWS * (p->k / p->scheme.group)) * sizeof(float)) / sizeof(float);
}

static own_room make_room(const em__quant_product *p, int worker)
{
    own_room r = {.scales = em__pool_scratch(p->pool, worker)};
    r.biases = r.scales + scale_floats(p);
    r.c = r.biases + scale_floats(p);
    r.w = r.c + BLOCK_M * BLOCK_ROWS;
    return r;
}

static bool wants_lanes(const em__quant_product *p)
{
    return em__quant_reorders(em__quant_kind_of(&p->scheme));
}

static bool direct(const em__quant_product *p)
{
    return p->m <= p->kernels->direct_m;
}

bool em__quant_needs(const em__quant_product *p, size_t *memory, size_t *scratch)
{
    int64_t elements;
    if (p->scheme.group % EM__QUANT_STEP || p->scheme.group > EM__QUANT_CHUNK ||
        em__mul_overflows(p->m, p->k, &elements) || elements > INT64_MAX / 64)
        return false;
    if (em__quant_round_takes(p))
        return em__quant_round_needs(p, memory, scratch);
    if (em__quant_tiles_takes(p))
        return em__quant_tiles_needs(p, memory, scratch);
    if (em__quant_planes_takes(p))
        return em__quant_planes_needs(p, memory, scratch);
    if (!p->transpose) {
        em__quant_columns_needs(p, memory, scratch);
        return true;
    }
    *memory = p->x_dtype != EM_F32 || wants_lanes(p) ? em__align64((size_t)elements * sizeof(float)) : 0;
    *scratch =
        (2 * scale_floats(p) + BLOCK_M * BLOCK_ROWS + (direct(p) ? 0 : BLOCK_ROWS * EM__QUANT_CHUNK)) * sizeof(float);
    return true;
}

const float *em__quant_scales(const em__quant_product *p, const void *scales, int64_t from, int64_t count, float *room)
{
    const char *at = scales ? (const char *)scales + (size_t)from * em_dtype_size(p->scale_dtype) : NULL;
    if (!at || p->scale_dtype == EM_F32)
        return (const float *)(const void *)at;
    if (p->scale_dtype != EM_U8)
        p->cast->fn[p->scale_dtype][EM_F32](room, at, (size_t)count);
    else if (p->scheme.mode == EM_QUANT_NVFP4)
        p->kernels->scale_e4m3(room, (const uint8_t *)at, count);
    else
        p->kernels->scale_e8m0(room, (const uint8_t *)at, count);
    return room;
}

typedef struct layout_job {
    const em__quant_product *p;
    bool lanes;
    float *to;
    int64_t rows; /* of a task */
} layout_job;

static void layout_rows(void *context, int64_t task, int worker)
{
    const layout_job *job = context;
    const em__quant_product *p = job->p;
    const int64_t row = task * job->rows, count = em__min(job->rows, p->m - row) * p->k;
    const float *from = (const float *)p->x + row * p->k;
    float *to = job->to + row * p->k;
    (void)worker;
    if (p->x_dtype != EM_F32) {
        p->cast->fn[p->x_dtype][EM_F32](to, (const uint16_t *)p->x + row * p->k, (size_t)count);
        from = to;
    }
    if (job->lanes)
        p->kernels->to_lanes(to, from, count);
}

const float *em__quant_x(const em__quant_product *p, bool lanes, float *room)
{
    if (p->x_dtype == EM_F32 && !lanes)
        return p->x;
    layout_job job = {p, lanes, room, em__div_up(1 << 14, p->k)};
    em__pool_run(p->pool, layout_rows, &job, em__div_up(p->m, job.rows));
    return room;
}

void em__quant_store(const em__quant_product *p, int64_t row, int64_t column, const float *from, int64_t count)
{
    char *to = (char *)p->y + (size_t)(row * p->n + column) * em_dtype_size(p->y_dtype);
    if (p->y_dtype == EM_F32)
        memcpy(to, from, (size_t)count * sizeof *from);
    else
        p->cast->fn[EM_F32][p->y_dtype](to, from, (size_t)count);
}

typedef struct rows_job {
    const em__quant_product *p;
    em__quant_kind kind;
    const float *x;
    int64_t groups, row_bytes;
    int64_t tasks_n, m_blocks; /* tasks are tasks_n pieces of w for each block of x */
} rows_job;

/* Rows [row, row + rows) of w, at most BLOCK_ROWS, with their scales. */
typedef struct block {
    int64_t row, rows;
    const float *scales, *biases;
    own_room room;
} block;

static block make_block(const rows_job *job, int64_t row, int64_t end, own_room room)
{
    const em__quant_product *p = job->p;
    block b = {row, em__min(end - row, BLOCK_ROWS), NULL, NULL, room};
    b.scales = em__quant_scales(p, p->scales, row * job->groups, b.rows * job->groups, room.scales);
    b.biases = em__quant_scales(p, p->biases, row * job->groups, b.rows * job->groups, room.biases);
    return b;
}

/* Row of the block, the last one where there are fewer. */
static int64_t row_in(const block *b, int64_t row)
{
    return row < b->rows ? row : b->rows - 1;
}

static const uint8_t *codes_at(const rows_job *job, const block *b, int64_t row, int64_t group)
{
    const int64_t group_bytes = job->p->scheme.group * job->p->scheme.bits / 8;
    return (const uint8_t *)job->p->codes + (b->row + row) * job->row_bytes + group * group_bytes;
}

/* The block's rows, four at a time, against all of x. */
static void dot_block(const rows_job *job, const block *b)
{
    const em__quant_product *p = job->p;
    const int64_t most = chunk_groups(&p->scheme), ahead = ROWS * job->row_bytes;
    em__quant_dot dot = {.group_steps = p->scheme.group / EM__QUANT_STEP, .ldx = p->k, .ldsum = BLOCK_ROWS};
    for (int64_t row = 0; row < b->rows; row += ROWS) {
        dot.sum = b->room.c + row;
        for (int64_t group = 0; group < job->groups; group += most) {
            dot.groups = em__min(most, job->groups - group);
            dot.first = group == 0;
            dot.x = job->x + group * p->scheme.group;
            dot.prefetch = codes_at(job, b, row, group * ROWS) + ahead;
            for (int j = 0; j < ROWS; j++) {
                const int64_t at = row_in(b, row + j);
                dot.codes[j] = codes_at(job, b, at, group);
                dot.scales[j] = b->scales + at * job->groups + group;
                dot.biases[j] = b->biases ? b->biases + at * job->groups + group : NULL;
            }
            p->kernels->dot[job->kind][p->m - 1](&dot);
        }
    }
    for (int64_t i = 0; i < p->m; i++)
        em__quant_store(p, i, b->row, b->room.c + i * BLOCK_ROWS, b->rows);
}

static void decode_chunk(const rows_job *job, const block *b, int64_t group, int64_t groups)
{
    const em__quant_product *p = job->p;
    for (int64_t row = 0; row < em__div_up(b->rows, ROWS) * ROWS; row++) {
        const int64_t at = row_in(b, row), scale = at * job->groups + group;
        p->kernels->decode[job->kind](b->room.w + row * EM__QUANT_CHUNK, codes_at(job, b, at, group), b->scales + scale,
                                      b->biases ? b->biases + scale : NULL, groups, p->scheme.group / EM__QUANT_STEP);
    }
}

/* The block's rows against rows [m, m + count) of x. */
static void tile_block(const rows_job *job, const block *b, int64_t m, int64_t count)
{
    const em__quant_product *p = job->p;
    const int64_t most = chunk_groups(&p->scheme), tiles = em__div_up(count, p->kernels->tile_m);
    em__quant_tile tile = {.ldw = EM__QUANT_CHUNK, .ldx = p->k, .ldc = BLOCK_ROWS};
    for (int64_t group = 0; group < job->groups; group += most) {
        const int64_t groups = em__min(most, job->groups - group);
        decode_chunk(job, b, group, groups);
        tile.first = group == 0;
        tile.steps = groups * p->scheme.group / EM__QUANT_STEP;
        for (int64_t row = 0; row < b->rows; row += ROWS)
            for (int64_t t = 0; t < tiles; t++) {
                const int64_t i = em__gemm_part(count, tiles, t);
                tile.m = (int)(em__gemm_part(count, tiles, t + 1) - i);
                tile.w = b->room.w + row * EM__QUANT_CHUNK;
                tile.x = job->x + (m + i) * p->k + group * p->scheme.group;
                tile.c = b->room.c + i * BLOCK_ROWS + row;
                p->kernels->tile(&tile);
            }
    }
    for (int64_t i = 0; i < count; i++)
        em__quant_store(p, m + i, b->row, b->room.c + i * BLOCK_ROWS, b->rows);
}

static void run_task(void *context, int64_t task, int worker)
{
    const rows_job *job = context;
    const em__quant_product *p = job->p;
    const own_room room = make_room(p, worker);
    const int64_t piece = task % job->tasks_n, of_m = task / job->tasks_n;
    const int64_t quads = em__div_up(p->n, ROWS), end = em__gemm_part(quads, job->tasks_n, piece + 1) * ROWS;
    const int64_t m = em__gemm_part(p->m, job->m_blocks, of_m), m_end = em__gemm_part(p->m, job->m_blocks, of_m + 1);
    for (int64_t row = em__gemm_part(quads, job->tasks_n, piece) * ROWS; row < em__min(end, p->n); row += BLOCK_ROWS) {
        const block b = make_block(job, row, em__min(end, p->n), room);
        if (direct(p))
            dot_block(job, &b);
        else
            tile_block(job, &b, m, m_end - m);
    }
}

void em__quant_run(const em__quant_product *p)
{
    if (p->m == 0 || p->n == 0)
        return;
    if (em__quant_round_takes(p)) {
        em__quant_round_run(p);
        return;
    }
    if (em__quant_tiles_takes(p)) {
        em__quant_tiles_run(p);
        return;
    }
    if (em__quant_planes_takes(p)) {
        em__quant_planes_run(p);
        return;
    }
    if (!p->transpose) {
        em__quant_columns_run(p);
        return;
    }
    rows_job job = {.p = p, .kind = em__quant_kind_of(&p->scheme), .groups = p->k / p->scheme.group};
    job.row_bytes = p->k / 32 * 4 * p->scheme.bits + p->k % 32 * p->scheme.bits / 8;
    job.m_blocks = direct(p) ? 1 : em__div_up(p->m, BLOCK_M);
    const int64_t finest = em__div_up(p->n, BLOCK_ROWS);
    const bool small = p->n * p->k * p->m <= SMALL;
    job.tasks_n = small ? 1 : em__min(finest, em__pool_size(p->pool) * 8);
    job.x = p->k ? em__quant_x(p, wants_lanes(p), p->memory) : NULL;
    if (p->k == 0)
        memset(p->y, 0, (size_t)(p->m * p->n) * em_dtype_size(p->y_dtype));
    else
        em__pool_run(p->pool, run_task, &job, job.tasks_n * job.m_blocks);
}
