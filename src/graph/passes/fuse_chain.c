/*
 * Chains of elementwise ops, with the broadcasts among them and reductions over the last axes, become one kernel each
 * that keeps its intermediate values in cache. Steps round as the ops do: the error against eager is 0, but that where
 * two NaN meet the other one may come through.
 */
#include "core/error.h"
#include "graph/passes/chain_region.h"

em_status em__pass_fuse_chain(em__graph *graph)
{
    size_t length = graph->nodes.length;
    if (!graph->device->vtable->chains)
        return EM_OK;
    em__region_marks marks = {em__arena_calloc(&graph->arena, length, sizeof(int)),
                              em__arena_calloc(&graph->arena, length, sizeof(int))};
    unsigned char *taken = em__arena_calloc(&graph->arena, length, 1);
    if (!marks.inside || !marks.slot || !taken)
        return EM_ERROR_OUT_OF_MEMORY;
    em__graph_count_uses(graph);
    for (int root = (int)length - 1; root >= 0; root--) {
        em__region region;
        bool done = false;
        if (taken[root])
            continue;
        for (int most = EM__CHAIN_STEPS; most > 1 && !done; most /= 2) {
            if (!em__region_grow(&region, graph, &marks, root, most))
                break;
            em_status status = em__region_emit(&region, graph, &marks, &done);
            for (int i = 0; i < region.n_nodes && done; i++)
                taken[region.nodes[i]] = 1;
            em__region_clear(&region, &marks);
            EM__TRY(status);
        }
    }
    return EM_OK;
}
