/* See debug.h. */
#include "core/debug.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

atomic_int em__debug = -1;

static int flag_of(const char *word, size_t length)
{
    static const char *const names[] = {"nan", "inf", "bounds"};
    for (int i = 0; i < 3; i++)
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0)
            return 1 << i;
    em__log(EM_LOG_WARN, "EMILY_DEBUG: \"%.*s\" is none of nan, inf, bounds", (int)length, word);
    return 0;
}

unsigned em__debug_read(void)
{
    int flags = 0, expected = -1;
    for (const char *at = getenv("EMILY_DEBUG"); at && *at;) {
        size_t length = strcspn(at, ",");
        flags |= length ? flag_of(at, length) : 0;
        at += length + (at[length] == ',');
    }
    return atomic_compare_exchange_strong(&em__debug, &expected, flags) ? (unsigned)flags : (unsigned)expected;
}

void em_debug_set(unsigned flags)
{
    atomic_store(&em__debug, (int)(flags & (EM_DEBUG_NAN | EM_DEBUG_INF | EM_DEBUG_BOUNDS)));
}
