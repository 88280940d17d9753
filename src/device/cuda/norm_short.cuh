/*
 * Layer norm of rows that a warp, or half a warp, holds in registers: LANES lanes with PIECES pieces of 16 bytes each,
 * piece p of lane l being number p * LANES + l of the row. All loads are asked for before anything is looked at.
 */
#ifndef EM_DEVICE_CUDA_NORM_SHORT_CUH
#define EM_DEVICE_CUDA_NORM_SHORT_CUH

#include "device/cuda/rows.cuh"

enum { EM_NORM_THREADS = 128 };

/* What follows the sum of a row; gain and bias may be NULL. */
template <typename T> struct em_norm_end {
    const T *gain, *bias;
    T *out; /* rows n apart */
    float eps;
    int64_t rows;
    int n;
    bool constant; /* nobody writes gain and bias */
};

template <typename T, int PIECES> struct em_norm_weights {
    em_piece<T> gain[PIECES], bias[PIECES];
};

/* WHOLE: pieces are vectors, none is cut. */
template <typename T, int LANES, int PIECES, bool WHOLE>
__device__ __forceinline__ void em_norm_read(const em_norm_end<T> &e, em_norm_weights<T, PIECES> *w)
{
    constexpr int N = EM_PIECE<T>;
    const int j = threadIdx.x % LANES * N;
    if (e.gain)
        em_read_pieces(w->gain, e.gain, j, LANES * N, e.n, WHOLE);
    if (e.bias)
        em_read_pieces(w->bias, e.bias, j, LANES * N, e.n, WHOLE);
}

/* Row `row` from its elements v, 0 past its end, to the result. All lanes of a warp call it. */
template <typename T, int LANES, int PIECES, bool WHOLE>
__device__ __forceinline__ void em_norm_finish(const em_norm_end<T> &e, const em_norm_weights<T, PIECES> &w,
                                               int64_t row, float (&v)[PIECES][EM_PIECE<T>])
{
    constexpr int N = EM_PIECE<T>;
    const int first = threadIdx.x % LANES * N;
    float sum = 0, squares = 0;
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < N; i++)
            sum += v[p][i];
    const float mean = em_lanes_sum(sum, LANES) / (float)e.n;
#pragma unroll
    for (int p = 0; p < PIECES; p++)
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[p][i] = first + p * LANES * N + i < e.n ? v[p][i] - mean : 0.0f;
            squares += v[p][i] * v[p][i];
        }
    const float scale = 1 / sqrtf(em_lanes_sum(squares, LANES) / (float)e.n + e.eps);
    if (row >= e.rows)
        return;
#pragma unroll
    for (int p = 0; p < PIECES; p++) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[p][i] = e.gain ? v[p][i] * scale * (float)w.gain[p].at[i] : v[p][i] * scale;
            v[p][i] = e.bias ? v[p][i] + (float)w.bias[p].at[i] : v[p][i];
        }
        em_write_piece<T>(e.out + row * e.n, v[p], first + p * LANES * N, e.n, WHOLE);
    }
}

/* Calls f<T, LANES, PIECES>(arguments...) for rows of n elements, which em_norm_is_short. */
#define EM_NORM_BY_LENGTH(T, n, f, ...)                                                                                \
    (((n) + EM_PIECE<T> - 1) / EM_PIECE<T> <= 32    ? f<T, 16, 2>(__VA_ARGS__)                                         \
     : ((n) + EM_PIECE<T> - 1) / EM_PIECE<T> <= 48  ? f<T, 16, 3>(__VA_ARGS__)                                         \
     : ((n) + EM_PIECE<T> - 1) / EM_PIECE<T> <= 64  ? f<T, 32, 2>(__VA_ARGS__)                                         \
     : ((n) + EM_PIECE<T> - 1) / EM_PIECE<T> <= 96  ? f<T, 32, 3>(__VA_ARGS__)                                         \
     : ((n) + EM_PIECE<T> - 1) / EM_PIECE<T> <= 128 ? f<T, 32, 4>(__VA_ARGS__)                                         \
                                                    : f<T, 32, 8>(__VA_ARGS__))

static inline bool em_norm_is_short(em_dtype dtype, int64_t n)
{
    const int64_t bytes = n * (int64_t)em_dtype_size(dtype);
    return (dtype == EM_F32 || dtype == EM_BF16 || dtype == EM_F16) && n > 0 && bytes <= 32 * 8 * 16;
}

/* Whether it is for norm_short.cu, with the plan filled (norm.cu asks). */
bool em__cuda_prepare_norm_short(const em__call *call, em__plan *plan);

static inline unsigned em_norm_blocks(int64_t rows, int lanes)
{
    return em_blocks(rows, EM_NORM_THREADS / lanes);
}

#endif
