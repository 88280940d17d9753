/* Builders: ops that read and write by index. */
#include <string.h>

#include <emily/indexing.h>
#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"

em_array *em_take_along_axis(em_scope *scope, em_array *a, em_array *indices, int axis)
{
    em_array *in[] = {a, indices};
    int at;
    if (!em__scope_ok(scope, in, 2, "take_along_axis") || !em__axis_of(scope, a, axis, "take_along_axis", &at))
        return NULL;
    return em__build(
        scope,
        &(em__build_args){.op = EM__OP_TAKE_ALONG_AXIS, .in = in, .n_in = 2, .ints = (int64_t[]){at}, .n_ints = 1});
}

/* The op over named axes; in[0] is the operand, in[1] the indices. */
static em_array *by_axes(em_scope *scope, em__op op, em_array **in, int n_in, em_axes axes)
{
    int64_t ints[EM_MAX_RANK];
    const em__spec *index = &in[1]->spec;
    int count = axes.count;
    if (count == -1)
        count = index->rank > 0 && index->dims[index->rank - 1] <= EM_MAX_RANK ? (int)index->dims[index->rank - 1] : 0;
    if (count < 0 || count > EM_MAX_RANK) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: %d axes were given; 0 to %d can be", em__op_get(op)->name, count,
                 EM_MAX_RANK);
        return em__scope_fail(scope);
    }
    for (int i = 0; i < count; i++) {
        int axis = axes.count == -1 ? i : axes.axes[i];
        ints[i] = axis < 0 ? axis + in[0]->spec.rank : axis;
    }
    return em__build(scope, &(em__build_args){.op = op, .in = in, .n_in = n_in, .ints = ints, .n_ints = count});
}

em_array *em_gather(em_scope *scope, em_array *a, em_array *indices, em_axes axes)
{
    em_array *in[] = {a, indices};
    return em__scope_ok(scope, in, 2, "gather") ? by_axes(scope, EM__OP_GATHER, in, 2, axes) : NULL;
}

static em_array *indexed(em_scope *scope, em__op op, em_array *a, em_array *indices, em_array *updates, em_axes axes)
{
    em_array *in[] = {a, indices, updates};
    if (!em__scope_ok(scope, in, 3, em__op_get(op)->name))
        return NULL;
    em_dtype dtype = em__promote(a->spec.dtype, updates->spec.dtype);
    if (op == EM__OP_INDEXED_ADD && dtype == EM_PRED)
        dtype = EM_U8;
    in[0] = em_cast(scope, a, dtype);
    in[2] = em_cast(scope, updates, dtype);
    return em__scope_ok(scope, in, 3, em__op_get(op)->name) ? by_axes(scope, op, in, 3, axes) : NULL;
}

em_array *em_indexed_add(em_scope *scope, em_array *a, em_array *indices, em_array *updates, em_axes axes)
{
    return indexed(scope, EM__OP_INDEXED_ADD, a, indices, updates, axes);
}

em_array *em_indexed_put(em_scope *scope, em_array *a, em_array *indices, em_array *updates, em_axes axes)
{
    return indexed(scope, EM__OP_INDEXED_PUT, a, indices, updates, axes);
}

/* Appends a start for each axis to `in`; false once the scope has an error. */
static bool add_starts(em_scope *scope, em_array **in, int n, em_array *const *starts, int rank, const char *what)
{
    if (rank > 0 && !starts) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: the list of the operand's %d starts is NULL", what, rank);
        em__scope_fail(scope);
        return false;
    }
    for (int i = 0; i < rank; i++)
        in[n + i] = starts[i];
    return em__scope_ok(scope, in, n + rank, what);
}

em_array *em_dynamic_slice(em_scope *scope, em_array *a, em_array *const *starts, const int64_t *lengths,
                           const int64_t *strides)
{
    em_array *in[1 + EM_MAX_RANK] = {a};
    int64_t ints[2 * EM_MAX_RANK];
    if (!em__scope_ok(scope, in, 1, "dynamic_slice"))
        return NULL;
    int rank = a->spec.rank;
    if (!add_starts(scope, in, 1, starts, rank, "dynamic_slice"))
        return NULL;
    if (rank > 0 && !lengths) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "dynamic_slice: the list of the operand's %d lengths is NULL", rank);
        return em__scope_fail(scope);
    }
    for (int i = 0; i < rank; i++) {
        ints[i] = lengths[i];
        ints[rank + i] = strides ? strides[i] : 1;
    }
    return em__build(
        scope,
        &(em__build_args){.op = EM__OP_DYNAMIC_SLICE, .in = in, .n_in = 1 + rank, .ints = ints, .n_ints = 2 * rank});
}

em_array *em_put_slice(em_scope *scope, em_array *a, em_array *update, em_array *const *starts)
{
    em_array *in[2 + EM_MAX_RANK] = {a, update};
    if (!em__scope_ok(scope, in, 2, "put_slice"))
        return NULL;
    int rank = a->spec.rank;
    em_dtype dtype = em__promote(a->spec.dtype, update->spec.dtype);
    in[0] = em_cast(scope, a, dtype);
    in[1] = em_cast(scope, update, dtype);
    if (!add_starts(scope, in, 2, starts, rank, "put_slice"))
        return NULL;
    return em__build(scope, &(em__build_args){.op = EM__OP_PUT_SLICE, .in = in, .n_in = 2 + rank});
}
