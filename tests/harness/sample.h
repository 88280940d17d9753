/*
 * Sweeps of many cases, thinned out: EM_TEST_EVERY=7 takes every seventh. For tools under which a test takes minutes
 * (compute-sanitizer, valgrind); a prime goes through all inner loops. Without it every case is taken.
 */
#ifndef EM_TESTS_SAMPLE_H
#define EM_TESTS_SAMPLE_H

#include <stdbool.h>

/* Whether the next case is taken: asked once a case, in order. */
bool sample_takes(void);

#endif
