/*
 * TAKE, TAKE_ALONG_AXIS, GATHER: each element of the result comes from a place that some indices and its own position
 * name. One kernel: the operand's strides are 0 where an index stands for the position.
 */
#include "device/cuda/words.cuh"

enum { THREADS = 256, EACH = 4, FROM = 0, TO = 1, INDEX = 2, DATA = 1 << FROM | 1 << TO };

/* The indices of one element: n, which lie `step` apart. */
struct picks {
    const void *data;
    em_dtype dtype;
    int n;
    int64_t step;
    int64_t count[EM_MAX_RANK];  /* of what there is to pick from */
    int64_t stride[EM_MAX_RANK]; /* words */
};

template <typename W> __global__ void gather_kernel(const W *from, W *to, em_steps<3> steps, picks p)
{
    em_grid_wait();
    int64_t first = blockIdx.x * (int64_t)(THREADS * EACH) + threadIdx.x;
    W words[EACH];
    int64_t targets[EACH];
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int64_t index = first + k * THREADS, at[3];
        if (index >= steps.size)
            continue;
        em_step(steps, index, at);
        for (int i = 0; i < p.n; i++) {
            int64_t pick = em__index_at(p.dtype, p.data, at[INDEX] + i * p.step);
            at[FROM] += em__index_clamp(pick, p.count[i]) * p.stride[i];
        }
        words[k] = from[at[FROM]];
        targets[k] = at[TO];
    }
#pragma unroll
    for (int k = 0; k < EACH; k++)
        if (first + k * THREADS < steps.size)
            to[targets[k]] = words[k];
}

template <typename W>
static em_status launch_gather(em__cuda *cuda, const void *from, void *to, const em_layout<3> &layout, const picks &p)
{
    em_steps<3> steps = em_steps_of(layout);
    return em_launch(cuda, "gather", gather_kernel<W>, em_blocks(steps.size, THREADS * EACH), THREADS, 0,
                     (const W *)from, (W *)to, steps, p);
}

/* `from` and `index` as the result's axes see them, where FROM's strides leave the picks out. */
static em_status gather(em_device *device, const em__call *call, const em__tensor &from, const em__tensor &index,
                        picks p)
{
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    const em__tensor *const tensors[] = {&from, &call->out, &index};
    em_layout<3> layout = em_collapse<3>(&call->out.spec, tensors);
    size_t element = em_dtype_size(call->out.spec.dtype);
    uint64_t bits = (uint64_t)(uintptr_t)call->in[0].data | (uint64_t)(uintptr_t)call->out.data;
    for (int i = 0; i < p.n; i++)
        bits |= (uint64_t)p.stride[i] * element;
    int last = layout.rank - 1;
    bool runs = last >= 0 && layout.strides[INDEX][last] == 0; /* one index serves a whole run */
    size_t word = runs ? em_word_size(layout, DATA, element, bits) : element;
    em_layout<3> wide = em_widen(layout, DATA, element, word);
    for (int i = 0; i < p.n; i++)
        p.stride[i] /= (int64_t)(word / element);
    p.data = call->in[1].data;
    p.dtype = call->in[1].spec.dtype;
    return EM_BY_SIZE(word, launch_gather, em__cuda_of(device), call->in[0].data, call->out.data, wide, p);
}

static em_status run_take(em_device *device, const em__call *call)
{
    int axis = (int)call->ints[0], n = call->in[1].spec.rank;
    em__tensor from = {}, index = {};
    picks p = {};
    for (int d = 0; d < call->out.spec.rank; d++)
        if (d < axis || d >= axis + n)
            from.strides[d] = call->in[0].strides[d < axis ? d : d + 1 - n];
        else
            index.strides[d] = call->in[1].strides[d - axis];
    p.n = 1;
    p.count[0] = call->in[0].spec.dims[axis];
    p.stride[0] = call->in[0].strides[axis];
    return gather(device, call, from, index, p);
}

static em_status run_take_along_axis(em_device *device, const em__call *call)
{
    int axis = (int)call->ints[0];
    em__tensor from = call->in[0];
    picks p = {};
    p.n = 1;
    p.count[0] = from.spec.dims[axis];
    p.stride[0] = from.strides[axis];
    from.strides[axis] = 0;
    return gather(device, call, from, call->in[1], p);
}

static em_status run_gather(em_device *device, const em__call *call)
{
    const em__tensor *in = &call->in[0];
    int batch = call->in[1].spec.rank - 1;
    em__tensor from = {}, index = call->in[1];
    picks p = {};
    unsigned named = 0;
    p.n = call->n_ints;
    p.step = index.strides[batch];
    for (int i = 0; i < p.n; i++) {
        named |= 1u << call->ints[i];
        p.count[i] = in->spec.dims[call->ints[i]];
        p.stride[i] = in->strides[call->ints[i]];
    }
    for (int axis = 0, d = batch; axis < in->spec.rank; axis++)
        if (!(named >> axis & 1)) {
            index.strides[d] = 0;
            from.strides[d++] = in->strides[axis];
        }
    return gather(device, call, from, index, p);
}

extern "C" bool em__cuda_prepare_gather(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->strided = 3;
    switch (call->op) {
    case EM__OP_TAKE: plan->kernel = run_take; return true;
    case EM__OP_TAKE_ALONG_AXIS: plan->kernel = run_take_along_axis; return true;
    case EM__OP_GATHER: plan->kernel = run_gather; return true;
    default: return false;
    }
}
