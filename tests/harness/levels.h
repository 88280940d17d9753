/*
 * Kernel levels: a test runs each level this machine has, in one process, and says which ones it could not run.
 */
#ifndef EM_TESTS_LEVELS_H
#define EM_TESTS_LEVELS_H

#include "core/cpu.h"

/* The best vector level there is to test here (AMX has no kernels of its own in the families that use this). */
em__cpu_level levels_best(void);

/* Prints a line a level that this machine can't run. */
void levels_report(void);

#endif
