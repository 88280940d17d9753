/* The registry of devices. */
#include "device/device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "core/error.h"
#include "device/plugin.h"

/* Held for reading while kernels run, for writing while a device changes. */
static pthread_rwlock_t in_use = PTHREAD_RWLOCK_INITIALIZER;
/* Devices that this thread is in, one within the other: in_use is taken by the first, before any lock of a device. */
static _Thread_local int entered;

em_device *em_device_at(size_t index)
{
    return index == 0 ? em__cpu_device() : index == 1 ? &em__ref_device : em__plugin_device("cuda", index - 2);
}

/* "cuda", "cuda:1": a plugin is opened, and blamed, for nothing else. */
static bool names_cuda(const char *name)
{
    if (strncmp(name, "cuda", 4) != 0)
        return false;
    return name[4] == 0 || (name[4] == ':' && name[5] && name[5 + strspn(name + 5, "0123456789")] == 0);
}

/* Of the plugin: the GPU with the name's number, whether those before it can be used or not. */
static em_device *find_cuda(const char *name)
{
    em_device *device = em__plugin_device("cuda", name[4] ? strtoul(name + 5, NULL, 10) : 0);
    if (!device)
        em__context(EM_ERROR_NOT_FOUND, "device \"%s\" can't be used", name);
    return device;
}

static em_device *find(const char *name)
{
    if (names_cuda(name)) /* a plugin is opened only when it is asked for */
        return find_cuda(name);
    for (size_t i = 0; i < 2; i++)
        if (strcmp(em_device_at(i)->vtable->name, name) == 0)
            return em_device_at(i);
    em__fail(EM_ERROR_NOT_FOUND,
             "device \"%s\" does not exist; there are cpu, ref and, with GPUs, cuda, cuda:1 and so on", name);
    return NULL;
}

em_device *em_device_find(const char *name)
{
    if (!name)
        return em_device_default();
    return em__cpu_check() == EM_OK ? find(name) : NULL;
}

em_device *em_device_default(void)
{
    const char *name = getenv("EMILY_DEVICE");
    bool given = name && *name;
    if (em__cpu_check() != EM_OK)
        return NULL;
    em_device *device = find(given ? name : "cpu");
    if (!device && given)
        em__context(em_last_status(), "EMILY_DEVICE");
    return device;
}

const char *em_device_name(const em_device *device)
{
    return device ? device->vtable->name : "";
}

em_status em_device_describe(em_device *device, char *text, size_t size)
{
    EM__FAIL_IF(!device || !text || size == 0, EM_ERROR_INVALID_ARGUMENT, "device_describe: NULL argument");
    em__device_enter(device);
    em_status status = device->vtable->describe(device, text, size);
    em__device_leave(device);
    return status;
}

int em_device_threads(em_device *device)
{
    if (!device || !device->vtable->threads)
        return 1;
    em__device_enter(device);
    int threads = device->vtable->threads(device);
    em__device_leave(device);
    return threads;
}

em_status em_device_set_threads(em_device *device, int threads)
{
    EM__FAIL_IF(!device, EM_ERROR_INVALID_ARGUMENT, "device_set_threads: NULL device");
    EM__FAIL_IF(threads < 0, EM_ERROR_INVALID_ARGUMENT, "device_set_threads: %d threads; give 1 or more, or 0 for all",
                threads);
    if (!device->vtable->set_threads)
        return EM_OK;
    EM__FAIL_IF(
        entered, EM_ERROR_INVALID_ARGUMENT,
        "device_set_threads: called from within a run (a hook?), which it would wait for; call it when that ended");
    pthread_rwlock_wrlock(&in_use);
    em_status status = device->vtable->set_threads(device, threads);
    pthread_rwlock_unlock(&in_use);
    return status;
}

void em__device_enter(em_device *device)
{
    if (entered++ == 0)
        pthread_rwlock_rdlock(&in_use);
    if (device->vtable->enter)
        device->vtable->enter(device);
}

void em__device_leave(em_device *device)
{
    if (device->vtable->leave)
        device->vtable->leave(device);
    if (--entered == 0)
        pthread_rwlock_unlock(&in_use);
}
