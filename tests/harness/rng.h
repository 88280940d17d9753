/*
 * Random test data: the same on every machine for the same seed, and fond of edges.
 */
#ifndef EM_TESTS_RNG_H
#define EM_TESTS_RNG_H

#include <stddef.h>
#include <stdint.h>

#include <emily/dtype.h>

typedef struct rng {
    uint64_t state; /* the seed; any value */
} rng;

uint64_t rng_u64(rng *r);
size_t rng_below(rng *r, size_t n);                  /* uniform in [0, n); 0 when n is 0 */
double rng_unit(rng *r);                             /* uniform in [0, 1) */
double rng_between(rng *r, double low, double high); /* uniform */
double rng_normal(rng *r);                           /* mean 0, deviation 1 */

/* Normal values (integers: of the whole range, biased to small ones): what arithmetic tests want. */
void rng_fill(rng *r, em_dtype dtype, void *data, size_t n);

/* The same, with about one element in four an edge of the dtype: zeros of both signs, one, the least and the largest
 * value, subnormals, infinities, NaN, halves (ties of rounding). */
void rng_fill_edges(rng *r, em_dtype dtype, void *data, size_t n);

#endif
