/*
 * The caching allocator behind every array.
 *
 * Tiny blocks (up to 1 KiB) come in multiples of 64 bytes; 256 KiB of freed ones wait to be handed out again, because
 * an eager op over few elements costs little more than its memory. Small ones (under 64 KiB) go straight to the system
 * allocator, which caches them well. Larger ones are rounded up to a size class, eight classes to a power of two (at
 * most 1/8 waste), and freed ones wait in their class's list.
 * A class list is LIFO, so the block most likely still in cache is handed out first. From 2 MiB on, blocks are mappings
 * of their own, aligned to huge pages: what is trimmed goes back to the system for certain.
 *
 * One mutex: a block operation costs tens of nanoseconds.
 */
#include "core/block.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/options.h"
#include "core/sanitize.h"

#define CACHED_FROM ((size_t)64 << 10)
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE_CLASSES (64 * 8)
#define TINY ((size_t)1 << 10)
#define TINY_STEP ((size_t)64)
#define TINY_KEPT ((size_t)256 << 10)
#define CLASS_COUNT (LARGE_CLASSES + (int)(TINY / TINY_STEP))
#define LARGEST (SIZE_MAX / 4)

typedef struct free_block {
    struct free_block *next;
} free_block;

static struct {
    pthread_mutex_t lock;
    em_memory_stats stats;
    free_block *classes[CLASS_COUNT]; /* the tiny ones behind the large ones */
    size_t tiny_cached;               /* of stats.cached */
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER, .stats = {.limit = SIZE_MAX}};

/* Class index and the bytes of its blocks. Sizes between the tiny and the large have no class: index -1. */
static int size_class(size_t size, size_t *bytes)
{
    if (size < CACHED_FROM) {
        *bytes = (size + TINY_STEP - 1) / TINY_STEP * TINY_STEP;
        *bytes += *bytes == 0 ? TINY_STEP : 0;
        return *bytes <= TINY ? LARGE_CLASSES + (int)(*bytes / TINY_STEP) - 1 : -1;
    }
    int top = 63 - __builtin_clzll((unsigned long long)size - 1);
    size_t step = (size_t)1 << (top - 3);
    *bytes = (size + step - 1) / step * step;
    int index = top * 8 + (int)((*bytes - ((size_t)1 << top)) / step);
    assert(index < LARGE_CLASSES);
    return index;
}

#ifdef EM__ASAN
#define MAPPED_FROM SIZE_MAX /* the sanitizer guards what comes from the heap */
#else
#define MAPPED_FROM HUGE_PAGE
#endif

/* A mapping aligned to huge pages: one more is mapped, and what sticks out at both ends is given back. */
static void *map_aligned(size_t bytes)
{
    size_t length = bytes + HUGE_PAGE;
    char *raw = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t head = (HUGE_PAGE - (uintptr_t)raw % HUGE_PAGE) % HUGE_PAGE;
    if (head)
        munmap(raw, head);
    munmap(raw + head + bytes, HUGE_PAGE - head);
#ifdef MADV_HUGEPAGE
    madvise(raw + head, bytes, MADV_HUGEPAGE);
#endif
    return raw + head;
}

static void *system_alloc(size_t bytes)
{
    void *block = NULL;
    if (bytes >= MAPPED_FROM)
        return map_aligned(bytes);
    return posix_memalign(&block, 64, bytes) == 0 ? block : NULL;
}

static void system_free(void *block, size_t bytes)
{
    em__unpoison(block, bytes);
    if (bytes >= MAPPED_FROM)
        munmap(block, bytes);
    else
        free(block);
}

/* Bytes of a class's blocks: the inverse of size_class. */
static size_t class_bytes(int index)
{
    if (index >= LARGE_CLASSES)
        return (size_t)(index - LARGE_CLASSES + 1) * TINY_STEP;
    int top = index / 8;
    return ((size_t)8 + (size_t)(index % 8)) << (top - 3);
}

static size_t trim_locked(void)
{
    size_t given = heap.stats.cached;
    for (int i = 0; i < CLASS_COUNT; i++) {
        while (heap.classes[i]) {
            free_block *block = heap.classes[i];
            heap.classes[i] = block->next;
            system_free(block, class_bytes(i));
        }
    }
    heap.stats.cached = heap.tiny_cached = 0;
    return given;
}

static bool fits_locked(size_t bytes)
{
    const em_memory_stats *s = &heap.stats;
    return bytes <= s->limit && s->active + s->cached <= s->limit - bytes;
}

static void account_locked(size_t bytes)
{
    heap.stats.active += bytes;
    heap.stats.allocations++;
    if (heap.stats.active > heap.stats.peak)
        heap.stats.peak = heap.stats.active;
}

static void *alloc_locked(size_t bytes, int index)
{
    if (index >= 0 && heap.classes[index]) {
        free_block *block = heap.classes[index];
        em__unpoison(block, bytes);
        heap.classes[index] = block->next;
        heap.stats.cached -= bytes;
        heap.tiny_cached -= index >= LARGE_CLASSES ? bytes : 0;
        return block;
    }
    if (!fits_locked(bytes))
        trim_locked();
    if (!fits_locked(bytes))
        return NULL;
    void *block = system_alloc(bytes);
    if (!block && trim_locked() > 0)
        block = system_alloc(bytes);
    return block;
}

void *em__block_alloc(size_t size)
{
    size_t bytes = 0;
    void *block = NULL;
    bool sane = size <= LARGEST;
    int index = sane ? size_class(size, &bytes) : -1;
    bool fail = em__alloc_should_fail();
    pthread_mutex_lock(&heap.lock);
    if (sane && !fail)
        block = alloc_locked(bytes, index);
    if (block)
        account_locked(bytes);
    em_memory_stats stats = heap.stats;
    pthread_mutex_unlock(&heap.lock);
    if (block)
        em__poison((char *)block + size, bytes - size);
    if (!block && stats.limit != SIZE_MAX)
        em__fail(EM_ERROR_OUT_OF_MEMORY,
                 "out of memory: %zu bytes were asked for; %zu are active, %zu cached, the limit is %zu", size,
                 stats.active, stats.cached, stats.limit);
    else if (!block)
        em__fail(EM_ERROR_OUT_OF_MEMORY, "out of memory: %zu bytes were asked for; %zu are active, %zu cached", size,
                 stats.active, stats.cached);
    return block;
}

void em__block_free(void *block, size_t size)
{
    if (!block)
        return;
    size_t bytes;
    int index = size_class(size, &bytes);
    pthread_mutex_lock(&heap.lock);
    assert(heap.stats.active >= bytes);
    heap.stats.active -= bytes;
    if (index >= LARGE_CLASSES && heap.tiny_cached + bytes > TINY_KEPT)
        index = -1;
    if (index >= 0) {
        free_block *entry = block;
        em__unpoison(entry, sizeof *entry); /* a block of fewer bytes has its tail there */
        entry->next = heap.classes[index];
        heap.classes[index] = entry;
        heap.stats.cached += bytes;
        heap.tiny_cached += index >= LARGE_CLASSES ? bytes : 0;
        em__poison(entry + 1, bytes - sizeof *entry); /* the leak checker follows the links */
    }
    pthread_mutex_unlock(&heap.lock);
    if (index < 0)
        system_free(block, bytes);
}

em_status em_memory_get_stats(em_memory_stats *stats)
{
    EM__FAIL_IF(!stats, EM_ERROR_INVALID_ARGUMENT, "memory_get_stats: stats is NULL");
    pthread_mutex_lock(&heap.lock);
    const em_memory_stats made = heap.stats;
    pthread_mutex_unlock(&heap.lock);
    return em__result_give(&made, stats, sizeof made, "em_memory_stats");
}

void em_memory_set_limit(size_t bytes)
{
    pthread_mutex_lock(&heap.lock);
    heap.stats.limit = bytes;
    if (!fits_locked(0))
        trim_locked();
    pthread_mutex_unlock(&heap.lock);
}

size_t em_memory_trim(void)
{
    pthread_mutex_lock(&heap.lock);
    size_t given = trim_locked();
    pthread_mutex_unlock(&heap.lock);
    return given;
}

void em_memory_reset_peak(void)
{
    pthread_mutex_lock(&heap.lock);
    heap.stats.peak = heap.stats.active;
    pthread_mutex_unlock(&heap.lock);
}
