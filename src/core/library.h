/* Functions of libraries that are opened when they are first needed. */
#ifndef EM_CORE_LIBRARY_H
#define EM_CORE_LIBRARY_H

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

/* Sets *function, of any type of function, to the library's symbol; false, and NULL in it, where there is none. */
static inline bool em__library_find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

#endif
