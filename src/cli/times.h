/* Measured times, or rates. */
#ifndef EMILY_CLI_TIMES_H
#define EMILY_CLI_TIMES_H

#include <stddef.h>

/* Sorts n values (1 or more), the smallest first, and returns their median. */
double cli_median(double *values, size_t n);

#endif
