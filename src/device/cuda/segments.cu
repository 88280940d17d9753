/* SEGMENT_POOL: rows [tokens, size] to one a segment, whose bounds lie on the device. */
#include "device/cuda/reals.cuh"

enum { COLUMNS = 32, SHARES = 8 };

struct segments {
    const int32_t *offsets;
    int64_t offset_step, tokens, columns, row_step, column_step;
    int pool;
};

template <typename R> static __device__ __forceinline__ R larger(R v, R top)
{
    return v != v || v > top ? v : top;
}

/* Rows SHARES apart, which one thread has summed or compared, joined in order of the threads; R accumulates. */
template <typename R> static __device__ R join(R mine, bool most)
{
    __shared__ R parts[SHARES][COLUMNS];
    parts[threadIdx.y][threadIdx.x] = mine;
    __syncthreads();
    R all = parts[0][threadIdx.x];
    for (int i = 1; i < SHARES; i++)
        all = most ? larger(parts[i][threadIdx.x], all) : all + parts[i][threadIdx.x];
    return all;
}

template <typename T, typename R> __global__ void pool_kernel(const T *x, T *out, segments s)
{
    em_grid_wait();
    int64_t from = s.offsets[blockIdx.y * s.offset_step], to = s.offsets[(blockIdx.y + 1) * s.offset_step];
    from = from < 0 ? 0 : from > s.tokens ? s.tokens : from;
    to = to < from ? from : to > s.tokens ? s.tokens : to;
    int64_t column = blockIdx.x * COLUMNS + threadIdx.x;
    bool inside = column < s.columns;
    bool most = s.pool == EM_POOL_MAX || s.pool == EM_POOL_CLS || s.pool == EM_POOL_LAST; /* of one row: itself */
    if (s.pool == EM_POOL_CLS)
        to = to < from + 1 ? to : from + 1;
    if (s.pool == EM_POOL_LAST)
        from = to > from ? to - 1 : from;
    R mine = most ? -INFINITY : 0;
    x += column * s.column_step;
    for (int64_t t = from + threadIdx.y; t < to && inside; t += SHARES) {
        R v = em_load(x + t * s.row_step);
        mine = most ? larger(v, mine) : mine + (s.pool == EM_POOL_WEIGHTED ? (R)(t - from + 1) * v : v);
    }
    R all = join(mine, most);
    R count = (R)(to - from);
    if (s.pool == EM_POOL_MEAN_SQRT)
        all /= sqrt(count);
    else if (s.pool == EM_POOL_WEIGHTED)
        all /= count * (count + 1) / 2;
    else if (!most)
        all /= count;
    if (inside && threadIdx.y == 0)
        em_store(out + blockIdx.y * s.columns + column, from == to ? (R)0 : all);
}

template <typename T, typename R> static em_status run_pool(em_device *device, const em__call *call)
{
    const em__tensor *x = &call->in[0], *offsets = &call->in[1];
    segments s = {(const int32_t *)offsets->data,
                  offsets->strides[0],
                  x->spec.dims[0],
                  x->spec.dims[1],
                  x->strides[0],
                  x->strides[1],
                  (int)call->ints[0]};
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    dim3 grid(em_blocks(s.columns, COLUMNS), (unsigned)call->out.spec.dims[0]);
    return em_launch(em__cuda_of(device), "segment_pool", pool_kernel<T, R>, grid, dim3(COLUMNS, SHARES), 0,
                     (const T *)x->data, (T *)call->out.data, s);
}

extern "C" bool em__cuda_prepare_segments(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->strided = 3;
    if (call->op != EM__OP_SEGMENT_POOL || call->out.spec.dims[0] > 65535)
        return false;
    switch (call->in[0].spec.dtype) {
    case EM_F16: plan->kernel = run_pool<__half, float>; return true;
    case EM_BF16: plan->kernel = run_pool<__nv_bfloat16, float>; return true;
    case EM_F32: plan->kernel = run_pool<float, float>; return true;
    case EM_F64: plan->kernel = run_pool<double, double>; return true;
    default: return false;
    }
}
