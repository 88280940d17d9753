/* Rotary embedding and the cache of keys and values in primitive ops. */
#include <math.h>

#include <emily/ops.h>

#include "fast/compose.h"

/* Axes `axis` and the last of x's shape kept, the others 1. */
static em_dims ones_but(em_dims d, int axis, int64_t last)
{
    for (int i = 0; i < d.rank - 1; i++)
        d.dims[i] = i == axis ? d.dims[i] : 1;
    d.dims[d.rank - 1] = last;
    return d;
}

/* Features from, from + step, ... below `to` of the last axis. */
static em_array *features(em_scope *s, em_array *x, int64_t from, int64_t to, int64_t step)
{
    em_dims d = em_array_dims(x);
    int64_t start[EM_MAX_RANK] = {0}, stride[EM_MAX_RANK];
    for (int i = 0; i < d.rank; i++)
        stride[i] = 1;
    start[d.rank - 1] = from;
    d.dims[d.rank - 1] = to;
    stride[d.rank - 1] = step;
    return em_slice(s, x, start, d.dims, stride);
}

/* The rotation with tables of half the features, or of all. */
static em_array *rotate(em_scope *s, em_array *x, em_array *cosine, em_array *sine, int64_t dims, bool interleaved)
{
    em_dims d = em_array_dims(x), table = em_array_dims(cosine);
    int64_t all = d.dims[d.rank - 1], half = dims / 2, step = interleaved ? 2 : 1, second = interleaved ? 1 : half;
    bool full = table.dims[table.rank - 1] == dims;
    em_array *a = features(s, x, 0, interleaved ? dims : half, step), *b = features(s, x, second, dims, step);
    em_array *c[2] = {cosine, cosine}, *n[2] = {sine, sine};
    for (int i = 0; i < 2 && full; i++) {
        int64_t end = i || interleaved ? dims : half;
        c[i] = features(s, cosine, i ? second : 0, end, step);
        n[i] = features(s, sine, i ? second : 0, end, step);
    }
    em_array *r[] = {em_sub(s, em_mul(s, a, c[0]), em_mul(s, b, n[0])),
                     em_add(s, em_mul(s, b, c[1]), em_mul(s, a, n[1]))};
    em_array *turned;
    if (interleaved) { /* pairs next to each other again */
        em_array *pair[] = {em_expand_dims(s, r[0], -1), em_expand_dims(s, r[1], -1)};
        d.dims[d.rank - 1] = dims;
        turned = em_reshape(s, em_concatenate(s, pair, 2, -1), d);
    } else {
        turned = em_concatenate(s, r, 2, -1);
    }
    em_array *parts[] = {turned, features(s, x, dims, all, 1)};
    return dims == all ? turned : em_concatenate(s, parts, 2, -1);
}

em_array *em__compose_rotary(em_scope *s, const em__fast_call *call)
{
    return rotate(s, call->in[0], call->in[1], call->in[2], call->ints[0], call->ints[1] != 0);
}

em_array *em__compose_rope(em_scope *s, const em__fast_call *call)
{
    em_array *x = call->in[0];
    em_dims d = em_array_dims(x);
    int64_t dims = call->ints[0], mask = call->ints[2];
    int axis = (int)call->ints[3];
    em_array *t = em_iota(s, EM_F64, ones_but(d, axis, 1), axis);
    em_array *i = em_iota(s, EM_F64, ones_but(d, -1, dims / 2), d.rank - 1), *turn;
    if (mask & 1) {
        em_dims batch = ones_but(d, -1, 1);
        if (em_array_dims(call->in[1]).rank)
            batch.dims[0] = d.dims[0];
        t = em_add(s, t, em_reshape(s, em_cast(s, call->in[1], EM_F64), batch));
    }
    t = em_mul(s, t, em_scalar(s, EM_F64, call->floats[1]));
    if (mask & 2)
        turn = em_div(s, t, em_cast(s, call->in[1 + (mask & 1)], EM_F64));
    else
        turn = em_mul(
            s, t,
            em_pow(s, em_scalar(s, EM_F64, call->floats[0]), em_mul(s, i, em_scalar(s, EM_F64, -2.0 / (double)dims))));
    em_dtype dtype = em_array_dtype(x);
    return rotate(s, x, em_cast(s, em_cos(s, turn), dtype), em_cast(s, em_sin(s, turn), dtype), dims,
                  call->ints[1] != 0);
}

em_array *em__compose_kv_update(em_scope *s, const em__fast_call *call)
{
    em_array *cache = call->in[0], *rows = em_cast(s, call->in[1], em_array_dtype(cache));
    em_dims d = em_array_dims(cache), r = em_array_dims(rows);
    int axis = d.rank - 2;
    int64_t most = d.dims[axis] - r.dims[axis];
    em_dims ones = ones_but(d, -1, 1), line = ones_but(d, axis, 1);
    if (r.dims[axis] == 0)
        return cache;
    em_array *position = call->in[2];
    if (em_array_dtype(position) == EM_U64) /* in s64 what is above 2^63 would be below 0 */
        position = em_minimum(s, position, em_scalar(s, EM_U64, (double)most));
    position = em_cast(s, position, EM_S64);
    position = em_clip(s, position, em_scalar(s, EM_S64, 0), em_scalar(s, EM_S64, (double)most));
    if (em_array_dims(position).rank)
        ones.dims[0] = d.dims[0];
    em_array *from = em_sub(s, em_iota(s, EM_S64, line, axis), em_reshape(s, position, ones)); /* index into rows */
    em_array *fresh = em_logical_and(s, em_greater_equal(s, from, em_scalar(s, EM_S64, 0)),
                                     em_less(s, from, em_scalar(s, EM_S64, (double)r.dims[axis])));
    em_array *wide = cache; /* rows where they go: each row j of the cache from row j - position of the batch's rows */
    for (int64_t j = 0; j < r.dims[axis]; j++) {
        int64_t start[EM_MAX_RANK] = {0};
        em_dims stop = r;
        start[axis] = j;
        stop.dims[axis] = j + 1;
        em_array *here = em_equal(s, from, em_scalar(s, EM_S64, (double)j));
        wide = em_select(s, here, em_slice(s, rows, start, stop.dims, NULL), wide);
    }
    return em_select(s, fresh, wide, cache);
}

/* The scale of each row, the last axis kept. */
static em_array *row_scales(em_scope *s, em_array *rows)
{
    em_array *top = em_max(s, em_abs(s, rows), EM_AXES(-1), true), *most = em_scalar(s, EM_F32, 127);
    return em_select(s, em_all(s, em_is_finite(s, rows), EM_AXES(-1), true), em_div(s, top, most),
                     em_scalar(s, EM_F32, NAN));
}

em_array *em__compose_kv_codes(em_scope *s, const em__fast_call *call)
{
    em_array *rows = call->in[1], *scales = row_scales(s, rows), *zero = em_scalar(s, EM_F32, 0);
    em_array *codes =
        em_clip(s, em_rint(s, em_div(s, rows, scales)), em_scalar(s, EM_F32, -127), em_scalar(s, EM_F32, 127));
    codes = em_cast(s, em_select(s, em_greater(s, scales, zero), codes, zero), EM_S8);
    em_array *in[] = {call->in[0], codes, call->in[2]};
    return em__compose_kv_update(s, &(em__fast_call){.op = EM__OP_KV_UPDATE, .in = in, .n_in = 3});
}

em_array *em__compose_kv_scales(em_scope *s, const em__fast_call *call)
{
    em_array *in[] = {em_expand_dims(s, call->in[0], -1), row_scales(s, call->in[1]), call->in[2]};
    em_array *wide = em__compose_kv_update(s, &(em__fast_call){.op = EM__OP_KV_UPDATE, .in = in, .n_in = 3});
    return wide ? em_reshape(s, wide, em_array_dims(call->in[0])) : NULL;
}
