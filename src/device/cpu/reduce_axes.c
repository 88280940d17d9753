/*
 * Reductions and ARGMAX, ARGMIN brought to the [outer, reduce, inner] form of reduce.h: the reduced axes must stand
 * side by side, but for axes of size 1. Anything else goes to reduce_wide.c.
 */
#include "device/cpu/cpu.h"

bool em__cpu_split_axes(const em__spec *spec, int64_t mask, em__reduce_split *out)
{
    int stage = 0; /* 0: before the reduced axes, 1: in them, 2: behind */
    *out = (em__reduce_split){1, 1, 1};
    for (int d = 0; d < spec->rank; d++) {
        bool reduced = mask >> d & 1;
        size_t dim = (size_t)spec->dims[d];
        if (dim == 1)
            continue;
        if (reduced && stage == 2)
            return false;
        stage = reduced ? 1 : stage == 1 ? 2 : stage;
        *(stage == 0 ? &out->outer : stage == 1 ? &out->reduce : &out->inner) *= dim;
    }
    return true;
}

bool em__cpu_reduce_op(em__op op, em__reduce_op *out)
{
    switch (op) {
    case EM__OP_SUM: *out = EM__REDUCE_SUM; return true;
    case EM__OP_PRODUCT: *out = EM__REDUCE_PRODUCT; return true;
    case EM__OP_MAX: *out = EM__REDUCE_MAX; return true;
    case EM__OP_MIN: *out = EM__REDUCE_MIN; return true;
    case EM__OP_ALL: *out = EM__REDUCE_ALL; return true;
    case EM__OP_ANY: *out = EM__REDUCE_ANY; return true;
    default: return false;
    }
}

static em_status run_reduce(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__reduce_op op = EM__REDUCE_SUM;
    em__reduce_split s;
    em__cpu_reduce_op(call->op, &op);
    em__cpu_split_axes(&call->in[0].spec, call->ints[1], &s);
    em__reduce_run(cpu->reduce, cpu->pool, op, call->in[0].spec.dtype, call->out.data, call->in[0].data, s.outer,
                   s.reduce, s.inner);
    return EM_OK;
}

static em_status run_arg(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__reduce_split s;
    em__cpu_split_axes(&call->in[0].spec, (int64_t)1 << call->ints[0], &s);
    em__reduce_arg(cpu->reduce, cpu->pool, call->op == EM__OP_ARGMAX ? EM__ARG_MAX : EM__ARG_MIN,
                   call->in[0].spec.dtype, call->out.data, call->in[0].data, s.outer, s.reduce, s.inner,
                   call->ints[1] != 0);
    return EM_OK;
}

bool em__cpu_prepare_reduce(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    em__reduce_op op;
    em__reduce_split s;
    if (call->op == EM__OP_ARGMAX || call->op == EM__OP_ARGMIN) {
        *plan = (em__plan){.kernel = run_arg};
        return cpu->reduce->arg[call->op == EM__OP_ARGMAX ? EM__ARG_MAX : EM__ARG_MIN][call->in[0].spec.dtype] ||
               em__cpu_prepare_reduce_wide(cpu, call, plan);
    }
    if (!em__cpu_reduce_op(call->op, &op))
        return false;
    em_dtype from = call->in[0].spec.dtype, to = call->out.spec.dtype;
    *plan = (em__plan){.kernel = run_reduce};
    if ((to == from || call->op == EM__OP_ALL || call->op == EM__OP_ANY) && cpu->reduce->row[op][from] &&
        cpu->reduce->column[op][from] && em__cpu_split_axes(&call->in[0].spec, call->ints[1], &s))
        return true;
    return em__cpu_prepare_reduce_wide(cpu, call, plan);
}
