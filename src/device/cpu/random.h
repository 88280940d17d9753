/*
 * Random bits by counter: threefry2x32 (ref_random.c says how counters and results are laid out). A kernel computes a
 * run of blocks; every block stands for itself, so neither chunks nor levels change a bit.
 */
#ifndef EM_DEVICE_CPU_RANDOM_H
#define EM_DEVICE_CPU_RANDOM_H

#include <stdint.h>

#include "core/cpu.h"

/* a[i], b[i] = the block of the counters (first + i, second + i) under the key, for i < n. */
typedef void (*em__threefry_fn)(const uint32_t key[2], uint32_t first, uint32_t second, int64_t n, uint32_t *a,
                                uint32_t *b);

/* The kernel of a level that the machine runs. Any thread. */
em__threefry_fn em__threefry_get(em__cpu_level level);

void em__threefry_portable(const uint32_t key[2], uint32_t first, uint32_t second, int64_t n, uint32_t *a, uint32_t *b);
void em__threefry_avx2(const uint32_t key[2], uint32_t first, uint32_t second, int64_t n, uint32_t *a, uint32_t *b);
void em__threefry_avx512(const uint32_t key[2], uint32_t first, uint32_t second, int64_t n, uint32_t *a, uint32_t *b);

#endif
