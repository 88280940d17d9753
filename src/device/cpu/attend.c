/* SDPA and SDPA_SEGMENTS brought to the form that attention.h runs: operands by strides, masks by broadcast. */
#include <string.h>

#include "core/error.h"
#include "device/cpu/cpu.h"

/* The offsets of a call are the caller's data: here they are forced into [0, tokens], ascending. */
static const int32_t *checked_offsets(const em__call *call, int64_t tokens, int64_t *tail, int64_t *longest)
{
    const em__tensor *offsets = &call->in[3];
    int32_t *to = call->scratch;
    int32_t last = 0;
    *longest = 0;
    for (int64_t i = 0; i < offsets->spec.dims[0]; i++) {
        int32_t at = ((const int32_t *)offsets->data)[i * offsets->strides[0]];
        at = at < last ? last : at > tokens ? (int32_t)tokens : at;
        *longest = i > 0 && at - last > *longest ? at - last : *longest;
        to[i] = last = at;
    }
    *tail = last;
    return to;
}

static em__attention_operand sliced(const em__tensor *t, int batch, int head, int token)
{
    em__attention_operand o = {.data = t->data, .head = t->strides[head], .token = t->strides[token]};
    o.batch = batch >= 0 ? t->strides[batch] : 0;
    return o;
}

static em__attention_args segments_args(const em__call *call)
{
    const em__tensor *q = &call->in[0], *v = &call->in[2];
    em__attention_args args = {.batch = call->in[3].spec.dims[0] - 1, .scale = (float)call->floats[0]};
    args.dtype = args.cache = q->spec.dtype;
    args.heads = q->spec.dims[1];
    args.kv_heads = call->in[1].spec.dims[1];
    args.head_dim = q->spec.dims[2];
    args.value_dim = v->spec.dims[2];
    args.queries = args.keys = q->spec.dims[0];
    args.q = sliced(q, -1, 1, 0);
    args.k = sliced(&call->in[1], -1, 1, 0);
    args.v = sliced(v, -1, 1, 0);
    args.out = call->out.data;
    args.out_head = call->out.strides[1];
    args.out_token = call->out.strides[0];
    args.causal = call->ints[1] != 0;
    args.window = call->ints[2];
    if (call->ints[0]) {
        args.relative = call->in[4].data;
        args.relative_span = (call->in[4].spec.dims[1] + 1) / 2;
    }
    return args;
}

static em_status run_segments(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__attention_args args = segments_args(call);
    int64_t tokens = call->in[0].spec.dims[0], first, tail, longest;
    args.offsets = checked_offsets(call, tokens, &tail, &longest);
    EM__FAIL_IF(args.relative && longest > args.relative_span, EM_ERROR_INVALID_ARGUMENT,
                "sdpa_segments: a segment has %lld tokens, the bias allows %lld", (long long)longest,
                (long long)args.relative_span);
    first = args.offsets[0];
    EM__TRY(em__attention_f32(cpu->attention, cpu->pool, &args));
    /* Tokens of no segment are zero. */
    memset(args.out, 0, (size_t)(first * args.out_token) * sizeof(float));
    memset((float *)args.out + tail * args.out_token, 0, (size_t)((tokens - tail) * args.out_token) * sizeof(float));
    return EM_OK;
}

static em__attention_scales scales_of(const em__tensor *t)
{
    return (em__attention_scales){t->data, t->spec.dims[1] * t->spec.dims[2], t->spec.dims[2]};
}

static em__attention_args dense_args(const em__call *call)
{
    const em__tensor *q = &call->in[0], *k = &call->in[1], *v = &call->in[2];
    em__attention_args args = {.batch = q->spec.dims[0], .scale = (float)call->floats[0]};
    args.dtype = q->spec.dtype;
    args.cache = k->spec.dtype;
    args.heads = q->spec.dims[1];
    args.kv_heads = k->spec.dims[1];
    args.head_dim = q->spec.dims[3];
    args.value_dim = v->spec.dims[3];
    args.queries = q->spec.dims[2];
    args.keys = k->spec.dims[2];
    args.q = sliced(q, 0, 1, 2);
    args.k = sliced(k, 0, 1, 2);
    args.v = sliced(v, 0, 1, 2);
    args.out = call->out.data;
    args.out_batch = call->out.strides[0];
    args.out_head = call->out.strides[1];
    args.out_token = call->out.strides[2];
    args.causal = call->ints[0] != 0;
    args.window = call->ints[2];
    args.softcap = (float)call->floats[1];
    args.may_round = call->half_products;
    int next = 3;
    if (call->ints[1] & 1) {
        em__spec scores = q->spec;
        scores.dims[3] = args.keys;
        em__tensor mask = em__tensor_broadcast(&call->in[next++], &scores);
        em__attention_mask m = {mask.data, mask.strides[0], mask.strides[1], mask.strides[2], mask.strides[3]};
        *(mask.spec.dtype == EM_PRED ? &args.allowed : &args.mask) = m;
    }
    if (call->ints[1] & 2)
        args.sinks = call->in[next++].data;
    if (call->ints[1] & 4) {
        args.lengths = call->in[next].data;
        args.length_stride = call->in[next].spec.rank ? call->in[next].strides[0] : 0;
        next++;
    }
    if (call->ints[1] & 24) {
        args.k_scales = scales_of(&call->in[next]);
        args.v_scales = scales_of(&call->in[next + 1]);
    }
    return args;
}

static em_status run_dense(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__attention_args args = dense_args(call);
    return em__attention_f32(cpu->attention, cpu->pool, &args);
}

/* Half queries and a half mask are widened, and the result narrowed: parts of the scratch, in floats. */
typedef struct widened {
    int64_t mask, out, total; /* the queries are at 0 */
} widened;

static bool has_half_mask(const em__call *call)
{
    return call->ints[1] & 1 && call->in[3].spec.dtype == call->in[0].spec.dtype;
}

static widened widen(const em__call *call)
{
    widened w = {.mask = (em__spec_size(&call->in[0].spec) + 15) / 16 * 16};
    w.out = w.mask + (has_half_mask(call) ? (em__spec_size(&call->in[3].spec) + 15) / 16 * 16 : 0);
    w.total = w.out + em__spec_size(&call->out.spec);
    return w;
}

/* Of bf16 queries nothing is lost where they are rounded; the weights of a row are as much rounded as its result is. */
static em__attention_args half_args(const em__call *call, em_dtype dtype)
{
    em__attention_args args = dense_args(call);
    args.may_round |= dtype == EM_BF16;
    return args;
}

static em_status run_half(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__call wide = *call;
    em__tensor in[8];
    const widened w = widen(call);
    float *scratch = call->scratch;
    if (em__spec_empty(&call->out.spec))
        return EM_OK;
    for (int i = 0; i < call->n_in; i++) {
        in[i] = call->in[i];
        if (i != 0 && (i != 3 || !has_half_mask(call)))
            continue;
        in[i].data = scratch + (i ? w.mask : 0);
        in[i].spec.dtype = EM_F32;
        em__cpu_cast(cpu, &call->in[i], &in[i]);
    }
    wide.in = in;
    wide.out.data = scratch + w.out;
    wide.out.spec.dtype = EM_F32;
    em__attention_args args = half_args(&wide, call->in[0].spec.dtype);
    EM__TRY(em__attention_f32(cpu->attention, cpu->pool, &args));
    em__cpu_cast(cpu, &wide.out, &call->out);
    return EM_OK;
}

/* Which of q, k and v may be strided: the elements of a head must be side by side. */
static uint64_t strided_heads(const em__call *call)
{
    uint64_t strided = 0;
    for (int i = 0; i < 3; i++)
        if (call->in[i].strides[call->in[i].spec.rank - 1] == 1)
            strided |= (uint64_t)1 << i;
    return strided;
}

static bool prepare_half(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    em__attention_args args = half_args(call, call->in[0].spec.dtype);
    plan->workers = em__attention_scratch_bytes(cpu->attention, &args);
    plan->kernel = run_half;
    plan->scratch = (size_t)widen(call).total * sizeof(float);
    plan->strided = (strided_heads(call) & 6) | (call->ints[1] & 1 && !has_half_mask(call) ? 8 : 0);
    return true;
}

static em_status run_decode(em_device *device, const em__call *call)
{
    em__cpu *cpu = em__cpu_of(device);
    em__attention_args args = dense_args(call);
    return em__attention_decode(cpu->attention, cpu->pool, &args, call->scratch);
}

/* Few queries: keys and values are read as they lie. */
static bool prepare_decode(const em__call *call, em__plan *plan)
{
    em__attention_args args = dense_args(call);
    em_dtype mask = call->ints[1] & 1 ? call->in[3].spec.dtype : EM_F32;
    if (!em__attention_decodes(&args) || (mask != EM_PRED && mask != EM_F32))
        return false;
    plan->workers = em__attention_decode_worker(&args);
    plan->kernel = run_decode;
    plan->scratch = em__attention_decode_scratch(&args);
    plan->strided = strided_heads(call) | (call->ints[1] & 1 ? 8 : 0);
    return true;
}

bool em__cpu_prepare_attention(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    bool segments = call->op == EM__OP_SDPA_SEGMENTS;
    em_dtype dtype = call->in[0].spec.dtype;
    if (call->op == EM__OP_SDPA && (dtype == EM_F32 || dtype == EM_F16 || dtype == EM_BF16) &&
        prepare_decode(call, plan))
        return true;
    if (call->op == EM__OP_SDPA && (dtype == EM_F16 || dtype == EM_BF16))
        return prepare_half(cpu, call, plan);
    if ((!segments && call->op != EM__OP_SDPA) || dtype != EM_F32)
        return false;
    em__attention_args args = segments ? segments_args(call) : dense_args(call);
    plan->workers = em__attention_scratch_bytes(cpu->attention, &args);
    plan->kernel = segments ? run_segments : run_dense;
    plan->scratch = segments ? (size_t)call->in[3].spec.dims[0] * sizeof(int32_t) : 0;
    /* the mask; sinks and lengths are lists */
    plan->strided = strided_heads(call) | (segments || call->ints[1] & 1 ? 8 : 0);
    return true;
}
