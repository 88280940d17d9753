/*
 * Products small enough to need no packing: B is read where it lies. The bits are those of the packed products of the
 * same dtype: chains of chunk steps, added in order.
 */
#ifndef EM_DEVICE_CPU_GEMM_SMALL_H
#define EM_DEVICE_CPU_GEMM_SMALL_H

#include <stdint.h>

#include "core/cpu.h"

/* C[m,n] = A[m,k] B[k,n]; strides in elements. C's and B's columns are contiguous. */
typedef struct em__gemm_small {
    int64_t m, n, k;
    const void *a;
    int64_t row, depth; /* strides of A */
    const void *b;
    int64_t ldb;
    void *c;
    int64_t ldc;
} em__gemm_small;

typedef void (*em__gemm_small_fn)(const em__gemm_small *args);

/* The function of a level, or of the best one below it; NULL: pack. Any thread, no cost. */
em__gemm_small_fn em__gemm_small_f32(em__cpu_level level);
em__gemm_small_fn em__gemm_small_f64(em__cpu_level level);

/* The levels' own. */
void em__gemm_small_avx2(em__gemm_small_fn *f32, em__gemm_small_fn *f64);
void em__gemm_small_avx512(em__gemm_small_fn *f32, em__gemm_small_fn *f64);

/* Up to so many rows B is read once, or in strips that stay near. */
#define EM__GEMM_SMALL_ROWS 7
/* Otherwise B has at most so many bytes. */
#define EM__GEMM_SMALL_BYTES ((int64_t)96 << 10)

#endif
