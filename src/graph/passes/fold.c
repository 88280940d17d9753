/*
 * Constant folding: an op whose operands are all constants is computed now, by the eager kernels, so with eager's bits.
 * Views of constants become constant views: no memory. What a fold would blow up (a broadcast made real) is left alone.
 */
#include <string.h>

#include "core/error.h"
#include "graph/ir.h"

#define LARGEST_FOLD ((int64_t)1 << 22) /* elements that a fold may create beyond its operands' */

static bool foldable(const em__graph *graph, const em__node *node)
{
    int64_t size = 0;
    /* a loop may be long, or never end; a hook is called when a program runs */
    if (em__op_get(node->op)->traits & (EM__TRAIT_CONTROL | EM__TRAIT_HOOK))
        return false;
    if (em__op_get(node->op)->traits & EM__TRAIT_LEAF)
        return node->op == EM__OP_IOTA && em__spec_size(&node->spec) <= LARGEST_FOLD;
    for (int i = 0; i < node->n_in; i++) {
        const em__node *in = &graph->nodes.data[node->in[i]];
        if (in->op != EM__OP_CONSTANT)
            return false;
        size += em__spec_size(&in->spec);
    }
    bool view = em__op_get(node->op)->traits & EM__TRAIT_VIEW;
    return view || em__spec_size(&node->spec) <= size + LARGEST_FOLD;
}

em_status em__pass_fold(em__graph *graph)
{
    for (size_t i = 0; i < graph->nodes.length; i++) {
        em__node *node = &graph->nodes.data[i];
        if (!foldable(graph, node))
            continue;
        em_array *array = em__array_new(graph->device, &node->spec, node->op, node->n_in, node->n_ints, node->n_floats);
        if (!array)
            return EM_ERROR_OUT_OF_MEMORY;
        for (int j = 0; j < node->n_in; j++)
            array->in[j] = em_array_retain(graph->nodes.data[node->in[j]].value);
        memcpy(array->ints, node->ints, (size_t)node->n_ints * sizeof *node->ints);
        memcpy(array->floats, node->floats, (size_t)node->n_floats * sizeof *node->floats);
        em_status status = em_array_eval(array);
        if (status != EM_OK)
            em_array_release(&array);
        if (status == EM_ERROR_OUT_OF_MEMORY)
            return status;
        if (status != EM_OK) /* it fails when it runs, if it runs: it may stand in a branch that is never taken */
            continue;
        node->op = EM__OP_CONSTANT;
        node->value = array;
        node->n_in = node->n_ints = node->n_floats = 0;
    }
    return EM_OK;
}
