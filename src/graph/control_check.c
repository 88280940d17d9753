/* Whether a control op and its functions fit together: asked of decoded programs, where no builder has seen to it. */
#include "core/alloc.h"
#include "core/error.h"
#include "graph/function.h"

static const em__graph *graph_of(const em__node *node, int function)
{
    return &((const em__body *)node->functions[function])->graph;
}

static em_status unfit(const em__node *node, const char *what, size_t index)
{
    return em__fail(EM_ERROR_FORMAT, "%s: %s %zu of a function does not fit", em__op_get(node->op)->name, what, index);
}

/* Inputs first .. first + n - 1 of the function are operands from, from + 1, ... of the node. */
static em_status check_inputs(const em__graph *graph, const em__node *node, int function, size_t first, int from, int n)
{
    const em__graph *g = graph_of(node, function);
    for (int i = 0; i < n; i++)
        if (first + (size_t)i >= g->n_inputs ||
            !em__spec_equal(&g->inputs[first + (size_t)i], &graph->nodes.data[node->in[from + i]].spec))
            return unfit(node, "input", first + (size_t)i);
    return first + (size_t)n == g->n_inputs ? EM_OK : unfit(node, "input", first + (size_t)n);
}

static em_status check_outputs(const em__node *node, int function, const em__spec *wanted, size_t n)
{
    const em__graph *g = graph_of(node, function);
    for (size_t i = 0; i < n && i < g->n_outputs; i++)
        if (!em__spec_equal(&g->nodes.data[g->outputs[i]].spec, &wanted[i]))
            return unfit(node, "output", i);
    return n == g->n_outputs ? EM_OK : unfit(node, "output", n);
}

static em_status check_while(const em__graph *graph, const em__node *node, const em__spec *states, int n)
{
    static const em__spec verdict = {.dtype = EM_PRED};
    int captures = (int)node->ints[1], rest = node->n_in - n - captures;
    const em__graph *condition = graph_of(node, 0), *body = graph_of(node, 1);
    if (condition->n_inputs < (size_t)n || body->n_inputs < (size_t)n)
        return unfit(node, "input", (size_t)n);
    for (int i = 0; i < n; i++)
        if (!em__spec_equal(&condition->inputs[i], &states[i]) || !em__spec_equal(&body->inputs[i], &states[i]))
            return unfit(node, "input", (size_t)i);
    EM__TRY(check_inputs(graph, node, 0, (size_t)n, n, captures));
    EM__TRY(check_inputs(graph, node, 1, (size_t)n, n + captures, rest));
    EM__TRY(check_outputs(node, 0, &verdict, 1));
    return check_outputs(node, 1, states, (size_t)n);
}

static em_status check_cond(const em__graph *graph, const em__node *node, const em__spec *results, int n)
{
    int64_t captures = node->ints[0];
    if (captures < 0 || captures > node->n_in - 1)
        return unfit(node, "capture", 0);
    EM__TRY(check_inputs(graph, node, 0, 0, 1, (int)captures));
    EM__TRY(check_inputs(graph, node, 1, 0, 1 + (int)captures, node->n_in - 1 - (int)captures));
    EM__TRY(check_outputs(node, 0, results, (size_t)n));
    return check_outputs(node, 1, results, (size_t)n);
}

em_status em__control_check(const em__graph *graph, const em__node *node)
{
    const em__spec **in = em__calloc((size_t)node->n_in, sizeof *in);
    em__spec *parts = NULL;
    int n = -1;
    em__apply apply = {node->op, node->n_in, in, node->n_ints, node->ints, node->n_floats, node->floats};
    for (int i = 0; i < node->n_in && in; i++)
        in[i] = &graph->nodes.data[node->in[i]].spec;
    if (in && (n = em__op_parts(&apply, NULL)) > 0)
        parts = em__calloc((size_t)n, sizeof *parts);
    em_status status = !in ? EM_ERROR_OUT_OF_MEMORY : n <= 0 ? unfit(node, "output", 0) : EM_OK;
    if (status == EM_OK && !parts)
        status = EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK && em__op_parts(&apply, parts) < 0)
        status = em_last_status();
    if (status == EM_OK)
        status = node->op == EM__OP_WHILE ? check_while(graph, node, parts, n) : check_cond(graph, node, parts, n);
    em__free(parts);
    em__free(in);
    return status;
}
