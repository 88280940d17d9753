/* Builders: running results and windows. */
#include <emily/ops.h>
#include <emily/windows.h>

#include "array/array.h"
#include "core/error.h"
#include "core/options.h"

/* The operand in a dtype that the op takes: pred counts as u8. NULL once the scope has an error. */
static em_array *number(em_scope *scope, em__op op, em_array *a)
{
    em_dtype dtype;
    if (!em__scope_ok(scope, &a, 1, em__op_get(op)->name))
        return NULL;
    if (a->spec.dtype == EM_PRED)
        a = em_cast(scope, a, EM_U8);
    if (a && em__op_operand_dtype(op, a->spec.dtype, &dtype) != EM_OK)
        return em__scope_fail(scope);
    return a;
}

static em_array *cumulative(em_scope *scope, em__op op, em_array *a, int axis, bool reverse)
{
    int at;
    a = number(scope, op, a);
    if (!a || !em__axis_of(scope, a, axis, em__op_get(op)->name, &at))
        return NULL;
    return em__build(scope,
                     &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = (int64_t[]){at, reverse}, .n_ints = 2});
}

em_array *em_cumulative_sum(em_scope *scope, em_array *a, int axis, bool reverse)
{
    return cumulative(scope, EM__OP_CUMULATIVE_SUM, a, axis, reverse);
}

em_array *em_cumulative_product(em_scope *scope, em_array *a, int axis, bool reverse)
{
    return cumulative(scope, EM__OP_CUMULATIVE_PRODUCT, a, axis, reverse);
}

em_array *em_cumulative_max(em_scope *scope, em_array *a, int axis, bool reverse)
{
    return cumulative(scope, EM__OP_CUMULATIVE_MAX, a, axis, reverse);
}

em_array *em_cumulative_min(em_scope *scope, em_array *a, int axis, bool reverse)
{
    return cumulative(scope, EM__OP_CUMULATIVE_MIN, a, axis, reverse);
}

/* Padding of `same`: as many windows as strides begin in the axis; none if a number is wrong; the rule finds it. */
static void pad_same(int64_t dim, int64_t window, int64_t stride, int64_t dilation, int64_t *low, int64_t *high)
{
    int64_t span = 0, reach = 0, pad = 0;
    *low = *high = 0;
    if (window < 1 || stride < 1 || dilation < 1 || dim < 1 || __builtin_mul_overflow(window - 1, dilation, &span) ||
        __builtin_add_overflow((dim - 1) / stride * stride, span, &reach))
        return;
    pad = reach + 1 > dim ? reach + 1 - dim : 0;
    *low = pad / 2;
    *high = pad - pad / 2;
}

bool em__window_ints(em_scope *scope, const em_array *a, const int64_t *window, const em_window_options *options,
                     const char *what, int64_t *ints)
{
    em_window_options o = {0};
    int rank = a->spec.rank;
    if (EM__OPTIONS_COPY(options, &o, em_window_options) != EM_OK) {
        em__scope_fail(scope);
        return false;
    }
    if (rank > 0 && !window) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: the window over the operand's %d axes is NULL", what, rank);
        em__scope_fail(scope);
        return false;
    }
    for (int i = 0; i < rank; i++) {
        int64_t *low = &ints[2 * rank + i], *high = &ints[3 * rank + i];
        int64_t stride = o.strides ? o.strides[i] : 1, dilation = o.dilations ? o.dilations[i] : 1;
        ints[i] = window[i];
        ints[rank + i] = stride;
        *low = o.low ? o.low[i] : 0;
        *high = o.high ? o.high[i] : 0;
        ints[4 * rank + i] = dilation;
        if (o.same)
            pad_same(a->spec.dims[i], window[i], stride, dilation, low, high);
    }
    return true;
}

static em_array *over_windows(em_scope *scope, em__op op, em_array *a, const int64_t *window,
                              const em_window_options *options)
{
    int64_t ints[5 * EM_MAX_RANK];
    a = number(scope, op, a);
    if (!a || !em__window_ints(scope, a, window, options, em__op_get(op)->name, ints))
        return NULL;
    return em__build(scope, &(em__build_args){.op = op, .in = &a, .n_in = 1, .ints = ints, .n_ints = 5 * a->spec.rank});
}

em_array *em_window_sum(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options)
{
    return over_windows(scope, EM__OP_WINDOW_SUM, a, window, options);
}

em_array *em_window_product(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options)
{
    return over_windows(scope, EM__OP_WINDOW_PRODUCT, a, window, options);
}

em_array *em_window_max(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options)
{
    return over_windows(scope, EM__OP_WINDOW_MAX, a, window, options);
}

em_array *em_window_min(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options)
{
    return over_windows(scope, EM__OP_WINDOW_MIN, a, window, options);
}

em_array *em_window_mean(em_scope *scope, em_array *a, const int64_t *window, const em_window_options *options)
{
    if (!em__scope_ok(scope, &a, 1, "window_mean"))
        return NULL;
    em_dtype dtype = a->spec.dtype;
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    if (kind < EM_KIND_FLOAT || em_dtype_size(dtype) < 4) /* sum and quotient in f32, rounded once */
        a = em_cast(scope, a, EM_F32);
    em_array *sum = em_window_sum(scope, a, window, options);
    double count = 1;
    if (!sum)
        return NULL;
    for (int i = 0; i < sum->spec.rank; i++)
        count *= (double)window[i];
    em_array *mean = em_div(scope, sum, em_scalar(scope, sum->spec.dtype, count));
    return mean && kind >= EM_KIND_FLOAT ? em_cast(scope, mean, dtype) : mean;
}

static em_array *scatter(em_scope *scope, em__op op, em_array *a, em_array *source, em_array *init,
                         const int64_t *window, const em_window_options *options)
{
    em_array *in[] = {a, source, init};
    int64_t ints[5 * EM_MAX_RANK];
    const char *what = em__op_get(op)->name;
    if (!em__scope_ok(scope, in, 3, what))
        return NULL;
    em_dtype dtype = em__promote(em__promote(a->spec.dtype, source->spec.dtype), init->spec.dtype);
    dtype = dtype == EM_PRED ? EM_U8 : dtype;
    for (int i = 0; i < 3; i++)
        in[i] = em_cast(scope, in[i], dtype);
    if (!em__scope_ok(scope, in, 3, what))
        return NULL;
    if (em__op_operand_dtype(op, dtype, &dtype) != EM_OK)
        return em__scope_fail(scope);
    if (!em__window_ints(scope, a, window, options, what, ints))
        return NULL;
    int rank = a->spec.rank;
    for (int i = 0; i < rank; i++)
        if (ints[4 * rank + i] != 1) {
            em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: dilation %lld on axis %d; it can't be dilated", what,
                     (long long)ints[4 * rank + i], i);
            return em__scope_fail(scope);
        }
    return em__build(scope, &(em__build_args){.op = op, .in = in, .n_in = 3, .ints = ints, .n_ints = 4 * rank});
}

em_array *em_window_scatter_max(em_scope *scope, em_array *a, em_array *source, em_array *init, const int64_t *window,
                                const em_window_options *options)
{
    return scatter(scope, EM__OP_WINDOW_SCATTER_MAX, a, source, init, window, options);
}

em_array *em_window_scatter_min(em_scope *scope, em_array *a, em_array *source, em_array *init, const int64_t *window,
                                const em_window_options *options)
{
    return scatter(scope, EM__OP_WINDOW_SCATTER_MIN, a, source, init, window, options);
}
