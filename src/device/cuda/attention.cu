/*
 * Attention: who takes a call of SDPA or SDPA_SEGMENTS, and the plain kernel, which takes every SDPA: one block a
 * query, keys in tiles of 128, each dot product by a warp, a running maximum and sum.
 */
#include "device/cuda/attention.cuh"

enum { THREADS = 128, WARPS = THREADS / 32 };

static em_attend_operand operand_of(const em__tensor *t)
{
    const int64_t bytes = (int64_t)em_dtype_size(t->spec.dtype), vector = bytes * 8 < 16 ? bytes * 8 : 16;
    em_attend_operand o = {t->data, t->strides[0], t->strides[1], t->strides[2], t->spec.dims[3] % 8 == 0};
    for (int i = 0; i < 3; i++)
        o.wide = o.wide && (t->spec.dims[i] == 1 || t->strides[i] * bytes % vector == 0);
    o.wide = o.wide && (uintptr_t)t->data % (uintptr_t)vector == 0;
    return o;
}

em_attend em_attend_of(const em__call *call)
{
    const em__tensor *q = &call->in[0], *k = &call->in[1];
    em_attend a = {};
    a.q = operand_of(q);
    a.k = operand_of(k);
    a.v = operand_of(&call->in[2]);
    a.out = call->out.data;
    a.batch = (int)q->spec.dims[0];
    a.heads = (int)q->spec.dims[1];
    a.kv_heads = (int)k->spec.dims[1];
    a.queries = (int)q->spec.dims[2];
    a.keys = (int)k->spec.dims[2];
    a.size = (int)q->spec.dims[3];
    a.value_size = (int)call->out.spec.dims[3];
    a.dtype = q->spec.dtype;
    a.cache = k->spec.dtype;
    a.scale = (float)(a.scale64 = call->floats[0]);
    a.softcap = (float)(a.softcap64 = call->floats[1]);
    a.causal = call->ints[0] != 0;
    a.window = call->ints[2];
    int next = 3;
    if (call->ints[1] & 1) {
        em__spec scores = q->spec;
        scores.dims[3] = k->spec.dims[2];
        em__tensor mask = em__tensor_broadcast(&call->in[next++], &scores);
        a.mask = mask.data;
        a.mask_dtype = mask.spec.dtype;
        for (int i = 0; i < 4; i++)
            a.mask_strides[i] = mask.strides[i];
    }
    if (call->ints[1] & 2)
        a.sinks = (const float *)call->in[next++].data;
    if (call->ints[1] & 4) {
        a.lengths = (const int32_t *)call->in[next].data;
        a.length_stride = call->in[next].spec.rank ? call->in[next].strides[0] : 0;
        next++;
    }
    if (call->ints[1] & 24) {
        a.k_scales = (const float *)call->in[next].data;
        a.v_scales = (const float *)call->in[next + 1].data;
    }
    return a;
}

__device__ __forceinline__ float exp_of(float x)
{
    return expf(x);
}
__device__ __forceinline__ double exp_of(double x)
{
    return exp(x);
}
__device__ __forceinline__ float tanh_of(float x)
{
    return tanhf(x);
}
__device__ __forceinline__ double tanh_of(double x)
{
    return tanh(x);
}

/* The sum, or the maximum, over the block; `room` holds a number a warp. */
template <bool MAX, typename A> __device__ A over_block(A x, A *room)
{
    for (int o = 16; o; o >>= 1) {
        A y = __shfl_xor_sync(~0u, x, o);
        x = MAX ? (y > x ? y : x) : x + y;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        room[threadIdx.x / 32] = x;
    __syncthreads();
    x = room[0];
    for (int i = 1; i < WARPS; i++)
        x = MAX ? (room[i] > x ? room[i] : x) : x + room[i];
    return x;
}

/* One query's place among the operands. */
struct place {
    int b, h, i, kv;
    int64_t k, v, mask, scales;
};

template <typename A> __device__ A plain_score(const em_attend &a, const place &p, const A *q, int key)
{
    A dot = 0;
    for (int d = threadIdx.x % 32; d < a.size; d += 32)
        dot += q[d] * em_read_any<A>(a.k.data, a.cache, p.k + key * a.k.token + d);
    for (int o = 16; o; o >>= 1)
        dot += __shfl_xor_sync(~0u, dot, o);
    if (a.k_scales)
        dot *= a.k_scales[p.scales + key];
    dot *= (A)a.scale64;
    if (a.softcap64 != 0)
        dot = (A)a.softcap64 * tanh_of(dot / (A)a.softcap64);
    if (!a.mask)
        return dot;
    int64_t at = p.mask + key * a.mask_strides[3];
    if (a.mask_dtype == EM_PRED)
        return ((const uint8_t *)a.mask)[at] ? dot : -(A)INFINITY;
    return dot + em_read_any<A>(a.mask, a.mask_dtype, at);
}

template <typename A> __global__ void __launch_bounds__(THREADS) plain_kernel(const __grid_constant__ em_attend a)
{
    extern __shared__ double shared[];
    A *q = (A *)shared, *acc = q + a.size, *scores = acc + a.value_size, *room = scores + THREADS;
    em_grid_wait();
    place p;
    const int64_t row = blockIdx.x;
    p.i = (int)(row % a.queries);
    p.h = (int)(row / a.queries % a.heads);
    p.b = (int)(row / a.queries / a.heads);
    p.kv = p.h / (a.heads / a.kv_heads);
    p.k = p.b * a.k.batch + p.kv * a.k.head;
    p.v = p.b * a.v.batch + p.kv * a.v.head;
    p.mask = p.b * a.mask_strides[0] + p.h * a.mask_strides[1] + p.i * a.mask_strides[2];
    p.scales = ((int64_t)p.b * a.kv_heads + p.kv) * a.keys;
    for (int d = threadIdx.x; d < a.size; d += THREADS)
        q[d] = em_read_any<A>(a.q.data, a.dtype, p.b * a.q.batch + p.h * a.q.head + p.i * a.q.token + d);
    for (int d = threadIdx.x; d < a.value_size; d += THREADS)
        acc[d] = 0;
    const em_keys seen = em_attend_seen(a, em_attend_length(a, p.b), p.i);
    A top = a.sinks ? (A)a.sinks[p.h] : -(A)INFINITY, sum = a.sinks && top != -(A)INFINITY ? 1 : 0;
    for (int from = seen.first; from < seen.end; from += THREADS) {
        const int n = seen.end - from < THREADS ? seen.end - from : THREADS;
        __syncthreads();
        for (int j = threadIdx.x / 32; j < n; j += WARPS) {
            A score = plain_score(a, p, q, from + j);
            if (threadIdx.x % 32 == 0)
                scores[j] = score;
        }
        __syncthreads();
        A mine = (int)threadIdx.x < n ? scores[threadIdx.x] : -(A)INFINITY;
        const A higher = over_block<true>(mine > top ? mine : top, room);
        const A base = higher == -(A)INFINITY ? 0 : higher, shrink = exp_of(top - base);
        mine = exp_of(mine - base);
        sum = sum * shrink + over_block<false>(mine, room);
        top = higher;
        if ((int)threadIdx.x < n)
            scores[threadIdx.x] = a.v_scales ? mine * (A)a.v_scales[p.scales + from + threadIdx.x] : mine;
        __syncthreads();
        for (int d = threadIdx.x; d < a.value_size; d += THREADS) {
            A x = acc[d] * shrink;
            for (int j = 0; j < n; j++)
                x += scores[j] * em_read_any<A>(a.v.data, a.cache, p.v + (from + j) * a.v.token + d);
            acc[d] = x;
        }
    }
    for (int d = threadIdx.x; d < a.value_size; d += THREADS)
        em_write_any<A>(a.out, a.dtype, row * a.value_size + d, sum == 0 ? 0 : acc[d] / sum);
}

template <typename A> static size_t plain_bytes(const em__call *call)
{
    return (size_t)(call->in[0].spec.dims[3] + call->out.spec.dims[3] + THREADS + WARPS) * sizeof(A);
}

template <typename A> static em_status run_plain(em_device *device, const em__call *call)
{
    em_attend a = em_attend_of(call);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    return em_launch(em__cuda_of(device), "sdpa", plain_kernel<A>, (unsigned)((int64_t)a.batch * a.heads * a.queries),
                     THREADS, plain_bytes<A>(call), a);
}

em_status em_attend_plain(em_device *device, const em__call *call)
{
    return call->in[0].spec.dtype == EM_F64 ? run_plain<double>(device, call) : run_plain<float>(device, call);
}

/* Whether kernels may count this call's axes in int. */
static bool fits_int(const em__call *call)
{
    int64_t rows = call->in[0].spec.dims[0] * call->in[0].spec.dims[1] * call->in[0].spec.dims[2];
    for (int i = 0; i < 3; i++)
        for (int axis = 0; axis < call->in[i].spec.rank; axis++)
            if (call->in[i].spec.dims[axis] >= 1 << 30)
                return false;
    return rows < 1 << 30;
}

/* Operands of which the elements of a head are side by side may have any other strides; so may the mask. */
static uint64_t strided_of(const em__call *call)
{
    uint64_t strided = call->ints[1] & 1 ? 8 : 0;
    for (int i = 0; i < 3; i++)
        if (call->in[i].strides[3] == 1)
            strided |= (uint64_t)1 << i;
    return strided;
}

extern "C" bool em__cuda_prepare_attention(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    if (call->op == EM__OP_SDPA_SEGMENTS)
        return em_attend_prepare_rows(cuda, call, plan);
    if (call->op != EM__OP_SDPA || !fits_int(call))
        return false;
    plan->strided = strided_of(call);
    if (em_attend_prepare_decode(cuda, call, plan) || em_attend_prepare_flash(cuda, call, plan) ||
        em_attend_prepare_rows(cuda, call, plan))
        return true;
    const bool twice = call->in[0].spec.dtype == EM_F64;
    if ((twice ? plain_bytes<double>(call) : plain_bytes<float>(call)) > 48 * 1024)
        return false;
    plan->kernel = em_attend_plain;
    return true;
}
