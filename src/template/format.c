/* Python's two ways to fill in a format: "%s" % value, and "{}".format(value). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "template/run.h"
#include "template/text.h"

/* How one value is laid out, in the terms of both. */
typedef struct layout {
    char fill[4];
    size_t fill_length;
    char align; /* '<', '>', '^', '=' behind the sign; '\0': by the kind of value */
    char sign;  /* '+', ' ', or '\0' */
    bool alternate, commas;
    int64_t width, precision; /* -1: not given */
    char type;
} layout;

enum { MOST_WIDTH = 1000000 };

/* `body` with its sign apart, filled up to the width. */
static em_status add_padded(em__jrun *run, em__jtext *text, const layout *how, const char *sign, const char *body,
                            size_t length, char align)
{
    int64_t pad = how->width - (int64_t)(strlen(sign) + em__j_count_chars(body, length)), left = 0;
    align = how->align ? how->align : align;
    if (pad < 0)
        pad = 0;
    if (align == '>')
        left = pad;
    else if (align == '^')
        left = pad / 2;
    EM__TRY(em__j_add_times(run, text, how->fill, how->fill_length, left));
    EM__TRY(em__j_add_text(run, text, sign));
    EM__TRY(em__j_add_times(run, text, how->fill, how->fill_length, align == '=' ? pad : 0));
    EM__TRY(em__j_add(run, text, body, length));
    return em__j_add_times(run, text, how->fill, how->fill_length, align == '=' ? 0 : pad - left);
}

static em_status add_string(em__jrun *run, em__jtext *text, const layout *how, em__jvalue value)
{
    em__jvalue s;
    EM__TRY(em__j_str(run, value, &s));
    size_t length = s.string->length;
    if (how->precision >= 0)
        length = em__j_char_offset(s.string->bytes, length, (size_t)how->precision);
    return add_padded(run, text, how, "", s.string->bytes, length, '<');
}

static const char *sign_of(bool negative, char sign)
{
    return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : "";
}

/* How many digits the text begins with. */
static size_t digits_of(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && text[n] >= '0' && text[n] <= '9')
        n++;
    return n;
}

/* 1234567 to 1,234,567: the digits that `out` begins with. */
static size_t group(char *out, size_t length)
{
    char grouped[500];
    size_t digits = digits_of(out, length), n = 0;
    for (size_t i = 0; i < length && n + 2 < sizeof grouped; i++) {
        if (i > 0 && i < digits && (digits - i) % 3 == 0)
            grouped[n++] = ',';
        grouped[n++] = out[i];
    }
    memcpy(out, grouped, n);
    return n;
}

static em_status add_int(em__jrun *run, em__jtext *text, const layout *how, int64_t value)
{
    char digits[500], sign[4];
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t n = 0;
    unsigned base = how->type == 'x' || how->type == 'X' ? 16 : how->type == 'o' ? 8 : how->type == 'b' ? 2 : 10;
    do {
        unsigned digit = (unsigned)(size % base);
        digits[n++] = (char)(digit < 10 ? '0' + digit : (how->type == 'X' ? 'A' : 'a') + digit - 10);
    } while (size /= base);
    while (how->precision > (int64_t)n && n < 200)
        digits[n++] = '0';
    for (size_t i = 0; i < n / 2; i++) {
        char swapped = digits[i];
        digits[i] = digits[n - 1 - i];
        digits[n - 1 - i] = swapped;
    }
    if (how->commas)
        n = group(digits, n);
    bool prefixed = how->alternate && base != 10;
    snprintf(sign, sizeof sign, "%s%s%c", sign_of(value < 0, how->sign), prefixed ? "0" : "",
             prefixed ? (base == 2 ? 'b' : how->type) : '\0');
    return add_padded(run, text, how, sign, digits, n, '>');
}

static em_status add_real(em__jrun *run, em__jtext *text, const layout *how, double value)
{
    char digits[500];
    bool percent = how->type == '%';
    char type = percent ? 'f' : how->type;
    int precision = how->precision < 0 ? 6 : (int)how->precision;
    if (precision > 100)
        return em__j_fail(run, "a format asks for more than 100 digits");
    double size = fabs(percent ? value * 100 : value);
    size_t n = em__j_format_real(digits, sizeof digits - 2, type, precision, how->alternate, size);
    if (how->commas)
        n = group(digits, n);
    if (percent)
        digits[n++] = '%';
    return add_padded(run, text, how, sign_of(signbit(value) && !isnan(value), how->sign), digits, n, '>');
}

/* --- "%s" % value --- */

typedef struct percents {
    em__jvalue values; /* what stands behind % */
    size_t used;
} percents;

static em_status next_value(em__jrun *run, percents *p, em__jvalue *out)
{
    bool tuple = p->values.kind == J_TUPLE;
    if (p->used >= (tuple ? p->values.list->length : 1))
        return em__j_fail(run, "not enough arguments for format string");
    *out = tuple ? p->values.list->items[p->used] : p->values;
    p->used++;
    return EM_OK;
}

/* %(key)s: the place behind the key. */
static em_status keyed_value(em__jrun *run, percents *p, const em__jstring *format, size_t *at, em__jvalue *out)
{
    const char *close = memchr(format->bytes + *at, ')', format->length - *at);
    if (!close)
        return em__j_fail(run, "incomplete format key");
    if (p->values.kind != J_DICT)
        return em__j_fail(run, "format requires a mapping");
    size_t end = (size_t)(close - format->bytes);
    const em__jvalue *value = em__j_dict_text(p->values.dict, format->bytes + *at + 1, end - *at - 1);
    if (!value)
        return em__j_fail(run, "the format's key is not in the mapping");
    *out = *value;
    *at = end + 1;
    p->used = 1;
    return EM_OK;
}

static em_status width_of(em__jrun *run, percents *p, const em__jstring *format, size_t *at, int64_t *out)
{
    em__jvalue value;
    if (*at < format->length && format->bytes[*at] == '*') {
        (*at)++;
        EM__TRY(next_value(run, p, &value));
        EM__TRY(em__j_want_int(run, "*", value, out));
    } else {
        for (*out = 0; *at < format->length && format->bytes[*at] >= '0' && format->bytes[*at] <= '9'; (*at)++)
            *out = *out < MOST_WIDTH ? *out * 10 + (format->bytes[*at] - '0') : *out;
    }
    return *out <= MOST_WIDTH ? EM_OK : em__j_limit(run, "a format is wider than %d", MOST_WIDTH);
}

static em_status add_converted(em__jrun *run, em__jtext *text, layout *how, em__jvalue value)
{
    em__jtext repr = {0};
    if (how->type == 's' || how->type == 'r' || how->type == 'a') {
        if (how->type != 's') {
            EM__TRY(em__j_repr(run, &repr, value));
            EM__TRY(em__j_text_value(run, &repr, &value));
        }
        how->align = how->align == '=' ? '>' : how->align;
        memcpy(how->fill, " ", 1);
        return add_string(run, text, how, value);
    }
    if (how->type == 'c') {
        char bytes[4];
        size_t n = value.kind == J_STRING && value.string->chars == 1 ? value.string->length : 0;
        if (value.kind == J_STRING && n)
            memcpy(bytes, value.string->bytes, n);
        else if (em__j_is_int(value) && em__j_as_int(value) >= 0)
            n = em__j_put_char(bytes, (uint32_t)em__j_as_int(value));
        if (!n)
            return em__j_fail(run, "%%c requires int or char");
        return add_padded(run, text, how, "", bytes, n, '>');
    }
    if (!em__j_is_number(value))
        return em__j_fail(run, "%%%c format: a number is required, not %s", how->type, em__j_type(value));
    if (strchr("eEfFgG", how->type))
        return add_real(run, text, how, em__j_as_real(value));
    if (value.kind == J_FLOAT && strchr("xXo", how->type))
        return em__j_fail(run, "%%%c format: an integer is required, not float", how->type);
    if (value.kind == J_FLOAT && !(fabs(value.real) < 9.2e18))
        return em__j_fail(run, "an integer does not fit 64 bits");
    return add_int(run, text, how, value.kind == J_FLOAT ? (int64_t)value.real : em__j_as_int(value));
}

/* The conversion at `*at`, behind its '%'. */
static em_status add_percent(em__jrun *run, em__jtext *text, percents *p, const em__jstring *format, size_t *at)
{
    layout how = {.fill = " ", .fill_length = 1, .align = '>', .precision = -1};
    em__jvalue value;
    bool keyed = *at < format->length && format->bytes[*at] == '(', zero = false, left = false;
    if (keyed)
        EM__TRY(keyed_value(run, p, format, at, &value));
    for (; *at < format->length && strchr("-+ #0", format->bytes[*at]) && format->bytes[*at]; (*at)++) {
        char c = format->bytes[*at];
        left |= c == '-';
        zero |= c == '0';
        how.alternate |= c == '#';
        how.sign = c == '+' || (c == ' ' && !how.sign) ? c : how.sign;
    }
    EM__TRY(width_of(run, p, format, at, &how.width));
    if (how.width < 0) {
        how.width = how.width < -MOST_WIDTH ? MOST_WIDTH + 1 : -how.width;
        left = true;
    }
    if (*at < format->length && format->bytes[*at] == '.') {
        (*at)++;
        EM__TRY(width_of(run, p, format, at, &how.precision));
    }
    while (*at < format->length && strchr("hlL", format->bytes[*at]) && format->bytes[*at])
        (*at)++;
    if (*at >= format->length)
        return em__j_fail(run, "incomplete format");
    how.type = format->bytes[(*at)++];
    if (how.type == '%')
        return em__j_add_char(run, text, '%');
    if (!how.type || !strchr("sradiuxXoeEfFgGc", how.type))
        return em__j_fail(run, "unsupported format character");
    if (!keyed)
        EM__TRY(next_value(run, p, &value));
    how.align = left ? '<' : zero ? '=' : '>';
    how.fill[0] = zero && !left ? '0' : ' ';
    return add_converted(run, text, &how, value);
}

em_status em__j_percent(em__jrun *run, const em__jstring *format, em__jvalue value, em__jvalue *out)
{
    percents p = {value, 0};
    em__jtext text = {0};
    for (size_t at = 0; at < format->length;) {
        const char *next = memchr(format->bytes + at, '%', format->length - at);
        size_t end = next ? (size_t)(next - format->bytes) : format->length;
        EM__TRY(em__j_add(run, &text, format->bytes + at, end - at));
        at = end + 1;
        if (next)
            EM__TRY(add_percent(run, &text, &p, format, &at));
    }
    bool any = value.kind == J_DICT || value.kind == J_LIST || value.kind == J_UNDEFINED || value.kind == J_RANGE;
    if (!any && p.used < (value.kind == J_TUPLE ? value.list->length : 1))
        return em__j_fail(run, "not all arguments converted during string formatting");
    return em__j_text_value(run, &text, out);
}

/* --- "{}".format(value) --- */

typedef struct braces {
    const em__jargs *args;
    size_t next; /* of the automatic numbers */
} braces;

static const em__jvalue *named_value(const em__jargs *args, const char *name, size_t length)
{
    for (size_t i = 0; i < args->named; i++)
        if (em__j_same(args->names[i]->bytes, args->names[i]->length, name, length))
            return &args->values[args->count + i];
    return NULL;
}

/* The value that "0.name[key]" means. */
static em_status field_value(em__jrun *run, braces *b, const em__jstring *field, em__jvalue *out)
{
    size_t n = 0, number = 0;
    const em__jvalue *value = NULL;
    while (n < field->length && field->bytes[n] != '.' && field->bytes[n] != '[')
        n++;
    size_t digits = digits_of(field->bytes, field->length);
    if (n == 0)
        number = b->next++;
    for (size_t i = 0; i < n && digits >= n && number < 1000; i++)
        number = number * 10 + (size_t)(field->bytes[i] - '0');
    if (n == 0 || digits >= n)
        value = number < b->args->count ? &b->args->values[number] : NULL;
    else
        value = named_value(b->args, field->bytes, n);
    if (!value)
        return em__j_fail(run, "format(): a replacement is missing");
    *out = *value;
    while (n < field->length) {
        bool item = field->bytes[n] == '[';
        size_t start = ++n;
        while (n < field->length && (item ? field->bytes[n] != ']' : field->bytes[n] != '.' && field->bytes[n] != '['))
            n++;
        em__jvalue name;
        EM__TRY(em__j_part(run, field, start, n, &name));
        n += item;
        EM__TRY(item ? em__j_path(run, *out, name, out) : em__j_getattr(run, *out, name.string, out));
    }
    return EM_OK;
}

static em_status read_spec(em__jrun *run, const em__jstring *spec, layout *how)
{
    const char *s = spec->bytes;
    size_t at = 0, n = spec->length, first = n ? em__j_char_length(s[0]) : 0;
    *how = (layout){.fill = " ", .fill_length = 1, .precision = -1};
    if (n > first && strchr("<>^=", s[first]) && s[first]) {
        memcpy(how->fill, s, first);
        how->fill_length = first;
        how->align = s[first];
        at = first + 1;
    } else if (n && s[0] && strchr("<>^=", s[0])) {
        how->align = s[at++];
    }
    if (at < n && (s[at] == '+' || s[at] == '-' || s[at] == ' '))
        how->sign = s[at] == '-' ? '\0' : s[at], at++;
    if (at < n && s[at] == '#')
        how->alternate = true, at++;
    if (at < n && s[at] == '0') {
        how->fill[0] = how->align ? how->fill[0] : '0';
        how->align = how->align ? how->align : '=';
        at++;
    }
    for (; at < n && s[at] >= '0' && s[at] <= '9' && how->width <= MOST_WIDTH; at++)
        how->width = how->width * 10 + (s[at] - '0');
    if (at < n && s[at] == ',')
        how->commas = true, at++;
    if (at < n && s[at] == '.')
        for (how->precision = 0, at++; at < n && s[at] >= '0' && s[at] <= '9' && how->precision < 1000; at++)
            how->precision = how->precision * 10 + (s[at] - '0');
    if (at < n)
        how->type = s[at++];
    if (at < n || how->width > MOST_WIDTH)
        return em__j_fail(run, "format(): invalid format specifier");
    return EM_OK;
}

static em_status add_with_spec(em__jrun *run, em__jtext *text, const em__jstring *spec, em__jvalue value)
{
    layout how;
    EM__TRY(read_spec(run, spec, &how));
    bool number = em__j_is_number(value) && !(value.kind == J_BOOL && !how.type);
    if (spec->length == 0 || (!number && (!how.type || how.type == 's')))
        return add_string(run, text, &how, value);
    if (!number || !how.type || !strchr("dxXobeEfFgG%", how.type)) {
        if (!number || how.type || how.precision >= 0)
            return em__j_fail(run, "format(): unknown format code '%c' for '%s'", how.type ? how.type : '?',
                              em__j_type(value));
        how.align = how.align ? how.align : '>';
        if (value.kind != J_FLOAT)
            return add_int(run, text, &how, em__j_as_int(value));
        return add_string(run, text, &how, value);
    }
    if (strchr("eEfFgG%", how.type))
        return add_real(run, text, &how, em__j_as_real(value));
    if (value.kind == J_FLOAT)
        return em__j_fail(run, "format(): unknown format code '%c' for 'float'", how.type);
    return add_int(run, text, &how, em__j_as_int(value));
}

/* A replacement {name!r:spec} between its braces. */
static em_status add_field(em__jrun *run, em__jtext *text, braces *b, const em__jstring *whole)
{
    em__jvalue value, name, spec, repr;
    em__jtext printed = {0};
    const char *colon = memchr(whole->bytes, ':', whole->length);
    size_t end = colon ? (size_t)(colon - whole->bytes) : whole->length;
    const char *mark = memchr(whole->bytes, '!', end);
    size_t name_end = mark ? (size_t)(mark - whole->bytes) : end;
    EM__TRY(em__j_part(run, whole, 0, name_end, &name));
    EM__TRY(em__j_part(run, whole, colon ? end + 1 : end, whole->length, &spec));
    EM__TRY(field_value(run, b, name.string, &value));
    if (mark) {
        char how = end == name_end + 2 ? mark[1] : '\0';
        if (how != 'r' && how != 's')
            return em__j_fail(run, "format(): unknown conversion");
        EM__TRY(how == 'r' ? em__j_repr(run, &printed, value) : em__j_print(run, &printed, value));
        EM__TRY(em__j_text_value(run, &printed, &repr));
        value = repr;
    }
    return add_with_spec(run, text, spec.string, value);
}

em_status em__j_format(em__jrun *run, const em__jstring *format, const em__jargs *args, em__jvalue *out)
{
    braces b = {args, 0};
    em__jtext text = {0};
    for (size_t at = 0; at < format->length;) {
        char c = format->bytes[at];
        if (c != '{' && c != '}') {
            EM__TRY(em__j_add_char(run, &text, c));
            at++;
        } else if (at + 1 < format->length && format->bytes[at + 1] == c) {
            EM__TRY(em__j_add_char(run, &text, c));
            at += 2;
        } else {
            em__jvalue field;
            const char *close = c == '{' ? memchr(format->bytes + at, '}', format->length - at) : NULL;
            if (!close)
                return em__j_fail(run, "format(): a single '%c' in the format", c);
            size_t end = (size_t)(close - format->bytes);
            EM__TRY(em__j_part(run, format, at + 1, end, &field));
            EM__TRY(add_field(run, &text, &b, field.string));
            at = end + 1;
        }
    }
    return em__j_text_value(run, &text, out);
}
