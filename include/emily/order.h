/*
 * Ops that put elements in order. NaN counts as greater than everything else: last ascending, first descending. Equal
 * elements (zeros of either sign, all NaN) keep the order they had, in both directions. Complex operands are an error.
 * Scopes, ownership and statuses are as in ops.h.
 */
#ifndef EMILY_ORDER_H
#define EMILY_ORDER_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The elements along `axis` in order; same shape and dtype. */
EM_API em_array *em_sort(em_scope *scope, em_array *a, int axis, bool descending);

/* Where along `axis` each element of em_sort's result stood: s64 of a's shape. */
EM_API em_array *em_argsort(em_scope *scope, em_array *a, int axis, bool descending);

/* The k greatest along `axis`, greatest first, and where they stood (s64): a's shape with `axis` of size k, which is 0
 * to the axis's size. Either result pointer may be NULL. False, with both results NULL, once the scope has an error. */
EM_API bool em_top_k(em_scope *scope, em_array *a, int64_t k, int axis, em_array **values, em_array **indices);

/* An arrangement of the elements along `axis` in which element `kth` (negative: from the end) is the one that sorting
 * puts there, none before it is greater and none after it is less; and where its elements stood (s64). It is the
 * sorted one. */
EM_API em_array *em_partition(em_scope *scope, em_array *a, int64_t kth, int axis);
EM_API em_array *em_argpartition(em_scope *scope, em_array *a, int64_t kth, int axis);

#ifdef __cplusplus
}
#endif
#endif
