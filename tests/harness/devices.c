/* Which devices a test runs on. */
#include "harness/devices.h"

#include <stdlib.h>

#include "harness/expect.h"

em_device *const *devices_under_test(void)
{
    static em_device *devices[3];
    const char *name = getenv("EMILY_DEVICE");
    devices[0] = name && *name ? em_device_default() : em_device_find("ref");
    devices[1] = name && *name ? NULL : em_device_default();
    if (!devices[0])
        fail_msg("%s", em_last_error());
    return devices;
}
