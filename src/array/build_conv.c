/*
 * Builder of CONV: axes are brought to [batch, channels, spatial...] by views, padding "same" is spelled out, and the
 * result is turned to the axes asked for.
 */
#include <emily/ops.h>

#include "array/array.h"
#include "core/error.h"
#include "core/options.h"

#define SPATIAL (EM_MAX_RANK - 2)

/* Axis i of the result is axis axes[i] of `a`; NULL: a itself. */
static em_array *turned(em_scope *scope, em_array *a, const int *axes)
{
    if (!a || !axes)
        return a;
    em_axes list = {.count = a->spec.rank};
    for (int i = 0; i < list.count; i++)
        list.axes[i] = axes[i];
    return em_transpose(scope, a, list);
}

/* The opposite: axis axes[i] of the result is axis i of `a`. The axes are a permutation already. */
static em_array *turned_back(em_scope *scope, em_array *a, const int *axes)
{
    int back[EM_MAX_RANK] = {0};
    for (int i = 0; a && axes && i < a->spec.rank; i++)
        back[axes[i] < 0 ? axes[i] + a->spec.rank : axes[i]] = i;
    return turned(scope, a, axes ? back : NULL);
}

static bool is_permutation(const int *axes, int rank)
{
    unsigned seen = 0;
    for (int i = 0; axes && i < rank; i++) {
        int axis;
        if (!em__axis(axes[i], rank, &axis) || seen >> axis & 1)
            return false;
        seen |= 1u << axis;
    }
    return true;
}

static int64_t or_one(const int64_t *list, int i)
{
    return list ? list[i] : 1;
}

/* Zeros on both sides of an axis for a result of ceil(size / stride), as JAX and Nx put them: input dilation does not
 * count. Attributes out of range give nothing: the shape rule refuses them. */
static void pad_same(int64_t size, int64_t taps, int64_t stride, int64_t dilation, int64_t *low, int64_t *high)
{
    int64_t reach, span, total;
    *low = *high = 0;
    if (stride < 1 || dilation < 1 || taps < 1 || size < 1)
        return;
    if (__builtin_mul_overflow(taps - 1, dilation, &reach) ||
        __builtin_mul_overflow((size - 1) / stride, stride, &span) ||
        __builtin_add_overflow(span, reach + 1 - size, &total) || total < 0)
        return;
    *low = total / 2;
    *high = total - *low;
}

static void attributes(const em_conv_options *o, const em__spec *input, const em__spec *kernel, int64_t *ints)
{
    const int n = input->rank - 2;
    for (int i = 0; i < n; i++) {
        ints[i] = or_one(o->strides, i);
        ints[n + i] = o->pad_low ? o->pad_low[i] : 0;
        ints[2 * n + i] = o->pad_high ? o->pad_high[i] : 0;
        ints[3 * n + i] = or_one(o->input_dilation, i);
        ints[4 * n + i] = or_one(o->kernel_dilation, i);
        if (o->same)
            pad_same(input->dims[i + 2], kernel->dims[i + 2], ints[i], ints[4 * n + i], &ints[n + i], &ints[2 * n + i]);
    }
    ints[5 * n] = o->feature_groups ? o->feature_groups : 1;
    ints[5 * n + 1] = o->batch_groups ? o->batch_groups : 1;
}

em_array *em_conv(em_scope *scope, em_array *input, em_array *kernel, const em_conv_options *options)
{
    em_array *in[] = {input, kernel};
    em_conv_options o = {0};
    int64_t ints[5 * SPATIAL + 2];
    if (!em__scope_ok(scope, in, 2, "conv"))
        return NULL;
    if (EM__OPTIONS_COPY(options, &o, em_conv_options) != EM_OK)
        return em__scope_fail(scope);
    const int rank = input->spec.rank;
    if (rank < 3 || kernel->spec.rank != rank) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "conv: input has rank %d and kernel %d; both must have the same, 3 to %d",
                 rank, kernel->spec.rank, EM_MAX_RANK);
        return em__scope_fail(scope);
    }
    if (!is_permutation(o.input_axes, rank) || !is_permutation(o.kernel_axes, rank) ||
        !is_permutation(o.output_axes, rank)) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "conv: input, kernel and output axes must each name every axis once");
        return em__scope_fail(scope);
    }
    em_dtype dtype = em__promote(input->spec.dtype, kernel->spec.dtype);
    dtype = em_dtype_get_kind(dtype) < EM_KIND_FLOAT ? EM_F32 : dtype;
    in[0] = em_cast(scope, turned(scope, input, o.input_axes), dtype);
    in[1] = em_cast(scope, turned(scope, kernel, o.kernel_axes), dtype);
    if (!in[0] || !in[1])
        return NULL;
    attributes(&o, &in[0]->spec, &in[1]->spec, ints);
    em_array *out = em__build(
        scope, &(em__build_args){.op = EM__OP_CONV, .in = in, .n_in = 2, .ints = ints, .n_ints = 5 * (rank - 2) + 2});
    return turned_back(scope, out, o.output_axes);
}
