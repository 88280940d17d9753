/* See layer.cuh. */
#include "device/cuda/layer.cuh"

namespace
{

/* EM_PARTS: none. */
int place_at(const em__parts *parts, const void *value)
{
    for (int i = 0; i < parts->n; i++)
        if (parts->each[i].value == value)
            return i;
    return EM_PARTS;
}

em__part *part_at(em__parts *parts, const void *value)
{
    const int i = place_at(parts, value);
    return i < EM_PARTS ? &parts->each[i] : NULL;
}

int place_of_cache(const em__parts *parts, const void *cache)
{
    for (int i = 0; i < parts->n; i++)
        if (parts->each[i].update && parts->each[i].update->out.data == cache)
            return i;
    return EM_PARTS;
}

bool take_norm(em__part *p, const em__call *call)
{
    if (p->norm || p->rope || !em__is_step_norm(call) || !em__tensor_is_contiguous(&call->in[0]) || !em__gain_of(call))
        return false;
    p->norm = call;
    p->value = call->out.data;
    return true;
}

/* Both halves of heads that lie row-major, from one position on. */
bool take_rope(em__part *p, const em__call *call)
{
    const em__tensor *x = &call->in[0], *at = &call->in[1], *periods = &call->in[2];
    if (p->rope || call->ints[1] || call->ints[2] != 3 || at->spec.dtype != EM_S32 || em__spec_size(&at->spec) != 1 ||
        periods->spec.dtype != EM_F32 || periods->strides[0] != 1 || em__last_of(x) != call->ints[0] ||
        !em__tensor_is_contiguous(x))
        return false;
    p->rope = call;
    p->value = call->out.data;
    return true;
}

bool take_update(em__part *p, const em__call *call)
{
    const em__tensor *cache = &call->in[0], *slot = &call->in[2];
    if (p->update || call->out.data != cache->data || slot->spec.dtype != EM_S32 || em__spec_size(&slot->spec) != 1 ||
        cache->spec.rank != 4 || cache->spec.dims[0] != 1)
        return false;
    p->update = call;
    p->value = NULL;
    return true;
}

/* Queries and keys: heads are as wide as what was normalised and turned, by the same angles. */
bool are_alike(const em__part *q, const em__part *k, int64_t size)
{
    for (const em__part *p : {q, k}) {
        const em__call *rope = p->rope, *other = q->rope;
        if (!rope != !other || (p->norm && em__last_of(&p->norm->in[0]) != size) ||
            (rope && (rope->ints[0] != size || rope->in[1].data != other->in[1].data ||
                      rope->in[2].data != other->in[2].data || rope->floats[1] != other->floats[1])))
            return false;
    }
    return true;
}

} // namespace

bool em__parts_take(em__parts *parts, const em__call *call)
{
    em__part *p;
    switch (call->op) {
    case EM__OP_RMS_NORM: return (p = part_at(parts, call->in[0].data)) && take_norm(p, call);
    case EM__OP_ROPE: return (p = part_at(parts, call->in[0].data)) && take_rope(p, call);
    case EM__OP_KV_UPDATE: return (p = part_at(parts, call->in[1].data)) && take_update(p, call);
    default: return false;
    }
}

bool em__parts_close(em__parts *parts, const em__call *call)
{
    const em__tensor *keys = &call->in[1], *values = &call->in[2];
    int *at = parts->at;
    at[EM_QUERIES] = place_at(parts, call->in[0].data);
    at[EM_KEYS] = place_of_cache(parts, keys->data);
    at[EM_VALUES] = place_of_cache(parts, values->data);
    if (at[EM_QUERIES] == EM_PARTS || at[EM_KEYS] == EM_PARTS || at[EM_VALUES] == EM_PARTS ||
        at[EM_KEYS] == at[EM_VALUES] || call->ints[1] & ~4 || call->floats[1] != 0)
        return false;
    const em__part *v = em__part_as(parts, EM_VALUES);
    return !v->norm && !v->rope && em__spec_equal(&keys->spec, &values->spec) && em__tensor_is_contiguous(keys) &&
           em__tensor_is_contiguous(values) &&
           are_alike(em__part_as(parts, EM_QUERIES), em__part_as(parts, EM_KEYS), keys->spec.dims[3]);
}

em__op em__gate_of(em__op op)
{
    return op == EM__OP_SWIGLU       ? EM__OP_SILU
           : op == EM__OP_GEGLU      ? EM__OP_GELU
           : op == EM__OP_GEGLU_TANH ? EM__OP_GELU_TANH
                                     : EM__OP_COPY;
}
