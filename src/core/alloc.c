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
static atomic_long live;
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

long em__alloc_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

int em__alloc_should_fail(void)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0)
        return 0;
    /* Stepped by compare and exchange: two threads must not both pass the failing one. */
    long left = atomic_load(&fail_countdown), next;
    do {
        if (left == 0)
            return 0;
        next = left > 1 ? left - 1 : atomic_load(&fail_sticky) ? 1 : 0;
    } while (!atomic_compare_exchange_weak(&fail_countdown, &left, next));
    return left == 1;
}

static void *out_of_memory(size_t size)
{
    em__fail(EM_ERROR_OUT_OF_MEMORY, "out of memory: %zu bytes were asked for", size);
    return NULL;
}

/* Counts a fresh allocation, or records its failure. */
static void *counted(void *ptr, size_t size)
{
    if (!ptr)
        return out_of_memory(size);
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return ptr;
}

void *em__alloc(size_t size)
{
    return counted(em__alloc_should_fail() ? NULL : malloc(size ? size : 1), size);
}

void *em__calloc(size_t count, size_t size)
{
    size_t bytes;
    if (em__mul_overflows(count, size, &bytes))
        return out_of_memory(SIZE_MAX);
    return counted(em__alloc_should_fail() ? NULL : calloc(1, bytes ? bytes : 1), bytes);
}

void *em__realloc(void *ptr, size_t size)
{
    void *fresh = em__alloc_should_fail() ? NULL : realloc(ptr, size ? size : 1);
    return ptr && fresh ? fresh : counted(fresh, size);
}

void em__free(void *ptr)
{
    if (ptr)
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(ptr);
}

char *em__strndup(const char *text, size_t length)
{
    size_t bytes;
    if (em__add_overflows(length, (size_t)1, &bytes))
        return out_of_memory(length);
    char *copy = em__alloc(bytes);
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
    char *text = n < 0 ? out_of_memory(0) : em__alloc((size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}
