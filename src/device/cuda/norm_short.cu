/*
 * LAYER_NORM and FUSED_LAYER_NORM of rows that lie one behind the other and fit the registers of a warp
 * (norm_short.cuh): what transformers have. Gain and bias are fetched while the kernel before still runs where they
 * are constants.
 */
#include "device/cuda/norm_short.cuh"

#include "device/cuda/early.h"

enum { FEW_ROWS = 64 };

template <typename T, int LANES, int PIECES, bool WHOLE>
__global__ void __launch_bounds__(EM_NORM_THREADS, PIECES <= 4 ? 5 : 2)
    norm_short_kernel(const T *x, const T *residual, const __grid_constant__ em_norm_end<T> e)
{
    constexpr int N = EM_PIECE<T>;
    const int64_t row = blockIdx.x * (int64_t)(EM_NORM_THREADS / LANES) + threadIdx.x / LANES;
    const int first = threadIdx.x % LANES * N, n = row < e.rows ? e.n : 0;
    em_norm_weights<T, PIECES> w;
    em_piece<T> one[PIECES], other[PIECES];
    float v[PIECES][N];
    em_grid_next();
    if (e.constant)
        em_norm_read<T, LANES, PIECES, WHOLE>(e, &w);
    em_grid_wait();
    if (!e.constant)
        em_norm_read<T, LANES, PIECES, WHOLE>(e, &w);
    em_read_pieces(one, x + row * e.n, first, LANES * N, n, WHOLE);
    if (residual)
        em_read_pieces(other, residual + row * e.n, first, LANES * N, n, WHOLE);
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[p][i] = first + p * LANES * N + i < n ? (float)one[p].at[i] : 0.0f;
            v[p][i] += residual && first + p * LANES * N + i < n ? (float)other[p].at[i] : 0.0f;
        }
    em_norm_finish<T, LANES, PIECES, WHOLE>(e, w, row, v);
}

template <typename T, int LANES, int PIECES>
static em_status launch(em__cuda *cuda, const T *x, const T *residual, const em_norm_end<T> &e, bool whole)
{
    return em_launch(cuda, "norm",
                     whole ? norm_short_kernel<T, LANES, PIECES, true> : norm_short_kernel<T, LANES, PIECES, false>,
                     em_norm_blocks(e.rows, LANES), EM_NORM_THREADS, 0, x, residual, e);
}

template <typename T> static em_status run(em_device *device, const em__call *call)
{
    const bool fused = call->op == EM__OP_FUSED_LAYER_NORM;
    const int gain = fused ? 2 : 1, bias = gain + (int)(call->ints[0] & 1);
    const T *x = (const T *)call->in[0].data, *residual = fused ? (const T *)call->in[1].data : NULL;
    em_norm_end<T> e = {};
    e.gain = call->ints[0] & 1 ? (const T *)call->in[gain].data : NULL;
    e.bias = call->ints[0] & 2 ? (const T *)call->in[bias].data : NULL;
    e.out = (T *)call->out.data;
    e.eps = (float)call->floats[0];
    e.n = (int)call->out.spec.dims[call->out.spec.rank - 1];
    e.rows = em__spec_size(&call->out.spec) / e.n;
    const bool whole =
        e.n % EM_PIECE<T> == 0 &&
        ((uintptr_t)x | (uintptr_t)residual | (uintptr_t)e.gain | (uintptr_t)e.bias | (uintptr_t)e.out) % 16 == 0;
    e.constant = em__cuda_early(em__cuda_of(device), true);
    for (int i = gain; i < call->n_in; i++)
        e.constant = e.constant && call->constant >> i & 1;
    if (e.rows == 0)
        return EM_OK;
    return EM_NORM_BY_LENGTH(T, e.n, launch, em__cuda_of(device), x, residual, e, whole);
}

/* Few rows may become part of the product that follows (encoder.cu): then their sums must stay whole meanwhile. */
bool em__cuda_prepare_norm_short(const em__call *call, em__plan *plan)
{
    const bool fused = call->op == EM__OP_FUSED_LAYER_NORM;
    if (!fused && call->op != EM__OP_LAYER_NORM)
        return false;
    const em__spec *out = &call->out.spec;
    const int64_t n = out->dims[out->rank - 1];
    if (!em_norm_is_short(out->dtype, n) || em__spec_size(out) / n > INT32_MAX ||
        !em__tensor_is_contiguous(&call->in[0]) || (fused && !em__tensor_is_contiguous(&call->in[1])))
        return false;
    plan->inplace = em__spec_size(out) / n <= FEW_ROWS ? 0 : fused ? 3 : 1;
    plan->kernel = out->dtype == EM_F32 ? run<float> : out->dtype == EM_BF16 ? run<__nv_bfloat16> : run<__half>;
    return true;
}
