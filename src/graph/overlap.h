/*
 * Intervals of steps, and which of them meet a given one: a segment tree, so that a plan of n storages costs about
 * n log n as long as few live together.
 */
#ifndef EM_GRAPH_OVERLAP_H
#define EM_GRAPH_OVERLAP_H

#include "core/vec.h"

typedef struct em__overlap_entry {
    int value, next;
} em__overlap_entry;

typedef struct em__overlap {
    int leaves;            /* a power of two, more than the last step */
    int *heads, *below;    /* of each node: its first entry + 1; entries in the nodes under it */
    unsigned char *listed; /* of each value, during a search */
    EM__VEC(em__overlap_entry) entries;
    EM__VEC(int) found; /* by the last search */
} em__overlap;

/* For steps 0 .. n_steps and values 0 .. n_values - 1. EM_ERROR_OUT_OF_MEMORY; free it in any case. */
em_status em__overlap_init(em__overlap *overlap, int n_steps, int n_values);
void em__overlap_free(em__overlap *overlap);

em_status em__overlap_add(em__overlap *overlap, int first, int last, int value);

/* Fills `found` with the values whose intervals meet [first, last], each once, in no order. */
em_status em__overlap_find(em__overlap *overlap, int first, int last);

#endif
