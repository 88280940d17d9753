/*
 * Activations written out:
 *
 *   sigmoid   1 / (1 + exp(-x))
 *   silu      x sigmoid(x), x / (1 + exp(-x))
 *   gelu      x (1 + erf(x / sqrt 2)) / 2, x erfc(-x / sqrt 2) / 2, and with tanh, the factors in any order
 *   gated     silu(a) b, gelu(a) b
 */
#include <math.h>

#include "graph/passes/patterns/match.h"

/* 1 + exp(-x), taken: x; else -1. */
static int one_and_exp(em__match *m, int i)
{
    int e, x;
    double one, minus;
    if (!em__match_with_number(m, i, EM__OP_ADD, &e, &one) || one != 1 || em__match_node(m, e)->op != EM__OP_EXP)
        return -1;
    em__match_take(m, i);
    em__match_take(m, e);
    x = em__match_scaled(m, em__match_node(m, e)->in[0], &minus);
    return minus == -1 ? x : -1;
}

/* The node 1 / y, taken: y; else -1. */
static int inverse_of(em__match *m, int i)
{
    const em__node *node = em__match_node(m, i);
    double one;
    if (node->op == EM__OP_RECIPROCAL)
        return node->in[0];
    if (node->op == EM__OP_DIV && em__match_number(m, node->in[0], &one) && one == 1)
        return node->in[1];
    return -1;
}

static bool become_unary(em__match *m, int root, em__op op, int x)
{
    return em__match_private(m, root) && em__match_become(m, root, &(em__apply_nodes){.op = op, .n_in = 1, .in = &x});
}

static bool silu(em__match *m, int root, int x, int gate)
{
    double number;
    const em__node *node = em__match_node(m, gate);
    if (node->op != EM__OP_SIGMOID)
        return false;
    em__match_begin(m, EM__PATTERN_SILU);
    em__match_take(m, gate);
    if (em__match_same(m, node->in[0], x))
        return become_unary(m, root, EM__OP_SILU, x);
    if (em__match_same(m, em__match_scaled(m, node->in[0], &number), x))
        return em__match_miss(m, "the sigmoid is of %.4g x, not of x", number);
    return false;
}

bool em__pattern_sigmoid(em__match *m, int root)
{
    const em__node node = *em__match_node(m, root);
    em__match_begin(m, EM__PATTERN_SIGMOID);
    int y = inverse_of(m, root), x = y >= 0 ? one_and_exp(m, y) : -1;
    if (x >= 0)
        return become_unary(m, root, EM__OP_SIGMOID, x);
    if (node.op == EM__OP_MUL && (silu(m, root, node.in[0], node.in[1]) || silu(m, root, node.in[1], node.in[0])))
        return true;
    if (node.op != EM__OP_DIV)
        return false;
    em__match_begin(m, EM__PATTERN_SILU);
    x = one_and_exp(m, node.in[1]);
    return x >= 0 && em__match_same(m, x, node.in[0]) && become_unary(m, root, EM__OP_SILU, x);
}

/* Node i is 1 + inner, taken, where inner is an `op`: inner; else -1. */
static int one_and(em__match *m, int i, em__op op)
{
    int inner;
    double one;
    if (!em__match_with_number(m, i, EM__OP_ADD, &inner, &one) || one != 1 || em__match_node(m, inner)->op != op)
        return -1;
    em__match_take(m, i);
    em__match_take(m, inner);
    return inner;
}

/* number * x^power and nothing else, with `x` wherever it says. */
static bool is_power(em__match *m, int i, int x, int power, double number)
{
    em__product p;
    return em__match_product(m, i, x, &p) && p.n == 1 && em__match_same(m, p.factor[0], x) && p.power[0] == power &&
           em__match_close(em__match_node(m, i)->spec.dtype, p.number, number);
}

#define CUBIC 0.044715

/* v = sqrt(2 / pi) (x + 0.044715 x^3), as c (x + a x^3), c x (1 + a x^2) or c x + c a x^3: x; else -1. */
static int tanh_operand(em__match *m, int v)
{
    const double c = sqrt(2 / M_PI);
    double number;
    em__product p;
    em_dtype dtype = em__match_node(m, v)->spec.dtype;
    int w = em__match_scaled(m, v, &number);
    const em__node *sum = em__match_node(m, w);
    if (sum->op == EM__OP_ADD) {
        em__match_take(m, w);
        for (int side = 0; side < 2; side++) {
            double part;
            int a = sum->in[side], b = sum->in[1 - side], x = em__match_scaled(m, a, &part);
            if (em__match_close(dtype, part * number, c) && is_power(m, b, x, 3, CUBIC * part))
                return x;
            if (part == 1 && em__match_product(m, b, x, &p) && p.n == 1 && p.power[0] == 3 && p.factor[0] == x)
                em__match_miss(m, "gelu by tanh has the factors %.6g and %.6g, not %.6g and %.6g", number, p.number, c,
                               CUBIC);
        }
        return -1;
    }
    if (!em__match_product(m, v, -1, &p) || !em__match_close(dtype, p.number, c))
        return -1;
    for (int i = 0; i < p.n; i++) {
        int t;
        double one;
        if (!em__match_with_number(m, p.factor[i], EM__OP_ADD, &t, &one) || one != 1 || p.power[i] != 1)
            continue;
        em__product square;
        em__match_take(m, p.factor[i]);
        if (!em__match_product(m, t, -1, &square) || square.n != 1 || square.power[0] != 2 ||
            !em__match_close(dtype, square.number, CUBIC))
            continue;
        em__product outer;
        int x = square.factor[0];
        if (em__match_product(m, v, x, &outer) && outer.n == 2)
            return x;
    }
    return -1;
}

/* What factor i of a gelu says: its x, the number that must stand before the product, and which gelu; -1 if nothing.
 * */
static int gelu_factor(em__match *m, int i, em__op *op)
{
    double number;
    int inner = one_and(m, i, EM__OP_ERF), x;
    em_dtype dtype = em__match_node(m, i)->spec.dtype;
    *op = EM__OP_GELU;
    if (inner >= 0) {
        x = em__match_scaled(m, em__match_node(m, inner)->in[0], &number);
        if (em__match_close(dtype, number, M_SQRT1_2))
            return x;
        em__match_miss(m, "erf is of %.6g x, not of %.6g x", number, M_SQRT1_2);
        return -1;
    }
    if (em__match_node(m, i)->op == EM__OP_ERFC) {
        em__match_take(m, i);
        x = em__match_scaled(m, em__match_node(m, i)->in[0], &number);
        return em__match_close(dtype, number, -M_SQRT1_2) ? x : -1;
    }
    *op = EM__OP_GELU_TANH;
    inner = one_and(m, i, EM__OP_TANH);
    return inner >= 0 ? tanh_operand(m, em__match_node(m, inner)->in[0]) : -1;
}

bool em__pattern_gelu(em__match *m, int root)
{
    em__product p;
    em__op op;
    em__match_begin(m, EM__PATTERN_GELU);
    if (!em__match_product(m, root, -1, &p))
        return false;
    for (int i = 0; i < p.n; i++) {
        em__match_begin(m, EM__PATTERN_GELU);
        int x = p.power[i] == 1 ? gelu_factor(m, p.factor[i], &op) : -1;
        em__product whole;
        if (x < 0 || !em__match_product(m, root, x, &whole) || whole.n != 2)
            continue;
        int other = whole.factor[0] == p.factor[i] ? 1 : 0;
        if (!em__match_same(m, whole.factor[other], x) || whole.power[other] != 1 || whole.power[1 - other] != 1)
            continue;
        if (whole.number == 1) /* the half may come later */
            continue;
        if (!em__match_close(em__match_node(m, root)->spec.dtype, whole.number, 0.5))
            return em__match_miss(m, "the factor is %.6g, not 0.5", whole.number);
        return become_unary(m, root, op, whole.factor[other]);
    }
    return false;
}

static bool gated(em__match *m, int root, int gate, int up)
{
    em__op inner = em__match_node(m, gate)->op, op = EM__OP_SWIGLU;
    if (inner != EM__OP_SILU && inner != EM__OP_GELU && inner != EM__OP_GELU_TANH)
        return false;
    op = inner == EM__OP_GELU ? EM__OP_GEGLU : inner == EM__OP_GELU_TANH ? EM__OP_GEGLU_TANH : op;
    em__match_begin(m, EM__PATTERN_GATED);
    const em__spec *spec = &em__match_node(m, root)->spec;
    if (!em__spec_equal(&em__match_node(m, gate)->spec, spec) || !em__spec_equal(&em__match_node(m, up)->spec, spec))
        return false;
    em__match_take(m, gate);
    int in[] = {em__match_node(m, gate)->in[0], up};
    return em__match_private(m, root) && em__match_become(m, root, &(em__apply_nodes){.op = op, .n_in = 2, .in = in});
}

bool em__pattern_gated(em__match *m, int root)
{
    const em__node node = *em__match_node(m, root);
    return node.op == EM__OP_MUL && (gated(m, root, node.in[0], node.in[1]) || gated(m, root, node.in[1], node.in[0]));
}
