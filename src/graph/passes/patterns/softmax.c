/* Softmax written out: e / sum(e) or e (1 / sum(e)) with e = exp(x - max(x)) or exp(x), over one axis. */
#include "graph/passes/patterns/match.h"

/* The only axis of a reduction, or -1. */
static int only_axis(const em__node *reduction)
{
    int64_t mask = reduction->ints[1];
    int axis = 0;
    if (mask == 0 || mask & (mask - 1))
        return -1;
    while (!(mask >> axis & 1))
        axis++;
    return axis;
}

/* Node i is the `op` of what `x` is, repeated: the axis; -1 if not. The reduction and views are taken. */
static int reduced(em__match *m, int i, em__op op, int x)
{
    i = em__match_under(m, i, true);
    const em__node node = *em__match_node(m, i);
    if (node.op != op || !em__match_same(m, node.in[0], x))
        return -1;
    em__match_take(m, i);
    if (node.in[0] != x)
        em__match_pass(m, node.in[0]);
    return only_axis(&node);
}

/* `inverse`: the operand of the root that is 1 / sum; -1 when the root divides. */
static bool softmax(em__match *m, int root, int e, int sum, int inverse)
{
    em__match_begin(m, EM__PATTERN_SOFTMAX);
    if (inverse >= 0)
        em__match_take(m, em__match_under(m, inverse, false));
    e = em__match_under(m, e, true);
    const em__node exp = *em__match_node(m, e);
    if (exp.op != EM__OP_EXP)
        return false;
    em__match_take(m, e);
    int s = em__match_under(m, sum, true), axis = reduced(m, sum, EM__OP_SUM, e);
    if (axis < 0) {
        const em__node *node = em__match_node(m, s);
        if (node->op == EM__OP_SUM && em__match_same(m, node->in[0], e))
            return em__match_miss(m, "the sum is over more than one axis");
        return false;
    }
    int x = exp.in[0];
    for (int depth = 0; depth < 2 && em__match_node(m, x)->op == EM__OP_SUB; depth++) {
        const em__node shifted = *em__match_node(m, x);
        int top = em__match_under(m, shifted.in[1], true);
        if (em__match_node(m, top)->op != EM__OP_MAX)
            break;
        int over = reduced(m, shifted.in[1], EM__OP_MAX, shifted.in[0]);
        if (over != axis)
            return em__match_miss(m, "the maximum is over axis %d, the sum over axis %d", over, axis);
        em__match_take(m, x);
        x = shifted.in[0];
    }
    if (!em__spec_equal(&em__match_node(m, x)->spec, &em__match_node(m, root)->spec))
        return false;
    return em__match_private(m, root) &&
           em__match_become(
               m, root,
               &(em__apply_nodes){.op = EM__OP_SOFTMAX, .n_in = 1, .in = &x, .n_ints = 1, .ints = (int64_t[]){axis}});
}

bool em__pattern_softmax(em__match *m, int root)
{
    const em__node node = *em__match_node(m, root);
    double one;
    if (node.op == EM__OP_DIV)
        return softmax(m, root, node.in[0], node.in[1], -1);
    for (int side = 0; side < 2 && node.op == EM__OP_MUL; side++) {
        const em__node inverse = *em__match_node(m, em__match_under(m, node.in[side], false));
        bool is = inverse.op == EM__OP_RECIPROCAL ||
                  (inverse.op == EM__OP_DIV && em__match_number(m, inverse.in[0], &one) && one == 1);
        int of = is ? inverse.in[inverse.op == EM__OP_DIV] : -1;
        if (is && softmax(m, root, node.in[1 - side], of, node.in[side]))
            return true;
    }
    return false;
}
