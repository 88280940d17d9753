/*
 * Matrix products of the dtypes that gemm.h does not take: C[m,n] = A[m,k] B[n,k], batches of them.
 *
 *   dtype        computed as
 *   f64          f64, fused multiply-adds
 *   c64, c128    f32, f64: a row of A is a row of 2 k reals as it lies; B becomes 2 k x 2 n reals, so that C comes out
 *                with real and imaginary parts side by side. Four real products an element.
 *   s32, u32     32 bits, wrapping;  s64, u64  64 bits, wrapping
 *   s8 .. u16    pairs of 16 bits into 32, wrapping: what the result's low bits need
 *   pred         the same: any(and) is a count other than 0
 *
 * Floats: depth is cut into chunks of EM__PRODUCT_CHUNK, each one chain of multiply-adds from +0 in ascending depth,
 * the chunks are added in ascending order. So the bits do not depend on threads, blocking, or the other rows.
 */
#ifndef EM_DEVICE_CPU_PRODUCT_H
#define EM_DEVICE_CPU_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/attributes.h>
#include <emily/dtype.h>

#include "core/cpu.h"
#include "core/pool.h"

#define EM__PRODUCT_CHUNK 128

typedef enum em__product_kind {
    EM__PRODUCT_F32,
    EM__PRODUCT_F64,
    EM__PRODUCT_U32,
    EM__PRODUCT_U64,
    EM__PRODUCT_PAIRS, /* two of 16 bits in each 32 */
    EM__PRODUCT_KINDS
} em__product_kind;

/* rows x columns of C over k steps of depth; elements are the kind's. */
typedef struct em__product_tile {
    const void *a;
    int64_t lda;   /* elements */
    const void *b; /* [k][columns of a panel] */
    void *c;
    int64_t ldc;
    int64_t k;
    int rows, columns;
    bool first;            /* C is overwritten; otherwise added to */
    const char *prefetch;  /* what the following tiles will read: a cache line from here in each step of k, */
    int64_t prefetch_step; /* which then moves on by so many bytes */
} em__product_tile;

typedef struct em__product_kernel {
    int rows, columns; /* of the largest tile: of a panel */
    void (*tile)(const em__product_tile *tile);
} em__product_kernel;

/* The kernel of a level, or of the best one this machine and this build have below it. Any thread, no cost. */
const em__product_kernel *em__product_kernel_get(em__product_kind kind, em__cpu_level level);

typedef struct em__product_kernels {
    em__product_kernel kind[EM__PRODUCT_KINDS];
} em__product_kernels;
void em__product_fill_portable(em__product_kernels *kernels);
void em__product_fill_avx2(em__product_kernels *kernels);
void em__product_fill_avx512(em__product_kernels *kernels);

/* One side: strides in elements of the dtype, of its rows, of its depth, of the batch's axes. */
typedef struct em__product_side {
    const void *data;
    int64_t row, depth;
    int64_t batch[EM_MAX_RANK];
} em__product_side;

typedef struct em__product {
    em_dtype dtype;
    int64_t m, n, k;
    int rank; /* axes of the batch */
    int64_t dims[EM_MAX_RANK];
    em__product_side a, b; /* B's rows are C's columns */
    void *c;               /* [dims..., m, n], contiguous; overlaps no input */
    void *memory;          /* em__product_memory bytes, 64-byte aligned */
} em__product;

/* Whether the dtype is one of these; never f32 and the halves. */
bool em__product_takes(em_dtype dtype);

/* False when it does not fit an address space. */
bool em__product_memory(const em__product *product, em__cpu_level level, size_t *bytes);

/* Runs it; allocates nothing. */
void em__product_run(const em__product *product, em__cpu_level level, em__pool *pool);

#endif
