/*
 * Rotary embedding along contiguous rows: pairs of features turned by a cosine and a sine each.
 *
 * (a, b) becomes (a c1 - b s1, b c2 + a s2), each product and sum rounded in f32, so that f32 has the bits of the
 * composition; f16 and bf16 are read into f32 and rounded once. Levels give the same bits.
 */
#ifndef EM_DEVICE_CPU_ROTARY_H
#define EM_DEVICE_CPU_ROTARY_H

#include <stdbool.h>
#include <stdint.h>

#include <emily/dtype.h>

#include "core/cpu.h"

/* One row of 2 * half features; out may be x. Tables hold `half` entries (a pair has one) or, with `full`, an entry a
 * feature. */
typedef void (*em__rotary_fn)(void *out, const void *x, const float *cosine, const float *sine, int64_t half,
                              bool full);

typedef struct em__rotary {
    em__rotary_fn halves[EM_DTYPE_COUNT]; /* feature i turns with half + i; NULL where there is no kernel */
    em__rotary_fn pairs[EM_DTYPE_COUNT];  /* feature 2i turns with 2i + 1 */

    /* cos and sin of position * turn[i], the angle brought into one turn in double. */
    void (*angles)(float *cosine, float *sine, const double *turn, double position, int64_t n);
} em__rotary;

/* The kernels of `level` or the best below it. The machine must run them. */
void em__rotary_init(em__rotary *kernels, em__cpu_level level);

/* Those of em__cpu_get()->level. Any thread. */
const em__rotary *em__rotary_get(void);

void em__rotary_fill_portable(em__rotary *kernels);
void em__rotary_fill_avx2(em__rotary *kernels);
void em__rotary_fill_avx512(em__rotary *kernels);

#endif
