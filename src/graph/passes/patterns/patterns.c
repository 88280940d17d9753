/*
 * The pass: every node, in order, as the last one of each pattern. What one pattern makes, a later one may be made of:
 * a product of a silu, an attention of a softmax.
 */
#include "core/log.h"
#include "graph/passes/patterns/match.h"

static const char *const names[EM__PATTERN_COUNT] = {
    [EM__PATTERN_SIGMOID] = "sigmoid",   [EM__PATTERN_SILU] = "silu",       [EM__PATTERN_GELU] = "gelu",
    [EM__PATTERN_GATED] = "gated",       [EM__PATTERN_SOFTMAX] = "softmax", [EM__PATTERN_LAYER_NORM] = "layer_norm",
    [EM__PATTERN_RMS_NORM] = "rms_norm", [EM__PATTERN_ROTARY] = "rotary",   [EM__PATTERN_ATTENTION] = "attention",
};

const char *em__pattern_name(em__pattern pattern)
{
    return names[pattern];
}

typedef bool (*pattern_fn)(em__match *m, int root);

static bool try_all(em__match *m, const pattern_fn *patterns, size_t n, int root)
{
    for (size_t k = 0; k < n && m->status == EM_OK; k++)
        if (patterns[k](m, root))
            return true;
    return false;
}

/* Those whose root is this op; the order matters where one would spoil the other. */
static bool try_root(em__match *m, int root)
{
    static const pattern_fn mul[] = {em__pattern_norm,    em__pattern_norm_affine, em__pattern_softmax,
                                     em__pattern_sigmoid, em__pattern_gelu,        em__pattern_gated};
    static const pattern_fn div[] = {em__pattern_norm, em__pattern_softmax, em__pattern_sigmoid, em__pattern_gelu};
    static const pattern_fn add[] = {em__pattern_norm_affine, em__pattern_rotary};
    switch (em__match_node(m, root)->op) {
    case EM__OP_MUL: return try_all(m, mul, sizeof mul / sizeof *mul, root);
    case EM__OP_DIV: return try_all(m, div, sizeof div / sizeof *div, root);
    case EM__OP_ADD: return try_all(m, add, sizeof add / sizeof *add, root);
    case EM__OP_RECIPROCAL: return em__pattern_sigmoid(m, root);
    case EM__OP_CAST: return em__pattern_cast(m, root);
    case EM__OP_CONCATENATE:
    case EM__OP_RESHAPE: return em__pattern_rotary(m, root);
    case EM__OP_DOT_GENERAL: return em__pattern_attention(m, root);
    default: return false;
    }
}

/* A view or a cast that changes nothing. */
static bool is_idle(const em__graph *graph, const em__node *node)
{
    if (node->op != EM__OP_BROADCAST_TO && node->op != EM__OP_RESHAPE && node->op != EM__OP_CAST &&
        node->op != EM__OP_TRANSPOSE)
        return false;
    for (int d = 0; d < node->n_ints && node->op == EM__OP_TRANSPOSE; d++)
        if (node->ints[d] != d)
            return false;
    return em__spec_equal(&node->spec, &graph->nodes.data[node->in[0]].spec);
}

/* Everyone uses what an idle node shows instead of it, so that no pattern need look through it. */
static void bypass_idle(em__graph *graph)
{
    for (size_t i = 0; i < graph->nodes.length; i++) {
        em__node *node = &graph->nodes.data[i];
        for (int j = 0; j < node->n_in; j++)
            while (is_idle(graph, &graph->nodes.data[node->in[j]]))
                node->in[j] = graph->nodes.data[node->in[j]].in[0];
    }
}

em_status em__pass_patterns(em__graph *graph)
{
    em__match m = {.graph = graph, .status = EM_OK};
    graph->patterns = em__arena_calloc(&graph->arena, 1, sizeof *graph->patterns);
    if (!graph->patterns)
        return EM_ERROR_OUT_OF_MEMORY;
    bypass_idle(graph);
    EM__TRY(em__graph_sweep(graph)); /* nodes that nobody needs must not count as users */
    size_t length = graph->nodes.length;
    em__graph_count_uses(graph);
    for (size_t i = 0; i < length && m.status == EM_OK; i++)
        if (em__match_node(&m, (int)i)->uses > 0)
            for (int round = 0; round < 4 && try_root(&m, (int)i); round++)
                ;
    for (int k = 0; k < EM__PATTERN_COUNT; k++)
        if (graph->patterns->matched[k])
            em__log(EM_LOG_DEBUG, "pattern: %s, %d times", names[k], graph->patterns->matched[k]);
    return m.status;
}
