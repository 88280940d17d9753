/* See match.h. */
#include "graph/passes/patterns/match.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "device/ref/ref.h"

#define DEEPEST 64     /* views and casts one below the other */
#define MOST_READ 4096 /* elements of a constant that are compared */

void em__match_begin(em__match *m, em__pattern pattern)
{
    m->pattern = pattern;
    m->n = 0;
    m->overflow = false;
}

em__node *em__match_node(const em__match *m, int i)
{
    return &m->graph->nodes.data[i];
}

static void keep(em__match *m, int i, bool passed)
{
    for (int j = 0; j < m->n; j++)
        if (m->nodes[j] == i) {
            m->passed[j] &= passed;
            return;
        }
    if (m->n == EM__MATCH_MOST) {
        m->overflow = true;
        return;
    }
    m->nodes[m->n] = i;
    m->passed[m->n++] = passed;
}

void em__match_take(em__match *m, int i)
{
    keep(m, i, false);
}

void em__match_pass(em__match *m, int i)
{
    keep(m, i, true);
}

static int uses_by(const em__node *node, int i)
{
    int n = 0;
    for (int j = 0; j < node->n_in; j++)
        n += node->in[j] == i;
    return n;
}

/* What is taken, and what is passed above something taken, must have all its uses in the match. */
bool em__match_private(em__match *m, int root)
{
    bool matters[EM__MATCH_MOST];
    if (m->overflow)
        return false;
    em__match_pass(m, root);
    for (int j = 0; j < m->n; j++)
        matters[j] = !m->passed[j];
    for (bool more = true; more;) {
        more = false;
        for (int j = 0; j < m->n; j++)
            for (int k = 0; k < m->n && !matters[j]; k++)
                if (matters[k] && m->nodes[j] != root && uses_by(em__match_node(m, m->nodes[j]), m->nodes[k]))
                    matters[j] = more = true;
    }
    for (int j = 0; j < m->n; j++) {
        int uses = 0, i = m->nodes[j];
        if (!matters[j] || i == root)
            continue;
        for (int k = 0; k < m->n; k++)
            uses += uses_by(em__match_node(m, m->nodes[k]), i);
        if (uses < em__match_node(m, i)->uses)
            return em__match_miss(m, "its %s is needed elsewhere too", em__op_get(em__match_node(m, i)->op)->name);
    }
    return true;
}

bool em__match_miss(em__match *m, const char *format, ...)
{
    em__pattern_report *report = m->graph->patterns;
    char reason[256], text[320];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    int n = snprintf(text, sizeof text, "%s: %s", em__pattern_name(m->pattern), reason);
    for (int i = 0; i < report->n_misses; i++)
        if (strcmp(report->misses[i], text) == 0)
            return false;
    em__log(EM_LOG_INFO, "near miss of a pattern: %s", text);
    if (report->n_misses == EM__PATTERN_MISSES)
        return false;
    char *kept = em__arena_alloc(&m->graph->arena, (size_t)n + 1);
    if (!kept) {
        m->status = EM_ERROR_OUT_OF_MEMORY;
        return false;
    }
    memcpy(kept, text, (size_t)n + 1);
    report->misses[report->n_misses++] = kept;
    return false;
}

static bool is_float(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_FLOAT;
}

/* A reshape that only adds or drops axes of size 1. */
static bool keeps_axes(const em__spec *a, const em__spec *b)
{
    int i = 0, j = 0;
    for (;;) {
        while (i < a->rank && a->dims[i] == 1)
            i++;
        while (j < b->rank && b->dims[j] == 1)
            j++;
        if (i == a->rank || j == b->rank)
            return i == a->rank && j == b->rank;
        if (a->dims[i++] != b->dims[j++])
            return false;
    }
}

static bool is_see_through(const em__match *m, const em__node *node, bool casts)
{
    if (node->op == EM__OP_BROADCAST_TO)
        return true;
    if (node->op == EM__OP_RESHAPE)
        return keeps_axes(&node->spec, &em__match_node(m, node->in[0])->spec);
    return casts && node->op == EM__OP_CAST && is_float(node->spec.dtype) &&
           is_float(em__match_node(m, node->in[0])->spec.dtype);
}

int em__match_under(em__match *m, int i, bool casts)
{
    for (int depth = 0; depth < DEEPEST && is_see_through(m, em__match_node(m, i), casts); depth++) {
        em__match_pass(m, i);
        i = em__match_node(m, i)->in[0];
    }
    return i;
}

int em__match_exact(const em__match *m, int i)
{
    for (int depth = 0; depth < DEEPEST; depth++) {
        const em__node *node = em__match_node(m, i);
        if (node->op != EM__OP_CAST || !is_float(node->spec.dtype))
            break;
        em_dtype from = em__match_node(m, node->in[0])->spec.dtype;
        if (!is_float(from) || em__promote(from, node->spec.dtype) != node->spec.dtype)
            break;
        i = node->in[0];
    }
    return i;
}

bool em__match_same(const em__match *m, int a, int b)
{
    return a == b || em__match_exact(m, a) == em__match_exact(m, b);
}

bool em__match_number(const em__match *m, int i, double *value)
{
    for (int depth = 0; depth < DEEPEST && is_see_through(m, em__match_node(m, i), true); depth++)
        i = em__match_node(m, i)->in[0];
    const em__node *node = em__match_node(m, i);
    if (node->op != EM__OP_CONSTANT || em_dtype_get_kind(node->spec.dtype) == EM_KIND_COMPLEX)
        return false;
    em__tensor t;
    if (em__array_tensor_on(node->value, NULL, &t) != EM_OK)
        return false;
    for (int d = 0; d < t.spec.rank; d++)
        if (t.strides[d] == 0 && t.spec.dims[d] > 1)
            t.spec.dims[d] = 1;
    int64_t size = em__spec_size(&t.spec);
    if (size == 0 || size > MOST_READ)
        return false;
    em__walk walk = {.spec = &t.spec};
    *value = em__ref_real(t.spec.dtype, t.data, 0);
    while (em__walk_next(&walk))
        if (em__ref_real(t.spec.dtype, t.data, em__walk_offset(&walk, &t)) != *value)
            return false;
    return true;
}

bool em__match_close(em_dtype dtype, double a, double b)
{
    double unit = dtype == EM_BF16 ? 0x1p-7 : dtype == EM_F16 ? 0x1p-9 : 0x1p-20;
    return a == b || fabs(a - b) <= unit * fabs(b);
}

/* The coarsest float that the number went through. */
static em_dtype coarsest(const em__match *m, int i)
{
    em_dtype dtype = em__match_node(m, i)->spec.dtype;
    for (int depth = 0; depth < DEEPEST && is_see_through(m, em__match_node(m, i), true); depth++) {
        i = em__match_node(m, i)->in[0];
        em_dtype next = em__match_node(m, i)->spec.dtype;
        dtype = em_dtype_size(next) < em_dtype_size(dtype) ? next : dtype;
    }
    return dtype;
}

bool em__match_is(const em__match *m, int i, double want)
{
    double value;
    return em__match_number(m, i, &value) && em__match_close(coarsest(m, i), value, want);
}

bool em__match_with_number(const em__match *m, int i, em__op op, int *other, double *number)
{
    const em__node *node = em__match_node(m, i);
    if (node->op != op || node->n_in != 2)
        return false;
    *other = node->in[0];
    if (em__match_number(m, node->in[1], number))
        return true;
    *other = node->in[1];
    return op != EM__OP_DIV && op != EM__OP_SUB && op != EM__OP_POW && em__match_number(m, node->in[0], number);
}

/* The operand must have the result's shape: a number times a repeated x is not a number times x. */
static bool same_size(const em__match *m, int a, int b)
{
    return em__spec_size(&em__match_node(m, a)->spec) == em__spec_size(&em__match_node(m, b)->spec);
}

int em__match_scaled(em__match *m, int i, double *number)
{
    *number = 1;
    for (int depth = 0; depth < DEEPEST; depth++) {
        int other;
        double by;
        if (em__match_node(m, i)->op == EM__OP_NEG) {
            other = em__match_node(m, i)->in[0];
            by = -1;
        } else if (em__match_with_number(m, i, EM__OP_DIV, &other, &by) && by != 0) {
            by = 1 / by;
        } else if (!em__match_with_number(m, i, EM__OP_MUL, &other, &by)) {
            return i;
        }
        if (!same_size(m, i, other))
            return i;
        em__match_take(m, i);
        *number *= by;
        i = other;
    }
    return i;
}

static bool add_factor(em__product *p, int i, int power)
{
    for (int j = 0; j < p->n; j++)
        if (p->factor[j] == i) {
            p->power[j] += power;
            return true;
        }
    if (p->n == EM__PRODUCT_MOST)
        return false;
    p->factor[p->n] = i;
    p->power[p->n++] = power;
    return true;
}

static bool flatten(em__match *m, int i, int stop, int power, int depth, em__product *p)
{
    double number;
    if (em__match_number(m, i, &number)) {
        p->number *= pow(number, power);
        return true;
    }
    const em__node *node = em__match_node(m, i);
    const int a = node->n_in > 0 ? node->in[0] : -1, b = node->n_in > 1 ? node->in[1] : -1;
    if (i == stop || depth == 6)
        return add_factor(p, i, power);
    switch (node->op) {
    case EM__OP_NEG: p->number *= power % 2 ? -1 : 1; break;
    case EM__OP_SQUARE: power *= 2; break;
    case EM__OP_RECIPROCAL: power = -power; break;
    case EM__OP_MUL: break;
    case EM__OP_DIV: break;
    case EM__OP_POW:
        if (!em__match_number(m, b, &number) || number != rint(number) || fabs(number) > 4)
            return add_factor(p, i, power);
        power *= (int)number;
        break;
    default: return add_factor(p, i, power);
    }
    em__match_take(m, i);
    if (!flatten(m, a, stop, power, depth + 1, p))
        return false;
    if (node->op == EM__OP_MUL || node->op == EM__OP_DIV)
        return flatten(m, b, stop, node->op == EM__OP_DIV ? -power : power, depth + 1, p);
    return true;
}

bool em__match_product(em__match *m, int i, int stop, em__product *product)
{
    *product = (em__product){.number = 1};
    return flatten(m, i, stop, 1, 0, product);
}

/* Node i is the sum of *x over its last axis, given as the mean of `count` numbers. */
static bool is_row_sum(em__match *m, int i, double count, int *x, char *why, size_t size)
{
    const em__node *sum = em__match_node(m, i);
    if (sum->op != EM__OP_SUM)
        return false;
    const em__spec *of = &em__match_node(m, sum->in[0])->spec;
    int64_t mask = sum->ints[1], last = of->rank ? (int64_t)1 << (of->rank - 1) : 0;
    if (mask != last || !last) {
        int axis = 0;
        while (axis < of->rank - 1 && !(mask >> axis & 1))
            axis++;
        snprintf(why, size,
                 mask & (mask - 1) ? "mean over axis %d and more of %d is not over the last alone"
                                   : "mean over axis %d of %d is not the last axis",
                 axis, of->rank);
        return false;
    }
    if (!em__match_close(em__match_node(m, i)->spec.dtype, count, (double)of->dims[of->rank - 1])) {
        snprintf(why, size, "the sum is divided by %g, not by the %lld elements of the last axis", count,
                 (long long)of->dims[of->rank - 1]);
        return false;
    }
    em__match_take(m, i);
    *x = sum->in[0];
    if (em__match_node(m, *x)->op == EM__OP_CAST && em__match_exact(m, *x) != *x) {
        em__match_pass(m, *x);
        *x = em__match_exact(m, *x);
    }
    return true;
}

bool em__match_mean(em__match *m, int i, int *x, char *why, size_t size)
{
    int sum;
    double number;
    why[0] = '\0';
    i = em__match_under(m, i, true);
    if (em__match_with_number(m, i, EM__OP_DIV, &sum, &number)) {
    } else if (em__match_with_number(m, i, EM__OP_MUL, &sum, &number) && number != 0) {
        number = 1 / number;
    } else {
        return false;
    }
    em__match_take(m, i);
    return is_row_sum(m, em__match_under(m, sum, true), number, x, why, size);
}

int em__match_vector(em__match *m, int i, int64_t n)
{
    for (int depth = 0; depth < DEEPEST; depth++) {
        const em__node *node = em__match_node(m, i);
        if (!is_see_through(m, node, false) || em__spec_size(&em__match_node(m, node->in[0])->spec) < n)
            break;
        i = node->in[0];
    }
    const em__spec *spec = &em__match_node(m, i)->spec;
    if (em__spec_size(spec) != n || spec->rank < 1 || spec->dims[spec->rank - 1] != n)
        return -1;
    if (spec->rank == 1)
        return i;
    return em__match_add(m, &(em__apply_nodes){.op = EM__OP_RESHAPE, .n_in = 1, .in = &i, .n_ints = 1, .ints = &n});
}

/* The spec of the op over these nodes; false when its rule refuses them. */
static bool infer(const em__match *m, const em__apply_nodes *a, em__spec *out)
{
    const em__spec *specs[16];
    if (a->n_in > 16)
        return false;
    for (int j = 0; j < a->n_in; j++)
        specs[j] = &em__match_node(m, a->in[j])->spec;
    em__apply apply = {a->op, a->n_in, specs, a->n_ints, a->ints, a->n_floats, a->floats};
    return em__op_infer(&apply, out) == EM_OK;
}

static void fill(em__match *m, em__node *node, const em__apply_nodes *a)
{
    for (int j = 0; j < a->n_in; j++) {
        node->in[j] = a->in[j];
        em__match_node(m, a->in[j])->uses++;
    }
    for (int j = 0; j < a->n_ints; j++)
        node->ints[j] = a->ints[j];
    for (int j = 0; j < a->n_floats; j++)
        node->floats[j] = a->floats[j];
}

int em__match_add(em__match *m, const em__apply_nodes *a)
{
    em__spec spec;
    if (m->status != EM_OK || !infer(m, a, &spec))
        return -1;
    em__node *node = em__graph_add(m->graph, a->op, a->n_in, a->n_ints, a->n_floats);
    if (!node) {
        m->status = EM_ERROR_OUT_OF_MEMORY;
        return -1;
    }
    node->spec = spec;
    fill(m, node, a);
    return (int)m->graph->nodes.length - 1;
}

/* One use of node i is gone. */
static void drop(em__match *m, int i, int *budget)
{
    em__node *node = em__match_node(m, i);
    if (--node->uses > 0 || --*budget < 0)
        return;
    for (int j = 0; j < node->n_in; j++)
        drop(m, node->in[j], budget);
}

bool em__match_become(em__match *m, int root, const em__apply_nodes *a)
{
    em__spec spec;
    if (m->status != EM_OK || !infer(m, a, &spec) || !em__spec_equal(&spec, &em__match_node(m, root)->spec))
        return false;
    const em__node *node = em__match_node(m, root);
    const int *old = node->in, n_old = node->n_in;
    m->status = em__graph_rewrite(m->graph, root, a->op, a->n_in, a->n_ints, a->n_floats);
    if (m->status != EM_OK)
        return false;
    fill(m, em__match_node(m, root), a);
    int budget = 512;
    for (int j = 0; j < n_old; j++)
        drop(m, old[j], &budget);
    m->graph->patterns->matched[m->pattern]++;
    return true;
}
