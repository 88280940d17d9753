/*
 * Sibling products: fused_linear(x, W1, b1), fused_linear(x, W2, b2), ... -> slices of one fused_linear over all
 * weights (a transformer's q, k and v). Only plain products with bias, whose weights the device packs one behind the
 * other: widths must be multiples of 32. Each column keeps its bits.
 */
#include <string.h>

#include "core/error.h"
#include "graph/ir.h"

#define MOST 8
#define GRANULE 32 /* columns of a packed panel; a narrower rest would leave a gap between weights */

static bool mergeable(const em__node *node)
{
    return node->op == EM__OP_FUSED_LINEAR && node->ints[0] == EM__OP_COPY && node->ints[1] == 1 &&
           node->ints[2] == 1 && node->spec.dims[node->spec.rank - 1] % GRANULE == 0;
}

/* Of one x, with weights of one dtype. */
static bool siblings(const em__graph *graph, size_t i, size_t j)
{
    const em__node *a = &graph->nodes.data[i], *b = &graph->nodes.data[j];
    return a->in[0] == b->in[0] && a->spec.dtype == b->spec.dtype &&
           graph->nodes.data[a->in[1]].spec.dtype == graph->nodes.data[b->in[1]].spec.dtype;
}

/* The biases end to end, as a constant. */
static int joined_bias(em__graph *graph, const int *group, int n, int64_t columns)
{
    em__spec spec = {.dtype = graph->nodes.data[group[0]].spec.dtype, .rank = 1, .dims = {columns}};
    em_array *bias = em__array_new(graph->device, &spec, EM__OP_CONCATENATE, n, 1, 0);
    if (!bias)
        return -1;
    for (int i = 0; i < n; i++)
        bias->in[i] = em_array_retain(graph->nodes.data[graph->nodes.data[group[i]].in[2]].value);
    if (em_array_eval(bias) != EM_OK) {
        em_array_release(&bias);
        return -1;
    }
    return em__graph_add_constant(graph, bias);
}

/* Node `index` becomes columns from .. from + width of node `wide`. */
static em_status become_slice(em__graph *graph, int index, int wide, int64_t from)
{
    em__spec spec = graph->nodes.data[index].spec;
    int rank = spec.rank;
    EM__TRY(em__graph_rewrite(graph, index, EM__OP_SLICE, 1, 3 * rank, 0));
    em__node *node = &graph->nodes.data[index];
    node->in[0] = wide;
    for (int i = 0; i < rank; i++) {
        node->ints[i] = i == rank - 1 ? from : 0;
        node->ints[rank + i] = node->ints[i] + spec.dims[i];
        node->ints[2 * rank + i] = 1;
    }
    return EM_OK;
}

static em_status merge(em__graph *graph, const int *group, int n)
{
    em__spec spec = graph->nodes.data[group[0]].spec;
    int last = spec.rank - 1, x = graph->nodes.data[group[0]].in[0];
    int64_t columns = 0;
    for (int i = 0; i < n; i++)
        columns += graph->nodes.data[group[i]].spec.dims[last];
    int bias = joined_bias(graph, group, n, columns);
    em__node *wide = bias >= 0 ? em__graph_add(graph, EM__OP_FUSED_LINEAR, 2 + n, 3, 0) : NULL;
    if (!wide)
        return EM_ERROR_OUT_OF_MEMORY;
    int at = (int)graph->nodes.length - 1;
    spec.dims[last] = columns;
    wide->spec = spec;
    wide->ints[0] = EM__OP_COPY;
    wide->ints[1] = 1;
    wide->ints[2] = n;
    wide->in[0] = x;
    wide->in[2] = bias;
    for (int i = 0; i < n; i++)
        wide->in[em__linear_weight(wide->ints, i)] = graph->nodes.data[group[i]].in[1];
    columns = 0;
    for (int i = 0; i < n; i++) {
        int64_t width = graph->nodes.data[group[i]].spec.dims[last];
        EM__TRY(become_slice(graph, group[i], at, columns));
        columns += width;
    }
    return EM_OK;
}

em_status em__pass_merge_linear(em__graph *graph)
{
    size_t length = graph->nodes.length;
    for (size_t i = 0; i < length; i++) {
        int group[MOST] = {(int)i}, n = 1;
        if (!mergeable(&graph->nodes.data[i]))
            continue;
        for (size_t j = i + 1; j < length && n < MOST; j++)
            if (mergeable(&graph->nodes.data[j]) && siblings(graph, i, j))
                group[n++] = (int)j;
        if (n > 1)
            EM__TRY(merge(graph, group, n));
    }
    return EM_OK;
}
