/* Filters of text and of single values. Those of sequences stand in filters_sequence.c, of numbers in numbers.c. */
#include <string.h>

#include <utf8proc.h>

#include "template/run.h"
#include "template/text.h"

#define FILTER(name)                                                                                                   \
    static em_status name(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)

static em_status change_case(em__jrun *run, em__jvalue self, em__jcase how, em__jvalue *out)
{
    em__jvalue text;
    EM__TRY(em__j_str(run, self, &text));
    return em__j_change_case(run, text.string, how, out);
}

FILTER(filter_upper)
{
    (void)arg, (void)all;
    return change_case(run, self, J_UPPER, out);
}

FILTER(filter_lower)
{
    (void)arg, (void)all;
    return change_case(run, self, J_LOWER, out);
}

FILTER(filter_capitalize)
{
    (void)arg, (void)all;
    return change_case(run, self, J_CAPITALIZE, out);
}

static bool ends_word(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || em__j_is_space(c);
}

/* Words begin behind white space and - ( { [ <: not as str.title has it. */
FILTER(filter_title)
{
    em__jvalue text, part;
    em__jtext joined = {0};
    (void)arg, (void)all;
    EM__TRY(em__j_str(run, self, &text));
    const em__jstring *s = text.string;
    for (size_t at = 0; at < s->length;) {
        size_t end = at;
        bool between = ends_word(em__j_char_at(s->bytes + at));
        while (end < s->length && ends_word(em__j_char_at(s->bytes + end)) == between)
            end += em__j_char_length(s->bytes[end]);
        EM__TRY(em__j_part(run, s, at, end, &part));
        if (!between)
            EM__TRY(em__j_change_case(run, part.string, J_CAPITALIZE, &part));
        EM__TRY(em__j_print(run, &joined, part));
        at = end;
    }
    return em__j_text_value(run, &joined, out);
}

/* Is a character among those of a string? */
static bool among(const em__jstring *chars, const char *c)
{
    size_t n = em__j_char_length(*c);
    for (size_t at = 0; at < chars->length; at += em__j_char_length(chars->bytes[at]))
        if (em__j_char_length(chars->bytes[at]) == n && memcmp(chars->bytes + at, c, n) == 0)
            return true;
    return false;
}

em_status em__j_strip(em__jrun *run, em__jvalue value, em__jvalue chars, int sides, em__jvalue *out)
{
    const em__jstring *s = value.string, *set = NULL;
    size_t start = 0, end = s->length;
    if (chars.kind != J_MISSING && chars.kind != J_NONE)
        EM__TRY(em__j_want_string(run, "strip()", chars, &set));
    EM__TRY(em__j_work(run, set ? s->length * (1 + set->length / 16) : s->length));
    while (sides & 1 && start < end &&
           (set ? among(set, s->bytes + start) : em__j_is_space(em__j_char_at(s->bytes + start))))
        start += em__j_char_length(s->bytes[start]);
    while (sides & 2 && end > start) {
        size_t at = end - 1;
        while (em__j_is_tail(s->bytes[at]))
            at--;
        if (!(set ? among(set, s->bytes + at) : em__j_is_space(em__j_char_at(s->bytes + at))))
            break;
        end = at;
    }
    EM__TRY(em__j_part(run, s, start, end, out));
    return s->markup ? em__j_mark(run, *out, false, out) : EM_OK;
}

FILTER(filter_trim)
{
    em__jvalue text;
    (void)all;
    EM__TRY(em__j_str(run, self, &text));
    return em__j_strip(run, text, arg[0], 3, out);
}

em_status em__j_replace(em__jrun *run, const em__jstring *s, const em__jstring *old, const em__jstring *fresh,
                        int64_t most, em__jvalue *out)
{
    em__jtext text = {0};
    size_t at = 0;
    EM__TRY(em__j_work(run, s->length));
    for (; most != 0; most--) {
        if (old->length == 0) { /* before each character, and at the end */
            EM__TRY(em__j_add(run, &text, fresh->bytes, fresh->length));
            if (at == s->length)
                break;
            size_t n = em__j_char_length(s->bytes[at]);
            EM__TRY(em__j_add(run, &text, s->bytes + at, n));
            at += n;
            continue;
        }
        size_t found = em__j_find_bytes(s->bytes, s->length, at, old->bytes, old->length);
        if (found == SIZE_MAX)
            break;
        EM__TRY(em__j_add(run, &text, s->bytes + at, found - at));
        EM__TRY(em__j_add(run, &text, fresh->bytes, fresh->length));
        at = found + old->length;
    }
    EM__TRY(em__j_add(run, &text, s->bytes + at, s->length - at));
    return em__j_text_value(run, &text, out);
}

FILTER(filter_replace)
{
    em__jvalue parts[3];
    int64_t most = -1;
    (void)all;
    EM__TRY(em__j_str(run, self, &parts[0]));
    EM__TRY(em__j_str(run, arg[0], &parts[1]));
    EM__TRY(em__j_str(run, arg[1], &parts[2]));
    if (em__j_given(arg[2]) && arg[2].kind != J_NONE)
        EM__TRY(em__j_want_int(run, "replace", arg[2], &most));
    return em__j_replace(run, parts[0].string, parts[1].string, parts[2].string, most, out);
}

FILTER(filter_string)
{
    (void)arg, (void)all;
    return em__j_str(run, self, out);
}

FILTER(filter_safe)
{
    (void)arg, (void)all;
    return em__j_mark(run, self, false, out);
}

FILTER(filter_escape)
{
    (void)arg, (void)all;
    return em__j_mark(run, self, true, out);
}

FILTER(filter_default)
{
    static const em__jstring empty = {"", 0, 0, false};
    (void)run, (void)all;
    bool replace = self.kind == J_UNDEFINED || (em__j_truth(arg[1]) && !em__j_truth(self));
    *out = !replace ? self : em__j_given(arg[0]) ? arg[0] : em__j_of_string(&empty);
    return EM_OK;
}

/* `width` spaces, or a string of its own. */
static em_status indent_text(em__jrun *run, em__jvalue width, int64_t absent, em__jvalue *out)
{
    em__jtext text = {0};
    int64_t count = absent;
    if (width.kind == J_STRING) {
        *out = width;
        return EM_OK;
    }
    if (em__j_given(width))
        EM__TRY(em__j_want_int(run, "indent", width, &count));
    EM__TRY(em__j_add_times(run, &text, " ", 1, count));
    return em__j_text_value(run, &text, out);
}

FILTER(filter_indent)
{
    em__jvalue indent, lines, whole;
    em__jtext text = {0}, ended = {0};
    const em__jstring *s;
    bool first = em__j_truth(arg[1]), blank = em__j_truth(arg[2]);
    (void)all;
    EM__TRY(em__j_want_string(run, "indent", self, &s));
    EM__TRY(indent_text(run, arg[0], 4, &indent));
    EM__TRY(em__j_add(run, &ended, s->bytes, s->length));
    EM__TRY(em__j_add_char(run, &ended, '\n'));
    EM__TRY(em__j_text_value(run, &ended, &whole));
    EM__TRY(em__j_split_lines(run, whole.string, false, &lines));
    for (size_t i = 0; i < lines.list->length; i++) {
        em__jvalue line = lines.list->items[i];
        if (i)
            EM__TRY(em__j_add_char(run, &text, '\n'));
        if (i ? blank || line.string->length : first)
            EM__TRY(em__j_print(run, &text, indent));
        EM__TRY(em__j_print(run, &text, line));
    }
    return em__j_text_value(run, &text, out);
}

FILTER(filter_tojson)
{
    static const em__jstring comma_space = {", ", 2, 2, false}, comma = {",", 1, 1, false}, colon = {": ", 2, 2, false};
    em__jtext text = {0};
    em__jvalue indent;
    em__jjson how = {.ascii = em__j_truth(arg[0]), .sorted = em__j_truth(arg[3]), .item = &comma_space, .key = &colon};
    (void)all;
    if (em__j_given(arg[1]) && arg[1].kind != J_NONE) {
        EM__TRY(indent_text(run, arg[1], 0, &indent));
        how.indent = indent.string;
        how.item = &comma;
    }
    if (em__j_given(arg[2]) && arg[2].kind != J_NONE) {
        const em__jvalue *parts;
        size_t count;
        EM__TRY(em__j_items(run, arg[2], &parts, &count));
        if (count != 2 || parts[0].kind != J_STRING || parts[1].kind != J_STRING)
            return em__j_fail(run, "tojson: separators must be two strings");
        how.item = parts[0].string;
        how.key = parts[1].string;
    }
    EM__TRY(em__j_json(run, &text, self, &how));
    return em__j_text_value(run, &text, out);
}

FILTER(filter_center)
{
    em__jvalue text;
    em__jvalue width = em__j_given(arg[0]) ? arg[0] : em__j_int(80);
    em__jargs args = {&width, NULL, 1, 0};
    (void)all;
    EM__TRY(em__j_str(run, self, &text));
    return em__j_call_builtin(run, em__j_find(em__j_string_methods, "center", 6), text, &args, out);
}

FILTER(filter_wordcount)
{
    em__jvalue text;
    int64_t count = 0;
    bool word = false;
    (void)arg, (void)all;
    EM__TRY(em__j_str(run, self, &text));
    const em__jstring *s = text.string;
    EM__TRY(em__j_work(run, 4 * s->length));
    for (size_t at = 0; at < s->length; at += em__j_char_length(s->bytes[at])) {
        uint32_t c = em__j_char_at(s->bytes + at);
        utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
        bool now = c == '_' || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
                   (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
        count += now && !word;
        word = now;
    }
    *out = em__j_int(count);
    return EM_OK;
}

FILTER(filter_format)
{
    em__jvalue text, values;
    (void)arg;
    EM__TRY(em__j_str(run, self, &text));
    if (all->count && all->named)
        return em__j_fail(run, "format: positional and keyword arguments at the same time");
    EM__TRY(em__j_list(run, J_TUPLE, all->values, all->count, &values));
    if (all->named) {
        EM__TRY(em__j_dict_new(run, &values));
        for (size_t i = 0; i < all->named; i++)
            EM__TRY(em__j_dict_set(run, values.dict, em__j_of_string(all->names[i]), all->values[i]));
    }
    return em__j_percent(run, text.string, values, out);
}

/* x|attr("name"): the attribute, never the item. */
FILTER(filter_attr)
{
    const em__jstring *name;
    (void)all;
    EM__TRY(em__j_want_string(run, "attr", arg[0], &name));
    if (self.kind == J_DICT && !em__j_method(self, name->bytes, name->length) && name->bytes[0] != '_')
        return em__j_undefined(run, NULL, name, &self, out);
    return em__j_getattr(run, self, name, out);
}

static const em__jbuiltin filters[] = {
    {"upper", "", filter_upper},
    {"lower", "", filter_lower},
    {"capitalize", "", filter_capitalize},
    {"title", "", filter_title},
    {"trim", "|chars", filter_trim},
    {"replace", "old new|count", filter_replace},
    {"string", "", filter_string},
    {"safe", "", filter_safe},
    {"escape", "", filter_escape},
    {"e", "", filter_escape},
    {"default", "|default_value boolean", filter_default},
    {"d", "|default_value boolean", filter_default},
    {"indent", "|width first blank", filter_indent},
    {"tojson", "|ensure_ascii indent separators sort_keys", filter_tojson},
    {"center", "|width", filter_center},
    {"wordcount", "", filter_wordcount},
    {"format", NULL, filter_format},
    {"attr", "name", filter_attr},
    {NULL, NULL, NULL},
};

const em__jbuiltin *em__j_filter(const char *name, size_t length)
{
    const em__jbuiltin *const tables[] = {filters, em__j_sequence_filters, em__j_number_filters};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const em__jbuiltin *found = em__j_find(tables[i], name, length);
        if (found)
            return found;
    }
    return NULL;
}
