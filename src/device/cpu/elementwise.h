/*
 * Elementwise kernels of the CPU: raw loops over contiguous elements, by op and dtype, with no tensor type above them.
 *
 * Outputs may be the very memory of an input of the same element size, but not overlap it otherwise. A null slot means
 * that the op has no meaning for the dtype. f8 has no slots: the drivers take it through the f32 kernels, block by
 * block. pred is a byte, 0 or 1; inputs count any nonzero byte as true. f16, bf16 and f8 are computed in f32 and
 * rounded once; complex has one set of kernels for all levels.
 *
 * f32, f16 and bf16 results have the same bits at AVX2 and AVX-512. An element's result never depends on where in the
 * array it stands, so any cut into chunks gives the same bits.
 */
#ifndef EM_DEVICE_CPU_ELEMENTWISE_H
#define EM_DEVICE_CPU_ELEMENTWISE_H

#include <stddef.h>
#include <stdint.h>

#include <emily/dtype.h>

#include "core/cpu.h"
#include "core/pool.h"

typedef enum em__unary_op {
#define EM__UNARY_ANY(NAME, name) EM__UNARY_##NAME,
#define EM__UNARY_FLOAT(NAME, name) EM__UNARY_##NAME,
#define EM__UNARY_INT(NAME, name) EM__UNARY_##NAME,
#define EM__UNARY_TEST(NAME, name) EM__UNARY_##NAME,
#define EM__UNARY_COMPLEX(NAME, name) EM__UNARY_##NAME,
#include "device/cpu/elementwise_ops.def"
    EM__UNARY_COUNT
} em__unary_op;

typedef enum em__binary_op {
#define EM__BINARY_ANY(NAME, name) EM__BINARY_##NAME,
#define EM__BINARY_FLOAT(NAME, name) EM__BINARY_##NAME,
#define EM__BINARY_INT(NAME, name) EM__BINARY_##NAME,
#define EM__BINARY_TEST(NAME, name) EM__BINARY_##NAME,
#define EM__BINARY_PARTS(NAME, name) EM__BINARY_##NAME,
#include "device/cpu/elementwise_ops.def"
    EM__BINARY_COUNT
} em__binary_op;

/* Which operands are one scalar instead of n elements; a sum of flags. */
typedef enum em__mode { EM__VV = 0, EM__SCALAR_A = 1, EM__SCALAR_B = 2, EM__SCALAR_AB = 3 } em__mode;

typedef void (*em__unary_fn)(void *out, const void *in, size_t n);
typedef void (*em__binary_fn)(void *out, const void *a, const void *b, size_t n, em__mode mode);
typedef void (*em__select_fn)(void *out, const uint8_t *pred, const void *a, const void *b, size_t n, em__mode mode);
typedef void (*em__clip_fn)(void *out, const void *in, const void *low, const void *high, size_t n); /* two scalars */

typedef struct em__elementwise {
    em__unary_fn unary[EM__UNARY_COUNT][EM_DTYPE_COUNT];
    em__binary_fn binary[EM__BINARY_COUNT][EM_DTYPE_COUNT];
    em__select_fn select[EM_DTYPE_COUNT]; /* pred ? a : b; complex included */
    em__clip_fn clip[EM_DTYPE_COUNT];     /* max(low, min(high, x)), NaN stays */
    em__cpu_level level;                  /* the best that was filled in */

    /* Block sizes of the drivers below. */
    size_t chunk;       /* elements that one worker takes at a time */
    size_t serial;      /* bytes read and written up to which the caller does it alone */
    size_t stream_from; /* bytes read and written from which results go past the caches */
} em__elementwise;

/* Fills the table with the kernels of `level` and, where it has none, of those below. The machine must run them. */
void em__elementwise_init(em__elementwise *kernels, em__cpu_level level);

/* The table of em__cpu_get()->level. Any thread. */
const em__elementwise *em__elementwise_get(void);

/* The dtype whose kernels compute a dtype: f32 for f8, else the dtype itself. */
static inline em_dtype em__elementwise_by(em_dtype dtype)
{
    return dtype == EM_F8_E4M3FN || dtype == EM_F8_E5M2 ? EM_F32 : dtype;
}

/* Bytes of an element of the result: 1 for the ops that give pred, those of the parts where an op takes complex numbers
 * apart or puts them together, else the dtype's. */
size_t em__unary_out_size(em__unary_op op, em_dtype dtype);
size_t em__binary_out_size(em__binary_op op, em_dtype dtype);

/* Run one op over n elements on the pool, in chunks; small n on the caller. `pool` may be NULL. The slot (of f8: f32's)
 * must not be null. Nothing is allocated. Results do not depend on the pool's size. */
void em__elementwise_unary(const em__elementwise *kernels, em__pool *pool, em__unary_op op, em_dtype dtype, void *out,
                           const void *in, size_t n);
void em__elementwise_binary(const em__elementwise *kernels, em__pool *pool, em__binary_op op, em_dtype dtype, void *out,
                            const void *a, const void *b, size_t n, em__mode mode);
void em__elementwise_select(const em__elementwise *kernels, em__pool *pool, em_dtype dtype, void *out,
                            const uint8_t *pred, const void *a, const void *b, size_t n, em__mode mode);
void em__elementwise_clip(const em__elementwise *kernels, em__pool *pool, em_dtype dtype, void *out, const void *in,
                          const void *low, const void *high, size_t n);

/* Copies past the caches where the machine can; no overlap. Before other threads may read the results, the copying
 * thread calls em__stream_end once. */
void em__stream_copy(void *out, const void *in, size_t bytes);
void em__stream_end(void);

/* The functions without a place in libm. */
double em__erf_inv(double x);
double em__logaddexp(double a, double b);
float em__logaddexp_f32(float a, float b);

/* The levels' own parts of em__elementwise_init. */
void em__elementwise_fill_complex(em__elementwise *kernels); /* for all levels */
void em__elementwise_fill_portable(em__elementwise *kernels);
void em__elementwise_fill_avx2(em__elementwise *kernels);
void em__elementwise_fill_avx512(em__elementwise *kernels);
/* f64 and integers, which these call: a file of their own, so that a build has more to do at a time. */
void em__elementwise_plain_portable(em__elementwise *kernels);
void em__elementwise_plain_avx2(em__elementwise *kernels);
void em__elementwise_plain_avx512(em__elementwise *kernels);

#endif
