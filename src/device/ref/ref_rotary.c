/* Rotary embedding, naively. */
#include <math.h>

#include "device/ref/ref.h"

/* Feature d of the row at `from`, which turns with the feature `reach` away by (cosine, sine). */
typedef struct turn {
    int64_t pair; /* which pair d belongs to */
    int64_t reach;
    bool second;
} turn;

static turn turn_of(int64_t d, int64_t dims, bool interleaved)
{
    int64_t half = dims / 2;
    turn t = {.pair = interleaved ? d / 2 : d % half, .second = interleaved ? d % 2 : d >= half};
    t.reach = (interleaved ? 1 : half) * (t.second ? -1 : 1);
    return t;
}

static double turned(double v, double other, bool second, double cosine, double sine)
{
    return second ? v * cosine + other * sine : v * cosine - other * sine;
}

/* The angle of pair `pair` at the walk's position. */
static double angle_of(const em__call *call, const em__walk *walk, int64_t pair)
{
    int64_t mask = call->ints[2];
    const em__tensor *offset = mask & 1 ? &call->in[1] : NULL, *freqs = mask & 2 ? &call->in[1 + (mask & 1)] : NULL;
    double position = (double)walk->at[call->ints[3]];
    if (offset)
        position += em__ref_at(offset, offset->spec.rank ? walk->at[0] * offset->strides[0] : 0);
    position *= call->floats[1];
    if (freqs)
        return position / em__ref_at(freqs, pair * freqs->strides[0]);
    return position * pow(call->floats[0], -2.0 * (double)pair / (double)call->ints[0]);
}

em_status em__ref_rope(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *x = &call->in[0];
    int rank = x->spec.rank;
    em__walk walk = {.spec = &x->spec};
    int64_t size = em__spec_size(&x->spec), dims = call->ints[0];
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t d = walk.at[rank - 1], from = em__walk_offset(&walk, x);
        double v = em__ref_at(x, from);
        if (d < dims) {
            turn t = turn_of(d, dims, call->ints[1] != 0);
            double angle = angle_of(call, &walk, t.pair);
            v = turned(v, em__ref_at(x, from + t.reach * x->strides[rank - 1]), t.second, cos(angle), sin(angle));
        }
        em__ref_store_real(x->spec.dtype, call->out.data, i, v);
    }
    return EM_OK;
}

em_status em__ref_rotary(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *x = &call->in[0];
    int last = x->spec.rank - 1;
    int64_t size = em__spec_size(&x->spec), dims = call->ints[0];
    em__spec shape = x->spec;
    shape.dims[last] = call->in[1].spec.dims[call->in[1].spec.rank - 1];
    em__tensor cosine = em__tensor_broadcast(&call->in[1], &shape), sine = em__tensor_broadcast(&call->in[2], &shape);
    em__walk walk = {.spec = &x->spec};
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        int64_t d = walk.at[last], from = em__walk_offset(&walk, x);
        double v = em__ref_at(x, from);
        if (d < dims) {
            turn t = turn_of(d, dims, call->ints[1] != 0);
            em__walk at = walk;
            at.at[last] = shape.dims[last] == dims ? d : t.pair;
            v = turned(v, em__ref_at(x, from + t.reach * x->strides[last]), t.second,
                       em__ref_at(&cosine, em__walk_offset(&at, &cosine)),
                       em__ref_at(&sine, em__walk_offset(&at, &sine)));
        }
        em__ref_store_real(x->spec.dtype, call->out.data, i, v);
    }
    return EM_OK;
}
