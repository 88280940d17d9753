/*
 * Growing byte buffer that can always be read as a C string, and number parsing that ignores the locale.
 */
#ifndef EM_CORE_STR_H
#define EM_CORE_STR_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/status.h>

typedef struct em__str {
    char *data; /* NUL-terminated once anything was added; NULL while empty: use em__str_text */
    size_t length, capacity;
} em__str; /* zero-initialise */

em_status em__str_add(em__str *str, const char *bytes, size_t length);
em_status em__str_add_text(em__str *str, const char *text);
em_status em__str_add_char(em__str *str, char c);
em_status em__str_addf(em__str *str, const char *format, ...) EM_PRINTF(2, 3);
em_status em__str_reserve(em__str *str, size_t capacity);
void em__str_clear(em__str *str); /* keeps the memory */
void em__str_free(em__str *str);
const char *em__str_text(const em__str *str); /* "" when empty */

/* Whole-string parses; false on anything but a number that fits. '.' is the decimal point in every locale. */
bool em__parse_i64(const char *text, long long *value);
bool em__parse_f64(const char *text, double *value);

/* Shortest text that reads back as the same float / double, '.' as decimal point; returns the length. 32 bytes do. */
int em__print_f32(char *out, float value);
int em__print_f64(char *out, double value);

#endif
