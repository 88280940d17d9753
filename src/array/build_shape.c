/* Builders: ops that move elements. */
#include <string.h>

#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"

#define MOST_ARRAYS ((size_t)1 << 20) /* that one concatenation takes */

static em_array *one(em_scope *scope, em__op op, em_array *a, const int64_t *ints, int n_ints)
{
    return em__build(scope, &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = ints, .n_ints = n_ints});
}

static bool dims_fit(em_scope *scope, em_dims dims, const char *what)
{
    if (dims.rank >= 0 && dims.rank <= EM_MAX_RANK)
        return true;
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: rank is %d; ranks 0 to %d are supported", what, dims.rank, EM_MAX_RANK);
    em__scope_fail(scope);
    return false;
}

em_array *em_reshape(em_scope *scope, em_array *a, em_dims dims)
{
    if (!em__scope_ok(scope, &a, 1, "reshape") || !dims_fit(scope, dims, "reshape"))
        return NULL;
    int64_t size = em__spec_size(&a->spec), known = 1;
    int hole = -1;
    for (int i = 0; i < dims.rank; i++) {
        if (dims.dims[i] == -1 && hole < 0)
            hole = i;
        else if (__builtin_mul_overflow(known, dims.dims[i], &known))
            known = 0;
    }
    if (hole >= 0)
        dims.dims[hole] = known > 0 ? size / known : 0; /* an uneven division is caught by the shape rule */
    if (dims.rank == a->spec.rank && memcmp(dims.dims, a->spec.dims, (size_t)dims.rank * sizeof dims.dims[0]) == 0)
        return a;
    return one(scope, EM__OP_RESHAPE, a, dims.dims, dims.rank);
}

em_array *em_transpose(em_scope *scope, em_array *a, em_axes axes)
{
    int64_t order[EM_MAX_RANK];
    if (!em__scope_ok(scope, &a, 1, "transpose"))
        return NULL;
    int rank = a->spec.rank, count = axes.count == -1 ? rank : axes.count;
    if (count != rank) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "transpose: %d axes were given for an operand of rank %d", count, rank);
        return em__scope_fail(scope);
    }
    for (int i = 0; i < count; i++) {
        int axis = axes.count == -1 ? rank - 1 - i : axes.axes[i];
        order[i] = axis < 0 ? axis + rank : axis;
    }
    return one(scope, EM__OP_TRANSPOSE, a, order, count);
}

em_array *em_broadcast_to(em_scope *scope, em_array *a, em_dims dims)
{
    if (!em__scope_ok(scope, &a, 1, "broadcast_to") || !dims_fit(scope, dims, "broadcast_to"))
        return NULL;
    return one(scope, EM__OP_BROADCAST_TO, a, dims.dims, dims.rank);
}

/* Lists that must be there for an operand with axes; false once the scope has an error. */
static bool lists_given(em_scope *scope, const em_array *a, const void *first, const void *second, const char *what)
{
    if (a->spec.rank == 0 || (first && second))
        return true;
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: a list of the operand's %d axes is NULL", what, a->spec.rank);
    em__scope_fail(scope);
    return false;
}

em_array *em_slice(em_scope *scope, em_array *a, const int64_t *start, const int64_t *stop, const int64_t *stride)
{
    int64_t ints[3 * EM_MAX_RANK];
    if (!em__scope_ok(scope, &a, 1, "slice") || !lists_given(scope, a, start, stop, "slice"))
        return NULL;
    int rank = a->spec.rank;
    for (int i = 0; i < rank; i++) {
        ints[i] = start[i];
        ints[rank + i] = stop[i];
        ints[2 * rank + i] = stride ? stride[i] : 1;
    }
    return one(scope, EM__OP_SLICE, a, ints, 3 * rank);
}

em_array *em_expand_dims(em_scope *scope, em_array *a, int axis)
{
    int at;
    if (!em__scope_ok(scope, &a, 1, "expand_dims"))
        return NULL;
    if (!em__axis(axis, a->spec.rank + 1, &at) || a->spec.rank == EM_MAX_RANK) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "expand_dims: axis %d does not fit an operand of rank %d", axis,
                 a->spec.rank);
        return em__scope_fail(scope);
    }
    em_dims dims = {.rank = a->spec.rank + 1};
    for (int i = 0, j = 0; i < dims.rank; i++)
        dims.dims[i] = i == at ? 1 : a->spec.dims[j++];
    return one(scope, EM__OP_RESHAPE, a, dims.dims, dims.rank);
}

em_array *em_concatenate(em_scope *scope, em_array *const *arrays, size_t count, int axis)
{
    int at;
    if (!em__scope_ok(scope, NULL, 0, "concatenate"))
        return NULL;
    if (!arrays || count == 0 || count > MOST_ARRAYS) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "concatenate: %zu arrays%s; give 1 to %zu", count, arrays ? "" : " at NULL",
                 MOST_ARRAYS);
        return em__scope_fail(scope);
    }
    if (!em__scope_ok(scope, arrays, (int)count, "concatenate") ||
        !em__axis_of(scope, arrays[0], axis, "concatenate", &at))
        return NULL;
    return em__build(
        scope, &(em__build_args){
                   .op = EM__OP_CONCATENATE, .in = arrays, .n_in = (int)count, .ints = (int64_t[]){at}, .n_ints = 1});
}

em_array *em_pad(em_scope *scope, em_array *a, em_array *value, const int64_t *low, const int64_t *high,
                 const int64_t *interior)
{
    em_array *in[] = {a, value};
    int64_t ints[3 * EM_MAX_RANK];
    if (!em__scope_ok(scope, in, 2, "pad") || !lists_given(scope, a, low, high, "pad"))
        return NULL;
    int rank = a->spec.rank;
    for (int i = 0; i < rank; i++) {
        ints[i] = low[i];
        ints[rank + i] = high[i];
        ints[2 * rank + i] = interior ? interior[i] : 0;
    }
    return em__build(scope, &(em__build_args){.op = EM__OP_PAD, .in = in, .n_in = 2, .ints = ints, .n_ints = 3 * rank});
}

em_array *em_iota(em_scope *scope, em_dtype dtype, em_dims dims, int axis)
{
    int at = 0;
    if (!em__scope_ok(scope, NULL, 0, "iota") || !dims_fit(scope, dims, "iota"))
        return NULL;
    if (dims.rank > 0 && !em__axis(axis, dims.rank, &at)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "iota: axis %d is out of range for rank %d", axis, dims.rank);
        return em__scope_fail(scope);
    }
    int64_t ints[2 + EM_MAX_RANK] = {dtype, at};
    for (int i = 0; i < dims.rank; i++)
        ints[2 + i] = dims.dims[i];
    return em__build(scope, &(em__build_args){.op = EM__OP_IOTA, .ints = ints, .n_ints = 2 + dims.rank});
}

em_array *em_take(em_scope *scope, em_array *a, em_array *indices, int axis)
{
    em_array *in[] = {a, indices};
    int at;
    if (!em__scope_ok(scope, in, 2, "take") || !em__axis_of(scope, a, axis, "take", &at))
        return NULL;
    return em__build(scope,
                     &(em__build_args){.op = EM__OP_TAKE, .in = in, .n_in = 2, .ints = (int64_t[]){at}, .n_ints = 1});
}
