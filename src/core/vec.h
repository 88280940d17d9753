/*
 * em__vec_push(vec, value): amortised growth for `struct { T *data; size_t length, capacity; }`. Evaluates to an
 * em_status. The element type is the pointer's own, so no variant is generated.
 */
#ifndef EM_CORE_VEC_H
#define EM_CORE_VEC_H

#include <stddef.h>

#include <emily/status.h>

#include "core/alloc.h"

#define EM__VEC(T)                                                                                                     \
    struct {                                                                                                           \
        T *data;                                                                                                       \
        size_t length, capacity;                                                                                       \
    }

/* Makes room for `count` more elements of `size` bytes. `data` points to the vector's T * member. */
em_status em__vec_grow(void *data, size_t length, size_t *capacity, size_t count, size_t size);

#define em__vec_reserve(vec, count)                                                                                    \
    em__vec_grow(&(vec)->data, (vec)->length, &(vec)->capacity, count, sizeof *(vec)->data)

#define em__vec_push(vec, value)                                                                                       \
    (em__vec_reserve(vec, 1) == EM_OK ? ((vec)->data[(vec)->length++] = (value), EM_OK) : EM_ERROR_OUT_OF_MEMORY)

#define em__vec_free(vec) (em__free((vec)->data), (vec)->data = NULL, (vec)->length = (vec)->capacity = 0)

#endif
