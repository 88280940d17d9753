/*
 * Running sums, products, maxima and minima of contiguous lines.
 *
 * A line is cut into blocks of EM__SCAN_BLOCK elements, by its length alone. Inside a block vectors of 64 bytes are
 * scanned by doubling, after the total of the vectors before; the total of the blocks before is added last. So the
 * order of additions, and with it every bit, is the same at each level and for any cut of the work.
 */
#ifndef EM_DEVICE_CPU_SCAN_H
#define EM_DEVICE_CPU_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/dtype.h>

#include "core/cpu.h"

#define EM__SCAN_BLOCK 4096

typedef enum em__scan_op { EM__SCAN_SUM, EM__SCAN_PRODUCT, EM__SCAN_MAX, EM__SCAN_MIN, EM__SCAN_COUNT } em__scan_op;

/* Scans n <= EM__SCAN_BLOCK elements after *carry and brings *carry up to date; backwards, from the last element on,
 * with `reverse`. `out` may be `in`, or NULL: then only *carry changes. */
typedef void (*em__scan_fn)(void *out, const void *in, size_t n, void *carry, bool reverse);

typedef struct em__scan {
    em__scan_fn block[EM__SCAN_COUNT][EM_DTYPE_COUNT]; /* f32, f64 and integers */
    em__cpu_level level;
} em__scan;

/* Fills the table with the kernels of `level` and, where it has none, of those below. The machine must run them. */
void em__scan_init(em__scan *kernels, em__cpu_level level);

/* The table of em__cpu_get()->level. Any thread. */
const em__scan *em__scan_get(void);

/* The carry to begin with (8 bytes are written): what leaves any element as it is. */
void em__scan_nothing(em__scan_op op, em_dtype dtype, void *carry);

/* The levels' own parts of em__scan_init. */
void em__scan_fill_portable(em__scan *kernels);
void em__scan_fill_avx2(em__scan *kernels);
void em__scan_fill_avx512(em__scan *kernels);

#endif
