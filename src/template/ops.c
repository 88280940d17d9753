/* Arithmetic with Python's semantics. Integers have 64 bits: what does not fit is an error. */
#include <math.h>
#include <string.h>

#include "core/alloc.h"
#include "template/run.h"
#include "template/text.h"

static em_status fail_types(em__jrun *run, char op, em__jvalue a, em__jvalue b)
{
    const char *symbol = op == 'd' ? "//" : op == 'p' ? "**" : (const char[]){op, '\0'};
    return em__j_fail(run, "unsupported operand type(s) for %s: '%s' and '%s'", symbol, em__j_type(a), em__j_type(b));
}

static em_status power_ints(em__jrun *run, int64_t base, int64_t exponent, em__jvalue *out)
{
    int64_t result = 1;
    if (exponent < 0) {
        if (base == 0)
            return em__j_fail(run, "0.0 cannot be raised to a negative power");
        *out = em__j_float(pow((double)base, (double)exponent));
        return EM_OK;
    }
    for (; exponent > 0; exponent--) {
        if (base == 0 || base == 1 || base == -1)
            exponent = base == -1 ? (exponent - 1) % 2 + 1 : 1;
        if (__builtin_mul_overflow(result, base, &result))
            return em__j_fail(run, "an integer does not fit 64 bits");
    }
    *out = em__j_int(result);
    return EM_OK;
}

static em_status divide_ints(em__jrun *run, char op, int64_t a, int64_t b, em__jvalue *out)
{
    if (b == 0)
        return em__j_fail(run, op == '/' ? "division by zero" : "integer division or modulo by zero");
    if (op == '/') {
        *out = em__j_float((double)a / (double)b);
        return EM_OK;
    }
    if (b == -1) { /* INT64_MIN / -1 */
        if (op == 'd')
            return em__j_negate(run, em__j_int(a), true, out);
        *out = em__j_int(0);
        return EM_OK;
    }
    int64_t quotient = a / b, rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = em__j_int(op == 'd' ? quotient : rest);
    return EM_OK;
}

static em_status ints(em__jrun *run, char op, int64_t a, int64_t b, em__jvalue *out)
{
    int64_t result;
    bool wrong;
    switch (op) {
    case '+': wrong = __builtin_add_overflow(a, b, &result); break;
    case '-': wrong = __builtin_sub_overflow(a, b, &result); break;
    case '*': wrong = __builtin_mul_overflow(a, b, &result); break;
    case 'p': return power_ints(run, a, b, out);
    default: return divide_ints(run, op, a, b, out);
    }
    if (wrong)
        return em__j_fail(run, "an integer does not fit 64 bits");
    *out = em__j_int(result);
    return EM_OK;
}

static em_status reals(em__jrun *run, char op, double a, double b, em__jvalue *out)
{
    double rest;
    if (b == 0 && (op == '/' || op == 'd' || op == '%'))
        return em__j_fail(run, "float division by zero");
    switch (op) {
    case '+': *out = em__j_float(a + b); return EM_OK;
    case '-': *out = em__j_float(a - b); return EM_OK;
    case '*': *out = em__j_float(a * b); return EM_OK;
    case '/': *out = em__j_float(a / b); return EM_OK;
    case 'p':
        if ((a == 0 && b < 0) || (a < 0 && b != floor(b)))
            return em__j_fail(run, "a power that is no real number");
        *out = em__j_float(pow(a, b));
        return EM_OK;
    default: break;
    }
    rest = fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        rest += b;
        quotient -= 1;
    } else if (rest == 0) {
        rest = copysign(0.0, b);
    }
    double whole = floor(quotient);
    whole += quotient - whole > 0.5;
    *out = em__j_float(op == '%' ? rest : quotient != 0 ? whole : copysign(0.0, a / b));
    return EM_OK;
}

/* Text for HTML: what markup does to text that is added to it. */
static em_status escape_into(em__jrun *run, em__jtext *text, em__jvalue v, bool markup)
{
    const em__jstring *s = v.string;
    if (!markup || s->markup)
        return em__j_add(run, text, s->bytes, s->length);
    EM__TRY(em__j_work(run, 2 * s->length));
    for (size_t i = 0; i < s->length; i++) {
        const char *entity = s->bytes[i] == '&'    ? "&amp;"
                             : s->bytes[i] == '<'  ? "&lt;"
                             : s->bytes[i] == '>'  ? "&gt;"
                             : s->bytes[i] == '"'  ? "&#34;"
                             : s->bytes[i] == '\'' ? "&#39;"
                                                   : NULL;
        EM__TRY(entity ? em__j_add_text(run, text, entity) : em__j_add_char(run, text, s->bytes[i]));
    }
    return EM_OK;
}

em_status em__j_mark(em__jrun *run, em__jvalue v, bool escape, em__jvalue *out)
{
    em__jtext text = {0};
    em__jvalue plain, marked;
    EM__TRY(em__j_str(run, v, &plain));
    EM__TRY(escape_into(run, &text, plain, escape));
    EM__TRY(em__j_text_value(run, &text, &marked));
    em__jstring *s = em__j_alloc(run, 1, sizeof *s);
    if (!s)
        return em_last_status();
    *s = *marked.string;
    s->markup = true;
    *out = em__j_of_string(s);
    return EM_OK;
}

static em_status add_strings(em__jrun *run, em__jvalue a, em__jvalue b, em__jvalue *out)
{
    bool markup = a.string->markup || b.string->markup;
    em__jtext text = {0};
    EM__TRY(escape_into(run, &text, a, markup));
    EM__TRY(escape_into(run, &text, b, markup));
    EM__TRY(em__j_text_value(run, &text, out));
    return markup ? em__j_mark(run, *out, false, out) : EM_OK;
}

static em_status add_lists(em__jrun *run, em__jvalue a, em__jvalue b, em__jvalue *out)
{
    size_t length = a.list->length + b.list->length;
    EM__TRY(em__j_work(run, length));
    em__jvalue *items = em__j_alloc(run, length, sizeof *items);
    if (!items)
        return em_last_status();
    if (a.list->length)
        memcpy(items, a.list->items, a.list->length * sizeof *items);
    if (b.list->length)
        memcpy(items + a.list->length, b.list->items, b.list->length * sizeof *items);
    return em__j_list(run, a.kind, items, length, out);
}

/* A string, list or tuple, `times` over. */
static em_status repeat(em__jrun *run, em__jvalue v, int64_t times, em__jvalue *out)
{
    size_t count = times > 0 ? (size_t)times : 0, unit, total;
    bool is_string = v.kind == J_STRING;
    size_t length = is_string ? v.string->length : v.list->length;
    unit = is_string ? 1 : sizeof(em__jvalue);
    if (em__mul_overflows(count, length, &total))
        total = SIZE_MAX;
    EM__TRY(em__j_work(run, total));
    char *copy = em__j_alloc(run, total, unit);
    if (!copy)
        return em_last_status();
    for (size_t i = 0; length && i < count; i++)
        memcpy(copy + i * length * unit, is_string ? (const void *)v.string->bytes : v.list->items, length * unit);
    if (is_string)
        return em__j_borrow(run, copy, total, out);
    return em__j_list(run, v.kind, (const em__jvalue *)(const void *)copy, total, out);
}

static bool is_sequence(em__jvalue v)
{
    return v.kind == J_STRING || v.kind == J_LIST || v.kind == J_TUPLE;
}

em_status em__j_binary(em__jrun *run, char op, em__jvalue a, em__jvalue b, em__jvalue *out)
{
    if (op == '%' && a.kind == J_STRING)
        return em__j_percent(run, a.string, b, out);
    if (a.kind == J_UNDEFINED || b.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, a.kind == J_UNDEFINED ? a : b);
    if (em__j_is_int(a) && em__j_is_int(b))
        return ints(run, op, em__j_as_int(a), em__j_as_int(b), out);
    if (em__j_is_number(a) && em__j_is_number(b))
        return reals(run, op, em__j_as_real(a), em__j_as_real(b), out);
    if (op == '+' && a.kind == J_STRING && b.kind == J_STRING)
        return add_strings(run, a, b, out);
    if (op == '+' && a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE))
        return add_lists(run, a, b, out);
    if (op == '*' && is_sequence(a) && em__j_is_int(b))
        return repeat(run, a, em__j_as_int(b), out);
    if (op == '*' && is_sequence(b) && em__j_is_int(a))
        return repeat(run, b, em__j_as_int(a), out);
    return fail_types(run, op, a, b);
}

em_status em__j_negate(em__jrun *run, em__jvalue v, bool minus, em__jvalue *out)
{
    if (v.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, v);
    if (!em__j_is_number(v))
        return em__j_fail(run, "bad operand type for unary %c: '%s'", minus ? '-' : '+', em__j_type(v));
    if (v.kind == J_FLOAT) {
        *out = em__j_float(minus ? -v.real : v.real);
        return EM_OK;
    }
    return ints(run, minus ? '-' : '+', 0, em__j_as_int(v), out);
}

em_status em__j_contains(em__jrun *run, em__jvalue container, em__jvalue item, bool *in)
{
    em__jiter iter;
    em__jvalue one;
    bool more = true;
    *in = false;
    if (container.kind == J_STRING) {
        const em__jstring *s = container.string, *part;
        if (item.kind != J_STRING)
            return em__j_fail(run, "'in <string>' requires string as left operand, not %s", em__j_type(item));
        part = item.string;
        EM__TRY(em__j_work(run, s->length));
        *in = part->length == 0 || em__j_find_bytes(s->bytes, s->length, 0, part->bytes, part->length) != SIZE_MAX;
        return EM_OK;
    }
    if (container.kind == J_DICT) {
        if (!em__j_is_hashable(item))
            return em__j_fail(run, "unhashable type: '%s'", em__j_type(item));
        *in = em__j_dict_get(run, container.dict, item) != NULL;
        return EM_OK;
    }
    if (!em__j_is_iterable(container))
        return em__j_fail(run, "argument of type '%s' is not iterable", em__j_type(container));
    EM__TRY(em__j_iter(run, container, &iter));
    while (!*in) {
        EM__TRY(em__j_next(run, &iter, &one, &more));
        if (!more)
            break;
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(em__j_equal(run, one, item, in));
    }
    return EM_OK;
}
