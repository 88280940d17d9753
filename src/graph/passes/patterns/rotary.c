/*
 * Rotary embedding written out:
 *
 *   x cos + turned(x) sin          turned: (-second half, first half), or (-x1, x0, -x3, x2, ...) of neighbours
 *   [x1 cos - x2 sin, x2 cos + x1 sin]    with x1, x2 the halves, joined; or even and odd features, interleaved again
 *   [rotary(x[.. :dims]), x[.. dims:]]    the rest passes through
 *
 * cos and sin are whatever they are: computed from positions, or looked up.
 */
#include "graph/passes/patterns/match.h"

/* Features from, from + step, .. (count of them) of the last axis of `of`. */
typedef struct features {
    int of;
    int64_t from, step, count;
} features;

/* A slice that cuts `axis` only. */
static bool cuts(const em__node *node, const em__spec *of, int axis)
{
    int rank = of->rank;
    for (int d = 0; d < rank; d++)
        if (d != axis && (node->ints[d] != 0 || node->spec.dims[d] != of->dims[d] || node->ints[2 * rank + d] != 1))
            return false;
    return true;
}

/* [.., n, k] of [.., n * k]: the same leading axes. */
static bool splits_last(const em__spec *whole, const em__spec *split)
{
    int r = whole->rank;
    if (split->rank != r + 1 || split->dims[r - 1] * split->dims[r] != whole->dims[r - 1])
        return false;
    for (int d = 0; d < r - 1; d++)
        if (whole->dims[d] != split->dims[d])
            return false;
    return true;
}

/* Through an axis of size 1 at the end, or next to the end, that was dropped. */
static int with_axis(em__match *m, int i)
{
    const em__node *node = em__match_node(m, i);
    if (node->op != EM__OP_RESHAPE)
        return i;
    const em__spec *in = &em__match_node(m, node->in[0])->spec;
    return in->rank == node->spec.rank + 1 && em__spec_size(in) == em__spec_size(&node->spec) ? node->in[0] : i;
}

static bool features_of(em__match *m, int i, features *f)
{
    int at = with_axis(m, i);
    const em__node *slice = em__match_node(m, at);
    if (slice->op != EM__OP_SLICE)
        return false;
    const em__node *source = em__match_node(m, slice->in[0]);
    int rank = source->spec.rank, last = rank - 1;
    if (at == i) {
        *f = (features){slice->in[0], slice->ints[last], slice->ints[2 * rank + last], slice->spec.dims[last]};
        return cuts(slice, &source->spec, last);
    }
    if (source->op != EM__OP_RESHAPE || !splits_last(&em__match_node(m, source->in[0])->spec, &source->spec))
        return false;
    int64_t n = source->spec.dims[last - 1], k = source->spec.dims[last];
    if (slice->spec.dims[last] == 1 && cuts(slice, &source->spec, last))
        *f = (features){source->in[0], slice->ints[last], k, n};
    else if (slice->spec.dims[last - 1] == 1 && cuts(slice, &source->spec, last - 1))
        *f = (features){source->in[0], slice->ints[last - 1] * k, 1, k};
    else
        return false;
    em__match_take(m, i);
    em__match_take(m, at);
    em__match_take(m, slice->in[0]);
    return true;
}

/* The two operands of a join along the last axis, that of halves or of neighbours; *interleaved says which. */
static bool joined(em__match *m, int i, int parts[2], bool *interleaved)
{
    const em__node *node = em__match_node(m, i);
    *interleaved = false;
    if (node->op == EM__OP_RESHAPE) { /* [.., n, 2] -> [.., 2 n], or [.., 2, n] */
        const em__node *inner = em__match_node(m, node->in[0]);
        int last = inner->spec.rank - 1;
        if (inner->op != EM__OP_CONCATENATE || inner->n_in != 2 || !splits_last(&node->spec, &inner->spec))
            return false;
        *interleaved = inner->ints[0] == last && inner->spec.dims[last] == 2;
        if (!*interleaved && (inner->ints[0] != last - 1 || inner->spec.dims[last - 1] != 2))
            return false;
        em__match_take(m, i);
        em__match_take(m, node->in[0]);
        for (int k = 0; k < 2; k++) {
            int axis = inner->in[k];
            const em__node *expanded = em__match_node(m, axis);
            if (expanded->op != EM__OP_RESHAPE ||
                em__match_node(m, expanded->in[0])->spec.rank != expanded->spec.rank - 1)
                return false;
            em__match_take(m, axis);
            parts[k] = expanded->in[0];
        }
        return true;
    }
    if (node->op != EM__OP_CONCATENATE || node->n_in != 2 || node->ints[0] != node->spec.rank - 1)
        return false;
    em__match_take(m, i);
    parts[0] = node->in[0];
    parts[1] = node->in[1];
    return true;
}

/* Whether a and b are the two sides of all of x's features, as `interleaved` has them. */
static bool are_sides(const em__match *m, const features *a, const features *b, bool interleaved, int *x)
{
    const em__spec *spec = &em__match_node(m, a->of)->spec;
    int64_t n = spec->dims[spec->rank - 1], half = n / 2;
    *x = a->of;
    if (a->of != b->of || n % 2 || a->count != half || b->count != half || a->from != 0)
        return false;
    return interleaved ? a->step == 2 && b->step == 2 && b->from == 1 : a->step == 1 && b->step == 1 && b->from == half;
}

/* Node i is turned(x): x; else -1. */
static int turned(em__match *m, int i, bool *interleaved)
{
    int parts[2], x;
    features a, b;
    double minus;
    if (!joined(m, i, parts, interleaved))
        return -1;
    int first = em__match_scaled(m, parts[0], &minus);
    if (minus != -1 || !features_of(m, first, &b) || !features_of(m, parts[1], &a))
        return -1;
    em__match_take(m, first);
    em__match_take(m, parts[1]);
    return are_sides(m, &a, &b, *interleaved, &x) ? x : -1;
}

/* A table as ROTARY wants it: views that only repeat it dropped, f32 (f64 with an f64 x). -1 if it won't do. */
static int table_of(em__match *m, int i, int x)
{
    em_dtype dtype = em__match_node(m, x)->spec.dtype == EM_F64 ? EM_F64 : EM_F32;
    const em__node *node = em__match_node(m, i);
    const em__spec *inner = node->op == EM__OP_BROADCAST_TO ? &em__match_node(m, node->in[0])->spec : NULL;
    if (inner && inner->rank && inner->dims[inner->rank - 1] == node->spec.dims[node->spec.rank - 1])
        i = node->in[0];
    if (em__match_node(m, i)->spec.dtype == dtype)
        return i;
    int exact = em__match_exact(m, i);
    if (em__match_node(m, exact)->spec.dtype == dtype)
        return exact;
    return em__match_add(
        m, &(em__apply_nodes){.op = EM__OP_CAST, .n_in = 1, .in = &i, .n_ints = 1, .ints = (int64_t[]){dtype}});
}

static bool become_rotary(em__match *m, int root, int x, int cosine, int sine, bool interleaved)
{
    if (em__match_node(m, x)->spec.dtype == EM_F64)
        return em__match_miss(m, "there is no kernel for f64");
    if (!em__match_private(m, root))
        return false;
    const em__spec *spec = &em__match_node(m, x)->spec;
    int64_t dims = spec->dims[spec->rank - 1];
    int c = table_of(m, cosine, x), s = c < 0 ? -1 : table_of(m, sine, x), in[] = {x, c, s};
    if (s < 0)
        return false;
    if (!em__spec_equal(&em__match_node(m, c)->spec, &em__match_node(m, s)->spec))
        return em__match_miss(m, "cos and sin have different shapes");
    return em__match_become(
        m, root,
        &(em__apply_nodes){
            .op = EM__OP_ROTARY, .n_in = 3, .in = in, .n_ints = 2, .ints = (int64_t[]){dims, interleaved}});
}

/* root = x cos + turned(x) sin, with operand `t` of it the second product. */
static bool by_turning(em__match *m, int root, int t)
{
    const em__node sum = *em__match_node(m, root);
    const em__node plain = *em__match_node(m, sum.in[1 - t]), other = *em__match_node(m, sum.in[t]);
    bool interleaved;
    if (plain.op != EM__OP_MUL || other.op != EM__OP_MUL)
        return false;
    for (int side = 0; side < 2; side++) {
        em__match_begin(m, EM__PATTERN_ROTARY);
        em__match_take(m, sum.in[0]);
        em__match_take(m, sum.in[1]);
        int x = turned(m, other.in[side], &interleaved);
        if (x < 0)
            continue;
        int same = em__match_same(m, plain.in[0], x) ? 0 : 1;
        if (!em__match_same(m, plain.in[same], x))
            return em__match_miss(m, "the turned features are of another array than the plain ones");
        if (!em__spec_equal(&em__match_node(m, x)->spec, &sum.spec))
            return em__match_miss(m, "cos and sin do not have x's shape or one that repeats to it");
        return become_rotary(m, root, x, plain.in[1 - same], other.in[1 - side], interleaved);
    }
    return false;
}

/* Node i = a p (+ or -) b q with features a of x: which operand of each product is a, and which the table. */
typedef struct pair {
    int a, a_table, b, b_table;
} pair;

static bool products(em__match *m, int i, em__op op, pair *p)
{
    const em__node node = *em__match_node(m, i);
    features f;
    if (node.op != op)
        return false;
    const em__node l = *em__match_node(m, node.in[0]), r = *em__match_node(m, node.in[1]);
    if (l.op != EM__OP_MUL || r.op != EM__OP_MUL)
        return false;
    em__match_take(m, i);
    em__match_take(m, node.in[0]);
    em__match_take(m, node.in[1]);
    int left = features_of(m, l.in[0], &f) ? 0 : 1, right = features_of(m, r.in[0], &f) ? 0 : 1;
    *p = (pair){l.in[left], l.in[1 - left], r.in[right], r.in[1 - right]};
    return true;
}

/* root joins x1 cos - x2 sin and x2 cos + x1 sin. */
static bool by_halves(em__match *m, int root)
{
    int parts[2], x;
    bool interleaved;
    pair p, q;
    features a, b;
    em__match_begin(m, EM__PATTERN_ROTARY);
    if (!joined(m, root, parts, &interleaved) || !products(m, parts[0], EM__OP_SUB, &p) ||
        !products(m, parts[1], EM__OP_ADD, &q))
        return false;
    if (!features_of(m, p.a, &a) || !features_of(m, p.b, &b))
        return false;
    if (q.a == p.a) /* x1 sin + x2 cos */
        q = (pair){q.b, q.b_table, q.a, q.a_table};
    if (q.a != p.b || q.b != p.a || !are_sides(m, &a, &b, interleaved, &x))
        return em__match_miss(m, "the two halves are not the two sides of one array");
    if (q.a_table != p.a_table || q.b_table != p.b_table)
        return em__match_miss(m, "the two halves turn by different tables");
    em__match_take(m, p.a);
    em__match_take(m, p.b);
    return become_rotary(m, root, x, p.a_table, p.b_table, interleaved);
}

/* root joins the rotary of x's first features with the rest of x. */
static bool with_rest(em__match *m, int root)
{
    const em__node node = *em__match_node(m, root);
    features turn, rest;
    if (node.op != EM__OP_CONCATENATE || node.n_in != 2 || node.ints[0] != node.spec.rank - 1)
        return false;
    const em__node inner = *em__match_node(m, node.in[0]);
    em__match_begin(m, EM__PATTERN_ROTARY);
    if (inner.op != EM__OP_ROTARY || !features_of(m, inner.in[0], &turn) || !features_of(m, node.in[1], &rest))
        return false;
    const em__spec *x = &em__match_node(m, turn.of)->spec;
    if (turn.of != rest.of || turn.from || turn.step != 1 || rest.step != 1 || rest.from != turn.count ||
        rest.from + rest.count != x->dims[x->rank - 1] || inner.ints[0] != turn.count || inner.uses != 1)
        return false;
    int in[] = {turn.of, inner.in[1], inner.in[2]};
    bool done = em__match_become(
        m, root, &(em__apply_nodes){.op = EM__OP_ROTARY, .n_in = 3, .in = in, .n_ints = 2, .ints = inner.ints});
    m->graph->patterns->matched[m->pattern] -= done; /* counted when the inner one was found */
    return done;
}

bool em__pattern_rotary(em__match *m, int root)
{
    em__op op = em__match_node(m, root)->op;
    if (op == EM__OP_ADD)
        return by_turning(m, root, 1) || by_turning(m, root, 0);
    if (op == EM__OP_CONCATENATE || op == EM__OP_RESHAPE)
        return by_halves(m, root) || with_rest(m, root);
    return false;
}
