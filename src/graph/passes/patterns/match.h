/*
 * Tools of the pattern matcher: looking at a graph as it was meant.
 *
 * A pattern is matched from its last node (the root) down to its inputs. The nodes on the way are taken: they vanish
 * with the match, so nobody outside it may use them. Views that only repeat elements or add axes of size 1, and
 * casts between floats, are looked through where they change nothing; they are passed, and matter only if what lies
 * under them is taken. A match then rewrites the root; what nobody uses any more is dropped by the next sweep.
 *
 * All functions take a match whose status is EM_OK; the first failed allocation is kept there, and everything after it
 * finds nothing.
 */
#ifndef EM_GRAPH_PASSES_PATTERNS_MATCH_H
#define EM_GRAPH_PASSES_PATTERNS_MATCH_H

#include "core/error.h"
#include "graph/ir.h"
#include "graph/passes/patterns/patterns.h"

/* An op applied to nodes. */
typedef struct em__apply_nodes {
    em__op op;
    int n_in;
    const int *in;
    int n_ints;
    const int64_t *ints;
    int n_floats;
    const double *floats;
} em__apply_nodes;

#define EM__MATCH_MOST 96 /* nodes of one match */

typedef struct em__match {
    em__graph *graph;
    em_status status;
    em__pattern pattern; /* being tried */
    int nodes[EM__MATCH_MOST], n;
    bool passed[EM__MATCH_MOST];
    bool overflow;
    struct { /* the last constant that was found to be a causal mask: layers share it */
        const em_array *of;
        int64_t queries, keys;
        bool pred, keeps;
        double low;
    } causal;
} em__match;

/* Starts over: nothing is taken. */
void em__match_begin(em__match *m, em__pattern pattern);

em__node *em__match_node(const em__match *m, int i);

/* Adds a node to those that the match takes, or passes through. */
void em__match_take(em__match *m, int i);
void em__match_pass(em__match *m, int i);

/* True when nobody outside the match (and its root) uses what it takes; otherwise says so as a near miss. */
bool em__match_private(em__match *m, int root);

/* Records why a pattern that was nearly there is not (once, however often it is said), and returns false. */
bool em__match_miss(em__match *m, const char *format, ...) EM_PRINTF(2, 3);

/* What lies under views that repeat elements or add or drop axes of size 1; with `casts` also under casts of floats.
 * */
int em__match_under(em__match *m, int i, bool casts);

/* What lies under casts to a wider float: the same values. */
int em__match_exact(const em__match *m, int i);
bool em__match_same(const em__match *m, int a, int b);

/* The number that all elements of node i are, if it is a constant. Says nothing about other nodes. */
bool em__match_number(const em__match *m, int i, double *value);

/* Whether node i is that number, within rounding to its dtype. */
bool em__match_is(const em__match *m, int i, double want);

/* Whether two numbers are one, within rounding to the dtype. */
bool em__match_close(em_dtype dtype, double a, double b);

/* Node i, if it is `op` of two operands of which one is a number: the other operand, and the number. DIV and SUB
 * want it on the right. Takes nothing. */
bool em__match_with_number(const em__match *m, int i, em__op op, int *other, double *number);

/* Node i is number * other, whatever the spelling (one or more MUL, DIV, NEG); takes those. number 1, other i if
 * none. */
int em__match_scaled(em__match *m, int i, double *number);

/* A product taken apart: number * factor[0]^power[0] * ... It never looks inside node `stop`. */
#define EM__PRODUCT_MOST 8
typedef struct em__product {
    double number;
    int n, factor[EM__PRODUCT_MOST], power[EM__PRODUCT_MOST];
} em__product;
bool em__match_product(em__match *m, int i, int stop, em__product *product);

/* The mean of *x over its last axis, with the axis dropped, kept or repeated; false with the reason in `why`, which is
 * empty when it is nothing like a mean. Looks through casts. */
bool em__match_mean(em__match *m, int i, int *x, char *why, size_t size);

/* A vector of n elements that node i holds along its last axis (views of it looked through): its node, made rank 1 if
 * need be; -1 if it is no such vector. */
int em__match_vector(em__match *m, int i, int64_t n);

/* Appends a node; its index, or -1 when the op's rule refuses it or memory runs out. */
int em__match_add(em__match *m, const em__apply_nodes *apply);

/* The root becomes this op, if the result's spec stays: then true, and the pattern is counted. */
bool em__match_become(em__match *m, int root, const em__apply_nodes *apply);

/* The patterns, each tried at a root; true when it rewrote it. */
bool em__pattern_sigmoid(em__match *m, int root);
bool em__pattern_gelu(em__match *m, int root);
bool em__pattern_gated(em__match *m, int root);
bool em__pattern_softmax(em__match *m, int root);
bool em__pattern_norm(em__match *m, int root);
bool em__pattern_norm_affine(em__match *m, int root);
bool em__pattern_cast(em__match *m, int root);
bool em__pattern_rotary(em__match *m, int root);
bool em__pattern_attention(em__match *m, int root);

#endif
