/*
 * Marks for the address sanitizer, nothing elsewhere: memory that an allocator of ours holds but nobody owns is poison,
 * so that a read past a block's end or after its release is caught although the system's allocator never saw it.
 */
#ifndef EM_CORE_SANITIZE_H
#define EM_CORE_SANITIZE_H

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EM__ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define EM__ASAN 1
#endif

#ifdef EM__ASAN
#include <sanitizer/asan_interface.h>
#define em__poison(ptr, size) __asan_poison_memory_region(ptr, size)
#define em__unpoison(ptr, size) __asan_unpoison_memory_region(ptr, size)
#else
#define em__poison(ptr, size) ((void)(ptr), (void)(size))
#define em__unpoison(ptr, size) ((void)(ptr), (void)(size))
#endif

#endif
