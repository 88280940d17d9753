/* Operands as matrices: see side.h. */
#include "device/cuda/side.h"

/* Axes that follow one another as one; false when they do not step evenly. Of no axes: one element. */
static bool merge(const em__tensor *t, int from, int to, int64_t *extent, int64_t *step)
{
    bool even = true;
    *extent = 1;
    *step = 0;
    for (int i = to - 1; i >= from; i--) {
        if (t->spec.dims[i] == 1)
            continue;
        if (*extent == 1)
            *step = t->strides[i];
        else
            even = even && t->strides[i] == *step * *extent;
        *extent *= t->spec.dims[i];
    }
    return even;
}

static em__tensor in_order(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch,
                           int n_batch)
{
    em__tensor out = {t->data, {t->spec.dtype, t->spec.rank}, {0}};
    bool named[EM_MAX_RANK] = {false};
    int order[EM_MAX_RANK], n = 0;
    for (int i = 0; i < n_batch; i++)
        named[order[n++] = (int)batch[i]] = true;
    for (int i = 0; i < n_contract; i++)
        named[contract[i]] = true;
    for (int i = 0; i < t->spec.rank; i++)
        if (!named[i])
            order[n++] = i;
    for (int i = 0; i < n_contract; i++)
        order[n++] = (int)contract[i];
    for (int i = 0; i < n; i++) {
        out.spec.dims[i] = t->spec.dims[order[i]];
        out.strides[i] = t->strides[order[i]];
    }
    return out;
}

/* Whether one of the steps is 1 and the other is no less than what it steps over. */
static bool lies_well(em__side *s, int64_t batch_step, int64_t row_step, int64_t depth_step)
{
    if (batch_step < 0)
        return false;
    bool along = s->depth == 1 || depth_step == 1, across = s->rows == 1 || row_step == 1;
    int64_t ld = s->rows == 1 ? s->depth : row_step;
    s->as = {ld, batch_step, 0};
    if (along && ld >= s->depth)
        return true;
    ld = s->depth == 1 ? s->rows : depth_step;
    s->as = {ld, batch_step, 1};
    return across && ld >= s->rows;
}

em__side em__side_of(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch, int n_batch)
{
    em__side s = {};
    s.ordered = in_order(t, contract, n_contract, batch, n_batch);
    int rank = t->spec.rank, depth = rank - n_contract;
    int64_t batch_step, row_step, depth_step;
    bool even = merge(&s.ordered, 0, n_batch, &s.batch, &batch_step);
    even = merge(&s.ordered, n_batch, depth, &s.rows, &row_step) && even;
    even = merge(&s.ordered, depth, rank, &s.depth, &depth_step) && even;
    if (em__spec_size(&t->spec) == 0 || (even && lies_well(&s, batch_step, row_step, depth_step)))
        return s;
    s.copied = em__scratch_bytes(em__spec_size(&t->spec), t->spec.dtype);
    s.as = {s.depth, s.rows * s.depth, 0};
    return s;
}

em_status em__side_place(em__cuda *cuda, em__side *side, char **room, const void **data)
{
    *data = side->ordered.data;
    if (!side->copied)
        return EM_OK;
    em__plan plan = {};
    em__call copy = {};
    copy.op = EM__OP_COPY;
    copy.n_in = 1;
    copy.in = &side->ordered;
    copy.out.data = *room;
    copy.out.spec = side->ordered.spec;
    em__tensor_contiguous(&copy.out);
    *data = *room;
    *room += side->copied;
    EM__TRY(cuda->device.vtable->prepare(&cuda->device, &copy, &plan));
    return plan.kernel(&cuda->device, &copy);
}
