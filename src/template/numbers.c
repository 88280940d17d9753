/* Filters of numbers: int, float, round, abs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "template/run.h"
#include "template/text.h"

#define FILTER(name)                                                                                                   \
    static em_status name(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)

/* Digits of a base with single underscores between them. */
static bool parse_digits(const char *p, size_t length, int base, int64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        char low = (char)(p[i] | 0x20);
        int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : low >= 'a' && low <= 'z' ? low - 'a' + 10 : 99;
        if (p[i] == '_' && i > 0 && i + 1 < length && p[i - 1] != '_')
            continue;
        if (digit >= base || __builtin_mul_overflow(*value, (int64_t)base, value) ||
            __builtin_add_overflow(*value, (int64_t)digit, value))
            return false;
    }
    return length > 0;
}

/* Python's int(text, base). */
static bool parse_int(const em__jstring *s, int base, int64_t *value)
{
    size_t start = em__j_space_start(s->bytes, s->length), end = em__j_space_end(s->bytes, s->length);
    bool negative = start < end && s->bytes[start] == '-';
    start += start < end && (negative || s->bytes[start] == '+');
    if (start >= end)
        return false;
    if (base != 10 && end - start > 2 && s->bytes[start] == '0') {
        char mark = (char)(s->bytes[start + 1] | 0x20);
        if ((base == 16 && mark == 'x') || (base == 8 && mark == 'o') || (base == 2 && mark == 'b'))
            start += 2;
    }
    if (!parse_digits(s->bytes + start, end - start, base, value))
        return false;
    *value = negative ? -*value : *value;
    return true;
}

/* Python's float(text). */
static bool parse_float(const em__jstring *s, double *value)
{
    char text[400];
    size_t start = em__j_space_start(s->bytes, s->length), end = em__j_space_end(s->bytes, s->length), n = 0;
    for (size_t i = start; i < end; i++) {
        if (n + 1 >= sizeof text)
            return false;
        if (s->bytes[i] == '_' && i > start && i + 1 < end && s->bytes[i - 1] >= '0' && s->bytes[i - 1] <= '9' &&
            s->bytes[i + 1] >= '0' && s->bytes[i + 1] <= '9')
            continue;
        char c = s->bytes[i];
        text[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    text[n] = '\0';
    const char *word = text + (text[0] == '-' || text[0] == '+');
    double sign = text[0] == '-' ? -1 : 1;
    if (strcmp(word, "inf") == 0 || strcmp(word, "infinity") == 0)
        *value = sign * INFINITY;
    else if (strcmp(word, "nan") == 0)
        *value = NAN;
    else
        return em__parse_f64(text, value);
    return true;
}

static bool fits(double value)
{
    return value > -9.2e18 && value < 9.2e18;
}

FILTER(filter_int)
{
    int64_t base = 10, value = 0;
    double real = 0;
    bool known = false;
    (void)all;
    if (self.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, self);
    if (em__j_given(arg[1]))
        EM__TRY(em__j_want_int(run, "int", arg[1], &base));
    if (self.kind == J_STRING)
        EM__TRY(em__j_work(run, 4 * self.string->length));
    if (em__j_is_int(self)) {
        *out = em__j_int(em__j_as_int(self));
        return EM_OK;
    }
    if (self.kind == J_STRING && parse_int(self.string, (int)base, &value)) {
        *out = em__j_int(value);
        return EM_OK;
    }
    if (self.kind == J_STRING)
        known = parse_float(self.string, &real);
    else if (self.kind == J_FLOAT) {
        known = true;
        real = self.real;
        if (isinf(real))
            return em__j_fail(run, "int: cannot convert float infinity to integer");
    }
    if (known && isfinite(real) && !fits(real))
        return em__j_fail(run, "an integer does not fit 64 bits");
    known = known && isfinite(real);
    *out = known ? em__j_int((int64_t)real) : em__j_given(arg[0]) ? arg[0] : em__j_int(0);
    return EM_OK;
}

FILTER(filter_float)
{
    double value = 0;
    (void)all;
    if (self.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, self);
    if (self.kind == J_STRING)
        EM__TRY(em__j_work(run, 4 * self.string->length));
    bool known = em__j_is_number(self) || (self.kind == J_STRING && parse_float(self.string, &value));
    if (em__j_is_number(self))
        value = em__j_as_real(self);
    *out = known ? em__j_float(value) : em__j_given(arg[0]) ? arg[0] : em__j_float(0);
    return EM_OK;
}

enum { MOST_DIGITS = 1000 }; /* no number has more to round */

/* Half to even at the given place before the point. */
static int64_t round_int(int64_t value, int64_t places)
{
    int64_t unit = 1;
    for (; places > 0; places--)
        if (__builtin_mul_overflow(unit, (int64_t)10, &unit))
            return 0;
    int64_t rest = value % unit, down = value - rest, moved;
    bool below = rest < 0; /* the multiple under it may be out of range, the rounded one need not */
    rest += below ? unit : 0;
    bool odd = (down / unit - below) % 2 != 0;
    bool up = rest > unit - rest || (rest == unit - rest && odd);
    if (up == below)
        return down;
    return (up ? __builtin_add_overflow(down, unit, &moved) : __builtin_sub_overflow(down, unit, &moved)) ? down
                                                                                                          : moved;
}

/* Python's round(real, digits): the digits that are printed, read back. */
static double round_real(double value, int64_t digits)
{
    char text[400];
    if (!isfinite(value) || digits > 22)
        return value;
    if (digits < 0) {
        double unit = pow(10, (double)-digits);
        return digits < -308 ? 0 * value : rint(value / unit) * unit;
    }
    em__j_format_real(text, sizeof text, 'f', (int)digits, false, value);
    double rounded = value;
    em__parse_f64(text, &rounded);
    return rounded;
}

FILTER(filter_round)
{
    static const em__jstring common = {"common", 6, 6, false};
    int64_t digits = 0;
    const em__jstring *method = &common;
    (void)all;
    if (em__j_given(arg[0]))
        EM__TRY(em__j_want_int(run, "round", arg[0], &digits));
    digits = digits < -MOST_DIGITS ? -MOST_DIGITS : digits > MOST_DIGITS ? MOST_DIGITS : digits;
    if (em__j_given(arg[1]))
        EM__TRY(em__j_want_string(run, "round", arg[1], &method));
    if (!em__j_is_number(self))
        return em__j_fail(run, "round: '%s' object is not a number", em__j_type(self));
    bool ceiling = em__j_same(method->bytes, method->length, "ceil", 4);
    bool is_floor = em__j_same(method->bytes, method->length, "floor", 5);
    if (ceiling || is_floor) {
        double unit = pow(10, (double)digits), scaled = em__j_as_real(self) * unit;
        *out = em__j_float((ceiling ? ceil(scaled) : floor(scaled)) / unit);
        return EM_OK;
    }
    if (!em__j_same(method->bytes, method->length, "common", 6))
        return em__j_fail(run, "round: method must be common, ceil or floor");
    if (em__j_is_int(self))
        *out = em__j_int(digits >= 0 ? em__j_as_int(self) : round_int(em__j_as_int(self), -digits));
    else
        *out = em__j_float(round_real(self.real, digits));
    return EM_OK;
}

FILTER(filter_abs)
{
    (void)arg, (void)all;
    if (!em__j_is_number(self))
        return em__j_fail(run, "bad operand type for abs(): '%s'", em__j_type(self));
    if (self.kind == J_FLOAT)
        *out = em__j_float(fabs(self.real));
    else
        return em__j_negate(run, self, em__j_as_int(self) < 0, out);
    return EM_OK;
}

const em__jbuiltin em__j_number_filters[] = {
    {"int", "|default base", filter_int},
    {"float", "|default", filter_float},
    {"round", "|precision method", filter_round},
    {"abs", "", filter_abs},
    {NULL, NULL, NULL},
};
