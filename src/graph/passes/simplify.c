/*
 * What need not be computed: reshapes, transposes, broadcasts and casts that cancel or join, arithmetic with a neutral
 * constant, and transposes before a product, whose axes are named instead. All exact: the values stay, only a NaN may
 * be another NaN.
 *
 * A cast pair goes when the first cast loses nothing. x + 0 stays for floats, since it makes 0 of -0; x + -0, x - 0,
 * x * 1 and x / 1 go.
 */
#include <string.h>

#include "core/error.h"
#include "graph/ir.h"

/* Bits of an integer that the dtype holds exactly: of floats the significand. */
static int exact_bits(em_dtype dtype)
{
    switch (dtype) {
    case EM_F16: return 11;
    case EM_BF16: return 8;
    case EM_F32: return 24;
    case EM_F64: return 53;
    default: return (int)em_dtype_bits(dtype) - (em_dtype_get_kind(dtype) == EM_KIND_SIGNED);
    }
}

/* Every value of `from` is one of `to`. */
static bool lossless(em_dtype from, em_dtype to)
{
    em_dtype_kind a = em_dtype_get_kind(from), b = em_dtype_get_kind(to);
    bool plain = to != EM_F8_E4M3FN && to != EM_F8_E5M2 && from != EM_F8_E4M3FN && from != EM_F8_E5M2;
    if (from == to)
        return true;
    if (!plain || a == EM_KIND_COMPLEX || b == EM_KIND_COMPLEX || b == EM_KIND_BOOL)
        return false;
    if (a == EM_KIND_BOOL)
        return true;
    if (a == EM_KIND_FLOAT)
        return b == EM_KIND_FLOAT && em_dtype_size(to) > em_dtype_size(from);
    if (a == EM_KIND_SIGNED && b == EM_KIND_UNSIGNED)
        return false;
    return exact_bits(from) <= exact_bits(to);
}

/* What a constant that is one value throughout is: 1, 0, -0 (then `negative`), or something else (-1). */
static int neutral_value(const em__node *node, bool *negative)
{
    static const uint64_t ones[EM_DTYPE_COUNT] = {
        [EM_F16] = 0x3c00, [EM_BF16] = 0x3f80, [EM_F32] = 0x3f800000, [EM_F64] = 0x3ff0000000000000};
    em_dtype dtype = node->spec.dtype;
    size_t size = em_dtype_size(dtype);
    bool real = em_dtype_get_kind(dtype) == EM_KIND_FLOAT, integer = em_dtype_get_kind(dtype) < EM_KIND_FLOAT;
    uint64_t bits = 0;
    *negative = false;
    if (node->op != EM__OP_CONSTANT || em__spec_size(&node->spec) != 1 || size > 8 || !(integer || ones[dtype]))
        return -1;
    em__tensor tensor;
    if (em__array_tensor_on(node->value, NULL, &tensor) != EM_OK)
        return -1;
    memcpy(&bits, tensor.data, size);
    if (real && bits == (uint64_t)1 << (size * 8 - 1)) {
        *negative = true;
        return 0;
    }
    return bits == 0 ? 0 : bits == (real ? ones[dtype] : 1) ? 1 : -1;
}

/* The operand that the op with a neutral constant gives back; -1 when it is not one. */
static int without_neutral(const em__graph *graph, const em__node *node)
{
    bool commutes = node->op == EM__OP_ADD || node->op == EM__OP_MUL, negative;
    bool known = commutes || node->op == EM__OP_SUB || node->op == EM__OP_DIV || node->op == EM__OP_QUOTIENT;
    bool real = em_dtype_get_kind(node->spec.dtype) == EM_KIND_FLOAT;
    for (int j = 0; j < 2 && known; j++) {
        int value = neutral_value(&graph->nodes.data[node->in[j]], &negative), other = node->in[1 - j];
        bool goes = node->op == EM__OP_ADD   ? value == 0 && (negative || !real)
                    : node->op == EM__OP_SUB ? value == 0 && !negative
                                             : value == 1;
        if (goes && (j == 1 || commutes) && em__spec_equal(&graph->nodes.data[other].spec, &node->spec))
            return other;
    }
    return -1;
}

/* Casts, negations and views: passes over what cancels, in place; what the node then equals, or -1. */
static int without_detour(em__graph *graph, em__node *node)
{
    const em__node *in = &graph->nodes.data[node->in[0]];
    int rank = node->spec.rank;
    switch (node->op) {
    case EM__OP_NEG: return in->op == EM__OP_NEG ? in->in[0] : -1;
    case EM__OP_CAST:
        if (in->op == EM__OP_CAST) {
            em_dtype from = graph->nodes.data[in->in[0]].spec.dtype;
            if (lossless(from, in->spec.dtype) && lossless(from, node->spec.dtype))
                node->in[0] = in->in[0];
        }
        break;
    case EM__OP_RESHAPE:
    case EM__OP_BROADCAST_TO:
        if (in->op == node->op)
            node->in[0] = in->in[0];
        break;
    case EM__OP_TRANSPOSE:
        if (in->op == EM__OP_TRANSPOSE) {
            node->in[0] = in->in[0];
            for (int i = 0; i < rank; i++)
                node->ints[i] = in->ints[node->ints[i]];
        }
        for (int i = 0; i < rank; i++)
            if (node->ints[i] != i)
                return -1;
        break;
    default: return -1;
    }
    return em__spec_equal(&graph->nodes.data[node->in[0]].spec, &node->spec) ? node->in[0] : -1;
}

/* Operand `which` of a product is a transpose that leaves the free axes in their order: the product reads what was
 * transposed and names its axes as they stand there. */
static void read_transposed(em__graph *graph, em__node *node, int which)
{
    const em__node *in = &graph->nodes.data[node->in[which]];
    int n_contract = (int)node->ints[0], n_batch = (int)node->ints[1];
    int64_t *contract = node->ints + 2 + which * n_contract;
    int64_t *batch = node->ints + 2 + 2 * n_contract + which * n_batch, last = -1;
    if (in->op != EM__OP_TRANSPOSE)
        return;
    for (int d = 0; d < in->spec.rank; d++) {
        if (em__axis_listed(contract, n_contract, d) || em__axis_listed(batch, n_batch, d))
            continue;
        if (in->ints[d] < last)
            return;
        last = in->ints[d];
    }
    for (int i = 0; i < n_contract; i++)
        contract[i] = in->ints[contract[i]];
    for (int i = 0; i < n_batch; i++)
        batch[i] = in->ints[batch[i]];
    node->in[which] = in->in[0];
}

em_status em__pass_simplify(em__graph *graph)
{
    size_t length = graph->nodes.length;
    int *same = em__arena_calloc(&graph->arena, length, sizeof *same);
    if (!same)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < length; i++) {
        em__node *node = &graph->nodes.data[i];
        for (int j = 0; j < node->n_in; j++)
            node->in[j] = same[node->in[j]];
        int other = node->n_in == 1 ? without_detour(graph, node) : node->n_in == 2 ? without_neutral(graph, node) : -1;
        if (node->op == EM__OP_DOT_GENERAL) {
            read_transposed(graph, node, 0);
            read_transposed(graph, node, 1);
        }
        same[i] = other >= 0 ? other : (int)i;
    }
    for (size_t i = 0; i < graph->n_outputs; i++)
        graph->outputs[i] = same[graph->outputs[i]];
    return EM_OK;
}
