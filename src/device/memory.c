/* See memory.h. */
#include "device/memory.h"

#include <string.h>

#include "core/block.h"
#include "core/error.h"

void *em__memory_alloc(em_device *device, size_t size)
{
    if (!em__memory_of(device))
        return em__block_alloc(size);
    em__device_enter(device);
    void *block = device->vtable->memory->alloc(device, size);
    em__device_leave(device);
    return block;
}

void em__memory_free(em_device *device, void *block, size_t size)
{
    if (!em__memory_of(device)) {
        em__block_free(block, size);
        return;
    }
    em__device_enter(device);
    device->vtable->memory->free(device, block, size);
    em__device_leave(device);
}

typedef em_status (*transfer)(em_device *device, void *to, const void *from, size_t size);

static em_status move(em_device *device, transfer how, void *to, const void *from, size_t size)
{
    em__device_enter(device);
    em_status status = how(device, to, from, size);
    em__device_leave(device);
    return status;
}

em_status em__memory_upload(em_device *device, void *to, const void *from, size_t size)
{
    return size ? em__memory_upload_all(device, &(em__transfer){to, from, size}, 1) : EM_OK;
}

em_status em__memory_upload_all(em_device *device, const em__transfer *parts, size_t n)
{
    if (em__memory_of(device)) {
        em__device_enter(device);
        em_status status = device->vtable->memory->upload(device, parts, n);
        em__device_leave(device);
        return status;
    }
    for (size_t i = 0; i < n; i++)
        if (parts[i].size)
            memcpy(parts[i].to, parts[i].from, parts[i].size);
    return EM_OK;
}

em_status em__memory_download(em_device *device, void *to, const void *from, size_t size)
{
    if (size && em__memory_of(device))
        return move(device, device->vtable->memory->download, to, from, size);
    if (size)
        memcpy(to, from, size);
    return EM_OK;
}

em_status em__memory_copy(em_device *device, void *to, const void *from, size_t size)
{
    if (size && em__memory_of(device))
        return move(device, device->vtable->memory->copy, to, from, size);
    if (size)
        memcpy(to, from, size);
    return EM_OK;
}

em_status em__memory_wait(em_device *device)
{
    if (!em__memory_of(device))
        return EM_OK;
    em__device_enter(device);
    em_status status = device->vtable->memory->wait(device);
    em__device_leave(device);
    return status;
}
