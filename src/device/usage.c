/* Memory figures and limits of a device, its own or the host's; waiting for it. */
#include "device/device.h"

#include "core/error.h"
#include "core/options.h"
#include "device/memory.h"

static const em__device_memory *own_memory(const em_device *device)
{
    return device ? device->vtable->memory : NULL;
}

em_status em_device_wait(em_device *device)
{
    EM__FAIL_IF(!device, EM_ERROR_INVALID_ARGUMENT, "device_wait: NULL device");
    return em__memory_wait(device);
}

bool em_device_has_memory(const em_device *device)
{
    return own_memory(device) != NULL;
}

em_status em_device_get_memory(em_device *device, em_memory_stats *stats)
{
    const em__device_memory *memory = own_memory(device);
    em_memory_stats made = {.struct_size = sizeof made};
    EM__FAIL_IF(!stats, EM_ERROR_INVALID_ARGUMENT, "device_get_memory: stats is NULL");
    if (!memory)
        return em_memory_get_stats(stats);
    memory->get_stats(device, &made);
    return em__result_give(&made, stats, sizeof made, "em_memory_stats");
}

void em_device_set_memory_limit(em_device *device, size_t bytes)
{
    const em__device_memory *memory = own_memory(device);
    if (!memory) {
        em_memory_set_limit(bytes);
        return;
    }
    em__device_enter(device);
    memory->set_limit(device, bytes);
    em__device_leave(device);
}

size_t em_device_trim_memory(em_device *device)
{
    const em__device_memory *memory = own_memory(device);
    if (!memory)
        return em_memory_trim();
    em__device_enter(device);
    size_t bytes = memory->trim(device);
    em__device_leave(device);
    return bytes;
}
