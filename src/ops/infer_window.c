/* Shape rules: windows. */
#include "core/error.h"
#include "ops/op.h"

#define MOST ((int64_t)1 << 60) /* a window, stride, dilation or padding beyond this could overflow on the way */

/* Places of the window along axis d into *places; dilation 1 where the op has none. */
static em_status places_of(const em__apply *apply, int d, bool dilated, int64_t *places)
{
    const em__spec *in = apply->in[0];
    int rank = in->rank;
    int64_t window = apply->ints[d], stride = apply->ints[rank + d], low = apply->ints[2 * rank + d];
    int64_t high = apply->ints[3 * rank + d], dilation = dilated ? apply->ints[4 * rank + d] : 1, span, padded;
    if (window < 1 || stride < 1 || dilation < 1)
        return em__infer_fail(apply, "axis %d: window %lld, stride %lld, dilation %lld must be positive", d,
                              (long long)window, (long long)stride, (long long)dilation);
    if (window > MOST || stride > MOST || dilation > MOST)
        return em__infer_fail(apply, "axis %d: window %lld, stride %lld, dilation %lld: too large, at most 2^60", d,
                              (long long)window, (long long)stride, (long long)dilation);
    if (low < -MOST || low > MOST || high < -MOST || high > MOST ||
        __builtin_mul_overflow(window - 1, dilation, &span) || span > MOST ||
        __builtin_add_overflow(in->dims[d], low, &padded) || __builtin_add_overflow(padded, high, &padded))
        return em__infer_fail(apply, "axis %d: the window or its padding is too large", d);
    if (padded <= span && in->dims[d] > 0)
        return em__infer_fail(apply, "axis %d: a window over %lld elements does not fit %lld", d, (long long)span + 1,
                              (long long)padded);
    *places = padded > span ? (padded - span - 1) / stride + 1 : 0;
    return EM_OK;
}

em_status em__infer_WINDOW(const em__apply *apply, em__spec *out)
{
    out->dtype = apply->in[0]->dtype;
    out->rank = apply->in[0]->rank;
    for (int d = 0; d < out->rank; d++)
        EM__TRY(places_of(apply, d, true, &out->dims[d]));
    return EM_OK;
}

em_status em__infer_WINDOW_SCATTER(const em__apply *apply, em__spec *out)
{
    const em__spec *in = apply->in[0];
    em__spec source = {.dtype = in->dtype, .rank = in->rank};
    char text[EM__SPEC_TEXT];
    for (int d = 0; d < in->rank; d++)
        EM__TRY(places_of(apply, d, false, &source.dims[d]));
    if (!em__spec_equal(&source, apply->in[1]))
        return em__infer_fail(apply, "the source must be %s", em__spec_print(&source, text, sizeof text));
    if (apply->in[2]->rank != 0 || apply->in[2]->dtype != in->dtype)
        return em__infer_fail(apply, "init must be a scalar of the operand's dtype");
    *out = *in;
    return EM_OK;
}
