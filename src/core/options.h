/* Option and result structs of the public headers: a caller built against an older header gives a shorter one. */
#ifndef EM_CORE_OPTIONS_H
#define EM_CORE_OPTIONS_H

#include <string.h>

#include "core/error.h"

/* Copies `given` (NULL: nothing) over the zeroed `options` of `size` bytes. `what` names the struct in the message. */
static inline em_status em__options_copy(const void *given, void *options, size_t size, const char *what)
{
    size_t given_size = size;
    if (!given)
        return EM_OK;
    memcpy(&given_size, given, sizeof given_size);
    EM__FAIL_IF(given_size < sizeof given_size || given_size > size, EM_ERROR_INVALID_ARGUMENT,
                "%s: struct_size is %zu, expected sizeof(%s), here %zu", what, given_size, what, size);
    memcpy(options, given, given_size);
    return EM_OK;
}

/* What the caller says the size of `result` is, checked as above. */
static inline em_status em__result_check(const void *result, size_t size, const char *what)
{
    size_t given_size;
    memcpy(&given_size, result, sizeof given_size);
    EM__FAIL_IF(given_size < sizeof given_size || given_size > size, EM_ERROR_INVALID_ARGUMENT,
                "%s: struct_size is %zu; set it to sizeof(%s), here %zu, before the call", what, given_size, what,
                size);
    return EM_OK;
}

/* Copies as much of `made`, a struct of `size` bytes, as the caller's `result` has room for. */
static inline em_status em__result_give(const void *made, void *result, size_t size, const char *what)
{
    size_t given_size;
    em_status status = em__result_check(result, size, what);
    if (status != EM_OK)
        return status;
    memcpy(&given_size, result, sizeof given_size);
    memcpy((char *)result + sizeof given_size, (const char *)made + sizeof given_size, given_size - sizeof given_size);
    return EM_OK;
}

#endif
