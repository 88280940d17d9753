/*
 * The devices that a test runs on: ref and cpu, or the one that EMILY_DEVICE names, alone. So the same cases hold any
 * device against what is recorded or what ref says: `EMILY_DEVICE=cuda test_golden_ops`.
 */
#ifndef EM_TESTS_DEVICES_H
#define EM_TESTS_DEVICES_H

#include <emily/device.h>

/* NULL-terminated; the last is em_device_default(). The test fails when EMILY_DEVICE names none. */
em_device *const *devices_under_test(void);

#endif
