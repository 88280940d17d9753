/* The names of core that the plugin's copies of stateless code call, led to the library that opened it. */
#include <stdarg.h>
#include <stdio.h>

#include "core/alloc.h"
#include "core/block.h"
#include "device/cuda/cuda.h"

em_status em__fail(em_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    em__cuda_host->fail(status, text);
    return status;
}

em_status em_last_status(void)
{
    return em__cuda_host->last_status();
}

void *em__block_alloc(size_t size)
{
    return em__cuda_host->block_alloc(size);
}

void em__block_free(void *block, size_t size)
{
    em__cuda_host->block_free(block, size);
}

void *em__alloc(size_t size)
{
    return em__cuda_host->calloc(1, size);
}

void *em__calloc(size_t count, size_t size)
{
    return em__cuda_host->calloc(count, size);
}

void em__free(void *block)
{
    em__cuda_host->free(block);
}
