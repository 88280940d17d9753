/*
 * Builders: elementwise ops, reductions, constants. Operands are promoted and cast here, so that kernels see one dtype.
 */
#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"

em_array *em_cast(em_scope *scope, em_array *a, em_dtype dtype)
{
    if (a && a->spec.dtype == dtype && em__scope_ok(scope, &a, 1, "cast"))
        return a;
    return em__build(
        scope, &(em__build_args){.op = EM__OP_CAST, .in = &a, .n_in = 1, .ints = (int64_t[]){dtype}, .n_ints = 1});
}

/* Casts a to what the op takes; NULL once the scope has an error. */
static em_array *operand(em_scope *scope, em__op op, em_array *a)
{
    em_dtype want;
    if (!em__scope_ok(scope, &a, 1, em__op_get(op)->name))
        return NULL;
    if (em__op_operand_dtype(op, a->spec.dtype, &want) != EM_OK)
        return em__scope_fail(scope);
    return em_cast(scope, a, want);
}

static em_array *unary(em_scope *scope, em__op op, em_array *a)
{
    a = operand(scope, op, a);
    return a ? em__build(scope, &(em__build_args){.op = op, .in = &a, .n_in = 1}) : NULL;
}

static em_array *binary(em_scope *scope, em__op op, em_array *a, em_array *b)
{
    em_array *in[] = {a, b};
    if (!em__scope_ok(scope, in, 2, em__op_get(op)->name))
        return NULL;
    em_dtype dtype = em__promote(a->spec.dtype, b->spec.dtype);
    if (em__op_operand_dtype(op, dtype, &dtype) != EM_OK)
        return em__scope_fail(scope);
    in[0] = em_cast(scope, a, dtype);
    in[1] = em_cast(scope, b, dtype);
    return em__build(scope, &(em__build_args){.op = op, .in = in, .n_in = 2});
}

bool em__axis_mask(em_axes axes, int rank, const char *what, int64_t *mask)
{
    *mask = 0;
    if (axes.count == -1) {
        *mask = (1 << rank) - 1;
        return true;
    }
    if (axes.count < 0 || axes.count > EM_MAX_RANK) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: %d axes were given; 0 to %d, or -1 for all, can be", what, axes.count,
                 EM_MAX_RANK);
        return false;
    }
    for (int i = 0; i < axes.count; i++) {
        int axis;
        if (!em__axis(axes.axes[i], rank, &axis) || *mask >> axis & 1) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: axis %d is out of range or named twice; the operand has rank %d",
                     what, axes.axes[i], rank);
            return false;
        }
        *mask |= 1 << axis;
    }
    return true;
}

bool em__axis_of(em_scope *scope, const em_array *a, int axis, const char *what, int *at)
{
    if (em__axis(axis, a->spec.rank, at))
        return true;
    em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: axis %d is out of range; the operand has rank %d", what, axis,
             a->spec.rank);
    em__scope_fail(scope);
    return false;
}

static em_array *reduce(em_scope *scope, em__op op, em_array *a, em_axes axes, bool keep)
{
    int64_t mask;
    a = operand(scope, op, a);
    if (a && (op == EM__OP_SUM || op == EM__OP_PRODUCT))
        a = em_cast(scope, a, em__sum_dtype(a->spec.dtype));
    if (!a)
        return NULL;
    if (!em__axis_mask(axes, a->spec.rank, em__op_get(op)->name, &mask))
        return em__scope_fail(scope);
    return em__build(scope,
                     &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = (int64_t[]){keep, mask}, .n_ints = 2});
}

static em_array *along(em_scope *scope, em__op op, em_array *a, int axis)
{
    int at;
    a = operand(scope, op, a);
    if (!a || !em__axis_of(scope, a, axis, em__op_get(op)->name, &at))
        return NULL;
    bool arg = em__op_get(op)->infer == em__infer_ARG; /* the first of equals; the axis vanishes */
    return em__build(
        scope,
        &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = (int64_t[]){at, false, false}, .n_ints = arg ? 3 : 1});
}

#define BUILD_UNARY(ENUM, name)                                                                                        \
    em_array *em_##name(em_scope *scope, em_array *a)                                                                  \
    {                                                                                                                  \
        return unary(scope, EM__OP_##ENUM, a);                                                                         \
    }
#define BUILD_BINARY(ENUM, name)                                                                                       \
    em_array *em_##name(em_scope *scope, em_array *a, em_array *b)                                                     \
    {                                                                                                                  \
        return binary(scope, EM__OP_##ENUM, a, b);                                                                     \
    }
#define BUILD_REDUCE(ENUM, name)                                                                                       \
    em_array *em_##name(em_scope *scope, em_array *a, em_axes axes, bool keep)                                         \
    {                                                                                                                  \
        return reduce(scope, EM__OP_##ENUM, a, axes, keep);                                                            \
    }
#define BUILD_AXIS(ENUM, name)                                                                                         \
    em_array *em_##name(em_scope *scope, em_array *a, int axis)                                                        \
    {                                                                                                                  \
        return along(scope, EM__OP_##ENUM, a, axis);                                                                   \
    }
#define BUILD_SPECIAL(ENUM, name)
#define BUILD_INTERNAL(ENUM, name)
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS) BUILD_##SIGNATURE(ENUM, name)
#include <emily/ops.def>
#undef EM_OP

em_array *em_select(em_scope *scope, em_array *condition, em_array *x, em_array *y)
{
    em_array *in[] = {condition, x, y};
    if (!em__scope_ok(scope, in, 3, "select"))
        return NULL;
    em_dtype dtype = em__promote(x->spec.dtype, y->spec.dtype);
    in[0] = em_cast(scope, condition, EM_PRED);
    in[1] = em_cast(scope, x, dtype);
    in[2] = em_cast(scope, y, dtype);
    return em__build(scope, &(em__build_args){.op = EM__OP_SELECT, .in = in, .n_in = 3});
}

em_array *em_clip(em_scope *scope, em_array *a, em_array *low, em_array *high)
{
    return em_maximum(scope, low, em_minimum(scope, high, a));
}

em_array *em_scalar(em_scope *scope, em_dtype dtype, double value)
{
    em_array *wide = em_constant(scope, EM_F64, &value, (em_dims){0, {0}});
    em_array *scalar = em_cast(scope, wide, dtype);
    /* Evaluated at once: a scalar is a constant, also to a trace. */
    if (scalar && em_eval(scope, scalar) != EM_OK)
        return NULL;
    return scalar;
}

em_array *em_reverse(em_scope *scope, em_array *a, em_axes axes)
{
    int64_t mask;
    if (!em__scope_ok(scope, &a, 1, "reverse"))
        return NULL;
    if (!em__axis_mask(axes, a->spec.rank, "reverse", &mask))
        return em__scope_fail(scope);
    return em__build(scope, &(em__build_args){.op = EM__OP_REVERSE, .in = &a, .n_in = 1, .ints = &mask, .n_ints = 1});
}

em_array *em_squeeze(em_scope *scope, em_array *a, em_axes axes)
{
    int64_t mask;
    if (!em__scope_ok(scope, &a, 1, "squeeze"))
        return NULL;
    if (!em__axis_mask(axes, a->spec.rank, "squeeze", &mask))
        return em__scope_fail(scope);
    em_dims dims = {0};
    for (int i = 0; i < a->spec.rank; i++) {
        bool named = mask >> i & 1;
        if (named && axes.count >= 0 && a->spec.dims[i] != 1) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "squeeze: axis %d has %lld elements, not 1", i,
                     (long long)a->spec.dims[i]);
            return em__scope_fail(scope);
        }
        if (!named || a->spec.dims[i] != 1)
            dims.dims[dims.rank++] = a->spec.dims[i];
    }
    return em_reshape(scope, a, dims);
}
