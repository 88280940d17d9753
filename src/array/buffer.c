/*
 * Buffers: memory that views share, in the host's memory or a device's, and the same bytes elsewhere.
 */
#include <pthread.h>
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

/* The bytes of `from`, which is not in that memory, as a buffer that is; by the host where both are devices'. */
static em__buffer *mirrored(em__buffer *from, em_device *memory)
{
    if (from->memory && memory)
        from = em__buffer_on(from, NULL);
    em__buffer *mirror = from ? em__buffer_new(memory, from->size) : NULL;
    if (!mirror)
        return NULL;
    em_status status = memory ? em__memory_upload(memory, mirror->data, from->data, from->size)
                              : em__memory_download(from->memory, mirror->data, from->data, from->size);
    if (status != EM_OK) {
        em__buffer_release(mirror);
        return NULL;
    }
    if (memory && from->release_pages)
        from->release_pages(from->user, from->data, from->size);
    return mirror;
}

static em__buffer *find_mirror(const em__buffer *buffer, const em_device *memory)
{
    em__buffer *mirror = atomic_load(&buffer->mirrors);
    while (mirror && mirror->memory != memory)
        mirror = mirror->next;
    return mirror;
}

em__buffer *em__buffer_on(em__buffer *buffer, em_device *device)
{
    /* Recursive: from one device to another by the host. */
    static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    em_device *memory = em__memory_of(device), *held = memory ? memory : buffer->memory;
    em__buffer *mirror = buffer->memory == memory ? buffer : find_mirror(buffer, memory);
    if (mirror)
        return mirror;
    em__device_enter(held); /* before the lock: whoever has a device may ask for a mirror */
    pthread_mutex_lock(&lock);
    mirror = find_mirror(buffer, memory);
    if (!mirror && (mirror = mirrored(buffer, memory))) {
        mirror->next = atomic_load(&buffer->mirrors);
        atomic_store(&buffer->mirrors, mirror);
    }
    pthread_mutex_unlock(&lock);
    em__device_leave(held);
    return mirror;
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
