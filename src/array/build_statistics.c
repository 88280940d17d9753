/*
 * Builders composed of others: mean, variance, logsumexp, closeness; and argmax with all its choices. Integers become
 * f32; half types and f8 are computed in f32 and rounded once, at the end.
 */
#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"
#include "core/options.h"

static bool is_integer(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) < EM_KIND_FLOAT;
}

/* The dtype that statistics of a dtype are computed in. */
static em_dtype work_dtype(em_dtype dtype)
{
    return is_integer(dtype) || em_dtype_size(dtype) < 4 ? EM_F32 : dtype;
}

/* Casts `a` to the dtype to work in and counts the elements that the axes join; NULL once the scope has an error. */
static em_array *prepare(em_scope *scope, em_array *a, em_axes axes, const char *what, int64_t *count)
{
    int64_t mask = 0;
    if (!em__scope_ok(scope, &a, 1, what))
        return NULL;
    if (!em__axis_mask(axes, a->spec.rank, what, &mask))
        return em__scope_fail(scope);
    *count = 1;
    for (int i = 0; i < a->spec.rank; i++)
        *count *= mask >> i & 1 ? a->spec.dims[i] : 1;
    return em_cast(scope, a, work_dtype(a->spec.dtype));
}

/* What was computed for operands of `dtype`, in the dtype that it is given in. */
static em_array *finish(em_scope *scope, em_array *result, em_dtype dtype)
{
    em_dtype real = em__real_dtype(dtype);
    bool narrow = !is_integer(real) && em_dtype_size(real) < 4;
    return result && narrow ? em_cast(scope, result, dtype) : result;
}

static em_array *over(em_scope *scope, em_array *sum, double count)
{
    return sum ? em_div(scope, sum, em_scalar(scope, sum->spec.dtype, count)) : NULL;
}

em_array *em_mean(em_scope *scope, em_array *a, em_axes axes, bool keep)
{
    int64_t count;
    em_array *x = prepare(scope, a, axes, "mean", &count);
    return x ? finish(scope, over(scope, em_sum(scope, x, axes, keep), (double)count), a->spec.dtype) : NULL;
}

/* In the dtype worked in, not yet that of the result. */
static em_array *variance(em_scope *scope, em_array *a, em_axes axes, int ddof, bool keep, const char *what)
{
    int64_t count;
    em_array *x = prepare(scope, a, axes, what, &count);
    if (!x)
        return NULL;
    em_array *from_mean = em_sub(scope, x, over(scope, em_sum(scope, x, axes, true), (double)count));
    if (em_dtype_get_kind(x->spec.dtype) == EM_KIND_COMPLEX)
        from_mean = em_abs(scope, from_mean);
    double divisor = (double)count - ddof;
    return over(scope, em_sum(scope, em_square(scope, from_mean), axes, keep), divisor > 0 ? divisor : 0);
}

em_array *em_variance(em_scope *scope, em_array *a, em_axes axes, int ddof, bool keep)
{
    em_array *result = variance(scope, a, axes, ddof, keep, "variance");
    return result ? finish(scope, result, a->spec.dtype) : NULL;
}

em_array *em_standard_deviation(em_scope *scope, em_array *a, em_axes axes, int ddof, bool keep)
{
    em_array *result = em_sqrt(scope, variance(scope, a, axes, ddof, keep, "standard_deviation"));
    return result ? finish(scope, result, a->spec.dtype) : NULL;
}

em_array *em_logsumexp(em_scope *scope, em_array *a, em_axes axes, bool keep)
{
    int64_t count;
    em_array *x = prepare(scope, a, axes, "logsumexp", &count);
    if (!x)
        return NULL;
    /* A largest value that is not finite is not subtracted: inf - inf would be NaN. */
    em_array *max = em_max(scope, x, axes, true), *zero = em_scalar(scope, x->spec.dtype, 0);
    em_array *shift = em_select(scope, em_is_finite(scope, max), max, zero);
    em_array *sum = em_sum(scope, em_exp(scope, em_sub(scope, x, shift)), axes, keep);
    if (!sum)
        return NULL;
    em_array *result = em_add(scope, em_log(scope, sum), em_reshape(scope, shift, em_array_dims(sum)));
    return result ? finish(scope, result, a->spec.dtype) : NULL;
}

em_array *em_all_close(em_scope *scope, em_array *a, em_array *b, double rtol, double atol, bool equal_nan)
{
    em_array *in[] = {a, b};
    if (!em__scope_ok(scope, in, 2, "all_close"))
        return NULL;
    em_dtype dtype = em__promote(a->spec.dtype, b->spec.dtype);
    em_dtype work = is_integer(dtype) ? EM_F64 : work_dtype(dtype), real = em__real_dtype(work);
    em_array *x = em_cast(scope, a, work), *y = em_cast(scope, b, work);
    em_array *distance = em_abs(scope, em_sub(scope, x, y));
    em_array *slack = em_mul(scope, em_scalar(scope, real, rtol), em_abs(scope, y));
    em_array *near = em_less_equal(scope, distance, em_add(scope, em_scalar(scope, real, atol), slack));
    em_array *close = em_logical_or(scope, em_equal(scope, a, b), em_logical_and(scope, em_is_finite(scope, y), near));
    if (equal_nan)
        close = em_logical_or(scope, close, em_logical_and(scope, em_is_nan(scope, x), em_is_nan(scope, y)));
    return em_all(scope, close, EM_ALL_AXES, false);
}

static em_array *arg(em_scope *scope, em__op op, em_array *a, const em_arg_options *options)
{
    em_arg_options o = {.struct_size = sizeof o, .flat = !options};
    const char *what = em__op_get(op)->name;
    em_dtype dtype;
    int axis = 0;
    if (!em__scope_ok(scope, &a, 1, what))
        return NULL;
    int rank = a->spec.rank;
    if (em__op_operand_dtype(op, a->spec.dtype, &dtype) != EM_OK ||
        (options && EM__OPTIONS_COPY(options, &o, em_arg_options) != EM_OK))
        return em__scope_fail(scope);
    if (!o.flat && !em__axis(o.axis, rank, &axis)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: axis %d is out of range; the operand has rank %d", what, o.axis, rank);
        return em__scope_fail(scope);
    }
    if (o.flat)
        a = em_reshape(scope, a, em_shape(em_array_size(a)));
    bool keep = o.keep && !o.flat;
    em_array *index =
        a ? em__build(
                scope,
                &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = (int64_t[]){axis, o.last, keep}, .n_ints = 3})
          : NULL;
    if (!index || !o.flat || !o.keep)
        return index;
    em_dims ones = {.rank = rank};
    for (int i = 0; i < rank; i++)
        ones.dims[i] = 1;
    return em_reshape(scope, index, ones);
}

em_array *em_argmax_with(em_scope *scope, em_array *a, const em_arg_options *options)
{
    return arg(scope, EM__OP_ARGMAX, a, options);
}

em_array *em_argmin_with(em_scope *scope, em_array *a, const em_arg_options *options)
{
    return arg(scope, EM__OP_ARGMIN, a, options);
}
