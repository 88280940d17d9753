/*
 * The graph between tracing and running: nodes in topological order, operands by index of an earlier node. A pass
 * rewrites nodes in place, appends new ones anywhere and leaves dead ones behind; em__graph_sweep then restores the
 * order and drops what no output needs. Node pointers do not survive an append.
 */
#ifndef EM_GRAPH_IR_H
#define EM_GRAPH_IR_H

#include <emily/program.h>

#include "array/array.h"
#include "core/arena.h"
#include "core/vec.h"

typedef struct em__node {
    em__op op;
    em__spec spec;
    int n_in, n_ints, n_floats;
    int *in; /* in, ints and floats live in the graph's arena */
    int64_t *ints;
    double *floats;
    em__function *functions[EM__FUNCTIONS]; /* of a control op, the graph's own */
    em_array *value;                        /* CONSTANT: evaluated, the graph's own */
    int uses;                               /* filled by em__graph_count_uses; an output counts as one */
} em__node;

typedef struct em__graph {
    em_device *device;
    em__arena arena;
    EM__VEC(em__node) nodes;
    int *outputs;
    em__spec *inputs; /* in the arena */
    size_t n_inputs, n_outputs;
    struct em__pattern_report *patterns; /* in the arena: what the matcher found; NULL when it did not run */
} em__graph;

void em__graph_free(em__graph *graph); /* the contents; a zeroed graph is fine */

/* Arrays that a function uses and did not make, which have no value yet; each is held. */
typedef struct em__captures {
    em_array **data;
    size_t length, capacity;
} em__captures;

void em__captures_free(em__captures *captures);

/* Traces what the outputs need into an empty graph; `inputs` are the INPUT arrays by index, and no others may occur.
 * The graph holds the memory of the constants. Arrays of a level below `level` become further inputs, one a capture. */
em_status em__graph_trace(em__graph *graph, em_device *device, em_array *const *outputs, size_t n_outputs,
                          em_array *const *inputs, size_t n_inputs, int level, em__captures *captures);

/* Calls `fn` in a scope of its own on inputs of these specs and traces what it sets. With `captures` it is a function
 * inside `outer`'s; without, it stands alone and `outer` is NULL. */
em_status em__graph_trace_function(em__graph *graph, em_device *device, const em_scope *outer, em_trace_fn fn,
                                   void *user, const em_spec *inputs, size_t n_inputs, size_t n_outputs,
                                   em__captures *captures);

/* An equal graph in an empty one: constants and functions are shared. */
em_status em__graph_copy(em__graph *to, const em__graph *from);

/* Appends a node with room for the lists, all zero; NULL when memory runs out. Earlier node pointers become invalid. */
em__node *em__graph_add(em__graph *graph, em__op op, int n_in, int n_ints, int n_floats);

/* Appends a constant, taking over the reference to the evaluated array; its index, or -1 when memory runs out (the
 * reference is then released). */
int em__graph_add_constant(em__graph *graph, em_array *value);

/* Gives an existing node fresh, zeroed lists and another op; spec and uses stay. */
em_status em__graph_rewrite(em__graph *graph, int node, em__op op, int n_in, int n_ints, int n_floats);

void em__graph_count_uses(em__graph *graph);

/* Puts operands before users and removes nodes that no output needs. */
em_status em__graph_sweep(em__graph *graph);

/* Every operand precedes its node, every spec is what the op's rule gives. EM_ERROR_INTERNAL names the first that is
 * not, after pass `after`. */
em_status em__graph_verify(const em__graph *graph, const char *after);

/* Checks a node over nodes that the graph has, of unknown origin, and gives it its spec: em__op_check, the op's rule,
 * inputs against the graph's, functions against what they will run on. */
em_status em__graph_check_node(const em__graph *graph, em__node *node);

/* Passes, each leaving a graph that verifies. */
em_status em__pass_fold(em__graph *graph);         /* ops over constants -> a constant */
em_status em__pass_cse(em__graph *graph);          /* equal ops over equal operands -> one */
em_status em__pass_simplify(em__graph *graph);     /* what cancels or has no effect */
em_status em__pass_patterns(em__graph *graph);     /* fast ops written out -> the fast ops */
em_status em__pass_fuse_linear(em__graph *graph);  /* dot + bias + activation + residual -> one product */
em_status em__pass_merge_linear(em__graph *graph); /* products of one x -> one wider product, sliced */
em_status em__pass_fuse_norm(em__graph *graph);    /* layer_norm(x + residual) -> one kernel */
em_status em__pass_fuse_chain(em__graph *graph);   /* elementwise ops and reductions of rows -> one kernel */

#endif
