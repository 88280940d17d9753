/* Shape rules: ops that move elements. */
#include "core/error.h"
#include "ops/op.h"

/* Padding beyond this can't give a shape that fits, but could overflow on the way. */
#define MOST_PADDING ((int64_t)1 << 60)

em_status em__infer_SHAPE(const em__apply *apply, em__spec *out)
{
    if (apply->n_ints > EM_MAX_RANK)
        return em__infer_fail(apply, "rank %d is over %d", apply->n_ints, EM_MAX_RANK);
    out->dtype = apply->in[0]->dtype;
    out->rank = apply->n_ints;
    for (int i = 0; i < out->rank; i++)
        out->dims[i] = apply->ints[i];
    EM__TRY(em__spec_check(out, em__op_get(apply->op)->name));
    if (em__spec_size(out) != em__spec_size(apply->in[0])) {
        char text[EM__SPEC_TEXT];
        return em__infer_fail(apply, "%s has another number of elements", em__spec_print(out, text, sizeof text));
    }
    return EM_OK;
}

em_status em__infer_TRANSPOSE(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    unsigned seen = 0;
    if (apply->n_ints != in->rank)
        return em__infer_fail(apply, "%d axes were given", apply->n_ints);
    *out = *in;
    for (int i = 0; i < in->rank; i++) {
        int64_t axis = apply->ints[i];
        if (axis < 0 || axis >= in->rank || seen >> axis & 1)
            return em__infer_fail(apply, "axis %lld is out of range or named twice", (long long)axis);
        seen |= 1u << axis;
        out->dims[i] = in->dims[axis];
    }
    return EM_OK;
}

em_status em__infer_BROADCAST_TO(const em__apply *apply, em__spec *out)
{
    em__spec want = {.dtype = apply->in[0]->dtype, .rank = apply->n_ints};
    if (apply->n_ints > EM_MAX_RANK)
        return em__infer_fail(apply, "rank %d is over %d", apply->n_ints, EM_MAX_RANK);
    for (int i = 0; i < want.rank; i++)
        want.dims[i] = apply->ints[i];
    char text[EM__SPEC_TEXT];
    *out = want;
    if (!em__broadcast(apply->in[0], &want, out) || !em__spec_equal(out, &want))
        return em__infer_fail(apply, "does not broadcast to %s", em__spec_print(&want, text, sizeof text));
    return EM_OK;
}

em_status em__infer_SLICE(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    int rank = in->rank;
    *out = *in;
    for (int i = 0; i < rank; i++) {
        int64_t start = apply->ints[i], stop = apply->ints[rank + i], stride = apply->ints[2 * rank + i];
        if (start < 0 || stop < start || stop > in->dims[i] || stride < 1)
            return em__infer_fail(apply, "axis %d: start %lld, stop %lld, stride %lld do not fit", i, (long long)start,
                                  (long long)stop, (long long)stride);
        out->dims[i] = stop > start ? (stop - start - 1) / stride + 1 : 0;
    }
    return EM_OK;
}

em_status em__infer_REVERSE(const em__apply *apply, em__spec *out)
{
    *out = *apply->in[0];
    return EM_OK;
}

em_status em__infer_CONCATENATE(const em__apply *apply, em__spec *out)
{
    int64_t axis = apply->ints[0];
    *out = *apply->in[0];
    if (axis < 0 || axis >= out->rank)
        return em__infer_fail(apply, "axis %lld is out of range", (long long)axis);
    for (int i = 1; i < apply->n_in; i++) {
        em__spec other = *apply->in[i];
        int64_t extent = other.rank == out->rank ? other.dims[axis] : 0, sum;
        if (other.rank == out->rank)
            other.dims[axis] = out->dims[axis];
        if (!em__spec_equal(&other, out))
            return em__infer_fail(apply, "operand %d differs in dtype, rank or outside axis %lld", i, (long long)axis);
        if (__builtin_add_overflow(out->dims[axis], extent, &sum))
            return em__infer_fail(apply, "the axis overflows 64 bits");
        out->dims[axis] = sum;
    }
    return EM_OK;
}

em_status em__infer_PAD(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    int rank = in->rank;
    if (apply->in[1]->rank != 0 || apply->in[1]->dtype != in->dtype)
        return em__infer_fail(apply, "the value must be a scalar of the operand's dtype");
    *out = *in;
    for (int i = 0; i < rank; i++) {
        int64_t low = apply->ints[i], high = apply->ints[rank + i], interior = apply->ints[2 * rank + i];
        int64_t size = in->dims[i], gaps;
        bool bad = interior < 0 || interior > MOST_PADDING || low < -MOST_PADDING || low > MOST_PADDING ||
                   high < -MOST_PADDING || high > MOST_PADDING ||
                   __builtin_mul_overflow(size > 0 ? size - 1 : 0, interior, &gaps) ||
                   __builtin_add_overflow(size, gaps, &size) || __builtin_add_overflow(size, low, &size) ||
                   __builtin_add_overflow(size, high, &size) || size < 0;
        if (bad)
            return em__infer_fail(apply, "axis %d: low %lld, high %lld, interior %lld do not fit", i, (long long)low,
                                  (long long)high, (long long)interior);
        out->dims[i] = size;
    }
    return EM_OK;
}

em_status em__infer_TAKE(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0], *index = apply->in[1];
    int64_t axis = apply->ints[0];
    if (axis < 0 || axis >= in->rank)
        return em__infer_fail(apply, "axis %lld is out of range", (long long)axis);
    if (!em__is_integer(index))
        return em__infer_fail(apply, "indices must be integers");
    out->dtype = in->dtype;
    out->rank = in->rank - 1 + index->rank;
    if (out->rank > EM_MAX_RANK)
        return em__infer_fail(apply, "the result would have rank %d", out->rank);
    int k = 0;
    for (int i = 0; i < axis; i++)
        out->dims[k++] = in->dims[i];
    for (int i = 0; i < index->rank; i++)
        out->dims[k++] = index->dims[i];
    for (int i = axis + 1; i < in->rank; i++)
        out->dims[k++] = in->dims[i];
    if (in->dims[axis] == 0 && !em__spec_empty(out))
        return em__infer_fail(apply, "axis %lld is empty: there is nothing to take", (long long)axis);
    return EM_OK;
}
