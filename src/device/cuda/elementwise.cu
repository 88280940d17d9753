/* Elementwise ops, one to a call: who runs which. IOTA, which has no operands; BITCAST, which is a copy. */
#include "device/cuda/elementwise.cuh"

template <int T>
__global__ void __launch_bounds__(EM_THREADS)
    iota_kernel(em_stored<T> *out, int64_t inner, int64_t length, int64_t size)
{
    em_grid_wait();
    em_grid_next();
    int64_t i = blockIdx.x * (int64_t)EM_THREADS + threadIdx.x;
    if (i >= size)
        return;
    int64_t at = size <= 0xffffffff ? (uint32_t)i / (uint32_t)inner % (uint32_t)length : i / inner % length;
    out[i] = em_pack<T>(em_cast<EM_S64, T>(at));
}

template <int T> static em_status run_iota(em_device *device, const em__call *call)
{
    const em__spec *spec = &call->out.spec;
    int64_t size = em__spec_size(spec), inner = 1, length = spec->rank ? spec->dims[call->ints[1]] : 1;
    if (size == 0)
        return EM_OK;
    for (int axis = (int)call->ints[1] + 1; axis < spec->rank; axis++)
        inner *= spec->dims[axis];
    return em_launch(em__cuda_of(device), "iota", iota_kernel<T>, em_blocks(size, EM_THREADS), EM_THREADS, 0,
                     (em_stored<T> *)call->out.data, inner, length, size);
}

static em__kernel_fn find_iota(em_dtype dtype)
{
    switch (dtype) {
#define CASE(NAME, text, size, kind, st)                                                                               \
    case EM_##NAME: return run_iota<EM_##NAME>;
        EM_DTYPE_MAP(CASE)
#undef CASE
    default: return NULL;
    }
}

/* The operand is row-major; in place it is there already. */
static em_status run_bitcast(em_device *device, const em__call *call)
{
    size_t bytes = (size_t)em__spec_size(&call->out.spec) * em_dtype_size(call->out.spec.dtype);
    return call->out.data == call->in[0].data ? EM_OK
                                              : em__cuda_memory.copy(device, call->out.data, call->in[0].data, bytes);
}

static em__kernel_fn find(em__op op, em_dtype dtype, em_dtype to)
{
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    if (op == EM__OP_CAST)
        return em__elementwise_cast(dtype, to);
    if (op == EM__OP_SELECT)
        return em__elementwise_select(dtype);
    if (op == EM__OP_BITCAST)
        return run_bitcast;
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
    if (!(em__op_get(call->op)->traits & EM__TRAIT_ELEMENTWISE))
        return false;
    plan->kernel = find(call->op, call->in[call->n_in - 1].spec.dtype, call->out.spec.dtype);
    plan->strided = call->op == EM__OP_BITCAST ? 0 : UINT64_MAX;
    plan->inplace = ((uint64_t)1 << call->n_in) - 1; /* each element is read before it is written */
    return plan->kernel != NULL;
}
