/*
 * Mirrors: a buffer's bytes in another memory, made when they are first asked for there, and kept with the buffer until
 * it goes. Many that are asked for at once travel together, and those that are not large lie side by side on shelves:
 * blocks that they share, since a device takes as long for a small block as for a large one.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "array/array.h"
#include "core/alloc.h"
#include "core/error.h"
#include "device/memory.h"

/* What is large has a block of its own; a batch travels at once, and behind it the host may have its pages back. */
static em__mirror_sizes sizes = {.large = (size_t)16 << 20, .shelf = (size_t)128 << 20, .batch = (size_t)512 << 20};

/* Recursive: from one device to another by the host. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* Mirrors to make of buffers that have none in the memory, and what goes up to them. */
typedef struct batch {
    em_device *memory;
    size_t n;
    em__buffer **from, **to;
    em__transfer *parts;
} batch;

em__mirror_sizes em__mirror_set_sizes(em__mirror_sizes set)
{
    const em__mirror_sizes before = sizes;
    sizes = set;
    return before;
}

static em__buffer *find_mirror(const em__buffer *buffer, const em_device *memory)
{
    em__buffer *mirror = atomic_load(&buffer->mirrors);
    while (mirror && mirror->memory != memory)
        mirror = mirror->next;
    return mirror;
}

static void keep_mirror(em__buffer *buffer, em__buffer *mirror)
{
    mirror->next = atomic_load(&buffer->mirrors);
    atomic_store(&buffer->mirrors, mirror);
    if (mirror->memory && buffer->release_pages)
        buffer->release_pages(buffer->user, buffer->data, buffer->size);
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
    return mirror;
}

em__buffer *em__buffer_on(em__buffer *buffer, em_device *device)
{
    em_device *memory = em__memory_of(device), *held = memory ? memory : buffer->memory;
    em__buffer *mirror = buffer->memory == memory ? buffer : find_mirror(buffer, memory);
    if (mirror)
        return mirror;
    em__device_enter(held); /* before the lock: whoever has a device may ask for a mirror */
    pthread_mutex_lock(&lock);
    mirror = find_mirror(buffer, memory);
    if (!mirror && (mirror = mirrored(buffer, memory)))
        keep_mirror(buffer, mirror);
    pthread_mutex_unlock(&lock);
    em__device_leave(held);
    return mirror;
}

static void leave_shelf(void *shelf)
{
    em__buffer_release(shelf);
}

/* A mirror of `size` bytes at `at` of the shelf, which goes with the last that lies on it. */
static em__buffer *put_on(em__buffer *shelf, size_t at, size_t size)
{
    em__buffer *mirror = em__calloc(1, sizeof *mirror);
    if (!mirror)
        return NULL;
    mirror->data = (char *)shelf->data + at;
    mirror->size = size;
    mirror->memory = shelf->memory;
    mirror->foreign = true;
    mirror->free_fn = leave_shelf;
    mirror->user = em__buffer_retain(shelf);
    atomic_init(&mirror->refs, 1);
    return mirror;
}

/* Bytes of the shelf that begins with buffer `first`: it takes what is not large until it is full. */
static size_t shelf_size(const batch *b, size_t first)
{
    size_t size = 0;
    for (size_t i = first; i < b->n; i++) {
        if (b->from[i]->size >= sizes.large)
            continue;
        if (size + em__memory_aligned(b->from[i]->size) > sizes.shelf)
            break;
        size += em__memory_aligned(b->from[i]->size);
    }
    return size;
}

/* Memory for all of them. What was made when it fails is in `to`. */
static em_status make_room(batch *b)
{
    em__buffer *shelf = NULL;
    size_t at = 0;
    em_status status = EM_OK;
    memset(b->to, 0, b->n * sizeof *b->to); /* those of the batch before are kept already */
    for (size_t i = 0; i < b->n && status == EM_OK; i++) {
        const size_t size = b->from[i]->size;
        if (size < sizes.large && (!shelf || shelf->size - at < em__memory_aligned(size))) {
            em__buffer_release(shelf);
            shelf = em__buffer_new(b->memory, shelf_size(b, i));
            at = 0;
        }
        b->to[i] = size >= sizes.large ? em__buffer_new(b->memory, size) : shelf ? put_on(shelf, at, size) : NULL;
        if (!b->to[i])
            status = em_last_status();
        else
            b->parts[i] = (em__transfer){b->to[i]->data, b->from[i]->data, size};
        at += size < sizes.large ? em__memory_aligned(size) : 0;
    }
    em__buffer_release(shelf);
    return status;
}

static em_status send(batch *b)
{
    em_status status = make_room(b);
    if (status == EM_OK)
        status = em__memory_upload_all(b->memory, b->parts, b->n);
    for (size_t i = 0; i < b->n; i++)
        if (status == EM_OK)
            keep_mirror(b->from[i], b->to[i]);
        else
            em__buffer_release(b->to[i]);
    return status;
}

/* By address, which is the order in their file. */
static int compare(const void *a, const void *b)
{
    const em__buffer *x = *(em__buffer *const *)a, *y = *(em__buffer *const *)b;
    const uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    return p != q ? (p < q ? -1 : 1) : ((uintptr_t)x > (uintptr_t)y) - ((uintptr_t)x < (uintptr_t)y);
}

/* Each buffer of the host's that lacks a mirror, once. */
static size_t collect(const batch *b, em_array *const *arrays, size_t n)
{
    size_t found = 0, distinct = 0;
    for (size_t i = 0; i < n; i++)
        if (!arrays[i]->buffer->memory && !find_mirror(arrays[i]->buffer, b->memory))
            b->from[found++] = arrays[i]->buffer;
    qsort(b->from, found, sizeof *b->from, compare);
    for (size_t i = 0; i < found; i++)
        if (distinct == 0 || b->from[distinct - 1] != b->from[i])
            b->from[distinct++] = b->from[i];
    return distinct;
}

static em_status send_all(batch *b, size_t n)
{
    for (; n > 0; n -= b->n, b->from += b->n) {
        size_t size = b->from[0]->size;
        for (b->n = 1; b->n < n && size < sizes.batch; b->n++)
            size += b->from[b->n]->size;
        EM__TRY(send(b));
    }
    return EM_OK;
}

em_status em__arrays_on(em_array *const *arrays, size_t n, em_device *device)
{
    if (n == 0)
        return EM_OK;
    em__buffer **buffers = em__calloc(2 * n, sizeof *buffers);
    em__transfer *parts = em__calloc(n, sizeof *parts);
    batch b = {.memory = em__memory_of(device), .from = buffers, .to = buffers ? buffers + n : NULL, .parts = parts};
    em_status status = buffers && parts ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (b.memory && status == EM_OK) {
        em__device_enter(b.memory);
        pthread_mutex_lock(&lock);
        status = send_all(&b, collect(&b, arrays, n));
        pthread_mutex_unlock(&lock);
        em__device_leave(b.memory);
    }
    em__free(buffers);
    em__free(parts);
    return status;
}
