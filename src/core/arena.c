/* Chunked bump allocation; chunks double up to 1 MiB so that a large owner makes few of them. */
#include "core/arena.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

#define FIRST_CHUNK 4096
#define LARGEST_CHUNK (1u << 20)

struct em__arena_chunk {
    em__arena_chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};

void *em__arena_alloc(em__arena *arena, size_t size)
{
    size_t rounded;
    if (em__add_overflows(size, (size_t)15, &rounded))
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "out of memory: %zu bytes were asked for", size), NULL;
    rounded &= ~(size_t)15;
    em__arena_chunk *chunk = arena->head;
    if (!chunk || chunk->size - chunk->used < rounded) {
        size_t wanted = !chunk ? FIRST_CHUNK : chunk->size < LARGEST_CHUNK ? chunk->size * 2 : LARGEST_CHUNK;
        if (wanted < rounded)
            wanted = rounded;
        size_t bytes;
        chunk = em__add_overflows(wanted, sizeof *chunk, &bytes) ? NULL : em__alloc(bytes);
        if (!chunk)
            return NULL;
        *chunk = (em__arena_chunk){.next = arena->head, .size = wanted};
        arena->head = chunk;
    }
    void *ptr = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return ptr;
}

void *em__arena_calloc(em__arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (em__mul_overflows(count, size, &bytes)) {
        em__fail(EM_ERROR_OUT_OF_MEMORY, "out of memory: %zu x %zu bytes were asked for", count, size);
        return NULL;
    }
    void *ptr = em__arena_alloc(arena, bytes);
    return ptr ? memset(ptr, 0, bytes) : NULL;
}

char *em__arena_strndup(em__arena *arena, const char *text, size_t length)
{
    char *copy = em__arena_alloc(arena, length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

void em__arena_clear(em__arena *arena)
{
    while (arena->head) {
        em__arena_chunk *next = arena->head->next;
        em__free(arena->head);
        arena->head = next;
    }
}
