/* Graphs that spell a fast op out: compiled in the fuse lane, compared with eager, and what the matcher says of
 * them. */
#ifndef EM_TESTS_PATTERNS_H
#define EM_TESTS_PATTERNS_H

#include <emily/ops.h>
#include <emily/program.h>

#define PATTERN_INPUTS 8

typedef struct pattern_case {
    const char *name;
    em_trace_fn build; /* one output */
    em_spec inputs[PATTERN_INPUTS];
    int n_inputs;
    const char *pattern; /* as em_program_patterns names it */
    int times;           /* 0: it must not be found */
    const char *miss;    /* words of a near miss; NULL: none of the pattern may be said */
    const char *op;      /* a kernel that must be there (times > 0), NULL: none */
    double abs;          /* largest difference from eager */
    int kernels;         /* calls that are left; 0: not asked */
} pattern_case;

/* Runs the case twice, on one and on three threads. */
void pattern_run(const pattern_case *c);
void pattern_run_all(const pattern_case *cases, size_t n);

/* For builders: a scalar of x's dtype. */
em_array *pattern_number(em_scope *s, em_array *x, double value);

#endif
