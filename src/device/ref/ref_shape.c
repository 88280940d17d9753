/* Moves, reductions and indexing, naively. */
#include <math.h>
#include <string.h>

#include "core/error.h"
#include "device/ref/ref.h"

void em__ref_move(const em__tensor *from, int64_t from_index, void *to, int64_t to_index)
{
    size_t bytes = em_dtype_size(from->spec.dtype);
    memcpy((char *)to + to_index * (int64_t)bytes, (const char *)from->data + from_index * (int64_t)bytes, bytes);
}

em_status em__ref_copy(em_device *device, const em__call *call)
{
    (void)device;
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = call->out.data == call->in[0].data ? 0 : em__spec_size(&call->out.spec); /* in place: it is there */
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk))
        em__ref_move(&call->in[0], em__walk_offset(&walk, &call->in[0]), call->out.data, i);
    return EM_OK;
}

em_status em__ref_concatenate(em_device *device, const em__call *call)
{
    (void)device;
    int axis = (int)call->ints[0];
    int64_t base = 0;
    for (int k = 0; k < call->n_in; k++) {
        const em__tensor *in = &call->in[k];
        em__walk walk = {.spec = &in->spec};
        int64_t size = em__spec_size(&in->spec);
        for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
            int64_t to = em__walk_offset(&walk, &call->out) + base * call->out.strides[axis];
            em__ref_move(in, em__walk_offset(&walk, in), call->out.data, to);
        }
        base += in->spec.dims[axis];
    }
    return EM_OK;
}

em_status em__ref_pad(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0];
    int rank = in->spec.rank;
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t from = 0;
        bool inside = true;
        for (int d = 0; d < rank && inside; d++) {
            int64_t at = walk.at[d] - call->ints[d], step = call->ints[2 * rank + d] + 1;
            inside = at >= 0 && at % step == 0 && at / step < in->spec.dims[d];
            from += at / step * in->strides[d];
        }
        em__ref_move(inside ? in : &call->in[1], inside ? from : 0, call->out.data, i);
    }
    return EM_OK;
}

em_status em__ref_iota(em_device *device, const em__call *call)
{
    (void)device;
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t at = call->out.spec.rank ? walk.at[call->ints[1]] : 0;
        em__ref_store(call->out.spec.dtype, call->out.data, i,
                      (em__value){.f = (double)at, .s = at, .u = (uint64_t)at});
    }
    return EM_OK;
}

em_status em__ref_take(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0], *index = &call->in[1];
    int axis = (int)call->ints[0];
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec), limit = in->spec.dims[axis];
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t at = 0, from = 0;
        for (int d = 0; d < index->spec.rank; d++)
            at += walk.at[axis + d] * index->strides[d];
        int64_t pick = em__ref_index(index->spec.dtype, index->data, at);
        pick = pick < 0 ? 0 : pick >= limit ? limit - 1 : pick;
        for (int d = 0; d < in->spec.rank; d++)
            from += in->strides[d] * (d < axis ? walk.at[d] : d == axis ? pick : walk.at[d - 1 + index->spec.rank]);
        em__ref_move(in, from, call->out.data, i);
    }
    return EM_OK;
}

static em__value reduce_start(em__op op, em_dtype dtype)
{
    int bits = em_dtype_size(dtype) < 8 ? (int)em_dtype_size(dtype) * 8 : 64;
    bool is_signed = em_dtype_get_kind(dtype) == EM_KIND_SIGNED;
    int64_t top = INT64_MAX >> (64 - bits);
    switch (op) {
    case EM__OP_PRODUCT:
    case EM__OP_ALL: return (em__value){1, 0, 1, 1};
    case EM__OP_MAX: return (em__value){-INFINITY, 0, is_signed ? -top - 1 : 0, 0};
    case EM__OP_MIN: return (em__value){INFINITY, 0, top, UINT64_MAX >> (64 - bits)};
    default: return (em__value){0, 0, 0, 0};
    }
}

static void reduce_step(em__op op, em_dtype_kind kind, em__value *acc, em__value v)
{
    bool yes = kind >= EM_KIND_FLOAT ? v.f != 0 || v.imag != 0 : (v.u | (uint64_t)v.s) != 0;
    switch (op) {
    case EM__OP_SUM:
        acc->f += v.f;
        acc->imag += v.imag;
        acc->u += v.u | (uint64_t)v.s;
        acc->s = (int64_t)acc->u;
        break;
    case EM__OP_PRODUCT:
        if (kind == EM_KIND_COMPLEX)
            *acc = em__ref_binary_complex(EM__OP_MUL, *acc, v);
        else
            acc->f *= v.f;
        acc->u *= v.u | (uint64_t)v.s;
        acc->s = (int64_t)acc->u;
        break;
    case EM__OP_MAX:
        acc->f = isnan(acc->f) || isnan(v.f) ? NAN : v.f > acc->f ? v.f : acc->f;
        acc->s = v.s > acc->s ? v.s : acc->s;
        acc->u = v.u > acc->u ? v.u : acc->u;
        break;
    case EM__OP_MIN:
        acc->f = isnan(acc->f) || isnan(v.f) ? NAN : v.f < acc->f ? v.f : acc->f;
        acc->s = v.s < acc->s ? v.s : acc->s;
        acc->u = v.u < acc->u ? v.u : acc->u;
        break;
    case EM__OP_ALL: acc->u = acc->u && yes; break;
    default: acc->u = acc->u || yes; break;
    }
}

em_status em__ref_reduce(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0];
    em_dtype_kind kind = em_dtype_get_kind(in->spec.dtype);
    em__spec outer = in->spec, inner = in->spec; /* reduced axes shrink to 1 in one, the others in the other */
    for (int d = 0; d < in->spec.rank; d++)
        *(call->ints[1] >> d & 1 ? &outer.dims[d] : &inner.dims[d]) = 1;
    em__walk walk = {.spec = &outer};
    int64_t size = em__spec_size(&outer), count = em__spec_size(&inner);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        em__value acc = reduce_start(call->op, in->spec.dtype);
        em__walk sub = {.spec = &inner};
        for (int64_t j = 0; j < count; j++, em__walk_next(&sub)) {
            int64_t at = em__walk_offset(&walk, in) + em__walk_offset(&sub, in);
            reduce_step(call->op, kind, &acc, em__ref_load(in->spec.dtype, in->data, at));
        }
        em__ref_store(call->out.spec.dtype, call->out.data, i, acc);
    }
    return EM_OK;
}

/* True when v is a better maximum (minimum) than best: NaN before all else, `last`: equals too. */
static bool better(em__op op, em_dtype_kind kind, bool last, em__value v, em__value best)
{
    if (kind == EM_KIND_FLOAT && (isnan(v.f) || isnan(best.f)))
        return isnan(v.f) && !isnan(best.f);
    bool less = kind == EM_KIND_FLOAT ? v.f < best.f : kind == EM_KIND_SIGNED ? v.s < best.s : v.u < best.u;
    bool more = kind == EM_KIND_FLOAT ? v.f > best.f : kind == EM_KIND_SIGNED ? v.s > best.s : v.u > best.u;
    return (op == EM__OP_ARGMAX ? more : less) || (last && !less && !more);
}

em_status em__ref_arg(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0];
    int axis = (int)call->ints[0];
    em__spec outer = in->spec;
    outer.dims[axis] = 1;
    em__walk walk = {.spec = &outer};
    int64_t size = em__spec_size(&outer);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t base = em__walk_offset(&walk, in), pick = 0;
        em__value best = em__ref_load(in->spec.dtype, in->data, base);
        for (int64_t j = 1; j < in->spec.dims[axis]; j++) {
            em__value v = em__ref_load(in->spec.dtype, in->data, base + j * in->strides[axis]);
            if (better(call->op, em_dtype_get_kind(in->spec.dtype), call->ints[1] != 0, v, best)) {
                best = v;
                pick = j;
            }
        }
        ((int64_t *)call->out.data)[i] = pick;
    }
    return EM_OK;
}
