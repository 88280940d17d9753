/*
 * Buffers: memory that views share, in the host's memory or a device's. The same bytes elsewhere: mirror.c.
 */
#include <string.h>

#include "array/array.h"
#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "device/memory.h"

#define SMALL_HEAD ((size_t)128) /* keeps the data aligned */
#define MOST_SMALL ((size_t)896)
_Static_assert(sizeof(em__buffer) <= SMALL_HEAD, "the head of a small buffer");

/* A small value lies behind its buffer in one block. */
static em__buffer *small_buffer(size_t size)
{
    em__buffer *buffer = em__block_alloc(SMALL_HEAD + size);
    if (!buffer)
        return NULL;
    memset(buffer, 0, sizeof *buffer);
    buffer->data = (char *)buffer + SMALL_HEAD;
    buffer->size = size;
    atomic_init(&buffer->refs, 1);
    return buffer;
}

em__buffer *em__buffer_new(em_device *device, size_t size)
{
    em_device *memory = em__memory_of(device);
    if (!memory && size <= MOST_SMALL)
        return small_buffer(size);
    em__buffer *buffer = em__calloc(1, sizeof *buffer);
    if (!buffer)
        return NULL;
    buffer->memory = memory;
    buffer->data = em__memory_alloc(memory, size);
    if (!buffer->data) {
        em__free(buffer);
        return NULL;
    }
    buffer->size = size;
    atomic_init(&buffer->refs, 1);
    return buffer;
}

em__buffer *em__buffer_retain(em__buffer *buffer)
{
    atomic_fetch_add_explicit(&buffer->refs, 1, memory_order_relaxed);
    return buffer;
}

void em__buffer_release(em__buffer *buffer)
{
    if (!buffer || atomic_fetch_sub_explicit(&buffer->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (em__buffer *mirror = atomic_load(&buffer->mirrors), *next; mirror; mirror = next) {
        next = mirror->next;
        em__buffer_release(mirror);
    }
    if (!buffer->foreign && !buffer->memory && buffer->size <= MOST_SMALL) {
        em__block_free(buffer, SMALL_HEAD + buffer->size);
        return;
    }
    if (!buffer->foreign)
        em__memory_free(buffer->memory, buffer->data, buffer->size);
    else if (buffer->free_fn)
        buffer->free_fn(buffer->user);
    em__free(buffer);
}
