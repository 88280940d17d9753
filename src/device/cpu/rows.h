/*
 * Kernels along contiguous rows: softmax and its relatives, layer_norm, rms_norm, l2 normalisation.
 *
 * A row stays in L1 between its passes. Sums run in the fixed tree of vecmath_tree.h, so results have the same bits
 * at AVX2 and AVX-512 and do not depend on the pool. f16 and bf16 rows are computed in f32 and rounded once; f64 rows
 * in f64, one element after the other. The output may be the input itself, row on row, but not overlap it otherwise.
 *
 * As in JAX, softmax of a row of -inf alone, or with +inf or NaN in it, is NaN throughout.
 */
#ifndef EM_DEVICE_CPU_ROWS_H
#define EM_DEVICE_CPU_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include <emily/dtype.h>

#include "core/cpu.h"
#include "core/pool.h"

typedef enum em__softmax_kind {
    EM__SOFTMAX,     /* exp(x - max) / sum */
    EM__LOG_SOFTMAX, /* (x - max) - log(sum) */
    EM__LOGSUMEXP,   /* max + log(sum): one element a row */
    EM__SOFTMAX_COUNT
} em__softmax_kind;

typedef enum em__norm_kind {
    EM__LAYER_NORM, /* (h - mean) / sqrt(variance + eps) * weight + bias; the variance is of the centred row */
    EM__RMS_NORM,   /* h / sqrt(mean of squares + eps) * weight + bias */
    EM__L2_NORM,    /* h / max(length, eps) * weight + bias */
    EM__NORM_COUNT
} em__norm_kind;

/* One row of `cols` > 0 elements. */
typedef void (*em__softmax_fn)(void *out, const void *x, size_t cols);

/* One row, of h = x + residual. residual, weight and bias have `cols` elements of the row's dtype, or are NULL. */
typedef void (*em__norm_fn)(void *out, const void *x, const void *residual, const void *weight, const void *bias,
                            double eps, size_t cols);

typedef struct em__rows {
    em__softmax_fn softmax[EM__SOFTMAX_COUNT][EM_DTYPE_COUNT];
    em__norm_fn norm[EM__NORM_COUNT][EM_DTYPE_COUNT];
    em__cpu_level level;

    size_t chunk;  /* elements, rounded to rows, that one worker takes at a time */
    size_t serial; /* elements up to which the caller does it alone */
} em__rows;

/* Fills the table with the kernels of `level` and, where it has none, of those below. The machine must run them. */
void em__rows_init(em__rows *kernels, em__cpu_level level);

/* The table of em__cpu_get()->level. Any thread. */
const em__rows *em__rows_get(void);

/* All rows of a matrix on the pool (NULL: on the caller). Strides are in elements, from a row to the next; those of
 * EM__LOGSUMEXP's output too. Allocates nothing. */
void em__rows_softmax(const em__rows *kernels, em__pool *pool, em__softmax_kind kind, em_dtype dtype, void *out,
                      size_t out_stride, const void *x, size_t x_stride, size_t rows, size_t cols);

typedef struct em__norm_args {
    void *out;
    const void *x, *residual;  /* residual: NULL for none */
    const void *weight, *bias; /* NULL for none */
    double eps;
    size_t rows, cols;
    size_t out_stride, x_stride, residual_stride;
} em__norm_args;

void em__rows_norm(const em__rows *kernels, em__pool *pool, em__norm_kind kind, em_dtype dtype,
                   const em__norm_args *args);

/* The levels' own parts of em__rows_init. */
void em__rows_fill_portable(em__rows *kernels);
void em__rows_fill_f64(em__rows *kernels);
void em__rows_fill_avx2(em__rows *kernels);
void em__rows_fill_avx512(em__rows *kernels);

#endif
