/* Filters of sequences. What is lazy in jinja2 is made at once here; it still can be gone through only once. */
#include <string.h>

#include "template/run.h"
#include "template/text.h"

#define FILTER(name)                                                                                                   \
    static em_status name(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)

FILTER(filter_length)
{
    size_t length;
    (void)arg, (void)all;
    if (self.kind == J_LOOP) {
        static const em__jstring name = {"length", 6, 6, false};
        return em__j_getattr(run, self, &name, out);
    }
    EM__TRY(em__j_length(run, self, &length));
    *out = em__j_int((int64_t)length);
    return EM_OK;
}

FILTER(filter_list)
{
    const em__jvalue *items;
    size_t length;
    (void)arg, (void)all;
    EM__TRY(em__j_items(run, self, &items, &length));
    return em__j_list(run, J_LIST, items, length, out);
}

FILTER(filter_first)
{
    em__jiter iter;
    bool more;
    (void)arg, (void)all;
    EM__TRY(em__j_iter(run, self, &iter));
    EM__TRY(em__j_next(run, &iter, out, &more));
    return more ? EM_OK : em__j_undefined(run, "No first item, sequence was empty.", NULL, NULL, out);
}

FILTER(filter_last)
{
    const em__jvalue *items;
    size_t length;
    (void)arg, (void)all;
    if (self.kind == J_ITERATOR)
        return em__j_fail(run, "last: '%s' object is not reversible", em__j_type(self));
    EM__TRY(em__j_items(run, self, &items, &length));
    if (length == 0)
        return em__j_undefined(run, "No last item, sequence was empty.", NULL, NULL, out);
    *out = items[length - 1];
    return EM_OK;
}

em_status em__j_join(em__jrun *run, const em__jstring *separator, em__jvalue items, em__jvalue attribute, bool print,
                     em__jvalue *out)
{
    em__jtext text = {0};
    em__jiter iter;
    em__jvalue item;
    bool more;
    EM__TRY(em__j_iter(run, items, &iter));
    for (size_t i = 0;; i++) {
        EM__TRY(em__j_next(run, &iter, &item, &more));
        if (!more)
            return em__j_text_value(run, &text, out);
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(em__j_path(run, item, attribute, &item));
        if (!print && item.kind != J_STRING)
            return em__j_fail(run, "sequence item %zu: expected str instance, %s found", i, em__j_type(item));
        if (i)
            EM__TRY(em__j_add(run, &text, separator->bytes, separator->length));
        EM__TRY(em__j_print(run, &text, item));
    }
}

FILTER(filter_join)
{
    static const em__jstring empty = {"", 0, 0, false};
    em__jvalue separator = em__j_of_string(&empty);
    (void)all;
    if (em__j_given(arg[0]))
        EM__TRY(em__j_str(run, arg[0], &separator));
    return em__j_join(run, separator.string, self, arg[1], true, out);
}

FILTER(filter_reverse)
{
    const em__jvalue *items;
    size_t length;
    (void)arg, (void)all;
    if (self.kind == J_STRING) {
        em__jvalue bounds[3] = {em__j_none(), em__j_none(), em__j_int(-1)};
        return em__j_slice(run, self, bounds, out);
    }
    EM__TRY(em__j_items(run, self, &items, &length));
    em__jvalue *reversed = em__j_alloc(run, length, sizeof *reversed);
    if (!reversed)
        return em_last_status();
    for (size_t i = 0; i < length; i++)
        reversed[i] = items[length - 1 - i];
    if (self.kind == J_ITERATOR)
        return em__j_list(run, J_LIST, reversed, length, out);
    return em__j_iterator(run, reversed, length, out);
}

/* What is compared: the attribute, strings without their case unless told. */
static em_status make_key(em__jrun *run, em__jvalue item, em__jvalue attribute, bool exact, em__jvalue *key)
{
    EM__TRY(em__j_path(run, item, attribute, key));
    return key->kind == J_STRING && !exact ? em__j_change_case(run, key->string, J_LOWER, key) : EM_OK;
}

/* The attributes "a,b" as a list of keys. */
static em_status make_keys(em__jrun *run, em__jvalue item, em__jvalue attribute, bool exact, em__jvalue *key)
{
    em__jvalue part, keys[16];
    size_t count = 0;
    if (attribute.kind != J_STRING || !memchr(attribute.string->bytes, ',', attribute.string->length))
        return make_key(run, item, attribute, exact, key);
    const em__jstring *s = attribute.string;
    for (size_t start = 0; start <= s->length && count < 16;) {
        const char *comma = memchr(s->bytes + start, ',', s->length - start);
        size_t end = comma ? (size_t)(comma - s->bytes) : s->length;
        EM__TRY(em__j_part(run, s, start, end, &part));
        EM__TRY(make_key(run, item, part, exact, &keys[count++]));
        start = end + 1;
    }
    em__jvalue *items = em__j_alloc(run, count, sizeof *items);
    if (!items)
        return em_last_status();
    memcpy(items, keys, count * sizeof *items);
    return em__j_list(run, J_LIST, items, count, key);
}

/* A copy of the items, and their keys. */
static em_status copy_with_keys(em__jrun *run, em__jvalue self, em__jvalue attribute, bool exact, em__jvalue **items,
                                em__jvalue **keys, size_t *length)
{
    const em__jvalue *from;
    EM__TRY(em__j_items(run, self, &from, length));
    *items = em__j_alloc(run, *length, sizeof **items);
    *keys = em__j_alloc(run, *length, sizeof **keys);
    if (!*items || !*keys)
        return em_last_status();
    for (size_t i = 0; i < *length; i++) {
        (*items)[i] = from[i];
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(make_keys(run, from[i], attribute, exact, &(*keys)[i]));
    }
    return EM_OK;
}

/* Merges the sorted halves of [start, end) through `spare`, items and keys alike. */
static em_status merge(em__jrun *run, em__jvalue *lists[2], em__jvalue *spare[2], size_t start, size_t middle,
                       size_t end, bool reverse)
{
    size_t a = start, b = middle;
    for (size_t at = start; at < end; at++) {
        bool second = a == middle;
        if (a < middle && b < end) /* equal ones keep their order */
            EM__TRY(em__j_less(run, lists[1][reverse ? a : b], lists[1][reverse ? b : a], "<", &second));
        EM__TRY(em__j_work(run, EM__J_STEP));
        size_t from = second ? b++ : a++;
        spare[0][at] = lists[0][from];
        spare[1][at] = lists[1][from];
    }
    for (int i = 0; i < 2; i++)
        memcpy(lists[i] + start, spare[i] + start, (end - start) * sizeof *lists[i]);
    return EM_OK;
}

em_status em__j_sort(em__jrun *run, em__jvalue *items, em__jvalue *keys, size_t count, bool reverse)
{
    em__jvalue *lists[2] = {items, keys};
    em__jvalue *spare[2] = {em__j_alloc(run, count, sizeof **spare), em__j_alloc(run, count, sizeof **spare)};
    if (!spare[0] || !spare[1])
        return em_last_status();
    for (size_t width = 1; width < count; width *= 2)
        for (size_t start = 0; start + width < count; start += 2 * width) {
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            EM__TRY(merge(run, lists, spare, start, start + width, end, reverse));
        }
    return EM_OK;
}

FILTER(filter_sort)
{
    em__jvalue *items, *keys;
    size_t length;
    (void)all;
    EM__TRY(copy_with_keys(run, self, arg[2], em__j_truth(arg[1]), &items, &keys, &length));
    EM__TRY(em__j_sort(run, items, keys, length, em__j_truth(arg[0])));
    return em__j_list(run, J_LIST, items, length, out);
}

FILTER(filter_unique)
{
    em__jvalue *items, *keys, found;
    size_t length, kept = 0;
    (void)all;
    EM__TRY(copy_with_keys(run, self, arg[1], em__j_truth(arg[0]), &items, &keys, &length));
    EM__TRY(em__j_dict_new(run, &found));
    for (size_t i = 0; i < length; i++) {
        EM__TRY(em__j_work(run, EM__J_STEP));
        if (em__j_dict_get(run, found.dict, keys[i]))
            continue;
        EM__TRY(em__j_dict_set(run, found.dict, keys[i], em__j_none()));
        items[kept++] = items[i];
    }
    return em__j_iterator(run, items, kept, out);
}

static em_status extreme(em__jrun *run, em__jvalue self, const em__jvalue *arg, bool most, em__jvalue *out)
{
    em__jvalue *items, *keys;
    size_t length, best = 0;
    EM__TRY(copy_with_keys(run, self, arg[1], em__j_truth(arg[0]), &items, &keys, &length));
    if (length == 0)
        return em__j_undefined(run, "No aggregated item, sequence was empty.", NULL, NULL, out);
    for (size_t i = 1; i < length; i++) {
        bool better;
        EM__TRY(em__j_less(run, keys[most ? best : i], keys[most ? i : best], most ? ">" : "<", &better));
        best = better ? i : best;
    }
    *out = items[best];
    return EM_OK;
}

FILTER(filter_min)
{
    (void)all;
    return extreme(run, self, arg, false, out);
}

FILTER(filter_max)
{
    (void)all;
    return extreme(run, self, arg, true, out);
}

FILTER(filter_sum)
{
    em__jiter iter;
    em__jvalue item;
    bool more;
    (void)all;
    *out = em__j_given(arg[1]) ? arg[1] : em__j_int(0);
    if (out->kind == J_STRING)
        return em__j_fail(run, "sum: strings cannot be summed, join them");
    EM__TRY(em__j_iter(run, self, &iter));
    for (;;) {
        EM__TRY(em__j_next(run, &iter, &item, &more));
        if (!more)
            return EM_OK;
        EM__TRY(em__j_work(run, EM__J_STEP));
        EM__TRY(em__j_path(run, item, arg[0], &item));
        EM__TRY(em__j_binary(run, '+', *out, item, out));
    }
}

FILTER(filter_items)
{
    (void)arg, (void)all;
    const em__jvalue *items = NULL;
    size_t length = 0;
    if (self.kind == J_DICT) {
        em__jview view = {self.dict, J_ITEMS};
        EM__TRY(em__j_items(run, (em__jvalue){.kind = J_VIEW, .view = &view}, &items, &length));
    } else if (self.kind != J_UNDEFINED) {
        return em__j_fail(run, "items: can only get item pairs from a mapping, not '%s'", em__j_type(self));
    }
    return em__j_iterator(run, items, length, out);
}

FILTER(filter_dictsort)
{
    em__jvalue *items, *keys, pairs;
    size_t length;
    int64_t by = 0;
    (void)all;
    if (self.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, self);
    if (self.kind != J_DICT)
        return em__j_fail(run, "dictsort: '%s' object has no items", em__j_type(self));
    if (arg[1].kind == J_STRING)
        by = em__j_same(arg[1].string->bytes, arg[1].string->length, "value", 5)
                 ? 1
                 : em__j_same(arg[1].string->bytes, arg[1].string->length, "key", 3) - 1;
    if (by < 0)
        return em__j_fail(run, "dictsort: you can only sort by either \"key\" or \"value\"");
    em__jview view = {self.dict, J_ITEMS};
    pairs = (em__jvalue){.kind = J_VIEW, .view = &view};
    EM__TRY(copy_with_keys(run, pairs, em__j_int(by), em__j_truth(arg[0]), &items, &keys, &length));
    EM__TRY(em__j_sort(run, items, keys, length, em__j_truth(arg[2])));
    return em__j_list(run, J_LIST, items, length, out);
}

/* [(key, [items]), ...] of items in the order of their keys. */
FILTER(filter_groupby)
{
    em__jvalue *items, *keys, *groups, pair, list, name;
    size_t length, count = 0;
    (void)all;
    EM__TRY(copy_with_keys(run, self, arg[0], em__j_truth(arg[2]), &items, &keys, &length));
    for (size_t i = 0; i < length; i++)
        if (keys[i].kind == J_UNDEFINED && em__j_given(arg[1]))
            EM__TRY(make_key(run, arg[1], em__j_none(), em__j_truth(arg[2]), &keys[i]));
    EM__TRY(em__j_sort(run, items, keys, length, false));
    groups = em__j_alloc(run, length, sizeof *groups);
    if (!groups)
        return em_last_status();
    for (size_t start = 0, end; start < length; start = end) {
        bool equal = true;
        for (end = start + 1; end < length; end++) {
            EM__TRY(em__j_equal(run, keys[start], keys[end], &equal));
            if (!equal)
                break;
        }
        EM__TRY(em__j_path(run, items[start], arg[0], &name));
        if (name.kind == J_UNDEFINED && em__j_given(arg[1]))
            name = arg[1];
        EM__TRY(em__j_list(run, J_LIST, items + start, end - start, &list));
        EM__TRY(em__j_pair_tuple(run, name, list, &pair));
        ((em__jlist *)pair.list)->group = true;
        groups[count++] = pair;
    }
    return em__j_list(run, J_LIST, groups, count, out);
}

const em__jbuiltin em__j_sequence_filters[] = {
    {"length", "", filter_length},
    {"count", "", filter_length},
    {"list", "", filter_list},
    {"first", "", filter_first},
    {"last", "", filter_last},
    {"join", "|d attribute", filter_join},
    {"reverse", "", filter_reverse},
    {"sort", "|reverse case_sensitive attribute", filter_sort},
    {"unique", "|case_sensitive attribute", filter_unique},
    {"min", "|case_sensitive attribute", filter_min},
    {"max", "|case_sensitive attribute", filter_max},
    {"sum", "|attribute start", filter_sum},
    {"items", "", filter_items},
    {"dictsort", "|case_sensitive by reverse", filter_dictsort},
    {"groupby", "attribute|default case_sensitive", filter_groupby},
    {"map", NULL, em__j_filter_map},
    {"select", NULL, em__j_filter_select},
    {"reject", NULL, em__j_filter_reject},
    {"selectattr", NULL, em__j_filter_selectattr},
    {"rejectattr", NULL, em__j_filter_rejectattr},
    {NULL, NULL, NULL},
};
