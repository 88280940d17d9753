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

struct running {
    template <typename T, typename A, bool PRODUCT> static em_status sum(em_device *device, const em__call *call)
    {
        return em_scan_run(em__cuda_of(device), call, em_sum_fold<T, A, PRODUCT>());
    }
    template <typename T> static em_status float_end(em_device *device, const em__call *call)
    {
        return em_scan_run(em__cuda_of(device), call, em_float_end_of<T>(call->op == EM__OP_CUMULATIVE_MIN));
    }
    template <typename T> static em_status integer_end(em_device *device, const em__call *call)
    {
        em_integer_end<T> op = em_integer_end_of<T>(call->out.spec.dtype, call->op == EM__OP_CUMULATIVE_MIN);
        return em_scan_run(em__cuda_of(device), call, op);
    }
};

extern "C" bool em__cuda_prepare_scan(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    switch (call->op) {
    case EM__OP_CUMULATIVE_SUM:
    case EM__OP_CUMULATIVE_PRODUCT:
        plan->kernel = em_fold_sums<running>(call->out.spec.dtype, call->op == EM__OP_CUMULATIVE_PRODUCT);
        break;
    case EM__OP_CUMULATIVE_MAX:
    case EM__OP_CUMULATIVE_MIN: plan->kernel = em_fold_ends<running>(call->out.spec.dtype); break;
    default: return false;
    }
    em_scan_plan p = em_scan_layout(cuda, call);
    plan->scratch = p.parts > 1 ? (size_t)(p.parts * p.lines) * 16 : 0; /* no Acc is larger */
    return plan->kernel && p.lines <= INT32_MAX;
}
