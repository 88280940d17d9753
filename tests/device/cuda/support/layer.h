/*
 * Layers of a decoder as a program: random weights, the same in all, caches that hold something already. It is run in
 * two ways, each twice with the same bits, and the results are compared.
 */
#ifndef EM_TESTS_CUDA_LAYER_H
#define EM_TESTS_CUDA_LAYER_H

#include <emily/emily.h>

#include "harness/rng.h"

typedef struct layer_shape {
    int batch, tokens, width, heads, kv_heads, head, inner, capacity, place, window;
    bool norms, turned; /* of the heads of queries and keys */
    em_dtype weights, cache;
    int group;   /* not 0: weights are codes of 4 bits in groups of so many */
    int outputs; /* not 0: a norm and a product of so many results stand behind it */
    int layers;  /* 0: one */
    bool apart;  /* x begins 4 bytes behind an aligned place, as a view may */
} layer_shape;

/* How it is compiled. */
typedef struct layer_way {
    em_lane lane;
    bool half_products;
    bool watched; /* the results of both norms are outputs too, which keeps calls from running together */
} layer_way;

/* The root mean square of the differences, of parts of it. */
typedef struct layer_errors {
    double keys, values, result, all;
} layer_errors;

layer_errors layer_compare(em_device *device, rng *random, const layer_shape *as, const layer_way *want,
                           const layer_way *got);

#endif
