/*
 * Products of f32 with half weights, whose meaning is that of the weights cast to f32.
 *
 * With bf16 weights x is cut into three bf16 that add up to it exactly (8 bits of it each), and three products of bf16
 * with sums in f32 are added up, the smallest first: each product of elements is exact. A call that lets x be rounded
 * has one product with x rounded to bf16. Weights of f16 are widened, a part of the rows at a time.
 */
#ifndef EM_DEVICE_CUDA_MIXED_H
#define EM_DEVICE_CUDA_MIXED_H

#include "device/cuda/blas.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em__mixed {
    em_dtype weight; /* f16 or bf16; f32 too, which is a plain product */
    bool round;      /* x to bf16 */
    int64_t m, k;
    em__matrix x;
} em__mixed;

/* Bytes of scratch: for x as the products read it, and for a weight of so many rows. */
size_t em__cuda_mixed_scratch(const em__mixed *mixed, int64_t rows);

/* A weight, and where its product goes: d = x w^T + c + bias, rows of c and d are ldd apart. */
typedef struct em__mixed_weight {
    int64_t n; /* rows */
    em__matrix as;
    const void *w;
    const float *bias, *c; /* NULL: none */
    float *d;
    int64_t ldd;
} em__mixed_weight;

/* Whether the product can be had; of the pointers only which are NULL counts. */
bool em__cuda_mixed_takes(em__cuda *cuda, const em__mixed *mixed, const em__mixed_weight *weight);

/* x into scratch, to be asked for once; then any number of products with it. */
em_status em__cuda_mixed_begin(em__cuda *cuda, const em__mixed *mixed, const void *x, char *scratch);
em_status em__cuda_mixed_run(em__cuda *cuda, const em__mixed *mixed, const void *x, const em__mixed_weight *weight,
                             char *scratch);

/* Halves to f32, row-major. */
em_status em__cuda_widen(em__cuda *cuda, const void *from, em_dtype dtype, int64_t size, float *to);

#ifdef __cplusplus
}
#endif
#endif
