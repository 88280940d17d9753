/* See index.h. */
#include "device/index.h"

#include "core/error.h"

int64_t em__slice_start(const em__call *call, int first, const em__tensor *in, const int64_t *size)
{
    int64_t at = 0;
    for (int d = 0; d < in->spec.rank; d++) {
        const em__tensor *start = &call->in[first + d];
        int64_t index = em__index_at(start->spec.dtype, start->data, 0);
        at += em__index_clamp(index, in->spec.dims[d] - size[d] + 1) * in->strides[d];
    }
    return at;
}

em_status em__index_check(const char *what, int64_t index, int axis, int64_t dim)
{
    EM__FAIL_IF(index < 0, EM_ERROR_INVALID_ARGUMENT, "%s: index %lld on axis %d is negative (dim=%lld)", what,
                (long long)index, axis, (long long)dim);
    EM__FAIL_IF(index >= dim, EM_ERROR_INVALID_ARGUMENT, "%s: index %lld on axis %d out of range (dim=%lld)", what,
                (long long)index, axis, (long long)dim);
    return EM_OK;
}

/* Offsets of segments: ascending within [0, tokens]. */
static em_status check_segments(const em__call *call, const em__tensor *offsets)
{
    const int64_t tokens = call->in[0].spec.dims[0];
    int64_t before = 0;
    for (int64_t i = 0; i < offsets->spec.dims[0]; i++) {
        const int64_t at = em__index_at(offsets->spec.dtype, offsets->data, i * offsets->strides[0]);
        EM__FAIL_IF(at < before || at > tokens, EM_ERROR_INVALID_ARGUMENT,
                    "%s: offset %lld is %lld, expected %lld (the one before) to %lld (the tokens)",
                    em__op_get(call->op)->name, (long long)i, (long long)at, (long long)before, (long long)tokens);
        before = at;
    }
    return EM_OK;
}

em_status em__call_check_indices(const em__call *call)
{
    const em__tensor *in = &call->in[0], *index = &call->in[1];
    if (call->op == EM__OP_SDPA_SEGMENTS || call->op == EM__OP_SEGMENT_POOL)
        return check_segments(call, &call->in[call->op == EM__OP_SDPA_SEGMENTS ? 3 : 1]);
    bool along = call->op == EM__OP_TAKE || call->op == EM__OP_TAKE_ALONG_AXIS;
    bool by_axes = call->op == EM__OP_GATHER || call->op == EM__OP_INDEXED_ADD || call->op == EM__OP_INDEXED_PUT;
    if (!along && !by_axes) /* it may have no such operand */
        return EM_OK;
    int64_t at[EM_MAX_RANK] = {0}, size = em__spec_size(&index->spec);
    int last = index->spec.rank - 1;
    for (int64_t i = 0; i < size; i++) {
        int64_t offset = 0;
        for (int d = 0; d <= last; d++)
            offset += at[d] * index->strides[d];
        int axis = (int)call->ints[by_axes ? at[last] : 0];
        EM__TRY(em__index_check(em__op_get(call->op)->name, em__index_at(index->spec.dtype, index->data, offset), axis,
                                in->spec.dims[axis]));
        for (int d = last; d >= 0 && ++at[d] == index->spec.dims[d]; d--)
            at[d] = 0;
    }
    return EM_OK;
}
