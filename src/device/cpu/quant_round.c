/*
 * Products of many rows of x, rounded to bf16, with what codes stand for, rounded to bf16 too (gemm_round.h). Half a
 * panel of the weight is decoded for a block of k, once for all rows of x that a task has.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/gemm_round.h"
#include "device/cpu/quant.h"
#include "device/cpu/quant_planes.h"

#define ROWS EM__ROUND_COLUMNS /* of w, which are columns of half a panel */
#define DEPTH EM__ROUND_DEPTH
#define STRIDE (DEPTH + 32) /* of rounded rows, so that they do not fall on the same cache lines */
#define GROUPS (DEPTH / EM__QUANT_STEP)

typedef struct coded {
    const em__quant_product *p;
    const em__round_kernels *kernels;
    em__quant_kind kind;
    int64_t groups, row_bytes; /* of a row of w */
    bool turned;               /* whether there is a kernel for 16 rows */
} coded;

/* What half a panel is made in: row by row, or with scales and biases of all rows side by side. */
typedef struct own_room {
    _Alignas(64) float scales[GROUPS * ROWS];
    float biases[GROUPS * ROWS];
    float row[DEPTH];
    uint16_t rounded[ROWS * STRIDE];
} own_room;

static const em__round_kernels *rounding(const em__quant_product *p)
{
    return em__round_kernels_get(p->kernels->level);
}

bool em__quant_round_takes(const em__quant_product *p)
{
    return p->may_round && p->m >= EM__ROUND_ROWS && p->transpose && p->k > 0 && p->x_dtype == EM_F32 &&
           p->y_dtype == EM_F32 && DEPTH % p->scheme.group == 0 && rounding(p);
}

/* `depth` weights of a row of w from `from` on. */
static void decode_row(const coded *c, int64_t row, int64_t from, int64_t depth, own_room *room)
{
    const em__quant_product *p = c->p;
    const int64_t group = p->scheme.group, count = depth / group, at = row * c->groups + from / group;
    const uint8_t *codes = (const uint8_t *)p->codes + row * c->row_bytes + from * p->scheme.bits / 8;
    p->kernels->expand[c->kind](room->row, codes, em__quant_scales(p, p->scales, at, count, room->scales),
                                em__quant_scales(p, p->biases, at, count, room->biases), count, group / EM__QUANT_STEP);
}

static void make_by_rows(const coded *c, uint16_t *dst, int64_t column, int columns, int64_t from, int64_t depth,
                         own_room *room)
{
    for (int r = 0; r < columns; r++) {
        decode_row(c, column + r, from, depth, room);
        c->kernels->round(room->rounded + r * STRIDE, room->row, depth);
    }
    c->kernels->turn(dst, room->rounded, STRIDE, columns, depth);
}

/* Scales or biases of `groups` groups of rows as columns. */
static void turn_scales(const coded *c, const void *from, int64_t column, int columns, int64_t group, int64_t groups,
                        float *to)
{
    const em_dtype dtype = c->p->scale_dtype;
    const uint8_t *rows[ROWS];
    for (int r = 0; r < ROWS; r++) {
        const int64_t row = column + (r < columns ? r : columns - 1);
        rows[r] = (const uint8_t *)from + (row * c->groups + group) * (int64_t)em_dtype_size(dtype);
    }
    c->p->kernels->planes->columns(to, rows, groups,
                                   dtype == EM_F32    ? EM__PLANES_F32
                                   : dtype == EM_BF16 ? EM__PLANES_BF16
                                                      : EM__PLANES_F16);
}

/* Where group `group` of the packed panel lies that has row `column` of w. */
static const uint8_t *packed_at(const coded *c, int64_t column, int64_t group)
{
    const int64_t panel = column / EM__PLANES_PANEL;
    return (const uint8_t *)c->p->packed + (panel * c->groups + group) * em__planes_group_bytes(c->p);
}

/* Columns [column, column + ROWS): half a packed panel. */
static void make_packed(const coded *c, uint16_t *dst, int64_t column, int64_t from, int64_t depth, own_room *room)
{
    const em__quant_product *p = c->p;
    const int64_t bytes = em__planes_group_bytes(p), half = column % EM__PLANES_PANEL / ROWS;
    const int64_t codes = EM__PLANES_PANEL * p->scheme.group / 2, groups = depth / p->scheme.group;
    const uint8_t *packed = packed_at(c, column, from / p->scheme.group);
    for (int64_t g = 0; g < groups; g++) {
        float *const to[2] = {room->scales + g * ROWS, room->biases + g * ROWS};
        for (int i = 0; i < 2; i++) {
            const float *wide = em__quant_scales(p, packed + g * bytes + codes, (2 * i + half) * ROWS, ROWS, to[i]);
            if (wide != to[i])
                memcpy(to[i], wide, ROWS * sizeof *wide);
        }
    }
    p->kernels->packed_bf16(dst, packed + half * (ROWS * 4), bytes, room->scales, room->biases, depth, p->scheme.group);
}

/* Rows that are not there repeat the last one: no column of C is made of them. */
static void make(const void *w, uint16_t *dst, int64_t column, int columns, int64_t from, int64_t depth, void *memory)
{
    const coded *c = w;
    const em__quant_product *p = c->p;
    own_room *room = memory;
    const uint8_t *rows[ROWS];
    if (!c->turned) {
        make_by_rows(c, dst, column, columns, from, depth, room);
        return;
    }
    if (p->packed) {
        make_packed(c, dst, column, from, depth, room);
        return;
    }
    const int64_t group = from / p->scheme.group, groups = depth / p->scheme.group;
    for (int r = 0; r < ROWS; r++)
        rows[r] = (const uint8_t *)p->codes + (column + (r < columns ? r : columns - 1)) * c->row_bytes + from / 2;
    turn_scales(c, p->scales, column, columns, group, groups, room->scales);
    turn_scales(c, p->biases, column, columns, group, groups, room->biases);
    p->kernels->panel_bf16(dst, rows, room->scales, room->biases, depth, p->scheme.group);
}

static void fetch(const void *w, int64_t column, int64_t columns, int64_t from, int64_t depth, int64_t index,
                  int64_t parts)
{
    const coded *c = w;
    const em__quant_product *p = c->p;
    const int64_t scale_bytes = c->groups * (int64_t)em_dtype_size(p->scale_dtype);
    const int64_t group_bytes = em__planes_group_bytes(p);
    if (p->packed && c->turned) {
        em__gemm_fetch((const char *)packed_at(c, column, from / p->scheme.group), c->groups * group_bytes,
                       em__div_up(columns, EM__PLANES_PANEL), depth / p->scheme.group * group_bytes, index, parts);
        return;
    }
    em__gemm_fetch((const char *)p->codes + column * c->row_bytes + from * p->scheme.bits / 8, c->row_bytes, columns,
                   depth * p->scheme.bits / 8, index, parts);
    if (from)
        return;
    em__gemm_fetch((const char *)p->scales + column * scale_bytes, 0, 1, columns * scale_bytes, index, parts);
    if (p->biases)
        em__gemm_fetch((const char *)p->biases + column * scale_bytes, 0, 1, columns * scale_bytes, index, parts);
}

static bool turns(const em__quant_product *p)
{
    return p->kernels->panel_bf16 && p->kernels->planes && em__quant_kind_of(&p->scheme) == EM__QUANT_U4 &&
           (p->scheme.group == 32 || p->scheme.group == 64 || p->scheme.group == 128);
}

static em__round_weight weight_of(const coded *c)
{
    return (em__round_weight){c, sizeof(own_room), make, fetch};
}

bool em__quant_round_needs(const em__quant_product *p, size_t *memory, size_t *scratch)
{
    const em__round_weight weight = weight_of(NULL);
    int64_t elements;
    if (em__mul_overflows(p->m, p->k + 2 * DEPTH, &elements) || elements > INT64_MAX / 64)
        return false;
    *memory = em__round_bytes(p->m, p->k);
    *scratch = em__round_scratch_bytes(rounding(p), &weight);
    return true;
}

void em__quant_round_run(const em__quant_product *p)
{
    const coded c = {.p = p,
                     .kernels = rounding(p),
                     .kind = em__quant_kind_of(&p->scheme),
                     .groups = p->k / p->scheme.group,
                     .turned = turns(p),
                     .row_bytes = p->k / 32 * 4 * p->scheme.bits + p->k % 32 * p->scheme.bits / 8};
    const em__gemm_args args = {.m = p->m, .n = p->n, .k = p->k, .a = p->x, .lda = p->k, .c = p->y, .ldc = p->n};
    const em__round_weight weight = weight_of(&c);
    em__round_rows(c.kernels, p->pool, &args, p->memory);
    em__round_run(c.kernels, p->pool, &args, p->memory, &weight);
}
