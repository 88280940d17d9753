/*
 * Attributes, items and slices. A template's x.name finds Python's attribute first and then the item; x["name"] the
 * item first. Names that could lead out of the sandbox, __class__ and its like, are errors, and so is the use of a
 * method that would change a list or dict.
 */
#include <string.h>

#include "core/alloc.h"
#include "template/loop.h"
#include "template/run.h"
#include "template/text.h"

static bool is_one_of(const em__jstring *name, const char *const *names)
{
    for (; *names; names++)
        if (em__j_is(name, *names))
            return true;
    return false;
}

static bool changes(em__jvalue object, const em__jstring *name)
{
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const of_list[] = {"append", "clear",  "pop",    "reverse", "insert",
                                          "sort",   "extend", "remove", NULL};
    return (object.kind == J_DICT && is_one_of(name, of_dict)) || (object.kind == J_LIST && is_one_of(name, of_list));
}

static em_status unsafe(em__jrun *run, em__jvalue object, const em__jstring *name, em__jvalue *out)
{
    char *hint = em__format("access to attribute '%.*s' of '%s' object is unsafe", (int)name->length, name->bytes,
                            em__j_type(object));
    em__jvalue copy;
    em_status status = hint ? em__j_copy(run, hint, strlen(hint) + 1, &copy) : EM_ERROR_OUT_OF_MEMORY;
    em__free(hint);
    return status == EM_OK ? em__j_undefined(run, copy.string->bytes, name, &object, out) : status;
}

/* Attributes that are values, not methods. */
static em_status get_property(em__jrun *run, em__jvalue object, const em__jstring *name, em__jvalue *out, bool *found)
{
    *found = true;
    if (object.kind == J_LOOP)
        return em__j_loop_attribute(run, object.loop, name, out, found);
    if (object.kind == J_NAMESPACE) {
        const em__jvalue *value = em__j_dict_text(object.dict, name->bytes, name->length);
        *found = value != NULL;
        if (value)
            *out = *value;
        return EM_OK;
    }
    if (object.kind == J_TUPLE && object.list->group && (em__j_is(name, "grouper") || em__j_is(name, "list"))) {
        *out = object.list->items[em__j_is(name, "list")];
        return EM_OK;
    }
    *found = false;
    return EM_OK;
}

static em_status get_attribute(em__jrun *run, em__jvalue object, const em__jstring *name, em__jvalue *out, bool *found)
{
    EM__TRY(get_property(run, object, name, out, found));
    if (*found)
        return EM_OK;
    const em__jbuiltin *function = em__j_method(object, name->bytes, name->length);
    *found = function != NULL;
    if (!function) {
        *found = changes(object, name);
        return *found ? unsafe(run, object, name, out) : EM_OK;
    }
    em__jmethod *method = em__j_alloc(run, 1, sizeof *method);
    if (!method)
        return em_last_status();
    *method = (em__jmethod){object, function};
    *out = (em__jvalue){.kind = J_METHOD, .method = method};
    return EM_OK;
}

/* The item, found or not; only undefined objects fail. */
static em_status get_item(em__jrun *run, em__jvalue object, em__jvalue key, em__jvalue *out, bool *found)
{
    *found = false;
    if (object.kind == J_DICT) {
        const em__jvalue *value = em__j_dict_get(run, object.dict, key);
        *found = value != NULL;
        if (value)
            *out = *value;
        return EM_OK;
    }
    bool sequence = object.kind >= J_STRING && object.kind <= J_RANGE;
    if (!sequence || !em__j_is_int(key))
        return EM_OK;
    size_t length;
    EM__TRY(em__j_length(run, object, &length));
    int64_t index = em__j_as_int(key);
    if (index < 0)
        index += (int64_t)length;
    *found = index >= 0 && index < (int64_t)length;
    return *found ? em__j_at(run, object, (size_t)index, out) : EM_OK;
}

static em_status check_name(em__jrun *run, em__jvalue object, const em__jstring *name)
{
    if (name->length < 2 || memcmp(name->bytes, "__", 2) != 0)
        return EM_OK;
    if (object.kind == J_DICT && em__j_dict_text(object.dict, name->bytes, name->length))
        return EM_OK;
    return em__j_fail(run, "access to attribute '%.*s' of '%s' object is unsafe",
                      name->length > 100 ? 100 : (int)name->length, name->bytes, em__j_type(object));
}

em_status em__j_getattr(em__jrun *run, em__jvalue object, const em__jstring *name, em__jvalue *out)
{
    bool found;
    if (object.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, object);
    EM__TRY(check_name(run, object, name));
    EM__TRY(get_attribute(run, object, name, out, &found));
    if (!found && object.kind == J_DICT)
        EM__TRY(get_item(run, object, em__j_of_string(name), out, &found));
    return found ? EM_OK : em__j_undefined(run, NULL, name, &object, out);
}

em_status em__j_getitem(em__jrun *run, em__jvalue object, em__jvalue key, em__jvalue *out)
{
    bool found;
    if (object.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, object);
    EM__TRY(get_item(run, object, key, out, &found));
    if (!found && key.kind == J_STRING) {
        EM__TRY(check_name(run, object, key.string));
        EM__TRY(get_attribute(run, object, key.string, out, &found));
    }
    if (found)
        return EM_OK;
    em__jvalue name;
    EM__TRY(em__j_str(run, key, &name));
    return em__j_undefined(run, NULL, name.string, &object, out);
}

/* One bound of a slice over `length` items, moved into 0 .. length (or -1 .. length - 1 going down). */
static em_status clamp(em__jrun *run, em__jvalue bound, int64_t length, bool down, int64_t absent, int64_t *out)
{
    if (bound.kind == J_NONE) {
        *out = absent;
        return EM_OK;
    }
    if (!em__j_is_int(bound))
        return em__j_fail(run, "slice indices must be integers or None, not %s", em__j_type(bound));
    int64_t at = em__j_as_int(bound), least = down ? -1 : 0, most = down ? length - 1 : length;
    if (at < 0)
        at = at < -length ? least : at + length;
    *out = at > most ? most : at;
    return EM_OK;
}

static em_status slice_string(em__jrun *run, const em__jstring *s, int64_t start, int64_t step, size_t count,
                              em__jvalue *out)
{
    bool ascii = s->chars == s->length;
    EM__TRY(em__j_work(run, s->length));
    if (step == 1 || count <= 1) {
        size_t from = ascii ? (size_t)start : em__j_char_offset(s->bytes, s->length, (size_t)start);
        size_t length = ascii ? count : em__j_char_offset(s->bytes + from, s->length - from, count);
        return em__j_part(run, s, count ? from : 0, count ? from + length : 0, out);
    }
    em__jtext text = {0};
    size_t *offsets = em__j_alloc(run, s->chars, sizeof *offsets), at = 0;
    if (!offsets)
        return em_last_status();
    for (size_t i = 0; i < s->chars; i++, at += em__j_char_length(s->bytes[at]))
        offsets[i] = at;
    for (size_t i = 0; i < count; i++) {
        at = offsets[start + (int64_t)i * step];
        EM__TRY(em__j_add(run, &text, s->bytes + at, em__j_char_length(s->bytes[at])));
    }
    return em__j_text_value(run, &text, out);
}

static em_status slice_range(em__jrun *run, const em__jrange *r, int64_t start, int64_t step, size_t count,
                             em__jvalue *out)
{
    em__jrange *part = em__j_alloc(run, 1, sizeof *part);
    if (!part)
        return em_last_status();
    int64_t moved = 0; /* only an empty part can begin, and only the stop behind the last item lie, out of range */
    *part = (em__jrange){.start = r->start, .step = r->step, .length = count};
    if (count > 0)
        part->start = r->start + start * r->step;
    if (__builtin_mul_overflow(r->step, step, &part->step))
        part->step = r->step; /* one item at most */
    bool far = __builtin_mul_overflow((int64_t)count, part->step, &moved);
    if (far || __builtin_add_overflow(part->start, moved, &part->stop))
        part->stop = part->step > 0 ? INT64_MAX : INT64_MIN;
    *out = (em__jvalue){.kind = J_RANGE, .range = part};
    return EM_OK;
}

static em_status slice_list(em__jrun *run, em__jvalue object, int64_t start, int64_t step, size_t count,
                            em__jvalue *out)
{
    const em__jvalue *from = object.list->items;
    if (step == 1)
        return em__j_list(run, object.kind, from + (count ? start : 0), count, out);
    em__jvalue *items = em__j_alloc(run, count, sizeof *items);
    if (!items)
        return em_last_status();
    EM__TRY(em__j_work(run, count));
    for (size_t i = 0; i < count; i++)
        items[i] = from[start + (int64_t)i * step];
    return em__j_list(run, object.kind, items, count, out);
}

em_status em__j_slice(em__jrun *run, em__jvalue object, const em__jvalue bounds[3], em__jvalue *out)
{
    int64_t start, stop, step = 1;
    size_t size, count = 0;
    if (object.kind == J_UNDEFINED)
        return em__j_fail_undefined(run, object);
    if (object.kind < J_STRING || object.kind > J_RANGE || object.kind == J_DICT)
        return em__j_fail(run, "'%s' object is not subscriptable", em__j_type(object));
    EM__TRY(em__j_length(run, object, &size));
    if (bounds[2].kind != J_NONE)
        EM__TRY(em__j_want_int(run, "slice", bounds[2], &step));
    if (step == 0)
        return em__j_fail(run, "slice step cannot be zero");
    int64_t length = (int64_t)size;
    step = step > length ? length + 1 : step < -length ? -length - 1 : step;
    EM__TRY(clamp(run, bounds[0], length, step < 0, step < 0 ? length - 1 : 0, &start));
    EM__TRY(clamp(run, bounds[1], length, step < 0, step < 0 ? -1 : length, &stop));
    if (step > 0 ? start < stop : start > stop)
        count = (size_t)(((step > 0 ? stop - start : start - stop) - 1) / (step > 0 ? step : -step)) + 1;
    if (object.kind == J_STRING)
        return slice_string(run, object.string, start, step, count, out);
    if (object.kind == J_RANGE)
        return slice_range(run, object.range, start, step, count, out);
    return slice_list(run, object, start, step, count, out);
}

/* The next part of a dotted path: a number, or a name. */
static em_status path_part(em__jrun *run, const em__jstring *path, size_t start, size_t end, em__jvalue *out)
{
    int64_t number = 0;
    bool digits = end > start && end - start < 18;
    for (size_t i = start; i < end && digits; i++) {
        digits = path->bytes[i] >= '0' && path->bytes[i] <= '9';
        number = number * 10 + (path->bytes[i] - '0');
    }
    if (digits) {
        *out = em__j_int(number);
        return EM_OK;
    }
    return em__j_part(run, path, start, end, out);
}

em_status em__j_path(em__jrun *run, em__jvalue object, em__jvalue attribute, em__jvalue *out)
{
    *out = object;
    if (attribute.kind == J_MISSING || attribute.kind == J_NONE)
        return EM_OK;
    if (attribute.kind != J_STRING)
        return em__j_getitem(run, object, attribute, out);
    const em__jstring *path = attribute.string;
    for (size_t start = 0; start <= path->length;) {
        const char *dot = memchr(path->bytes + start, '.', path->length - start);
        size_t end = dot ? (size_t)(dot - path->bytes) : path->length;
        em__jvalue part;
        EM__TRY(em__j_work(run, 4 * EM__J_STEP));
        EM__TRY(path_part(run, path, start, end, &part));
        EM__TRY(em__j_getitem(run, *out, part, out));
        start = end + 1;
    }
    return EM_OK;
}
