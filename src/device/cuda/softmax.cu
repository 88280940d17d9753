/*
 * SOFTMAX along any axis. Along the last a row is read once, into registers; each warp takes its own maximum and sum,
 * and the warps' pairs are put together. Rows that registers can't hold are walked along twice, and so are the lines
 * along other axes, by threads side by side.
 */
#include "device/cuda/rows.cuh"

template <typename T> struct softmax_args {
    const T *x;
    T *out;
    int64_t rows, n;
    int lanes;
    bool whole;
    em_layout<1> layout; /* of the rows of x */
};

/* Some elements' largest, and the sum of their exponentials over that one's. */
template <typename R> struct pair {
    R top, sum;
};

__device__ __forceinline__ float power(float x)
{
    return expf(x);
}

__device__ __forceinline__ double power(double x)
{
    return exp(x);
}

/* exp(x) of an element of T, at most 1. Of halves it is 2^24 fold, and what the unit gives is enough: without subnormal
 * numbers it is faster, and so those of bf16 are there still. */
template <typename T> __device__ __forceinline__ em_real_t<T> element_power(em_real_t<T> x)
{
    if constexpr (sizeof(T) == 2) {
        float e;
        asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(__fmaf_rn(x, 1.44269504f, 24.0f)));
        return e;
    } else {
        return power(x);
    }
}

/* exp(part - top), 0 for a part of nothing whatever the top is. */
template <typename R> __device__ __forceinline__ R share(R part, R top)
{
    return part == -(R)INFINITY && top != part ? (R)0 : power(part - top);
}

template <typename R> __device__ __forceinline__ pair<R> over_lanes(pair<R> mine, int lanes)
{
    R top = em_lanes_max(mine.top, lanes);
    R sum = mine.sum == 0 ? (R)0 : mine.sum * share(mine.top, top);
    return {top, em_lanes_sum(sum, lanes)};
}

template <typename R> __device__ __forceinline__ pair<R> over_warps(pair<R> mine, pair<R> *shared)
{
    int lane = threadIdx.x % 32, warps = blockDim.x / 32;
    if (lane == 0)
        shared[threadIdx.x / 32] = mine;
    __syncthreads();
    return over_lanes(lane < warps ? shared[lane] : pair<R>{-(R)INFINITY, 0}, 32);
}

template <typename T, int PIECES, bool WIDE>
__global__ void __launch_bounds__(WIDE ? EM_ROW_THREADS<T> : 128)
    softmax_kernel(const __grid_constant__ softmax_args<T> a)
{
    constexpr int N = EM_PIECE<T>;
    typedef em_real_t<T> R;
    __shared__ pair<R> shared[32];
    int threads = WIDE ? (int)blockDim.x : a.lanes, thread = WIDE ? (int)threadIdx.x : (int)threadIdx.x % a.lanes;
    int64_t row = WIDE ? blockIdx.x : blockIdx.x * (int64_t)(blockDim.x / a.lanes) + threadIdx.x / a.lanes;
    int n = row < a.rows ? (int)a.n : 0, j = thread * N, step = threads * N, lanes = WIDE ? 32 : a.lanes;
    int64_t at[1];
    em_offsets(a.layout, row, at);
    em_grid_wait();
    R v[PIECES][N], top = -(R)INFINITY, sum = 0;
    em_read_reals(v, a.x + at[0], j, step, n, a.whole, -(R)INFINITY);
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < N; i++)
            top = v[p][i] > top ? v[p][i] : top;
    top = em_lanes_max(top, lanes);
    R base = WIDE && top == -(R)INFINITY ? (R)0 : top; /* a warp may have nothing where its row has something */
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < N; i++)
            sum += v[p][i] = element_power<T>(v[p][i] - base);
    pair<R> all = {top, em_lanes_sum(sum, lanes)};
    R scale = 1;
    if (WIDE) {
        all = over_warps(all, shared);
        scale = top == all.top ? (R)1 : share(top, all.top);
        if (all.top == -(R)INFINITY)
            all.sum = all.top - all.top; /* NaN: nothing but -infinity */
    }
    em_grid_next();
    scale /= all.sum;
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
#pragma unroll
        for (int i = 0; i < N; i++)
            v[p][i] *= scale;
        em_write_piece<T>(a.out + row * a.n, v[p], j + p * step, n, a.whole);
    }
}

__device__ __forceinline__ __half2 pair_of(__half x)
{
    return __half2half2(x);
}

__device__ __forceinline__ __nv_bfloat162 pair_of(__nv_bfloat16 x)
{
    return __bfloat162bfloat162(x);
}

/* The largest of the thread's halves, two at a time; NaN are passed over. */
template <typename T, int PIECES> __device__ __forceinline__ float top_of(const em_full_row<T, PIECES> &row)
{
    auto top = pair_of((T)-INFINITY);
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < EM_PIECE<T>; i += 2)
            top = __hmax2(top, *(const decltype(top) *)&row.pieces[p].at[i]);
    return fmaxf((float)top.x, (float)top.y);
}

/* A row of exactly the block's pieces: the same with nothing to look out for, and powers are taken twice. */
template <typename T, int PIECES>
__global__ void __launch_bounds__(EM_ROW_THREADS<T>, EM_FULL_BLOCKS<T>)
    softmax_full_kernel(const __grid_constant__ softmax_args<T> a)
{
    __shared__ pair<float> shared[32];
    int64_t at[1];
    em_offsets(a.layout, blockIdx.x, at);
    em_grid_wait();
    em_grid_next();
    em_full_row<T, PIECES> row;
    row.read(a.x + at[0]);
    float sum = 0;
    const float top = em_lanes_max(top_of(row), 32), base = top == -INFINITY ? 0.0f : top;
    row.each([&](float x) { sum += element_power<T>(x - base); });
    const pair<float> all = over_warps(pair<float>{top, em_lanes_sum(sum, 32)}, shared);
    float scale = top == all.top ? 1.0f : share(top, all.top);
    scale /= all.top == -INFINITY ? all.top - all.top : all.sum; /* NaN: nothing but -infinity */
    row.write(a.out + blockIdx.x * a.n,
              [&](int) { return [=](float x, int) { return element_power<T>(x - base) * scale; }; });
}

/* The pair with elements of v; those past the end are -infinity. */
template <typename R, int N> __device__ __forceinline__ pair<R> grown(pair<R> mine, const R (&v)[N])
{
    R top = mine.top;
#pragma unroll
    for (int i = 0; i < N; i++)
        top = v[i] > top ? v[i] : top;
    R sum = mine.sum == 0 ? (R)0 : mine.sum * share(mine.top, top);
#pragma unroll
    for (int i = 0; i < N; i++)
        sum += share(v[i], top == -(R)INFINITY ? (R)0 : top);
    return {top, sum};
}

/* A block along one row of any length. */
template <typename T>
__global__ void __launch_bounds__(EM_ROW_THREADS<T>) softmax_long_kernel(const __grid_constant__ softmax_args<T> a)
{
    constexpr int N = EM_PIECE<T>;
    typedef em_real_t<T> R;
    __shared__ pair<R> shared[32];
    constexpr int MANY = 4;
    int64_t at[1];
    int n = (int)a.n, step = (int)blockDim.x * N, first = (int)threadIdx.x * N;
    em_offsets(a.layout, blockIdx.x, at);
    const T *x = a.x + at[0];
    em_grid_wait();
    pair<R> mine = {-(R)INFINITY, 0};
    R v[MANY][N];
    for (int j = first; j < n; j += MANY * step) {
        em_read_reals(v, x, j, step, n, a.whole, -(R)INFINITY);
#pragma unroll
        for (int k = 0; k < MANY; k++)
            mine = grown(mine, v[k]);
    }
    mine = over_warps(over_lanes(mine, 32), shared);
    R scale = mine.top == -(R)INFINITY ? (R)NAN : 1 / mine.sum;
    for (int j = first; j < n; j += MANY * step) {
        em_read_reals(v, x, j, step, n, a.whole, -(R)INFINITY);
#pragma unroll
        for (int k = 0; k < MANY; k++) {
#pragma unroll
            for (int i = 0; i < N; i++)
                v[k][i] = power(v[k][i] - mine.top) * scale;
            em_write_piece<T>(a.out + blockIdx.x * a.n, v[k], j + k * step, n, a.whole);
        }
    }
}

enum { ACROSS = 32, DOWN = 16 };

/* Lines of n elements `inner` apart, row-major: threads side by side take neighbouring lines, DOWN of them a line. */
template <typename T> __global__ void softmax_column_kernel(const T *x, T *out, int64_t n, int64_t inner, int64_t tiles)
{
    typedef em_real_t<T> R;
    __shared__ pair<R> shared[DOWN][ACROSS];
    int64_t outer = blockIdx.x / tiles, column = blockIdx.x % tiles * ACROSS + threadIdx.x;
    int64_t from = outer * n * inner + column;
    em_grid_wait();
    pair<R> mine = {-(R)INFINITY, 0};
    R v[4];
    for (int64_t j = threadIdx.y; j < n && column < inner; j += 4 * DOWN) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            v[i] = j + i * DOWN < n ? (R)x[from + (j + i * DOWN) * inner] : -(R)INFINITY;
        mine = grown(mine, v);
    }
    shared[threadIdx.y][threadIdx.x] = mine;
    __syncthreads();
    R top = -(R)INFINITY, sum = 0;
#pragma unroll
    for (int i = 0; i < DOWN; i++)
        top = shared[i][threadIdx.x].top > top ? shared[i][threadIdx.x].top : top;
#pragma unroll
    for (int i = 0; i < DOWN; i++)
        sum += shared[i][threadIdx.x].sum == 0 ? (R)0
                                               : shared[i][threadIdx.x].sum * share(shared[i][threadIdx.x].top, top);
    R scale = top == -(R)INFINITY ? (R)NAN : 1 / sum;
    for (int64_t j = threadIdx.y; j < n && column < inner; j += 4 * DOWN) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (j + i * DOWN < n)
                v[i] = (R)x[from + (j + i * DOWN) * inner];
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (j + i * DOWN < n)
                out[from + (j + i * DOWN) * inner] = (T)(power(v[i] - top) * scale);
    }
}

template <typename T> static em_status run_columns(em_device *device, const em__call *call)
{
    const em__spec *spec = &call->out.spec;
    int axis = (int)call->ints[0];
    int64_t n = spec->dims[axis], inner = 1, size = em__spec_size(spec);
    for (int d = axis + 1; d < spec->rank; d++)
        inner *= spec->dims[d];
    if (size == 0)
        return EM_OK;
    int64_t tiles = (inner + ACROSS - 1) / ACROSS;
    return em_launch(em__cuda_of(device), "softmax", softmax_column_kernel<T>, (unsigned)(size / n / inner * tiles),
                     dim3(ACROSS, DOWN), 0, (const T *)call->in[0].data, (T *)call->out.data, n, inner, tiles);
}

template <typename T> static em_status run_rows(em_device *device, const em__call *call)
{
    softmax_args<T> a = {};
    a.x = (const T *)call->in[0].data;
    a.out = (T *)call->out.data;
    em__spec outer = call->in[0].spec;
    outer.rank = (int)call->ints[0]; /* what comes after has one element */
    a.n = outer.dims[outer.rank];
    a.rows = em__spec_size(&outer);
    if (a.rows == 0 || a.n == 0)
        return EM_OK;
    const em__tensor *const x[] = {&call->in[0]};
    a.layout = em_collapse<1>(&outer, x);
    a.whole = em_rows_are_whole(a.x, sizeof(T), a.layout.strides[0], a.layout.rank) &&
              em_rows_are_whole(a.out, sizeof(T), &a.n, 1);
    em_row_cut cut = em_cut_rows<T>(a.n);
    void (*kernel)(softmax_args<T>) = softmax_long_kernel<T>;
    if (cut.pieces == 1)
        kernel = softmax_kernel<T, 1, false>;
    else if (cut.pieces == 2)
        kernel = cut.wide ? softmax_kernel<T, 2, true> : softmax_kernel<T, 2, false>;
    else if (cut.pieces == 4)
        kernel = cut.wide ? softmax_kernel<T, 4, true> : softmax_kernel<T, 4, false>;
    if constexpr (sizeof(T) == 2)
        if (em_row_is_full<T>(&cut, a.n) && a.whole)
            kernel = cut.pieces == 2 ? softmax_full_kernel<T, 2> : softmax_full_kernel<T, 4>;
    a.lanes = cut.lanes;
    return em_launch(em__cuda_of(device), "softmax", kernel, (unsigned)em_row_blocks(&cut, a.rows), cut.threads, 0, a);
}

template <typename T> static em__kernel_fn kernel_of(bool rows)
{
    return rows ? run_rows<T> : run_columns<T>;
}

extern "C" bool em__cuda_prepare_softmax(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op != EM__OP_SOFTMAX)
        return false;
    const em__spec *spec = &call->out.spec;
    int64_t n = spec->dims[call->ints[0]], size = em__spec_size(spec), inner = 1;
    for (int d = (int)call->ints[0] + 1; d < spec->rank; d++)
        inner *= spec->dims[d];
    bool rows = inner == 1;
    if (n >= INT32_MAX / 2 || (n && size / n > INT32_MAX))
        return false;
    plan->inplace = 1;
    plan->strided = rows && call->ints[0] == spec->rank - 1 && em_row_is_plain(&call->in[0]) ? 1 : 0;
    switch (spec->dtype) {
    case EM_F16: plan->kernel = kernel_of<__half>(rows); return true;
    case EM_BF16: plan->kernel = kernel_of<__nv_bfloat16>(rows); return true;
    case EM_F32: plan->kernel = kernel_of<float>(rows); return true;
    case EM_F64: plan->kernel = kernel_of<double>(rows); return true;
    default: return false;
    }
}
