/* Which composition defines which op, and the short ones. */
#include "fast/compose.h"

#include <math.h>

#include <emily/ops.h>

#include "core/error.h"

static const struct {
    em__op op;
    em_array *(*compose)(em_scope *s, const em__fast_call *call);
} table[] = {
    {EM__OP_SOFTMAX, em__compose_softmax},
    {EM__OP_LAYER_NORM, em__compose_norm},
    {EM__OP_RMS_NORM, em__compose_norm},
    {EM__OP_FUSED_LAYER_NORM, em__compose_norm},
    {EM__OP_ROPE, em__compose_rope},
    {EM__OP_ROTARY, em__compose_rotary},
    {EM__OP_KV_UPDATE, em__compose_kv_update},
    {EM__OP_KV_CODES, em__compose_kv_codes},
    {EM__OP_KV_SCALES, em__compose_kv_scales},
    {EM__OP_SDPA, em__compose_sdpa},
    {EM__OP_SDPA_SEGMENTS, em__compose_sdpa_segments},
    {EM__OP_SEGMENT_POOL, em__compose_segment_pool},
    {EM__OP_FUSED_LINEAR, em__compose_fused_linear},
    {EM__OP_GELU, em__compose_gelu},
    {EM__OP_GELU_TANH, em__compose_gelu},
    {EM__OP_SILU, em__compose_gelu},
    {EM__OP_SWIGLU, em__compose_gated},
    {EM__OP_GEGLU, em__compose_gated},
    {EM__OP_GEGLU_TANH, em__compose_gated},
};

em_array *em__compose(em_scope *s, const em__fast_call *call)
{
    if (!em__scope_ok(s, call->in, call->n_in, em__op_get(call->op)->name))
        return NULL;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].op == call->op)
            return table[i].compose(s, call);
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s is a primitive op: it has no composition", em__op_get(call->op)->name);
    return em__scope_fail(s);
}

static em_array *number(em_scope *s, const em_array *like, double value)
{
    return em_scalar(s, em_array_dtype(like), value);
}

em_array *em__compose_softmax(em_scope *s, const em__fast_call *call)
{
    em_axes axis = EM_AXES((int)call->ints[0]);
    em_array *e = em_exp(s, em_sub(s, call->in[0], em_max(s, call->in[0], axis, true)));
    return em_div(s, e, em_sum(s, e, axis, true));
}

em_array *em__compose_norm(em_scope *s, const em__fast_call *call)
{
    bool fused = call->op == EM__OP_FUSED_LAYER_NORM, centre = call->op != EM__OP_RMS_NORM;
    em_axes last = EM_AXES(-1);
    int next = fused ? 2 : 1;
    em_array *x = fused ? em_add(s, call->in[0], call->in[1]) : call->in[0];
    if (!x)
        return NULL;
    em_array *eps = number(s, x, call->floats[0]);
    if (centre)
        x = em_sub(s, x, em_mean(s, x, last, true));
    em_array *y = em_div(s, x, em_sqrt(s, em_add(s, em_mean(s, em_square(s, x), last, true), eps)));
    if (call->ints[0] & 1)
        y = em_mul(s, y, call->in[next++]);
    return call->ints[0] & 2 ? em_add(s, y, call->in[next]) : y;
}

em_array *em__compose_gelu(em_scope *s, const em__fast_call *call)
{
    em_array *x = call->in[0], *half = number(s, x, 0.5), *one = number(s, x, 1);
    if (call->op == EM__OP_SILU)
        return em_mul(s, x, em_sigmoid(s, x));
    if (call->op == EM__OP_GELU)
        return em_mul(s, em_mul(s, half, x), em_add(s, one, em_erf(s, em_mul(s, x, number(s, x, M_SQRT1_2)))));
    em_array *cube = em_mul(s, em_square(s, x), x);
    em_array *inner = em_mul(s, number(s, x, sqrt(2 / M_PI)), em_add(s, x, em_mul(s, number(s, x, 0.044715), cube)));
    return em_mul(s, em_mul(s, half, x), em_add(s, one, em_tanh(s, inner)));
}

em_array *em__compose_gated(em_scope *s, const em__fast_call *call)
{
    em__op gate = call->op == EM__OP_SWIGLU ? EM__OP_SILU : call->op == EM__OP_GEGLU ? EM__OP_GELU : EM__OP_GELU_TANH;
    em__fast_call inner = {.op = gate, .in = call->in, .n_in = 1};
    return em_mul(s, em__compose_gelu(s, &inner), call->in[1]);
}

static em_array *activated(em_scope *s, em__op op, em_array *x)
{
    switch (op) {
    case EM__OP_GELU: return em_gelu(s, x);
    case EM__OP_GELU_TANH: return em_gelu_tanh(s, x);
    case EM__OP_SILU: return em_silu(s, x);
    case EM__OP_RELU: return em_relu(s, x);
    case EM__OP_TANH: return em_tanh(s, x);
    case EM__OP_SIGMOID: return em_sigmoid(s, x);
    default: return x;
    }
}

em_array *em__compose_fused_linear(em_scope *s, const em__fast_call *call)
{
    em_array *pieces[8];
    int n = (int)call->ints[2], next = 2;
    for (int i = 0; i < n && i < 8; i++)
        pieces[i] = em_linear(s, call->in[0], call->in[em__linear_weight(call->ints, i)], NULL);
    em_array *y = n == 1 ? pieces[0] : em_concatenate(s, pieces, (size_t)n, -1);
    if (call->ints[1] & 1)
        y = em_add(s, y, call->in[next++]);
    y = activated(s, (em__op)call->ints[0], y);
    return call->ints[1] & 2 ? em_add(s, y, call->in[next]) : y;
}
