/* CUMULATIVE_*: who takes which, and how lines are cut. The kernels are in scan.cuh. */
#include "device/cuda/folds.cuh"
#include "device/cuda/scan.cuh"

em_scan_plan em_scan_layout(const em__cuda *cuda, const em__call *call)
{
    const em__spec *spec = &call->out.spec;
    int axis = (int)call->ints[0];
    em_scan_plan p = {};
    p.n = spec->dims[axis];
    p.inner = 1;
    for (int d = axis + 1; d < spec->rank; d++)
        p.inner *= spec->dims[d];
    p.lines = p.n ? em__spec_size(spec) / p.n : 0;
    p.reverse = call->ints[1] != 0;
    bool rows = p.inner == 1;
    int64_t step = rows ? EM_SCAN_THREADS * 16 : 64, blocks = rows ? p.lines : em_blocks(p.lines, EM_SCAN_THREADS);
    int64_t parts = blocks > 0 && blocks < cuda->sms ? (2 * cuda->sms + blocks - 1) / blocks : 1;
    p.part = (p.n + parts - 1) / parts;
    p.part = parts > 1 ? (p.part + step - 1) / step * step : p.n;
    p.parts = p.part ? (p.n + p.part - 1) / p.part : 1;
    return p;
}

template <typename T, typename A, bool PRODUCT> static em_status run_sum(em_device *device, const em__call *call)
{
    return em_scan_run(em__cuda_of(device), call, em_sum_fold<T, A, PRODUCT>());
}

template <typename T> static em_status run_float_end(em_device *device, const em__call *call)
{
    return em_scan_run(em__cuda_of(device), call, em_float_end_of<T>(call->op == EM__OP_CUMULATIVE_MIN));
}

template <typename T> static em_status run_integer_end(em_device *device, const em__call *call)
{
    em_integer_end<T> op = em_integer_end_of<T>(call->out.spec.dtype, call->op == EM__OP_CUMULATIVE_MIN);
    return em_scan_run(em__cuda_of(device), call, op);
}

template <typename T, typename A> static em__kernel_fn sums(em__op op)
{
    return op == EM__OP_CUMULATIVE_PRODUCT ? run_sum<T, A, true> : run_sum<T, A, false>;
}

static em__kernel_fn sum_of(em__op op, em_dtype dtype)
{
    switch (dtype) {
    case EM_U8:
    case EM_S8: return sums<uint8_t, uint32_t>(op);
    case EM_U16:
    case EM_S16: return sums<uint16_t, uint32_t>(op);
    case EM_U32:
    case EM_S32: return sums<uint32_t, uint32_t>(op);
    case EM_U64:
    case EM_S64: return sums<uint64_t, uint64_t>(op);
    case EM_F8_E4M3FN: return sums<__nv_fp8_e4m3, float>(op);
    case EM_F8_E5M2: return sums<__nv_fp8_e5m2, float>(op);
    case EM_F16: return sums<__half, float>(op);
    case EM_BF16: return sums<__nv_bfloat16, float>(op);
    case EM_F32: return sums<float, float>(op);
    case EM_F64: return sums<double, double>(op);
    case EM_C64: return sums<em_complex<float>, em_complex<float>>(op);
    case EM_C128: return sums<em_complex<double>, em_complex<double>>(op);
    default: return NULL;
    }
}

static em__kernel_fn end_of(em_dtype dtype)
{
    switch (dtype) {
    case EM_U8:
    case EM_S8: return run_integer_end<uint8_t>;
    case EM_U16:
    case EM_S16: return run_integer_end<uint16_t>;
    case EM_U32:
    case EM_S32: return run_integer_end<uint32_t>;
    case EM_U64:
    case EM_S64: return run_integer_end<uint64_t>;
    case EM_F8_E4M3FN: return run_float_end<__nv_fp8_e4m3>;
    case EM_F8_E5M2: return run_float_end<__nv_fp8_e5m2>;
    case EM_F16: return run_float_end<__half>;
    case EM_BF16: return run_float_end<__nv_bfloat16>;
    case EM_F32: return run_float_end<float>;
    case EM_F64: return run_float_end<double>;
    default: return NULL;
    }
}

extern "C" bool em__cuda_prepare_scan(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    switch (call->op) {
    case EM__OP_CUMULATIVE_SUM:
    case EM__OP_CUMULATIVE_PRODUCT: plan->kernel = sum_of(call->op, call->out.spec.dtype); break;
    case EM__OP_CUMULATIVE_MAX:
    case EM__OP_CUMULATIVE_MIN: plan->kernel = end_of(call->out.spec.dtype); break;
    default: return false;
    }
    em_scan_plan p = em_scan_layout(cuda, call);
    plan->scratch = p.parts > 1 ? (size_t)(p.parts * p.lines) * 16 : 0; /* no Acc is larger */
    return plan->kernel && p.lines <= INT32_MAX;
}
