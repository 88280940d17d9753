/* Shape rules: rotary embedding, attention, and the cache of keys and values. */
#include <string.h>

#include "core/error.h"
#include "ops/op.h"

/* A scalar, or one number a batch of `of`, whose first axis then is the batch. */
static bool is_per_batch(const em__spec *spec, const em__spec *of)
{
    return spec->rank == 0 || (spec->rank == 1 && of->rank > 2 && spec->dims[0] == of->dims[0]);
}

em_status em__infer_ROPE(const em__apply *apply, em__spec *out)
{
    *out = *apply->in[0];
    int64_t dims = apply->ints[0], mask = apply->ints[2], axis = apply->ints[3];
    if (out->rank < 2)
        return em__infer_fail(apply, "x needs the axes [.., T, D]");
    if (dims < 2 || dims % 2 || dims > out->dims[out->rank - 1])
        return em__infer_fail(apply, "dims is %lld; it must be even and at most %lld", (long long)dims,
                              (long long)out->dims[out->rank - 1]);
    if (axis < 0 || axis > out->rank - 2)
        return em__infer_fail(apply, "axis %lld of the positions is out of range or the last", (long long)axis);
    if (mask & 1 && !em__is_integer(apply->in[1]))
        return em__infer_fail(apply, "offset must be an integer");
    if (mask & 1 && (!is_per_batch(apply->in[1], out) || (apply->in[1]->rank == 1 && axis == 0)))
        return em__infer_fail(apply, "offset must be a scalar or one number a batch");
    if (mask & 2) {
        const em__spec *freqs = apply->in[1 + (mask & 1)];
        if (freqs->rank != 1 || freqs->dims[0] != dims / 2 || freqs->dtype != EM_F32)
            return em__infer_fail(apply, "freqs must be f32[%lld]", (long long)(dims / 2));
    }
    return EM_OK;
}

em_status em__infer_ROTARY(const em__apply *apply, em__spec *out)
{
    const em__spec *x = apply->in[0], *cosine = apply->in[1];
    int64_t dims = apply->ints[0];
    *out = *x;
    if (!em__spec_equal(cosine, apply->in[2]) || cosine->dtype != (x->dtype == EM_F64 ? EM_F64 : EM_F32))
        return em__infer_fail(apply, "cos and sin must be alike, of f32 or, with x, of f64");
    if (x->rank < 1 || cosine->rank < 1 || cosine->rank > x->rank || dims < 2 || dims % 2 ||
        dims > x->dims[x->rank - 1])
        return em__infer_fail(apply, "dims is %lld; it must be even and at most x's last axis", (long long)dims);
    em__spec lead = *x, table = *cosine, both = {0};
    int64_t last = table.dims[--table.rank];
    lead.rank--;
    if ((last != dims && last != dims / 2) || !em__broadcast(&table, &lead, &both) || both.rank != lead.rank)
        return em__infer_fail(apply, "cos and sin must be [.., %lld] or [.., %lld]", (long long)dims,
                              (long long)(dims / 2));
    for (int i = 0; i < lead.rank; i++)
        if (both.dims[i] != lead.dims[i])
            return em__infer_fail(apply, "cos and sin do not broadcast to x");
    return EM_OK;
}

bool em__sdpa_mixes(em_dtype queries, em_dtype cache)
{
    return queries == EM_F32 && (cache == EM_F16 || cache == EM_BF16);
}

/* Rows for a cache, whose shape they have but for fewer along `axis`; and where they go. */
static em_status check_rows(const em__apply *apply, int axis, bool fits)
{
    const em__spec *cache = apply->in[0], *rows = apply->in[1], *position = apply->in[2];
    for (int i = 0; i < cache->rank && fits; i++)
        fits = i == axis ? rows->dims[i] <= cache->dims[i] : rows->dims[i] == cache->dims[i];
    if (!fits)
        return em__infer_fail(apply,
                              "rows must be as the cache but for the axis of positions, where they may be fewer");
    if (!em__is_integer(position) || !is_per_batch(position, rows))
        return em__infer_fail(apply, "position must be an integer scalar or one integer a batch");
    return EM_OK;
}

em_status em__infer_KV_UPDATE(const em__apply *apply, em__spec *out)
{
    const em__spec *cache = apply->in[0], *rows = apply->in[1];
    *out = *cache;
    EM__TRY(check_rows(apply, cache->rank - 2, cache->rank >= 2 && rows->rank == cache->rank));
    if (rows->dtype != cache->dtype && !em__sdpa_mixes(rows->dtype, cache->dtype))
        return em__infer_fail(apply, "rows must be of the cache's dtype, or f32 for a cache of halves");
    return EM_OK;
}

em_status em__infer_KV_CODES(const em__apply *apply, em__spec *out)
{
    const em__spec *codes = apply->in[0], *rows = apply->in[1];
    *out = *codes;
    EM__TRY(check_rows(apply, codes->rank - 2, codes->rank >= 2 && rows->rank == codes->rank));
    if (codes->dtype != EM_S8 || rows->dtype != EM_F32)
        return em__infer_fail(apply, "codes must be s8 and rows f32");
    return EM_OK;
}

em_status em__infer_KV_SCALES(const em__apply *apply, em__spec *out)
{
    const em__spec *scales = apply->in[0], *rows = apply->in[1];
    *out = *scales;
    EM__TRY(check_rows(apply, scales->rank - 1, scales->rank >= 1 && rows->rank == scales->rank + 1));
    if (scales->dtype != EM_F32 || rows->dtype != EM_F32)
        return em__infer_fail(apply, "scales and rows must be f32");
    return EM_OK;
}

static em_status check_mask(const em__apply *apply, const em__spec *mask)
{
    em__spec scores = *apply->in[0], both = {0};
    scores.dims[3] = apply->in[1]->dims[2];
    if (mask->dtype != EM_PRED && mask->dtype != EM_F32 && mask->dtype != scores.dtype)
        return em__infer_fail(apply, "the mask must be pred, f32 or of q's dtype");
    both.dtype = scores.dtype;
    if (mask->rank > 4 || !em__broadcast(mask, &scores, &both) || !em__spec_equal(&both, &scores))
        return em__infer_fail(apply, "the mask does not broadcast to [batch, heads, queries, keys]");
    return EM_OK;
}

/* `scales`: those of k and of v, if the attributes say so. */
static em_status check_scales(const em__apply *apply, const em__spec *const *scales)
{
    const em__spec *k = apply->in[1];
    const int64_t given = apply->ints[1] & 24;
    if ((given != 0 && given != 24) || (given == 0) == (k->dtype == EM_S8))
        return em__infer_fail(apply, "k and v of s8 need the scales of both, and others have none");
    for (int i = 0; i < 2 && given; i++) {
        const em__spec *s = scales[i];
        if (s->rank != 3 || s->dtype != EM_F32 || memcmp(s->dims, k->dims, 3 * sizeof *s->dims) != 0)
            return em__infer_fail(apply, "scales must be f32[%lld, %lld, %lld], one a row of k and of v",
                                  (long long)k->dims[0], (long long)k->dims[1], (long long)k->dims[2]);
    }
    return EM_OK;
}

em_status em__infer_SDPA(const em__apply *apply, em__spec *out)
{
    const em__spec *q = apply->in[0], *k = apply->in[1], *v = apply->in[2];
    int next = 3;
    if (q->rank != 4 || k->rank != 4 || v->rank != 4)
        return em__infer_fail(apply, "q, k and v must have the axes [batch, heads, length, size]");
    if (q->dims[0] != k->dims[0] || q->dims[0] != v->dims[0] || k->dims[1] != v->dims[1] || k->dims[2] != v->dims[2] ||
        q->dims[3] != k->dims[3])
        return em__infer_fail(apply, "q, k and v do not fit together");
    const int64_t mask = apply->ints[1];
    const bool coded = mask & 24 && q->dtype == EM_F32 && k->dtype == EM_S8;
    if (k->dtype != v->dtype || (!coded && k->dtype != q->dtype && !em__sdpa_mixes(q->dtype, k->dtype)))
        return em__infer_fail(apply, "k and v must both be of q's dtype, or beside f32 q of one half dtype or codes");
    if (k->dims[1] == 0 || q->dims[1] % k->dims[1])
        return em__infer_fail(apply, "%lld query heads are no multiple of %lld key heads", (long long)q->dims[1],
                              (long long)k->dims[1]);
    *out = *q;
    out->dims[3] = v->dims[3];
    if (apply->ints[2] < 0)
        return em__infer_fail(apply, "window is %lld; it must be 0 or more", (long long)apply->ints[2]);
    if (mask & 1)
        EM__TRY(check_mask(apply, apply->in[next++]));
    if (mask & 2) {
        const em__spec *sinks = apply->in[next++];
        if (sinks->rank != 1 || sinks->dims[0] != q->dims[1] || sinks->dtype != EM_F32)
            return em__infer_fail(apply, "sinks must be f32[%lld], one a query head", (long long)q->dims[1]);
    }
    if (mask & 4) {
        const em__spec *lengths = apply->in[next++];
        if (lengths->dtype != EM_S32 || !is_per_batch(lengths, q))
            return em__infer_fail(apply, "lengths must be s32, a scalar or one a batch");
    }
    return check_scales(apply, apply->in + next);
}
