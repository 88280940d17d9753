/*
 * Reductions over the middle axis of [outer, reduce, inner], contiguous: sum, mean, product, maximum, minimum, all,
 * any, argmax, argmin.
 *
 * f16 and bf16 accumulate in f32; integers wrap; a NaN makes max and min NaN, and the first NaN is argmax and argmin.
 * The order of float additions is fixed by the shape alone: rows (inner 1) in the tree of vecmath_tree.h, by blocks of
 * 4096 and parts of at least 16384 elements; columns in groups of four rows, blocks of 256, and 64 of these. So results
 * do not depend on the pool, and f32, f16 and bf16 have the same bits at AVX2 and AVX-512.
 */
#ifndef EM_DEVICE_CPU_REDUCE_H
#define EM_DEVICE_CPU_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/dtype.h>

#include "core/cpu.h"
#include "core/pool.h"

#define EM__REDUCE_TILE 512   /* the most columns a column kernel takes */
#define EM__REDUCE_BLOCK 256  /* rows it adds up before it adds to its result */
#define EM__REDUCE_PART 16384 /* elements of a row, at least, that become one partial result */

typedef enum em__reduce_op {
    EM__REDUCE_SUM,     /* of nothing: 0 */
    EM__REDUCE_PRODUCT, /* 1 */
    EM__REDUCE_MAX,     /* the lowest value, -inf for floats */
    EM__REDUCE_MIN,     /* the highest */
    EM__REDUCE_ALL,     /* true; the result is pred */
    EM__REDUCE_ANY,     /* false; the result is pred */
    EM__REDUCE_COUNT,
    EM__REDUCE_MEAN = EM__REDUCE_COUNT /* floats: sum / count, rounded once; drivers only, it has no kernel */
} em__reduce_op;

typedef enum em__arg_op { EM__ARG_MAX, EM__ARG_MIN, EM__ARG_COUNT } em__arg_op;

/* The reduction of n contiguous elements into one accumulator. */
typedef void (*em__reduce_row_fn)(void *acc, const void *x, size_t n);

/* acc[c] = the reduction of x[r * stride + c] over r < rows, for c < width <= EM__REDUCE_TILE. */
typedef void (*em__reduce_column_fn)(void *acc, const void *x, size_t rows, size_t stride, size_t width);

/* The index of the first (or last) extreme of n > 0 elements; the first NaN's if there is one. */
typedef size_t (*em__arg_fn)(const void *x, size_t n, bool last);

typedef struct em__reduce {
    em__reduce_row_fn row[EM__REDUCE_COUNT][EM_DTYPE_COUNT];
    em__reduce_column_fn column[EM__REDUCE_COUNT][EM_DTYPE_COUNT];
    em__arg_fn arg[EM__ARG_COUNT][EM_DTYPE_COUNT];
    em__cpu_level level;

    size_t chunk;  /* elements that one worker takes at a time */
    size_t serial; /* elements up to which the caller does it alone */
} em__reduce;

/* Fills the table with the kernels of `level` and, where it has none, of those below. The machine must run them. */
void em__reduce_init(em__reduce *kernels, em__cpu_level level);

/* The table of em__cpu_get()->level. Any thread. */
const em__reduce *em__reduce_get(void);

/* The dtype of an accumulator: pred for all and any, f32 for f16 and bf16, else the operand's. */
em_dtype em__reduce_acc(em__reduce_op op, em_dtype dtype);

/* out[outer, inner] on the pool (NULL: on the caller). The result has the operand's dtype, or is pred for all and any.
 * Allocates nothing. The slot must not be null. */
void em__reduce_run(const em__reduce *kernels, em__pool *pool, em__reduce_op op, em_dtype dtype, void *out,
                    const void *x, size_t outer, size_t reduce, size_t inner);

/* out[outer, inner], s64 indices along the middle axis; reduce > 0. */
void em__reduce_arg(const em__reduce *kernels, em__pool *pool, em__arg_op op, em_dtype dtype, int64_t *out,
                    const void *x, size_t outer, size_t reduce, size_t inner, bool last);

/* The levels' own parts of em__reduce_init. */
void em__reduce_fill_portable(em__reduce *kernels);
void em__reduce_fill_avx2(em__reduce *kernels);
void em__reduce_fill_avx512(em__reduce *kernels);

#endif
