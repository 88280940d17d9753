/*
 * Numbers to and from text, whatever the locale.
 *
 * Embeddings are printed by the hundred thousand, nearly all of them of magnitude 1e-4 .. 1e6 in f32: those go through
 * exact double arithmetic. The rest, and every f64, asks the C library for more digits until the text reads back.
 */
#include "core/number.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A locale whose decimal point is '.', made once; strtod_l and uselocale take it. 0 when memory ran out: then the
 * process's own locale serves. */
static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t get_c_locale(void)
{
    pthread_once(&c_locale_once, make_c_locale);
    return c_locale;
}

bool em__parse_i64(const char *text, long long *value)
{
    if (text[0] == '\0' || text[strspn(text, "+-0123456789")] != '\0')
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return false;
    *value = v;
    return true;
}

bool em__parse_f64(const char *text, double *value)
{
    if (text[0] == '\0' || text[strspn(text, "+-.0123456789eE")] != '\0')
        return false;
    locale_t locale = get_c_locale();
    char *end;
    double v = locale ? strtod_l(text, &end, locale) : strtod(text, &end);
    if (end == text || *end || isinf(v))
        return false;
    *value = v;
    return true;
}

static int print_shortest(char *out, double value, int first, int last, bool single)
{
    locale_t locale = get_c_locale(), old = locale ? uselocale(locale) : (locale_t)0;
    int n = 0;
    for (int digits = first; digits <= last; digits++) {
        n = snprintf(out, EM__NUMBER_SIZE, "%.*g", digits, value);
        if (single ? strtof(out, NULL) == (float)value : strtod(out, NULL) == value)
            break;
    }
    if (old)
        uselocale(old);
    return n;
}

/* `digits` x 10^-scale in plain notation, without trailing zeros. */
static int print_decimal(char *out, bool negative, uint32_t digits, int scale)
{
    while (scale > 0 && digits % 10 == 0) {
        digits /= 10;
        scale--;
    }
    char reversed[24];
    int n = 0, length = 0;
    for (int place = 0; digits || place <= scale; place++) {
        if (place == scale && scale > 0)
            reversed[n++] = '.';
        reversed[n++] = (char)('0' + digits % 10);
        digits /= 10;
    }
    if (negative)
        out[length++] = '-';
    while (n > 0)
        out[length++] = reversed[--n];
    out[length] = '\0';
    return length;
}

/* True when rounding the double to float may differ from rounding what the double itself was rounded from. */
static bool is_float_midpoint(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x1fffffff) == 0x10000000;
}

/* Magnitudes 1e-4 .. 1e6. value * 10^scale is exact: 24 bits times 5^12's 28 fit a double. So is the rounding to an
 * integer, and the quotient that is read back is rounded once. Returns 0 where that cannot decide. */
static int print_f32_fast(char *out, float value)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
    static const double starts[] = {1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, INFINITY};
    double magnitude = fabs((double)value);
    int exponent = -4; /* of the leading digit */
    while (magnitude >= starts[exponent + 4])
        exponent++;
    for (int count = 6; count <= 9; count++) {
        int scale = count - 1 - exponent;
        double digits = rint(magnitude * powers[scale]), back = digits / powers[scale];
        if (is_float_midpoint(back))
            return 0;
        if ((float)back == (float)magnitude)
            return print_decimal(out, value < 0, (uint32_t)digits, scale);
    }
    return 0;
}

/* The sign of a NaN says nothing: it is the processor's. */
static int print_nan(char *out)
{
    memcpy(out, "nan", sizeof "nan");
    return 3;
}

int em__print_f32(char *out, float value)
{
    if (isnan(value))
        return print_nan(out);
    float magnitude = fabsf(value);
    int n = magnitude >= 1e-4f && magnitude < 999999.0f ? print_f32_fast(out, value) : 0;
    return n ? n : print_shortest(out, (double)value, 6, 9, true);
}

int em__print_f64(char *out, double value)
{
    return isnan(value) ? print_nan(out) : print_shortest(out, value, 15, 17, false);
}
