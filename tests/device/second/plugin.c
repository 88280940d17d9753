/*
 * A plugin for tests of how devices are found: of two GPUs the first can't be used. Its second one is the cpu device
 * under another name, whose description tells how often the first was asked for.
 */
#include <stdio.h>

#include "device/plugin.h"

static int asked;
static em_device second;
static em__device_vtable vtable;

static em_status describe(em_device *device, char *text, size_t size)
{
    (void)device;
    snprintf(text, size, "the first was asked for %d times", asked);
    return EM_OK;
}

__attribute__((visibility("default"))) em_device *em_plugin_device(const em__plugin_host *host, size_t index);

em_device *em_plugin_device(const em__plugin_host *host, size_t index)
{
    asked += index == 0;
    if (index != 1) {
        host->fail(EM_ERROR_UNSUPPORTED,
                   index ? "cuda: the driver shows 2 GPUs, counted from 0" : "cuda: it is too old");
        return NULL;
    }
    vtable = *host->cpu->vtable;
    vtable.name = "cuda:1";
    vtable.describe = describe;
    second.vtable = &vtable;
    return &second;
}
