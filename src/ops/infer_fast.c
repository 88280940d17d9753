/* Shape rules: contractions and the fast transformer ops. */
#include "core/error.h"
#include "ops/op.h"

em__dot em__dot_decode(const int64_t *ints)
{
    em__dot dot = {.n_contract = (int)ints[0], .n_batch = (int)ints[1]};
    dot.contract_a = ints + 2;
    dot.contract_b = dot.contract_a + dot.n_contract;
    dot.batch_a = dot.contract_b + dot.n_contract;
    dot.batch_b = dot.batch_a + dot.n_batch;
    return dot;
}

bool em__dot_mixes(em_dtype a, em_dtype b)
{
    return a == EM_F32 && (b == EM_BF16 || b == EM_F16);
}

/* Marks the listed axes in *seen; false if one is out of range or appears twice. */
static bool mark(const int64_t *axes, int n, int rank, unsigned *seen)
{
    for (int i = 0; i < n; i++) {
        if (axes[i] < 0 || axes[i] >= rank || *seen >> axes[i] & 1)
            return false;
        *seen |= 1u << axes[i];
    }
    return true;
}

em_status em__infer_DOT(const em__apply *apply, em__spec *out)
{
    const em__spec *a = apply->in[0], *b = apply->in[1];
    int64_t contract = apply->ints[0], batch = apply->ints[1];
    if (contract < 0 || batch < 0 || contract > EM_MAX_RANK || batch > EM_MAX_RANK ||
        apply->n_ints != 2 + 2 * (contract + batch))
        return em__infer_fail(apply, "%d attributes are no pairs of axes", apply->n_ints);
    em__dot dot = em__dot_decode(apply->ints);
    unsigned in_a = 0, in_b = 0;
    if (!mark(dot.contract_a, dot.n_contract, a->rank, &in_a) || !mark(dot.batch_a, dot.n_batch, a->rank, &in_a) ||
        !mark(dot.contract_b, dot.n_contract, b->rank, &in_b) || !mark(dot.batch_b, dot.n_batch, b->rank, &in_b))
        return em__infer_fail(apply, "an axis is out of range or named twice");
    for (int i = 0; i < dot.n_contract; i++)
        if (a->dims[dot.contract_a[i]] != b->dims[dot.contract_b[i]])
            return em__infer_fail(apply, "contracted axes %lld and %lld have sizes %lld and %lld",
                                  (long long)dot.contract_a[i], (long long)dot.contract_b[i],
                                  (long long)a->dims[dot.contract_a[i]], (long long)b->dims[dot.contract_b[i]]);
    if (a->dtype != b->dtype && (dot.n_batch > 0 || !em__dot_mixes(a->dtype, b->dtype)))
        return em__infer_fail(apply, "operand 1 must be cast first");
    out->dtype = a->dtype;
    if (a->rank + b->rank - 2 * dot.n_contract - dot.n_batch > EM_MAX_RANK)
        return em__infer_fail(apply, "the result's rank is over %d", EM_MAX_RANK);
    for (int i = 0; i < dot.n_batch; i++) {
        if (a->dims[dot.batch_a[i]] != b->dims[dot.batch_b[i]])
            return em__infer_fail(apply, "batch axes %lld and %lld differ", (long long)dot.batch_a[i],
                                  (long long)dot.batch_b[i]);
        out->dims[out->rank++] = a->dims[dot.batch_a[i]];
    }
    for (int i = 0; i < a->rank; i++)
        if (!(in_a >> i & 1))
            out->dims[out->rank++] = a->dims[i];
    for (int i = 0; i < b->rank; i++)
        if (!(in_b >> i & 1))
            out->dims[out->rank++] = b->dims[i];
    return EM_OK;
}

em_status em__infer_SAME_AXIS(const em__apply *apply, em__spec *out)
{
    *out = *apply->in[0];
    if (apply->ints[0] < 0 || apply->ints[0] >= out->rank)
        return em__infer_fail(apply, "axis %lld is out of range", (long long)apply->ints[0]);
    return EM_OK;
}

/* x and vectors of its last axis' size and dtype, from operand `first` on: those that the mask says are there. */
static em_status norm_rule(const em__apply *apply, int first, em__spec *out)
{
    *out = *apply->in[0];
    if (out->rank == 0)
        return em__infer_fail(apply, "x needs an axis to normalise over");
    int64_t last = out->dims[out->rank - 1];
    for (int i = first; i < apply->n_in; i++) {
        const em__spec *v = apply->in[i];
        if (v->rank != 1 || v->dims[0] != last)
            return em__infer_fail(apply, "%s must have %lld elements, the last axis of x",
                                  i == first && apply->ints[0] & 1 ? "weight" : "bias", (long long)last);
    }
    return EM_OK;
}

em_status em__infer_LAYER_NORM(const em__apply *apply, em__spec *out)
{
    return norm_rule(apply, 1, out);
}

em_status em__infer_RMS_NORM(const em__apply *apply, em__spec *out)
{
    return norm_rule(apply, 1, out);
}

em_status em__infer_FUSED_LAYER_NORM(const em__apply *apply, em__spec *out)
{
    if (!em__spec_equal(apply->in[0], apply->in[1]))
        return em__infer_fail(apply, "x and residual must be alike");
    return norm_rule(apply, 2, out);
}

em_status em__infer_SDPA_SEGMENTS(const em__apply *apply, em__spec *out)
{
    const em__spec *q = apply->in[0], *k = apply->in[1], *v = apply->in[2], *offsets = apply->in[3];
    bool fits = q->rank == 3 && k->rank == 3 && v->rank == 3 && k->dims[0] == q->dims[0] && k->dims[2] == q->dims[2] &&
                v->dims[0] == q->dims[0] && v->dims[1] == k->dims[1];
    if (!fits)
        return em__infer_fail(apply,
                              "q and k must be [tokens, heads, size], k may have fewer heads, v too be narrower");
    if (k->dims[1] != q->dims[1] && (k->dims[1] == 0 || q->dims[1] % k->dims[1] != 0))
        return em__infer_fail(apply, "%lld query heads are no multiple of %lld key heads", (long long)q->dims[1],
                              (long long)k->dims[1]);
    if (apply->ints[2] < 0)
        return em__infer_fail(apply, "window is %lld; it must be 0 or more", (long long)apply->ints[2]);
    if (offsets->rank != 1 || offsets->dtype != EM_S32 || offsets->dims[0] < 1)
        return em__infer_fail(apply, "offsets must be s32[segments + 1]");
    if (apply->ints[0]) {
        const em__spec *bias = apply->in[4];
        if (bias->dtype != EM_F32 || bias->rank != 2 || bias->dims[0] != q->dims[1] || bias->dims[1] % 2 == 0)
            return em__infer_fail(apply, "bias must be [heads, 2 * longest - 1]");
    }
    *out = *q;
    out->dims[2] = v->dims[2];
    return EM_OK;
}

em_status em__infer_SEGMENT_POOL(const em__apply *apply, em__spec *out)
{
    const em__spec *x = apply->in[0], *offsets = apply->in[1];
    if (apply->ints[0] < 0 || apply->ints[0] > EM_POOL_WEIGHTED)
        return em__infer_fail(apply, "pooling %lld does not exist", (long long)apply->ints[0]);
    if (x->rank != 2 || offsets->rank != 1 || offsets->dtype != EM_S32 || offsets->dims[0] < 1)
        return em__infer_fail(apply, "x must be [tokens, size], offsets s32[segments + 1]");
    *out = *x;
    out->dims[0] = offsets->dims[0] - 1;
    return EM_OK;
}

/* See the operands in op.h. */
em_status em__infer_FUSED_LINEAR(const em__apply *apply, em__spec *out)
{
    const em__spec *x = apply->in[0];
    int first = 2 + (int)(apply->ints[1] & 1) + (int)(apply->ints[1] >> 1 & 1), rank = x->rank;
    if (rank < 1 || apply->n_in != first + (int)apply->ints[2] - 1)
        return em__infer_fail(apply, "%d operands do not match the attributes", apply->n_in);
    *out = *x;
    out->dims[rank - 1] = 0;
    for (int i = 0; i < (int)apply->ints[2]; i++) {
        const em__spec *w = apply->in[em__linear_weight(apply->ints, i)];
        if (w->rank != 2 || w->dims[1] != x->dims[rank - 1])
            return em__infer_fail(apply, "x must be [.., k] and weight %d [n, k]", i);
        if (w->dtype != apply->in[1]->dtype || (w->dtype != x->dtype && !em__dot_mixes(x->dtype, w->dtype)))
            return em__infer_fail(apply, "weights must have x's dtype, or one half dtype with an x of f32");
        out->dims[rank - 1] += w->dims[0];
    }
    if (apply->ints[1] & 1 && (apply->in[2]->rank != 1 || apply->in[2]->dims[0] != out->dims[rank - 1]))
        return em__infer_fail(apply, "bias must have %lld elements", (long long)out->dims[rank - 1]);
    if (apply->ints[1] & 2 && !em__spec_equal(apply->in[first - 1], out))
        return em__infer_fail(apply, "the residual must have the result's shape");
    return EM_OK;
}

int em__linear_weight(const int64_t *ints, int i)
{
    return i == 0 ? 1 : 1 + (int)(ints[1] & 1) + (int)(ints[1] >> 1 & 1) + i;
}
