/* SUM and PRODUCT. */
#include "device/cuda/folds.cuh"
#include "device/cuda/reduce.cuh"

template <typename T, typename A, bool PRODUCT> static em_status run(em_device *device, const em__call *call)
{
    return em_reduce_run(em__cuda_of(device), call, em_sum_fold<T, A, PRODUCT>());
}

template <typename T, typename A> static em__kernel_fn kernel_of(em__op op)
{
    return op == EM__OP_PRODUCT ? run<T, A, true> : run<T, A, false>;
}

em__kernel_fn em_reduce_sums(const em__call *call)
{
    if (call->in[0].spec.dtype != call->out.spec.dtype) /* builders widen first */
        return NULL;
    switch (call->out.spec.dtype) {
    case EM_U32:
    case EM_S32: return kernel_of<uint32_t, uint32_t>(call->op);
    case EM_U64:
    case EM_S64: return kernel_of<uint64_t, uint64_t>(call->op);
    case EM_F8_E4M3FN: return kernel_of<__nv_fp8_e4m3, float>(call->op);
    case EM_F8_E5M2: return kernel_of<__nv_fp8_e5m2, float>(call->op);
    case EM_F16: return kernel_of<__half, float>(call->op);
    case EM_BF16: return kernel_of<__nv_bfloat16, float>(call->op);
    case EM_F32: return kernel_of<float, float>(call->op);
    case EM_F64: return kernel_of<double, double>(call->op);
    case EM_C64: return kernel_of<em_complex<float>, em_complex<float>>(call->op);
    case EM_C128: return kernel_of<em_complex<double>, em_complex<double>>(call->op);
    default: return NULL;
    }
}
