/* Host memory, with the tests' countdown to a failing allocation. */
#include "core/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static atomic_ulong allocations;
static atomic_long fail_countdown; /* 0: off; n: the n-th allocation from now fails */
static atomic_int fail_sticky;

void em__alloc_fail_at(long n, int sticky)
{
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_countdown, n);
}

unsigned long em__alloc_count(void)
{
    return atomic_load_explicit(&allocations, memory_order_relaxed);
}

int em__alloc_should_fail(void)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0)
        return 0;
    long left = atomic_fetch_sub(&fail_countdown, 1);
    if (left > 1)
        return 0;
    atomic_store(&fail_countdown, left == 1 && atomic_load(&fail_sticky) ? 1 : 0);
    return left == 1;
}

static void *checked(void *ptr, size_t size)
{
    if (!ptr)
        em__fail(EM_ERROR_OUT_OF_MEMORY, "out of memory: %zu bytes were asked for", size);
    return ptr;
}

void *em__alloc(size_t size)
{
    return checked(em__alloc_should_fail() ? NULL : malloc(size ? size : 1), size);
}

void *em__calloc(size_t count, size_t size)
{
    size_t bytes;
    if (em__mul_overflows(count, size, &bytes))
        return checked(NULL, SIZE_MAX);
    return checked(em__alloc_should_fail() ? NULL : calloc(1, bytes ? bytes : 1), bytes);
}

void *em__realloc(void *ptr, size_t size)
{
    return checked(em__alloc_should_fail() ? NULL : realloc(ptr, size ? size : 1), size);
}

void em__free(void *ptr)
{
    free(ptr);
}

char *em__strndup(const char *text, size_t length)
{
    char *copy = em__alloc(length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *em__strdup(const char *text)
{
    return em__strndup(text, strlen(text));
}

char *em__format(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? checked(NULL, 0) : em__alloc((size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}
