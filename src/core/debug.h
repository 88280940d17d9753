/* Which checks are on: EMILY_DEBUG, or em_debug_set. */
#ifndef EM_CORE_DEBUG_H
#define EM_CORE_DEBUG_H

#include <stdatomic.h>

#include <emily/log.h>

extern atomic_int em__debug; /* em_debug flags; -1: EMILY_DEBUG was not read yet */

unsigned em__debug_read(void); /* reads it once */

static inline unsigned em__debug_flags(void)
{
    int flags = atomic_load_explicit(&em__debug, memory_order_relaxed);
    return flags >= 0 ? (unsigned)flags : em__debug_read();
}

#endif
