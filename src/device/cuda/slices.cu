/* CONCATENATE, DYNAMIC_SLICE, PUT_SLICE: moves between an operand and a part of the result, or the other way round. */
#include "device/cuda/words.cuh"

static em_status run_concatenate(em_device *device, const em__call *call)
{
    int axis = (int)call->ints[0];
    em__tensor part = call->out;
    for (int i = 0; i < call->n_in; i++) {
        part.spec = call->in[i].spec;
        EM__TRY(em_move(em__cuda_of(device), &call->in[i], &part, NULL, NULL));
        part.data =
            (char *)part.data + part.spec.dims[axis] * part.strides[axis] * (int64_t)em_dtype_size(part.spec.dtype);
    }
    return EM_OK;
}

/* The starts of a slice of extents `size` in `of`: operands from `first` on. */
static em_starts starts_of(const em__call *call, int first, const em__tensor *of, const int64_t *size)
{
    em_starts starts = {};
    for (int axis = 0; axis < of->spec.rank; axis++) {
        if (size[axis] == of->spec.dims[axis])
            continue; /* it can only begin at 0 */
        int i = starts.n++;
        starts.dtype[i] = call->in[first + axis].spec.dtype;
        starts.data[i] = call->in[first + axis].data;
        starts.count[i] = of->spec.dims[axis] - size[axis] + 1;
        starts.steps[i] = of->strides[axis];
    }
    return starts;
}

static em_status run_dynamic_slice(em_device *device, const em__call *call)
{
    em__tensor from = call->in[0];
    em_starts starts = starts_of(call, 1, &from, call->ints);
    for (int axis = 0; axis < from.spec.rank; axis++)
        from.strides[axis] *= call->out.spec.dims[axis] > 1 ? call->ints[from.spec.rank + axis] : 1;
    return em_move(em__cuda_of(device), &from, &call->out, &starts, NULL);
}

static em_status run_put_slice(em_device *device, const em__call *call)
{
    size_t bytes = em__spec_bytes(&call->out.spec);
    em__tensor part = call->out;
    em_starts starts = starts_of(call, 2, &part, call->in[1].spec.dims);
    if (call->out.data != call->in[0].data)
        EM__TRY(em__cuda_memory.copy(device, call->out.data, call->in[0].data, bytes));
    part.spec = call->in[1].spec;
    return em_move(em__cuda_of(device), &call->in[1], &part, NULL, &starts);
}

extern "C" bool em__cuda_prepare_slices(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->strided = UINT64_MAX;
    switch (call->op) {
    case EM__OP_CONCATENATE: plan->kernel = run_concatenate; return true;
    case EM__OP_DYNAMIC_SLICE: plan->kernel = run_dynamic_slice; return true;
    case EM__OP_PUT_SLICE:
        plan->kernel = run_put_slice;
        plan->strided = ~(uint64_t)1;
        return true;
    default: return false;
    }
}
