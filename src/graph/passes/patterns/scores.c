/*
 * Between q k^T and the softmax: scale, softcap, masks, in any order that means something.
 *
 * A score that select replaces by a low number keeps that number's meaning: where a whole row is masked so, all its
 * keys weigh the same, as in the graph. Only masks of -inf make such a row 0, where the graph would give NaN.
 */
#include <math.h>

#include "device/ref/ref.h"
#include "graph/passes/patterns/attention.h"

#define LOW_ENOUGH -9e3 /* exp of it under any score that matters is 0 */
#define REPLACES -1e30  /* added to a score it leaves nothing of it */
#define DEEPEST 16

/* Whether going down from node i, past what may stand between, a product of arrays is met. */
static bool has_product(const em__match *m, int i, int depth)
{
    const em__node *node = em__match_node(m, i);
    double number;
    int other;
    if (depth == DEEPEST)
        return false;
    switch (node->op) {
    case EM__OP_DOT_GENERAL: return true;
    case EM__OP_CAST:
    case EM__OP_TANH:
    case EM__OP_TRANSPOSE:
    case EM__OP_RESHAPE: return has_product(m, node->in[0], depth + 1);
    case EM__OP_MUL:
    case EM__OP_DIV:
        if (em__match_with_number(m, i, node->op, &other, &number))
            return has_product(m, other, depth + 1);
        return has_product(m, node->in[0], depth + 1) || has_product(m, node->in[1], depth + 1);
    case EM__OP_ADD: return has_product(m, node->in[0], depth + 1) || has_product(m, node->in[1], depth + 1);
    case EM__OP_SELECT: return has_product(m, node->in[1], depth + 1) || has_product(m, node->in[2], depth + 1);
    default: return false;
    }
}

static bool add_term(em__match *m, em__scores *s, em__mask_term term)
{
    if (s->n_masks == EM__MASKS_MOST)
        return em__match_miss(m, "more than %d masks", EM__MASKS_MOST);
    s->masks[s->n_masks++] = term;
    return true;
}

/* Element (query, key) of a constant whose leading axes repeat. */
typedef struct grid {
    const em_array *of;
    em__tensor t;
    int64_t query, key; /* strides */
    int64_t queries, keys;
} grid;

static bool grid_of(const em__match *m, int i, int64_t queries, int64_t keys, grid *g)
{
    while (em__match_node(m, i)->op == EM__OP_BROADCAST_TO)
        i = em__match_node(m, i)->in[0];
    const em__node *node = em__match_node(m, i);
    int rank = node->spec.rank;
    if (node->op != EM__OP_CONSTANT || rank < 2 || node->spec.dims[rank - 1] != keys ||
        node->spec.dims[rank - 2] != queries)
        return false;
    *g = (grid){.of = node->value, .queries = queries, .keys = keys};
    if (em__array_tensor_on(node->value, NULL, &g->t) != EM_OK)
        return false;
    for (int d = 0; d < rank - 2; d++)
        if (node->spec.dims[d] != 1 && g->t.strides[d] != 0)
            return false;
    g->query = g->t.strides[rank - 2];
    g->key = g->t.strides[rank - 1];
    return true;
}

/* Whether the constant hides exactly the keys past i + keys - queries. `pred`: true is seen; otherwise 0 is, and a low
 * number (the least of which goes to *low) is not. */
static bool grid_is_causal(const grid *g, bool pred, bool keeps, double *low)
{
    *low = -INFINITY;
    for (int64_t i = 0; i < g->queries; i++)
        for (int64_t j = 0; j < g->keys; j++) {
            double v = em__ref_real(g->t.spec.dtype, g->t.data, i * g->query + j * g->key);
            bool seen = j <= i + g->keys - g->queries;
            if (pred ? (v != 0) != (seen == keeps) : seen ? v != 0 : !(v <= LOW_ENOUGH))
                return false;
            if (!pred && !seen && v > *low)
                *low = v;
        }
    return true;
}

static bool is_causal(em__match *m, const grid *g, bool pred, bool keeps, double *low)
{
    bool known = m->causal.of == g->of && m->causal.queries == g->queries && m->causal.keys == g->keys &&
                 m->causal.pred == pred && m->causal.keeps == keeps;
    if (!known && !grid_is_causal(g, pred, keeps, &m->causal.low)) {
        m->causal.of = NULL;
        return false;
    }
    m->causal.of = g->of;
    m->causal.queries = g->queries;
    m->causal.keys = g->keys;
    m->causal.pred = pred;
    m->causal.keeps = keeps;
    *low = m->causal.low;
    return true;
}

/* Node i is first + (index along the axis `from_end` from the last), a constant: first. */
static bool counts_along(const em__match *m, int i, int from_end, int64_t n, double *first)
{
    while (em__match_node(m, i)->op == EM__OP_BROADCAST_TO || em__match_node(m, i)->op == EM__OP_CAST)
        i = em__match_node(m, i)->in[0];
    const em__node *node = em__match_node(m, i);
    int axis = node->spec.rank - 1 - from_end;
    if (node->op != EM__OP_CONSTANT || axis < 0 || node->spec.dims[axis] != n)
        return false;
    em__tensor t;
    if (em__array_tensor_on(node->value, NULL, &t) != EM_OK)
        return false;
    for (int d = 0; d < node->spec.rank; d++)
        if (d != axis && t.spec.dims[d] != 1 && t.strides[d] != 0)
            return false;
    *first = em__ref_real(t.spec.dtype, t.data, 0);
    for (int64_t j = 0; j < n; j++)
        if (em__ref_real(t.spec.dtype, t.data, j * t.strides[axis]) != *first + (double)j)
            return false;
    return true;
}

/* A comparison of the indices of queries and keys that was too large to fold: keys up to i + *reach are true. */
static bool compares_indices(const em__match *m, int i, int64_t queries, int64_t keys, double *reach)
{
    while (em__match_node(m, i)->op == EM__OP_BROADCAST_TO)
        i = em__match_node(m, i)->in[0];
    const em__node *node = em__match_node(m, i);
    bool less = node->op == EM__OP_LESS || node->op == EM__OP_LESS_EQUAL;
    bool strict = node->op == EM__OP_LESS || node->op == EM__OP_GREATER;
    double key, query;
    if (!less && node->op != EM__OP_GREATER && node->op != EM__OP_GREATER_EQUAL)
        return false;
    if (!counts_along(m, node->in[!less], 0, keys, &key) || !counts_along(m, node->in[less], 1, queries, &query))
        return false;
    *reach = query - key - (strict ? 1 : 0);
    return true;
}

static void spot_causal(em__match *m, em__mask_term *term, int64_t queries, int64_t keys)
{
    grid g;
    double low, reach;
    if (queries > keys) /* rows without any key: only select says what they are */
        return;
    if (grid_of(m, term->node, queries, keys, &g)) {
        term->causal = is_causal(m, &g, term->pred, term->keeps, &low);
        if (term->causal && !term->pred)
            term->low = low;
    } else if (term->pred && term->keeps && compares_indices(m, term->node, queries, keys, &reach)) {
        term->causal = reach == (double)(keys - queries);
    }
}

/* select(condition, scores, low) or the other way round: goes on to the scores. */
static int masked_by_select(em__match *m, int i, em__scores *s)
{
    const em__node node = *em__match_node(m, i);
    bool keeps = !em__match_number(m, node.in[1], &(double){0});
    em__mask_term term = {.node = node.in[0], .pred = true, .keeps = keeps};
    if (!em__match_number(m, node.in[keeps ? 2 : 1], &term.low) || !has_product(m, node.in[keeps ? 1 : 2], 0))
        return -1;
    term.low *= s->scale;
    if (s->softcap != 0) {
        em__match_miss(m, "a mask stands inside the softcap");
        return -1;
    }
    if (!(term.low <= LOW_ENOUGH)) {
        em__match_miss(m, "masked scores become %g, which is not low enough to hide a key", term.low);
        return -1;
    }
    while (em__match_node(m, term.node)->op == EM__OP_LOGICAL_NOT) {
        term.node = em__match_node(m, term.node)->in[0];
        term.keeps = !term.keeps;
    }
    return add_term(m, s, term) ? node.in[keeps ? 1 : 2] : -1;
}

/* scores + mask: goes on to the scores. */
static int masked_by_sum(em__match *m, int i, em__scores *s)
{
    const em__node node = *em__match_node(m, i);
    int side = has_product(m, node.in[0], 0) ? 0 : 1;
    if (side == 0 && has_product(m, node.in[1], 0) &&
        em__spec_size(&em__match_node(m, node.in[0])->spec) < em__spec_size(&em__match_node(m, node.in[1])->spec))
        side = 1;
    if (s->scale != 1 || s->softcap != 0) {
        em__match_miss(m, "the mask is added before the scores are scaled or capped");
        return -1;
    }
    return add_term(m, s, (em__mask_term){.node = node.in[1 - side], .low = 0}) ? node.in[side] : -1;
}

/* One step down from node i; -1 when it leads nowhere. */
static int step(em__match *m, int i, em__scores *s)
{
    const em__node node = *em__match_node(m, i);
    double number = 1;
    int other;
    em__match_take(m, i);
    switch (node.op) {
    case EM__OP_CAST: return node.in[0];
    case EM__OP_SELECT: return masked_by_select(m, i, s);
    case EM__OP_ADD: return masked_by_sum(m, i, s);
    case EM__OP_TANH:
        if (s->softcap != 0 || s->scale == 1) {
            em__match_miss(m, "a tanh is over the scores that is no softcap");
            return -1;
        }
        s->softcap = s->scale;
        s->scale = 1;
        return node.in[0];
    case EM__OP_MUL:
    case EM__OP_DIV:
        if (!em__match_with_number(m, i, node.op, &other, &number)) {
            em__match_miss(m, "the scores are multiplied by an array");
            return -1;
        }
        s->scale *= node.op == EM__OP_DIV ? 1 / number : number;
        return other;
    default: em__match_miss(m, "%s stands between the products", em__op_get(node.op)->name); return -1;
    }
}

/* A reshape that only splits or joins axes before the last two. */
static bool keeps_matrix(const em__match *m, const em__node *node)
{
    const em__spec *a = &node->spec, *b = &em__match_node(m, node->in[0])->spec;
    return node->op == EM__OP_RESHAPE && a->rank >= 2 && b->rank >= 2 && a->dims[a->rank - 1] == b->dims[b->rank - 1] &&
           a->dims[a->rank - 2] == b->dims[b->rank - 2];
}

/* [scores, sinks] joined along the keys: takes the sinks, goes on to the scores. */
static int without_sinks(em__match *m, int i, em__scores *s)
{
    const em__node node = *em__match_node(m, i);
    int last = node.spec.rank - 1;
    if (node.op != EM__OP_CONCATENATE || node.n_in != 2 || node.ints[0] != last)
        return i;
    em__match_take(m, i);
    int sinks = node.in[1];
    while (em__match_node(m, sinks)->op == EM__OP_BROADCAST_TO || em__match_exact(m, sinks) != sinks)
        sinks = em__match_node(m, sinks)->in[0];
    const em__spec *spec = &em__match_node(m, sinks)->spec;
    bool fits = last >= 3 && spec->rank == last + 1 && em__match_node(m, node.in[1])->spec.dims[last] == 1;
    for (int d = 0; d <= last && fits; d++)
        fits = spec->dims[d] == (d == 0 || d >= last - 1 ? 1 : node.spec.dims[d]);
    if (!fits) {
        em__match_miss(m, "what is joined to the scores is not one sink a head");
        return -1;
    }
    s->sinks = sinks;
    return node.in[0];
}

bool em__scores_find(em__match *m, int i, em__scores *scores)
{
    *scores = (em__scores){.scale = 1, .sinks = -1};
    i = without_sinks(m, i, scores);
    if (i < 0)
        return false;
    scores->shape = i;
    for (int depth = 0; depth < DEEPEST; depth++) {
        const em__node *node = em__match_node(m, i);
        if (node->op == EM__OP_DOT_GENERAL || node->op == EM__OP_TRANSPOSE) {
            em__match_take(m, i);
            scores->dot = i;
            if (scores->softcap != 0)
                scores->scale *= scores->softcap;
            return true;
        }
        if (keeps_matrix(m, node)) {
            em__match_take(m, i);
            i = node->in[0];
            continue;
        }
        if (depth == 0 && !has_product(m, i, 0))
            return em__match_miss(m, "the softmax is not of a product");
        i = step(m, i, scores);
        if (i < 0)
            return false;
        if (em__spec_size(&em__match_node(m, i)->spec) != em__spec_size(&em__match_node(m, scores->shape)->spec))
            return em__match_miss(m, "the scores are repeated");
    }
    return false;
}

static int add_unary(em__match *m, em__op op, int i)
{
    return em__match_add(m, &(em__apply_nodes){.op = op, .n_in = 1, .in = &i});
}

static int add_binary(em__match *m, em__op op, int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return em__match_add(m, &(em__apply_nodes){.op = op, .n_in = 2, .in = (int[]){a, b}});
}

/* A constant f32 scalar. */
static int add_number(em__match *m, double value)
{
    const em__spec spec = {.dtype = EM_F32};
    em__buffer *buffer = em__buffer_new(NULL, sizeof(float));
    em_array *array = buffer ? em__array_over(m->graph->device, &spec, buffer) : NULL;
    if (!array) {
        em__buffer_release(buffer);
        m->status = EM_ERROR_OUT_OF_MEMORY;
        return -1;
    }
    *(float *)buffer->data = (float)value;
    int at = em__graph_add_constant(m->graph, array);
    if (at < 0)
        m->status = EM_ERROR_OUT_OF_MEMORY;
    return at;
}

static int repeated_as(const em__match *m, int i) /* what a mask broadcasts from */
{
    while (em__match_node(m, i)->op == EM__OP_BROADCAST_TO)
        i = em__match_node(m, i)->in[0];
    return i;
}

bool em__scores_mask(em__match *m, const em__scores *s, int *mask, bool *causal)
{
    const em__spec *shape = &em__match_node(m, s->shape)->spec;
    const int64_t queries = shape->dims[shape->rank - 2], keys = shape->dims[shape->rank - 1];
    int hard = -1, soft = -1, added = -1; /* preds of -inf, preds of a finite low number, sums */
    *causal = false;
    for (int k = 0; k < s->n_masks && m->status == EM_OK; k++) {
        em__mask_term t = s->masks[k];
        spot_causal(m, &t, queries, keys);
        if (t.causal && (s->n_masks == 1 || t.low == -INFINITY)) {
            *causal = true;
            continue;
        }
        int node = repeated_as(m, t.node);
        if (t.pred && !t.keeps)
            node = add_unary(m, EM__OP_LOGICAL_NOT, node);
        if (t.pred)
            *(t.low == -INFINITY ? &hard : &soft) =
                add_binary(m, EM__OP_LOGICAL_AND, t.low == -INFINITY ? hard : soft, node);
        else if (em__match_node(m, node)->spec.dtype != EM_F32)
            node = em__match_add(
                m, &(em__apply_nodes){
                       .op = EM__OP_CAST, .n_in = 1, .in = &node, .n_ints = 1, .ints = (int64_t[]){EM_F32}});
        if (!t.pred)
            added = add_binary(m, EM__OP_ADD, added, node);
    }
    if (soft < 0 && added < 0) {
        *mask = hard;
        return m->status == EM_OK;
    }
    for (int k = 0; k < 2; k++) {
        int pred = k ? hard : soft, zero, low;
        if (pred < 0)
            continue;
        zero = add_number(m, 0);
        low = zero < 0 ? -1 : add_number(m, k ? -INFINITY : REPLACES);
        if (low < 0)
            return false;
        added = add_binary(
            m, EM__OP_ADD, added,
            em__match_add(m, &(em__apply_nodes){.op = EM__OP_SELECT, .n_in = 3, .in = (int[]){pred, zero, low}}));
    }
    *mask = added;
    return m->status == EM_OK && added >= 0;
}
