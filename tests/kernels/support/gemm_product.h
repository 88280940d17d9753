/* One matrix product of random numbers, how it is run, and what comes out in double precision. */
#ifndef EM_TESTS_KERNELS_GEMM_PRODUCT_H
#define EM_TESTS_KERNELS_GEMM_PRODUCT_H

#include "device/cpu/gemm.h"
#include "harness/expect.h"

/* One product with everything that it needs. */
typedef struct gemm_product {
    em__gemm_args args;
    float *a, *source, *c, *bias, *residual;
    float *packed;
    size_t packed_bytes;
    bool transposed; /* source is [n, k] */
} gemm_product;

gemm_product gemm_product_new(int64_t m, int64_t n, int64_t k, bool transposed, int64_t pad);
void gemm_product_free(gemm_product *p);
void gemm_product_pack(gemm_product *p, const em__gemm_kernels *kernels, em__pool *pool);
void gemm_product_run(gemm_product *p, const em__gemm_kernels *kernels, em__pool *pool);

/* Fails with `what` and the place where an element of C is not what double precision has. */
void gemm_product_check(const gemm_product *p, const char *what);

/* The kernels of that level, NULL where this machine has none. */
const em__gemm_kernels *gemm_level(em__cpu_level level);

/* An activation. */
void gemm_halve_negative(void *out, const void *in, size_t n);

/* The same bits; NaN is NaN. */
bool gemm_same_bits(const float *x, const float *y, int64_t count);

uint32_t gemm_random(void);
float *gemm_random_floats(int64_t count); /* in [-1, 1); to be freed */

/* Pools of 1, 2, 3 and 5 threads, between setup and teardown of a group of tests. */
enum { GEMM_POOLS = 4 };
extern em__pool *gemm_pools[GEMM_POOLS];
int gemm_setup(void **state);
int gemm_teardown(void **state);

#endif
