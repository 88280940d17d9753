/* Contractions and the transformer ops, naively, in double. Each fast op is its defining formula. */
#include <math.h>

#include "core/error.h"
#include "device/ref/ref.h"

static double real_at(const em__tensor *t, int64_t offset)
{
    return em__ref_real(t->spec.dtype, t->data, offset);
}

/* The operand's offset for output position `walk`: batch axes first, then (from `first`) its free axes. */
static int64_t dot_base(const em__tensor *t, const int64_t *contract, int n_contract, const int64_t *batch, int n_batch,
                        const em__walk *walk, int first)
{
    int64_t offset = 0;
    for (int i = 0; i < n_batch; i++)
        offset += walk->at[i] * t->strides[batch[i]];
    for (int d = 0; d < t->spec.rank; d++) {
        bool free_axis = true;
        for (int i = 0; i < n_contract; i++)
            free_axis &= contract[i] != d;
        for (int i = 0; i < n_batch; i++)
            free_axis &= batch[i] != d;
        if (free_axis)
            offset += walk->at[first++] * t->strides[d];
    }
    return offset;
}

em_status em__ref_dot(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *a = &call->in[0], *b = &call->in[1];
    em__dot dot = em__dot_decode(call->ints);
    em_dtype_kind kind = em_dtype_get_kind(a->spec.dtype);
    int free_a = a->spec.rank - dot.n_contract - dot.n_batch;
    em__spec inner = {.rank = dot.n_contract};
    for (int i = 0; i < dot.n_contract; i++)
        inner.dims[i] = a->spec.dims[dot.contract_a[i]];
    int64_t count = em__spec_size(&inner), size = em__spec_size(&call->out.spec);
    em__walk walk = {.spec = &call->out.spec};
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t at_a = dot_base(a, dot.contract_a, dot.n_contract, dot.batch_a, dot.n_batch, &walk, dot.n_batch);
        int64_t at_b =
            dot_base(b, dot.contract_b, dot.n_contract, dot.batch_b, dot.n_batch, &walk, dot.n_batch + free_a);
        em__value acc = {0};
        em__walk k = {.spec = &inner};
        for (int64_t j = 0; j < count; j++, em__walk_next(&k)) {
            int64_t ia = at_a, ib = at_b;
            for (int d = 0; d < dot.n_contract; d++) {
                ia += k.at[d] * a->strides[dot.contract_a[d]];
                ib += k.at[d] * b->strides[dot.contract_b[d]];
            }
            em__value x = em__ref_load(a->spec.dtype, a->data, ia), y = em__ref_load(b->spec.dtype, b->data, ib);
            acc.f += x.f * y.f - x.imag * y.imag;
            acc.imag += x.f * y.imag + x.imag * y.f;
            acc.u += (x.u | (uint64_t)x.s) * (y.u | (uint64_t)y.s);
        }
        acc.s = (int64_t)acc.u;
        if (kind == EM_KIND_BOOL)
            acc.u = acc.u != 0;
        em__ref_store(call->out.spec.dtype, call->out.data, i, acc);
    }
    return EM_OK;
}

em_status em__ref_softmax(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *x = &call->in[0];
    int axis = (int)call->ints[0];
    int64_t n = x->spec.dims[axis];
    em__spec outer = x->spec;
    outer.dims[axis] = 1;
    em__walk walk = {.spec = &outer};
    int64_t size = em__spec_size(&outer);
    for (int64_t i = 0; i < size && n; i++, em__walk_next(&walk)) {
        int64_t from = em__walk_offset(&walk, x), to = em__walk_offset(&walk, &call->out);
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < n; j++) {
            double v = real_at(x, from + j * x->strides[axis]);
            top = isnan(v) || v > top ? v : top;
        }
        for (int64_t j = 0; j < n; j++)
            sum += exp(real_at(x, from + j * x->strides[axis]) - top);
        for (int64_t j = 0; j < n; j++)
            em__ref_store_real(x->spec.dtype, call->out.data, to + j * call->out.strides[axis],
                               exp(real_at(x, from + j * x->strides[axis]) - top) / sum);
    }
    return EM_OK;
}

typedef struct norm_row {
    const em__tensor *x, *residual, *weight, *bias;
    bool centre;
    double eps;
} norm_row;

static double norm_element(const norm_row *r, int64_t from, int64_t from_residual, int64_t j)
{
    int last = r->x->spec.rank - 1;
    double v = real_at(r->x, from + j * r->x->strides[last]);
    if (!r->residual)
        return v;
    v += real_at(r->residual, from_residual + j * r->residual->strides[last]);
    return r->x->spec.dtype == EM_F32 ? (double)(float)v : v; /* the sum is a value of the dtype */
}

static void norm_one_row(const norm_row *r, int64_t from, int64_t from_residual, int64_t n, const em__tensor *out,
                         int64_t to)
{
    double mean = 0, variance = 0;
    for (int64_t j = 0; j < n && r->centre; j++)
        mean += norm_element(r, from, from_residual, j) / (double)n;
    for (int64_t j = 0; j < n; j++) {
        double d = norm_element(r, from, from_residual, j) - mean;
        variance += d * d / (double)n;
    }
    for (int64_t j = 0; j < n; j++) {
        double v = (norm_element(r, from, from_residual, j) - mean) / sqrt(variance + r->eps);
        if (r->weight)
            v *= real_at(r->weight, j * r->weight->strides[0]);
        if (r->bias)
            v += real_at(r->bias, j * r->bias->strides[0]);
        em__ref_store_real(out->spec.dtype, out->data, to + j, v);
    }
}

em_status em__ref_norm(em_device *device, const em__call *call)
{
    (void)device;
    bool fused = call->op == EM__OP_FUSED_LAYER_NORM;
    int next = fused ? 2 : 1;
    norm_row r = {.x = &call->in[0], .residual = fused ? &call->in[1] : NULL, .eps = call->floats[0]};
    r.centre = call->op != EM__OP_RMS_NORM;
    if (call->ints[0] & 1)
        r.weight = &call->in[next++];
    if (call->ints[0] & 2)
        r.bias = &call->in[next];
    int last = r.x->spec.rank - 1;
    em__spec outer = r.x->spec;
    int64_t n = outer.dims[last];
    outer.dims[last] = 1;
    em__walk walk = {.spec = &outer};
    int64_t size = em__spec_size(&outer);
    for (int64_t i = 0; i < size && n; i++, em__walk_next(&walk))
        norm_one_row(&r, em__walk_offset(&walk, r.x), r.residual ? em__walk_offset(&walk, r.residual) : 0, n,
                     &call->out, i * n);
    return EM_OK;
}

em_status em__ref_rope(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *x = &call->in[0];
    int rank = x->spec.rank;
    int64_t dims = call->ints[0], half = dims / 2;
    bool interleaved = call->ints[1] != 0;
    double offset = call->ints[2] ? real_at(&call->in[1], 0) : 0;
    em__walk walk = {.spec = &x->spec};
    int64_t size = em__spec_size(&x->spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t d = walk.at[rank - 1], from = em__walk_offset(&walk, x), step = x->strides[rank - 1];
        double v = real_at(x, from);
        if (d < dims) {
            int64_t pair = interleaved ? d / 2 : d % half;
            bool second = interleaved ? d % 2 : d >= half;
            int64_t reach = (interleaved ? 1 : half) * step;
            double position = ((double)walk.at[rank - 2] + offset) * call->floats[1];
            double angle = position * pow(call->floats[0], -2.0 * (double)pair / (double)dims);
            double other = real_at(x, second ? from - reach : from + reach);
            v = second ? other * sin(angle) + v * cos(angle) : v * cos(angle) - other * sin(angle);
        }
        em__ref_store_real(x->spec.dtype, call->out.data, i, v);
    }
    return EM_OK;
}

/* One query against keys 0 .. n - 1. score(j) < -inf is "not seen". */
typedef struct attend {
    const em__tensor *q, *k, *v;
    int64_t at_q, at_k, at_v, key_stride, value_stride;
    int64_t size, value_size;
    double scale;
} attend;

static double raw_score(const attend *a, int64_t j)
{
    double dot = 0;
    int dq = a->q->spec.rank - 1, dk = a->k->spec.rank - 1;
    for (int64_t d = 0; d < a->size; d++)
        dot += real_at(a->q, a->at_q + d * a->q->strides[dq]) *
               real_at(a->k, a->at_k + j * a->key_stride + d * a->k->strides[dk]);
    return dot * a->scale;
}

typedef double (*score_bias)(const void *context, int64_t key);

static void attend_row(const attend *a, int64_t n, score_bias bias, const void *context, const em__tensor *out,
                       int64_t to)
{
    double top = -INFINITY, sum = 0;
    int dv = a->v->spec.rank - 1;
    for (int64_t j = 0; j < n; j++) {
        double s = raw_score(a, j) + bias(context, j);
        top = isnan(s) || s > top ? s : top;
    }
    bool none = top == -INFINITY;
    for (int64_t j = 0; j < n && !none; j++)
        sum += exp(raw_score(a, j) + bias(context, j) - top);
    for (int64_t d = 0; d < a->value_size; d++) {
        double acc = 0;
        for (int64_t j = 0; j < n && !none; j++)
            acc += exp(raw_score(a, j) + bias(context, j) - top) / sum *
                   real_at(a->v, a->at_v + j * a->value_stride + d * a->v->strides[dv]);
        em__ref_store_real(out->spec.dtype, out->data, to + d, acc);
    }
}

typedef struct mask_row {
    const em__tensor *mask; /* broadcast to [B, H, Lq, Lk]; data NULL when there is none */
    int64_t at, last_key;
} mask_row;

static double mask_bias(const void *context, int64_t key)
{
    const mask_row *row = context;
    if (key > row->last_key)
        return -INFINITY;
    if (!row->mask)
        return 0;
    int64_t at = row->at + key * row->mask->strides[3];
    if (row->mask->spec.dtype == EM_PRED)
        return ((const uint8_t *)row->mask->data)[at] ? 0 : -INFINITY;
    return real_at(row->mask, at);
}

em_status em__ref_sdpa(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *q = &call->in[0], *k = &call->in[1], *v = &call->in[2];
    int64_t lq = q->spec.dims[2], lk = k->spec.dims[2], group = q->spec.dims[1] / k->spec.dims[1];
    em__tensor mask = {0};
    if (call->ints[1]) {
        em__spec scores = q->spec;
        scores.dims[3] = lk;
        mask = em__tensor_broadcast(&call->in[3], &scores);
    }
    em__spec rows = q->spec;
    rows.dims[3] = 1;
    em__walk walk = {.spec = &rows};
    int64_t size = em__spec_size(&rows);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t b = walk.at[0], h = walk.at[1] / group;
        attend a = {.q = q, .k = k, .v = v, .scale = call->floats[0]};
        a.at_q = em__walk_offset(&walk, q);
        a.at_k = b * k->strides[0] + h * k->strides[1];
        a.at_v = b * v->strides[0] + h * v->strides[1];
        a.key_stride = k->strides[2];
        a.value_stride = v->strides[2];
        a.size = q->spec.dims[3];
        a.value_size = v->spec.dims[3];
        mask_row row = {.mask = call->ints[1] ? &mask : NULL, .last_key = call->ints[0] ? walk.at[2] + lk - lq : lk};
        if (row.mask)
            row.at = em__walk_offset(&walk, &mask);
        attend_row(&a, lk, mask_bias, &row, &call->out, em__walk_offset(&walk, &call->out));
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
    return real_at(row->bias, row->head * row->bias->strides[0] + at * row->bias->strides[1]);
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
    for (int64_t i = 0; i < tokens * heads * value_size; i++)
        em__ref_store_real(call->out.spec.dtype, call->out.data, i, 0);
    for (int64_t s = 0; s + 1 < offsets->spec.dims[0]; s++) {
        int64_t from, to;
        segment_range(offsets, s, tokens, &from, &to);
        EM__FAIL_IF(call->ints[0] && to - from > (call->in[4].spec.dims[1] + 1) / 2, EM_ERROR_INVALID_ARGUMENT,
                    "sdpa_segments: segment %lld has %lld tokens, the bias allows %lld", (long long)s,
                    (long long)(to - from), (long long)(call->in[4].spec.dims[1] + 1) / 2);
        for (int64_t row = 0; row < (to - from) * heads; row++) {
            int64_t t = from + row / heads, h = row % heads;
            attend a = {.q = q, .k = k, .v = v, .scale = call->floats[0]};
            a.at_q = t * q->strides[0] + h * q->strides[1];
            a.at_k = from * k->strides[0] + h * k->strides[1];
            a.at_v = from * v->strides[0] + h * v->strides[1];
            a.key_stride = k->strides[0];
            a.value_stride = v->strides[0];
            a.size = q->spec.dims[2];
            a.value_size = value_size;
            relative_row bias = {.bias = call->ints[0] ? &call->in[4] : NULL, .head = h, .query = t - from};
            attend_row(&a, to - from, relative_bias, &bias, &call->out, (t * heads + h) * value_size);
        }
    }
    return EM_OK;
}

static double pool_column(const em__tensor *x, int64_t from, int64_t to, int64_t column, em_pool pool)
{
    double sum = 0, weights = 0, top = -INFINITY;
    for (int64_t t = from; t < to; t++) {
        double v = real_at(x, t * x->strides[0] + column * x->strides[1]);
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

/* Row `column` of the weights laid side by side: the piece it lies in, and its offset there. */
static const em__tensor *weight_row(const em__call *call, int64_t column, int64_t *offset)
{
    for (int i = 0;; i++) {
        const em__tensor *w = &call->in[em__linear_weight(call->ints, i)];
        if (column < w->spec.dims[0]) {
            *offset = column * w->strides[0];
            return w;
        }
        column -= w->spec.dims[0];
    }
}

em_status em__ref_fused_linear(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *x = &call->in[0];
    const em__tensor *bias = call->ints[1] & 1 ? &call->in[2] : NULL;
    const em__tensor *residual = call->ints[1] & 2 ? &call->in[bias ? 3 : 2] : NULL;
    int last = x->spec.rank - 1;
    int64_t depth = x->spec.dims[last];
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t column = walk.at[last], row, from = em__walk_offset(&walk, x) - column * x->strides[last];
        const em__tensor *w = weight_row(call, column, &row);
        double acc = 0;
        for (int64_t j = 0; j < depth; j++)
            acc += real_at(x, from + j * x->strides[last]) * real_at(w, row + j * w->strides[1]);
        if (bias)
            acc += real_at(bias, column * bias->strides[0]);
        if (call->ints[0] != EM__OP_COPY)
            acc = em__ref_unary_real((em__op)call->ints[0], acc);
        if (residual)
            acc += real_at(residual, em__walk_offset(&walk, residual));
        em__ref_store_real(call->out.spec.dtype, call->out.data, i, acc);
    }
    return EM_OK;
}
