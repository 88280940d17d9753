/*
 * WINDOW_SCATTER_MAX, _MIN. Axes without a window, before the first that has one, make parts that workers share out; in
 * a part the places go in order, so that sums meet in the order of the ref loop, and have its bits. Small f32 windows
 * over the last two axes go by rows: window_scatter.h.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <string.h>

#include "device/cpu/families.h"
#include "device/cpu/window_scatter.h"

#define MOST_ELEMENTS 512 /* of a window; larger ones take the general path */
#define PART_WORK 8192    /* elements compared that make a chunk, about */
#define ROW_WORK 16384    /* elements of the operand that do, by rows */

typedef struct scatter {
    const em__call *call;
    int first, rank;                           /* the axes of a part */
    int64_t parts, per_chunk, part_in, places; /* elements, and places, of a part */
    int64_t out_dims[EM_MAX_RANK];             /* places by axis */
    int64_t line, step, last; /* the last axis: its places, its stride, where its last whole window begins */
    bool squares;             /* windows of 2 x 2 in steps of 2 */
    int elements;
    int64_t offset[MOST_ELEMENTS]; /* of a window's elements in the operand */
    int64_t at[MOST_ELEMENTS][EM_MAX_RANK];
} scatter;

/* Whether element e of the window that begins at `start` lies inside the operand. */
static bool inside(const scatter *s, const int64_t *start, int e)
{
    const int64_t *dims = s->call->in[0].spec.dims;
    for (int d = s->first; d < s->rank; d++) {
        int64_t at = start[d] + s->at[e][d];
        if (at < 0 || at >= dims[d])
            return false;
    }
    return true;
}

/* The first element (its offset in the part) of the window at this place, and whether all axes but the last hold the
 * window. */
static int64_t begin(const scatter *s, const int64_t *place, int64_t *start, bool *whole)
{
    int64_t offset = 0;
    *whole = true;
    for (int d = s->first; d < s->rank; d++) {
        const int64_t *ints = s->call->ints + d;
        start[d] = place[d] * ints[s->rank] - ints[2 * s->rank];
        offset += start[d] * s->call->in[0].strides[d];
        if (d < s->rank - 1)
            *whole = *whole && start[d] >= 0 && start[d] + ints[0] <= s->call->in[0].spec.dims[d];
    }
    return offset;
}

static void next_line(const scatter *s, int64_t *place)
{
    for (int d = s->rank - 2; d >= s->first; d--) {
        if (++place[d] < s->out_dims[d])
            return;
        place[d] = 0;
    }
}

#define T float
#define U uint32_t
#define FN(name) f32_##name
#include "device/cpu/window_scatter_tmpl.c"
#define T double
#define U uint64_t
#define FN(name) f64_##name
#include "device/cpu/window_scatter_tmpl.c"
#define T uint8_t
#define U uint8_t
#define FN(name) u8_##name
#include "device/cpu/window_scatter_tmpl.c"
#define T int32_t
#define U uint32_t
#define FN(name) s32_##name
#include "device/cpu/window_scatter_tmpl.c"
#define T int64_t
#define U uint64_t
#define FN(name) s64_##name
#include "device/cpu/window_scatter_tmpl.c"

typedef void (*part_fn)(const scatter *s, int64_t part);
static const part_fn part_fns[EM_DTYPE_COUNT] = {
    [EM_F32] = f32_part, [EM_F64] = f64_part, [EM_U8] = u8_part, [EM_S32] = s32_part, [EM_S64] = s64_part};

static void run_parts(void *context, int64_t chunk, int worker)
{
    (void)worker;
    const scatter *s = context;
    int64_t end = (chunk + 1) * s->per_chunk;
    for (int64_t part = chunk * s->per_chunk; part < (end < s->parts ? end : s->parts); part++)
        part_fns[s->call->out.spec.dtype](s, part);
}

/* Offsets and positions of the window's elements, in order. */
static void list_elements(scatter *s)
{
    int64_t at[EM_MAX_RANK] = {0};
    for (int e = 0; e < s->elements; e++) {
        for (int d = s->first; d < s->rank; d++) {
            s->at[e][d] = at[d];
            s->offset[e] += at[d] * s->call->in[0].strides[d];
        }
        for (int d = s->rank - 1; d >= s->first && ++at[d] == s->call->ints[d]; d--)
            at[d] = 0;
    }
}

/* The first axis of a part. */
static int first_axis(const em__call *call)
{
    int rank = call->out.spec.rank, first = 0;
    for (; first < rank - 1; first++) {
        const int64_t *ints = call->ints + first;
        if (ints[0] != 1 || ints[rank] != 1 || ints[2 * rank] != 0 || ints[3 * rank] != 0)
            break;
    }
    return first;
}

/* A part as a plane, and its kernel; NULL when it is none that goes by rows. */
static em__scatter_fn plane_of(em__cpu *cpu, const em__call *call, em__scatter_plane *plane)
{
    int rank = call->out.spec.rank, first = first_axis(call);
    *plane = (em__scatter_plane){.dims = {1}, .places = {1}, .window = {1}, .step = {1}};
    plane->max = call->op == EM__OP_WINDOW_SCATTER_MAX;
    if (call->out.spec.dtype != EM_F32 || first < rank - 2 || em__spec_size(&call->in[1].spec) == 0)
        return NULL;
    for (int d = first; d < rank; d++) {
        const int64_t *ints = call->ints + d;
        int axis = 2 - rank + d;
        plane->dims[axis] = call->in[0].spec.dims[d];
        plane->places[axis] = call->in[1].spec.dims[d];
        plane->window[axis] = ints[0];
        plane->step[axis] = ints[rank];
        plane->low[axis] = ints[2 * rank];
    }
    return em__scatter_describe(plane) ? em__scatter_get(cpu->level) : NULL;
}

typedef struct planes {
    const em__call *call;
    em__pool *pool;
    em__scatter_fn run;
    em__scatter_plane plane;
    int64_t parts, per_chunk;
} planes;

static void run_planes(void *context, int64_t chunk, int worker)
{
    const planes *p = context;
    const int64_t end = (chunk + 1) * p->per_chunk, in = p->plane.dims[0] * p->plane.dims[1];
    const float *x = p->call->in[0].data, *source = p->call->in[1].data, init = *(const float *)p->call->in[2].data;
    for (int64_t part = chunk * p->per_chunk; part < (end < p->parts ? end : p->parts); part++)
        p->run(&p->plane, x + part * in, source + part * p->plane.places[0] * p->plane.places[1], init,
               (float *)p->call->out.data + part * in, em__pool_scratch(p->pool, worker));
}

static em_status run_by_rows(em_device *device, const em__call *call)
{
    planes p = {.call = call, .pool = em__cpu_of(device)->pool};
    p.run = plane_of(em__cpu_of(device), call, &p.plane);
    const int64_t in = p.plane.dims[0] * p.plane.dims[1];
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    p.parts = em__spec_size(&call->out.spec) / in;
    p.per_chunk = ROW_WORK / in + 1;
    em__pool_run(p.pool, run_planes, &p, (p.parts + p.per_chunk - 1) / p.per_chunk);
    return EM_OK;
}

static em_status run_scatter(em_device *device, const em__call *call)
{
    scatter s = {.call = call, .rank = call->out.spec.rank, .parts = 1, .part_in = 1, .places = 1, .elements = 1};
    const em__tensor *in = &call->in[0];
    int rank = s.rank;
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    s.first = first_axis(call);
    for (int d = 0; d < s.first; d++)
        s.parts *= in->spec.dims[d];
    for (int d = s.first; d < rank; d++) {
        s.part_in *= in->spec.dims[d];
        s.out_dims[d] = call->in[1].spec.dims[d];
        s.places *= s.out_dims[d];
        s.elements *= (int)call->ints[d];
    }
    s.line = s.out_dims[rank - 1];
    s.step = call->ints[2 * rank - 1];
    s.last = in->spec.dims[rank - 1] - call->ints[rank - 1];
    list_elements(&s);
    s.squares = s.elements == 4 && s.rank > 1 && call->ints[rank - 1] == 2 && call->ints[rank - 2] == 2 &&
                s.step == 2 && call->ints[2 * rank - 2] == 2;
    s.per_chunk = PART_WORK / (s.places * s.elements + s.part_in) + 1;
    em__pool_run(em__cpu_of(device)->pool, run_parts, &s, (s.parts + s.per_chunk - 1) / s.per_chunk);
    return EM_OK;
}

bool em__cpu_prepare_window_scatter(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    int64_t elements = 1;
    em__scatter_plane plane;
    if (call->op != EM__OP_WINDOW_SCATTER_MAX && call->op != EM__OP_WINDOW_SCATTER_MIN)
        return false;
    *plan = (em__plan){.kernel = run_scatter};
    for (int d = 0; d < call->out.spec.rank && elements <= MOST_ELEMENTS; d++)
        elements = call->ints[d] <= MOST_ELEMENTS ? elements * call->ints[d] : MOST_ELEMENTS + 1;
    if (call->out.spec.rank > 0 && plane_of(cpu, call, &plane))
        *plan = (em__plan){.kernel = run_by_rows, .workers = em__scatter_bytes(&plane)};
    return call->out.spec.rank > 0 && elements <= MOST_ELEMENTS && part_fns[call->out.spec.dtype];
}
