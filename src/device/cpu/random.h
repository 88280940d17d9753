/*
 * Random bits by counter: threefry2x32 (ref_random.c says how counters and results are laid out). A kernel computes a
 * run of blocks; every block stands for itself, so neither chunks nor levels change a bit.
 */
#ifndef EM_DEVICE_CPU_RANDOM_H
#define EM_DEVICE_CPU_RANDOM_H

#include <stdint.h>

#include "core/cpu.h"

typedef struct em__threefry {
    /* a[i], b[i] = the block of the counters (first + i, second + i) under the key, for i < n. */
    void (*run)(const uint32_t key[2], uint32_t first, uint32_t second, int64_t n, uint32_t *a, uint32_t *b);
    /* Words, in place, to f32 in [0, 1): their leading 23 bits. Pairs of words to f64: 52 bits. */
    void (*to_f32)(uint32_t *words, int64_t n);
    void (*to_f64)(uint64_t *pairs, int64_t n);
    /* lower[i] = first + (upper[i] % span * factor + lower[i] % span) % span, modulo 2^32; span is not 0. */
    void (*to_range)(const uint32_t *upper, uint32_t *lower, int64_t n, uint32_t first, uint32_t span, uint32_t factor);
} em__threefry;

/* The kernels of a level that the machine runs. Any thread. */
const em__threefry *em__threefry_get(em__cpu_level level);
extern const em__threefry em__threefry_portable, em__threefry_avx2, em__threefry_avx512;

#endif
