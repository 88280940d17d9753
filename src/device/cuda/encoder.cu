/* Which calls of an encoder of few tokens run together: see encoder.h, thin.h. */
#include "device/cuda/encoder.h"
#include "device/cuda/merge.h"
#include "device/cuda/stack.cuh"
#include "device/cuda/thin.h"

namespace
{

enum { HEAD = 32 };

/* layer_norm, product of its result. */
bool read_norm(const em__cuda *cuda, em__call *const *calls, em__thin *t)
{
    const em__call *norm = calls[0], *product = calls[1];
    const bool fused = norm->op == EM__OP_FUSED_LAYER_NORM;
    if ((!fused && norm->op != EM__OP_LAYER_NORM) || !em__cuda_thin_read(cuda, product, t) || t->x != norm->out.data ||
        norm->out.spec.dtype != t->dtype || norm->out.spec.dims[norm->out.spec.rank - 1] != t->k ||
        em__spec_size(&norm->out.spec) != (int64_t)t->m * t->k || t->residual == norm->out.data)
        return false;
    int next = fused ? 2 : 1;
    for (int i = 0; i < next; i++)
        if (!em__tensor_is_contiguous(&norm->in[i]) || em__cuda_overlap(&norm->in[i], &norm->out) ||
            em__cuda_overlap(&norm->in[i], &product->out))
            return false;
    for (int i = next; i < norm->n_in; i++) {
        if (norm->in[i].strides[0] != 1 || em__cuda_overlap(&norm->in[i], &norm->out))
            return false;
        t->constant = t->constant && norm->constant >> i & 1;
    }
    t->from = EM_THIN_NORM;
    t->x = norm->in[0].data;
    t->norm.added = fused ? norm->in[1].data : NULL;
    t->norm.gain = norm->ints[0] & 1 ? norm->in[next++].data : NULL;
    t->norm.bias = norm->ints[0] & 2 ? norm->in[next].data : NULL;
    t->norm.normed = norm->out.data;
    t->norm.eps = (float)norm->floats[0];
    return em__cuda_thin_takes(t);
}

/* sdpa_segments without a bias, product of its result. */
bool read_attention(const em__cuda *cuda, em__call *const *calls, em__thin *t)
{
    const em__call *attention = calls[0], *product = calls[1];
    if (attention->op != EM__OP_SDPA_SEGMENTS || attention->ints[0] || attention->ints[1] || attention->ints[2] ||
        attention->in[1].spec.dims[1] != attention->out.spec.dims[1] || !em__cuda_thin_read(cuda, product, t) ||
        t->x != attention->out.data || attention->out.spec.dims[2] != HEAD || attention->in[0].spec.dims[2] != HEAD ||
        attention->out.spec.dims[1] * HEAD != t->k || attention->out.spec.dims[0] != t->m ||
        attention->in[3].spec.dims[0] < 1)
        return false;
    for (int i = 0; i < 3; i++) {
        const em__tensor *in = &attention->in[i];
        if (in->spec.dtype != t->dtype || in->strides[2] != 1 || in->strides[1] != HEAD || in->strides[0] % 8 != 0 ||
            em__cuda_overlap(in, &product->out))
            return false;
    }
    t->from = EM_THIN_ATTENTION;
    t->attention.q = attention->in[0].data;
    t->attention.k = attention->in[1].data;
    t->attention.v = attention->in[2].data;
    t->attention.q_step = attention->in[0].strides[0];
    t->attention.k_step = attention->in[1].strides[0];
    t->attention.v_step = attention->in[2].strides[0];
    t->attention.offsets = (const int32_t *)attention->in[3].data;
    t->attention.offset_step = attention->in[3].strides[0];
    t->attention.segments = (int)attention->in[3].spec.dims[0] - 1;
    t->attention.scale = (float)attention->floats[0];
    t->x = NULL;
    return em__cuda_thin_takes(t);
}

em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em__thin t;
    EM__FAIL_IF(!read_norm(cuda, call->merged, &t) && !read_attention(cuda, call->merged, &t), EM_ERROR_INTERNAL,
                "%s: a merged product is not what it was", cuda->name);
    return em__cuda_thin(cuda, &t);
}

} // namespace

extern "C" size_t em__cuda_merge_encoder(em_device *device, const em__merge_call *calls, size_t n,
                                         em__kernel_fn *kernel)
{
    em__cuda *cuda = em__cuda_of(device);
    em__thin t;
    if (calls[0].call->op == EM__OP_TAKE)
        return em__cuda_merge_embedding(calls, n, kernel);
    const size_t layers = em__stack_merge(cuda, calls, n, kernel);
    if (layers)
        return layers;
    if (n < 2)
        return 0;
    em__call *const pair[2] = {calls[0].call, calls[1].call};
    const bool attends = read_attention(cuda, pair, &t);
    if (!attends && !read_norm(cuda, pair, &t))
        return 0;
    if (attends && calls[0].last_read > calls[1].index)
        return 0;
    *kernel = run;
    return 2;
}
