/* Shape rules: ops that read and write by index. */
#include "core/error.h"
#include "ops/op.h"

em_status em__infer_TAKE_ALONG_AXIS(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0], *index = apply->in[1];
    int64_t axis = apply->ints[0];
    if (axis < 0 || axis >= in->rank)
        return em__infer_fail(apply, "axis %lld is out of range", (long long)axis);
    if (!em__is_integer(index))
        return em__infer_fail(apply, "indices must be integers");
    *out = *index;
    out->dtype = in->dtype;
    bool same = index->rank == in->rank;
    for (int i = 0; i < in->rank && same; i++)
        same = i == axis || index->dims[i] == in->dims[i];
    if (!same)
        return em__infer_fail(apply, "indices must have the operand's shape outside axis %lld", (long long)axis);
    if (in->dims[axis] == 0 && !em__spec_empty(out))
        return em__infer_fail(apply, "axis %lld is empty: there is nothing to take", (long long)axis);
    return EM_OK;
}

/* The indices' leading axes, then those of the operand that are not named. Checks the names. */
static em_status indexed_shape(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0], *index = apply->in[1];
    unsigned named = 0;
    if (!em__is_integer(index) || index->rank == 0 || index->dims[index->rank - 1] != apply->n_ints)
        return em__infer_fail(apply, "indices must be integers [.., %d], a position on each named axis", apply->n_ints);
    for (int i = 0; i < apply->n_ints; i++) {
        int64_t axis = apply->ints[i];
        if (axis < 0 || axis >= in->rank || named >> axis & 1)
            return em__infer_fail(apply, "axis %lld is out of range or named twice", (long long)axis);
        named |= 1u << axis;
    }
    out->dtype = in->dtype;
    int rank = index->rank - 1 + in->rank - apply->n_ints;
    if (rank > EM_MAX_RANK)
        return em__infer_fail(apply, "%d axes would remain; at most %d are supported", rank, EM_MAX_RANK);
    for (int i = 0; i < index->rank - 1; i++)
        out->dims[out->rank++] = index->dims[i];
    for (int i = 0; i < in->rank; i++)
        if (!(named >> i & 1))
            out->dims[out->rank++] = in->dims[i];
    return EM_OK;
}

em_status em__infer_GATHER(const em__apply *apply, em__spec *out)
{
    EM__TRY(indexed_shape(apply, out));
    for (int i = 0; i < apply->n_ints; i++)
        if (apply->in[0]->dims[apply->ints[i]] == 0 && !em__spec_empty(out))
            return em__infer_fail(apply, "axis %lld is empty: there is nothing to gather", (long long)apply->ints[i]);
    return EM_OK;
}

em_status em__infer_INDEXED(const em__apply *apply, em__spec *out)
{
    em__spec updates = {0};
    EM__TRY(indexed_shape(apply, &updates));
    if (!em__spec_equal(&updates, apply->in[2])) {
        char text[EM__SPEC_TEXT];
        return em__infer_fail(apply, "updates must be %s", em__spec_print(&updates, text, sizeof text));
    }
    *out = *apply->in[0];
    return EM_OK;
}

/* One scalar start for each axis, from operand `first` on. */
static em_status check_starts(const em__apply *apply, int first)
{
    bool good = apply->n_in - first == apply->in[0]->rank;
    for (int i = first; i < apply->n_in && good; i++)
        good = em__is_integer(apply->in[i]) && apply->in[i]->rank == 0;
    return good ? EM_OK : em__infer_fail(apply, "each axis needs a start, a scalar integer");
}

em_status em__infer_DYNAMIC_SLICE(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    EM__TRY(check_starts(apply, 1));
    *out = *in;
    for (int i = 0; i < in->rank; i++) {
        int64_t length = apply->ints[i], stride = apply->ints[in->rank + i];
        if (length < 0 || length > in->dims[i] || stride < 1)
            return em__infer_fail(apply, "axis %d: length %lld, stride %lld do not fit", i, (long long)length,
                                  (long long)stride);
        out->dims[i] = length ? (length - 1) / stride + 1 : 0;
    }
    return EM_OK;
}

em_status em__infer_PUT_SLICE(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0], *update = apply->in[1];
    EM__TRY(check_starts(apply, 2));
    *out = *in;
    bool fits = update->rank == in->rank && update->dtype == in->dtype;
    for (int i = 0; i < in->rank && fits; i++)
        fits = update->dims[i] <= in->dims[i];
    return fits ? EM_OK : em__infer_fail(apply, "the update does not fit into the operand");
}
