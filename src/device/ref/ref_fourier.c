/* Fourier transforms, by their definition, in long double. */
#include <math.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/ref/ref.h"

/* One axis: x [n] of `count` values with the rest 0, in `data` from `base`. */
typedef struct line {
    const em__tensor *in;
    int64_t base, stride, count, n;
    bool half;               /* x[n - k] is the conjugate of x[k] and not given */
    const long double *root; /* cos, sin of 2 pi k / n */
    int sign;
} line;

static em__value value_at(const line *l, int64_t j)
{
    bool mirrored = l->half && j > l->n / 2;
    int64_t at = mirrored ? l->n - j : j;
    if (at >= l->count)
        return (em__value){0};
    em__value v = em__ref_load(l->in->spec.dtype, l->in->data, l->base + at * l->stride);
    if (l->half && (at == 0 || 2 * at == l->n))
        v.imag = 0;
    if (mirrored)
        v.imag = -v.imag;
    return v;
}

static em__value transform(const line *l, int64_t k)
{
    long double real = 0, imag = 0;
    int64_t at = 0;
    for (int64_t j = 0; j < l->n; j++) {
        em__value v = value_at(l, j);
        long double c = l->root[2 * at], s = l->sign * l->root[2 * at + 1];
        real += v.f * c - v.imag * s;
        imag += v.f * s + v.imag * c;
        at += k;
        at -= at >= l->n ? l->n : 0;
    }
    long double scale = l->sign > 0 ? (long double)l->n : 1;
    return (em__value){.f = (double)(real / scale), .imag = (double)(imag / scale)};
}

em_status em__ref_fft(em_device *device, const em__call *call)
{
    (void)device;
    const em__tensor *in = &call->in[0];
    const long double turn = 8 * atanl(1);
    int axis = (int)call->ints[0];
    int64_t n = call->ints[1];
    long double *root = em__calloc((size_t)n, 2 * sizeof *root);
    if (!root)
        return EM_ERROR_OUT_OF_MEMORY;
    for (int64_t k = 0; k < n; k++) {
        root[2 * k] = cosl(turn * (long double)k / (long double)n);
        root[2 * k + 1] = sinl(turn * (long double)k / (long double)n);
    }
    bool inverse = call->op == EM__OP_IRFFT || (call->op == EM__OP_FFT && call->ints[2]);
    line l = {in, 0, in->strides[axis], in->spec.dims[axis], n, call->op == EM__OP_IRFFT, root, inverse ? 1 : -1};
    em__walk walk = {.spec = &call->out.spec};
    int64_t size = em__spec_size(&call->out.spec);
    for (int64_t i = 0; i < size; i++, em__walk_next(&walk)) {
        l.base = em__walk_offset(&walk, in) - walk.at[axis] * in->strides[axis];
        em__ref_store(call->out.spec.dtype, call->out.data, i, transform(&l, walk.at[axis]));
    }
    em__free(root);
    return EM_OK;
}
