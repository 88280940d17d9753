/* Growing a region: see chain_region.h. */
#include "graph/passes/chain_region.h"

#include <string.h>

#define LONGEST_ROW 16384 /* elements that a reduction takes as one part */
#define FEWEST_ROWS 8     /* below which a big reduction is better spread over the threads by itself */
#define SMALL 65536       /* elements */
#define LOOKAHEAD 24      /* nodes looked at for a reduction */

static int leading_ones(const em__spec *s)
{
    int n = 0;
    while (n < s->rank && s->dims[n] == 1)
        n++;
    return n;
}

/* The same shape but for leading axes of size 1. */
static bool same_shape(const em__spec *a, const em__spec *b)
{
    int x = leading_ones(a), y = leading_ones(b);
    return a->rank - x == b->rank - y &&
           memcmp(a->dims + x, b->dims + y, (size_t)(a->rank - x) * sizeof a->dims[0]) == 0;
}

static em__region_class class_of(const em__region *r, const em__spec *spec)
{
    em__spec kept = r->full, dropped = r->full;
    if (same_shape(spec, &r->full))
        return EM__REGION_FULL;
    if (r->n_axes == 0)
        return EM__REGION_OUT;
    dropped.rank -= r->n_axes;
    for (int i = dropped.rank; i < kept.rank; i++)
        kept.dims[i] = 1;
    return same_shape(spec, &kept) ? EM__REGION_KEPT : same_shape(spec, &dropped) ? EM__REGION_DROPPED : EM__REGION_OUT;
}

/* How many of the last axes the reduction takes; 0 when it takes others, or what a chain leaves to its own kernel. */
static int reduced_axes(const em__graph *graph, const em__node *node)
{
    if (!em__chain_reduces(node->op))
        return 0;
    const em__spec *in = &graph->nodes.data[node->in[0]].spec;
    int64_t columns = 1, size = em__spec_size(in), mask = node->ints[1];
    int n = 0;
    while (n < in->rank && mask >> (in->rank - 1 - n) & 1)
        columns *= in->dims[in->rank - 1 - n++];
    bool only = n > 0 && mask == ((int64_t)1 << in->rank) - ((int64_t)1 << (in->rank - n));
    bool fits = columns > 1 && columns <= LONGEST_ROW && (size <= SMALL || size / columns >= FEWEST_ROWS);
    return only && fits ? n : 0;
}

static bool is_op(const em__graph *graph, const em__node *node)
{
    const em__device_vtable *vtable = graph->device->vtable;
    unsigned traits = em__op_get(node->op)->traits;
    if (!(traits & EM__TRAIT_ELEMENTWISE) && !em__chain_reduces(node->op))
        return false;
    if (node->n_in > 3 || em__spec_empty(&node->spec))
        return false;
    em_dtype from = graph->nodes.data[node->in[node->n_in - 1]].spec.dtype;
    if (em__sub_byte(from) || em__sub_byte(node->spec.dtype))
        return false;
    return vtable->chains(graph->device, node->op, from, node->spec.dtype);
}

/* Whether a node of class `user` may read one of class `in` within the region. */
static bool edge_fits(const em__node *user, em__region_class at, em__region_class in)
{
    if (em__chain_reduces(user->op))
        return in == EM__REGION_FULL;
    if (user->op == EM__OP_RESHAPE)
        return at == in || (at != EM__REGION_FULL && in != EM__REGION_FULL);
    return at == in || (at == EM__REGION_FULL && in == EM__REGION_KEPT);
}

/* Whether the node may join: every use of it lies in the region, and fits. */
static bool joins(const em__region *r, const em__region_marks *marks, int index, em__region_class *as)
{
    const em__node *node = &r->graph->nodes.data[index];
    bool view = node->op == EM__OP_BROADCAST_TO || node->op == EM__OP_RESHAPE;
    *as = class_of(r, &node->spec);
    if (marks->inside[index] != node->uses || *as == EM__REGION_OUT || !(view || is_op(r->graph, node)))
        return false;
    if (em__chain_reduces(node->op)) {
        const em__spec *in = &r->graph->nodes.data[node->in[0]].spec;
        if (r->n_axes == 0 || reduced_axes(r->graph, node) != r->n_axes || class_of(r, in) != EM__REGION_FULL)
            return false;
    }
    if (view) {
        em__region_class in = class_of(r, &r->graph->nodes.data[node->in[0]].spec);
        if (in == EM__REGION_OUT || !edge_fits(node, *as, in))
            return false;
    }
    for (int i = 0; i < r->n_nodes; i++) {
        const em__node *user = &r->graph->nodes.data[r->nodes[i]];
        for (int j = 0; j < user->n_in; j++)
            if (user->in[j] == index && (!edge_fits(user, r->classes[i], *as) || (em__chain_reduces(user->op) && view)))
                return false;
    }
    return true;
}

static void add(em__region *r, em__region_marks *marks, int index, em__region_class as)
{
    const em__node *node = &r->graph->nodes.data[index];
    r->nodes[r->n_nodes] = index;
    r->classes[r->n_nodes++] = as;
    marks->slot[index] = r->n_nodes;
    r->n_ops += node->op != EM__OP_BROADCAST_TO && node->op != EM__OP_RESHAPE;
    r->n_reduces += em__chain_reduces(node->op);
    for (int j = 0; j < node->n_in; j++)
        marks->inside[node->in[j]]++;
}

void em__region_clear(const em__region *r, em__region_marks *marks)
{
    for (int i = 0; i < r->n_nodes; i++) {
        const em__node *node = &r->graph->nodes.data[r->nodes[i]];
        marks->slot[r->nodes[i]] = 0;
        for (int j = 0; j < node->n_in; j++)
            marks->inside[node->in[j]] = 0;
    }
}

/* The highest operand of the region below `below` that has not been looked at; -1 when there is none. Users stand
 * behind what they use, so all users of a candidate have been decided. */
static int next_candidate(const em__region *r, int below)
{
    int best = -1;
    for (int i = 0; i < r->n_nodes; i++) {
        const em__node *node = &r->graph->nodes.data[r->nodes[i]];
        for (int j = 0; j < node->n_in; j++)
            if (node->in[j] < below && node->in[j] > best)
                best = node->in[j];
    }
    return best;
}

static void grow(em__region *r, const em__graph *graph, em__region_marks *marks, int root, const em__spec *full,
                 int n_axes, int most)
{
    em__region_class as;
    *r = (em__region){.graph = graph, .full = *full, .n_axes = n_axes, .root = root};
    add(r, marks, root, class_of(r, &graph->nodes.data[root].spec));
    for (int at = next_candidate(r, root); at >= 0; at = next_candidate(r, at))
        if (r->n_nodes < EM__REGION_NODES && r->n_ops < most && joins(r, marks, at, &as))
            add(r, marks, at, as);
}

/* The nearest reduction over last axes that the root needs, with the root in its input's or its output's shape. */
static int find_reduction(const em__graph *graph, int root)
{
    int queue[LOOKAHEAD] = {root}, n = 1;
    const em__spec *shape = &graph->nodes.data[root].spec;
    for (int i = 0; i < n; i++) {
        const em__node *node = &graph->nodes.data[queue[i]];
        if (reduced_axes(graph, node) && is_op(graph, node) &&
            (same_shape(shape, &node->spec) || same_shape(shape, &graph->nodes.data[node->in[0]].spec)))
            return queue[i];
        bool view = node->op == EM__OP_BROADCAST_TO || node->op == EM__OP_RESHAPE;
        for (int j = 0; j < node->n_in && n < LOOKAHEAD && (view || is_op(graph, node)); j++)
            queue[n++] = node->in[j];
    }
    return -1;
}

bool em__region_grow(em__region *r, const em__graph *graph, em__region_marks *marks, int root, int most)
{
    const em__node *node = &graph->nodes.data[root];
    if (!is_op(graph, node) || marks->slot[root] || (em__chain_reduces(node->op) && !reduced_axes(graph, node)))
        return false;
    int reduction = find_reduction(graph, root);
    if (reduction >= 0) {
        const em__node *reduce = &graph->nodes.data[reduction];
        grow(r, graph, marks, root, &graph->nodes.data[reduce->in[0]].spec, reduced_axes(graph, reduce), most);
        if (r->n_reduces && r->n_ops > 1 && r->classes[0] != EM__REGION_OUT)
            return true;
        em__region_clear(r, marks);
    }
    if (em__chain_reduces(node->op))
        return false;
    grow(r, graph, marks, root, &node->spec, 0, most);
    if (r->n_ops > 1)
        return true;
    em__region_clear(r, marks);
    return false;
}
