/*
 * Blocks: tensor memory. An accounted caching allocator. A freed block of 64 KiB or more is kept for the next request
 * of its size class, so that a 64 MB result does not pay 16,384 page faults on every call; huge pages are asked for
 * from 2 MiB on. Blocks are 64-byte aligned. Active, peak and cached bytes and the hard limit are in emily/memory.h.
 */
#ifndef EM_CORE_BLOCK_H
#define EM_CORE_BLOCK_H

#include <stddef.h>

#include <emily/memory.h>

/* Uninitialised, 64-byte aligned, at least `size` bytes (size 0 gives a valid pointer). NULL with the error set when
 * the limit or the system refuses: the text says what was asked, what is active, cached, and the limit. Any thread. */
void *em__block_alloc(size_t size);

/* Gives the block back to the cache. `size` is what was asked for. NULL is fine. Any thread. */
void em__block_free(void *block, size_t size);

#endif
