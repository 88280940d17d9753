/*
 * Random well-typed tensor programs, the same for a seed on every machine: one to a few hundred ops of every family
 * over two inputs and a captured constant, with views, casts, functions and several dtypes among them. A step depends
 * on the seed, on its number and on the values before it; a step that is switched off gives the first input, so that a
 * program that fails can be cut down to the steps that matter.
 */
#ifndef EM_TESTS_RANDOM_GRAPH_H
#define EM_TESTS_RANDOM_GRAPH_H

#include <stdbool.h>

#include <emily/program.h>

#define GRAPH_STEPS 200
#define GRAPH_OUTPUTS 3

typedef struct random_graph {
    uint64_t seed;
    int steps;
    bool smooth; /* only ops whose results move little when their operands do: for lanes that may differ in last bits */
    bool off[GRAPH_STEPS];
    em_array *constant;
} random_graph;

/* The program of the seed: f32[5, 7] and f32[7, 6] in, GRAPH_OUTPUTS out. `user` is a random_graph. */
em_status random_graph_trace(em_scope *s, em_array *const *in, em_array **out, void *user);

#endif
