/*
 * Matrix products on the CPU: C[m,n] = activation(A[m,k] B[k,n] + bias[n]) + residual[m,n].
 *
 * B is packed once (weights) into panels of EM__GEMM_PANEL columns, the last one filled with zero columns; what a panel
 * holds is the business of the kernels that packed it. Panels of one k stand one after the other, so packing pieces
 * whose n is a multiple of EM__GEMM_PANEL behind each other is the same as packing them side by side (q, k and v of one
 * layer, say).
 *
 * The bits of C[i,j] are a function of A's row i, B's column j, bias, activation and residual alone: k is cut into
 * chunks of EM__GEMM_CHUNK; each chunk is one chain of fused multiply-adds from +0 in ascending k; the chunk sums are
 * added in ascending order; then bias, activation and residual round separately. So they do not depend on the thread
 * count, on the blocking, on the other rows, or on the vector width. The portable kernels do the same, with the
 * product rounded by itself where the compiler has no fused multiply-add. The kernels of level AMX have an order of
 * their own (gemm_split.h), with the same independence of everything else and a smaller error; which products are left
 * to the level below, dot.c says.
 */
#ifndef EM_DEVICE_CPU_GEMM_H
#define EM_DEVICE_CPU_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/dtype.h>
#include <emily/status.h>

#include "core/cpu.h"
#include "core/pool.h"

#define EM__GEMM_PANEL 32
#define EM__GEMM_CHUNK 128 /* the longer the chain, the larger its error: with 384 it would be 1.7 times this one's */

typedef struct em__gemm_kernels em__gemm_kernels;

/* The kernels of a level, or of the best one this machine and this build have below it. Any thread, no cost. */
const em__gemm_kernels *em__gemm_kernels_get(em__cpu_level level);

/* The level that em__gemm_kernels_get really gave. */
em__cpu_level em__gemm_kernels_level(const em__gemm_kernels *kernels);

/* Applied in place (out is in) to pieces of finished rows. It is em__unary_fn of elementwise.h, so that the fused form
 * has the bits of the composed one: an element's result must not depend on where a piece begins. */
typedef void (*em__gemm_activation)(void *out, const void *in, size_t n);

/* B as halves where they lie: element (k, j) is data[j * row + k * depth], bf16 or f16. Packed: data is an em__bf12
 * (gemm_packed.h) of bf16 and depth is 1. */
typedef struct em__gemm_half {
    const uint16_t *data;
    em_dtype dtype;
    int64_t row, depth;
    bool packed;
} em__gemm_half;

typedef struct em__gemm_args {
    int64_t m, n, k;
    const float *a;
    int64_t lda;        /* elements from one row of A to the next; its rows are contiguous */
    const float *b;     /* packed */
    em__gemm_half half; /* in place of b, for em__gemm_half_run alone */
    const float *laid;  /* A as em__gemm_lay left it, or NULL; for a packed half */
    float *c;           /* overlaps no input */
    int64_t ldc;
    const float *bias;              /* [n], or NULL */
    em__gemm_activation activation; /* or NULL */
    const float *residual;          /* [m, n], added after the activation, or NULL */
    int64_t ldr;
} em__gemm_args;

/* Bytes of packed B, a multiple of 64. 0 when the size does not fit a size_t. The memory must be
 * 64-byte aligned. */
size_t em__gemm_f32_packed_bytes(const em__gemm_kernels *kernels, int64_t n, int64_t k);

/* Packs B: element (k, n) is src[k * stride_k + n * stride_n]. Fast when one of the strides is 1: stride_k 1 is a
 * Hugging Face Linear weight [n, k], stride_n 1 is the right side of a matmul [k, n]. `pool` may be NULL. */
void em__gemm_f32_pack(const em__gemm_kernels *kernels, em__pool *pool, float *dst, const float *src, int64_t n,
                       int64_t k, int64_t stride_n, int64_t stride_k);

/* Worker scratch that em__gemm_f32 uses. Reserving it beforehand makes the call free of allocations. */
size_t em__gemm_scratch_bytes(const em__gemm_kernels *kernels, int64_t k);

/* Runs the product. Fails only with EM_ERROR_OUT_OF_MEMORY, when the scratch cannot be reserved. `pool` may be NULL:
 * then it runs on the caller alone and fails when it needs scratch and cannot get it. */
em_status em__gemm_f32(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args);

/* The same of `half` in place of b, with the bits that its cast to f32 would have; but at level AMX up to 8 rows, f16
 * and a `half` whose depth is not 1 have those of level AVX512. `pool` is needed. */
em_status em__gemm_half_run(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_args *args);
size_t em__gemm_half_scratch_bytes(const em__gemm_kernels *kernels, int64_t k);

/* What makes a product of few rows with packed halves faster, for the same bits: A laid out for them, in so many bytes
 * of memory. 0: it would not. */
size_t em__gemm_laid_bytes(const em__gemm_kernels *kernels, int64_t m, int64_t k);
void em__gemm_lay(const em__gemm_kernels *kernels, const em__gemm_args *args, float *to);

#define EM__GEMM_BATCH_RANK 8

/* One side of a batch of products: strides in elements of its rows, of its depth (k), and of the batch's axes. */
typedef struct em__gemm_operand {
    const float *data;
    int64_t row, depth;
    int64_t batch[EM__GEMM_BATCH_RANK];
} em__gemm_operand;

/* C[i] = A[i] B[i] for every index i of the batch. Any strides, 0 too; fast where row or depth is 1. */
typedef struct em__gemm_batch {
    int64_t m, n, k;
    int rank; /* axes of the batch; 0 for one product */
    int64_t dims[EM__GEMM_BATCH_RANK];
    em__gemm_operand a; /* rows are those of C */
    em__gemm_operand b; /* rows are C's columns */
    float *c;           /* [dims..., m, n], contiguous; overlaps no input */
    void *memory;       /* as many bytes as em__gemm_f32_batched_needs says, 64-byte aligned; NULL when that is 0 */
} em__gemm_batch;

/* What the products need beforehand: bytes of memory, and bytes of worker scratch to reserve. False when an operand is
 * larger than an address space. */
bool em__gemm_f32_batched_needs(const em__gemm_kernels *kernels, const em__gemm_batch *args, size_t *memory,
                                size_t *scratch);

/* Runs the products with the bits of em__gemm_f32. Many small ones go side by side; a large one is cut over the pool.
 * Allocates nothing when the scratch was reserved. Fails only with EM_ERROR_OUT_OF_MEMORY. */
em_status em__gemm_f32_batched(const em__gemm_kernels *kernels, em__pool *pool, const em__gemm_batch *args);

#endif
