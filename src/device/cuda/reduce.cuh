/*
 * Reductions, whatever is taken together: an `Op` says what it reads (In), what it keeps (Acc), what it writes (Out),
 * where it starts, and how an element is taken in and two results are joined.
 *
 * The axes that are kept and those that are reduced become one layout each. Where the innermost reduced axis has no
 * holes, lanes of a warp or a block share a line (rows; lines, where long ones fill the chip); where the innermost kept
 * axis has none, neighbouring threads take neighbouring lines (columns); any other layout is walked element by element.
 * When the results are few the lines are cut, and a second kernel joins the parts. Every order is fixed by the layout
 * and the chip.
 */
#ifndef EM_DEVICE_CUDA_REDUCE_CUH
#define EM_DEVICE_CUDA_REDUCE_CUH

#include "device/cuda/rows.cuh"

enum { EM_REDUCE_THREADS = 256 };

/* Of a block that takes a long line; blocks that a multiprocessor holds at least. */
template <typename T> constexpr int EM_LINE_THREADS = sizeof(T) == 2 ? 128 : 256;

/* Pieces of N elements that a thread reads before it takes in the first. */
template <int N> constexpr int EM_AHEAD = N < 16 ? 4 : 2;

typedef enum em_reduce_form { EM_REDUCE_ROWS, EM_REDUCE_LINES, EM_REDUCE_COLUMNS, EM_REDUCE_ANY } em_reduce_form;

/* How a call is laid out and cut. */
typedef struct em_reduce_plan {
    em_reduce_form form;
    em_layout<1> kept, reduced;
    int64_t results, count; /* count: elements of a result */
    int64_t part, parts;    /* elements of a part of a line; how many parts */
    int lanes;              /* rows, any: lanes of a warp for a line; 0: a block. columns: threads side by side */
    int early;              /* lines: blocks that may be there before the grid before has ended */
    bool whole;
} em_reduce_plan;

template <typename Op> struct em_reduce_args {
    const typename Op::In *x;
    typename Op::Out *out;
    typename Op::Acc *joined; /* [parts][results], where there are parts */
    Op op;
    em_reduce_plan plan;
};

template <typename Op>
__device__ __forceinline__ typename Op::Acc em_join_lanes(const Op &op, typename Op::Acc x, int lanes)
{
    for (int step = lanes / 2; step > 0; step /= 2)
        x = op.join(x, em_shuffle(x, step));
    return x;
}

/* Joins the results of a block of WARPS warps, a power of two, in its first thread. */
template <int WARPS, typename Op>
__device__ __forceinline__ typename Op::Acc em_join_block(const Op &op, typename Op::Acc x)
{
    __shared__ alignas(16) char memory[EM_REDUCE_THREADS / 32 * sizeof(typename Op::Acc)];
    typename Op::Acc *shared = (typename Op::Acc *)memory;
    const int lane = threadIdx.x % 32;
    x = em_join_lanes(op, x, 32);
    if (lane == 0)
        shared[threadIdx.x / 32] = x;
    __syncthreads();
    return em_join_lanes(op, shared[lane % WARPS], WARPS);
}

template <typename Op>
__device__ __forceinline__ void em_give(const em_reduce_args<Op> &a, int64_t result, int64_t part,
                                        typename Op::Acc value)
{
    if (a.plan.parts > 1)
        a.joined[part * a.plan.results + result] = value;
    else
        a.out[result] = a.op.give(value);
}

/* Pieces of N elements from element j on, `step` apart, of a line of `end`; what is past its end is left alone. */
template <typename Op, int N, int AHEAD>
__device__ __forceinline__ void em_read_line(const em_reduce_args<Op> &a, const typename Op::In *line, int64_t j,
                                             int64_t step, int64_t end, typename Op::In (&v)[AHEAD][N])
{
    typedef typename Op::In In;
    int64_t at[1];
    if (N > 1 && a.plan.reduced.rank <= 1) {
        em_piece<In> pieces[AHEAD];
        em_read_pieces(pieces, line, j, step, end, a.plan.whole);
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
#pragma unroll
            for (int i = 0; i < N; i++)
                v[k][i] = pieces[k].at[i];
    } else if (N > 1 && a.plan.whole) {
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            em_offsets(a.plan.reduced, j + k * step < end ? j + k * step : j, at);
            em_piece<In> piece = *(const em_piece<In> *)(line + at[0]);
#pragma unroll
            for (int i = 0; i < N; i++)
                v[k][i] = piece.at[i];
        }
    } else {
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
#pragma unroll
            for (int i = 0; i < N; i++) {
                em_offsets(a.plan.reduced, j + k * step + i < end ? j + k * step + i : j, at);
                v[k][i] = line[at[0]];
            }
    }
}

/* PIECES: the innermost reduced axis has no holes. Otherwise elements lie anywhere. */
template <typename Op, bool PIECES>
__global__ void __launch_bounds__(EM_REDUCE_THREADS) em_reduce_rows(const __grid_constant__ em_reduce_args<Op> a)
{
    typedef typename Op::Acc Acc;
    constexpr int N = PIECES ? EM_PIECE<typename Op::In> : 1;
    int threads = a.plan.lanes ? a.plan.lanes : EM_REDUCE_THREADS, thread = threadIdx.x % threads;
    int64_t result = blockIdx.x * (int64_t)(EM_REDUCE_THREADS / threads) + threadIdx.x / threads, at[1];
    int64_t from = blockIdx.y * a.plan.part,
            end = from + a.plan.part < a.plan.count ? from + a.plan.part : a.plan.count;
    em_offsets(a.plan.kept, result, at);
    em_grid_wait();
    Acc acc[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        acc[i] = a.op.start();
    if (result >= a.plan.results)
        end = from;
    constexpr int AHEAD = EM_AHEAD<N>;
    int64_t step = (int64_t)threads * N;
    for (int64_t j = from + thread * N; j < end; j += AHEAD * step) {
        typename Op::In x[AHEAD][N];
        em_read_line<Op, N, AHEAD>(a, a.x + at[0], j, step, end, x);
        Acc v[AHEAD][N];
        int left = end - j < AHEAD * EM_REDUCE_THREADS * N ? (int)(end - j) : AHEAD * EM_REDUCE_THREADS * N;
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
#pragma unroll
            for (int i = 0; i < N; i++)
                v[k][i] = (int)(k * step) + i < left ? a.op.take(x[k][i]) : a.op.start();
#pragma unroll
        for (int half = AHEAD / 2; half > 0; half /= 2)
#pragma unroll
            for (int k = 0; k < half; k++)
#pragma unroll
                for (int i = 0; i < N; i++)
                    v[k][i] = a.op.join(v[k][i], v[k + half][i]);
#pragma unroll
        for (int i = 0; i < N; i++)
            acc[i] = a.op.join(acc[i], v[0][i]);
    }
    em_grid_next();
#pragma unroll
    for (int half = N / 2; half > 0; half /= 2)
#pragma unroll
        for (int i = 0; i < half; i++)
            acc[i] = a.op.join(acc[i], acc[i + half]);
    acc[0] =
        a.plan.lanes ? em_join_lanes(a.op, acc[0], a.plan.lanes) : em_join_block<EM_REDUCE_THREADS / 32>(a.op, acc[0]);
    if (thread == 0 && result < a.plan.results)
        em_give(a, result, blockIdx.y, acc[0]);
}

/* Takes in a piece of which `left` elements are there. */
template <typename Op, int N>
__device__ __forceinline__ void em_take_piece(const Op &op, typename Op::Acc (&acc)[N],
                                              const em_piece<typename Op::In> &x, int left)
{
    if (left >= N) {
#pragma unroll
        for (int i = 0; i < N; i++)
            acc[i] = op.join(acc[i], op.take(x.at[i]));
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        if (i < left)
            acc[i] = op.join(acc[i], op.take(x.at[i]));
}

template <typename Op>
constexpr int EM_LINE_BLOCKS =
    (EM_PIECE<typename Op::In> * sizeof(typename Op::Acc) <= 32 ? 1536 : 512) / EM_LINE_THREADS<typename Op::In>;

/* Many long lines, a block each, with all that one thread takes of a line on its way before the first is taken in. */
template <typename Op>
__global__ void __launch_bounds__(EM_LINE_THREADS<typename Op::In>, EM_LINE_BLOCKS<Op>)
    em_reduce_lines(const __grid_constant__ em_reduce_args<Op> a)
{
    typedef typename Op::In In;
    typedef typename Op::Acc Acc;
    constexpr int N = EM_PIECE<In>, AHEAD = N <= 8 ? 4 : 2, STEP = EM_LINE_THREADS<In> * N;
    int64_t at[1];
    int end = (int)a.plan.count;
    em_offsets(a.plan.kept, blockIdx.x, at);
    const In *line = a.x + at[0];
    bool full = a.plan.whole && end % (AHEAD * STEP) == 0; /* nothing to look out for */
    if (full && (int)blockIdx.x < a.plan.early && threadIdx.x == 0)
        em_fetch_early(line, (unsigned)end * (unsigned)sizeof(In));
    em_grid_wait();
    em_grid_next();
    Acc acc[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        acc[i] = a.op.start();
#pragma unroll 1
    for (int j = (int)threadIdx.x * N; full && j < end; j += AHEAD * STEP) {
        em_piece<In> x[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
            x[k] = em_read_once(line + j + k * STEP);
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
            em_take_piece(a.op, acc, x[k], N);
    }
#pragma unroll 1
    for (int j = (int)threadIdx.x * N; !full && j < end; j += AHEAD * STEP) {
        em_piece<In> x[AHEAD];
        if (a.plan.whole) {
#pragma unroll
            for (int k = 0; k < AHEAD; k++)
                if (j + k * STEP < end)
                    x[k] = em_read_once(line + j + k * STEP);
        } else {
            em_read_pieces(x, line, j, STEP, end, false);
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
            em_take_piece(a.op, acc, x[k], end - (j + k * STEP));
    }
#pragma unroll
    for (int half = N / 2; half > 0; half /= 2)
#pragma unroll
        for (int i = 0; i < half; i++)
            acc[i] = a.op.join(acc[i], acc[i + half]);
    acc[0] = em_join_block<EM_LINE_THREADS<In> / 32>(a.op, acc[0]);
    if (threadIdx.x == 0)
        a.out[blockIdx.x] = a.op.give(acc[0]);
}

/* Elements j, j + down, ... of N neighbouring lines, of which there are `lines`. */
template <typename Op, int N, int AHEAD>
__device__ __forceinline__ void em_read_columns(const em_reduce_args<Op> &a, const typename Op::In *x, int64_t j,
                                                int down, int64_t end, int64_t lines, typename Op::In (&v)[AHEAD][N])
{
    typedef typename Op::In In;
    const In *here[AHEAD];
#pragma unroll
    for (int k = 0; k < AHEAD; k++) {
        int64_t row = j + k * down < end ? j + k * down : j, at[1] = {row * a.plan.reduced.strides[0][0]};
        if (a.plan.reduced.rank > 1)
            em_offsets(a.plan.reduced, row, at);
        here[k] = x + at[0];
    }
    if (a.plan.whole) {
        em_piece<In> pieces[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
            if (lines > 0)
                pieces[k] = *(const em_piece<In> *)here[k];
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
#pragma unroll
            for (int i = 0; i < N; i++)
                v[k][i] = pieces[k].at[i];
        return;
    }
#pragma unroll
    for (int k = 0; k < AHEAD; k++)
#pragma unroll
        for (int i = 0; i < N; i++)
            if (i < lines)
                v[k][i] = here[k][i];
}

/* Threads side by side take pieces of N neighbouring lines; the block's other rows take other elements of the lines. */
template <typename Op>
__global__ void __launch_bounds__(EM_REDUCE_THREADS) em_reduce_columns(const __grid_constant__ em_reduce_args<Op> a)
{
    typedef typename Op::In In;
    typedef typename Op::Acc Acc;
    constexpr int N = EM_PIECE<In>, AHEAD = EM_AHEAD<N>;
    __shared__ alignas(16) char memory[EM_REDUCE_THREADS * N * sizeof(Acc)];
    Acc(*shared)[N] = (Acc(*)[N])memory;
    int across = a.plan.lanes, down = EM_REDUCE_THREADS / across, x = threadIdx.x % across, y = threadIdx.x / across;
    int64_t line = a.plan.kept.dims[a.plan.kept.rank - 1], tiles = (line + across * N - 1) / (across * N);
    int64_t outer = blockIdx.x / tiles, column = (blockIdx.x % tiles * across + x) * N, at[1];
    int64_t from = blockIdx.y * a.plan.part,
            end = from + a.plan.part < a.plan.count ? from + a.plan.part : a.plan.count;
    em_offsets(a.plan.kept, outer * line, at);
    em_grid_wait();
    Acc acc[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        acc[i] = a.op.start();
    for (int64_t j = from + y; j < end; j += AHEAD * down) {
        In v[AHEAD][N];
        em_read_columns<Op, N, AHEAD>(a, a.x + at[0] + column, j, down, end, line - column, v);
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
#pragma unroll
            for (int i = 0; i < N; i++)
                if (j + k * down < end)
                    acc[i] = a.op.join(acc[i], a.op.take(v[k][i]));
    }
    em_grid_next();
#pragma unroll
    for (int i = 0; i < N; i++)
        shared[threadIdx.x][i] = acc[i];
    for (int half = down / 2; half > 0; half /= 2) {
        __syncthreads();
        if (y < half)
#pragma unroll
            for (int i = 0; i < N; i++)
                shared[threadIdx.x][i] = a.op.join(shared[threadIdx.x][i], shared[threadIdx.x + half * across][i]);
    }
    for (int i = 0; i < N && y == 0; i++)
        if (column + i < line)
            em_give(a, outer * line + column + i, blockIdx.y, shared[threadIdx.x][i]);
}

/* Joins the parts: a warp a result. */
template <typename Op>
__global__ void __launch_bounds__(EM_REDUCE_THREADS) em_reduce_parts(const __grid_constant__ em_reduce_args<Op> a)
{
    int64_t result = blockIdx.x * (int64_t)(EM_REDUCE_THREADS / 32) + threadIdx.x / 32;
    em_grid_wait();
    typename Op::Acc acc = a.op.start();
    for (int64_t j = threadIdx.x % 32; j < a.plan.parts && result < a.plan.results; j += 32)
        acc = a.op.join(acc, a.joined[j * a.plan.results + result]);
    acc = em_join_lanes(a.op, acc, 32);
    if (threadIdx.x % 32 == 0 && result < a.plan.results)
        a.out[result] = a.op.give(acc);
}

/* The layouts of the kept and the reduced axes, and the cut; `whole` is said of an operand that begins at 16 bytes.
 * False when there would be more blocks than a grid has. */
bool em_reduce_layout(const em__cuda *cuda, const em__tensor *in, int64_t mask, em_reduce_plan *plan);

template <typename Op> static em_status em_reduce_run(em__cuda *cuda, const em__call *call, const Op &op)
{
    em_reduce_args<Op> a = {};
    a.x = (const typename Op::In *)call->in[0].data;
    a.out = (typename Op::Out *)call->out.data;
    a.joined = (typename Op::Acc *)call->scratch;
    a.op = op;
    em_reduce_layout(cuda, &call->in[0], call->ints[1], &a.plan);
    a.plan.whole = a.plan.whole && (uintptr_t)a.x % 16 == 0;
    const em_reduce_plan *p = &a.plan;
    if (p->results == 0)
        return EM_OK;
    if (p->form == EM_REDUCE_LINES) {
        a.plan.early =
            em_early_blocks(cuda, p->count * (int64_t)sizeof(typename Op::In), cuda->sms * EM_LINE_BLOCKS<Op>);
        return em_launch(cuda, "reduce", em_reduce_lines<Op>, (unsigned)p->results, EM_LINE_THREADS<typename Op::In>, 0,
                         a);
    }
    int lines = p->form == EM_REDUCE_COLUMNS || p->lanes == 0 ? 1 : EM_REDUCE_THREADS / p->lanes;
    int64_t blocks = (p->results + lines - 1) / lines, line = p->kept.rank ? p->kept.dims[p->kept.rank - 1] : 1;
    if (p->form == EM_REDUCE_COLUMNS)
        blocks = p->results / line * em_blocks(line, p->lanes * EM_PIECE<typename Op::In>);
    void (*kernel)(em_reduce_args<Op>) = p->form == EM_REDUCE_COLUMNS ? em_reduce_columns<Op>
                                         : p->form == EM_REDUCE_ROWS  ? em_reduce_rows<Op, true>
                                                                      : em_reduce_rows<Op, false>;
    EM__TRY(em_launch(cuda, "reduce", kernel, dim3((unsigned)blocks, (unsigned)p->parts), EM_REDUCE_THREADS, 0, a));
    if (p->parts == 1)
        return EM_OK;
    return em_launch(cuda, "reduce", em_reduce_parts<Op>, em_blocks(p->results, EM_REDUCE_THREADS / 32),
                     EM_REDUCE_THREADS, 0, a);
}

#endif
