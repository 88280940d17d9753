/* Opening libraries of the CUDA toolkit: see library.h. */
#include "device/cuda/library.h"

#include <dlfcn.h>
#include <stdio.h>

/* Where the loader looks, then where the toolkit is installed by default. */
static void *open_library(const char *soname)
{
    char path[256];
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (library)
        return library;
    snprintf(path, sizeof path, "/usr/local/cuda/lib64/%s", soname);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

extern "C" bool em__cuda_library(const char *soname, const em__cuda_symbol *symbols, size_t n)
{
    void *library = open_library(soname);
    bool found = library != NULL;
    for (size_t i = 0; i < n && found; i++)
        found = (*symbols[i].to = dlsym(library, symbols[i].name)) != NULL;
    if (found)
        return true;
    for (size_t i = 0; i < n; i++)
        *symbols[i].to = NULL;
    if (library)
        dlclose(library);
    return false;
}
