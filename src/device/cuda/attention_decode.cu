/* Few queries over a long cache: how a call is cut, and the kernels of caches of f32. */
#include "device/cuda/attention_decode.cuh"

enum { MOST_QUERIES = 8, MOST_PARTS = 32, CLUSTER = 16, MOST_SIZE = 256 };

/* The number of parts is given by the cache's heads and room alone: not by the batch, so that a sequence has the same
 * bits in any. */
em_decode::shape em_decode::shape_of(const em__cuda *cuda, const em__call *call)
{
    const em__spec *q = &call->in[0].spec, *k = &call->in[1].spec;
    const int64_t value_size = call->out.spec.dims[3], wide = q->dims[3] > value_size ? q->dims[3] : value_size;
    const int64_t rows = q->dims[1] / k->dims[1] * q->dims[2];
    shape s = {};
    s.lanes = wide <= 64 ? 8 : wide <= 128 ? 16 : 32;
    s.rows = rows <= 2 ? 2 : rows <= 4 ? 4 : 8;
    s.tiles = (int)((rows + s.rows - 1) / s.rows);
    const int64_t step = 1024 / s.lanes * 2; /* keys that a block takes at a time */
    const int64_t most = k->dims[1] * s.tiles > 8 ? MOST_PARTS / 2 : k->dims[2] > step * 32 ? MOST_PARTS : CLUSTER;
    s.parts = 1;
    while (s.parts < most && k->dims[2] > s.parts * step)
        s.parts *= 2;
    s.cluster = cuda->major == 9 && s.parts <= CLUSTER;
    return s;
}

em_status em_decode::run_f32(em_device *device, const em__call *call)
{
    return run<float>(device, call);
}

bool em_attend_prepare_decode(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    const em__spec *q = &call->in[0].spec, *k = &call->in[1].spec;
    if (q->dims[2] > MOST_QUERIES || q->dims[3] % 8 || call->out.spec.dims[3] % 8 || q->dims[3] > MOST_SIZE ||
        call->out.spec.dims[3] > MOST_SIZE || (q->dtype != EM_F32 && q->dtype != EM_F16 && q->dtype != EM_BF16))
        return false;
    const em_decode::shape s = em_decode::shape_of(cuda, call);
    if (q->dims[0] > UINT16_MAX || k->dims[1] * s.tiles > UINT16_MAX)
        return false;
    if (!s.cluster && s.parts > 1)
        plan->scratch = sizeof(float) * (size_t)(q->dims[0] * k->dims[1]) * (size_t)(s.tiles * s.parts * s.rows) *
                        (size_t)(s.lanes * 8 + 2);
    switch (k->dtype) {
    case EM_F32: plan->kernel = em_decode::run_f32; return true;
    case EM_F16: plan->kernel = em_decode::run_f16; return true;
    case EM_BF16: plan->kernel = em_decode::run_bf16; return true;
    case EM_S8: plan->kernel = em_decode::run_s8; return true;
    default: return false;
    }
}
