/* json.dumps, which the tojson filter of chat templates is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "template/run.h"
#include "template/text.h"

typedef struct writer {
    em__jrun *run;
    em__jtext *text;
    const em__jjson *how;
    int level;
} writer;

static em_status write_value(writer *w, em__jvalue v);

static em_status write_escape(writer *w, uint32_t c)
{
    static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
    const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    char escape[16];
    if (known)
        snprintf(escape, sizeof escape, "\\%c", to[known - from]);
    else if (c < 0x10000)
        snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
    else
        snprintf(escape, sizeof escape, "\\u%04x\\u%04x", 0xD800 + (unsigned)((c - 0x10000) >> 10),
                 0xDC00 + (unsigned)((c - 0x10000) & 0x3FF));
    return em__j_add_text(w->run, w->text, escape);
}

static em_status write_string(writer *w, const em__jstring *s)
{
    size_t from = 0, i = 0;
    EM__TRY(em__j_add_char(w->run, w->text, '"'));
    while (i < s->length) {
        uint32_t c = em__j_char_at(s->bytes + i);
        size_t n = em__j_char_length(s->bytes[i]);
        bool plain = c >= 0x20 && c != '"' && c != '\\' && (!w->how->ascii || c < 0x7F);
        if (!plain) {
            EM__TRY(em__j_add(w->run, w->text, s->bytes + from, i - from));
            EM__TRY(write_escape(w, c));
            from = i + n;
        }
        i += n;
    }
    EM__TRY(em__j_add(w->run, w->text, s->bytes + from, i - from));
    return em__j_add_char(w->run, w->text, '"');
}

static em_status write_scalar(writer *w, em__jvalue v)
{
    if (v.kind == J_NONE)
        return em__j_add_text(w->run, w->text, "null");
    if (v.kind == J_BOOL)
        return em__j_add_text(w->run, w->text, v.truth ? "true" : "false");
    if (v.kind == J_FLOAT && !isfinite(v.real))
        return em__j_add_text(w->run, w->text, isnan(v.real) ? "NaN" : v.real > 0 ? "Infinity" : "-Infinity");
    return em__j_print(w->run, w->text, v);
}

static em_status write_line(writer *w)
{
    const em__jstring *indent = w->how->indent;
    if (!indent)
        return EM_OK;
    EM__TRY(em__j_add_char(w->run, w->text, '\n'));
    for (int i = 0; i < w->level; i++)
        EM__TRY(em__j_add(w->run, w->text, indent->bytes, indent->length));
    return EM_OK;
}

/* Before item `i`: the separator of those before it, and its line. */
static em_status write_separator(writer *w, size_t i)
{
    if (i)
        EM__TRY(em__j_add(w->run, w->text, w->how->item->bytes, w->how->item->length));
    return write_line(w);
}

static em_status write_list(writer *w, const em__jlist *list)
{
    if (list->length == 0)
        return em__j_add_text(w->run, w->text, "[]");
    EM__TRY(em__j_add_char(w->run, w->text, '['));
    w->level++;
    for (size_t i = 0; i < list->length; i++) {
        EM__TRY(write_separator(w, i));
        EM__TRY(write_value(w, list->items[i]));
    }
    w->level--;
    EM__TRY(write_line(w));
    return em__j_add_char(w->run, w->text, ']');
}

static em_status write_key(writer *w, em__jvalue key)
{
    if (key.kind == J_STRING)
        return write_string(w, key.string);
    if (key.kind != J_NONE && !em__j_is_number(key))
        return em__j_fail(w->run, "tojson: keys must be str, int, float, bool or None, not %s", em__j_type(key));
    EM__TRY(em__j_add_char(w->run, w->text, '"'));
    EM__TRY(write_scalar(w, key));
    return em__j_add_char(w->run, w->text, '"');
}

/* An insertion sort: dicts are short, and a comparison may fail. */
static em_status sort_pairs(writer *w, const em__jdict *dict, em__jpair **out)
{
    em__jpair *pairs = em__j_alloc(w->run, dict->length, sizeof *pairs);
    if (!pairs)
        return em_last_status();
    for (size_t i = 0; i < dict->length; i++) {
        size_t at = i;
        for (; at > 0; at--) {
            bool less;
            EM__TRY(em__j_work(w->run, EM__J_STEP));
            EM__TRY(em__j_less(w->run, dict->pairs[i].key, pairs[at - 1].key, "<", &less));
            if (!less)
                break;
            pairs[at] = pairs[at - 1];
        }
        pairs[at] = dict->pairs[i];
    }
    *out = pairs;
    return EM_OK;
}

static em_status write_dict(writer *w, const em__jdict *dict)
{
    em__jpair *pairs = dict->pairs;
    if (dict->length == 0)
        return em__j_add_text(w->run, w->text, "{}");
    if (w->how->sorted)
        EM__TRY(sort_pairs(w, dict, &pairs));
    EM__TRY(em__j_add_char(w->run, w->text, '{'));
    w->level++;
    for (size_t i = 0; i < dict->length; i++) {
        EM__TRY(write_separator(w, i));
        EM__TRY(write_key(w, pairs[i].key));
        EM__TRY(em__j_add(w->run, w->text, w->how->key->bytes, w->how->key->length));
        EM__TRY(write_value(w, pairs[i].value));
    }
    w->level--;
    EM__TRY(write_line(w));
    return em__j_add_char(w->run, w->text, '}');
}

static em_status write_deep(writer *w, em__jvalue v)
{
    switch (v.kind) {
    case J_NONE:
    case J_BOOL:
    case J_INT:
    case J_FLOAT: return write_scalar(w, v);
    case J_STRING: return write_string(w, v.string);
    case J_LIST:
    case J_TUPLE: return write_list(w, v.list);
    case J_DICT: return write_dict(w, v.dict);
    default: return em__j_fail(w->run, "tojson: object of type %s is not JSON serializable", em__j_type(v));
    }
}

static em_status write_value(writer *w, em__jvalue v)
{
    EM__TRY(em__j_enter(w->run));
    em_status status = write_deep(w, v);
    em__j_leave(w->run);
    return status;
}

em_status em__j_json(em__jrun *run, em__jtext *text, em__jvalue v, const em__jjson *how)
{
    writer w = {run, text, how, 0};
    return write_value(&w, v);
}
