/*
 * Attention written out: softmax(scores) v with scores from q k^T (scores.c), in whatever layout the products have.
 *
 * Products are read by what their axes mean: batch axes, groups of query heads that share a key head, queries, keys,
 * features. q, k and v are then looked at as [B, heads, length, size]; keys and values that were repeated for each
 * query head are taken as they were before.
 */
#include <string.h>

#include "graph/passes/patterns/attention.h"

/* An operand of a product, axis by axis in the order that sdpa wants: batch axes, (groups,) length, size. */
typedef struct side {
    int node, rank;
    int axes[EM_MAX_RANK];
} side;

typedef struct attention {
    em__scores scores;
    side q, k, v;
    int64_t batch, heads, kv_heads, queries, keys;
    bool turned; /* the product gives [.., size, queries] */
} attention;

static int only_free_axis(const em__spec *spec, const int64_t *contract, const int64_t *batch, int n_batch)
{
    int found = -1;
    for (int d = 0; d < spec->rank; d++) {
        bool bound = d == contract[0];
        for (int k = 0; k < n_batch; k++)
            bound |= d == batch[k];
        if (bound)
            continue;
        if (found >= 0)
            return -1;
        found = d;
    }
    return found;
}

/* Where axis `t` of a product's result comes from: operand (0, 1; 2: both, a batch axis) and its axis (of a, if
 * both). */
static void axis_source(const em__spec *a, const em__spec *b, const em__dot *dot, int t, int *operand, int *axis)
{
    *operand = 2;
    *axis = t < dot->n_batch ? (int)dot->batch_a[t] : -1;
    t -= dot->n_batch;
    for (int o = 0; o < 2 && t >= 0; o++) {
        const em__spec *spec = o ? b : a;
        const int64_t *contract = o ? dot->contract_b : dot->contract_a, *batch = o ? dot->batch_b : dot->batch_a;
        for (int d = 0; d < spec->rank; d++) {
            bool bound = false;
            for (int k = 0; k < dot->n_contract; k++)
                bound |= d == contract[k];
            for (int k = 0; k < dot->n_batch; k++)
                bound |= d == batch[k];
            if (!bound && t-- == 0) {
                *operand = o;
                *axis = d;
                return;
            }
        }
    }
}

/* q and k of the product that gives the scores. */
static bool read_scores(em__match *m, attention *at)
{
    int top = at->scores.dot, i = top;
    if (em__match_node(m, i)->op == EM__OP_TRANSPOSE)
        em__match_take(m, i = em__match_node(m, i)->in[0]);
    const em__node product = *em__match_node(m, i), *result = em__match_node(m, top);
    if (product.op != EM__OP_DOT_GENERAL)
        return em__match_miss(m, "the softmax is not of a product");
    const em__spec *a = &em__match_node(m, product.in[0])->spec, *b = &em__match_node(m, product.in[1])->spec;
    em__dot dot = em__dot_decode(product.ints);
    int rank = result->spec.rank, operands[EM_MAX_RANK], axes[EM_MAX_RANK], n_batch = 0;
    if (dot.n_contract != 1 || rank < 2)
        return em__match_miss(m, "the scores are contracted over %d axes", dot.n_contract);
    for (int t = 0; t < rank; t++)
        axis_source(a, b, &dot, top == i ? t : (int)result->ints[t], &operands[t], &axes[t]);
    int of_k = operands[rank - 1], of_q = 1 - of_k;
    if (of_k == 2 || operands[rank - 2] != of_q)
        return em__match_miss(m, "the last axes of the scores are not queries and keys");
    while (n_batch < rank && operands[n_batch] == 2)
        n_batch++;
    bool ordered = n_batch == dot.n_batch;
    for (int t = n_batch; t < rank - 1; t++)
        ordered &= operands[t] == of_q;
    if (!ordered)
        return em__match_miss(m, "the axes of the scores are in another order than batch, heads, queries, keys");
    at->q = (side){.node = product.in[of_q], .rank = rank};
    at->k = (side){.node = product.in[of_k], .rank = n_batch + 2};
    for (int t = 0; t < n_batch; t++)
        for (int k = 0; k < n_batch; k++)
            if (dot.batch_a[k] == axes[t]) {
                at->q.axes[t] = (int)(of_q ? dot.batch_b : dot.batch_a)[k];
                at->k.axes[t] = (int)(of_k ? dot.batch_b : dot.batch_a)[k];
            }
    for (int t = n_batch; t < rank - 1; t++)
        at->q.axes[t] = axes[t];
    at->q.axes[rank - 1] = (int)(of_q ? dot.contract_b : dot.contract_a)[0];
    at->k.axes[n_batch] = axes[rank - 1];
    at->k.axes[n_batch + 1] = (int)(of_k ? dot.contract_b : dot.contract_a)[0];
    return true;
}

/* v, from the product whose operand `p` are the weights. */
static bool read_values(em__match *m, int root, int p, attention *at)
{
    const em__node product = *em__match_node(m, root);
    em__dot dot = em__dot_decode(product.ints);
    const em__spec *weights = &em__match_node(m, product.in[p])->spec, *v = &em__match_node(m, product.in[1 - p])->spec;
    const int64_t *batch_p = p ? dot.batch_b : dot.batch_a, *batch_v = p ? dot.batch_a : dot.batch_b;
    const int64_t *contract_p = p ? dot.contract_b : dot.contract_a, *contract_v = p ? dot.contract_a : dot.contract_b;
    if (dot.n_contract != 1 || contract_p[0] != weights->rank - 1)
        return em__match_miss(m, "the weights are not contracted over their last axis alone");
    int size = only_free_axis(v, contract_v, batch_v, dot.n_batch);
    if (size < 0)
        return em__match_miss(m, "the values have more than one axis beside batch, heads and keys");
    at->v = (side){.node = product.in[1 - p], .rank = dot.n_batch + 2};
    for (int k = 0; k < dot.n_batch; k++) {
        if (batch_p[k] != k)
            return em__match_miss(m, "the batch axes of the weights are not their first, in order");
        at->v.axes[k] = (int)batch_v[k];
    }
    at->v.axes[dot.n_batch] = (int)contract_v[0];
    at->v.axes[dot.n_batch + 1] = size;
    at->turned = p == 1;
    if (at->turned && weights->rank != dot.n_batch + 2)
        return em__match_miss(m, "grouped heads come behind the size of a value");
    return true;
}

/* Batch, heads and lengths by the shape that the softmax sees. */
static bool read_sizes(em__match *m, attention *at)
{
    const em__spec *shape = &em__match_node(m, at->scores.shape)->spec;
    const em__spec *q = &em__match_node(m, at->q.node)->spec;
    int r = shape->rank;
    int64_t groups = 1;
    if (r > 5)
        return em__match_miss(m, "scores of rank %d", r);
    at->batch = r > 3 ? shape->dims[0] : 1;
    at->heads = r == 2 ? 1 : r == 5 ? shape->dims[1] * shape->dims[2] : shape->dims[r - 3];
    at->queries = shape->dims[r - 2];
    at->keys = shape->dims[r - 1];
    for (int t = at->k.rank - 2; t < at->q.rank - 2; t++)
        groups *= q->dims[at->q.axes[t]];
    if (groups == 0 || at->heads % groups || at->heads == 0)
        return em__match_miss(m, "%lld heads in groups of %lld", (long long)at->heads, (long long)groups);
    at->kv_heads = at->heads / groups;
    return true;
}

/* The merge of axes 0 and 1 of four: what was merged; else i. */
static int before_merge(const em__match *m, int i)
{
    const em__node *node = em__match_node(m, i);
    if (node->op != EM__OP_RESHAPE || node->spec.rank != 3)
        return i;
    const em__spec *in = &em__match_node(m, node->in[0])->spec;
    bool merges = in->rank == 4 && in->dims[2] == node->spec.dims[1] && in->dims[3] == node->spec.dims[2];
    return merges ? node->in[0] : i;
}

static int add_view(em__match *m, em__op op, int i, int n, const int64_t *ints)
{
    return em__match_add(m, &(em__apply_nodes){.op = op, .n_in = 1, .in = &i, .n_ints = n, .ints = ints});
}

/* Whether constant `i` is 0, 0, .., 1, 1, ..: each number `group` times. */
static bool repeats_indices(const em__match *m, int i, int64_t *group)
{
    const em__node *node = em__match_node(m, i);
    if (node->op != EM__OP_CONSTANT || node->spec.rank != 1 ||
        (node->spec.dtype != EM_S32 && node->spec.dtype != EM_S64))
        return false;
    em__tensor t;
    if (em__array_tensor_on(node->value, NULL, &t) != EM_OK)
        return false;
    int64_t n = node->spec.dims[0];
    *group = 0;
    for (int64_t j = 0; j < n; j++) {
        int64_t v =
            node->spec.dtype == EM_S32 ? ((int32_t *)t.data)[j * t.strides[0]] : ((int64_t *)t.data)[j * t.strides[0]];
        if (*group == 0 && v != 0)
            *group = j;
        if (v != (*group ? j / *group : 0))
            return false;
    }
    *group = *group ? *group : n;
    return *group > 1 && n % *group == 0;
}

/* Node i repeats the elements of an axis `group` times each: what it repeats, with that axis as it was. `dry`: only
 * whether and which. -1: it does not. */
static int unrepeated(em__match *m, int i, bool dry, int depth, int *axis, int64_t *group)
{
    const em__node node = *em__match_node(m, i);
    int64_t dims[EM_MAX_RANK];
    if (depth == 6 || node.n_in == 0)
        return -1;
    const em__node in = *em__match_node(m, node.in[0]);
    memcpy(dims, node.spec.dims, sizeof dims);
    if (node.op == EM__OP_TAKE && repeats_indices(m, node.in[1], group) &&
        in.spec.dims[node.ints[0]] * *group == node.spec.dims[node.ints[0]]) {
        *axis = (int)node.ints[0];
        return node.in[0];
    }
    if (node.op == EM__OP_RESHAPE && in.op == EM__OP_BROADCAST_TO && in.spec.rank == node.spec.rank + 1) {
        const em__spec *source = &em__match_node(m, in.in[0])->spec;
        int a = 0, lead = in.spec.rank - source->rank;
        while (a < node.spec.rank && in.spec.dims[a] == dims[a])
            a++;
        if (a == node.spec.rank || in.spec.dims[a] * in.spec.dims[a + 1] != dims[a] || lead != 0 ||
            source->dims[a + 1] != 1 || source->dims[a] != in.spec.dims[a])
            return -1;
        for (int d = 0; d < source->rank; d++)
            if (d != a + 1 && source->dims[d] != in.spec.dims[d])
                return -1;
        *axis = a;
        *group = in.spec.dims[a + 1];
        dims[a] = in.spec.dims[a];
        return dry ? i : add_view(m, EM__OP_RESHAPE, in.in[0], node.spec.rank, dims);
    }
    bool merge = before_merge(m, i) != i;
    if (node.op != EM__OP_TRANSPOSE && node.op != EM__OP_CAST && !merge)
        return -1;
    int below = unrepeated(m, node.in[0], dry, depth + 1, axis, group);
    if (below < 0 || (merge && *axis != 1))
        return -1;
    if (merge) {
        dims[0] /= *group;
        *axis = 0;
        return dry ? i : add_view(m, EM__OP_RESHAPE, below, 3, dims);
    }
    for (int t = 0; t < node.spec.rank && node.op == EM__OP_TRANSPOSE; t++)
        if (node.ints[t] == *axis) {
            *axis = t;
            break;
        }
    return dry ? i : add_view(m, node.op, below, node.n_ints, node.ints);
}

/* Takes k and v as they were before each of their heads was repeated, if both were alike. */
static void share_heads(em__match *m, attention *at)
{
    int axis_k, axis_v;
    int64_t group_k, group_v;
    int last = at->k.rank - 3;
    if (at->kv_heads != at->heads || last < 0 || at->v.rank != at->k.rank)
        return;
    if (unrepeated(m, at->k.node, true, 0, &axis_k, &group_k) < 0 ||
        unrepeated(m, at->v.node, true, 0, &axis_v, &group_v) < 0)
        return;
    if (group_k != group_v || axis_k != at->k.axes[last] || axis_v != at->v.axes[last] || at->heads % group_k)
        return;
    int k = unrepeated(m, at->k.node, false, 0, &axis_k, &group_k);
    int v = unrepeated(m, at->v.node, false, 0, &axis_v, &group_v);
    if (k < 0 || v < 0)
        return;
    at->k.node = k;
    at->v.node = v;
    at->kv_heads /= group_k;
}

static side below_transposes(const em__match *m, side s)
{
    while (em__match_node(m, s.node)->op == EM__OP_TRANSPOSE) {
        const em__node *node = em__match_node(m, s.node);
        for (int t = 0; t < s.rank; t++)
            s.axes[t] = (int)node->ints[s.axes[t]];
        s.node = node->in[0];
    }
    return s;
}

/* The operand as [batch, heads, length, size]; -1 when it is not that. */
static int as_four(em__match *m, side s, int64_t batch, int64_t heads, int64_t length)
{
    s = below_transposes(m, s);
    int lifted = s.rank == 3 && s.axes[0] == 0 ? before_merge(m, s.node) : s.node;
    if (lifted != s.node)
        s = below_transposes(m, (side){lifted, 4, {0, 1, s.axes[1] + 1, s.axes[2] + 1}});
    const em__spec spec = em__match_node(m, s.node)->spec;
    int64_t order[EM_MAX_RANK], size = spec.dims[s.axes[s.rank - 1]], dims[] = {batch, heads, length, size};
    bool moves = false;
    if (spec.rank != s.rank || em__spec_size(&spec) != batch * heads * length * size)
        return -1;
    for (int t = 0; t < s.rank; t++) {
        order[t] = s.axes[t];
        moves |= order[t] != t;
    }
    int i = moves ? add_view(m, EM__OP_TRANSPOSE, s.node, s.rank, order) : s.node;
    if (i < 0)
        return -1;
    const em__spec *now = &em__match_node(m, i)->spec;
    if (now->rank == 4 && memcmp(now->dims, dims, sizeof dims) == 0)
        return i;
    return add_view(m, EM__OP_RESHAPE, i, 4, dims);
}

/* The mask of scores with grouped heads [B, Hkv, G, queries, keys], as one of [B, H, queries, keys]. */
static int flat_mask(em__match *m, const attention *at, int mask)
{
    const em__spec *shape = &em__match_node(m, at->scores.shape)->spec;
    const em__spec *spec = &em__match_node(m, mask)->spec;
    if (shape->rank != 5 || spec->rank < 3)
        return mask;
    int g = spec->rank - 3;
    int64_t groups = spec->dims[g], kv = g > 0 ? spec->dims[g - 1] : 1, first = g > 1 ? spec->dims[0] : 1;
    if (kv * groups != 1 && kv * groups != at->heads)
        return -1;
    return add_view(m, EM__OP_RESHAPE, mask, 4, (int64_t[]){first, kv * groups, spec->dims[g + 1], spec->dims[g + 2]});
}

static int in_dtype(const em__match *m, int i, em_dtype dtype)
{
    int exact = em__match_exact(m, i);
    return em__match_node(m, i)->spec.dtype == dtype ? i : em__match_node(m, exact)->spec.dtype == dtype ? exact : -1;
}

/* Keys and values in the result's dtype; but both as the halves that they were, beside f32 queries. */
static void find_cache(const em__match *m, attention *at, em_dtype dtype)
{
    int k = em__match_exact(m, at->k.node), v = em__match_exact(m, at->v.node);
    em_dtype cache = em__match_node(m, k)->spec.dtype;
    bool mixed = em__match_node(m, v)->spec.dtype == cache && em__sdpa_mixes(dtype, cache);
    at->k.node = mixed ? k : in_dtype(m, at->k.node, dtype);
    at->v.node = mixed ? v : in_dtype(m, at->v.node, dtype);
}

/* All operands of the sdpa, in order; their count, or 0. */
static int operands(em__match *m, attention *at, em_dtype dtype, int *in, int64_t *ints)
{
    int mask, n = 3;
    bool causal;
    at->q.node = in_dtype(m, at->q.node, dtype);
    find_cache(m, at, dtype);
    if (at->q.node < 0 || at->k.node < 0 || at->v.node < 0)
        return em__match_miss(m, "q, k, v and the result have different dtypes");
    share_heads(m, at);
    in[0] = as_four(m, at->q, at->batch, at->heads, at->queries);
    in[1] = as_four(m, at->k, at->batch, at->kv_heads, at->keys);
    in[2] = as_four(m, at->v, at->batch, at->kv_heads, at->keys);
    if (in[0] < 0 || in[1] < 0 || in[2] < 0)
        return em__match_miss(m, "q, k and v do not have the same batches and heads");
    if (!em__scores_mask(m, &at->scores, &mask, &causal))
        return 0;
    if (mask >= 0)
        mask = in[n++] = flat_mask(m, at, mask);
    if (n == 4 && mask < 0)
        return em__match_miss(m, "the mask differs between grouped heads");
    if (at->scores.sinks >= 0) {
        int sinks = add_view(m, EM__OP_RESHAPE, at->scores.sinks, 1, &at->heads);
        if (sinks >= 0 && em__match_node(m, sinks)->spec.dtype != EM_F32)
            sinks = add_view(m, EM__OP_CAST, sinks, 1, (int64_t[]){EM_F32});
        if (sinks < 0)
            return 0;
        in[n++] = sinks;
    }
    ints[0] = causal;
    ints[1] = (mask >= 0 ? 1 : 0) | (at->scores.sinks >= 0 ? 2 : 0);
    ints[2] = 0;
    return n;
}

/* Goes from operand `p` of the root to the softmax: its node, or -1 (no near miss: most products are no attention). */
static int find_softmax(em__match *m, int root, int p, bool *sliced)
{
    int i = em__match_node(m, root)->in[p];
    *sliced = false;
    for (int depth = 0; depth < 8; depth++) {
        const em__node *node = em__match_node(m, i);
        em__match_take(m, i);
        if (node->op == EM__OP_SOFTMAX)
            return i;
        const em__spec *in = node->n_in ? &em__match_node(m, node->in[0])->spec : NULL;
        bool matrix = node->op == EM__OP_RESHAPE && node->spec.rank >= 2 && in->rank >= 2 &&
                      node->spec.dims[node->spec.rank - 1] == in->dims[in->rank - 1] &&
                      node->spec.dims[node->spec.rank - 2] == in->dims[in->rank - 2];
        if (node->op == EM__OP_SLICE && !*sliced)
            *sliced = true;
        else if (node->op != EM__OP_CAST && !matrix)
            return -1;
        i = node->in[0];
    }
    return -1;
}

/* A slice between softmax and product may only take the sinks off. */
static bool slice_fits(em__match *m, int softmax, const attention *at)
{
    const em__spec *whole = &em__match_node(m, softmax)->spec;
    for (int j = 0; j < m->n; j++) {
        const em__node *node = em__match_node(m, m->nodes[j]);
        if (node->op != EM__OP_SLICE || node->in[0] != softmax)
            continue;
        int rank = whole->rank;
        for (int d = 0; d < rank; d++)
            if (node->ints[d] != 0 || node->ints[2 * rank + d] != 1 ||
                node->spec.dims[d] != whole->dims[d] - (d == rank - 1 && at->scores.sinks >= 0))
                return false;
        return true;
    }
    return false;
}

static bool attention_of(em__match *m, int root, int p)
{
    attention at = {0};
    bool sliced;
    em__match_begin(m, EM__PATTERN_ATTENTION);
    int softmax = find_softmax(m, root, p, &sliced), in[6];
    int64_t ints[3];
    if (softmax < 0)
        return false;
    const em__node node = *em__match_node(m, softmax);
    const em__spec out = em__match_node(m, root)->spec;
    if (node.ints[0] != node.spec.rank - 1)
        return em__match_miss(m, "the softmax is over axis %d of %d, not the last", (int)node.ints[0], node.spec.rank);
    if (!em__scores_find(m, node.in[0], &at.scores) || !read_scores(m, &at) || !read_values(m, root, p, &at) ||
        !read_sizes(m, &at))
        return false;
    if (sliced != (at.scores.sinks >= 0) || (sliced && !slice_fits(m, softmax, &at)))
        return em__match_miss(m, "the weights are cut");
    if (out.dtype == EM_F64)
        return em__match_miss(m, "there is no kernel for f64");
    if (!em__match_private(m, root))
        return false;
    int n = operands(m, &at, out.dtype, in, ints);
    if (n == 0)
        return false;
    double floats[] = {at.scores.scale, at.scores.softcap};
    em__apply_nodes apply = {
        .op = EM__OP_SDPA, .n_in = n, .in = in, .n_ints = 3, .ints = ints, .n_floats = 2, .floats = floats};
    int64_t size = em__match_node(m, in[2])->spec.dims[3];
    const em__spec four = {.dtype = out.dtype, .rank = 4, .dims = {at.batch, at.heads, at.queries, size}};
    if (!at.turned && em__spec_equal(&four, &out))
        return em__match_become(m, root, &apply);
    int result = em__match_add(m, &apply);
    if (result >= 0 && at.turned)
        result = add_view(m, EM__OP_TRANSPOSE, result, 4, (int64_t[]){0, 1, 3, 2});
    return result >= 0 &&
           em__match_become(m, root,
                            &(em__apply_nodes){
                                .op = EM__OP_RESHAPE, .n_in = 1, .in = &result, .n_ints = out.rank, .ints = out.dims});
}

bool em__pattern_attention(em__match *m, int root)
{
    if (em__match_node(m, root)->op != EM__OP_DOT_GENERAL)
        return false;
    return attention_of(m, root, 0) || attention_of(m, root, 1);
}
