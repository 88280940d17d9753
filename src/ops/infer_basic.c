/* Shape and dtype rules: elementwise ops, reductions, leaves. */
#include "core/error.h"
#include "ops/op.h"

em_status em__infer_SAME(const em__apply *apply, em__spec *out)
{
    *out = *apply->in[0];
    return EM_OK;
}

em_status em__infer_PRED(const em__apply *apply, em__spec *out)
{
    *out = *apply->in[0];
    out->dtype = EM_PRED;
    return EM_OK;
}

em_status em__infer_BROADCAST(const em__apply *apply, em__spec *out)
{
    if (!em__broadcast(apply->in[0], apply->in[1], out))
        return em__infer_fail(apply, "shapes do not broadcast");
    out->dtype = apply->in[0]->dtype;
    return EM_OK;
}

em_status em__infer_COMPARE(const em__apply *apply, em__spec *out)
{
    EM__TRY(em__infer_BROADCAST(apply, out));
    out->dtype = EM_PRED;
    return EM_OK;
}

em_status em__infer_SELECT(const em__apply *apply, em__spec *out)
{
    em__spec xy = {0};
    if (apply->in[0]->dtype != EM_PRED)
        return em__infer_fail(apply, "the condition must be pred");
    if (apply->in[1]->dtype != apply->in[2]->dtype)
        return em__infer_fail(apply, "x and y must have one dtype");
    if (!em__broadcast(apply->in[1], apply->in[2], &xy) || !em__broadcast(apply->in[0], &xy, out))
        return em__infer_fail(apply, "shapes do not broadcast");
    out->dtype = apply->in[1]->dtype;
    return EM_OK;
}

em_status em__infer_CAST(const em__apply *apply, em__spec *out)
{
    if (apply->ints[0] < 0 || apply->ints[0] >= EM_DTYPE_COUNT)
        return em__infer_fail(apply, "dtype %lld does not exist", (long long)apply->ints[0]);
    *out = *apply->in[0];
    out->dtype = (em_dtype)apply->ints[0];
    return EM_OK;
}

em_status em__infer_REDUCE(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    bool keep = apply->ints[0] != 0;
    out->dtype = in->dtype;
    for (int i = 0; i < in->rank; i++) {
        bool reduced = apply->ints[1] >> i & 1;
        if (!reduced || keep)
            out->dims[out->rank++] = reduced ? 1 : in->dims[i];
    }
    return EM_OK;
}

em_status em__infer_REDUCE_PRED(const em__apply *apply, em__spec *out)
{
    EM__TRY(em__infer_REDUCE(apply, out));
    out->dtype = EM_PRED;
    return EM_OK;
}

em_dtype em__sum_dtype(em_dtype dtype)
{
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    bool narrow = kind == EM_KIND_BOOL || (kind < EM_KIND_FLOAT && em_dtype_size(dtype) < 4);
    return !narrow ? dtype : kind == EM_KIND_SIGNED ? EM_S32 : EM_U32;
}

em_status em__infer_SUM(const em__apply *apply, em__spec *out)
{
    EM__TRY(em__infer_REDUCE(apply, out));
    out->dtype = em__sum_dtype(out->dtype);
    return EM_OK;
}

em_status em__infer_ARG(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    int64_t axis = apply->ints[0];
    if (axis < 0 || axis >= in->rank)
        return em__infer_fail(apply, "axis %lld is out of range", (long long)axis);
    if (in->dims[axis] == 0)
        return em__infer_fail(apply, "axis %lld is empty", (long long)axis);
    out->dtype = EM_S64;
    for (int i = 0; i < in->rank; i++)
        if (i != axis || apply->ints[2])
            out->dims[out->rank++] = i == axis ? 1 : in->dims[i];
    return EM_OK;
}

em_status em__infer_LEAF(const em__apply *apply, em__spec *out)
{
    if (apply->ints[0] < 0 || apply->ints[0] >= EM_DTYPE_COUNT || apply->n_ints > 2 + EM_MAX_RANK)
        return em__infer_fail(apply, "dtype %lld of rank %d does not exist", (long long)apply->ints[0],
                              apply->n_ints - 2);
    if (apply->op == EM__OP_IOTA && apply->n_ints > 2 && (apply->ints[1] < 0 || apply->ints[1] >= apply->n_ints - 2))
        return em__infer_fail(apply, "axis %lld is out of range", (long long)apply->ints[1]);
    out->dtype = (em_dtype)apply->ints[0];
    out->rank = apply->n_ints - 2;
    for (int i = 0; i < out->rank; i++)
        out->dims[i] = apply->ints[i + 2];
    return EM_OK;
}
