/* Option structs of the public headers: a caller built against an older header gives a shorter one. */
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

#endif
