/*
 * Devices: where arrays are computed. `cpu` is the default; `ref` is naive C, the oracle of the tests.
 */
#ifndef EMILY_DEVICE_H
#define EMILY_DEVICE_H

#include <stddef.h>

#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_device em_device;

/* The device called `name`; NULL with EM_ERROR_NOT_FOUND, naming those that exist. Devices live as long as the process:
 * nothing is to be freed. Any thread. */
EM_API em_device *em_device_find(const char *name);

/* EMILY_DEVICE if set, else `cpu`. NULL, with the error set, when EMILY_DEVICE names none. */
EM_API em_device *em_device_default(void);

/* The i-th device; NULL past the last. */
EM_API em_device *em_device_at(size_t index);

EM_API const char *em_device_name(const em_device *device);

/* One line for people: "AVX-512 (VNNI), 2 threads". */
EM_API em_status em_device_describe(em_device *device, char *text, size_t size);

/* How many threads the device uses, and a new number for it (0: as many as the process may use). Results do not depend
 * on it. Waits for work under way. */
EM_API int em_device_threads(em_device *device);
EM_API em_status em_device_set_threads(em_device *device, int threads);

#ifdef __cplusplus
}
#endif
#endif
