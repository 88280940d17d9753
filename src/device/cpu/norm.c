/* SOFTMAX along the last axis and the norms, brought to the row kernels of rows.h. Operands are row-major. */
#include "device/cpu/cpu.h"

typedef struct shape {
    size_t rows, cols;
} shape;

static shape rows_of(const em__spec *spec)
{
    int64_t cols = spec->dims[spec->rank - 1], size = em__spec_size(spec);
    return (shape){size ? (size_t)(size / cols) : 0, (size_t)cols};
}

static em_status run_softmax(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    shape s = rows_of(&call->out.spec);
    if (s.rows)
        em__rows_softmax(cpu->rows, cpu->pool, EM__SOFTMAX, call->out.spec.dtype, call->out.data, s.cols,
                         call->in[0].data, s.cols, s.rows, s.cols);
    return EM_OK;
}

static em_status run_norm(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    shape s = rows_of(&call->out.spec);
    int next = 1;
    em__norm_args args = {.out = call->out.data,
                          .x = call->in[0].data,
                          .eps = call->floats[0],
                          .rows = s.rows,
                          .cols = s.cols,
                          .out_stride = s.cols,
                          .x_stride = s.cols,
                          .residual_stride = s.cols};
    if (call->op == EM__OP_FUSED_LAYER_NORM)
        args.residual = call->in[next++].data;
    if (call->ints[0] & 1)
        args.weight = call->in[next++].data;
    if (call->ints[0] & 2)
        args.bias = call->in[next].data;
    em__norm_kind kind = call->op == EM__OP_RMS_NORM ? EM__RMS_NORM : EM__LAYER_NORM;
    if (s.rows)
        em__rows_norm(cpu->rows, cpu->pool, kind, call->out.spec.dtype, &args);
    return EM_OK;
}

bool em__cpu_prepare_norm(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    em_dtype dtype = call->out.spec.dtype;
    switch (call->op) {
    case EM__OP_SOFTMAX:
        *plan = (em__plan){.kernel = run_softmax, .inplace = 1};
        if (call->ints[0] == call->out.spec.rank - 1 && cpu->rows->softmax[EM__SOFTMAX][dtype])
            return true;
        *plan = (em__plan){0};
        return em__cpu_prepare_softmax_axis(cpu, call, plan);
    case EM__OP_LAYER_NORM:
    case EM__OP_FUSED_LAYER_NORM:
        *plan = (em__plan){.kernel = run_norm, .inplace = call->op == EM__OP_FUSED_LAYER_NORM ? 3 : 1};
        return cpu->rows->norm[EM__LAYER_NORM][dtype] != NULL;
    case EM__OP_RMS_NORM:
        *plan = (em__plan){.kernel = run_norm, .inplace = 1};
        return cpu->rows->norm[EM__RMS_NORM][dtype] != NULL;
    default: return false;
    }
}
