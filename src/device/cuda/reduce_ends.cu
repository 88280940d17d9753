/* MAX and MIN. */
#include "device/cuda/folds.cuh"
#include "device/cuda/reduce.cuh"

template <typename T> static em_status run_float(em_device *device, const em__call *call)
{
    return em_reduce_run(em__cuda_of(device), call, em_float_end_of<T>(call->op == EM__OP_MIN));
}

template <typename T> static em_status run_integer(em_device *device, const em__call *call)
{
    em_integer_end<T> op = em_integer_end_of<T>(call->in[0].spec.dtype, call->op == EM__OP_MIN);
    return em_reduce_run(em__cuda_of(device), call, op);
}

em__kernel_fn em_reduce_ends(const em__call *call)
{
    em_dtype dtype = call->in[0].spec.dtype;
    switch (dtype) {
    case EM_F8_E4M3FN: return run_float<__nv_fp8_e4m3>;
    case EM_F8_E5M2: return run_float<__nv_fp8_e5m2>;
    case EM_F16: return run_float<__half>;
    case EM_BF16: return run_float<__nv_bfloat16>;
    case EM_F32: return run_float<float>;
    case EM_F64: return run_float<double>;
    default: break;
    }
    switch (em_dtype_get_kind(dtype) == EM_KIND_COMPLEX ? 0 : em_dtype_size(dtype)) {
    case 1: return run_integer<uint8_t>;
    case 2: return run_integer<uint16_t>;
    case 4: return run_integer<uint32_t>;
    case 8: return run_integer<uint64_t>;
    default: return NULL;
    }
}
