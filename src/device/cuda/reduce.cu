/* Reductions: who takes which, and how their lines are laid out and cut. The kernels are in reduce_*.cu. */
#include "device/cuda/reduce.cuh"

em__kernel_fn em_reduce_sums(const em__call *call);
em__kernel_fn em_reduce_ends(const em__call *call);
em__kernel_fn em_reduce_truth(const em__call *call);

/* The axes that are in the mask, in the order of the operand; reduced ones from the widest stride to the narrowest,
 * since their order means nothing. */
static em_layout<1> axes_of(const em__tensor *in, int64_t mask, bool sorted)
{
    em__tensor part = {};
    for (int d = 0; d < in->spec.rank; d++) {
        if (!(mask >> d & 1))
            continue;
        int at = part.spec.rank++;
        for (; sorted && at > 0 && llabs(part.strides[at - 1]) < llabs(in->strides[d]); at--) {
            part.strides[at] = part.strides[at - 1];
            part.spec.dims[at] = part.spec.dims[at - 1];
        }
        part.strides[at] = in->strides[d];
        part.spec.dims[at] = in->spec.dims[d];
    }
    const em__tensor *const one[] = {&part};
    return em_collapse<1>(&part.spec, one);
}

static int64_t size_of(const em_layout<1> *layout)
{
    int64_t size = 1;
    for (int i = 0; i < layout->rank; i++)
        size *= layout->dims[i];
    return size;
}

/* Whether all lines along the last axis of `along` begin and end at 16 bytes. */
static bool is_whole(int64_t size, const em_layout<1> *along, const em_layout<1> *other)
{
    int last = along->rank - 1;
    return em_rows_are_whole(NULL, (size_t)size, along->strides[0], last) && along->dims[last] * size % 16 == 0 &&
           em_rows_are_whole(NULL, (size_t)size, other->strides[0], other->rank);
}

static em_reduce_form form_of(int64_t size, em_reduce_plan *p)
{
    int kept = p->kept.rank, reduced = p->reduced.rank;
    bool rows = !reduced || p->reduced.strides[0][reduced - 1] == 1;
    if (kept && p->kept.strides[0][kept - 1] == 1 && !(reduced && rows)) {
        p->whole = is_whole(size, &p->kept, &p->reduced);
        return EM_REDUCE_COLUMNS;
    }
    p->whole = reduced && rows && is_whole(size, &p->reduced, &p->kept);
    return rows ? EM_REDUCE_ROWS : EM_REDUCE_ANY;
}

/* Lanes for a line of so many pieces, a power of two. */
static int lanes_for(int64_t pieces)
{
    int lanes = 1;
    while (lanes < pieces && lanes < 32)
        lanes *= 2;
    return lanes;
}

/* Cuts lines into parts when `blocks` blocks don't fill the chip; a part has a multiple of `step` elements. */
static void cut(const em__cuda *cuda, em_reduce_plan *p, int64_t blocks, int64_t step)
{
    int64_t most = (4 * cuda->sms + blocks - 1) / blocks, parts = p->count / (step * 4);
    parts = blocks >= cuda->sms ? 1 : parts < most ? parts : most;
    p->part = parts > 1 ? ((p->count + parts - 1) / parts + step - 1) / step * step : p->count;
    p->parts = parts > 1 ? (p->count + p->part - 1) / p->part : 1;
}

bool em_reduce_layout(const em__cuda *cuda, const em__tensor *in, int64_t mask, em_reduce_plan *p)
{
    p->kept = axes_of(in, ~mask, false);
    p->reduced = axes_of(in, mask, true);
    p->results = size_of(&p->kept);
    p->count = size_of(&p->reduced);
    p->form = form_of((int64_t)em_dtype_size(in->spec.dtype), p);
    int piece = p->form == EM_REDUCE_ANY ? 1 : (int)(16 / em_dtype_size(in->spec.dtype));
    int64_t blocks, step;
    if (p->form == EM_REDUCE_COLUMNS) {
        int64_t line = p->kept.dims[p->kept.rank - 1];
        p->lanes = lanes_for((line + piece - 1) / piece);
        step = EM_REDUCE_THREADS / p->lanes;
        blocks = line ? p->results / line * em_blocks(line, p->lanes * piece) : 0;
    } else {
        int64_t pieces = (p->count + piece - 1) / piece;
        const bool is_long = pieces > 128, many = p->results >= 16 * cuda->sms;
        if (is_long && p->results >= 4 * cuda->sms && p->form == EM_REDUCE_ROWS && p->reduced.rank <= 1 &&
            p->count < INT32_MAX / 2 && p->results <= INT32_MAX)
            p->form = EM_REDUCE_LINES;
        /* a warp a line needs no barrier: where the lines are many they fill the chip so */
        p->lanes = is_long && (!many || p->form == EM_REDUCE_LINES) ? 0 : lanes_for(pieces);
        step = EM_REDUCE_THREADS * piece;
        blocks = p->lanes ? em_blocks(p->results, EM_REDUCE_THREADS / p->lanes) : p->results;
    }
    cut(cuda, p, blocks > 0 ? blocks : 1, step);
    return blocks <= INT32_MAX;
}

extern "C" bool em__cuda_prepare_reduce(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    em_reduce_plan p = {};
    switch (call->op) {
    case EM__OP_SUM:
    case EM__OP_PRODUCT: plan->kernel = em_reduce_sums(call); break;
    case EM__OP_MAX:
    case EM__OP_MIN: plan->kernel = em_reduce_ends(call); break;
    case EM__OP_ALL:
    case EM__OP_ANY: plan->kernel = em_reduce_truth(call); break;
    default: return false;
    }
    if (!plan->kernel)
        return false;
    em__tensor in = call->in[0];
    bool fits = em_reduce_layout(cuda, &in, call->ints[1], &p);
    plan->strided = p.form != EM_REDUCE_ANY;
    if (!plan->strided) { /* row-major it may have another form */
        em__tensor_contiguous(&in);
        fits = em_reduce_layout(cuda, &in, call->ints[1], &p);
    }
    if (!fits)
        return false;
    plan->scratch = p.parts > 1 ? (size_t)(p.parts * p.results) * 16 : 0; /* no Acc is larger */
    return true;
}
