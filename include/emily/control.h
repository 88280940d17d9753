/*
 * Loops and branches inside a tensor program. Their bodies are functions over arrays (em_trace_fn), traced once when
 * the op is built; what runs is decided by values, without a round trip to the caller.
 *
 *     static em_status below(em_scope *s, em_array *const *in, em_array **out, void *user)
 *     { out[0] = em_less(s, in[0], em_scalar(s, EM_S32, 10)); return EM_OK; }
 *     static em_status next(em_scope *s, em_array *const *in, em_array **out, void *user)
 *     { out[0] = em_add(s, in[0], em_scalar(s, EM_S32, 1)); out[1] = em_mul(s, in[1], in[1]); return EM_OK; }
 *     em_while(s, below, next, NULL, (em_array *[]){i, x}, 2, results);
 *
 * A function builds with the scope it is given, and may use arrays made outside, which it captures. It has no side
 * effects to speak of: it is called once, however often its ops run. Functions nest.
 */
#ifndef EMILY_CONTROL_H
#define EMILY_CONTROL_H

#include <emily/program.h>
#include <emily/windows.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs `body` on n >= 1 states as long as `condition` of them is true: zero times, perhaps, and then the results are
 * the initial states, bit for bit. `condition` sets one scalar output, and what is not 0 is true; `body` sets n outputs
 * of the states' shapes and dtypes. `results` [n] get arrays that the scope owns. Fixed memory: two copies of the
 * states. Nothing stops a loop whose condition stays true, and other evaluations wait for it. On failure all results
 * are NULL and the scope has the error, which is returned; EM_ERROR_INVALID_ARGUMENT when a shape or dtype changes. */
EM_API em_status em_while(em_scope *scope, em_trace_fn condition, em_trace_fn body, void *user,
                          em_array *const *initial, size_t n, em_array **results);

/* Runs `yes` when the scalar `predicate` is not 0, otherwise `no`: only that one. Both set n >= 1 outputs of the same
 * shapes and dtypes and have no inputs: they capture. Results and failure as above. */
EM_API em_status em_cond(em_scope *scope, em_array *predicate, em_trace_fn yes, em_trace_fn no, void *user,
                         em_array **results, size_t n);

/* Called with a's value each time the result is computed, in every lane: once an evaluation, once a turn in a loop,
 * never in a branch that is not taken. The memory is row-major and valid during the call. It may evaluate arrays, and
 * must not wait for another thread that does. */
typedef void (*em_hook_fn)(em_dtype dtype, em_dims dims, const void *data, void *user);

/* a itself; whatever needs the result calls `fn`. `free_fn` (NULL: none) gets `user` when nothing can call it any more,
 * also when the hook could not be made. */
EM_API em_array *em_hook(em_scope *scope, em_array *a, em_hook_fn fn, void *user, void (*free_fn)(void *user));

/* a itself; whatever needs the result logs `label`, shape and the first values at EM_LOG_INFO (log.h). */
EM_API em_array *em_print(em_scope *scope, em_array *a, const char *label);

/* Combines elements x with results so far, all of one shape and dtype, element by element: whatever the shape, the
 * result at a place must depend on x and acc at that place alone. */
typedef em_array *(*em_reducer_fn)(em_scope *scope, em_array *x, em_array *acc, void *user);

/* acc = initial, then acc = fn(x, acc) for each x along the named axes in row-major order. `initial` is a scalar, and
 * it and a are promoted to one dtype, which fn must keep. The axes vanish, or become 1 with keep. */
EM_API em_array *em_reduce(em_scope *scope, em_array *a, em_array *initial, em_axes axes, bool keep, em_reducer_fn fn,
                           void *user);

/* The same over each window, in row-major order, padding being `initial`; at most 4,096 elements in a window. `options`
 * as for em_window_sum (windows.h). */
EM_API em_array *em_window_reduce(em_scope *scope, em_array *a, em_array *initial, const int64_t *window,
                                  const em_window_options *options, em_reducer_fn fn, void *user);

#ifdef __cplusplus
}
#endif
#endif
