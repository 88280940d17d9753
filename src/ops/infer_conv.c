/* Shape rule of CONV, and its attributes decoded. */
#include "core/error.h"
#include "ops/op.h"

/* Attributes beyond this can't give a shape that fits, but could overflow on the way. */
#define MOST ((int64_t)1 << 40)

em__conv em__conv_decode(const int64_t *ints, int spatial)
{
    return (em__conv){.spatial = spatial,
                      .strides = ints,
                      .low = ints + spatial,
                      .high = ints + 2 * spatial,
                      .input_dilation = ints + 3 * spatial,
                      .kernel_dilation = ints + 4 * spatial,
                      .feature_groups = ints[5 * spatial],
                      .batch_groups = ints[5 * spatial + 1]};
}

static bool within(int64_t x, int64_t least)
{
    return x >= least && x <= MOST;
}

/* One spatial axis of the result. */
static em_status slide(const em__apply *apply, const em__conv *conv, int i, int64_t *out)
{
    const int64_t size = apply->in[0]->dims[i + 2], taps = apply->in[1]->dims[i + 2];
    if (!within(conv->strides[i], 1) || !within(conv->input_dilation[i], 1) || !within(conv->kernel_dilation[i], 1))
        return em__infer_fail(apply,
                              "spatial axis %d: stride %lld, input dilation %lld, kernel dilation %lld; each "
                              "must be at least 1 (and at most 2^40)",
                              i, (long long)conv->strides[i], (long long)conv->input_dilation[i],
                              (long long)conv->kernel_dilation[i]);
    int64_t padded, reach;
    bool fits = within(conv->low[i], -MOST) && within(conv->high[i], -MOST) &&
                !__builtin_mul_overflow(size > 0 ? size - 1 : 0, conv->input_dilation[i], &padded) &&
                !__builtin_add_overflow(padded, (size > 0) + conv->low[i] + conv->high[i], &padded) &&
                !__builtin_mul_overflow(taps > 0 ? taps - 1 : 0, conv->kernel_dilation[i], &reach);
    if (!fits)
        return em__infer_fail(apply, "spatial axis %d overflows 64 bits", i);
    if (taps < 1 || reach >= padded)
        return em__infer_fail(apply, "spatial axis %d: a kernel over %lld elements does not fit %lld padded ones", i,
                              (long long)(taps < 1 ? 0 : reach + 1), (long long)padded);
    *out = (padded - reach - 1) / conv->strides[i] + 1;
    return EM_OK;
}

em_status em__infer_CONV(const em__apply *apply, em__spec *out)
{
    const em__spec *input = apply->in[0], *kernel = apply->in[1];
    if (input->rank < 3 || kernel->rank != input->rank || input->dtype != kernel->dtype)
        return em__infer_fail(apply, "input and kernel must be of one dtype and of one rank, 3 to 8");
    const em__conv conv = em__conv_decode(apply->ints, input->rank - 2);
    const int64_t features = conv.feature_groups, batches = conv.batch_groups;
    if (features < 1 || batches < 1)
        return em__infer_fail(apply, "feature groups are %lld, batch groups %lld; each must be at least 1",
                              (long long)features, (long long)batches);
    if (features > 1 && batches > 1)
        return em__infer_fail(apply, "feature groups are %lld and batch groups %lld; one of them must be 1",
                              (long long)features, (long long)batches);
    if (input->dims[1] % features || input->dims[1] / features != kernel->dims[1])
        return em__infer_fail(apply, "%lld input channels in %lld feature groups do not match a kernel of %lld",
                              (long long)input->dims[1], (long long)features, (long long)kernel->dims[1]);
    if (kernel->dims[0] % features || kernel->dims[0] % batches || input->dims[0] % batches)
        return em__infer_fail(apply, "%lld output channels and batch %lld do not divide into %lld groups",
                              (long long)kernel->dims[0], (long long)input->dims[0],
                              (long long)(features > batches ? features : batches));
    *out = *input;
    out->dims[0] = input->dims[0] / batches;
    out->dims[1] = kernel->dims[0];
    for (int i = 0; i < conv.spatial; i++)
        EM__TRY(slide(apply, &conv, i, &out->dims[i + 2]));
    return EM_OK;
}
