/*
 * What generated kernels of chains are built from, beside op_math.cuh: packets, and reductions of a row held in
 * registers. Compiled by NVRTC alone.
 *
 * A row lies over T threads, 1 to 32 lanes of a warp or a whole block of 256: thread t holds the packets t, t + T, ...
 * of N neighbours. The order of a reduction is that of the reduction alone (reduce.cuh), so a chain has its bits.
 */
#ifndef EM_DEVICE_CUDA_CHAIN_MATH_CUH
#define EM_DEVICE_CUDA_CHAIN_MATH_CUH

#include "device/cuda/op_math.cuh"

#define EM_CHAIN_THREADS 256

/* See common.cuh. The next grid may start at once: all of a chain's blocks are short. */
EM_DEV void em_chain_wait()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;\ngriddepcontrol.launch_dependents;" ::: "memory");
#endif
}

template <class S, int N> struct alignas(sizeof(S) * N) em_packet {
    S v[N];
};

/* `whole`: packets begin at multiples of their size. At most `count` elements are there. */
template <class S, int N> EM_DEV em_packet<S, N> em_fetch(const S *from, bool whole, int count)
{
    em_packet<S, N> p;
    if (whole && count >= N) {
        p = *(const em_packet<S, N> *)from;
    } else {
#pragma unroll
        for (int k = 0; k < N; k++)
            p.v[k] = from[k < count ? k : 0];
    }
    return p;
}

template <class S, int N> EM_DEV void em_put(S *to, const em_packet<S, N> &p, bool whole, int count)
{
    if (whole && count >= N) {
        *(em_packet<S, N> *)to = p;
    } else {
#pragma unroll
        for (int k = 0; k < N; k++)
            if (k < count)
                to[k] = p.v[k];
    }
}

/* Reductions of dtype T in their accumulator: what they start with, and how two are joined. */
template <int OP, int T> struct em_reduction {
    typedef em_math<T> M;
    static __device__ __forceinline__ M start()
    {
        constexpr int bits = em_type<T>::bits;
        if constexpr (OP == EM__OP_SUM || OP == EM__OP_ANY)
            return 0;
        else if constexpr (OP == EM__OP_PRODUCT || OP == EM__OP_ALL)
            return 1;
        else if constexpr (em_type<T>::floats)
            return (M)(OP == EM__OP_MAX ? -EM_INFINITY : EM_INFINITY);
        else if constexpr (em_type<T>::is_signed)
            return OP == EM__OP_MAX ? (M)(-1ll << (bits - 1)) : (M)(~(-1ll << (bits - 1)));
        else
            return OP == EM__OP_MAX ? (M)0 : (M)(~0ull >> (64 - bits));
    }
    static __device__ __forceinline__ M join(M a, M b)
    {
        if constexpr (OP == EM__OP_ALL)
            return a != 0 && b != 0;
        else if constexpr (OP == EM__OP_ANY)
            return a != 0 || b != 0;
        else if constexpr (OP == EM__OP_MAX || OP == EM__OP_MIN) {
            if constexpr (em_type<T>::floats)
                return em_float2 < OP == EM__OP_MAX ? EM__OP_MAXIMUM : EM__OP_MINIMUM > (a, b);
            else
                return em_integer2 < OP == EM__OP_MAX ? EM__OP_MAXIMUM : EM__OP_MINIMUM, T > (a, b);
        } else if constexpr (em_type<T>::floats)
            return em_float2 < OP == EM__OP_SUM ? EM__OP_ADD : EM__OP_MUL > (a, b);
        else
            return em_integer2 < OP == EM__OP_SUM ? EM__OP_ADD : EM__OP_MUL, T > (a, b);
    }
};

template <class R, class M> EM_DEV M em_join_lanes(M x, int lanes)
{
    for (int step = lanes / 2; step > 0; step /= 2)
        x = R::join(x, __shfl_xor_sync(~0u, x, step));
    return x;
}

/* The threads' x joined; every thread of the row gets lane 0's. */
template <class R, int T, class M> EM_DEV M em_join_row(M x)
{
    x = em_join_lanes<R>(x, T < 32 ? T : 32);
    if constexpr (T <= 32) {
        return T == 1 ? x : __shfl_sync(~0u, x, threadIdx.x % 32 / T * T);
    } else {
        __shared__ M shared[EM_CHAIN_THREADS / 32];
        int lane = threadIdx.x % 32, warps = EM_CHAIN_THREADS / 32;
        if (lane == 0)
            shared[threadIdx.x / 32] = x;
        __syncthreads();
        x = em_join_lanes<R>(lane < warps ? shared[lane] : R::start(), 32);
        __syncthreads(); /* the next reduction writes there */
        return __shfl_sync(~0u, x, 0);
    }
}

/* Packets of rows that are unrolled, so that what a thread holds stands in registers; longer rows go through memory. */
#define EM_CHAIN_UNROLL(K, N) ((K) * (N) <= 32 ? (K) : 1)

/* Joins packets [from, to) of those that a thread holds: AHEAD at a time as a tree, then in order. Elements at
 * `columns` and beyond are not there. */
template <class R, int T, int N, int AHEAD, class M, int E>
EM_DEV M em_reduce_packets(const M (&v)[E], int thread, int columns, int from, int to)
{
    M acc[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        acc[i] = R::start();
#pragma unroll EM_CHAIN_UNROLL(E / N, N)
    for (int first = from; first < to; first += AHEAD) {
        M ahead[AHEAD][N];
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
#pragma unroll
            for (int i = 0; i < N; i++) {
                int packet = first + k < to ? first + k : from;
                bool there = first + k < to && (packet * T + thread) * N + i < columns;
                ahead[k][i] = there ? v[packet * N + i] : R::start();
            }
#pragma unroll
        for (int half = AHEAD / 2; half > 0; half /= 2)
#pragma unroll
            for (int k = 0; k < half; k++)
#pragma unroll
                for (int i = 0; i < N; i++)
                    ahead[k][i] = R::join(ahead[k][i], ahead[k + half][i]);
#pragma unroll
        for (int i = 0; i < N; i++)
            acc[i] = R::join(acc[i], ahead[0][i]);
    }
#pragma unroll
    for (int half = N / 2; half > 0; half /= 2)
#pragma unroll
        for (int i = 0; i < half; i++)
            acc[i] = R::join(acc[i], acc[i + half]);
    return em_join_row<R, T>(acc[0]);
}

/* The row's reduction; the parts, of PART packets a thread, are joined as lanes of a warp. */
template <int OP, int DT, int T, int N, int AHEAD, int PART, class M, int E>
EM_DEV M em_reduce_row(const M (&v)[E], int thread, int columns)
{
    typedef em_reduction<OP, DT> R;
    constexpr int K = E / N, parts = (K + PART - 1) / PART;
    if constexpr (parts == 1) {
        return em_reduce_packets<R, T, N, AHEAD>(v, thread, columns, 0, K);
    } else {
        M mine = R::start();
        int lane = threadIdx.x % 32;
#pragma unroll 1
        for (int part = 0; part < parts; part++) {
            int end = (part + 1) * PART < K ? (part + 1) * PART : K;
            M x = em_reduce_packets<R, T, N, AHEAD>(v, thread, columns, part * PART, end);
            mine = lane == part % 32 ? R::join(mine, x) : mine;
        }
        return __shfl_sync(~0u, em_join_lanes<R>(mine, 32), 0);
    }
}

#endif
