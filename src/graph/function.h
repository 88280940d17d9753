/*
 * A traced function of a control op (em__function) with its graph and, once it has to run, its program. What a builder
 * makes is run by eager in the native lane; each program that holds the op compiles its own, so that programs share
 * nothing that changes.
 */
#ifndef EM_GRAPH_FUNCTION_H
#define EM_GRAPH_FUNCTION_H

#include "graph/program.h"

typedef struct em__body {
    em__function function;
    em__graph graph; /* as traced; empty in what a program compiled for itself */
    em_program *program;
    const void **inputs; /* room for the pointers of a run */
    void **outputs;
} em__body;

/* How many functions of an op are bodies: those of a control op. */
static inline int em__bodies(em__op op)
{
    return em__op_get(op)->traits & EM__TRAIT_CONTROL ? EM__FUNCTIONS : 0;
}

/* Takes the graph over, whatever happens. */
em_status em__body_new(em__graph *graph, em__body **out);

/* The same function compiled in a lane, with no graph of its own. */
em_status em__body_compiled(const em__body *body, const em__program_options *options, em__body **out);

/* Compiles in the native lane unless it has a program; the evaluation lock must be held. */
em_status em__body_ready(em__body *body, size_t n_donated);

/* How many inputs of function i of a control op, whose attributes these are, it may overwrite: the states of a body. */
size_t em__control_donated(em__op op, const int64_t *ints, int i);

/* Whether the functions of a control node take and give what the op runs them on; EM_ERROR_FORMAT. */
em_status em__control_check(const em__graph *graph, const em__node *node);

/* em__function.prepare of WHILE and COND. */
em_status em__control_prepare(em_device *device, const em__call *call, em__plan *plan);

#endif
