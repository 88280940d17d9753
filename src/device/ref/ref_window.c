/* Running results and windows, naively. */
#include <math.h>

#include "core/error.h"
#include "core/whole.h"
#include "device/ref/ref.h"

typedef enum fold { SUM, PRODUCT, MAX, MIN } fold;

static fold fold_of(em__op op)
{
    switch (op) {
    case EM__OP_CUMULATIVE_SUM:
    case EM__OP_WINDOW_SUM: return SUM;
    case EM__OP_CUMULATIVE_PRODUCT:
    case EM__OP_WINDOW_PRODUCT: return PRODUCT;
    case EM__OP_CUMULATIVE_MAX:
    case EM__OP_WINDOW_MAX: return MAX;
    default: return MIN;
    }
}

/* The result over nothing. E4M3FN has no infinity: its ends are its largest values. */
static em__value nothing(fold f, em_dtype dtype)
{
    int bits = em_dtype_size(dtype) < 8 ? (int)em_dtype_size(dtype) * 8 : 64;
    double end = dtype == EM_F8_E4M3FN ? 448 : INFINITY;
    int64_t top = INT64_MAX >> (64 - bits);
    switch (f) {
    case SUM: return (em__value){0, 0, 0, 0};
    case PRODUCT: return (em__value){1, 0, 1, 1};
    case MAX: return (em__value){-end, 0, -top - 1, 0};
    default: return (em__value){end, 0, top, UINT64_MAX >> (64 - bits)};
    }
}

/* acc = acc (f) v. Only the members of the dtype's kind mean anything. */
static void step(fold f, em_dtype dtype, em__value *acc, em__value v)
{
    bool complex = em_dtype_get_kind(dtype) == EM_KIND_COMPLEX;
    double real = acc->f;
    switch (f) {
    case SUM:
        acc->f += v.f;
        acc->imag += v.imag;
        acc->u += v.u;
        acc->s = (int64_t)((uint64_t)acc->s + (uint64_t)v.s);
        break;
    case PRODUCT:
        if (complex) {
            acc->f = real * v.f - acc->imag * v.imag;
            acc->imag = real * v.imag + acc->imag * v.f;
        } else {
            acc->f *= v.f;
        }
        acc->u *= v.u;
        acc->s = (int64_t)((uint64_t)acc->s * (uint64_t)v.s);
        break;
    case MAX:
        acc->f = isnan(real) || v.f <= real ? real : v.f;
        acc->u = v.u > acc->u ? v.u : acc->u;
        acc->s = v.s > acc->s ? v.s : acc->s;
        break;
    case MIN:
        acc->f = isnan(real) || v.f >= real ? real : v.f;
        acc->u = v.u < acc->u ? v.u : acc->u;
        acc->s = v.s < acc->s ? v.s : acc->s;
        break;
    }
}

em_status em__ref_cumulative(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0], *out = &call->out;
    int axis = (int)call->ints[0];
    fold f = fold_of(call->op);
    em__spec lines = in->spec;
    int64_t n = lines.dims[axis];
    lines.dims[axis] = n ? 1 : 0;
    em__walk walk = {.spec = &lines};
    int64_t size = em__spec_size(&lines);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        em__value acc = nothing(f, in->spec.dtype);
        for (int64_t j = 0; j < n; j++) {
            int64_t at = call->ints[1] ? n - 1 - j : j;
            int64_t from = em__walk_offset(&walk, in) + at * in->strides[axis];
            step(f, in->spec.dtype, &acc, em__ref_load(in->spec.dtype, in->data, from));
            em__ref_store(out->spec.dtype, out->data, em__walk_offset(&walk, out) + at * out->strides[axis], acc);
        }
    }
    return EM_OK;
}

/* The part of the window at `place` that is worth a walk: [*first, + near's dims) are its elements inside `in` and
 * `margin` more on each side, as far as it has them. A window may be far longer than the array. False: none is inside.
 */
static bool near_window(const em__call *call, const em__walk *place, int64_t margin, int64_t *first, em__spec *near)
{
    const em__spec *in = &call->in[0].spec;
    const int rank = in->rank;
    *near = (em__spec){.dtype = in->dtype, .rank = rank};
    for (int d = 0; d < rank; d++) {
        const int64_t dilation = call->n_ints > 4 * rank ? call->ints[4 * rank + d] : 1, window = call->ints[d];
        const int64_t start = place->at[d] * call->ints[rank + d] - call->ints[2 * rank + d];
        int64_t from = start < 0 ? -em__div_down(start, dilation) : 0; /* the first at 0 or above */
        int64_t end = em__div_down(in->dims[d] - 1 - start, dilation) + 1;
        end = end < window ? end : window;
        if (from >= end)
            return false;
        from = from > margin ? from - margin : 0;
        end = window - end > margin ? end + margin : window;
        first[d] = from;
        near->dims[d] = end - from;
    }
    return true;
}

/* Where the window's element stands in `in`, in elements from its data; false: on padding. */
static bool window_at(const em__call *call, const em__tensor *in, const em__walk *place, const int64_t *first,
                      const em__walk *element, int64_t *offset)
{
    int rank = in->spec.rank;
    *offset = 0;
    for (int d = 0; d < rank; d++) {
        int64_t dilation = call->n_ints > 4 * rank ? call->ints[4 * rank + d] : 1;
        int64_t at = place->at[d] * call->ints[rank + d] - call->ints[2 * rank + d];
        at += (first[d] + element->at[d]) * dilation;
        if (at < 0 || at >= in->spec.dims[d])
            return false;
        *offset += at * in->strides[d];
    }
    return true;
}

em_status em__ref_window(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0];
    fold f = fold_of(call->op);
    em__spec near;
    em__walk place = {.spec = &call->out.spec};
    int64_t places = em__spec_size(&call->out.spec), first[EM_MAX_RANK], from;
    for (int64_t i = 0; i < places; i++, em__walk_next(&place)) {
        em__value acc = nothing(f, in->spec.dtype);
        em__walk element = {.spec = &near};
        if (near_window(call, &place, 0, first, &near))
            do
                if (window_at(call, in, &place, first, &element, &from))
                    step(f, in->spec.dtype, &acc, em__ref_load(in->spec.dtype, in->data, from));
            while (em__walk_next(&element));
        em__ref_store(call->out.spec.dtype, call->out.data, i, acc);
    }
    return EM_OK;
}

/* Whether v takes the place of `best`: it is as good or better. A NaN never does, and keeps a place it has. */
static bool takes_over(em__op op, em_dtype_kind kind, em__value v, em__value best)
{
    bool max = op == EM__OP_WINDOW_SCATTER_MAX;
    if (kind == EM_KIND_FLOAT)
        return max ? v.f >= best.f : v.f <= best.f;
    if (kind == EM_KIND_SIGNED)
        return max ? v.s >= best.s : v.s <= best.s;
    return max ? v.u >= best.u : v.u <= best.u;
}

/* The offset in the result of the element that wins the window at `place`; -1 when padding wins. Padding takes part,
 * but of padding in a row one element does what all do: a margin of 1 leaves some wherever there is some. */
static int64_t winner(const em__call *call, const em__walk *place)
{
    const em__tensor *in = &call->in[0];
    em_dtype dtype = in->spec.dtype;
    em__value best = {0}, pad = em__ref_load(dtype, call->in[2].data, 0);
    em__spec near;
    em__walk element = {.spec = &near};
    int64_t first[EM_MAX_RANK], won = -1, from, to;
    bool begun = false;
    if (!near_window(call, place, 1, first, &near))
        return -1;
    do {
        bool inside = window_at(call, in, place, first, &element, &from);
        em__value v = inside ? em__ref_load(dtype, in->data, from) : pad;
        if (!begun || takes_over(call->op, em_dtype_get_kind(dtype), v, best)) {
            best = v;
            won = inside && window_at(call, &call->out, place, first, &element, &to) ? to : -1;
        }
        begun = true;
    } while (em__walk_next(&element));
    return won;
}

em_status em__ref_window_scatter(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *source = &call->in[1], *out = &call->out;
    em_dtype dtype = out->spec.dtype;
    int64_t size = em__spec_size(&out->spec), places = em__spec_size(&source->spec);
    for (int64_t i = 0; i < size; i++)
        em__ref_move(&call->in[2], 0, out->data, i);
    em__walk place = {.spec = &source->spec};
    for (int64_t i = 0; i < places; i++, em__walk_next(&place)) {
        int64_t to = winner(call, &place);
        if (to < 0)
            continue;
        em__value sum = em__ref_load(dtype, out->data, to);
        step(SUM, dtype, &sum, em__ref_load(dtype, source->data, em__walk_offset(&place, source)));
        em__ref_store(dtype, out->data, to, sum);
    }
    return EM_OK;
}
