/* Chunked bump allocation; chunks double up to 1 MiB so that a large owner makes few of them. */
#include "core/arena.h"

#include <stdint.h>
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

static void *too_large(size_t size)
{
    em__fail(EM_ERROR_OUT_OF_MEMORY, "out of memory: %zu bytes were asked for", size);
    return NULL;
}

static em__arena_chunk *new_chunk(size_t size)
{
    size_t bytes;
    if (em__add_overflows(size, sizeof(em__arena_chunk), &bytes))
        return too_large(size);
    em__arena_chunk *chunk = em__alloc(bytes);
    if (chunk)
        *chunk = (em__arena_chunk){.size = size};
    return chunk;
}

/* A chunk with room for `size`. A request larger than the next chunk would be gets one of its own, behind the head, so
 * that what is left of the head is not lost. */
static em__arena_chunk *chunk_for(em__arena *arena, size_t size)
{
    em__arena_chunk *head = arena->head;
    if (head && head->size - head->used >= size)
        return head;
    size_t next = !head ? FIRST_CHUNK : head->size < LARGEST_CHUNK ? head->size * 2 : LARGEST_CHUNK;
    em__arena_chunk *chunk = new_chunk(size > next ? size : next);
    if (!chunk)
        return NULL;
    if (head && size > next) {
        chunk->next = head->next;
        head->next = chunk;
    } else {
        chunk->next = head;
        arena->head = chunk;
    }
    return chunk;
}

void *em__arena_alloc(em__arena *arena, size_t size)
{
    size_t rounded;
    if (em__add_overflows(size, (size_t)15, &rounded))
        return too_large(size);
    rounded &= ~(size_t)15;
    em__arena_chunk *chunk = chunk_for(arena, rounded);
    if (!chunk)
        return NULL;
    void *ptr = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return ptr;
}

void *em__arena_calloc(em__arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (em__mul_overflows(count, size, &bytes))
        return too_large(SIZE_MAX);
    void *ptr = em__arena_alloc(arena, bytes);
    return ptr ? memset(ptr, 0, bytes) : NULL;
}

char *em__arena_strndup(em__arena *arena, const char *text, size_t length)
{
    size_t bytes;
    if (em__add_overflows(length, (size_t)1, &bytes))
        return too_large(length);
    char *copy = em__arena_alloc(arena, bytes);
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
