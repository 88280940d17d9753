/* Methods of str that search and split; those of list, tuple and dict; where methods are looked up. */
#include <string.h>

#include "core/alloc.h"
#include "template/loop.h"
#include "template/run.h"
#include "template/text.h"

#define METHOD(name)                                                                                                   \
    static em_status name(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)

/* The bytes [*from, *to) that the arguments `start` and `end` of a search leave. False when they leave none. */
static em_status search_range(em__jrun *run, const em__jstring *s, const em__jvalue *arg, size_t *from, size_t *to,
                              bool *any)
{
    int64_t bounds[2] = {0, (int64_t)s->chars}, length = (int64_t)s->chars;
    for (int i = 0; i < 2; i++) {
        if (!em__j_given(arg[i]) || arg[i].kind == J_NONE)
            continue;
        EM__TRY(em__j_want_int(run, "start and end", arg[i], &bounds[i]));
        if (bounds[i] < 0)
            bounds[i] = bounds[i] < -length ? 0 : bounds[i] + length;
    }
    *any = bounds[0] <= length && bounds[0] <= bounds[1];
    if (bounds[1] > length)
        bounds[1] = length;
    EM__TRY(em__j_work(run, s->length));
    *from = em__j_char_offset(s->bytes, s->length, *any ? (size_t)bounds[0] : 0);
    *to = em__j_char_offset(s->bytes, s->length, *any ? (size_t)bounds[1] : 0);
    return EM_OK;
}

/* Searching backwards compares at each place. */
static em_status last_work(em__jrun *run, const em__jstring *s, const em__jstring *part)
{
    size_t work;
    return em__j_work(run, em__mul_overflows(s->length, 1 + part->length / 64, &work) ? SIZE_MAX : work);
}

/* The code point where the part stands, -1 for nowhere. */
static em_status search(em__jrun *run, em__jvalue self, const em__jvalue *arg, bool last, int64_t *found)
{
    const em__jstring *part, *s = self.string;
    size_t from, to, at = SIZE_MAX;
    bool any;
    EM__TRY(em__j_want_string(run, "find()", arg[0], &part));
    EM__TRY(search_range(run, s, arg + 1, &from, &to, &any));
    *found = -1;
    if (!any || part->length > to - from)
        return EM_OK;
    if (last)
        EM__TRY(last_work(run, s, part));
    if (part->length == 0)
        at = last ? to : from;
    else if (last)
        at = em__j_find_last(s->bytes, to, part->bytes, part->length);
    else
        at = em__j_find_bytes(s->bytes, to, from, part->bytes, part->length);
    if (at != SIZE_MAX && at >= from)
        *found = (int64_t)em__j_count_chars(s->bytes, at);
    return EM_OK;
}

static em_status find(em__jrun *run, em__jvalue self, const em__jvalue *arg, bool last, bool must, em__jvalue *out)
{
    int64_t found;
    EM__TRY(search(run, self, arg, last, &found));
    if (must && found < 0)
        return em__j_fail(run, "substring not found");
    *out = em__j_int(found);
    return EM_OK;
}

METHOD(str_find)
{
    (void)all;
    return find(run, self, arg, false, false, out);
}

METHOD(str_rfind)
{
    (void)all;
    return find(run, self, arg, true, false, out);
}

METHOD(str_index)
{
    (void)all;
    return find(run, self, arg, false, true, out);
}

METHOD(str_rindex)
{
    (void)all;
    return find(run, self, arg, true, true, out);
}

METHOD(str_count)
{
    const em__jstring *part, *s = self.string;
    size_t from, to;
    int64_t count = 0;
    bool any;
    (void)all;
    EM__TRY(em__j_want_string(run, "count()", arg[0], &part));
    EM__TRY(search_range(run, s, arg + 1, &from, &to, &any));
    if (any && part->length == 0)
        count = (int64_t)em__j_count_chars(s->bytes + from, to - from) + 1;
    while (any && part->length) {
        size_t at = em__j_find_bytes(s->bytes, to, from, part->bytes, part->length);
        if (at == SIZE_MAX)
            break;
        EM__TRY(em__j_work(run, EM__J_STEP));
        count++;
        from = at + part->length;
    }
    *out = em__j_int(count);
    return EM_OK;
}

/* The pieces of a split, as they come. */
typedef struct pieces {
    em__jtext values;
    size_t count;
} pieces;

static em_status add_piece(em__jrun *run, pieces *p, const em__jstring *s, size_t start, size_t end)
{
    em__jvalue part;
    EM__TRY(em__j_part(run, s, start, end, &part));
    p->count++;
    return em__j_add(run, &p->values, (const char *)&part, sizeof part);
}

static em_status finish(em__jrun *run, const pieces *p, bool reverse, em__jvalue *out)
{
    em__jvalue *items = (em__jvalue *)(void *)p->values.data;
    for (size_t i = 0; reverse && i < p->count / 2; i++) {
        em__jvalue swapped = items[i];
        items[i] = items[p->count - 1 - i];
        items[p->count - 1 - i] = swapped;
    }
    return em__j_list(run, J_LIST, items, p->count, out);
}

static size_t char_before(const em__jstring *s, size_t at)
{
    do
        at--;
    while (at > 0 && em__j_is_tail(s->bytes[at]));
    return at;
}

static em_status split_space(em__jrun *run, const em__jstring *s, int64_t most, pieces *p)
{
    size_t at = em__j_space_start(s->bytes, s->length);
    while (at < s->length) {
        if (most-- == 0)
            return add_piece(run, p, s, at, s->length);
        size_t end = at;
        while (end < s->length && !em__j_is_space(em__j_char_at(s->bytes + end)))
            end += em__j_char_length(s->bytes[end]);
        EM__TRY(add_piece(run, p, s, at, end));
        at = end + em__j_space_start(s->bytes + end, s->length - end);
    }
    return EM_OK;
}

static em_status rsplit_space(em__jrun *run, const em__jstring *s, int64_t most, pieces *p)
{
    size_t end = em__j_space_end(s->bytes, s->length);
    while (end > 0) {
        if (most-- == 0)
            return add_piece(run, p, s, 0, end);
        size_t start = end;
        while (start > 0 && !em__j_is_space(em__j_char_at(s->bytes + char_before(s, start))))
            start = char_before(s, start);
        EM__TRY(add_piece(run, p, s, start, end));
        end = em__j_space_end(s->bytes, start);
    }
    return EM_OK;
}

static em_status split_text(em__jrun *run, const em__jstring *s, const em__jstring *by, int64_t most, bool right,
                            pieces *p)
{
    size_t start = 0, end = s->length;
    for (; most != 0; most--) {
        size_t at = right ? em__j_find_last(s->bytes, end, by->bytes, by->length)
                          : em__j_find_bytes(s->bytes, s->length, start, by->bytes, by->length);
        if (at == SIZE_MAX)
            break;
        EM__TRY(right ? add_piece(run, p, s, at + by->length, end) : add_piece(run, p, s, start, at));
        start = right ? 0 : at + by->length;
        end = right ? at : s->length;
    }
    return add_piece(run, p, s, start, end);
}

static em_status split(em__jrun *run, em__jvalue self, const em__jvalue *arg, bool right, em__jvalue *out)
{
    const em__jstring *s = self.string, *by;
    pieces p = {0};
    int64_t most = -1;
    if (em__j_given(arg[1]))
        EM__TRY(em__j_want_int(run, "maxsplit", arg[1], &most));
    EM__TRY(em__j_work(run, s->length));
    if (!em__j_given(arg[0]) || arg[0].kind == J_NONE) {
        EM__TRY(right ? rsplit_space(run, s, most, &p) : split_space(run, s, most, &p));
        return finish(run, &p, right, out);
    }
    EM__TRY(em__j_want_string(run, "split()", arg[0], &by));
    if (by->length == 0)
        return em__j_fail(run, "split(): empty separator");
    EM__TRY(last_work(run, s, by));
    EM__TRY(split_text(run, s, by, most, right, &p));
    return finish(run, &p, right, out);
}

METHOD(str_split)
{
    (void)all;
    return split(run, self, arg, false, out);
}

METHOD(str_rsplit)
{
    (void)all;
    return split(run, self, arg, true, out);
}

static em_status partition(em__jrun *run, em__jvalue self, em__jvalue by, bool right, em__jvalue *out)
{
    const em__jstring *part, *s = self.string;
    pieces p = {0};
    EM__TRY(em__j_want_string(run, "partition()", by, &part));
    if (part->length == 0)
        return em__j_fail(run, "partition(): empty separator");
    EM__TRY(last_work(run, s, part));
    size_t at = right ? em__j_find_last(s->bytes, s->length, part->bytes, part->length)
                      : em__j_find_bytes(s->bytes, s->length, 0, part->bytes, part->length);
    size_t end = at == SIZE_MAX ? (right ? 0 : s->length) : at;
    size_t next = at == SIZE_MAX ? end : at + part->length;
    EM__TRY(add_piece(run, &p, s, 0, end));
    EM__TRY(add_piece(run, &p, s, end, next));
    EM__TRY(add_piece(run, &p, s, next, s->length));
    EM__TRY(finish(run, &p, false, out));
    out->kind = J_TUPLE;
    return EM_OK;
}

METHOD(str_partition)
{
    (void)all;
    return partition(run, self, arg[0], false, out);
}

METHOD(str_rpartition)
{
    (void)all;
    return partition(run, self, arg[0], true, out);
}

static bool is_line_end(uint32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

em_status em__j_split_lines(em__jrun *run, const em__jstring *s, bool keep_ends, em__jvalue *out)
{
    pieces p = {0};
    size_t start = 0;
    EM__TRY(em__j_work(run, s->length));
    for (size_t at = 0; at < s->length;) {
        uint32_t c = em__j_char_at(s->bytes + at);
        size_t end = at, next = at + em__j_char_length(s->bytes[at]);
        at = next;
        if (!is_line_end(c))
            continue;
        if (c == '\r' && at < s->length && s->bytes[at] == '\n')
            next = ++at;
        EM__TRY(add_piece(run, &p, s, start, keep_ends ? next : end));
        start = next;
    }
    if (start < s->length)
        EM__TRY(add_piece(run, &p, s, start, s->length));
    return finish(run, &p, false, out);
}

METHOD(list_index)
{
    (void)all;
    for (size_t i = 0; i < self.list->length; i++) {
        bool equal;
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(em__j_equal(run, self.list->items[i], arg[0], &equal));
        if (equal) {
            *out = em__j_int((int64_t)i);
            return EM_OK;
        }
    }
    return em__j_fail(run, "the value is not in the list");
}

METHOD(list_count)
{
    int64_t count = 0;
    (void)all;
    for (size_t i = 0; i < self.list->length; i++) {
        bool equal;
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(em__j_equal(run, self.list->items[i], arg[0], &equal));
        count += equal;
    }
    *out = em__j_int(count);
    return EM_OK;
}

METHOD(same)
{
    (void)run, (void)arg, (void)all;
    *out = self;
    return EM_OK;
}

static em_status view(em__jrun *run, em__jvalue self, em__jview_kind kind, em__jvalue *out)
{
    em__jview *v = em__j_alloc(run, 1, sizeof *v);
    if (!v)
        return em_last_status();
    *v = (em__jview){self.dict, kind};
    *out = (em__jvalue){.kind = J_VIEW, .view = v};
    return EM_OK;
}

METHOD(dict_keys)
{
    (void)arg, (void)all;
    return view(run, self, J_KEYS, out);
}

METHOD(dict_values)
{
    (void)arg, (void)all;
    return view(run, self, J_VALUES, out);
}

METHOD(dict_items)
{
    (void)arg, (void)all;
    return view(run, self, J_ITEMS, out);
}

METHOD(dict_get)
{
    (void)all;
    if (!em__j_is_hashable(arg[0]))
        return em__j_fail(run, "unhashable type: '%s'", em__j_type(arg[0]));
    const em__jvalue *value = em__j_dict_get(run, self.dict, arg[0]);
    *out = value ? *value : em__j_given(arg[1]) ? arg[1] : em__j_none();
    return EM_OK;
}

static const em__jbuiltin search_methods[] = {
    {"find", "sub|start end", str_find},     {"rfind", "sub|start end", str_rfind},
    {"index", "sub|start end", str_index},   {"rindex", "sub|start end", str_rindex},
    {"count", "sub|start end", str_count},   {"split", "|sep maxsplit", str_split},
    {"rsplit", "|sep maxsplit", str_rsplit}, {"partition", "sep", str_partition},
    {"rpartition", "sep", str_rpartition},   {NULL, NULL, NULL},
};

static const em__jbuiltin list_methods[] = {
    {"index", "value", list_index},
    {"count", "value", list_count},
    {"copy", "", same},
    {NULL, NULL, NULL},
};

static const em__jbuiltin dict_methods[] = {
    {"keys", "", dict_keys},          {"values", "", dict_values}, {"items", "", dict_items},
    {"get", "key|default", dict_get}, {"copy", "", same},          {NULL, NULL, NULL},
};

const em__jbuiltin *em__j_find(const em__jbuiltin *table, const char *name, size_t length)
{
    for (; table->name; table++)
        if (em__j_same(table->name, strlen(table->name), name, length))
            return table;
    return NULL;
}

const em__jbuiltin *em__j_method(em__jvalue self, const char *name, size_t length)
{
    const em__jbuiltin *found = NULL;
    switch (self.kind) {
    case J_STRING:
        found = em__j_find(search_methods, name, length);
        return found ? found : em__j_find(em__j_string_methods, name, length);
    case J_LIST: return em__j_find(list_methods, name, length);
    case J_TUPLE:
        found = em__j_find(list_methods, name, length);
        return found && strcmp(found->name, "copy") != 0 ? found : NULL;
    case J_DICT: return em__j_find(dict_methods, name, length);
    case J_LOOP: return em__j_find(em__j_loop_methods, name, length);
    default: return NULL;
    }
}
