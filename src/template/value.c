/* Making values, and what Python's len, iter, bool, == and < say of them. */
#include "template/value.h"

#include <math.h>
#include <string.h>

#include "template/run.h"
#include "template/text.h"

static em_status make_string(em__jrun *run, const char *bytes, size_t length, size_t chars, em__jvalue *out)
{
    em__jstring *s = em__j_alloc(run, 1, sizeof *s);
    if (!s)
        return em_last_status();
    *s = (em__jstring){bytes, length, chars, false};
    *out = em__j_of_string(s);
    return EM_OK;
}

em_status em__j_borrow(em__jrun *run, const char *bytes, size_t length, em__jvalue *out)
{
    return make_string(run, bytes, length, em__j_count_chars(bytes, length), out);
}

em_status em__j_copy(em__jrun *run, const char *bytes, size_t length, em__jvalue *out)
{
    char *copy = em__j_alloc(run, length, 1);
    if (!copy)
        return em_last_status();
    memcpy(copy, bytes, length);
    return em__j_borrow(run, copy, length, out);
}

em_status em__j_copy_text(em__jrun *run, const char *text, em__jvalue *out)
{
    return em__j_copy(run, text, strlen(text), out);
}

bool em__j_is(const em__jstring *string, const char *text)
{
    return em__j_same(string->bytes, string->length, text, strlen(text));
}

em_status em__j_part(em__jrun *run, const em__jstring *s, size_t start, size_t end, em__jvalue *out)
{
    size_t length = end - start;
    size_t chars = s->chars == s->length ? length : em__j_count_chars(s->bytes + start, length);
    return make_string(run, s->bytes + start, length, chars, out);
}

em_status em__j_list(em__jrun *run, em__jkind kind, const em__jvalue *items, size_t length, em__jvalue *out)
{
    em__jlist *list = em__j_alloc(run, 1, sizeof *list);
    if (!list)
        return em_last_status();
    *list = (em__jlist){items, length, false};
    *out = (em__jvalue){.kind = kind, .list = list};
    return EM_OK;
}

em_status em__j_pair_tuple(em__jrun *run, em__jvalue a, em__jvalue b, em__jvalue *out)
{
    em__jvalue *items = em__j_alloc(run, 2, sizeof *items);
    if (!items)
        return em_last_status();
    items[0] = a;
    items[1] = b;
    return em__j_list(run, J_TUPLE, items, 2, out);
}

em_status em__j_iterator(em__jrun *run, const em__jvalue *items, size_t length, em__jvalue *out)
{
    em__jvalue list = {0};
    em__jiterator *iterator = em__j_alloc(run, 1, sizeof *iterator);
    if (!iterator)
        return em_last_status();
    EM__TRY(em__j_list(run, J_LIST, items, length, &list));
    *iterator = (em__jiterator){list.list, 0};
    *out = (em__jvalue){.kind = J_ITERATOR, .iterator = iterator};
    return EM_OK;
}

em_status em__j_undefined(em__jrun *run, const char *hint, const em__jstring *name, const em__jvalue *object,
                          em__jvalue *out)
{
    em__jundefined *why = em__j_alloc(run, 1, sizeof *why);
    if (!why)
        return em_last_status();
    *why = (em__jundefined){hint, name, object ? em__j_type(*object) : NULL};
    *out = (em__jvalue){.kind = J_UNDEFINED, .undefined = why};
    return EM_OK;
}

const char *em__j_type(em__jvalue v)
{
    static const char *const names[] = {[J_MISSING] = "missing",
                                        [J_UNDEFINED] = "Undefined",
                                        [J_NONE] = "NoneType",
                                        [J_BOOL] = "bool",
                                        [J_INT] = "int",
                                        [J_FLOAT] = "float",
                                        [J_STRING] = "str",
                                        [J_LIST] = "list",
                                        [J_TUPLE] = "tuple",
                                        [J_DICT] = "dict",
                                        [J_RANGE] = "range",
                                        [J_VIEW] = "dict view",
                                        [J_ITERATOR] = "generator",
                                        [J_NAMESPACE] = "Namespace",
                                        [J_MACRO] = "Macro",
                                        [J_FUNCTION] = "function",
                                        [J_METHOD] = "method",
                                        [J_LOOP] = "LoopContext"};
    return names[v.kind];
}

bool em__j_truth(em__jvalue v)
{
    switch (v.kind) {
    case J_MISSING:
    case J_UNDEFINED:
    case J_NONE: return false;
    case J_BOOL: return v.truth;
    case J_INT: return v.integer != 0;
    case J_FLOAT: return v.real != 0;
    case J_STRING: return v.string->length > 0;
    case J_LIST:
    case J_TUPLE: return v.list->length > 0;
    case J_DICT: return v.dict->length > 0;
    case J_RANGE: return v.range->length > 0;
    case J_VIEW: return v.view->dict->length > 0;
    default: return true;
    }
}

bool em__j_has_length(em__jvalue v)
{
    return v.kind == J_UNDEFINED || (v.kind >= J_STRING && v.kind <= J_VIEW) || v.kind == J_LOOP;
}

em_status em__j_length(em__jrun *run, em__jvalue v, size_t *length)
{
    switch (v.kind) {
    case J_UNDEFINED: *length = 0; return EM_OK;
    case J_STRING: *length = v.string->chars; return EM_OK;
    case J_LIST:
    case J_TUPLE: *length = v.list->length; return EM_OK;
    case J_DICT: *length = v.dict->length; return EM_OK;
    case J_RANGE: *length = v.range->length; return EM_OK;
    case J_VIEW: *length = v.view->dict->length; return EM_OK;
    default: return em__j_fail(run, "object of type '%s' has no len()", em__j_type(v));
    }
}

bool em__j_is_iterable(em__jvalue v)
{
    return v.kind == J_UNDEFINED || (v.kind >= J_STRING && v.kind <= J_ITERATOR);
}

em_status em__j_iter(em__jrun *run, em__jvalue v, em__jiter *iter)
{
    *iter = (em__jiter){v, 0};
    if (em__j_is_iterable(v))
        return EM_OK;
    return em__j_fail(run, "'%s' object is not iterable", em__j_type(v));
}

em_status em__j_at(em__jrun *run, em__jvalue v, size_t index, em__jvalue *out)
{
    const em__jstring *s;
    switch (v.kind) {
    case J_LIST:
    case J_TUPLE: *out = v.list->items[index]; return EM_OK;
    case J_RANGE: *out = em__j_int(v.range->start + (int64_t)index * v.range->step); return EM_OK;
    default: break;
    }
    s = v.string;
    size_t start = index;
    if (s->chars != s->length) {
        EM__TRY(em__j_work(run, index));
        start = em__j_char_offset(s->bytes, s->length, index);
    }
    return em__j_part(run, s, start, start + em__j_char_length(s->bytes[start]), out);
}

static em_status next_of_dict(em__jrun *run, const em__jdict *dict, em__jview_kind kind, size_t at, em__jvalue *item)
{
    const em__jpair *pair = &dict->pairs[at];
    if (kind == J_ITEMS)
        return em__j_pair_tuple(run, pair->key, pair->value, item);
    *item = kind == J_KEYS ? pair->key : pair->value;
    return EM_OK;
}

em_status em__j_next(em__jrun *run, em__jiter *iter, em__jvalue *item, bool *more)
{
    em__jvalue v = iter->source;
    size_t length = 0;
    if (v.kind == J_STRING) {
        const em__jstring *s = v.string;
        *more = iter->at < s->length;
        if (!*more)
            return EM_OK;
        size_t start = iter->at;
        iter->at += em__j_char_length(s->bytes[start]);
        return em__j_part(run, s, start, iter->at, item);
    }
    if (v.kind == J_ITERATOR) {
        *more = v.iterator->at < v.iterator->list->length;
        if (*more)
            *item = v.iterator->list->items[v.iterator->at++];
        return EM_OK;
    }
    EM__TRY(em__j_length(run, v, &length));
    *more = iter->at < length;
    if (!*more)
        return EM_OK;
    size_t at = iter->at++;
    if (v.kind == J_DICT)
        return next_of_dict(run, v.dict, J_KEYS, at, item);
    if (v.kind == J_VIEW)
        return next_of_dict(run, v.view->dict, v.view->kind, at, item);
    return em__j_at(run, v, at, item);
}

em_status em__j_items(em__jrun *run, em__jvalue v, const em__jvalue **items, size_t *length)
{
    em__jiter iter;
    bool more = true;
    size_t most = 0, count = 0;
    if (v.kind == J_LIST || v.kind == J_TUPLE) {
        *items = v.list->items;
        *length = v.list->length;
        return EM_OK;
    }
    EM__TRY(em__j_iter(run, v, &iter));
    if (v.kind == J_ITERATOR)
        most = v.iterator->list->length - v.iterator->at;
    else
        EM__TRY(em__j_length(run, v, &most));
    EM__TRY(em__j_work(run, most));
    em__jvalue *array = em__j_alloc(run, most, sizeof *array);
    if (!array)
        return em_last_status();
    while (count < most) {
        EM__TRY(em__j_next(run, &iter, &array[count], &more));
        if (!more)
            break;
        count++;
    }
    *items = array;
    *length = count;
    return EM_OK;
}

static em_status equal_lists(em__jrun *run, const em__jlist *a, const em__jlist *b, bool *equal)
{
    *equal = a->length == b->length;
    for (size_t i = 0; i < a->length && *equal; i++) {
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(em__j_equal(run, a->items[i], b->items[i], equal));
    }
    return EM_OK;
}

static em_status equal_dicts(em__jrun *run, const em__jdict *a, const em__jdict *b, bool *equal)
{
    *equal = a->length == b->length;
    for (size_t i = 0; i < a->length && *equal; i++) {
        const em__jvalue *other = em__j_dict_get(run, b, a->pairs[i].key);
        *equal = other != NULL;
        if (other)
            EM__TRY(em__j_equal(run, a->pairs[i].value, *other, equal));
    }
    return EM_OK;
}

static em_status equal_deep(em__jrun *run, em__jvalue a, em__jvalue b, bool *equal)
{
    switch (a.kind) {
    case J_LIST:
    case J_TUPLE: return equal_lists(run, a.list, b.list, equal);
    case J_DICT: return equal_dicts(run, a.dict, b.dict, equal);
    case J_STRING:
        *equal = em__j_same(a.string->bytes, a.string->length, b.string->bytes, b.string->length);
        return *equal ? em__j_work(run, a.string->length) : EM_OK;
    case J_RANGE:
        *equal = a.range->length == b.range->length &&
                 (a.range->length == 0 ||
                  (a.range->start == b.range->start && (a.range->length == 1 || a.range->step == b.range->step)));
        return EM_OK;
    case J_UNDEFINED:
    case J_NONE: *equal = true; return EM_OK;
    default: *equal = a.list == b.list; return EM_OK; /* the same object */
    }
}

em_status em__j_equal(em__jrun *run, em__jvalue a, em__jvalue b, bool *equal)
{
    if (em__j_is_number(a) && em__j_is_number(b)) {
        bool whole = em__j_is_int(a) && em__j_is_int(b);
        *equal = whole ? em__j_as_int(a) == em__j_as_int(b) : em__j_as_real(a) == em__j_as_real(b);
        return EM_OK;
    }
    *equal = false;
    if (a.kind != b.kind)
        return EM_OK;
    EM__TRY(em__j_enter(run));
    em_status status = equal_deep(run, a, b, equal);
    em__j_leave(run);
    return status;
}

static em_status less_lists(em__jrun *run, const em__jlist *a, const em__jlist *b, const char *symbol, bool *less)
{
    size_t most = a->length < b->length ? a->length : b->length;
    for (size_t i = 0; i < most; i++) {
        bool equal;
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(em__j_equal(run, a->items[i], b->items[i], &equal));
        if (!equal)
            return em__j_less(run, a->items[i], b->items[i], symbol, less);
    }
    *less = a->length < b->length;
    return EM_OK;
}

em_status em__j_less(em__jrun *run, em__jvalue a, em__jvalue b, const char *symbol, bool *less)
{
    if (a.kind == J_UNDEFINED || b.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, a.kind == J_UNDEFINED ? a : b);
    if (em__j_is_number(a) && em__j_is_number(b)) {
        bool whole = em__j_is_int(a) && em__j_is_int(b);
        *less = whole ? em__j_as_int(a) < em__j_as_int(b) : em__j_as_real(a) < em__j_as_real(b);
        return EM_OK;
    }
    if (a.kind == J_STRING && b.kind == J_STRING) {
        const em__jstring *x = a.string, *y = b.string;
        size_t most = x->length < y->length ? x->length : y->length;
        int order = memcmp(x->bytes, y->bytes, most);
        *less = order ? order < 0 : x->length < y->length;
        return em__j_work(run, most);
    }
    if (a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) {
        EM__TRY(em__j_enter(run));
        em_status status = less_lists(run, a.list, b.list, symbol, less);
        em__j_leave(run);
        return status;
    }
    return em__j_fail(run, "'%s' not supported between instances of '%s' and '%s'", symbol, em__j_type(a),
                      em__j_type(b));
}
