/*
 * Memory accounting. One accounted, caching allocator serves arrays; its figures and limits are here.
 */
#ifndef EMILY_MEMORY_H
#define EMILY_MEMORY_H

#include <stddef.h>

#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_memory_stats {
    size_t struct_size; /* sizeof(em_memory_stats), set by the caller */
    size_t active;      /* bytes in use by arrays, packed weights and program arenas */
    size_t peak;        /* the most that `active` has been since the last reset */
    size_t cached;      /* bytes kept for reuse, not in use */
    size_t limit;       /* hard limit on active + cached; SIZE_MAX when there is none */
    size_t allocations; /* blocks handed out since the process began, reused ones included */
} em_memory_stats;

/* Fills as much of `stats` as its struct_size says. EM_ERROR_INVALID_ARGUMENT for NULL, or a struct_size that is none.
 * Any thread. */
EM_API em_status em_memory_get_stats(em_memory_stats *stats);

/* Sets the hard limit in bytes, SIZE_MAX for none. A request that would pass it first gives the cache back, then fails
 * with EM_ERROR_OUT_OF_MEMORY; what is already allocated stays. Any thread. */
EM_API void em_memory_set_limit(size_t bytes);

/* Gives all cached blocks back to the system. Returns the bytes given back. Any thread. */
EM_API size_t em_memory_trim(void);

/* Makes `peak` equal to `active`. Any thread. */
EM_API void em_memory_reset_peak(void);

#ifdef __cplusplus
}
#endif
#endif
