/*
 * Norms over the last axis, written out:
 *
 *   rms_norm     x rsqrt(mean(x^2) + eps), x / sqrt(..), x (weight rsqrt(..))
 *   layer_norm   the same of x - mean(x), with the variance as mean((x - mean)^2) or mean(x^2) - mean(x)^2
 *
 * and then, one step each: times a vector, plus a vector, and a cast that undoes the one before the norm.
 */
#include <stdio.h>

#include "graph/passes/patterns/match.h"

#define WHY 200

/* Node i is y^-1/2, taken, perhaps times a vector of n elements (*weight, else -1): y; else -1. */
static int inverse_root(em__match *m, int i, int64_t n, int *weight)
{
    i = em__match_under(m, i, false);
    const em__node node = *em__match_node(m, i);
    double number;
    int y;
    em__match_take(m, i);
    if (node.op == EM__OP_RSQRT)
        return node.in[0];
    if (node.op == EM__OP_POW && em__match_number(m, node.in[1], &number) && number == -0.5)
        return node.in[0];
    bool inverse = node.op == EM__OP_RECIPROCAL ||
                   (node.op == EM__OP_DIV && em__match_number(m, node.in[0], &number) && number == 1);
    if (inverse) {
        y = em__match_under(m, node.in[node.op == EM__OP_DIV], false);
        em__match_take(m, y);
        return em__match_node(m, y)->op == EM__OP_SQRT ? em__match_node(m, y)->in[0] : -1;
    }
    if (node.op != EM__OP_MUL || !weight || *weight >= 0)
        return -1;
    for (int side = 0; side < 2; side++) {
        const em__spec *part = &em__match_node(m, node.in[1 - side])->spec;
        if (part->rank && part->dims[part->rank - 1] != n && em__spec_size(part) != n)
            continue;
        if ((y = inverse_root(m, node.in[side], n, NULL)) < 0)
            continue;
        *weight = em__match_vector(m, node.in[1 - side], n);
        if (*weight >= 0)
            return y;
    }
    return -1;
}

/* Node i is x^2, taken: x; else -1. */
static int squared(em__match *m, int i)
{
    const em__node *node = em__match_node(m, i);
    double two;
    bool square = node->op == EM__OP_SQUARE || (node->op == EM__OP_MUL && node->in[0] == node->in[1]) ||
                  (node->op == EM__OP_POW && em__match_number(m, node->in[1], &two) && two == 2);
    if (!square)
        return -1;
    em__match_take(m, i);
    return node->in[0];
}

/* Node i is x - mean(x), taken: x; else -1. */
static int centred(em__match *m, int i, char *why)
{
    const em__node node = *em__match_node(m, i);
    int of;
    if (node.op != EM__OP_SUB)
        return -1;
    em__match_take(m, i);
    if (!em__match_mean(m, node.in[1], &of, why, WHY) || !em__match_same(m, of, node.in[0]))
        return -1;
    return node.in[0];
}

/* The mean of squares under a root: of what? *plain is set when a mean(x)^2 is taken off it. -1 if it is no such. */
static int mean_square(em__match *m, int i, bool *plain, char *why)
{
    int of, other;
    double zero;
    i = em__match_under(m, i, false);
    if (em__match_with_number(m, i, EM__OP_MAXIMUM, &other, &zero) && zero == 0) {
        em__match_take(m, i);
        i = em__match_under(m, other, false);
    }
    const em__node node = *em__match_node(m, i);
    *plain = false;
    if (node.op == EM__OP_SUB) {
        int x, mean = squared(m, em__match_under(m, node.in[1], false));
        em__match_take(m, i);
        if (mean < 0 || !em__match_mean(m, mean, &x, why, WHY) || !em__match_mean(m, node.in[0], &of, why, WHY))
            return -1;
        of = squared(m, of);
        *plain = true;
        return of >= 0 && em__match_same(m, of, x) ? of : -1;
    }
    return em__match_mean(m, i, &of, why, WHY) ? squared(m, of) : -1;
}

/* The root is d times (or by) the inverse root of y. */
static bool normalised(em__match *m, int root, int d, int y, int weight)
{
    char why[WHY] = "", text[WHY] = "";
    double eps = 0;
    int v = y, x, sum = em__match_under(m, y, false);
    bool plain;
    m->pattern = em__match_node(m, d)->op == EM__OP_SUB ? EM__PATTERN_LAYER_NORM : EM__PATTERN_RMS_NORM;
    if (em__match_with_number(m, sum, EM__OP_ADD, &v, &eps))
        em__match_take(m, sum);
    int of = mean_square(m, v, &plain, why);
    if (of < 0)
        return why[0] ? em__match_miss(m, "%s", why) : false;
    x = centred(m, d, text);
    bool layer = x >= 0 && (plain ? em__match_same(m, of, x) : em__match_same(m, of, d) || centred(m, of, text) >= 0);
    if (layer && !plain && !em__match_same(m, of, d) && !em__match_same(m, centred(m, of, text), x))
        return false;
    m->pattern = layer || plain ? EM__PATTERN_LAYER_NORM : EM__PATTERN_RMS_NORM;
    if (!layer && (plain || !em__match_same(m, of, d))) {
        bool alike = em__spec_equal(&em__match_node(m, of)->spec, &em__match_node(m, d)->spec);
        return alike ? em__match_miss(m, "the mean square is of something else than what is divided") : false;
    }
    x = layer ? x : d;
    if (!em__spec_equal(&em__match_node(m, x)->spec, &em__match_node(m, root)->spec))
        return false;
    int in[] = {x, weight};
    return em__match_private(m, root) &&
           em__match_become(m, root,
                            &(em__apply_nodes){.op = layer ? EM__OP_LAYER_NORM : EM__OP_RMS_NORM,
                                               .n_in = weight >= 0 ? 2 : 1,
                                               .in = in,
                                               .n_ints = 1,
                                               .ints = (int64_t[]){weight >= 0},
                                               .n_floats = 1,
                                               .floats = &eps});
}

bool em__pattern_norm(em__match *m, int root)
{
    const em__node node = *em__match_node(m, root);
    double half;
    if ((node.op != EM__OP_MUL && node.op != EM__OP_DIV) || node.spec.rank == 0)
        return false;
    int64_t n = node.spec.dims[node.spec.rank - 1];
    for (int side = 0; side < (node.op == EM__OP_MUL ? 2 : 1); side++) {
        int y, weight = -1, d = node.in[side];
        em__match_begin(m, EM__PATTERN_RMS_NORM);
        if (node.op == EM__OP_MUL) {
            y = inverse_root(m, node.in[1 - side], n, &weight);
        } else {
            int s = em__match_under(m, node.in[1], false);
            const em__node *root_of = em__match_node(m, s);
            bool is = root_of->op == EM__OP_SQRT ||
                      (root_of->op == EM__OP_POW && em__match_number(m, root_of->in[1], &half) && half == 0.5);
            em__match_take(m, s);
            y = is ? root_of->in[0] : -1;
        }
        if (y >= 0 && normalised(m, root, d, y, weight))
            return true;
    }
    return false;
}

static bool is_norm(em__op op)
{
    return op == EM__OP_LAYER_NORM || op == EM__OP_RMS_NORM;
}

/* The norm `inner` with one more vector: root = inner * vector (bit 1) or + vector (bit 2). */
static bool affine(em__match *m, int root, int inner, int other, int64_t bit)
{
    const em__node norm = *em__match_node(m, inner);
    if (!is_norm(norm.op) || norm.ints[0] & ~(int64_t)1 || norm.ints[0] & bit ||
        (norm.op == EM__OP_RMS_NORM && bit == 2) || norm.uses != 1 ||
        !em__spec_equal(&norm.spec, &em__match_node(m, root)->spec))
        return false;
    em__match_begin(m, norm.op == EM__OP_RMS_NORM ? EM__PATTERN_RMS_NORM : EM__PATTERN_LAYER_NORM);
    int vector = em__match_vector(m, other, norm.spec.dims[norm.spec.rank - 1]);
    if (vector < 0)
        return false;
    int in[3] = {norm.in[0]}, n = 1;
    if (norm.ints[0] & 1)
        in[n++] = norm.in[1];
    in[n++] = vector;
    bool done = em__match_become(m, root,
                                 &(em__apply_nodes){.op = norm.op,
                                                    .n_in = n,
                                                    .in = in,
                                                    .n_ints = 1,
                                                    .ints = (int64_t[]){norm.ints[0] | bit},
                                                    .n_floats = 1,
                                                    .floats = norm.floats});
    m->graph->patterns->matched[m->pattern] -= done; /* it was counted when the norm was found */
    return done;
}

bool em__pattern_norm_affine(em__match *m, int root)
{
    const em__node node = *em__match_node(m, root);
    if (node.op != EM__OP_MUL && node.op != EM__OP_ADD)
        return false;
    int64_t bit = node.op == EM__OP_MUL ? 1 : 2;
    return affine(m, root, node.in[0], node.in[1], bit) || affine(m, root, node.in[1], node.in[0], bit);
}

static bool narrows_well(em__op op)
{
    return op == EM__OP_SDPA || is_norm(op) || op == EM__OP_SOFTMAX || op == EM__OP_SILU || op == EM__OP_GELU ||
           op == EM__OP_GELU_TANH || op == EM__OP_SIGMOID || op == EM__OP_SWIGLU || op == EM__OP_GEGLU ||
           op == EM__OP_GEGLU_TANH;
}

/* cast(f(cast(x), ..)) back to the half type of all operands is f on them: its kernel computes in f32 and rounds
 * once. */
bool em__pattern_cast(em__match *m, int root)
{
    const em__node node = *em__match_node(m, root);
    if (node.op != EM__OP_CAST || (node.spec.dtype != EM_F16 && node.spec.dtype != EM_BF16))
        return false;
    const em__node inner = *em__match_node(m, node.in[0]);
    int in[6];
    if (!narrows_well(inner.op) || inner.spec.dtype != EM_F32 || inner.uses != 1 || inner.n_in > 6)
        return false;
    for (int j = 0; j < inner.n_in; j++) {
        in[j] = inner.in[j];
        if (j > 2 && inner.op == EM__OP_SDPA) /* masks, sinks and lengths are what they were */
            continue;
        const em__node *cast = em__match_node(m, inner.in[j]);
        if (cast->op != EM__OP_CAST || em__match_node(m, cast->in[0])->spec.dtype != node.spec.dtype)
            return false;
        in[j] = cast->in[0];
    }
    em__match_begin(m, EM__PATTERN_SIGMOID);
    bool done = em__match_become(m, root,
                                 &(em__apply_nodes){.op = inner.op,
                                                    .n_in = inner.n_in,
                                                    .in = in,
                                                    .n_ints = inner.n_ints,
                                                    .ints = inner.ints,
                                                    .n_floats = inner.n_floats,
                                                    .floats = inner.floats});
    m->graph->patterns->matched[m->pattern] -= done;
    return done;
}
