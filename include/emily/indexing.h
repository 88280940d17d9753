/*
 * Ops that pick, place and arrange elements. As in ops.h: each takes a scope and borrowed arrays and returns an array
 * of the scope, NULL once the scope has an error (EM_ERROR_INVALID_ARGUMENT for a wrong shape, axis or dtype,
 * EM_ERROR_OUT_OF_MEMORY). A scope belongs to one thread at a time.
 *
 * Indices are arrays of any integer dtype. Reading: an index out of range, negative ones too, is clamped into it.
 * Writing: an update whose index is out of range is dropped. Starts of slices are clamped so that the slice fits.
 */
#ifndef EMILY_INDEXING_H
#define EMILY_INDEXING_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- reading by index ---- */

/* result[.., i, ..] = a[.., indices[.., i, ..], ..] along `axis`; indices has a's rank and, but for `axis`, a's
 * dimensions. */
EM_API em_array *em_take_along_axis(em_scope *scope, em_array *a, em_array *indices, int axis);

/* indices [.., k]: the last axis holds a position on each of the k named axes of a (all named axes differ; EM_ALL_AXES
 * means the first k). Result: [.., a's other axes]. */
EM_API em_array *em_gather(em_scope *scope, em_array *a, em_array *indices, em_axes axes);

/* lengths[i] elements of axis i from starts[i] (a scalar integer array each, a's rank of them) on, every strides[i]-th;
 * strides NULL: all 1. A start is clamped to [0, dim - lengths[i]]. 0 <= lengths[i] <= dim. */
EM_API em_array *em_dynamic_slice(em_scope *scope, em_array *a, em_array *const *starts, const int64_t *lengths,
                                  const int64_t *strides);

/* ---- writing by index: the result is a copy of `a` with changes. Dtypes are promoted ---- */

/* Adds updates [.., a's other axes] at indices [.., k] on the named axes, as em_gather reads them. Where indices
 * repeat, all updates are added, one after another in row-major order of the indices, rounded each time: the same bits
 * on every run and for any number of threads. pred counts as u8. */
EM_API em_array *em_indexed_add(em_scope *scope, em_array *a, em_array *indices, em_array *updates, em_axes axes);

/* The same, but updates replace elements. Where indices repeat, the last in row-major order stays. */
EM_API em_array *em_indexed_put(em_scope *scope, em_array *a, em_array *indices, em_array *updates, em_axes axes);

/* a with `update` (a's rank, no dimension larger than a's) laid over it from starts[i] on, clamped to
 * [0, dim - update's]. */
EM_API em_array *em_put_slice(em_scope *scope, em_array *a, em_array *update, em_array *const *starts);

/* ---- arranging ---- */

/* a repeated reps[i] >= 0 times along axis i: as a whole (tile) by a list of a's rank; element by element (repeat). */
EM_API em_array *em_tile(em_scope *scope, em_array *a, const int64_t *reps);
EM_API em_array *em_repeat(em_scope *scope, em_array *a, int64_t count, int axis);

/* `count` >= 1 arrays of one shape and dtype side by side on a new axis. */
EM_API em_array *em_stack(em_scope *scope, em_array *const *arrays, size_t count, int axis);

/* The count + 1 views of a before, between and behind the places at[0] <= at[1] .. on `axis` into out; false, with all
 * of `out` NULL, once the scope has an error. */
EM_API bool em_split(em_scope *scope, em_array *a, const int64_t *at, int count, int axis, em_array **out);

/* Elements move `shift` places up along `axis`, those that fall off come in at the other end. */
EM_API em_array *em_roll(em_scope *scope, em_array *a, int64_t shift, int axis);

/* a[.., i, i + offset] of the last two axes: [.., length]. A view where a is one. An offset beyond them is an error. */
EM_API em_array *em_diagonal(em_scope *scope, em_array *a, int64_t offset);

/* The square matrix with the vector `a` on that diagonal, 0 elsewhere. */
EM_API em_array *em_make_diagonal(em_scope *scope, em_array *a, int64_t offset);

/* Products of all pairs: [a's size, b's size]. */
EM_API em_array *em_outer(em_scope *scope, em_array *a, em_array *b);

/* a's last two axes where column - row <= offset (tril) or >= offset (triu), 0 elsewhere. */
EM_API em_array *em_tril(em_scope *scope, em_array *a, int64_t offset);
EM_API em_array *em_triu(em_scope *scope, em_array *a, int64_t offset);

/* ---- making ---- */

/* `value` everywhere: em_scalar broadcast, without memory of its own. Where a double can't hold the value, broadcast an
 * em_constant of rank 0 instead. */
EM_API em_array *em_full(em_scope *scope, em_dtype dtype, double value, em_dims dims);

/* Over the last two of dims (rank 2 or more): 1 where column - row == offset (eye), or <= offset (tri); 0 elsewhere. */
EM_API em_array *em_eye(em_scope *scope, em_dtype dtype, em_dims dims, int64_t offset);
EM_API em_array *em_tri(em_scope *scope, em_dtype dtype, em_dims dims, int64_t offset);

#ifdef __cplusplus
}
#endif
#endif
