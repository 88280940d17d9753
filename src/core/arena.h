/*
 * Arena: many small allocations that die together (a parsed tokenizer, a graph being compiled). Chunked; nothing moves.
 * Not thread-safe: one owner.
 */
#ifndef EM_CORE_ARENA_H
#define EM_CORE_ARENA_H

#include <stddef.h>

typedef struct em__arena_chunk em__arena_chunk;

typedef struct em__arena {
    em__arena_chunk *head; /* zero-initialise: an all-zero arena is empty and valid */
} em__arena;

/* 16-byte aligned, uninitialised; NULL (with the error set) when memory runs out. */
void *em__arena_alloc(em__arena *arena, size_t size);
void *em__arena_calloc(em__arena *arena, size_t count, size_t size);
char *em__arena_strndup(em__arena *arena, const char *text, size_t length);

/* Frees everything; the arena is then empty and valid. */
void em__arena_clear(em__arena *arena);

#endif
