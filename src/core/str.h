/*
 * Growing byte buffer that can always be read as a C string.
 */
#ifndef EM_CORE_STR_H
#define EM_CORE_STR_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/status.h>

#include "core/number.h"

typedef struct em__str {
    char *data; /* NUL-terminated once anything was added; NULL while empty: use em__str_text */
    size_t length, capacity;
} em__str; /* zero-initialise */

/* EM_ERROR_OUT_OF_MEMORY leaves the string as it was. `bytes` and `text` must not point into the string itself.
 * em__str_addf prints %g and %f with the locale's decimal point: floats go through core/number.h. */
em_status em__str_add(em__str *str, const char *bytes, size_t length);
em_status em__str_add_text(em__str *str, const char *text);
em_status em__str_add_char(em__str *str, char c);
em_status em__str_addf(em__str *str, const char *format, ...) EM_PRINTF(2, 3);
em_status em__str_reserve(em__str *str, size_t capacity); /* room for that many bytes in all, and the NUL */
void em__str_clear(em__str *str);                         /* keeps the memory */
void em__str_free(em__str *str);
const char *em__str_text(const em__str *str); /* "" when empty */

bool em__ends_with(const char *text, const char *end);

#endif
