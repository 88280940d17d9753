/*
 * Golden files: small recorded tensors and texts under tests/golden, each with the recipe that made it.
 */
#ifndef EM_TESTS_GOLDEN_H
#define EM_TESTS_GOLDEN_H

#include <stdbool.h>

/* Path of tests/golden/NAME: golden_path("bert/tiny.npy"). Valid until the fourth call after it, on one thread. */
const char *golden_path(const char *name);

/* Path of a file that the test may write, in a folder of this process in the build directory, removed when it ends: the
 * same program may run beside it with another set of instructions. Valid as above. */
const char *golden_scratch(const char *name);

/* Whether the file is there. */
bool golden_exists(const char *name);

#endif
