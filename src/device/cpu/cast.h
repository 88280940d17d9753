/*
 * Conversions between dtypes, contiguous. pred, u8..u64, s8..s64, f16, bf16, f32, f64: a kernel for every pair. f8 and
 * complex have kernels from and to the floats beside them, dtypes below a byte from and to u8, s8, f32 and f64; their
 * other slots are null, and em__cast_run takes two steps. A kernel begins at a byte of memory.
 *
 * Float to integer truncates toward zero and saturates, NaN is 0. Integer to a narrower one keeps the low bits. To
 * pred is x != 0 (NaN is true); from pred is 0 or 1. To a float rounds once to nearest even.
 */
#ifndef EM_DEVICE_CPU_CAST_H
#define EM_DEVICE_CPU_CAST_H

#include <stddef.h>

#include <emily/dtype.h>

#include "core/cpu.h"
#include "core/pool.h"

typedef void (*em__cast_fn)(void *out, const void *in, size_t n); /* no overlap */

typedef struct em__cast {
    em__cast_fn fn[EM_DTYPE_COUNT][EM_DTYPE_COUNT]; /* [from][to] */
    em__cpu_level level;
} em__cast;

/* Fills the table with the kernels of `level` and, where it has none, of those below. The machine must run them. */
void em__cast_init(em__cast *kernels, em__cpu_level level);

/* The table of em__cpu_get()->level. Any thread. */
const em__cast *em__cast_get(void);

/* Where a conversion passes through: `to` when it has a kernel, else the dtype between two kernels. Rounds once all the
 * same: what lies between holds the operand, or is far beyond the result's range where it does not. */
em_dtype em__cast_between(const em__cast *kernels, em_dtype from, em_dtype to);

/* n elements on the pool (NULL: on the caller), any pair. */
void em__cast_run(const em__cast *kernels, em__pool *pool, em_dtype from, em_dtype to, void *out, const void *in,
                  size_t n);

/* The levels' own parts of em__cast_init. */
void em__cast_fill_portable(em__cast *kernels);
void em__cast_fill_parts(em__cast *kernels);
void em__cast_fill_sub_byte(em__cast *kernels);
void em__cast_fill_avx2(em__cast *kernels);
void em__cast_fill_avx512(em__cast *kernels);

#endif
