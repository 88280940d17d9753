/* Attention of many queries in f32: which calls, and in what form. */
#include "device/cuda/attention_rows.cuh"

using em_rows::launch;
using em_rows::segments;

enum { MOST_HEADS = UINT16_MAX };

static em_attend_operand packed_operand(const em__tensor *t)
{
    const int64_t bytes = (int64_t)em_dtype_size(t->spec.dtype), vector = bytes * 8 < 16 ? bytes * 8 : 16;
    em_attend_operand o = {t->data, 0, t->strides[1], t->strides[0], t->spec.dims[2] % 8 == 0};
    for (int i = 0; i < 2; i++)
        o.wide = o.wide && (t->spec.dims[i] == 1 || t->strides[i] * bytes % vector == 0);
    o.wide = o.wide && (uintptr_t)t->data % (uintptr_t)vector == 0;
    return o;
}

static segments segments_of(const em__call *call, em_attend *a)
{
    const em__tensor *q = &call->in[0], *offsets = &call->in[3];
    *a = {};
    a->q = packed_operand(q);
    a->k = packed_operand(&call->in[1]);
    a->v = packed_operand(&call->in[2]);
    a->out = call->out.data;
    a->batch = 1;
    a->queries = a->keys = (int)q->spec.dims[0];
    a->heads = (int)q->spec.dims[1];
    a->kv_heads = (int)call->in[1].spec.dims[1];
    a->size = (int)q->spec.dims[2];
    a->value_size = (int)call->out.spec.dims[2];
    a->dtype = a->cache = q->spec.dtype;
    a->scale = (float)call->floats[0];
    a->causal = call->ints[1] != 0;
    a->window = call->ints[2];
    segments s = {(const int32_t *)offsets->data, offsets->strides[0], (int)offsets->spec.dims[0] - 1};
    if (call->ints[0]) {
        const em__tensor *bias = &call->in[4];
        s.longest = (int)((bias->spec.dims[1] + 1) / 2);
        a->mask = (const float *)bias->data + (s.longest - 1) * bias->strides[1];
        a->mask_dtype = EM_F32;
        a->mask_strides[1] = bias->strides[0];
        a->mask_strides[2] = -bias->strides[1];
        a->mask_strides[3] = bias->strides[1];
    }
    return s;
}

static int widest(const em_attend &a)
{
    return a.size > a.value_size ? a.size : a.value_size;
}

/* Tiles of more queries, which change no bit, where segments are long. */
template <typename T, int SIZE> static em_status launch_segments(em__cuda *cuda, const em_attend &a, const segments &s)
{
    return a.queries >= 96 * (int64_t)s.count ? launch<T, SIZE, 4>(cuda, a, s) : launch<T, SIZE, 2>(cuda, a, s);
}

template <typename T> static em_status run_segments(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em_attend a;
    const segments s = segments_of(call, &a);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    if (em_attend_short_takes(a))
        return em_attend_short(cuda, a, s);
    if (widest(a) <= 32)
        return launch_segments<T, 32>(cuda, a, s);
    if (widest(a) <= 64)
        return launch_segments<T, 64>(cuda, a, s);
    return launch<T, 128, 2>(cuda, a, s);
}

template <typename T> static em_status run_dense(em_device *device, const em__call *call)
{
    const em_attend a = em_attend_of(call);
    const segments none = {};
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    if (widest(a) <= 64)
        return launch<T, 64, 4>(em__cuda_of(device), a, none);
    return launch<T, 128, 4>(em__cuda_of(device), a, none);
}

em_status em_attend_rows(em_device *device, const em__call *call)
{
    switch (call->in[1].spec.dtype) {
    case EM_F32: return run_dense<float>(device, call);
    case EM_F16: return run_dense<__half>(device, call);
    case EM_BF16: return run_dense<__nv_bfloat16>(device, call);
    default: return run_dense<int8_t>(device, call);
    }
}

static bool prepare_segments(const em__call *call, em__plan *plan)
{
    for (int i = 0; i < 3; i++)
        if (call->in[i].strides[2] == 1)
            plan->strided |= (uint64_t)1 << i;
    plan->strided |= 8 | (call->ints[0] ? 16 : 0);
    switch (call->in[0].spec.dtype) {
    case EM_F32: plan->kernel = run_segments<float>; return true;
    case EM_F16: plan->kernel = run_segments<__half>; return true;
    case EM_BF16: plan->kernel = run_segments<__nv_bfloat16>; return true;
    default: return false;
    }
}

bool em_attend_prepare_rows(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    const em__spec *q = &call->in[0].spec, *v = &call->in[2].spec;
    const int last = q->rank - 1;
    (void)cuda;
    if (q->dims[last] > 128 || v->dims[last] > 128)
        return false;
    if (call->op == EM__OP_SDPA_SEGMENTS)
        return q->dims[0] < 1 << 30 && q->dims[1] <= MOST_HEADS && call->in[3].spec.dims[0] < 1 << 30 &&
               prepare_segments(call, plan);
    if (q->dims[0] > MOST_HEADS || q->dims[1] > MOST_HEADS)
        return false;
    plan->kernel = em_attend_rows;
    return q->dtype == EM_F32 || q->dtype == EM_F16 || q->dtype == EM_BF16;
}
