/*
 * Devices: where arrays are computed. `cpu` is the default; `ref` is naive C, the oracle of the tests; `cuda`, `cuda:1`
 * are NVIDIA GPUs, there where the plugin libemily_cuda.so and a driver are (docs/cuda.md).
 */
#ifndef EMILY_DEVICE_H
#define EMILY_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/memory.h>
#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_device em_device;

/* The device called `name` (NULL: the default); NULL with EM_ERROR_NOT_FOUND, naming those that exist, or with
 * EM_ERROR_INVALID_ARGUMENT when EMILY_CPU names no level of instructions. Devices live as long as the process: nothing
 * is to be freed. Any thread. */
EM_API em_device *em_device_find(const char *name);

/* EMILY_DEVICE if set, else `cpu`. NULL, with the error set, when EMILY_DEVICE names none, or as em_device_find. */
EM_API em_device *em_device_default(void);

/* The i-th device; NULL past the last. Any thread. */
EM_API em_device *em_device_at(size_t index);

/* "cpu", "cuda:1"; "" for NULL. Static. */
EM_API const char *em_device_name(const em_device *device);

/* One line for people into `text`: "AVX-512 (VNNI), 2 threads"; what does not fit `size` bytes with a NUL is cut.
 * EM_ERROR_INVALID_ARGUMENT for NULL or no room. Any thread. */
EM_API em_status em_device_describe(em_device *device, char *text, size_t size);

/* How many threads of the processor the device uses (1 where it has no say), and a new number for it (0: as many as the
 * process may use, or 256; 1024 at most, a warning says so), which such devices pass over. Results do not depend on it.
 * Setting waits for work under way, so that it is refused from within (a hook, say); on failure the old number stays:
 * EM_ERROR_INVALID_ARGUMENT for that, NULL or a negative number, EM_ERROR_OUT_OF_MEMORY. Any thread. The child of a
 * fork has one, whatever the parent had, and no streams; forked while another thread is in a call, it may only exec. */
EM_API int em_device_threads(em_device *device);
EM_API em_status em_device_set_threads(em_device *device, int threads);

/* Waits until the device has done all that was asked of it: evaluating an array and running a program on a GPU ask and
 * return, reading values waits. Fails with the first error of that work. At once where nothing runs beside the caller.
 * Any thread. */
EM_API em_status em_device_wait(em_device *device);

/* Whether the device has memory of its own; otherwise, and for NULL, its arrays lie in the host's. Any thread. */
EM_API bool em_device_has_memory(const em_device *device);

/* As em_memory_get_stats, em_memory_set_limit and em_memory_trim (memory.h), for the memory that the device's arrays
 * lie in. Any thread. */
EM_API em_status em_device_get_memory(em_device *device, em_memory_stats *stats);
EM_API void em_device_set_memory_limit(em_device *device, size_t bytes);
EM_API size_t em_device_trim_memory(em_device *device);

#ifdef __cplusplus
}
#endif
#endif
