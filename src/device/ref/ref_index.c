/* Reading and writing by index, naively. */
#include "core/error.h"
#include "device/index.h"
#include "device/ref/ref.h"

em_status em__ref_take_along_axis(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0], *index = &call->in[1];
    int axis = (int)call->ints[0];
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t pick = em__index_at(index->spec.dtype, index->data, em__walk_offset(&walk, index));
        pick = em__index_clamp(pick, in->spec.dims[axis]);
        int64_t from = em__walk_offset(&walk, in) + (pick - walk.at[axis]) * in->strides[axis];
        em__ref_move(in, from, call->out.data, i);
    }
    return EM_OK;
}

/*
 * Where in `of` the element is that stands at `walk` in a result (or updates) of [the indices' axes but the last, the
 * axes of `of` that are not named]. `outside` (NULL: clamp) becomes whether an index is out of range.
 */
static int64_t indexed_offset(const em__call *call, const em__tensor *of, const em__walk *walk, bool *outside)
{
    const em__tensor *index = &call->in[1];
    int batch = index->spec.rank - 1;
    int64_t at = 0, offset = 0;
    unsigned named = 0;
    for (int d = 0; d < batch; d++)
        at += walk->at[d] * index->strides[d];
    for (int k = 0; k < call->n_ints; k++) {
        int64_t axis = call->ints[k], dim = of->spec.dims[axis];
        int64_t pick = em__index_at(index->spec.dtype, index->data, at + k * index->strides[batch]);
        if (outside)
            *outside = *outside || pick < 0 || pick >= dim;
        named |= 1u << axis;
        offset += em__index_clamp(pick, dim) * of->strides[axis];
    }
    for (int axis = 0; axis < of->spec.rank; axis++)
        if (!(named >> axis & 1))
            offset += walk->at[batch++] * of->strides[axis];
    return offset;
}

em_status em__ref_gather(em_device *device, const em__call *call)
{
    (void)device;
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk))
        em__ref_move(&call->in[0], indexed_offset(call, &call->in[0], &walk, NULL), call->out.data, i);
    return EM_OK;
}

em_status em__ref_indexed(em_device *device, const em__call *call)
{
    const em__tensor *out = &call->out, *updates = &call->in[2];
    em_dtype dtype = out->spec.dtype;
    em__walk walk = {.spec = &updates->spec};
    int64_t size = em__spec_size(&updates->spec);
    EM__TRY(em__ref_copy(device, call));
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        bool outside = false;
        int64_t to = indexed_offset(call, out, &walk, &outside), from = em__walk_offset(&walk, updates);
        if (outside)
            continue;
        em__value sum = em__ref_load(dtype, updates->data, from), old = em__ref_load(dtype, out->data, to);
        if (call->op == EM__OP_INDEXED_PUT) {
            em__ref_move(updates, from, out->data, to);
            continue;
        }
        sum.f += old.f;
        sum.imag += old.imag;
        sum.u += old.u;
        sum.s = (int64_t)((uint64_t)sum.s + (uint64_t)old.s);
        em__ref_store(dtype, out->data, to, sum);
    }
    return EM_OK;
}

em_status em__ref_dynamic_slice(em_device *device, const em__call *call)
{
    (void)device;
    em__tensor in = call->in[0];
    int64_t start = em__slice_start(call, 1, &in, call->ints);
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int d = 0; d < in.spec.rank; d++)
        in.strides[d] *= call->out.spec.dims[d] > 1 ? call->ints[in.spec.rank + d] : 1;
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk))
        em__ref_move(&in, start + em__walk_offset(&walk, &in), call->out.data, i);
    return EM_OK;
}

em_status em__ref_put_slice(em_device *device, const em__call *call)
{
    const em__tensor *update = &call->in[1];
    int64_t start = em__slice_start(call, 2, &call->out, update->spec.dims);
    em__walk walk = {.spec = &update->spec};
    int64_t size = em__spec_size(&update->spec);
    EM__TRY(em__ref_copy(device, call));
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk))
        em__ref_move(update, em__walk_offset(&walk, update), call->out.data,
                     start + em__walk_offset(&walk, &call->out));
    return EM_OK;
}
