/*
 * SOFTMAX where the row kernels do not take it as it lies: along another axis than the last, which is copied there and
 * back; of f8, which becomes f32. Through scratch memory.
 */
#include <string.h>

#include "core/whole.h"
#include "device/cpu/cpu.h"

typedef struct steps {
    em_dtype from, by;
    size_t rows, cols, bytes, wide; /* of the operand as it is, and as `by` */
    bool turned;
} steps;

static bool plan_steps(const em__cpu *cpu, const em__call *call, steps *s)
{
    const em__spec *spec = &call->out.spec;
    size_t size = (size_t)em__spec_size(spec);
    *s = (steps){.from = spec->dtype, .by = em__elementwise_by(spec->dtype)};
    s->cols = spec->rank ? (size_t)spec->dims[call->ints[0]] : 1;
    s->rows = s->cols ? size / s->cols : 0;
    s->turned = call->ints[0] != spec->rank - 1;
    s->bytes = s->turned ? em__align64(size * em_dtype_size(s->from)) : 0;
    s->wide = s->by == s->from ? 0 : size * em_dtype_size(s->by);
    return cpu->rows->softmax[EM__SOFTMAX][s->by] != NULL;
}

/* Between the operand's order and one with the axis last. */
static void turn(em__cpu *cpu, const em__call *call, void *out, const void *in, bool back)
{
    const em__spec *spec = &call->out.spec;
    int axis = (int)call->ints[0];
    int64_t plain[EM_MAX_RANK] = {0}, turned[EM_MAX_RANK] = {0}, step = 1, other = spec->dims[axis];
    em__copy_layout layout = {.rank = spec->rank, .size = em_dtype_size(spec->dtype)};
    for (int d = spec->rank - 1; d >= 0; d--) {
        plain[d] = step;
        step *= spec->dims[d];
        turned[d] = d == axis ? 1 : other;
        other *= d == axis ? 1 : spec->dims[d];
    }
    memcpy(layout.dims, spec->dims, sizeof layout.dims);
    memcpy(layout.in_strides, back ? turned : plain, sizeof turned);
    memcpy(layout.out_strides, back ? plain : turned, sizeof turned);
    em__copy_run(cpu->copy, cpu->pool, out, in, &layout);
}

static em_status run(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    steps s;
    plan_steps(cpu, call, &s);
    size_t size = s.rows * s.cols;
    if (!size)
        return EM_OK;
    void *order = s.turned ? call->scratch : call->out.data;
    void *wide = s.wide ? (uint8_t *)call->scratch + s.bytes : NULL;
    const void *x = call->in[0].data;
    if (s.turned) {
        turn(cpu, call, order, x, false);
        x = order;
    }
    if (s.wide) {
        em__cast_run(cpu->cast, cpu->pool, s.from, s.by, wide, x, size);
        x = wide;
    }
    em__rows_softmax(cpu->rows, cpu->pool, EM__SOFTMAX, s.by, s.wide ? wide : order, s.cols, x, s.cols, s.rows, s.cols);
    if (s.wide)
        em__cast_run(cpu->cast, cpu->pool, s.by, s.from, order, wide, size);
    if (s.turned)
        turn(cpu, call, call->out.data, order, true);
    return EM_OK;
}

bool em__cpu_prepare_softmax_axis(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    steps s;
    if (!plan_steps(cpu, call, &s))
        return false;
    *plan = (em__plan){.kernel = run, .scratch = s.bytes + s.wide};
    return true;
}
