/*
 * LAYER_NORM, RMS_NORM and FUSED_LAYER_NORM: a row is read once, into registers, and its mean and its squared
 * distances from the mean are taken there; lanes, then warps, are put together in a fixed order. Rows that registers
 * can't hold are walked along three times.
 */
#include "device/cuda/norm_short.cuh"

template <typename T> struct norm_args {
    const T *x, *residual, *weight, *bias; /* the last three may be NULL */
    T *out;
    int64_t rows, n;
    em_real_t<T> eps, share; /* share: of an element in a row's mean */
    int lanes, early;        /* early: blocks that ask for their row before the grid before has ended */
    bool centre, whole;
    em_layout<2> layout; /* of the rows of x and residual */
};

/* Sum, squared distances from the own mean (from 0 where rows are not centred), number of elements. */
template <typename R> struct moments {
    R sum, squares;
    int count;
};

/* The warps' moments as one, in every thread. */
template <typename R>
__device__ __forceinline__ moments<R> over_warps(moments<R> m, int64_t n, bool centre, moments<R> *shared)
{
    int lane = threadIdx.x % 32, warps = (blockDim.x + 31) / 32;
    if (lane == 0)
        shared[threadIdx.x / 32] = m;
    __syncthreads();
    m = lane < warps ? shared[lane] : moments<R>{0, 0, 0};
    R sum = em_lanes_sum(m.sum, 32);
    R apart = centre && m.count ? m.sum / (R)m.count - sum / (R)n : (R)0;
    return {sum, em_lanes_sum(m.squares + (R)m.count * apart * apart, 32), (int)n};
}

/* x, and the residual on top of it. */
template <typename T, int PIECES>
__device__ __forceinline__ void read_rows(const norm_args<T> &a, const int64_t (&at)[2], int j, int step, int n,
                                          em_real_t<T> (&v)[PIECES][EM_PIECE<T>])
{
    em_read_reals(v, a.x + at[0], j, step, n, a.whole, (em_real_t<T>)0);
    if (!a.residual)
        return;
    em_real_t<T> other[PIECES][EM_PIECE<T>];
    em_read_reals(other, a.residual + at[1], j, step, n, a.whole, (em_real_t<T>)0);
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < EM_PIECE<T>; i++)
            v[p][i] += other[p][i];
}

template <typename T, int PIECES> struct weights {
    em_piece<T> weight[PIECES], bias[PIECES];
};

/* Without a branch, so that nothing waits: where there are none, elements of x come in their place. */
template <typename T, int PIECES>
__device__ __forceinline__ void read_weights(const norm_args<T> &a, const T *x, int j, int step, int n,
                                             weights<T, PIECES> &w)
{
    em_read_pieces(w.weight, a.weight ? a.weight : x, j, step, n, a.whole);
    em_read_pieces(w.bias, a.bias ? a.bias : a.weight ? a.weight : x, j, step, n, a.whole);
}

template <typename T>
__device__ __forceinline__ em_real_t<T> finished(const norm_args<T> &a, em_real_t<T> x, T weight, T bias,
                                                 em_real_t<T> mean, em_real_t<T> scale)
{
    typedef em_real_t<T> R;
    R by = a.weight ? (R)weight : (R)1;
    x = (x - mean) * scale * by;
    return a.bias ? x + (R)bias : x;
}

template <typename T, int PIECES>
__device__ __forceinline__ void write_rows(const norm_args<T> &a, T *row, int j, int step, int n,
                                           em_real_t<T> (&v)[PIECES][EM_PIECE<T>], const weights<T, PIECES> &w,
                                           em_real_t<T> mean, em_real_t<T> scale)
{
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
#pragma unroll
        for (int i = 0; i < EM_PIECE<T>; i++)
            v[p][i] = finished(a, v[p][i], w.weight[p].at[i], w.bias[p].at[i], mean, scale);
        em_write_piece<T>(row, v[p], j + p * step, n, a.whole);
    }
}

template <typename T, int PIECES, bool WIDE>
__global__ void __launch_bounds__(WIDE ? EM_ROW_THREADS<T> : 128) norm_kernel(const __grid_constant__ norm_args<T> a)
{
    constexpr int N = EM_PIECE<T>;
    typedef em_real_t<T> R;
    __shared__ moments<R> shared[32];
    int threads = WIDE ? (int)blockDim.x : a.lanes, thread = WIDE ? (int)threadIdx.x : (int)threadIdx.x % a.lanes;
    int64_t row = WIDE ? blockIdx.x : blockIdx.x * (int64_t)(blockDim.x / a.lanes) + threadIdx.x / a.lanes;
    int n = row < a.rows ? (int)a.n : 0, j = thread * N, step = threads * N, count = 0, lanes = WIDE ? 32 : a.lanes;
    int64_t at[2];
    em_offsets(a.layout, row, at);
    em_grid_wait();
    R v[PIECES][N], sum = 0, squares = 0;
    weights<T, PIECES> w;
    read_rows(a, at, j, step, n, v);
    if (PIECES <= 2) /* otherwise there are no registers for them */
        read_weights(a, a.x + at[0], j, step, n, w);
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < N; i++)
            sum += v[p][i];
#pragma unroll
    for (int p = 0; p < PIECES; p++)
        count += min(max(n - (j + p * step), 0), N);
    if (WIDE)
        count = __reduce_add_sync(~0u, count);
    sum = em_lanes_sum(sum, lanes);
    R mean = a.centre ? sum / (R)(WIDE ? count : n) : (R)0;
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < N; i++) {
            R apart = j + p * step + i < n ? v[p][i] - mean : (R)0;
            squares += apart * apart;
        }
    moments<R> m = {sum, em_lanes_sum(squares, lanes), count};
    if (WIDE)
        m = over_warps(m, n, a.centre, shared);
    em_grid_next();
    if (PIECES > 2)
        read_weights(a, a.x + at[0], j, step, n, w);
    mean = a.centre ? m.sum / (R)n : (R)0;
    write_rows(a, a.out + row * a.n, j, step, n, v, w, mean, 1 / sqrt(m.squares / (R)n + a.eps));
}

/* What a piece of x is multiplied by, and what is added to it. */
template <typename T> struct row_weights {
    em_piece<T> weight, bias;
};

template <typename T, bool WEIGHT, bool BIAS>
__device__ __forceinline__ row_weights<T> ask_weights(const norm_args<T> &a, int j)
{
    row_weights<T> w;
    if (WEIGHT)
        w.weight = *(const em_piece<T> *)(a.weight + j);
    if (BIAS)
        w.bias = *(const em_piece<T> *)(a.bias + j);
    return w;
}

/* (x - mean) scale by weight and bias, where there are such. Those of the next piece are asked for before this one is
 * written: they can't be later, since the result might be the same memory for all that is known. */
template <typename T, int PIECES, bool WEIGHT, bool BIAS>
__device__ __forceinline__ void write_full(const norm_args<T> &a, const em_full_row<T, PIECES> &row,
                                           row_weights<T> next, float mean, float scale)
{
    T *const to = a.out + blockIdx.x * a.n;
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
        const row_weights<T> w = next;
        if (p + 1 < PIECES)
            next = ask_weights<T, WEIGHT, BIAS>(a, row.place(p + 1));
        em_piece<T> out;
#pragma unroll
        for (int i = 0; i < EM_PIECE<T>; i++) {
            const float x = ((float)row.pieces[p].at[i] - mean) * scale;
            out.at[i] = (T)(BIAS     ? __fmaf_rn(x, (float)w.weight.at[i], (float)w.bias.at[i])
                            : WEIGHT ? x * (float)w.weight.at[i]
                                     : x);
        }
        *(em_piece<T> *)(to + row.place(p)) = out;
    }
}

/* 1 / sqrt(x), to the last bits of f32 where the result has them. */
template <typename T> __device__ __forceinline__ float inverse_root(float x)
{
    return sizeof(T) == 2 ? rsqrtf(x) : 1 / sqrtf(x);
}

/* A row of exactly the block's pieces, without a residual: the same with nothing to look out for. A lane takes its
 * distances from its own mean, so that sums and distances go over the lanes at once; so do warps, one a lane: as many
 * lanes as there are warps, or some more, put them together. */
template <typename T, int PIECES, bool WEIGHT, bool BIAS>
__global__ void __launch_bounds__(EM_ROW_THREADS<T>, EM_FULL_BLOCKS<T>)
    norm_full_kernel(const __grid_constant__ norm_args<T> a)
{
    constexpr int COUNT = EM_PIECE<T> * PIECES;
    __shared__ float2 shared[32];
    const int lane = threadIdx.x % 32, warps = (int)blockDim.x / 32, its = lane & (a.lanes - 1);
    int64_t at[2];
    em_offsets(a.layout, blockIdx.x, at);
    if ((int)blockIdx.x < a.early && threadIdx.x == 0)
        em_fetch_early(a.x + at[0], (unsigned)a.n * (unsigned)sizeof(T));
    em_grid_wait();
    em_grid_next();
    em_full_row<T, PIECES> row;
    row.read(a.x + at[0]);
    float sum = 0, squares = 0;
    row.each([&](float x) { sum += x; });
    const float own = a.centre ? sum / COUNT : 0.0f;
    row.each([&](float x) { squares = __fmaf_rn(x - own, x - own, squares); });
    const row_weights<T> first = ask_weights<T, WEIGHT, BIAS>(a, row.place(0));
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {
        const float other = __shfl_xor_sync(~0u, sum, step), apart = a.centre ? sum - other : 0.0f;
        squares += __shfl_xor_sync(~0u, squares, step);
        squares = __fmaf_rn(apart * apart, 0.5f / (COUNT * step), squares);
        sum += other;
    }
    if (lane == 0)
        shared[threadIdx.x / 32] = make_float2(sum, squares);
    __syncthreads();
    const float2 warp = its < warps ? shared[its] : make_float2(0, 0);
    const float mean = a.centre ? em_lanes_sum(warp.x, a.lanes) * a.share : 0.0f;
    const float apart = a.centre && its < warps ? warp.x * (1.0f / (32 * COUNT)) - mean : 0.0f;
    squares = em_lanes_sum(__fmaf_rn(32 * COUNT * apart, apart, warp.y), a.lanes);
    em_keep_packed(row.pieces);
    write_full<T, PIECES, WEIGHT, BIAS>(a, row, first, mean, inverse_root<T>(__fmaf_rn(squares, a.share, a.eps)));
}

/* The kernel of full rows for what there is of weight and bias. */
template <typename T, int PIECES> static auto full_kernel(const norm_args<T> *a) -> void (*)(norm_args<T>)
{
    return a->bias     ? norm_full_kernel<T, PIECES, true, true>
           : a->weight ? norm_full_kernel<T, PIECES, true, false>
                       : norm_full_kernel<T, PIECES, false, false>;
}

/* A block along one row of any length. */
template <typename T>
__global__ void __launch_bounds__(EM_ROW_THREADS<T>) norm_long_kernel(const __grid_constant__ norm_args<T> a)
{
    constexpr int N = EM_PIECE<T>;
    typedef em_real_t<T> R;
    __shared__ moments<R> shared[2][32];
    int64_t at[2];
    int n = (int)a.n, step = (int)blockDim.x * N, first = (int)threadIdx.x * N;
    em_offsets(a.layout, blockIdx.x, at);
    em_grid_wait();
    R v[1][N], mean = 0, squares = 0, sum = 0;
    weights<T, 1> w;
    for (int j = first; j < n && a.centre; j += step) {
        read_rows(a, at, j, 0, n, v);
#pragma unroll
        for (int i = 0; i < N; i++)
            sum += v[0][i];
    }
    if (a.centre)
        mean = over_warps(moments<R>{em_lanes_sum(sum, 32), 0, 0}, n, false, shared[0]).sum / (R)n;
    for (int j = first; j < n; j += step) {
        read_rows(a, at, j, 0, n, v);
#pragma unroll
        for (int i = 0; i < N; i++)
            squares += j + i < n ? (v[0][i] - mean) * (v[0][i] - mean) : (R)0;
    }
    squares = over_warps(moments<R>{0, em_lanes_sum(squares, 32), 0}, n, false, shared[1]).squares;
    R scale = 1 / sqrt(squares / (R)n + a.eps);
    for (int j = first; j < n; j += step) {
        read_rows(a, at, j, 0, n, v);
        read_weights(a, a.x + at[0], j, 0, n, w);
        write_rows(a, a.out + blockIdx.x * a.n, j, 0, n, v, w, mean, scale);
    }
}

template <typename T> static norm_args<T> arguments_of(const em__call *call)
{
    norm_args<T> a = {};
    const em__tensor *x = &call->in[0], *residual = x;
    int next = 1;
    if (call->op == EM__OP_FUSED_LAYER_NORM)
        residual = &call->in[next++];
    a.x = (const T *)x->data;
    a.residual = residual == x ? NULL : (const T *)residual->data;
    a.weight = call->ints[0] & 1 ? (const T *)call->in[next++].data : NULL;
    a.bias = call->ints[0] & 2 ? (const T *)call->in[next].data : NULL;
    a.out = (T *)call->out.data;
    a.eps = (em_real_t<T>)call->floats[0];
    a.centre = call->op != EM__OP_RMS_NORM;
    em__spec outer = x->spec;
    a.n = outer.dims[--outer.rank];
    a.share = a.n ? 1 / (em_real_t<T>)a.n : 0;
    a.rows = em__spec_size(&outer);
    const em__tensor *const both[] = {x, residual};
    a.layout = em_collapse<2>(&outer, both);
    a.whole = em_rows_are_whole(a.x, sizeof(T), a.layout.strides[0], a.layout.rank) &&
              em_rows_are_whole(a.residual, sizeof(T), a.layout.strides[1], a.layout.rank) &&
              em_rows_are_whole(a.weight, 0, NULL, 0) && em_rows_are_whole(a.bias, 0, NULL, 0) &&
              em_rows_are_whole(a.out, sizeof(T), &a.n, 1);
    return a;
}

template <typename T> static em_status run_norm(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    norm_args<T> a = arguments_of<T>(call);
    if (a.rows == 0 || a.n == 0)
        return EM_OK;
    em_row_cut cut = em_cut_rows<T>(a.n);
    void (*kernel)(norm_args<T>) = norm_long_kernel<T>;
    if (cut.pieces == 1)
        kernel = norm_kernel<T, 1, false>;
    else if (cut.pieces == 2)
        kernel = cut.wide ? norm_kernel<T, 2, true> : norm_kernel<T, 2, false>;
    else if (cut.pieces == 4)
        kernel = cut.wide ? norm_kernel<T, 4, true> : norm_kernel<T, 4, false>;
    a.lanes = cut.lanes;
    if constexpr (sizeof(T) <= 4)
        if (em_row_is_full<T>(&cut, a.n) && a.whole && !a.residual && (a.weight || !a.bias)) {
            kernel = cut.pieces == 2 ? full_kernel<T, 2>(&a) : full_kernel<T, 4>(&a);
            a.early = em_early_blocks(cuda, a.n * (int64_t)sizeof(T), cuda->sms * (EM_FULL_THREADS / cut.threads));
            for (a.lanes = 1; a.lanes * 32 < cut.threads;)
                a.lanes *= 2;
        }
    return em_launch(cuda, "norm", kernel, (unsigned)em_row_blocks(&cut, a.rows), cut.threads, 0, a);
}

extern "C" bool em__cuda_prepare_norm(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    bool fused = call->op == EM__OP_FUSED_LAYER_NORM;
    if (!fused && call->op != EM__OP_LAYER_NORM && call->op != EM__OP_RMS_NORM)
        return false;
    int64_t size = em__spec_size(&call->out.spec), n = call->out.spec.dims[call->out.spec.rank - 1];
    if (n >= INT32_MAX / 2 || (n && size / n > INT32_MAX))
        return false;
    if (em__cuda_prepare_norm_short(call, plan))
        return true;
    plan->strided = em_row_is_plain(&call->in[0]) ? 1 : 0;
    plan->strided |= fused && em_row_is_plain(&call->in[1]) ? 2 : 0;
    plan->inplace = fused ? 3 : 1;
    switch (call->out.spec.dtype) {
    case EM_F16: plan->kernel = run_norm<__half>; return true;
    case EM_BF16: plan->kernel = run_norm<__nv_bfloat16>; return true;
    case EM_F32: plan->kernel = run_norm<float>; return true;
    case EM_F64: plan->kernel = run_norm<double>; return true;
    default: return false;
    }
}
