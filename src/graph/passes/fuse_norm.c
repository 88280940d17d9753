/* layer_norm(x + r) -> fused_layer_norm(x, r), when nobody else needs the sum. */
#include "core/error.h"
#include "graph/ir.h"

em_status em__pass_fuse_norm(em__graph *graph)
{
    em__graph_count_uses(graph);
    for (size_t i = 0; i < graph->nodes.length; i++) {
        em__node *node = &graph->nodes.data[i];
        if (node->op != EM__OP_LAYER_NORM)
            continue;
        const em__node *sum = &graph->nodes.data[node->in[0]];
        bool fits = sum->op == EM__OP_ADD && sum->uses == 1 &&
                    em__spec_equal(&graph->nodes.data[sum->in[0]].spec, &graph->nodes.data[sum->in[1]].spec);
        if (!fits)
            continue;
        em__node old = *node;
        int x = sum->in[0], residual = sum->in[1];
        EM__TRY(em__graph_rewrite(graph, (int)i, EM__OP_FUSED_LAYER_NORM, old.n_in + 1, 1, 1));
        node = &graph->nodes.data[i];
        node->in[0] = x;
        node->in[1] = residual;
        for (int j = 1; j < old.n_in; j++)
            node->in[j + 1] = old.in[j];
        node->ints[0] = old.ints[0];
        node->floats[0] = old.floats[0];
    }
    return EM_OK;
}
