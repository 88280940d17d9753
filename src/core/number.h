/*
 * Numbers to and from text. '.' is the decimal point in every locale. Any thread.
 */
#ifndef EM_CORE_NUMBER_H
#define EM_CORE_NUMBER_H

#include <stdbool.h>

/* Whole-string parses of a decimal number; false, and `*value` untouched, for all else: blanks, hexadecimal, "nan",
 * "inf", what does not fit. */
bool em__parse_i64(const char *text, long long *value);
bool em__parse_f64(const char *text, double *value);

#define EM__NUMBER_SIZE 32

/* Shortest text, of six digits at least where it has as many, that reads back as the same float / double. `out` has
 * EM__NUMBER_SIZE bytes. Returns the length. NaN and infinities print as "nan", "-inf": no JSON. */
int em__print_f32(char *out, float value);
int em__print_f64(char *out, double value);

#endif
