/*
 * Running a call with the checks that EMILY_DEBUG asks for. Every lane runs its calls through here, so that a check
 * names the op whatever ran it.
 */
#ifndef EM_DEVICE_CHECKED_H
#define EM_DEVICE_CHECKED_H

#include "core/debug.h"
#include "device/device.h"

/* The kernel with the checks of `flags` (em_debug) around it. */
em_status em__call_checked(em_device *device, const em__call *call, unsigned flags);

/* The kernel, which is called as it is when nothing is to be checked. */
static inline em_status em__call_run(em_device *device, const em__call *call)
{
    unsigned flags = em__debug_flags();
    return flags ? em__call_checked(device, call, flags) : call->kernel(device, call);
}

#endif
