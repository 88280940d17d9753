/* Attention and pooling in primitive ops. */
#include <math.h>

#include <emily/ops.h>

#include "fast/compose.h"

/* softmax over the last axis where `allowed` (NULL: everywhere); rows without any allowed key are 0. */
static em_array *masked_softmax(em_scope *s, em_array *scores, em_array *allowed)
{
    em_axes last = EM_AXES(-1);
    em_dtype dtype = em_array_dtype(scores);
    em_array *low = em_scalar(s, dtype, -INFINITY), *zero = em_scalar(s, dtype, 0), *one = em_scalar(s, dtype, 1);
    if (allowed)
        scores = em_select(s, allowed, scores, low);
    em_array *top = em_max(s, scores, last, true);
    em_array *none = em_equal(s, top, low);
    em_array *e = em_exp(s, em_sub(s, scores, em_select(s, none, zero, top)));
    return em_div(s, e, em_select(s, none, one, em_sum(s, e, last, true)));
}

/* [B, Hkv, L, D] with each head `group` times: [B, Hkv * group, L, D]. */
static em_array *repeat_heads(em_scope *s, em_array *x, int64_t group)
{
    em_dims d = em_array_dims(x);
    if (group == 1 || d.rank != 4)
        return x;
    em_dims five = {5, {d.dims[0], d.dims[1], group, d.dims[2], d.dims[3]}};
    em_array *wide = em_broadcast_to(s, em_expand_dims(s, x, 2), five);
    return em_reshape(s, wide, em_shape(d.dims[0], d.dims[1] * group, d.dims[2], d.dims[3]));
}

/* softmax with one more score a row, [H], that has no value. */
static em_array *softmax_beside(em_scope *s, em_array *scores, em_array *allowed, em_array *sinks)
{
    em_dims d = em_array_dims(scores);
    int64_t from[EM_MAX_RANK] = {0}, keys = d.dims[d.rank - 1];
    em_array *low = em_scalar(s, em_array_dtype(scores), -INFINITY);
    if (allowed)
        scores = em_select(s, allowed, scores, low);
    em_dims one = d;
    one.dims[d.rank - 1] = 1;
    em_array *sink = em_cast(s, em_reshape(s, sinks, em_shape(1, d.dims[1], 1, 1)), em_array_dtype(scores));
    em_array *beside[] = {em_broadcast_to(s, sink, one), scores};
    em_array *weights = masked_softmax(s, em_concatenate(s, beside, 2, -1), NULL);
    from[d.rank - 1] = 1;
    d.dims[d.rank - 1] = keys + 1;
    return em_slice(s, weights, from, d.dims, NULL);
}

static em_array *both(em_scope *s, em_array *a, em_array *b)
{
    return a ? em_logical_and(s, a, b) : b;
}

/* Which keys exist and are not ruled out by causality or the window; NULL: all. */
static em_array *seen_keys(em_scope *s, bool causal, int64_t window, em_array *lengths, int64_t lq, int64_t lk)
{
    em_array *seen = NULL, *zero = em_scalar(s, EM_S64, 0);
    em_array *n = em_scalar(s, EM_S64, (double)lk);
    em_array *j = em_iota(s, EM_S64, em_shape(1, 1, 1, lk), 3), *i = em_iota(s, EM_S64, em_shape(1, 1, lq, 1), 2);
    if (lengths) {
        n = em_clip(s, em_reshape(s, em_cast(s, lengths, EM_S64), em_shape(-1, 1, 1, 1)), zero, n);
        seen = em_less(s, j, n);
    }
    em_array *ahead = em_sub(s, j, em_add(s, i, em_sub(s, n, em_scalar(s, EM_S64, (double)lq))));
    if (causal)
        seen = both(s, seen, em_less_equal(s, ahead, zero));
    if (window)
        seen = both(s, seen, em_less(s, em_abs(s, ahead), em_scalar(s, EM_S64, (double)window)));
    return seen;
}

/* The values with 0 where a cache may not have been written yet: 0 times what is there need not be 0. */
static em_array *written(em_scope *s, em_array *v, em_array *lengths)
{
    em_dims d = em_array_dims(v);
    em_array *j = em_iota(s, EM_S64, em_shape(1, 1, d.dims[2], 1), 2);
    em_array *n = em_reshape(s, em_cast(s, lengths, EM_S64), em_shape(-1, 1, 1, 1));
    return em_select(s, em_less(s, j, n), v, em_scalar(s, em_array_dtype(v), 0));
}

em_array *em__compose_sdpa(em_scope *s, const em__fast_call *call)
{
    em_array *q = call->in[0], *allowed = NULL;
    int next = 3;
    em_array *mask = call->ints[1] & 1 ? call->in[next++] : NULL, *sinks = call->ints[1] & 2 ? call->in[next++] : NULL;
    em_array *lengths = call->ints[1] & 4 ? call->in[next++] : NULL;
    em_dims dq = em_array_dims(q), dk = em_array_dims(call->in[1]);
    int64_t group = dq.dims[1] / dk.dims[1], lq = dq.dims[2], lk = dk.dims[2];
    em_array *k = em_cast(s, call->in[1], em_array_dtype(q)), *v = em_cast(s, call->in[2], em_array_dtype(q));
    if (call->ints[1] & 24) {
        k = em_mul(s, k, em_expand_dims(s, call->in[next], -1));
        v = em_mul(s, v, em_expand_dims(s, call->in[next + 1], -1));
    }
    if (lengths)
        v = written(s, v, lengths);
    k = repeat_heads(s, k, group);
    v = repeat_heads(s, v, group);
    em_array *scores = em_matmul(s, q, em_transpose(s, k, EM_AXES(0, 1, 3, 2)));
    scores = em_mul(s, scores, em_scalar(s, em_array_dtype(q), call->floats[0]));
    if (call->floats[1] != 0) {
        em_array *cap = em_scalar(s, em_array_dtype(q), call->floats[1]);
        scores = em_mul(s, cap, em_tanh(s, em_div(s, scores, cap)));
    }
    if (mask && em_array_dtype(mask) == EM_PRED)
        allowed = mask;
    else if (mask)
        scores = em_add(s, scores, em_cast(s, mask, em_array_dtype(q)));
    em_array *seen = seen_keys(s, call->ints[0] != 0, call->ints[2], lengths, lq, lk);
    if (seen)
        allowed = both(s, allowed, seen);
    em_array *weights = sinks ? softmax_beside(s, scores, allowed, sinks) : masked_softmax(s, scores, allowed);
    return em_matmul(s, weights, v);
}

/* For each token the number of offsets at or before it: 1 .. segments inside a segment, else 0 or segments + 1. */
static em_array *segment_of(em_scope *s, em_array *offsets, int64_t tokens)
{
    em_array *t = em_iota(s, EM_S32, em_shape(tokens, 1), 0);
    em_array *past = em_greater_equal(s, t, em_reshape(s, offsets, em_shape(1, -1)));
    return em_sum(s, em_cast(s, past, EM_S32), EM_AXES(1), false);
}

/* [T, Hkv, D] to [Hkv * group, T, D], each head `group` times. */
static em_array *packed_heads(em_scope *s, em_array *x, int64_t group)
{
    x = em_transpose(s, x, EM_AXES(1, 0, 2));
    return group == 1 ? x : em_squeeze(s, repeat_heads(s, em_expand_dims(s, x, 0), group), EM_AXES(0));
}

em_array *em__compose_sdpa_segments(em_scope *s, const em__fast_call *call)
{
    em_array *offsets = call->in[3];
    const em_dims dq = em_array_dims(call->in[0]), dk = em_array_dims(call->in[1]);
    int64_t tokens = dq.dims[0], segments = em_array_dims(offsets).dims[0] - 1, group = dq.dims[1] / dk.dims[1];
    em_axes heads_first = EM_AXES(1, 0, 2);
    em_array *q = em_transpose(s, call->in[0], heads_first), *v = packed_heads(s, call->in[2], group);
    em_array *scores = em_matmul(s, q, em_transpose(s, packed_heads(s, call->in[1], group), EM_AXES(0, 2, 1)));
    scores = em_mul(s, scores, em_scalar(s, em_array_dtype(q), call->floats[0]));
    em_array *of = segment_of(s, offsets, tokens);
    em_array *mine = em_reshape(s, of, em_shape(tokens, 1)), *theirs = em_reshape(s, of, em_shape(1, tokens));
    em_array *inside = em_logical_and(s, em_greater(s, mine, em_scalar(s, EM_S32, 0)),
                                      em_less_equal(s, mine, em_scalar(s, EM_S32, (double)segments)));
    if (call->ints[0]) {
        int64_t span = (em_array_dims(call->in[4]).dims[1] + 1) / 2;
        em_array *i = em_iota(s, EM_S64, em_shape(tokens, 1), 0), *j = em_iota(s, EM_S64, em_shape(1, tokens), 1);
        em_array *at = em_add(s, em_sub(s, j, i), em_scalar(s, EM_S64, (double)(span - 1)));
        scores = em_add(s, scores, em_take(s, call->in[4], at, 1));
    }
    em_array *allowed = em_logical_and(s, em_equal(s, mine, theirs), inside);
    em_array *seen = seen_keys(s, call->ints[1] != 0, call->ints[2], NULL, tokens, tokens);
    if (seen)
        allowed = em_logical_and(s, allowed, em_reshape(s, seen, em_shape(tokens, tokens)));
    return em_transpose(s, em_matmul(s, masked_softmax(s, scores, allowed), v), heads_first);
}

/* The first (or last) token of each segment; an empty segment gives some row, which the caller zeroes. */
static em_array *picked(em_scope *s, em_array *x, em_array *offsets, int64_t segments, bool last)
{
    em_array *at = em_slice(s, offsets, (int64_t[]){last}, (int64_t[]){segments + last}, NULL);
    return em_take(s, x, last ? em_sub(s, at, em_scalar(s, EM_S32, 1)) : at, 0);
}

em_array *em__compose_segment_pool(em_scope *s, const em__fast_call *call)
{
    em_array *x = call->in[0], *offsets = call->in[1], *y;
    em_pool pool = (em_pool)call->ints[0];
    em_dtype dtype = em_array_dtype(x);
    int64_t tokens = em_array_dims(x).dims[0], segments = em_array_dims(offsets).dims[0] - 1;
    em_array *of = em_reshape(s, segment_of(s, offsets, tokens), em_shape(1, tokens));
    em_array *member =
        em_equal(s, of, em_add(s, em_iota(s, EM_S32, em_shape(segments, 1), 0), em_scalar(s, EM_S32, 1)));
    em_array *weight = em_cast(s, member, dtype); /* [segments, tokens] */
    em_array *count = em_sum(s, weight, EM_AXES(1), true), *zero = em_scalar(s, dtype, 0);
    em_array *divisor = em_maximum(s, count, em_scalar(s, dtype, 1));
    if (pool == EM_POOL_WEIGHTED) { /* position in the segment, from 1 */
        em_array *start = em_slice(s, offsets, (int64_t[]){0}, (int64_t[]){segments}, NULL);
        em_array *t = em_iota(s, EM_S32, em_shape(1, tokens), 1);
        em_array *position = em_add(s, em_sub(s, t, em_reshape(s, start, em_shape(-1, 1))), em_scalar(s, EM_S32, 1));
        weight = em_mul(s, weight, em_cast(s, position, dtype));
        divisor = em_maximum(s, em_sum(s, weight, EM_AXES(1), true), em_scalar(s, dtype, 1));
    }
    if (pool == EM_POOL_MAX) {
        em_array *each = em_select(s, em_expand_dims(s, member, -1), x, em_scalar(s, dtype, -INFINITY));
        y = em_max(s, each, EM_AXES(1), false);
    } else if (pool == EM_POOL_CLS || pool == EM_POOL_LAST) {
        y = picked(s, x, offsets, segments, pool == EM_POOL_LAST);
    } else {
        y = em_div(s, em_matmul(s, weight, x), pool == EM_POOL_MEAN_SQRT ? em_sqrt(s, divisor) : divisor);
    }
    return em_select(s, em_greater(s, count, zero), y, zero);
}
