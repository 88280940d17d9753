/*
 * Memory that a device's kernels work on: blocks of core/block.h where the host addresses it, the device's own
 * otherwise. A NULL device is the host.
 */
#ifndef EM_DEVICE_MEMORY_H
#define EM_DEVICE_MEMORY_H

#include "device/device.h"

/* The device itself when it has memory of its own; NULL when it works on the host's. */
static inline em_device *em__memory_of(em_device *device)
{
    return device && device->vtable->memory ? device : NULL;
}

/* Values that share a block begin at multiples of this. */
#define EM__MEMORY_ALIGN ((size_t)256)

static inline size_t em__memory_aligned(size_t bytes)
{
    return (bytes + EM__MEMORY_ALIGN - 1) / EM__MEMORY_ALIGN * EM__MEMORY_ALIGN;
}

/* As em__block_alloc and em__block_free. */
void *em__memory_alloc(em_device *device, size_t size);
void em__memory_free(em_device *device, void *block, size_t size);

/* Between the host and the device, and within the device; in its order. Nothing for size 0. Where the host addresses
 * the memory each is memcpy. em__memory_download waits until the bytes are there. */
em_status em__memory_upload(em_device *device, void *to, const void *from, size_t size);
em_status em__memory_upload_all(em_device *device, const em__transfer *parts, size_t n); /* sooner than one by one */
em_status em__memory_download(em_device *device, void *to, const void *from, size_t size);
em_status em__memory_copy(em_device *device, void *to, const void *from, size_t size);

/* Until the device has done all that was asked of it. */
em_status em__memory_wait(em_device *device);

#endif
