/*
 * Running results along an axis. A block takes a part of a line, piece by piece: each thread along its own piece, then
 * lanes, then warps, in that order. Along an axis that others lie inside of, neighbouring threads take neighbouring
 * lines. When the lines are few they are cut into parts, whose totals are taken first; a part begins with all before.
 */
#ifndef EM_DEVICE_CUDA_SCAN_CUH
#define EM_DEVICE_CUDA_SCAN_CUH

#include "device/cuda/rows.cuh"

enum { EM_SCAN_THREADS = 256 };

/* Lines of n elements, `inner` apart; operand and result are row-major. */
typedef struct em_scan_plan {
    int64_t lines, n, inner, part, parts;
    bool reverse, whole;
} em_scan_plan;

template <typename Op> struct em_scan_args {
    const typename Op::In *x;
    typename Op::Out *out;
    typename Op::Acc *totals; /* [parts][lines], where there are several parts */
    Op op;
    em_scan_plan plan;
};

/* All before the part, in every thread. */
template <typename Op>
__device__ __forceinline__ typename Op::Acc em_scan_before(const em_scan_args<Op> &a, int64_t line, int64_t part)
{
    typename Op::Acc before = a.op.start();
    for (int64_t i = 0; i < part; i++)
        before = a.op.join(before, a.totals[i * a.plan.lines + line]);
    return before;
}

/* Joins what threads before this one have, after `carry`; *all: with every thread's. */
template <typename Op>
__device__ __forceinline__ typename Op::Acc em_scan_block(const Op &op, typename Op::Acc mine, typename Op::Acc carry,
                                                          typename Op::Acc *shared, typename Op::Acc *all)
{
    typedef typename Op::Acc Acc;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Acc with = mine;
    for (int by = 1; by < 32; by *= 2) {
        Acc other = em_shuffle_up(with, by);
        with = lane >= by ? op.join(other, with) : with;
    }
    __syncthreads(); /* the last round's are read */
    if (lane == 31)
        shared[warp] = with;
    __syncthreads();
    Acc before = carry, total = carry;
    for (int i = 0; i < EM_SCAN_THREADS / 32; i++) {
        before = i < warp ? op.join(before, shared[i]) : before;
        total = op.join(total, shared[i]);
    }
    Acc left = em_shuffle_up(with, 1);
    *all = total;
    return lane ? op.join(before, left) : before;
}

/* What the piece's elements come to, after `before`. */
template <typename Op, int N>
__device__ __forceinline__ void em_scan_write(const em_scan_args<Op> &a, int64_t at, int64_t j, int64_t end,
                                              typename Op::Acc before, const typename Op::Acc (&v)[N])
{
    em_piece<typename Op::Out> result;
#pragma unroll
    for (int i = 0; i < N; i++)
        result.at[i] = a.op.give(a.op.join(before, a.plan.reverse ? v[N - 1 - i] : v[i]));
    if (a.plan.whole) {
        if (j < end)
            *(em_piece<typename Op::Out> *)(a.out + at) = result;
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        if (j + (a.plan.reverse ? N - 1 - i : i) < end)
            a.out[at + i] = result.at[i];
}

/* A block a part of a line without holes. TOTALS: only the part's total is wanted. */
template <typename Op, bool TOTALS>
__global__ void __launch_bounds__(EM_SCAN_THREADS) em_scan_rows(const __grid_constant__ em_scan_args<Op> a)
{
    typedef typename Op::In In;
    typedef typename Op::Acc Acc;
    constexpr int N = EM_PIECE<In>;
    __shared__ alignas(16) char memory[EM_SCAN_THREADS / 32 * sizeof(Acc)];
    int64_t line = blockIdx.x, n = a.plan.n, from = blockIdx.y * a.plan.part;
    int64_t end = from + a.plan.part < n ? from + a.plan.part : n;
    em_grid_wait();
    Acc carry = TOTALS ? a.op.start() : em_scan_before(a, line, blockIdx.y);
    for (int64_t base = from; base < end; base += EM_SCAN_THREADS * N) {
        int64_t j = base + (int)threadIdx.x * N; /* in the order of the scan */
        int64_t at = line * n + (a.plan.reverse ? n - j - N : j);
        em_piece<In> piece;
        if (a.plan.whole) {
            if (j < end)
                piece = *(const em_piece<In> *)(a.x + at);
        } else {
#pragma unroll
            for (int i = 0; i < N; i++)
                if (j + (a.plan.reverse ? N - 1 - i : i) < end)
                    piece.at[i] = a.x[at + i];
        }
        Acc v[N];
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = j + i < end ? a.op.take(a.plan.reverse ? piece.at[N - 1 - i] : piece.at[i]) : a.op.start();
            v[i] = i ? a.op.join(v[i - 1], v[i]) : v[i];
        }
        Acc before = em_scan_block(a.op, v[N - 1], carry, (Acc *)memory, &carry);
        if constexpr (!TOTALS)
            em_scan_write(a, at, j, end, before, v);
    }
    if (TOTALS && threadIdx.x == 0)
        a.totals[blockIdx.y * a.plan.lines + line] = carry;
}

/* A thread a part of a line. */
template <typename Op, bool TOTALS>
__global__ void __launch_bounds__(EM_SCAN_THREADS) em_scan_columns(const __grid_constant__ em_scan_args<Op> a)
{
    typedef typename Op::Acc Acc;
    int64_t line = blockIdx.x * (int64_t)EM_SCAN_THREADS + threadIdx.x, n = a.plan.n, from = blockIdx.y * a.plan.part;
    int64_t end = from + a.plan.part < n ? from + a.plan.part : n, inner = a.plan.inner;
    em_grid_wait();
    if (line >= a.plan.lines)
        return;
    int64_t at = line / inner * n * inner + line % inner;
    Acc acc = TOTALS ? a.op.start() : em_scan_before(a, line, blockIdx.y);
#pragma unroll 4
    for (int64_t j = from; j < end; j++) {
        int64_t here = at + (a.plan.reverse ? n - 1 - j : j) * inner;
        acc = a.op.join(acc, a.op.take(a.x[here]));
        if (!TOTALS)
            a.out[here] = a.op.give(acc);
    }
    if (TOTALS)
        a.totals[blockIdx.y * a.plan.lines + line] = acc;
}

em_scan_plan em_scan_layout(const em__cuda *cuda, const em__call *call);

template <typename Op> static em_status em_scan_run(em__cuda *cuda, const em__call *call, const Op &op)
{
    em_scan_args<Op> a = {};
    a.x = (const typename Op::In *)call->in[0].data;
    a.out = (typename Op::Out *)call->out.data;
    a.totals = (typename Op::Acc *)call->scratch;
    a.op = op;
    a.plan = em_scan_layout(cuda, call);
    a.plan.whole = a.plan.n % EM_PIECE<typename Op::In> == 0 && (uintptr_t)a.x % 16 == 0 && (uintptr_t)a.out % 16 == 0;
    const em_scan_plan *p = &a.plan;
    if (p->lines == 0 || p->n == 0)
        return EM_OK;
    bool rows = p->inner == 1;
    dim3 grid(rows ? (unsigned)p->lines : em_blocks(p->lines, EM_SCAN_THREADS), (unsigned)p->parts);
    if (p->parts > 1)
        EM__TRY(em_launch(cuda, "scan", rows ? em_scan_rows<Op, true> : em_scan_columns<Op, true>, grid,
                          EM_SCAN_THREADS, 0, a));
    return em_launch(cuda, "scan", rows ? em_scan_rows<Op, false> : em_scan_columns<Op, false>, grid, EM_SCAN_THREADS,
                     0, a);
}

#endif
