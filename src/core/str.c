/* Growing strings. */
#include "core/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/vec.h"

/* Room for `extra` more bytes and the NUL. */
static em_status make_room(em__str *str, size_t extra)
{
    EM__TRY(em__vec_grow(&str->data, str->length + 1, &str->capacity, extra, 1));
    str->data[str->length] = '\0';
    return EM_OK;
}

em_status em__str_reserve(em__str *str, size_t capacity)
{
    return capacity > str->length ? make_room(str, capacity - str->length) : EM_OK;
}

em_status em__str_add(em__str *str, const char *bytes, size_t length)
{
    EM__TRY(make_room(str, length));
    if (length)
        memcpy(str->data + str->length, bytes, length);
    str->length += length;
    str->data[str->length] = '\0';
    return EM_OK;
}

em_status em__str_add_text(em__str *str, const char *text)
{
    return em__str_add(str, text, strlen(text));
}

em_status em__str_add_char(em__str *str, char c)
{
    return em__str_add(str, &c, 1);
}

em_status em__str_addf(em__str *str, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    em_status status = n < 0 ? em__fail(EM_ERROR_INTERNAL, "format failed") : make_room(str, (size_t)n);
    if (status == EM_OK) {
        vsnprintf(str->data + str->length, (size_t)n + 1, format, again);
        str->length += (size_t)n;
    }
    va_end(again);
    return status;
}

void em__str_clear(em__str *str)
{
    str->length = 0;
    if (str->data)
        str->data[0] = '\0';
}

void em__str_free(em__str *str)
{
    em__free(str->data);
    *str = (em__str){0};
}

const char *em__str_text(const em__str *str)
{
    return str->data ? str->data : "";
}

bool em__ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}
