/*
 * What a device in a shared object of its own (libemily_cuda.so) and the library say to each other. The plugin has its
 * own copies of stateless code (dtypes, op rules, layouts); whatever has state is the library's and is called through
 * em__plugin_host.
 */
#ifndef EM_DEVICE_PLUGIN_H
#define EM_DEVICE_PLUGIN_H

#include "device/device.h"

typedef struct em__plugin_host {
    unsigned version;                                 /* EM__DEVICE_VERSION */
    void (*fail)(em_status status, const char *text); /* records the thread's last error */
    em_status (*last_status)(void);
    void *(*block_alloc)(size_t size); /* core/block.h */
    void (*block_free)(void *block, size_t size);
    void *(*calloc)(size_t count, size_t size); /* core/alloc.h */
    void (*free)(void *block);
    em_device *cpu; /* runs what the plugin has no kernel for */
} em__plugin_host;

/* The one symbol of a plugin. Gives device `index`, the same each time; NULL past the last, or with the error set when
 * none can be used: the text says why ("no NVIDIA driver was found"). `host` lives as long as the process. */
#define EM__PLUGIN_SYMBOL "em_plugin_device"
typedef em_device *(*em__plugin_device_fn)(const em__plugin_host *host, size_t index);

/* The devices of the plugin `name` ("cuda"), each opened at first use; NULL past the last, or where it can't be used,
 * with the error set. */
em_device *em__plugin_device(const char *name, size_t index);

/* Why a plugin has no first device, its name not in front: "" when it has. Valid until the thread's next error. */
const char *em__plugin_reason(const char *name);

#endif
