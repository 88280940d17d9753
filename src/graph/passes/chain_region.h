/*
 * Regions of the graph that become one FUSED_CHAIN: found in chain_region.c, written as a program in chain_emit.c,
 * driven by the pass in fuse_chain.c.
 *
 * A region has one result, its root; every other node in it is used inside it alone, so nothing is computed twice.
 * Nodes are full (the chain's shape) or thin (one element a row, with the reduced axes kept as 1 or dropped). Views
 * between them (broadcasts, reshapes that keep or drop those axes) belong to the region and cost nothing.
 */
#ifndef EM_GRAPH_PASSES_CHAIN_REGION_H
#define EM_GRAPH_PASSES_CHAIN_REGION_H

#include "graph/ir.h"
#include "ops/chain.h"

#define EM__REGION_NODES 64

typedef enum em__region_class { EM__REGION_OUT, EM__REGION_FULL, EM__REGION_KEPT, EM__REGION_DROPPED } em__region_class;

typedef struct em__region {
    const em__graph *graph;
    em__spec full;
    int n_axes; /* reduced, the last; 0: none */
    int root;
    int nodes[EM__REGION_NODES]; /* descending: users before what they use */
    em__region_class classes[EM__REGION_NODES];
    int n_nodes, n_ops, n_reduces;
} em__region;

/* What the search keeps for all nodes of the graph: `inside` counts a node's users within the region that grows, and
 * `slot` is its place in the region's list + 1. Both are all 0 between searches. */
typedef struct em__region_marks {
    int *inside, *slot;
} em__region_marks;

/* Grows the largest region of at most `most` ops that ends in `root`: with the reductions that it holds, or without.
 * False when it is not worth a chain. The marks of its nodes stay set until em__region_clear. */
bool em__region_grow(em__region *region, const em__graph *graph, em__region_marks *marks, int root, int most);
void em__region_clear(const em__region *region, em__region_marks *marks);

/* Rewrites the root as a FUSED_CHAIN of the region; EM_OK with *done false when it has too many operands. */
em_status em__region_emit(const em__region *region, em__graph *graph, const em__region_marks *marks, bool *done);

#endif
