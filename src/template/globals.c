/* Functions that every template sees. */
#include <string.h>

#include "template/run.h"
#include "template/text.h"

enum { MOST_RANGE = 100000 };

#define GLOBAL(name)                                                                                                   \
    static em_status name(em__jrun *run, em__jvalue self, const em__jvalue *arg, const em__jargs *all, em__jvalue *out)

GLOBAL(global_range)
{
    int64_t start = 0, stop, step = 1, span;
    (void)self, (void)all;
    EM__TRY(em__j_want_int(run, "range()", arg[0], &stop));
    if (em__j_given(arg[1])) {
        start = stop;
        EM__TRY(em__j_want_int(run, "range()", arg[1], &stop));
    }
    if (em__j_given(arg[2]))
        EM__TRY(em__j_want_int(run, "range()", arg[2], &step));
    if (step == 0)
        return em__j_fail(run, "range() arg 3 must not be zero");
    if (__builtin_sub_overflow(step > 0 ? stop : start, step > 0 ? start : stop, &span) || step == INT64_MIN)
        return em__j_limit(run, "range() of more than %d items", MOST_RANGE);
    int64_t stride = step > 0 ? step : -step;
    int64_t length = span > 0 ? (span - 1) / stride + 1 : 0;
    if (length > MOST_RANGE)
        return em__j_limit(run, "range() of %lld items, at most %d", (long long)length, MOST_RANGE);
    em__jrange *range = em__j_alloc(run, 1, sizeof *range);
    if (!range)
        return em_last_status();
    *range = (em__jrange){start, stop, step, (size_t)length};
    *out = (em__jvalue){.kind = J_RANGE, .range = range};
    return EM_OK;
}

/* dict(mapping or pairs, name=value, ...) */
static em_status fill_dict(em__jrun *run, const em__jargs *all, em__jdict *dict)
{
    const em__jvalue *pairs, *pair;
    size_t length, two;
    em__jvalue source;
    if (all->count > 1)
        return em__j_fail(run, "dict expected at most 1 argument, got %zu", all->count);
    if (all->count == 1) {
        source = all->values[0];
        em__jview view = {source.dict, J_ITEMS};
        if (source.kind == J_DICT)
            source = (em__jvalue){.kind = J_VIEW, .view = &view};
        EM__TRY(em__j_items(run, source, &pairs, &length));
        for (size_t i = 0; i < length; i++) {
            EM__TRY(em__j_items(run, pairs[i], &pair, &two));
            if (two != 2)
                return em__j_fail(run, "dict: an item has length %zu; 2 is required", two);
            EM__TRY(em__j_work(run, EM__J_STEP));
            EM__TRY(em__j_dict_set(run, dict, pair[0], pair[1]));
        }
    }
    for (size_t i = 0; i < all->named; i++)
        EM__TRY(em__j_dict_set(run, dict, em__j_of_string(all->names[i]), all->values[all->count + i]));
    return EM_OK;
}

GLOBAL(global_dict)
{
    (void)self, (void)arg;
    EM__TRY(em__j_dict_new(run, out));
    return fill_dict(run, all, out->dict);
}

GLOBAL(global_namespace)
{
    (void)self, (void)arg;
    EM__TRY(em__j_dict_new(run, out));
    EM__TRY(fill_dict(run, all, out->dict));
    for (size_t i = 0; i < out->dict->length; i++) {
        em__jvalue key = out->dict->pairs[i].key;
        if (key.kind == J_STRING && key.string->length && key.string->bytes[0] == '_')
            return em__j_fail(run, "attributes of a namespace must not begin with '_'");
    }
    out->kind = J_NAMESPACE;
    return EM_OK;
}

GLOBAL(global_raise_exception)
{
    em__jvalue text;
    (void)self, (void)all, (void)out;
    EM__TRY(em__j_str(run, arg[0], &text));
    return em__j_fail(run, "%.*s", text.string->length > 500 ? 500 : (int)text.string->length, text.string->bytes);
}

GLOBAL(global_strftime_now)
{
    const em__jstring *format;
    (void)self, (void)all;
    EM__TRY(em__j_want_string(run, "strftime_now()", arg[0], &format));
    return em__j_strftime(run, format, out);
}

static const em__jbuiltin globals[] = {
    {"range", "start|stop step", global_range},      {"dict", NULL, global_dict},
    {"namespace", NULL, global_namespace},           {"raise_exception", "message", global_raise_exception},
    {"strftime_now", "format", global_strftime_now}, {NULL, NULL, NULL},
};

const em__jbuiltin *em__j_global(const char *name, size_t length)
{
    return em__j_find(globals, name, length);
}
