/*
 * Running results along an axis, and results over sliding windows. As in ops.h: each takes a scope and borrowed arrays
 * and returns an array of the scope, NULL once the scope has an error (EM_ERROR_INVALID_ARGUMENT, _OUT_OF_MEMORY). A
 * scope belongs to one thread at a time.
 *
 * The result has a's dtype: integers wrap, pred counts as u8; half types are computed in f32 and rounded once. A NaN
 * makes every result that covers it NaN. The order of additions depends on the shape alone.
 */
#ifndef EMILY_WINDOWS_H
#define EMILY_WINDOWS_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* result[i] = a[0] + .. + a[i] along `axis`; with reverse a[i] + .. + a[n - 1]. */
EM_API em_array *em_cumulative_sum(em_scope *scope, em_array *a, int axis, bool reverse);
EM_API em_array *em_cumulative_product(em_scope *scope, em_array *a, int axis, bool reverse);
EM_API em_array *em_cumulative_max(em_scope *scope, em_array *a, int axis, bool reverse);
EM_API em_array *em_cumulative_min(em_scope *scope, em_array *a, int axis, bool reverse);

/* How a window moves. Lists have a's rank; NULL: 1 everywhere for strides and dilations, 0 for padding. */
typedef struct em_window_options {
    size_t struct_size;
    const int64_t *strides;   /* >= 1, from one window to the next */
    const int64_t *dilations; /* >= 1, between the elements of one window */
    const int64_t *low;       /* padding before and after each axis; negative crops */
    const int64_t *high;
    bool
        same; /* pad so that axis i has ceil(dim / stride) windows, the odd element behind; low and high are not read */
} em_window_options;

/* The result over the window's elements that lie inside a (none: 0, 1, the lowest, the highest value), for each place
 * of a window of window[i] >= 1 elements along axis i: (padded - ((window - 1) * dilation + 1)) / stride + 1 places an
 * axis. A window that fits nowhere is an error, but over an axis of 0 elements it has no places. */
EM_API em_array *em_window_sum(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options);
EM_API em_array *em_window_product(em_scope *scope, em_array *a, const int64_t *window,
                                   const em_window_options *options);
EM_API em_array *em_window_max(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options);
EM_API em_array *em_window_min(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options);

/* window_sum divided by the number of elements of a window, padding counted; integers become f32. */
EM_API em_array *em_window_mean(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options);

/* For each window over `a` (padded with `init`, a scalar) the element of `source`, which has one for each place, is
 * added to the result (a's shape, filled with init) where a is greatest (smallest) in the window; of equals, the last.
 * What falls on padding is dropped. No dilations. Dtypes are promoted. The gradient of window_max (window_min). */
EM_API em_array *em_window_scatter_max(em_scope *scope, em_array *a, em_array *source, em_array *init,
                                       const int64_t *window, const em_window_options *options);
EM_API em_array *em_window_scatter_min(em_scope *scope, em_array *a, em_array *source, em_array *init,
                                       const int64_t *window, const em_window_options *options);

#ifdef __cplusplus
}
#endif
#endif
