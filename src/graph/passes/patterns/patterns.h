/*
 * What the pattern matcher found in a graph: how often each pattern, and what was nearly one.
 */
#ifndef EM_GRAPH_PASSES_PATTERNS_PATTERNS_H
#define EM_GRAPH_PASSES_PATTERNS_PATTERNS_H

typedef enum em__pattern {
    EM__PATTERN_SIGMOID,
    EM__PATTERN_SILU,
    EM__PATTERN_GELU,
    EM__PATTERN_GATED, /* swiglu, geglu */
    EM__PATTERN_SOFTMAX,
    EM__PATTERN_LAYER_NORM,
    EM__PATTERN_RMS_NORM,
    EM__PATTERN_ROTARY,
    EM__PATTERN_ATTENTION,
    EM__PATTERN_COUNT
} em__pattern;

#define EM__PATTERN_MISSES 32 /* that are kept; the log has all */

/* Lives in the graph's arena. */
typedef struct em__pattern_report {
    int matched[EM__PATTERN_COUNT];
    int n_misses;
    const char *misses[EM__PATTERN_MISSES];
} em__pattern_report;

const char *em__pattern_name(em__pattern pattern);

#endif
