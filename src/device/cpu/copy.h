/*
 * Copies between strided layouts: transposes, slices, reversals, broadcasts, pads. Any element size of 1, 2, 4, 8, 16.
 *
 * The plan drops dimensions of one element, orders the rest by the output's strides and merges neighbours, so that a
 * copy becomes one of: whole lines (memcpy), a fill, a transpose in blocks, or single elements.
 */
#ifndef EM_DEVICE_CPU_COPY_H
#define EM_DEVICE_CPU_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cpu.h"
#include "core/pool.h"

#define EM__COPY_RANK 8

typedef struct em__copy_layout {
    int rank; /* 0..EM__COPY_RANK */
    size_t size;
    int64_t dims[EM__COPY_RANK];
    int64_t out_strides[EM__COPY_RANK]; /* in elements; may be negative, not 0 where the dim is above 1 */
    int64_t in_strides[EM__COPY_RANK];  /* in elements; may be negative or 0 (broadcast) */
} em__copy_layout;

/* out[r * out_stride + c] = in[c * in_stride + r] for r < rows, c < cols; strides in elements. `stream`: the output
 * exceeds the caches, a kernel may write past them. */
typedef void (*em__transpose_fn)(void *out, int64_t out_stride, const void *in, int64_t in_stride, size_t rows,
                                 size_t cols, bool stream);

/* out[i * out_step] = in[i * in_step] for i < n. */
typedef void (*em__line_fn)(void *out, int64_t out_step, const void *in, int64_t in_step, size_t n);

typedef struct em__copy {
    em__transpose_fn transpose[5]; /* by the logarithm of the element size */
    em__line_fn line[5];
    em__cpu_level level;
} em__copy;

/* Fills the table with the kernels of `level` and, where it has none, of those below. The machine must run them. */
void em__copy_init(em__copy *kernels, em__cpu_level level);

/* The table of em__cpu_get()->level. Any thread. */
const em__copy *em__copy_get(void);

/* Copies on the pool (NULL: on the caller). `out` and `in` point at the element whose indices are all 0. They must not
 * overlap. Pointers and strides fit the element size's alignment. Allocates nothing. */
void em__copy_run(const em__copy *kernels, em__pool *pool, void *out, const void *in, const em__copy_layout *layout);

/* out[0..n) = *value, on the pool (NULL: on the caller). */
void em__copy_fill(const em__copy *kernels, em__pool *pool, void *out, const void *value, size_t size, size_t n);

/* The levels' own parts of em__copy_init. */
void em__copy_fill_portable(em__copy *kernels);
void em__copy_fill_avx2(em__copy *kernels);

#endif
