/* Ops that move or convert elements: COPY, BITCAST, CONCATENATE, PAD by the strided copy of copy.h, CAST by cast.h. */
#include <string.h>

#include "device/cpu/cpu.h"

/* Copies `in` to memory with other strides. `out` points at the element whose indices are all 0. */
static void copy_to(em__cpu *cpu, const em__tensor *in, void *out, const int64_t *out_strides)
{
    em__copy_layout layout = {.rank = in->spec.rank, .size = em_dtype_size(in->spec.dtype)};
    memcpy(layout.dims, in->spec.dims, sizeof layout.dims);
    memcpy(layout.in_strides, in->strides, sizeof layout.in_strides);
    memcpy(layout.out_strides, out_strides, sizeof layout.out_strides);
    if (em__spec_size(&in->spec))
        em__copy_run(cpu->copy, cpu->pool, out, in->data, &layout);
}

static em_status run_copy(em_device *device, const em__call *call)
{
    copy_to(em__cpu_of(device), &call->in[0], call->out.data, call->out.strides);
    return EM_OK;
}

static em_status run_concatenate(em_device *device, const em__call *call)
{
    int axis = (int)call->ints[0];
    char *out = call->out.data;
    int64_t step = call->out.strides[axis] * (int64_t)em_dtype_size(call->out.spec.dtype);
    for (int i = 0; i < call->n_in; i++) {
        copy_to(em__cpu_of(device), &call->in[i], out, call->out.strides);
        out += call->in[i].spec.dims[axis] * step;
    }
    return EM_OK;
}

/* The part of the operand that survives negative padding, and where its first element goes; false if none does. */
static bool cropped(const em__call *call, em__tensor *in, int64_t *at, int64_t *out_strides)
{
    int rank = in->spec.rank;
    *at = 0;
    for (int d = 0; d < rank; d++) {
        int64_t low = call->ints[d], step = call->ints[2 * rank + d] + 1, size = call->out.spec.dims[d];
        int64_t first = low < 0 ? (-low + step - 1) / step : 0;
        int64_t last = size - 1 - low < 0 ? -1 : (size - 1 - low) / step; /* of the operand, by the result's end */
        last = last < in->spec.dims[d] - 1 ? last : in->spec.dims[d] - 1;
        if (last < first)
            return false;
        in->data = (char *)in->data + first * in->strides[d] * (int64_t)em_dtype_size(in->spec.dtype);
        in->spec.dims[d] = last - first + 1;
        *at += (low + first * step) * call->out.strides[d];
        out_strides[d] = last > first ? call->out.strides[d] * step : call->out.strides[d];
    }
    return true;
}

static em_status run_pad(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__tensor in = call->in[0];
    int64_t at, out_strides[EM_MAX_RANK] = {0};
    size_t size = em_dtype_size(in.spec.dtype);
    em__copy_fill(cpu->copy, cpu->pool, call->out.data, call->in[1].data, size, (size_t)em__spec_size(&call->out.spec));
    if (cropped(call, &in, &at, out_strides))
        copy_to(cpu, &in, (char *)call->out.data + at * (int64_t)size, out_strides);
    return EM_OK;
}

static em_status run_cast(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__cast_run(cpu->cast, cpu->pool, call->in[0].spec.dtype, call->out.spec.dtype, call->out.data, call->in[0].data,
                 (size_t)em__spec_size(&call->out.spec));
    return EM_OK;
}

bool em__cpu_prepare_move(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    *plan = (em__plan){.strided = UINT64_MAX};
    switch (call->op) {
    case EM__OP_COPY: plan->kernel = run_copy; return true;
    case EM__OP_CONCATENATE:
        plan->kernel = run_concatenate;
        return call->n_in <= 64; /* operands further on may not be strided */
    case EM__OP_PAD: plan->kernel = run_pad; return true;
    case EM__OP_CAST: *plan = (em__plan){.kernel = run_cast}; return true;
    case EM__OP_IOTA: return em__cpu_prepare_iota(cpu, call, plan);
    case EM__OP_BITCAST: plan->kernel = run_copy; return true;
    default: return false;
    }
}
