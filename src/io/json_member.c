/* Required and optional members of objects: each is a look-up and one of the em__json_as_ functions. */
#include "io/json.h"

bool em__json_has(const em__json *object, const char *key)
{
    json_t *value = json_object_get(object->value, key);
    return value && !json_is_null(value);
}

em_status em__json_get_int(const em__json *object, const char *key, int64_t min, int64_t max, int64_t *value)
{
    em__json at = em__json_member(object, key);
    return em__json_as_int(&at, min, max, value);
}

em_status em__json_get_real(const em__json *object, const char *key, double min, double max, double *value)
{
    em__json at = em__json_member(object, key);
    return em__json_as_real(&at, min, max, value);
}

em_status em__json_get_bool(const em__json *object, const char *key, bool *value)
{
    em__json at = em__json_member(object, key);
    return em__json_as_bool(&at, value);
}

em_status em__json_get_string(const em__json *object, const char *key, const char **value)
{
    em__json at = em__json_member(object, key);
    return em__json_as_string(&at, value);
}

em_status em__json_get_object(const em__json *object, const char *key, em__json *member)
{
    *member = em__json_member(object, key);
    return em__json_as_object(member);
}

em_status em__json_get_array(const em__json *object, const char *key, em__json *member, size_t *size)
{
    *member = em__json_member(object, key);
    return em__json_as_array(member, size);
}

em_status em__json_opt_int(const em__json *object, const char *key, int64_t min, int64_t max, int64_t *value)
{
    return em__json_has(object, key) ? em__json_get_int(object, key, min, max, value) : EM_OK;
}

em_status em__json_opt_real(const em__json *object, const char *key, double min, double max, double *value)
{
    return em__json_has(object, key) ? em__json_get_real(object, key, min, max, value) : EM_OK;
}

em_status em__json_opt_bool(const em__json *object, const char *key, bool *value)
{
    return em__json_has(object, key) ? em__json_get_bool(object, key, value) : EM_OK;
}

em_status em__json_opt_string(const em__json *object, const char *key, const char **value)
{
    return em__json_has(object, key) ? em__json_get_string(object, key, value) : EM_OK;
}

em_status em__json_opt_object(const em__json *object, const char *key, em__json *member)
{
    *member = em__json_member(object, key);
    if (em__json_has(object, key))
        return em__json_as_object(member);
    member->value = NULL;
    return EM_OK;
}

em_status em__json_opt_array(const em__json *object, const char *key, em__json *member, size_t *size)
{
    *member = em__json_member(object, key);
    *size = 0;
    if (em__json_has(object, key))
        return em__json_as_array(member, size);
    member->value = NULL;
    return EM_OK;
}
