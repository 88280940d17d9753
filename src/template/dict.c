/* Dicts: a few pairs in the order of insertion, looked through one after another. */
#include <string.h>

#include "template/run.h"
#include "template/text.h"

em_status em__j_dict_new(em__jrun *run, em__jvalue *out)
{
    em__jdict *dict = em__j_alloc(run, 1, sizeof *dict);
    if (!dict)
        return em_last_status();
    *dict = (em__jdict){0};
    *out = (em__jvalue){.kind = J_DICT, .dict = dict};
    return EM_OK;
}

bool em__j_is_hashable(em__jvalue key)
{
    if (key.kind != J_TUPLE)
        return key.kind != J_LIST && key.kind != J_DICT && key.kind != J_VIEW;
    for (size_t i = 0; i < key.list->length; i++) /* a tuple in a tuple in ... is as deep as the template wrote it */
        if (key.list->items[i].kind == J_TUPLE || !em__j_is_hashable(key.list->items[i]))
            return false;
    return true;
}

const em__jvalue *em__j_dict_text(const em__jdict *dict, const char *key, size_t length)
{
    for (size_t i = 0; i < dict->length; i++) {
        const em__jpair *pair = &dict->pairs[i];
        if (pair->key.kind == J_STRING && em__j_same(pair->key.string->bytes, pair->key.string->length, key, length))
            return &pair->value;
    }
    return NULL;
}

const em__jvalue *em__j_dict_get(em__jrun *run, const em__jdict *dict, em__jvalue key)
{
    run->work += 4 * dict->length; /* counted; whoever works next looks at the limit */
    if (key.kind == J_STRING)
        return em__j_dict_text(dict, key.string->bytes, key.string->length);
    bool equal;
    for (size_t i = 0; i < dict->length; i++)
        if (em__j_equal(run, dict->pairs[i].key, key, &equal) == EM_OK && equal)
            return &dict->pairs[i].value;
    return NULL;
}

em_status em__j_dict_set(em__jrun *run, em__jdict *dict, em__jvalue key, em__jvalue value)
{
    if (!em__j_is_hashable(key))
        return em__j_fail(run, "unhashable type: '%s'", em__j_type(key));
    em__jvalue *old = (em__jvalue *)em__j_dict_get(run, dict, key);
    if (old) {
        *old = value;
        return EM_OK;
    }
    if (dict->length == dict->capacity) {
        size_t capacity = dict->capacity ? dict->capacity * 2 : 4;
        em__jpair *pairs = em__j_alloc(run, capacity, sizeof *pairs);
        if (!pairs)
            return em_last_status();
        if (dict->length)
            memcpy(pairs, dict->pairs, dict->length * sizeof *pairs);
        dict->pairs = pairs;
        dict->capacity = capacity;
    }
    dict->pairs[dict->length++] = (em__jpair){key, value};
    return EM_OK;
}
