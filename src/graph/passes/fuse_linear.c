/*
 * Products with their surroundings:
 *
 *   dot(x, W)                        -> fused_linear(x, W)
 *   fused_linear(x, W) + b           -> fused_linear(x, W, b)
 *   act(fused_linear(x, W, b))       -> fused_linear(x, W, b, act)
 *   fused_linear(x, W, b, act) + r   -> fused_linear(x, W, b, act, r)
 *
 * W is a constant matrix, f32 or half, x f32; b a constant row, act one of a few unary ops; the inner node must have
 * no other user. Each step rounds where the composition rounds, so the bits stay.
 */
#include "core/error.h"
#include "graph/ir.h"

static const em__op activations[] = {EM__OP_GELU, EM__OP_GELU_TANH, EM__OP_SILU,
                                     EM__OP_RELU, EM__OP_TANH,      EM__OP_SIGMOID};

static bool is_activation(em__op op)
{
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (activations[i] == op)
            return true;
    return false;
}

static bool worth_fusing(em_device *device, em_dtype dtype)
{
    return device->vtable->fuses_linear ? device->vtable->fuses_linear(device, dtype) : dtype == EM_F32;
}

/* dot(x, W): depth is x's last axis, and W's last or first; a W with depth first is looked at transposed. */
static em_status match_dot(em__graph *graph, int index)
{
    em__node *node = &graph->nodes.data[index];
    if (node->op != EM__OP_DOT_GENERAL)
        return EM_OK;
    em__dot dot = em__dot_decode(node->ints);
    int x = node->in[0], w = node->in[1];
    const em__node *weight = &graph->nodes.data[w];
    bool fits = dot.n_contract == 1 && dot.n_batch == 0 && dot.contract_a[0] == graph->nodes.data[x].spec.rank - 1 &&
                weight->op == EM__OP_CONSTANT && weight->spec.rank == 2 &&
                worth_fusing(graph->device, node->spec.dtype);
    if (!fits)
        return EM_OK;
    if (dot.contract_b[0] == 0) {
        em__spec spec = weight->spec;
        spec.dims[0] = weight->spec.dims[1];
        spec.dims[1] = weight->spec.dims[0];
        em_array *turned = em__array_new(graph->device, &spec, EM__OP_TRANSPOSE, 1, 2, 0);
        if (!turned)
            return EM_ERROR_OUT_OF_MEMORY;
        turned->in[0] = em_array_retain(weight->value);
        turned->ints[0] = 1;
        em_status status = em_array_eval(turned);
        if (status != EM_OK) {
            em_array_release(&turned);
            return status;
        }
        w = em__graph_add_constant(graph, turned);
        if (w < 0)
            return EM_ERROR_OUT_OF_MEMORY;
        graph->nodes.data[w].uses = 1;
    }
    EM__TRY(em__graph_rewrite(graph, index, EM__OP_FUSED_LINEAR, 2, 3, 0));
    node = &graph->nodes.data[index];
    node->in[0] = x;
    node->in[1] = w;
    node->ints[0] = EM__OP_COPY;
    node->ints[2] = 1;
    return EM_OK;
}

/* Node `index` becomes `inner`, a fused_linear, with one more operand (or none: -1) and attributes changed. */
static em_status absorb(em__graph *graph, int index, int inner, int64_t activation, int64_t mask, int operand)
{
    int n = graph->nodes.data[inner].n_in;
    EM__TRY(em__graph_rewrite(graph, index, EM__OP_FUSED_LINEAR, n + (operand >= 0), 3, 0));
    em__node *node = &graph->nodes.data[index], *from = &graph->nodes.data[inner];
    for (int i = 0; i < n; i++)
        node->in[i] = from->in[i];
    if (operand >= 0)
        node->in[n] = operand;
    node->ints[0] = activation;
    node->ints[1] = mask;
    node->ints[2] = 1;
    return EM_OK;
}

static bool is_row_of(const em__node *bias, const em__node *of)
{
    int64_t columns = of->spec.dims[of->spec.rank - 1];
    return bias->op == EM__OP_CONSTANT && bias->spec.rank == 1 && bias->spec.dims[0] == columns;
}

/* `index` adds `other` to the fused_linear `inner`, which has no other user. */
static em_status match_add(em__graph *graph, int index, int inner, int other)
{
    const em__node *linear = &graph->nodes.data[inner], *addend = &graph->nodes.data[other];
    if (linear->op != EM__OP_FUSED_LINEAR || linear->uses != 1 || linear->ints[1] & 2)
        return EM_OK;
    const bool plain = linear->ints[0] == EM__OP_COPY;
    if (plain && linear->ints[1] == 0 && is_row_of(addend, linear))
        return absorb(graph, index, inner, EM__OP_COPY, 1, other);
    if (em__spec_equal(&addend->spec, &linear->spec) && inner != other)
        return absorb(graph, index, inner, linear->ints[0], linear->ints[1] | 2, other);
    return EM_OK;
}

em_status em__pass_fuse_linear(em__graph *graph)
{
    size_t length = graph->nodes.length;
    em__graph_count_uses(graph);
    for (size_t i = 0; i < length; i++) {
        EM__TRY(match_dot(graph, (int)i));
        em__node *node = &graph->nodes.data[i];
        if (node->op == EM__OP_ADD) {
            EM__TRY(match_add(graph, (int)i, node->in[0], node->in[1]));
            node = &graph->nodes.data[i];
            if (node->op == EM__OP_ADD)
                EM__TRY(match_add(graph, (int)i, node->in[1], node->in[0]));
        } else if (is_activation(node->op)) {
            const em__node *inner = &graph->nodes.data[node->in[0]];
            if (inner->op == EM__OP_FUSED_LINEAR && inner->uses == 1 && inner->ints[0] == EM__OP_COPY &&
                !(inner->ints[1] & 2))
                EM__TRY(absorb(graph, (int)i, node->in[0], node->op, inner->ints[1], -1));
        }
    }
    return EM_OK;
}
