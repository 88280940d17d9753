/* The graph's own operations: growing, sweeping, verifying. */
#include "graph/function.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

static void let_go(em__node *node)
{
    em_array_release(&node->value);
    for (int i = 0; i < EM__FUNCTIONS; i++)
        em__function_release(&node->functions[i]);
}

void em__graph_free(em__graph *graph)
{
    for (size_t i = 0; i < graph->nodes.length; i++)
        let_go(&graph->nodes.data[i]);
    em__vec_free(&graph->nodes);
    em__arena_clear(&graph->arena);
    *graph = (em__graph){0};
}

static em_status give_lists(em__graph *graph, em__node *node, int n_in, int n_ints, int n_floats)
{
    int *in = em__arena_calloc(&graph->arena, (size_t)n_in, sizeof *in);
    int64_t *ints = em__arena_calloc(&graph->arena, (size_t)n_ints, sizeof *ints);
    double *floats = em__arena_calloc(&graph->arena, (size_t)n_floats, sizeof *floats);
    if (!in || !ints || !floats)
        return EM_ERROR_OUT_OF_MEMORY;
    node->in = in;
    node->ints = ints;
    node->floats = floats;
    node->n_in = n_in;
    node->n_ints = n_ints;
    node->n_floats = n_floats;
    return EM_OK;
}

em__node *em__graph_add(em__graph *graph, em__op op, int n_in, int n_ints, int n_floats)
{
    em__node node = {.op = op};
    if (give_lists(graph, &node, n_in, n_ints, n_floats) != EM_OK || em__vec_push(&graph->nodes, node) != EM_OK)
        return NULL;
    return &graph->nodes.data[graph->nodes.length - 1];
}

int em__graph_add_constant(em__graph *graph, em_array *value)
{
    em__node *node = em__graph_add(graph, EM__OP_CONSTANT, 0, 0, 0);
    if (!node) {
        em_array_release(&value);
        return -1;
    }
    node->spec = value->spec;
    node->value = value;
    return (int)graph->nodes.length - 1;
}

em_status em__graph_rewrite(em__graph *graph, int node, em__op op, int n_in, int n_ints, int n_floats)
{
    EM__TRY(give_lists(graph, &graph->nodes.data[node], n_in, n_ints, n_floats));
    graph->nodes.data[node].op = op;
    return EM_OK;
}

void em__graph_count_uses(em__graph *graph)
{
    for (size_t i = 0; i < graph->nodes.length; i++)
        graph->nodes.data[i].uses = 0;
    for (size_t i = 0; i < graph->nodes.length; i++)
        for (int j = 0; j < graph->nodes.data[i].n_in; j++)
            graph->nodes.data[graph->nodes.data[i].in[j]].uses++;
    for (size_t i = 0; i < graph->n_outputs; i++)
        graph->nodes.data[graph->outputs[i]].uses++;
}

/* Depth first from one output: appends to `order` what it needs, operands before users. place: 0 unseen, 1 on the
 * stack, 2 placed. */
static void order_from(const em__graph *graph, int root, unsigned char *place, int *stack, int *order, int *count)
{
    int depth = 0;
    if (place[root])
        return;
    stack[depth++] = root;
    place[root] = 1;
    while (depth) {
        const em__node *node = &graph->nodes.data[stack[depth - 1]];
        int next = -1;
        for (int j = 0; j < node->n_in && next < 0; j++)
            next = place[node->in[j]] ? -1 : node->in[j];
        if (next >= 0) {
            place[next] = 1;
            stack[depth++] = next;
        } else {
            order[(*count)++] = stack[--depth];
        }
    }
}

em_status em__graph_sweep(em__graph *graph)
{
    size_t length = graph->nodes.length;
    unsigned char *place = em__arena_calloc(&graph->arena, length, 1);
    int *stack = em__arena_calloc(&graph->arena, length, sizeof *stack);
    int *order = em__arena_calloc(&graph->arena, length, sizeof *order);
    int *renamed = em__arena_calloc(&graph->arena, length, sizeof *renamed);
    em__node *nodes = em__alloc((length ? length : 1) * sizeof *nodes);
    int count = 0;
    if (!place || !stack || !order || !renamed || !nodes) {
        em__free(nodes);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    for (size_t i = 0; i < graph->n_outputs; i++)
        order_from(graph, graph->outputs[i], place, stack, order, &count);
    for (int i = 0; i < count; i++)
        renamed[order[i]] = i;
    for (int i = 0; i < count; i++) {
        nodes[i] = graph->nodes.data[order[i]];
        for (int j = 0; j < nodes[i].n_in; j++)
            nodes[i].in[j] = renamed[nodes[i].in[j]];
    }
    for (size_t i = 0; i < length; i++)
        if (!place[i])
            let_go(&graph->nodes.data[i]);
    for (size_t i = 0; i < graph->n_outputs; i++)
        graph->outputs[i] = renamed[graph->outputs[i]];
    em__free(graph->nodes.data);
    graph->nodes.data = nodes;
    graph->nodes.length = (size_t)count;
    graph->nodes.capacity = length ? length : 1;
    return EM_OK;
}

/* Calls the op's rule, after em__op_check if the node is of unknown origin. */
static em_status infer_node(const em__graph *graph, const em__node *node, bool check, em__spec *spec)
{
    const em__spec *few[16];
    const em__spec **in = node->n_in <= 16 ? few : em__alloc((size_t)node->n_in * sizeof *in);
    if (!in)
        return EM_ERROR_OUT_OF_MEMORY;
    for (int j = 0; j < node->n_in; j++)
        in[j] = &graph->nodes.data[node->in[j]].spec;
    em__apply apply = {node->op, node->n_in, in, node->n_ints, node->ints, node->n_floats, node->floats};
    em_status status = check ? em__op_check(&apply) : EM_OK;
    if (status == EM_OK)
        status = em__op_infer(&apply, spec);
    if (in != few)
        em__free(in);
    return status;
}

static em_status verify_node(const em__graph *graph, const em__node *node, int index, const char *after)
{
    em__spec spec;
    char is[EM__SPEC_TEXT], should[EM__SPEC_TEXT];
    const char *name = em__op_get(node->op)->name;
    for (int j = 0; j < node->n_in; j++)
        EM__FAIL_IF(node->in[j] < 0 || node->in[j] >= index, EM_ERROR_INTERNAL,
                    "after %s: node %d (%s) reads node %d, which does not precede it", after, index, name, node->in[j]);
    if (node->op == EM__OP_CONSTANT)
        return EM_OK;
    EM__TRY(infer_node(graph, node, false, &spec));
    EM__FAIL_IF(!em__spec_equal(&spec, &node->spec), EM_ERROR_INTERNAL, "after %s: node %d (%s) is %s, should be %s",
                after, index, name, em__spec_print(&node->spec, is, sizeof is),
                em__spec_print(&spec, should, sizeof should));
    return EM_OK;
}

em_status em__graph_check_node(const em__graph *graph, em__node *node)
{
    EM__TRY(infer_node(graph, node, true, &node->spec));
    if (node->op == EM__OP_INPUT) {
        int64_t index = node->ints[1];
        EM__FAIL_IF(index < 0 || (size_t)index >= graph->n_inputs ||
                        !em__spec_equal(&graph->inputs[index], &node->spec),
                    EM_ERROR_FORMAT, "input %lld is not one of the program's %zu", (long long)index, graph->n_inputs);
    }
    return node->functions[0] ? em__control_check(graph, node) : EM_OK;
}

em_status em__graph_verify(const em__graph *graph, const char *after)
{
    for (size_t i = 0; i < graph->nodes.length; i++)
        EM__TRY(verify_node(graph, &graph->nodes.data[i], (int)i, after));
    return EM_OK;
}

static em_status copy_nodes(em__graph *to, const em__graph *from)
{
    for (size_t i = 0; i < from->nodes.length; i++) {
        const em__node *node = &from->nodes.data[i];
        em__node *made = em__graph_add(to, node->op, node->n_in, node->n_ints, node->n_floats);
        if (!made)
            return EM_ERROR_OUT_OF_MEMORY;
        made->spec = node->spec;
        made->value = em_array_retain(node->value);
        for (int j = 0; j < EM__FUNCTIONS; j++)
            made->functions[j] = em__function_retain(node->functions[j]);
        memcpy(made->in, node->in, (size_t)node->n_in * sizeof *node->in);
        memcpy(made->ints, node->ints, (size_t)node->n_ints * sizeof *node->ints);
        memcpy(made->floats, node->floats, (size_t)node->n_floats * sizeof *node->floats);
    }
    return EM_OK;
}

em_status em__graph_copy(em__graph *to, const em__graph *from)
{
    to->device = from->device;
    to->n_inputs = from->n_inputs;
    to->n_outputs = from->n_outputs;
    to->inputs = em__arena_calloc(&to->arena, from->n_inputs, sizeof *to->inputs);
    to->outputs = em__arena_calloc(&to->arena, from->n_outputs, sizeof *to->outputs);
    if (!to->inputs || !to->outputs)
        return EM_ERROR_OUT_OF_MEMORY;
    memcpy(to->inputs, from->inputs, from->n_inputs * sizeof *to->inputs);
    memcpy(to->outputs, from->outputs, from->n_outputs * sizeof *to->outputs);
    return copy_nodes(to, from);
}
