/* JSON to the values of a template. Strings are borrowed from the document, which outlives the render. */
#include <string.h>

#include "template/template.h"
#include "template/text.h"

static em_status from_json(em__jrun *run, json_t *json, em__jvalue *out);

static em_status from_array(em__jrun *run, json_t *json, em__jvalue *out)
{
    size_t count = json_array_size(json);
    em__jvalue *items = em__j_alloc(run, count, sizeof *items);
    if (!items)
        return em_last_status();
    for (size_t i = 0; i < count; i++)
        EM__TRY(from_json(run, json_array_get(json, i), &items[i]));
    return em__j_list(run, J_LIST, items, count, out);
}

/* The keys of a document's object are unique, so the pairs are written as they come. */
static em_status from_object(em__jrun *run, json_t *json, em__jvalue *out)
{
    const char *key;
    json_t *member;
    size_t count = json_object_size(json);
    EM__TRY(em__j_dict_new(run, out));
    em__jpair *pairs = em__j_alloc(run, count, sizeof *pairs), *pair = pairs;
    if (!pairs)
        return em_last_status();
    json_object_foreach(json, key, member)
    {
        EM__TRY(em__j_borrow(run, key, strlen(key), &pair->key));
        EM__TRY(from_json(run, member, &pair->value));
        pair++;
    }
    *out->dict = (em__jdict){pairs, count, count};
    return EM_OK;
}

static em_status from_json(em__jrun *run, json_t *json, em__jvalue *out)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT: return from_object(run, json, out);
    case JSON_ARRAY: return from_array(run, json, out);
    case JSON_STRING: return em__j_borrow(run, json_string_value(json), json_string_length(json), out);
    case JSON_INTEGER: *out = em__j_int(json_integer_value(json)); return EM_OK;
    case JSON_REAL: *out = em__j_float(json_real_value(json)); return EM_OK;
    case JSON_NULL: *out = em__j_none(); return EM_OK;
    default: *out = em__j_bool(json_is_true(json)); return EM_OK;
    }
}

em_status em__j_from_json(em__jrun *run, json_t *json, em__jvalue *out)
{
    return from_json(run, json, out);
}
