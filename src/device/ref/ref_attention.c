/* Attention and the pooling of segments, naively, in double. */
#include <math.h>

#include "core/error.h"
#include "device/ref/ref.h"

/* One query against the keys it sees: first .. end - 1. Others are not read: their rows may not have been written. */
typedef struct attend {
    const em__tensor *q, *k, *v, *k_scales, *v_scales; /* scales: one a key, or NULL */
    int64_t at_k_scale, at_v_scale;
    int64_t at_q, at_k, at_v, key_stride, value_stride;
    int64_t size, value_size, first, end;
    double scale, softcap; /* softcap 0: none */
    const double *sink;    /* NULL: none */
    double *weights;       /* of all keys */
} attend;

static double raw_score(const attend *a, int64_t j)
{
    double dot = 0;
    int dq = a->q->spec.rank - 1, dk = a->k->spec.rank - 1;
    for (int64_t d = 0; d < a->size; d++)
        dot += em__ref_at(a->q, a->at_q + d * a->q->strides[dq]) *
               em__ref_at(a->k, a->at_k + j * a->key_stride + d * a->k->strides[dk]);
    if (a->k_scales)
        dot *= em__ref_at(a->k_scales, a->at_k_scale + j * a->k_scales->strides[2]);
    return a->softcap != 0 ? a->softcap * tanh(dot * a->scale / a->softcap) : dot * a->scale;
}

typedef double (*score_bias)(const void *context, int64_t key);

static void attend_row(const attend *a, score_bias bias, const void *context, const em__tensor *out, int64_t to)
{
    double top = a->sink ? *a->sink : -INFINITY, sum = 0;
    int dv = a->v->spec.rank - 1;
    for (int64_t j = a->first; j < a->end; j++) {
        double s = a->weights[j] = raw_score(a, j) + bias(context, j);
        top = isnan(s) || s > top ? s : top;
    }
    bool none = top == -INFINITY;
    if (a->sink && !none)
        sum = exp(*a->sink - top);
    for (int64_t j = a->first; j < a->end && !none; j++)
        sum += a->weights[j] = exp(a->weights[j] - top);
    for (int64_t j = a->first; j < a->end && a->v_scales; j++)
        a->weights[j] *= em__ref_at(a->v_scales, a->at_v_scale + j * a->v_scales->strides[2]);
    for (int64_t d = 0; d < a->value_size; d++) {
        double acc = 0;
        for (int64_t j = a->first; j < a->end && !none; j++)
            acc += a->weights[j] / sum * em__ref_at(a->v, a->at_v + j * a->value_stride + d * a->v->strides[dv]);
        em__ref_store_real(out->spec.dtype, out->data, to + d, acc);
    }
}

typedef struct mask_row {
    const em__tensor *mask; /* broadcast to [B, H, Lq, Lk]; NULL when there is none */
    int64_t at;
} mask_row;

static double mask_bias(const void *context, int64_t key)
{
    const mask_row *row = context;
    if (!row->mask)
        return 0;
    int64_t at = row->at + key * row->mask->strides[3];
    if (row->mask->spec.dtype == EM_PRED)
        return ((const uint8_t *)row->mask->data)[at] ? 0 : -INFINITY;
    return em__ref_at(row->mask, at);
}

/* The optional operands of a call. */
typedef struct extras {
    em__tensor mask; /* broadcast; data NULL: none */
    const em__tensor *sinks, *lengths, *k_scales, *v_scales;
} extras;

static extras find_extras(const em__call *call)
{
    extras e = {0};
    int next = 3;
    if (call->ints[1] & 1) {
        em__spec scores = call->in[0].spec;
        scores.dims[3] = call->in[1].spec.dims[2];
        e.mask = em__tensor_broadcast(&call->in[next++], &scores);
    }
    if (call->ints[1] & 2)
        e.sinks = &call->in[next++];
    if (call->ints[1] & 4)
        e.lengths = &call->in[next++];
    if (call->ints[1] & 24) {
        e.k_scales = &call->in[next++];
        e.v_scales = &call->in[next];
    }
    return e;
}

/* Of `keys` keys those that the query at `place` sees. */
static void see(bool causal, int64_t window, int64_t place, int64_t keys, attend *a)
{
    a->first = window && place - window + 1 > 0 ? place - window + 1 : 0;
    a->end = causal && place + 1 < keys ? place + 1 : keys;
    if (window && place + window < a->end)
        a->end = place + window;
}

/* Of the keys that exist for batch b those that query i sees. */
static void visible(const em__call *call, const extras *e, int64_t b, int64_t i, attend *a)
{
    int64_t lq = call->in[0].spec.dims[2], lk = call->in[1].spec.dims[2];
    if (e->lengths) {
        int64_t at = e->lengths->spec.rank ? b * e->lengths->strides[0] : 0, n = ((int32_t *)e->lengths->data)[at];
        lk = n < 0 ? 0 : n < lk ? n : lk;
    }
    see(call->ints[0] != 0, call->ints[2], i + lk - lq, lk, a);
}

em_status em__ref_sdpa(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *q = &call->in[0], *k = &call->in[1], *v = &call->in[2];
    int64_t group = q->spec.dims[1] / k->spec.dims[1];
    extras e = find_extras(call);
    em__spec rows = q->spec;
    rows.dims[3] = 1;
    em__walk walk = {.spec = &rows};
    int64_t size = em__spec_size(&rows);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t b = walk.at[0], h = walk.at[1] / group;
        double sink = e.sinks ? em__ref_at(e.sinks, walk.at[1] * e.sinks->strides[0]) : 0;
        attend a = {.q = q, .k = k, .v = v, .scale = call->floats[0], .softcap = call->floats[1]};
        a.sink = e.sinks ? &sink : NULL;
        a.weights = call->scratch;
        if ((a.k_scales = e.k_scales) && (a.v_scales = e.v_scales)) {
            a.at_k_scale = b * e.k_scales->strides[0] + h * e.k_scales->strides[1];
            a.at_v_scale = b * e.v_scales->strides[0] + h * e.v_scales->strides[1];
        }
        a.at_q = em__walk_offset(&walk, q);
        a.at_k = b * k->strides[0] + h * k->strides[1];
        a.at_v = b * v->strides[0] + h * v->strides[1];
        a.key_stride = k->strides[2];
        a.value_stride = v->strides[2];
        a.size = q->spec.dims[3];
        a.value_size = v->spec.dims[3];
        mask_row row = {.mask = call->ints[1] & 1 ? &e.mask : NULL};
        visible(call, &e, b, walk.at[2], &a);
        if (row.mask)
            row.at = em__walk_offset(&walk, &e.mask);
        attend_row(&a, mask_bias, &row, &call->out, em__walk_offset(&walk, &call->out));
    }
    return EM_OK;
}

typedef struct relative_row {
    const em__tensor *bias;
    int64_t head, query;
} relative_row;

static double relative_bias(const void *context, int64_t key)
{
    const relative_row *row = context;
    if (!row->bias)
        return 0;
    int64_t longest = (row->bias->spec.dims[1] + 1) / 2, at = key - row->query + longest - 1;
    return em__ref_at(row->bias, row->head * row->bias->strides[0] + at * row->bias->strides[1]);
}

static int64_t segment_offset(const em__tensor *offsets, int64_t i)
{
    return ((const int32_t *)offsets->data)[i * offsets->strides[0]];
}

/* Offsets come from the caller's data: they are held inside [0, tokens] and ascending, whatever they say. */
static void segment_range(const em__tensor *offsets, int64_t s, int64_t tokens, int64_t *from, int64_t *to)
{
    *from = segment_offset(offsets, s);
    *to = segment_offset(offsets, s + 1);
    *from = *from < 0 ? 0 : *from > tokens ? tokens : *from;
    *to = *to < *from ? *from : *to > tokens ? tokens : *to;
}

em_status em__ref_sdpa_segments(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *q = &call->in[0], *k = &call->in[1], *v = &call->in[2], *offsets = &call->in[3];
    int64_t tokens = q->spec.dims[0], heads = q->spec.dims[1], value_size = v->spec.dims[2];
    int64_t group = heads ? heads / k->spec.dims[1] : 1;
    for (int64_t i = 0; i < tokens * heads * value_size; i++)
        em__ref_store_real(call->out.spec.dtype, call->out.data, i, 0);
    for (int64_t s = 0; s + 1 < offsets->spec.dims[0]; s++) {
        int64_t from, to;
        segment_range(offsets, s, tokens, &from, &to);
        EM__FAIL_IF(call->ints[0] && to - from > (call->in[4].spec.dims[1] + 1) / 2, EM_ERROR_INVALID_ARGUMENT,
                    "sdpa_segments: segment %lld has %lld tokens, the bias allows %lld", (long long)s,
                    (long long)(to - from), (long long)(call->in[4].spec.dims[1] + 1) / 2);
        for (int64_t row = 0; row < (to - from) * heads; row++) {
            int64_t t = from + row / heads, h = row % heads, i = t - from, kv = h / group;
            attend a = {.q = q, .k = k, .v = v, .scale = call->floats[0], .weights = call->scratch};
            a.at_q = t * q->strides[0] + h * q->strides[1];
            a.at_k = from * k->strides[0] + kv * k->strides[1];
            a.at_v = from * v->strides[0] + kv * v->strides[1];
            a.key_stride = k->strides[0];
            a.value_stride = v->strides[0];
            a.size = q->spec.dims[2];
            a.value_size = value_size;
            see(call->ints[1] != 0, call->ints[2], i, to - from, &a);
            relative_row bias = {.bias = call->ints[0] ? &call->in[4] : NULL, .head = h, .query = i};
            attend_row(&a, relative_bias, &bias, &call->out, (t * heads + h) * value_size);
        }
    }
    return EM_OK;
}

static double pool_column(const em__tensor *x, int64_t from, int64_t to, int64_t column, em_pool pool)
{
    double sum = 0, weights = 0, top = -INFINITY;
    for (int64_t t = from; t < to; t++) {
        double v = em__ref_at(x, t * x->strides[0] + column * x->strides[1]);
        double w = pool == EM_POOL_WEIGHTED ? (double)(t - from + 1) : 1;
        sum += w * v;
        weights += w;
        top = isnan(v) || v > top ? v : top;
        if ((pool == EM_POOL_CLS && t == from) || (pool == EM_POOL_LAST && t == to - 1))
            return v;
    }
    if (from == to)
        return 0;
    return pool == EM_POOL_MAX ? top : pool == EM_POOL_MEAN_SQRT ? sum / sqrt(weights) : sum / weights;
}

em_status em__ref_segment_pool(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *x = &call->in[0], *offsets = &call->in[1];
    int64_t columns = x->spec.dims[1];
    for (int64_t s = 0; s + 1 < offsets->spec.dims[0]; s++) {
        int64_t from, to;
        segment_range(offsets, s, x->spec.dims[0], &from, &to);
        for (int64_t c = 0; c < columns; c++)
            em__ref_store_real(call->out.spec.dtype, call->out.data, s * columns + c,
                               pool_column(x, from, to, c, (em_pool)call->ints[0]));
    }
    return EM_OK;
}
