/* str() and repr() of values, byte for byte as Python gives them. */
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

#include "template/run.h"
#include "template/text.h"

static bool is_printable(uint32_t c)
{
    if (c < 0x80)
        return c >= 0x20 && c != 0x7F;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

static em_status escape_char(em__jrun *run, em__jtext *text, uint32_t c)
{
    char escape[16];
    if (c == '\n' || c == '\r' || c == '\t')
        snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else
        snprintf(escape, sizeof escape, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
    return em__j_add_text(run, text, escape);
}

static em_status repr_string(em__jrun *run, em__jtext *text, const em__jstring *s)
{
    bool single = memchr(s->bytes, '\'', s->length) != NULL, twice = memchr(s->bytes, '"', s->length) != NULL;
    char quote = single && !twice ? '"' : '\'';
    if (s->markup)
        EM__TRY(em__j_add_text(run, text, "Markup("));
    EM__TRY(em__j_add_char(run, text, quote));
    for (size_t i = 0; i < s->length;) {
        size_t n = em__j_char_length(s->bytes[i]);
        uint32_t c = em__j_char_at(s->bytes + i);
        if (c == (uint32_t)quote || c == '\\')
            EM__TRY(em__j_add_char(run, text, '\\'));
        if (is_printable(c))
            EM__TRY(em__j_add(run, text, s->bytes + i, n));
        else
            EM__TRY(escape_char(run, text, c));
        i += n;
    }
    EM__TRY(em__j_add_char(run, text, quote));
    return s->markup ? em__j_add_char(run, text, ')') : EM_OK;
}

static em_status repr_items(em__jrun *run, em__jtext *text, const em__jlist *list, bool tuple)
{
    EM__TRY(em__j_add_char(run, text, tuple ? '(' : '['));
    for (size_t i = 0; i < list->length; i++) {
        if (i)
            EM__TRY(em__j_add_text(run, text, ", "));
        EM__TRY(em__j_repr(run, text, list->items[i]));
    }
    return em__j_add_text(run, text, !tuple ? "]" : list->length == 1 ? ",)" : ")");
}

static em_status repr_dict(em__jrun *run, em__jtext *text, const em__jdict *dict)
{
    EM__TRY(em__j_add_char(run, text, '{'));
    for (size_t i = 0; i < dict->length; i++) {
        if (i)
            EM__TRY(em__j_add_text(run, text, ", "));
        EM__TRY(em__j_repr(run, text, dict->pairs[i].key));
        EM__TRY(em__j_add_text(run, text, ": "));
        EM__TRY(em__j_repr(run, text, dict->pairs[i].value));
    }
    return em__j_add_char(run, text, '}');
}

static em_status repr_view(em__jrun *run, em__jtext *text, em__jvalue v)
{
    static const char *const names[] = {
        [J_KEYS] = "dict_keys(", [J_VALUES] = "dict_values(", [J_ITEMS] = "dict_items("};
    em__jlist list = {0};
    EM__TRY(em__j_items(run, v, &list.items, &list.length));
    EM__TRY(em__j_add_text(run, text, names[v.view->kind]));
    EM__TRY(repr_items(run, text, &list, false));
    return em__j_add_char(run, text, ')');
}

static em_status repr_range(em__jrun *run, em__jtext *text, const em__jrange *range)
{
    char out[96];
    if (range->step == 1)
        snprintf(out, sizeof out, "range(%lld, %lld)", (long long)range->start, (long long)range->stop);
    else
        snprintf(out, sizeof out, "range(%lld, %lld, %lld)", (long long)range->start, (long long)range->stop,
                 (long long)range->step);
    return em__j_add_text(run, text, out);
}

static em_status repr_number(em__jrun *run, em__jtext *text, em__jvalue v)
{
    char out[40];
    if (v.kind == J_FLOAT)
        return em__j_add(run, text, out, em__j_print_real(out, v.real));
    snprintf(out, sizeof out, "%lld", (long long)v.integer);
    return em__j_add_text(run, text, out);
}

static em_status repr_deep(em__jrun *run, em__jtext *text, em__jvalue v)
{
    switch (v.kind) {
    case J_UNDEFINED: return em__j_add_text(run, text, "Undefined");
    case J_NONE: return em__j_add_text(run, text, "None");
    case J_BOOL: return em__j_add_text(run, text, v.truth ? "True" : "False");
    case J_INT:
    case J_FLOAT: return repr_number(run, text, v);
    case J_STRING: return repr_string(run, text, v.string);
    case J_LIST:
    case J_TUPLE: return repr_items(run, text, v.list, v.kind == J_TUPLE);
    case J_DICT: return repr_dict(run, text, v.dict);
    case J_RANGE: return repr_range(run, text, v.range);
    case J_VIEW: return repr_view(run, text, v);
    case J_NAMESPACE:
        EM__TRY(em__j_add_text(run, text, "<Namespace "));
        EM__TRY(repr_dict(run, text, v.dict));
        return em__j_add_char(run, text, '>');
    default:
        EM__TRY(em__j_add_char(run, text, '<'));
        EM__TRY(em__j_add_text(run, text, em__j_type(v)));
        return em__j_add_char(run, text, '>');
    }
}

em_status em__j_repr(em__jrun *run, em__jtext *text, em__jvalue v)
{
    EM__TRY(em__j_enter(run));
    em_status status = repr_deep(run, text, v);
    em__j_leave(run);
    return status;
}

em_status em__j_print(em__jrun *run, em__jtext *text, em__jvalue v)
{
    if (v.kind == J_STRING)
        return em__j_add(run, text, v.string->bytes, v.string->length);
    return v.kind == J_UNDEFINED ? EM_OK : em__j_repr(run, text, v);
}

em_status em__j_str(em__jrun *run, em__jvalue v, em__jvalue *out)
{
    em__jtext text = {0};
    if (v.kind == J_STRING) {
        *out = v;
        return EM_OK;
    }
    EM__TRY(em__j_print(run, &text, v));
    return em__j_text_value(run, &text, out);
}
