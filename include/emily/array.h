/*
 * Arrays and scopes.
 *
 * An em_array is an immutable, lazy, reference-counted tensor: its shape and dtype are known at once, its elements
 * when somebody asks (em_eval, em_array_data) or never. A wrong shape is reported by the op that got it.
 *
 * A scope owns the arrays that ops make in it, and keeps the first error: later ops in that scope pass through and
 * return NULL, so maths reads like maths and there is one place to look.
 *
 *     em_scope *s = em_scope_new(NULL);
 *     em_array *a = em_constant_f32(s, values, em_shape(2, 3));
 *     em_array *m = em_max(s, em_exp(s, a), EM_AXES(-1), false);
 *     if (em_eval(s, m) != EM_OK)
 *         fprintf(stderr, "%s\n", em_scope_error(s));
 *     em_scope_free(s);
 */
#ifndef EMILY_ARRAY_H
#define EMILY_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/attributes.h>
#include <emily/device.h>
#include <emily/dtype.h>
#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_array em_array;
typedef struct em_scope em_scope;

/* ---- scopes ---- */

/* A scope on `device`, NULL for the default (EMILY_DEVICE, else cpu). NULL when memory runs out or EMILY_DEVICE names
 * no device, with em_last_error(). The caller frees it. One thread at a time. */
EM_API em_scope *em_scope_new(em_device *device);

/* Releases every array that the scope holds. NULL is fine. */
EM_API void em_scope_free(em_scope *scope);

/* The first error in the scope: its status (EM_OK if none) and its text ("" if none, valid while the scope lives). */
EM_API em_status em_scope_status(const em_scope *scope);
EM_API const char *em_scope_error(const em_scope *scope);

/* Puts an array that the caller owns under the scope's care; returns it. NULL passes through. When memory runs out the
 * array is released, the scope has the error, and the result is NULL. */
EM_API em_array *em_scope_adopt(em_scope *scope, em_array *array);

/* ---- arrays from memory ---- */

/* A copy of `values`: prod(dims) elements of `dtype`, row-major. Owned by the scope; `values` stays the caller's;
 * it needs no alignment, and may be NULL for an empty array. NULL once the scope has an error. */
EM_API em_array *em_constant(em_scope *scope, em_dtype dtype, const void *values, em_dims dims);
EM_API em_array *em_constant_f32(em_scope *scope, const float *values, em_dims dims);

/* A scalar of `dtype`; integers are exact up to 2^53. */
EM_API em_array *em_scalar(em_scope *scope, em_dtype dtype, double value);

/* An array over foreign memory, without a copy: `data` holds prod(dims) row-major elements, aligned to their
 * size (complex: to half of it), NULL for an empty array, and must stay unchanged until free_fn(user) is called, once,
 * when the last reference dies: on any thread, perhaps inside an evaluation, so that it must not evaluate anything
 * (free_fn NULL: there is nothing to free). The result belongs to the caller: em_array_release. NULL on failure, with
 * em_last_error(): EM_ERROR_INVALID_ARGUMENT or EM_ERROR_OUT_OF_MEMORY; free_fn is then not called. Any thread. */
EM_API em_array *em_array_wrap(em_dtype dtype, const void *data, em_dims dims, void (*free_fn)(void *user), void *user);

/* ---- references ---- */

/* One more reference; returns `array`. NULL passes through. Any thread. */
EM_API em_array *em_array_retain(em_array *array);

/* Drops the reference and sets *array to NULL. NULL and *array == NULL are fine. Any thread. */
EM_API void em_array_release(em_array **array);

/* ---- what it is ---- */

/* Known before the elements are; nothing is computed. Any thread. */
EM_API em_dtype em_array_dtype(const em_array *array); /* f32 for NULL */
EM_API em_dims em_array_dims(const em_array *array);   /* rank 0 for NULL */
EM_API size_t em_array_size(const em_array *array);    /* number of elements; 0 for NULL */
EM_API size_t em_array_bytes(const em_array *array);   /* of all elements; 0 for NULL */

/* ---- its elements ---- */

/* Computes the array (and what it needs). An error goes to the scope too; after a failure the array may be evaluated
 * again. Safe on any thread; evaluations run one after another. */
EM_API em_status em_eval(em_scope *scope, em_array *array);
EM_API em_status em_array_eval(em_array *array);

/* The row-major elements, computed if need be; valid while the array lives, and not NULL for an empty one. NULL on
 * failure, or for a NULL array: em_last_error() has the first cause. Any thread. */
EM_API const void *em_array_data(em_array *array);

/* sum(a[i] * b[i]), accumulated in double; NaN when one is NULL and n is not 0. Any thread. */
EM_API double em_dot_f32(const float *a, const float *b, size_t n);

#ifdef __cplusplus
}
#endif
#endif
