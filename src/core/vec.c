/* The one function behind every growing vector. */
#include "core/vec.h"

#include <string.h>

#include "core/error.h"

em_status em__vec_grow(void *data, size_t length, size_t *capacity, size_t count, size_t size)
{
    size_t needed, bytes;
    EM__FAIL_IF(em__add_overflows(length, count, &needed), EM_ERROR_OUT_OF_MEMORY, "out of memory: too many elements");
    if (needed <= *capacity)
        return EM_OK;
    size_t grown = *capacity + *capacity / 2 < 16 ? 16 : *capacity + *capacity / 2;
    if (grown < needed)
        grown = needed;
    EM__FAIL_IF(em__mul_overflows(grown, size, &bytes), EM_ERROR_OUT_OF_MEMORY, "out of memory: too many elements");
    void *old;
    memcpy(&old, data, sizeof old);
    void *fresh = em__realloc(old, bytes);
    if (!fresh)
        return EM_ERROR_OUT_OF_MEMORY;
    memcpy(data, &fresh, sizeof fresh);
    *capacity = grown;
    return EM_OK;
}
