/*
 * What ops take besides arrays: shapes, axes, and the few enumerations.
 */
#ifndef EMILY_ATTRIBUTES_H
#define EMILY_ATTRIBUTES_H

#include <stdint.h>

#include <emily/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EM_MAX_RANK 8

/* A shape: rank 0 is a scalar. Dimensions are >= 0. */
typedef struct em_dims {
    int rank;
    int64_t dims[EM_MAX_RANK];
} em_dims;

/* A list of axes; a negative axis counts from the last. */
typedef struct em_axes {
    int count; /* -1: all axes */
    int axes[EM_MAX_RANK];
} em_axes;

#ifndef __cplusplus
/* em_shape(2, 3), EM_AXES(-1), and the two that a list can't say. */
#define em_shape(...) ((em_dims){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define EM_AXES(...) ((em_axes){(int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), {__VA_ARGS__}})
#define EM_SCALAR_SHAPE ((em_dims){0, {0}})
#define EM_ALL_AXES ((em_axes){-1, {0}})
#endif

/* How the tokens of a segment become one vector. */
typedef enum em_pool {
    EM_POOL_MEAN,
    EM_POOL_CLS, /* the first token */
    EM_POOL_MAX,
    EM_POOL_LAST,
    EM_POOL_MEAN_SQRT, /* sum / sqrt(count) */
    EM_POOL_WEIGHTED   /* mean weighted by position 1, 2, ... */
} em_pool;

/* How a quantized weight is coded (emily/quantize.h). */
typedef enum em_quant_mode {
    EM_QUANT_AFFINE,
    EM_QUANT_MXFP4, /* Open Compute microscaling formats 1.0 */
    EM_QUANT_MXFP8,
    EM_QUANT_NVFP4
} em_quant_mode;

/* "affine", "mxfp4", "mxfp8", "nvfp4"; "?" for another value. Static memory. */
EM_API const char *em_quant_mode_name(em_quant_mode mode);

/* How em_triangular_solve reads a; flags to be or-ed. 0: a x = b, a lower. */
typedef enum em_triangle {
    EM_TRIANGLE_UPPER = 1,
    EM_TRIANGLE_TRANSPOSE = 2, /* a^T x = b */
    EM_TRIANGLE_ADJOINT = 4,   /* a^H x = b */
    EM_TRIANGLE_RIGHT = 8,     /* x a = b; b [.., k, n] */
    EM_TRIANGLE_UNIT = 16      /* the diagonal is 1 and not read */
} em_triangle;

#ifdef __cplusplus
}
#endif
#endif
