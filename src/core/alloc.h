/*
 * Host memory for everything that is not tensor data: handles, tables, strings. Counted, and made to fail by the
 * tests one allocation at a time. Tensor data comes from block.h, which accounts for its bytes.
 *
 * All functions are safe on any thread. A failure sets the thread's error (EM_ERROR_OUT_OF_MEMORY) and returns NULL.
 */
#ifndef EM_CORE_ALLOC_H
#define EM_CORE_ALLOC_H

#include <stddef.h>

#include <emily/status.h>

void *em__alloc(size_t size);                /* uninitialised; size 0 gives a valid pointer */
void *em__calloc(size_t count, size_t size); /* zeroed; checks the product */
void *em__realloc(void *ptr, size_t size);   /* on failure the old block stays */
void em__free(void *ptr);                    /* NULL is fine */
char *em__strdup(const char *text);
char *em__strndup(const char *text, size_t length);

/* NUL-terminated printf into a fresh string; NULL on failure. Free with em__free. */
char *em__format(const char *format, ...) EM_PRINTF(1, 2);

/* *out = a * b or a + b; false when it does not fit. */
#define em__mul_overflows(a, b, out) __builtin_mul_overflow(a, b, out)
#define em__add_overflows(a, b, out) __builtin_add_overflow(a, b, out)

/* Test hook: the n-th allocation from now (1 is the next) fails, and with `sticky` all after it; 0 turns it off.
 * Counts em__alloc, em__calloc, em__realloc, em__strdup, em__strndup, em__format and blocks, process wide. */
void em__alloc_fail_at(long n, int sticky);

/* Allocations made so far by the functions above, process wide; blocks that are reused count too. */
unsigned long em__alloc_count(void);

/* Host allocations not freed yet, process wide; blocks are not among them. For leak checks. */
long em__alloc_live(void);

/* True when this allocation must fail; for allocators built on another source of memory (block.c). */
int em__alloc_should_fail(void);

#endif
