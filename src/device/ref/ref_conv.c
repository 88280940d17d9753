/* Convolution, naively: every output element visits the kernel's taps and skips those that fall on padding. */
#include "device/ref/ref.h"

/* The input's index on spatial axis i under output index `at` and kernel tap `tap`; false on padding. */
static bool under(const em__conv *conv, int i, int64_t at, int64_t tap, int64_t size, int64_t *index)
{
    int64_t x = at * conv->strides[i] + tap * conv->kernel_dilation[i] - conv->low[i];
    *index = x / conv->input_dilation[i];
    return x >= 0 && x % conv->input_dilation[i] == 0 && *index < size;
}

/* Element (batch, channel) of the input under the output position and the tap; false on padding. */
static bool input_offset(const em__tensor *input, const em__conv *conv, const em__walk *out, const em__walk *tap,
                         int64_t *offset)
{
    for (int i = 0; i < conv->spatial; i++) {
        int64_t index;
        if (!under(conv, i, out->at[i + 2], tap->at[i + 1], input->spec.dims[i + 2], &index))
            return false;
        *offset += index * input->strides[i + 2];
    }
    return true;
}

em_status em__ref_conv(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *input = &call->in[0], *kernel = &call->in[1];
    const em__conv conv = em__conv_decode(call->ints, input->spec.rank - 2);
    const em_dtype dtype = input->spec.dtype;
    const int64_t size = em__spec_size(&call->out.spec), outputs = kernel->spec.dims[0];
    em__spec taps = {.rank = kernel->spec.rank - 1}; /* channels of a group, spatial... */
    for (int i = 0; i < taps.rank; i++)
        taps.dims[i] = kernel->spec.dims[i + 1];
    const int64_t count = em__spec_size(&taps);
    em__walk walk = {.spec = &call->out.spec};
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        const int64_t feature = walk.at[1] / (outputs / conv.feature_groups);
        const int64_t batch = walk.at[1] / (outputs / conv.batch_groups);
        const int64_t image = (walk.at[0] + batch * call->out.spec.dims[0]) * input->strides[0];
        em__value acc = {0};
        em__walk tap = {.spec = &taps};
        for (int64_t j = 0; j < count; j++, em__walk_next(&tap)) {
            int64_t at = image + (feature * taps.dims[0] + tap.at[0]) * input->strides[1];
            int64_t weight = walk.at[1] * kernel->strides[0];
            if (!input_offset(input, &conv, &walk, &tap, &at))
                continue;
            for (int d = 0; d < taps.rank; d++)
                weight += tap.at[d] * kernel->strides[d + 1];
            em__value x = em__ref_load(dtype, input->data, at), w = em__ref_load(dtype, kernel->data, weight);
            acc.f += x.f * w.f - x.imag * w.imag;
            acc.imag += x.f * w.imag + x.imag * w.f;
        }
        em__ref_store(dtype, call->out.data, i, acc);
    }
    return EM_OK;
}
