/*
 * WINDOW_SCATTER_MAX and _MIN. First each window says which element wins it; then each element adds up what the windows
 * that it has won bring, in the order of their places: nothing is added by two threads, and sums are those of ref.
 */
#include "device/cuda/window.cuh"

enum { THREADS = 256 };

/* Whether v takes the place of `best`: as good or better. A NaN never does, and keeps a place it has. */
template <typename R> __device__ __forceinline__ bool takes_over(R v, R best, bool smallest)
{
    return smallest ? v <= best : v >= best;
}

template <typename T, typename R>
__global__ void __launch_bounds__(THREADS)
    winners_kernel(const __grid_constant__ em_windows w, const T *x, const T *init, int64_t *winners, int64_t places,
                   bool smallest)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x, won = -1;
    int64_t place[EM_MAX_RANK], zero[EM_MAX_RANK], at[EM_MAX_RANK];
    em_grid_wait();
    if (i >= places)
        return;
    em_coordinates(w.places, w.rank, i, place);
    for (int d = 0; d < w.rank; d++)
        zero[d] = at[d] = 0;
    R best = 0, pad = (R)*init;
    bool first = true;
    do {
        int64_t offset = 0;
        bool inside = true;
        for (int d = 0; d < w.rank; d++) {
            int64_t c = place[d] * w.step[d] + at[d] - w.low[d];
            inside = inside && c >= 0 && c < w.size[d];
            offset += c * w.strides[d];
        }
        R v = inside ? (R)x[offset] : pad;
        if (first || takes_over(v, best, smallest)) {
            best = v;
            won = inside ? offset : -1;
        }
        first = false;
    } while (em_step(zero, w.window, w.rank, at));
    winners[i] = won;
}

template <typename T, typename R>
__global__ void __launch_bounds__(THREADS) gather_kernel(const __grid_constant__ em_windows w, const T *source,
                                                         const T *init, const int64_t *winners, T *out, int64_t size)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    int64_t place[EM_MAX_RANK], from[EM_MAX_RANK], end[EM_MAX_RANK];
    em_grid_wait();
    if (i >= size)
        return;
    em_coordinates(w.size, w.rank, i, place);
    T sum = *init;
    bool any = true;
    for (int d = 0; d < w.rank; d++) { /* windows at [from, end) have the element */
        int64_t last = place[d] + w.low[d], first = last - w.window[d] + 1;
        from[d] = first <= 0 ? 0 : (first + w.step[d] - 1) / w.step[d];
        end[d] = last < 0 ? 0 : last / w.step[d] + 1;
        end[d] = end[d] < w.places[d] ? end[d] : w.places[d];
        any = any && from[d] < end[d];
        place[d] = from[d];
    }
    if (any)
        do {
            int64_t which = 0;
            for (int d = 0; d < w.rank; d++)
                which = which * w.places[d] + place[d];
            if (winners[which] == i)
                sum = em_rounded((R)sum + (R)source[which], (T *)NULL);
        } while (em_step(from, end, w.rank, place));
    out[i] = sum;
}

template <typename T, typename R> static em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    int64_t size = em__spec_size(&call->out.spec), places = em__spec_size(&call->in[1].spec);
    em_windows w = em_windows_of(call, &call->out.spec, &call->in[1].spec);
    const T *init = (const T *)call->in[2].data;
    if (size == 0)
        return EM_OK;
    if (places > 0)
        EM__TRY(em_launch(cuda, "window scatter", winners_kernel<T, R>, em_blocks(places, THREADS), THREADS, 0, w,
                          (const T *)call->in[0].data, init, (int64_t *)call->scratch, places,
                          call->op == EM__OP_WINDOW_SCATTER_MIN));
    return em_launch(cuda, "window scatter", gather_kernel<T, R>, em_blocks(size, THREADS), THREADS, 0, w,
                     (const T *)call->in[1].data, init, (const int64_t *)call->scratch, (T *)call->out.data, size);
}

extern "C" bool em__cuda_prepare_window_scatter(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op != EM__OP_WINDOW_SCATTER_MAX && call->op != EM__OP_WINDOW_SCATTER_MIN)
        return false;
    int64_t places = em__spec_size(&call->in[1].spec);
    if (em__spec_size(&call->out.spec) / THREADS >= INT32_MAX || places / THREADS >= INT32_MAX)
        return false;
    plan->scratch = (size_t)places * sizeof(int64_t);
    switch (call->out.spec.dtype) {
    case EM_U8: plan->kernel = run<uint8_t, uint32_t>; return true;
    case EM_S8: plan->kernel = run<int8_t, int32_t>; return true;
    case EM_U16: plan->kernel = run<uint16_t, uint32_t>; return true;
    case EM_S16: plan->kernel = run<int16_t, int32_t>; return true;
    case EM_U32: plan->kernel = run<uint32_t, uint32_t>; return true;
    case EM_S32: plan->kernel = run<int32_t, int32_t>; return true;
    case EM_U64: plan->kernel = run<uint64_t, uint64_t>; return true;
    case EM_S64: plan->kernel = run<int64_t, int64_t>; return true;
    case EM_F8_E4M3FN: plan->kernel = run<__nv_fp8_e4m3, float>; return true;
    case EM_F8_E5M2: plan->kernel = run<__nv_fp8_e5m2, float>; return true;
    case EM_F16: plan->kernel = run<__half, float>; return true;
    case EM_BF16: plan->kernel = run<__nv_bfloat16, float>; return true;
    case EM_F32: plan->kernel = run<float, float>; return true;
    case EM_F64: plan->kernel = run<double, double>; return true;
    default: return false;
    }
}
