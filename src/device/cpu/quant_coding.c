/*
 * The drivers of coding and decoding whole arrays. A task takes a run of groups through the worker's scratch in f32.
 * Decoding rounds as its definition does: the product to the dtype, then the sum.
 */
#include "core/whole.h"
#include "device/cpu/gemm_cut.h"
#include "device/cpu/quant.h"

#define RUN 4096 /* elements of a task, or a group */
#define MOST_GROUPS (RUN / EM__QUANT_STEP)

typedef struct own_room {
    float *w, *scales, *biases;
    uint16_t *half;
} own_room;

static own_room make_room(const em__quant_coding *c, int worker)
{
    own_room r = {.w = em__pool_scratch(c->pool, worker)};
    r.scales = r.w + RUN;
    r.biases = r.scales + MOST_GROUPS;
    r.half = (uint16_t *)(r.biases + MOST_GROUPS);
    return r;
}

size_t em__quant_coding_scratch(void)
{
    return (RUN + 2 * MOST_GROUPS) * sizeof(float) + RUN * sizeof(uint16_t);
}

/* A task's groups, and where its operands lie. */
typedef struct span {
    int64_t group, groups, elements;
    char *w, *scales, *biases;
    uint8_t *codes;
} span;

static int64_t task_groups(const em__quant_coding *c)
{
    return RUN / c->scheme.group;
}

static span span_of(const em__quant_coding *c, int64_t task)
{
    span s = {.group = task * task_groups(c)};
    const int64_t at = s.group * c->scheme.group, scale = s.group * (int64_t)em_dtype_size(c->scale_dtype);
    s.groups = em__min(task_groups(c), c->groups - s.group);
    s.elements = s.groups * c->scheme.group;
    s.w = (char *)c->w + at * (int64_t)em_dtype_size(c->dtype);
    s.codes = (uint8_t *)c->codes + at / 8 * c->scheme.bits;
    s.scales = (char *)c->scales + scale;
    s.biases = c->biases ? (char *)c->biases + scale : NULL;
    return s;
}

static void encode_task(void *context, int64_t task, int worker)
{
    const em__quant_coding *c = context;
    const own_room room = make_room(c, worker);
    const span s = span_of(c, task);
    const float *w = (const float *)(const void *)s.w;
    if (c->dtype != EM_F32) {
        c->cast->fn[c->dtype][EM_F32](room.w, s.w, (size_t)s.elements);
        w = room.w;
    }
    if (!c->biases) {
        c->kernels->encode_micro(s.codes, (uint8_t *)s.scales, w, &c->scheme, c->dtype, s.groups);
        return;
    }
    c->kernels->encode_affine(s.codes, room.scales, room.biases, w, &c->scheme, s.groups);
    c->cast->fn[EM_F32][c->scale_dtype](s.scales, room.scales, (size_t)s.groups);
    c->cast->fn[EM_F32][c->scale_dtype](s.biases, room.biases, (size_t)s.groups);
}

static void widen_scales(const em__quant_coding *c, const span *s, const own_room *room)
{
    if (c->scale_dtype == EM_U8) {
        if (c->scheme.mode == EM_QUANT_NVFP4)
            c->kernels->scale_e4m3(room->scales, (const uint8_t *)s->scales, s->groups);
        else
            c->kernels->scale_e8m0(room->scales, (const uint8_t *)s->scales, s->groups);
        return;
    }
    c->cast->fn[c->scale_dtype][EM_F32](room->scales, s->scales, (size_t)s->groups);
    c->cast->fn[c->scale_dtype][EM_F32](room->biases, s->biases, (size_t)s->groups);
}

static void decode_task(void *context, int64_t task, int worker)
{
    static const float ones[MOST_GROUPS + 1] = {[0 ... MOST_GROUPS] = 1}, zeros[MOST_GROUPS + 1];
    const em__quant_coding *c = context;
    const own_room room = make_room(c, worker);
    const span s = span_of(c, task);
    const bool half = c->dtype != EM_F32;
    const int64_t steps = c->scheme.group / EM__QUANT_STEP;
    float *w = half ? room.w : (float *)(void *)s.w;
    widen_scales(c, &s, &room);
    c->kernels->expand[em__quant_kind_of(&c->scheme)](w, s.codes, ones, zeros, s.groups, steps);
    c->kernels->scale_groups(w, room.scales, s.groups, steps);
    if (half && c->biases) {
        c->cast->fn[EM_F32][c->dtype](room.half, w, (size_t)s.elements);
        c->cast->fn[c->dtype][EM_F32](w, room.half, (size_t)s.elements);
    }
    if (c->biases)
        c->kernels->shift_groups(w, room.biases, s.groups, steps);
    if (half)
        c->cast->fn[EM_F32][c->dtype](s.w, w, (size_t)s.elements);
}

void em__quant_encode(const em__quant_coding *c)
{
    em__quant_coding job = *c;
    em__pool_run(c->pool, encode_task, &job, em__div_up(c->groups, task_groups(c)));
}

void em__quant_decode_all(const em__quant_coding *c)
{
    em__quant_coding job = *c;
    em__pool_run(c->pool, decode_task, &job, em__div_up(c->groups, task_groups(c)));
}
