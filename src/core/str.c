/* Growing strings; numbers to and from text without the locale. */
#include "core/str.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/vec.h"

em_status em__vec_grow(void *data, size_t length, size_t *capacity, size_t count, size_t size)
{
    size_t needed, bytes;
    EM__FAIL_IF(em__add_overflows(length, count, &needed), EM_ERROR_OUT_OF_MEMORY, "out of memory: too many elements");
    if (needed <= *capacity)
        return EM_OK;
    size_t grown = *capacity + *capacity / 2 < 16 ? 16 : *capacity + *capacity / 2;
    if (grown < needed)
        grown = needed;
    EM__FAIL_IF(em__mul_overflows(grown, size, &bytes), EM_ERROR_OUT_OF_MEMORY, "out of memory: too many elements");
    void *old;
    memcpy(&old, data, sizeof old);
    void *fresh = em__realloc(old, bytes);
    if (!fresh)
        return EM_ERROR_OUT_OF_MEMORY;
    memcpy(data, &fresh, sizeof fresh);
    *capacity = grown;
    return EM_OK;
}

em_status em__str_reserve(em__str *str, size_t capacity)
{
    if (capacity < str->capacity)
        return EM_OK;
    return em__vec_grow(&str->data, str->length, &str->capacity, capacity - str->length + 1, 1);
}

em_status em__str_add(em__str *str, const char *bytes, size_t length)
{
    EM__TRY(em__vec_grow(&str->data, str->length + 1, &str->capacity, length, 1));
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
    em_status status =
        n < 0 ? em__fail(EM_ERROR_INTERNAL, "format failed") : em__str_reserve(str, str->length + (size_t)n);
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

bool em__parse_i64(const char *text, long long *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return false;
    *value = v;
    return true;
}

/* A locale whose decimal point is '.', made once. strtod_l is the one libc parser that takes it explicitly. */
static locale_t c_locale(void)
{
    static _Thread_local locale_t locale;
    if (!locale)
        locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return locale;
}

bool em__parse_f64(const char *text, double *value)
{
    char *end;
    locale_t locale = c_locale();
    errno = 0;
    double v = locale ? strtod_l(text, &end, locale) : strtod(text, &end);
    if (end == text || *end)
        return false;
    *value = v;
    return true;
}

static int print_shortest(char *out, double value, int first, int last, bool single)
{
    locale_t locale = c_locale(), old = locale ? uselocale(locale) : (locale_t)0;
    int n = 0;
    for (int digits = first; digits <= last; digits++) {
        n = snprintf(out, 32, "%.*g", digits, value);
        if (single ? strtof(out, NULL) == (float)value : strtod(out, NULL) == value)
            break;
    }
    if (old)
        uselocale(old);
    return n;
}

int em__print_f32(char *out, float value)
{
    return print_shortest(out, (double)value, 6, 9, true);
}

int em__print_f64(char *out, double value)
{
    return print_shortest(out, value, 15, 17, false);
}
