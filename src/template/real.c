/*
 * Floats as Python prints them. The digits come from the C library, which rounds correctly; its decimal point, which
 * the locale chooses, is replaced.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template/run.h"

/* snprintf of "%.*<conversion>"; the length that `out` holds. */
static size_t print_raw(char *out, size_t size, char conversion, int precision, bool alternate, double value)
{
    const char format[] = {
        '%', alternate ? '#' : '.', alternate ? '.' : '*', alternate ? '*' : conversion, alternate ? conversion : '\0',
        '\0'};
    int n = snprintf(out, size, format, precision, value);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

size_t em__j_format_real(char *out, size_t size, char conversion, int precision, bool alternate, double value)
{
    size_t length = print_raw(out, size, conversion, precision, alternate, value), kept = 0;
    if (!isfinite(value))
        return length;
    for (size_t i = 0; i < length; i++) {
        bool plain = strchr("0123456789+-eE", out[i]) != NULL;
        if (plain)
            out[kept++] = out[i];
        else if (kept == 0 || out[kept - 1] != '.')
            out[kept++] = '.';
    }
    out[kept] = '\0';
    return kept;
}

/* The fewest digits that read back, and the exponent of the first. */
static int shortest(double value, char digits[20], int *exponent)
{
    char text[64];
    int count = 0;
    for (int precision = 0; precision < 17; precision++) {
        print_raw(text, sizeof text, 'e', precision, false, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *e = strchr(text, 'e');
    for (const char *p = text; p < e && count < 18; p++)
        if (*p >= '0' && *p <= '9')
            digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    *exponent = (int)strtol(e + 1, NULL, 10);
    return count;
}

static size_t put(char *out, size_t at, const char *bytes, size_t length)
{
    memcpy(out + at, bytes, length);
    return at + length;
}

static size_t put_zeros(char *out, size_t at, int count)
{
    for (; count > 0; count--)
        out[at++] = '0';
    return at;
}

size_t em__j_print_real(char *out, double value)
{
    char digits[20];
    int exponent;
    size_t at = 0;
    if (isnan(value))
        return put(out, 0, "nan", 4) - 1;
    if (signbit(value))
        out[at++] = '-';
    if (isinf(value))
        return put(out, at, "inf", 4) - 1;
    int count = shortest(fabs(value), digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        out[at++] = digits[0];
        if (count > 1)
            out[at++] = '.';
        at = put(out, at, digits + 1, (size_t)count - 1);
        return at + (size_t)snprintf(out + at, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        at = put(out, at, "0.", 2);
        at = put_zeros(out, at, -exponent - 1);
        at = put(out, at, digits, (size_t)count);
    } else if (count <= exponent + 1) {
        at = put(out, at, digits, (size_t)count);
        at = put_zeros(out, at, exponent + 1 - count);
        at = put(out, at, ".0", 2);
    } else {
        at = put(out, at, digits, (size_t)exponent + 1);
        out[at++] = '.';
        at = put(out, at, digits + exponent + 1, (size_t)(count - exponent - 1));
    }
    out[at] = '\0';
    return at;
}
