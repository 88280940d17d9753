/* Products of f32 with weights that were cut beforehand: see linear_cut.h, and tiles.h for the product. */
#include "device/cuda/linear_cut.h"

#include "device/cuda/finish.h"
#include "device/cuda/side.h"
#include "device/cuda/thin.h"
#include "device/cuda/tiles.h"

namespace
{

size_t bytes_of(const em__tensor *weight)
{
    return em__scratch_bytes(3 * em__spec_size(&weight->spec), EM_BF16);
}

/* The product, its weights in `packed`, one behind the other. */
em__tiles tiles_of(const em__call *call, const void *packed)
{
    const em__tensor *x = &call->in[0];
    const int64_t k = x->spec.dims[x->spec.rank - 1];
    const int bias = call->ints[1] & 1 ? 2 : 0, residual = call->ints[1] & 2 ? (bias ? 3 : 2) : 0;
    em__tiles t = {};
    t.k = k;
    t.n = call->out.spec.dims[call->out.spec.rank - 1];
    t.m = t.n ? em__spec_size(&call->out.spec) / t.n : 0;
    t.cut = t.ready = true;
    t.activation = (em__op)call->ints[0];
    t.x.ld = k;
    t.at = (const float *)x->data;
    t.weights = (int)call->ints[2];
    for (int i = 0; i < t.weights; i++) {
        const em__tensor *w = &call->in[em__linear_weight(call->ints, i)];
        t.w[i].n = w->spec.dims[0];
        t.w[i].as.ld = k;
        t.w[i].at = packed;
        packed = (const char *)packed + bytes_of(w);
    }
    t.bias = bias ? (const float *)call->in[bias].data : NULL;
    t.residual = residual ? (const float *)call->in[residual].data : NULL;
    t.out = (float *)call->out.data;
    return t;
}

em__gemm gemm_of(const em__call *call, const em__tiles *t, int i)
{
    const em__tensor *w = &call->in[em__linear_weight(call->ints, i)];
    em__gemm g = {EM_F32, EM_F32, t->m, t->w[i].n, t->k, 1, t->x, {w->strides[0], 0, 0}, t->n};
    return g;
}

/* Where the product would be one of packed weights. */
bool suits(em__cuda *cuda, const em__call *call)
{
    if (call->op != EM__OP_FUSED_LINEAR || call->ints[2] > EM__TILES_WEIGHTS || call->out.spec.dtype != EM_F32 ||
        !em__tensor_is_contiguous(&call->in[0]) || !em__cuda_finish_takes((em__op)call->ints[0]))
        return false;
    for (int i = 0; i < (int)call->ints[2]; i++) {
        const em__tensor *w = &call->in[em__linear_weight(call->ints, i)];
        if (w->spec.dtype != EM_F32 || w->strides[1] != 1 || w->strides[0] < w->spec.dims[1])
            return false;
    }
    const em__tiles t = tiles_of(call, NULL);
    return t.m > EM_THIN_ROWS && em__cuda_tiles_takes(cuda, &t);
}

/* From the weights as they are, where the copy engine can't take x for where it lies. */
em_status run_plain(em__cuda *cuda, const em__call *call, const em__tiles *t)
{
    em__finish f = {t->activation, EM_F32, t->m * t->n, t->n, t->out, t->bias, t->residual, t->out};
    float *to = t->out;
    for (int i = 0; i < t->weights; i++) {
        const em__gemm g = gemm_of(call, t, i);
        EM__TRY(em__cuda_gemm(cuda, &g, t->at, call->in[em__linear_weight(call->ints, i)].data, NULL, NULL, to));
        to += t->w[i].n;
    }
    return em__cuda_finish(cuda, &f);
}

em_status run(em_device *device, const em__call *call)
{
    em__tiles t = tiles_of(call, call->packed);
    if (!em__cuda_tiles_aligned(&t))
        return run_plain(em__cuda_of(device), call, &t);
    return em__cuda_tiles(em__cuda_of(device), &t);
}

} // namespace

extern "C" size_t em__cuda_packed_bytes(em_device *device, const em__call *call)
{
    size_t bytes = 0;
    if (!suits(em__cuda_of(device), call))
        return 0;
    for (int i = 0; i < (int)call->ints[2]; i++)
        bytes += bytes_of(&call->in[em__linear_weight(call->ints, i)]);
    return bytes;
}

extern "C" em_status em__cuda_pack(em_device *device, const em__call *call, void *to)
{
    for (int i = 0; i < (int)call->ints[2]; i++) {
        const em__tensor *w = &call->in[em__linear_weight(call->ints, i)];
        const em__matrix as = {w->strides[0], 0, 0};
        EM__TRY(
            em__cuda_tiles_cut(em__cuda_of(device), (const float *)w->data, &as, w->spec.dims[0], w->spec.dims[1], to));
        to = (char *)to + bytes_of(w);
    }
    return EM_OK;
}

extern "C" bool em__cuda_prepare_linear_cut(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    if (!call->packed || !suits(cuda, call))
        return false;
    for (int i = 0; i < (int)call->ints[2]; i++)
        plan->strided |= (uint64_t)1 << em__linear_weight(call->ints, i);
    plan->kernel = run;
    return true;
}
