/*
 * The pieces of an attention written out, as the matcher collects them between the two products.
 */
#ifndef EM_GRAPH_PASSES_PATTERNS_ATTENTION_H
#define EM_GRAPH_PASSES_PATTERNS_ATTENTION_H

#include "graph/passes/patterns/match.h"

#define EM__MASKS_MOST 6

/* A mask between the scores and the softmax. */
typedef struct em__mask_term {
    int node;  /* broadcasts to the scores */
    bool pred; /* keys where it is `keeps` keep their score, others have `low`; otherwise it is added */
    bool keeps;
    bool causal; /* node is nothing else than: query i sees keys up to i + keys - queries */
    double low;
} em__mask_term;

typedef struct em__scores {
    int dot;   /* the product of queries and keys */
    int shape; /* the node whose spec is [.., queries, keys] as the softmax sees it */
    int sinks; /* the vector of sinks, or -1 */
    double scale, softcap;
    int n_masks;
    em__mask_term masks[EM__MASKS_MOST];
} em__scores;

/* Takes apart what goes into the softmax (node i). False, with the near miss said, when that is no scores. */
bool em__scores_find(em__match *m, int i, em__scores *scores);

/* One mask operand out of the terms: its node or -1 for none, and whether the attention is causal. False when they
 * can't be put together. */
bool em__scores_mask(em__match *m, const em__scores *scores, int *mask, bool *causal);

#endif
