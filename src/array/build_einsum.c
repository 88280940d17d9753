/*
 * Builder of einsum: a composition. Each operand first loses its diagonals, its axes of size 1 that broadcast, and the
 * axes that nobody else has (a sum). Then pairs are contracted, always the one that leaves the least behind, and the
 * last one is turned to the order asked for.
 */
#include <emily/ops.h>

#include "array/einsum.h"
#include "core/error.h"

typedef uint64_t label_set; /* of labels */

/* An operand on its way: its labels are all different. */
typedef struct piece {
    em_array *array;
    em__einsum_term term;
} piece;

typedef struct work {
    em_scope *scope;
    const em__einsum *spec;
    int n;
    piece pieces[EM__EINSUM_OPERANDS];
} work;

static label_set set_of(const em__einsum_term *term)
{
    label_set set = 0;
    for (int i = 0; i < term->rank; i++)
        set |= (label_set)1 << term->labels[i];
    return set;
}

static bool holds(label_set set, int label)
{
    return set >> label & 1;
}

/* The labels that the result or a piece besides `a` and `b` has. */
static label_set needed(const work *w, int a, int b)
{
    label_set set = set_of(&w->spec->out);
    for (int i = 0; i < w->n; i++)
        if (i != a && i != b)
            set |= set_of(&w->pieces[i].term);
    return set;
}

static int find(const em__einsum_term *term, int label)
{
    for (int i = 0; i < term->rank; i++)
        if (term->labels[i] == label)
            return i;
    return -1;
}

static void drop_label(em__einsum_term *term, int axis)
{
    term->rank--;
    for (int i = axis; i < term->rank; i++)
        term->labels[i] = term->labels[i + 1];
}

/* Axes i < j of the piece have one label: they become its diagonal, at the end. A square of n x n seen as one axis has
 * its diagonal at every (n + 1)th element. */
static void take_diagonal(work *w, piece *p, int i, int j)
{
    const int rank = p->term.rank, label = p->term.labels[i];
    const int64_t size = p->array->spec.dims[i];
    em_axes order = {.count = rank};
    em_dims dims = {.rank = rank - 1};
    int64_t start[EM_MAX_RANK] = {0}, stop[EM_MAX_RANK], stride[EM_MAX_RANK];
    int k = 0;
    for (int d = 0; d < rank; d++)
        if (d != i && d != j) {
            order.axes[k] = d;
            stride[k] = 1;
            dims.dims[k] = stop[k] = p->array->spec.dims[d];
            k++;
        }
    order.axes[k] = i;
    order.axes[k + 1] = j;
    dims.dims[k] = stop[k] = size * size;
    stride[k] = size + 1;
    p->array = em_reshape(w->scope, em_transpose(w->scope, p->array, order), dims);
    p->array = em_slice(w->scope, p->array, start, stop, stride);
    drop_label(&p->term, j);
    drop_label(&p->term, i);
    p->term.labels[p->term.rank++] = label;
}

static void take_diagonals(work *w, piece *p)
{
    for (int j = p->term.rank - 1; j > 0; j--)
        for (int i = 0; i < j && j < p->term.rank; i++)
            if (p->array && p->term.labels[i] == p->term.labels[j]) {
                take_diagonal(w, p, i, j);
                j = p->term.rank; /* from the end again */
            }
}

/* Sums of narrow integers and of truths are wide: the operands' dtype is the result's. */
static void sum_axes(work *w, piece *p, label_set away)
{
    em_axes axes = {0};
    const em_dtype dtype = p->array ? p->array->spec.dtype : EM_F32;
    for (int d = p->term.rank - 1; d >= 0; d--)
        if (holds(away, p->term.labels[d])) {
            axes.axes[axes.count++] = d;
            drop_label(&p->term, d);
        }
    if (axes.count)
        p->array = em_cast(w->scope, em_sum(w->scope, p->array, axes, false), dtype);
}

/* Axes of size 1 whose label is longer elsewhere repeat; so the piece does without them. */
static void drop_ones(work *w, piece *p)
{
    em_axes axes = {0};
    for (int d = p->term.rank - 1; d >= 0; d--)
        if (p->array && p->array->spec.dims[d] == 1 && w->spec->sizes[p->term.labels[d]] != 1) {
            axes.axes[axes.count++] = d;
            drop_label(&p->term, d);
        }
    if (axes.count)
        p->array = em_squeeze(w->scope, p->array, axes);
}

/* Elements of an array with these labels. */
static double elements(const work *w, label_set set)
{
    double size = 1;
    for (int label = 0; label < EM__EINSUM_LABELS; label++)
        if (holds(set, label))
            size *= (double)w->spec->sizes[label];
    return size;
}

/* The pair whose contraction leaves least behind: smallest result less its operands, then fewest products. */
static void choose_pair(const work *w, int *best_a, int *best_b)
{
    double best = 0, best_products = 0;
    *best_a = *best_b = -1;
    for (int a = 0; a < w->n; a++)
        for (int b = a + 1; b < w->n; b++) {
            const label_set in_a = set_of(&w->pieces[a].term), in_b = set_of(&w->pieces[b].term);
            const double left = elements(w, (in_a | in_b) & needed(w, a, b)) - elements(w, in_a) - elements(w, in_b);
            const double products = elements(w, in_a | in_b);
            if (*best_a >= 0 && (left > best || (left == best && products >= best_products)))
                continue;
            best = left;
            best_products = products;
            *best_a = a;
            *best_b = b;
        }
}

/* The piece with the labels of `want` that it has, in that order, and axes of size 1 for the others. */
static em_array *spread(work *w, const piece *p, const em__einsum_term *want)
{
    em_axes order = {0};
    em_dims dims = {.rank = want->rank};
    for (int i = 0; i < want->rank; i++) {
        const int axis = find(&p->term, want->labels[i]);
        dims.dims[i] = axis >= 0 ? w->spec->sizes[want->labels[i]] : 1;
        if (axis >= 0)
            order.axes[order.count++] = axis;
    }
    return em_reshape(w->scope, em_transpose(w->scope, p->array, order), dims);
}

/* Nothing is contracted: a product of elements. */
static em_array *multiply(work *w, const piece *a, const piece *b, const em__einsum_term *out)
{
    em_array *x = spread(w, a, out), *y = spread(w, b, out);
    bool truths = a->array->spec.dtype == EM_PRED;
    return truths ? em_logical_and(w->scope, x, y) : em_mul(w->scope, x, y);
}

static em_status contract(work *w, int at_a, int at_b)
{
    piece *a = &w->pieces[at_a], *b = &w->pieces[at_b];
    const label_set common = set_of(&a->term) & set_of(&b->term), keep = needed(w, at_a, at_b);
    em_axes batch[2] = {{0}}, sum[2] = {{0}};
    piece out = {0};
    for (int i = 0; i < a->term.rank; i++) {
        const int label = a->term.labels[i];
        em_axes *lists = holds(keep, label) ? batch : sum;
        if (!holds(common, label))
            continue;
        lists[0].axes[lists[0].count++] = i;
        lists[1].axes[lists[1].count++] = find(&b->term, label);
        if (lists == batch)
            out.term.labels[out.term.rank++] = label;
    }
    const int rank = a->term.rank + b->term.rank - 2 * sum[0].count - batch[0].count;
    EM__FAIL_IF(rank > EM_MAX_RANK, EM_ERROR_INVALID_ARGUMENT,
                "einsum: a product on the way has rank %d; the most is %d", rank, EM_MAX_RANK);
    for (int i = 0; i < a->term.rank + b->term.rank; i++) {
        const int label = i < a->term.rank ? a->term.labels[i] : b->term.labels[i - a->term.rank];
        if (!holds(common, label))
            out.term.labels[out.term.rank++] = label;
    }
    out.array = sum[0].count == 0 ? multiply(w, a, b, &out.term)
                                  : em_dot_general(w->scope, a->array, sum[0], batch[0], b->array, sum[1], batch[1]);
    if (!out.array)
        return EM_ERROR_INTERNAL;
    *a = out;
    *b = w->pieces[--w->n];
    return EM_OK;
}

/* The labels of the one piece that is left in the order of the result. */
static em_array *finish(work *w)
{
    em_axes order = {.count = w->spec->out.rank};
    for (int i = 0; i < order.count; i++)
        order.axes[i] = find(&w->pieces[0].term, w->spec->out.labels[i]);
    return em_transpose(w->scope, w->pieces[0].array, order);
}

em_array *em_einsum(em_scope *scope, const char *subscripts, em_array *const *operands, size_t count)
{
    em__einsum spec;
    work w = {.scope = scope, .spec = &spec, .n = (int)count};
    if (!subscripts || !operands || count < 1 || count > EM__EINSUM_OPERANDS) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "einsum: subscripts and 1 to %d operands are needed, here are %zu",
                 EM__EINSUM_OPERANDS, count);
        return em__scope_fail(scope);
    }
    if (!em__scope_ok(scope, operands, (int)count, "einsum"))
        return NULL;
    if (em__einsum_parse(subscripts, operands, count, &spec) != EM_OK)
        return em__scope_fail(scope);
    em_dtype dtype = operands[0]->spec.dtype;
    for (size_t i = 1; i < count; i++)
        dtype = em__promote(dtype, operands[i]->spec.dtype);
    for (int i = 0; i < w.n; i++) {
        w.pieces[i] = (piece){em_cast(scope, operands[i], dtype), spec.in[i]};
        drop_ones(&w, &w.pieces[i]);
        take_diagonals(&w, &w.pieces[i]);
        if (!w.pieces[i].array)
            return NULL;
    }
    for (int i = 0; i < w.n; i++)
        sum_axes(&w, &w.pieces[i], ~needed(&w, i, i));
    for (int a, b; w.n > 1;) {
        choose_pair(&w, &a, &b);
        if (!w.pieces[a].array || !w.pieces[b].array)
            return NULL;
        if (contract(&w, a, b) != EM_OK)
            return em__scope_fail(scope);
    }
    return finish(&w);
}
