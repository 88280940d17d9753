/* PAD: around, within and, where it is negative, away from an operand. Inner axes that are not padded move as words. */
#include "device/cuda/words.cuh"

enum { THREADS = 256, EACH = 4, LONG_ROW = 2048 };

#define NOWHERE INT64_MAX

/* How the result's axes, in the order of em_steps, see the operand's. */
struct padding {
    int64_t low[EM_MAX_RANK], count[EM_MAX_RANK]; /* elements of the operand on the axis */
    int64_t step[EM_MAX_RANK];                    /* from one to the next */
};

/* Where the operand's word is that stands at `index`; NOWHERE: on padding (offsets may be negative). */
static __device__ __forceinline__ int64_t source_of(const em_steps<1> &steps, const padding &p, int64_t index)
{
    int64_t offset = 0;
#pragma unroll
    for (int axis = 0; axis < EM_MAX_RANK; axis++) {
        if (axis >= steps.rank)
            break;
        int64_t at = em_split(steps, axis, &index) - p.low[axis];
        if (p.step[axis] > 1 && at >= 0) {
            int64_t place = at / p.step[axis];
            at = place * p.step[axis] == at ? place : -1;
        }
        if (at < 0 || at >= p.count[axis])
            return NOWHERE;
        offset += at * steps.strides[0][axis];
    }
    return offset;
}

/* The padding's value, as often as it fits into a word. */
template <typename W> static __device__ W fill_word(const uint8_t *value, int element)
{
    union {
        uint8_t bytes[sizeof(W)];
        W word;
    } fill;
#pragma unroll
    for (int i = 0; i < (int)sizeof(W); i++)
        fill.bytes[i] = value[i % element];
    return fill.word;
}

template <typename W>
__global__ void pad_kernel(const W *from, W *to, const uint8_t *value, int element, em_steps<1> steps, padding p)
{
    em_grid_wait();
    int64_t base = blockIdx.x * (int64_t)(THREADS * EACH) + threadIdx.x;
    W fill = fill_word<W>(value, element), words[EACH];
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int64_t index = base + k * THREADS, offset = index < steps.size ? source_of(steps, p, index) : NOWHERE;
        words[k] = fill;
        if (offset != NOWHERE)
            words[k] = from[offset];
    }
#pragma unroll
    for (int k = 0; k < EACH; k++)
        if (base + k * THREADS < steps.size)
            to[base + k * THREADS] = words[k];
}

template <typename W>
static em_status launch_pad(em__cuda *cuda, const em__call *call, const em_layout<1> &layout, const padding &p)
{
    em_steps<1> steps = em_steps_of(layout);
    return em_launch(cuda, "pad", pad_kernel<W>, em_blocks(steps.size, THREADS * EACH), THREADS, 0,
                     (const W *)call->in[0].data, (W *)call->out.data, (const uint8_t *)call->in[1].data,
                     (int)em_dtype_size(call->out.spec.dtype), steps, p);
}

static bool is_padded(const em__call *call, int axis)
{
    const int64_t *ints = call->ints;
    int rank = call->in[0].spec.rank;
    return ints[axis] != 0 || ints[rank + axis] != 0 || ints[2 * rank + axis] != 0;
}

/* The result's axes, the operand's steps; inner axes that are not padded and lie side by side are one. */
static em_layout<1> layout_of(const em__call *call, padding *p)
{
    const em__tensor *in = &call->in[0];
    em_layout<1> layout = {};
    int rank = in->spec.rank, inner = rank;
    int64_t run = 1;
    while (inner > 0 && !is_padded(call, inner - 1) && (in->strides[inner - 1] == run || in->spec.dims[inner - 1] == 1))
        run *= in->spec.dims[--inner];
    for (int axis = 0; axis < inner; axis++) {
        layout.dims[axis] = call->out.spec.dims[axis];
        layout.strides[0][axis] = in->strides[axis];
    }
    layout.rank = inner + (run > 1);
    if (run > 1) {
        layout.dims[inner] = run;
        layout.strides[0][inner] = 1;
    }
    for (int axis = 0; axis < layout.rank; axis++) {
        int to = layout.rank - 1 - axis;
        p->low[to] = axis < inner ? call->ints[axis] : 0;
        p->count[to] = axis < inner ? in->spec.dims[axis] : run;
        p->step[to] = axis < inner ? call->ints[2 * rank + axis] + 1 : 1;
    }
    return layout;
}

template <typename W> __global__ void fill_kernel(W *to, const uint8_t *value, int element, int64_t size)
{
    em_grid_wait();
    int64_t base = blockIdx.x * (int64_t)(THREADS * EACH) + threadIdx.x;
    W fill = fill_word<W>(value, element);
#pragma unroll
    for (int k = 0; k < EACH; k++)
        if (base + k * THREADS < size)
            to[base + k * THREADS] = fill;
}

template <typename W> static em_status launch_fill(em__cuda *cuda, const em__call *call)
{
    size_t element = em_dtype_size(call->out.spec.dtype);
    int64_t size = em__spec_size(&call->out.spec) * (int64_t)element / (int64_t)sizeof(W);
    return em_launch(cuda, "pad", fill_kernel<W>, em_blocks(size, THREADS * EACH), THREADS, 0, (W *)call->out.data,
                     (const uint8_t *)call->in[1].data, (int)element, size);
}

/* Long rows that are not aligned: the value everywhere, then what there is of the operand in its place. */
static em_status fill_and_move(em__cuda *cuda, const em__call *call)
{
    em__tensor from = call->in[0], to = call->out;
    int64_t element = (int64_t)em_dtype_size(to.spec.dtype), bytes = em__spec_size(&to.spec) * element;
    for (int axis = 0; axis < to.spec.rank; axis++) {
        int64_t low = call->ints[axis], first = low > 0 ? low : 0, end = low + from.spec.dims[axis];
        end = end < to.spec.dims[axis] ? end : to.spec.dims[axis];
        to.data = (char *)to.data + first * to.strides[axis] * element;
        from.data = (char *)from.data + (first - low) * from.strides[axis] * element;
        to.spec.dims[axis] = end > first ? end - first : 0;
    }
    EM__TRY(bytes % 16 == 0 ? launch_fill<uint4>(cuda, call) : EM_BY_SIZE(element, launch_fill, cuda, call));
    from.spec = to.spec;
    return em_move(cuda, &from, &to, NULL, NULL);
}

static bool has_long_rows(const em__call *call)
{
    int rank = call->in[0].spec.rank, last = rank - 1;
    for (int axis = 0; axis < rank; axis++)
        if (call->ints[2 * rank + axis] != 0)
            return false;
    return rank > 0 && call->in[0].strides[last] == 1 &&
           call->in[0].spec.dims[last] * (int64_t)em_dtype_size(call->out.spec.dtype) >= LONG_ROW;
}

static em_status run_pad(em_device *device, const em__call *call)
{
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    padding p = {};
    em_layout<1> layout = layout_of(call, &p);
    size_t element = em_dtype_size(call->out.spec.dtype), word = element;
    if (p.low[0] == 0 && layout.rank > 0 && p.count[0] == layout.dims[layout.rank - 1] && p.step[0] == 1)
        word = em_word_size(layout, 1, element,
                            (uint64_t)(uintptr_t)call->in[0].data | (uint64_t)(uintptr_t)call->out.data);
    if (word < 16 && has_long_rows(call))
        return fill_and_move(em__cuda_of(device), call);
    if (word > element)
        p.count[0] /= (int64_t)(word / element);
    em_layout<1> wide = em_widen(layout, 1, element, word);
    return EM_BY_SIZE(word, launch_pad, em__cuda_of(device), call, wide, p);
}

extern "C" bool em__cuda_prepare_pad(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->kernel = run_pad;
    plan->strided = 3;
    return call->op == EM__OP_PAD;
}
