/* Elementwise ops, one to a call: who runs which. IOTA, which has no operands. BITCAST is a copy, and is left to it. */
#include "device/cuda/elementwise.cuh"

/* 16 bytes a thread. Element i stands at i / inner % length along the axis. */
template <int T>
__global__ void __launch_bounds__(EM_THREADS)
    iota_kernel(em_stored<T> *out, int64_t inner, int64_t length, int64_t size)
{
    constexpr int V = 16 / em_bytes(T);
    em_grid_wait();
    em_grid_next();
    int64_t start = (blockIdx.x * (int64_t)EM_THREADS + threadIdx.x) * V, at, within;
    if (start >= size)
        return;
    if (size <= 0xffffffff) {
        uint32_t line = (uint32_t)start / (uint32_t)inner;
        within = (uint32_t)start - line * (uint32_t)inner;
        at = line % (uint32_t)length;
    } else {
        within = start % inner;
        at = start / inner % length;
    }
    em_packet<em_stored<T>, V> r;
#pragma unroll
    for (int k = 0; k < V; k++) {
        r.v[k] = em_pack<T>(em_cast<EM_S64, T>(at));
        bool next = ++within == inner;
        within = next ? 0 : within;
        at = next ? at + 1 == length ? 0 : at + 1 : at;
    }
    if (start + V <= size) {
        *(em_packet<em_stored<T>, V> *)(out + start) = r;
        return;
    }
#pragma unroll
    for (int k = 0; k < V; k++)
        if (start + k < size)
            out[start + k] = r.v[k];
}

template <int T> static em_status run_iota(em_device *device, const em__call *call)
{
    const em__spec *spec = &call->out.spec;
    int64_t size = em__spec_size(spec), inner = 1, length = spec->rank ? spec->dims[call->ints[1]] : 1;
    if (size == 0)
        return EM_OK;
    for (int axis = (int)call->ints[1] + 1; axis < spec->rank; axis++)
        inner *= spec->dims[axis];
    return em_launch(em__cuda_of(device), "iota", iota_kernel<T>, em_blocks(size, EM_THREADS * 16 / em_bytes(T)),
                     EM_THREADS, 0, (em_stored<T> *)call->out.data, inner, length, size);
}

static em__kernel_fn find_iota(em_dtype dtype)
{
    switch (dtype) {
#define CASE(NAME, text, bits, kind, st)                                                                               \
    case EM_##NAME: return run_iota<EM_##NAME>;
        EM_DTYPE_WHOLE_MAP(CASE)
#undef CASE
    default: return NULL;
    }
}

static em__kernel_fn find(em__op op, em_dtype dtype, em_dtype to)
{
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    if (op == EM__OP_CAST)
        return em__elementwise_cast(dtype, to);
    if (op == EM__OP_SELECT)
        return em__elementwise_select(dtype);
    em__kernel_fn test = em__elementwise_test(op, dtype);
    if (test)
        return test;
    if (kind == EM_KIND_COMPLEX || op == EM__OP_MAKE_COMPLEX)
        return em__elementwise_complex(op, dtype);
    switch (dtype) {
    case EM_F32: return em__elementwise_f32(op);
    case EM_F16: return em__elementwise_f16(op);
    case EM_BF16: return em__elementwise_bf16(op);
    case EM_F64: return em__elementwise_f64(op);
    default: return kind == EM_KIND_FLOAT ? em__elementwise_f8(op, dtype) : em__elementwise_integer(op, dtype);
    }
}

extern "C" bool em__cuda_prepare_elementwise(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op == EM__OP_IOTA) {
        plan->kernel = find_iota(call->out.spec.dtype);
        return plan->kernel != NULL;
    }
    if (!(em__op_get(call->op)->traits & EM__TRAIT_ELEMENTWISE) || call->op == EM__OP_BITCAST)
        return false;
    plan->kernel = find(call->op, call->in[call->n_in - 1].spec.dtype, call->out.spec.dtype);
    plan->strided = UINT64_MAX;
    plan->inplace = ((uint64_t)1 << call->n_in) - 1; /* each element is read before it is written */
    return plan->kernel != NULL;
}
