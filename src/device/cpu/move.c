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

/* The value at [from, to) of axis d, where the axes before are between `low` and `high`. */
static void fill_part(em__cpu *cpu, const em__call *call, int d, int64_t from, int64_t to, const int64_t *low,
                      const int64_t *high)
{
    static const int64_t still[EM_MAX_RANK] = {0};
    em__tensor value = {.data = call->in[1].data, .spec = call->out.spec};
    int64_t at = from * call->out.strides[d], bytes = (int64_t)em_dtype_size(value.spec.dtype);
    memcpy(value.strides, still, sizeof still);
    value.spec.dims[d] = to - from;
    for (int i = 0; i < d; i++) {
        value.spec.dims[i] = high[i] - low[i];
        at += low[i] * call->out.strides[i];
    }
    copy_to(cpu, &value, (char *)call->out.data + at * bytes, call->out.strides);
}

static em_status run_pad(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__tensor in = call->in[0];
    int64_t at, out_strides[EM_MAX_RANK] = {0}, low[EM_MAX_RANK], high[EM_MAX_RANK];
    size_t size = em_dtype_size(in.spec.dtype);
    int rank = in.spec.rank;
    bool inside = cropped(call, &in, &at, out_strides), gaps = !inside;
    for (int d = 0; d < rank; d++)
        gaps = gaps || call->ints[2 * rank + d] > 0;
    if (gaps)
        em__copy_fill(cpu->copy, cpu->pool, call->out.data, call->in[1].data, size,
                      (size_t)em__spec_size(&call->out.spec));
    for (int d = 0; d < rank && !gaps; d++) { /* only what the operand does not cover */
        low[d] = call->ints[d] > 0 ? call->ints[d] : 0;
        high[d] = low[d] + in.spec.dims[d];
        fill_part(cpu, call, d, 0, low[d], low, high);
        fill_part(cpu, call, d, high[d], call->out.spec.dims[d], low, high);
    }
    if (inside)
        copy_to(cpu, &in, (char *)call->out.data + at * (int64_t)size, out_strides);
    return EM_OK;
}

static em_status run_cast(em_device *device, const em__call *call)
{
    em__cpu_cast(em__cpu_of(device), &call->in[0], &call->out);
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
