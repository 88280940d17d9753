/* Contractions and the transformer ops, naively, in double. Each fast op is its defining formula. */
#include <math.h>

#include "core/error.h"
#include "device/ref/ref.h"

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
            double v = em__ref_at(x, from + j * x->strides[axis]);
            top = isnan(v) || v > top ? v : top;
        }
        for (int64_t j = 0; j < n; j++)
            sum += exp(em__ref_at(x, from + j * x->strides[axis]) - top);
        for (int64_t j = 0; j < n; j++)
            em__ref_store_real(x->spec.dtype, call->out.data, to + j * call->out.strides[axis],
                               exp(em__ref_at(x, from + j * x->strides[axis]) - top) / sum);
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
    double v = em__ref_at(r->x, from + j * r->x->strides[last]);
    if (!r->residual)
        return v;
    v += em__ref_at(r->residual, from_residual + j * r->residual->strides[last]);
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
            v *= em__ref_at(r->weight, j * r->weight->strides[0]);
        if (r->bias)
            v += em__ref_at(r->bias, j * r->bias->strides[0]);
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
            acc += em__ref_at(x, from + j * x->strides[last]) * em__ref_at(w, row + j * w->strides[1]);
        if (bias)
            acc += em__ref_at(bias, column * bias->strides[0]);
        if (call->ints[0] != EM__OP_COPY)
            acc = em__ref_unary_real((em__op)call->ints[0], acc);
        if (residual)
            acc += em__ref_at(residual, em__walk_offset(&walk, residual));
        em__ref_store_real(call->out.spec.dtype, call->out.data, i, acc);
    }
    return EM_OK;
}
