/*
 * Reductions by a function of the user's. A reduction is a loop over the elements to combine, all results at once; over
 * windows it is unrolled, since windows are small and their elements are strided views.
 */
#include <string.h>

#include <emily/control.h>
#include <emily/indexing.h>
#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"

#define MOST_IN_WINDOW 4096

typedef struct reducer {
    em_reducer_fn fn;
    void *user;
    const char *what;
    em_array *elements; /* [count, results] */
} reducer;

/* fn's result, which must be as acc is. */
static em_array *combine(em_scope *s, const reducer *r, em_array *x, em_array *acc)
{
    char is[EM__SPEC_TEXT], should[EM__SPEC_TEXT];
    em_array *next = x && acc ? r->fn(s, x, acc, r->user) : NULL;
    if (!next || em__spec_equal(&next->spec, &acc->spec))
        return next;
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: the function makes %s of %s; it must keep shape and dtype", r->what,
             em__spec_print(&next->spec, is, sizeof is), em__spec_print(&acc->spec, should, sizeof should));
    return em__scope_fail(s);
}

static em_status more(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const reducer *r = user;
    out[0] = em_less(s, in[0], em_scalar(s, EM_S64, (double)r->elements->spec.dims[0]));
    return EM_OK;
}

static em_status turn(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const reducer *r = user;
    int64_t results = r->elements->spec.dims[1];
    em_array *starts[] = {in[0], em_scalar(s, EM_S64, 0)};
    em_array *x = em_dynamic_slice(s, r->elements, starts, (const int64_t[]){1, results}, NULL);
    out[0] = em_add(s, in[0], em_scalar(s, EM_S64, 1));
    out[1] = combine(s, r, em_reshape(s, x, em_shape(results)), in[1]);
    return em_scope_status(s);
}

/* Operand and initial value in one dtype; false once the scope has an error. */
static bool promote(em_scope *scope, const char *what, em_reducer_fn fn, em_array **a, em_array **initial)
{
    if (!em__scope_ok(scope, (em_array *[]){*a, *initial}, 2, what))
        return false;
    if (!fn || (*initial)->spec.rank != 0) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: a function and a scalar to begin with are needed", what);
        em__scope_fail(scope);
        return false;
    }
    em_dtype dtype = em__promote((*a)->spec.dtype, (*initial)->spec.dtype);
    *a = em_cast(scope, *a, dtype);
    *initial = em_cast(scope, *initial, dtype);
    return *a && *initial;
}

/* a with the named axes in front, as [elements, results]; the result's dims into *kept. */
static em_array *arrange(em_scope *scope, em_array *a, unsigned named, bool keep, em_dims *kept)
{
    em_axes order = {0};
    int64_t count = 1, results = 1;
    for (int i = 0; i < a->spec.rank; i++)
        if (named >> i & 1) {
            order.axes[order.count++] = i;
            count *= a->spec.dims[i];
        }
    for (int i = 0; i < a->spec.rank; i++) {
        if (!(named >> i & 1)) {
            order.axes[order.count++] = i;
            results *= a->spec.dims[i];
        }
        if (!(named >> i & 1) || keep)
            kept->dims[kept->rank++] = named >> i & 1 ? 1 : a->spec.dims[i];
    }
    em_array *moved = a->spec.rank ? em_transpose(scope, a, order) : a;
    return em_reshape(scope, moved, em_shape(count, results));
}

/* Bits of the axes that are named; all for EM_ALL_AXES. */
static bool names(em_scope *scope, const em_array *a, em_axes axes, unsigned *named)
{
    int axis;
    *named = 0;
    if (axes.count == EM_ALL_AXES.count)
        *named = (1u << a->spec.rank) - 1;
    bool counted = axes.count == EM_ALL_AXES.count || (axes.count >= 0 && axes.count <= a->spec.rank);
    if (!counted) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "reduce: %d axes are named; the operand has rank %d", axes.count,
                 a->spec.rank);
        em__scope_fail(scope);
        return false;
    }
    for (int i = 0; i < axes.count; i++) {
        if (!em__axis(axes.axes[i], a->spec.rank, &axis) || *named >> axis & 1) {
            em__fail(EM_ERROR_INVALID_ARGUMENT,
                     "reduce: axis %d is out of range or named twice; the operand has rank %d", axes.axes[i],
                     a->spec.rank);
            em__scope_fail(scope);
            return false;
        }
        *named |= 1u << axis;
    }
    return true;
}

em_array *em_reduce(em_scope *scope, em_array *a, em_array *initial, em_axes axes, bool keep, em_reducer_fn fn,
                    void *user)
{
    reducer r = {.fn = fn, .user = user, .what = "reduce"};
    em_dims kept = {0};
    unsigned named;
    em_array *results[2];
    if (!promote(scope, r.what, fn, &a, &initial) || !names(scope, a, axes, &named))
        return NULL;
    r.elements = arrange(scope, a, named, keep, &kept);
    if (!r.elements)
        return NULL;
    if (r.elements->spec.dims[0] == 0)
        return em_broadcast_to(scope, initial, kept);
    em_array *acc = em_broadcast_to(scope, initial, em_shape(r.elements->spec.dims[1]));
    em_array *first = em_scalar(scope, EM_S64, 0);
    if (!acc || !first || em_while(scope, more, turn, &r, (em_array *[]){first, acc}, 2, results) != EM_OK)
        return NULL;
    return em_reshape(scope, results[1], kept);
}

/* The elements that stand at place `at` of all windows. */
static em_array *element_of_windows(em_scope *scope, em_array *padded, const int64_t *ints, const em__spec *places,
                                    const int64_t *at)
{
    int rank = places->rank;
    int64_t start[EM_MAX_RANK], stop[EM_MAX_RANK], stride[EM_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        int64_t n = places->dims[i];
        stride[i] = ints[rank + i];
        start[i] = n ? at[i] * ints[4 * rank + i] : 0;
        stop[i] = n ? start[i] + (n - 1) * stride[i] + 1 : 0;
    }
    return em_slice(scope, padded, start, stop, stride);
}

em_array *em_window_reduce(em_scope *scope, em_array *a, em_array *initial, const int64_t *window,
                           const em_window_options *options, em_reducer_fn fn, void *user)
{
    const reducer r = {.fn = fn, .user = user, .what = "window_reduce"};
    int64_t ints[5 * EM_MAX_RANK], at[EM_MAX_RANK] = {0}, elements = 1;
    em__spec places = {0};
    if (!promote(scope, r.what, fn, &a, &initial) || !em__window_ints(scope, a, window, options, r.what, ints))
        return NULL;
    int rank = a->spec.rank;
    em__spec wide = a->spec;
    wide.dtype = em__wide_dtype(wide.dtype);
    em__apply apply = {
        .op = EM__OP_WINDOW_MAX, .n_in = 1, .in = (const em__spec *[]){&wide}, .n_ints = 5 * rank, .ints = ints};
    if (em__op_infer(&apply, &places) != EM_OK)
        return em__scope_fail(scope);
    for (int i = 0; i < rank; i++)
        elements = elements > MOST_IN_WINDOW || ints[i] > MOST_IN_WINDOW ? MOST_IN_WINDOW + 1 : elements * ints[i];
    if (elements > MOST_IN_WINDOW) {
        em__fail(EM_ERROR_UNSUPPORTED, "window_reduce: windows of over %d elements", MOST_IN_WINDOW);
        return em__scope_fail(scope);
    }
    em_dims dims = {.rank = rank};
    memcpy(dims.dims, places.dims, sizeof dims.dims);
    em_array *padded = em_pad(scope, a, initial, ints + 2 * rank, ints + 3 * rank, NULL);
    em_array *acc = em_broadcast_to(scope, initial, dims);
    for (int64_t k = 0; k < elements && acc && padded; k++) {
        acc = combine(scope, &r, element_of_windows(scope, padded, ints, &places, at), acc);
        for (int i = rank - 1; i >= 0 && ++at[i] == ints[i]; i--)
            at[i] = 0;
    }
    return acc;
}
