/* WINDOW_*: a thread a place, along its window in row-major order; elements on padding are left out. */
#include "device/cuda/window.cuh"

enum { THREADS = 256 };

template <typename Op>
__global__ void __launch_bounds__(THREADS)
    window_kernel(const __grid_constant__ em_windows w, const typename Op::In *x, typename Op::Out *out, int64_t size,
                  const __grid_constant__ Op op)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    int64_t place[EM_MAX_RANK], from[EM_MAX_RANK], end[EM_MAX_RANK], at[EM_MAX_RANK], base = 0;
    em_grid_wait();
    if (i >= size)
        return;
    em_coordinates(w.places, w.rank, i, place);
    typename Op::Acc acc = op.start();
    bool any = true;
    for (int d = 0; d < w.rank; d++) { /* window elements [from, end) stand on the operand */
        int64_t first = place[d] * w.step[d] - w.low[d], beyond = w.size[d] - first;
        from[d] = first >= 0 ? 0 : (-first + w.dilation[d] - 1) / w.dilation[d];
        end[d] = beyond <= 0 ? 0 : (beyond + w.dilation[d] - 1) / w.dilation[d];
        end[d] = end[d] < w.window[d] ? end[d] : w.window[d];
        at[d] = from[d];
        any = any && from[d] < end[d];
        base += first * w.strides[d];
    }
    if (any)
        do {
            int64_t offset = base;
            for (int d = 0; d < w.rank; d++)
                offset += at[d] * w.dilation[d] * w.strides[d];
            acc = op.join(acc, op.take(x[offset]));
        } while (em_step(from, end, w.rank, at));
    out[i] = op.give(acc);
}

template <typename Op> static em_status launch(em_device *device, const em__call *call, const Op &op)
{
    int64_t size = em__spec_size(&call->out.spec);
    if (size == 0)
        return EM_OK;
    return em_launch(em__cuda_of(device), "window", window_kernel<Op>, em_blocks(size, THREADS), THREADS, 0,
                     em_windows_of(call, &call->in[0].spec, &call->out.spec), (const typename Op::In *)call->in[0].data,
                     (typename Op::Out *)call->out.data, size, op);
}

struct windowed {
    template <typename T, typename A, bool PRODUCT> static em_status sum(em_device *device, const em__call *call)
    {
        return launch(device, call, em_sum_fold<T, A, PRODUCT>());
    }
    template <typename T> static em_status float_end(em_device *device, const em__call *call)
    {
        em_float_end<T> op = em_float_end_of<T>(call->op == EM__OP_WINDOW_MIN);
        if (call->out.spec.dtype == EM_F8_E4M3FN)
            op.lowest = -448; /* it has no infinity */
        return launch(device, call, op);
    }
    template <typename T> static em_status integer_end(em_device *device, const em__call *call)
    {
        return launch(device, call, em_integer_end_of<T>(call->out.spec.dtype, call->op == EM__OP_WINDOW_MIN));
    }
};

extern "C" bool em__cuda_prepare_window(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    switch (call->op) {
    case EM__OP_WINDOW_SUM:
    case EM__OP_WINDOW_PRODUCT:
        plan->kernel = em_fold_sums<windowed>(call->out.spec.dtype, call->op == EM__OP_WINDOW_PRODUCT);
        break;
    case EM__OP_WINDOW_MAX:
    case EM__OP_WINDOW_MIN: plan->kernel = em_fold_ends<windowed>(call->out.spec.dtype); break;
    default: return false;
    }
    return plan->kernel && em__spec_size(&call->out.spec) / THREADS < INT32_MAX;
}
