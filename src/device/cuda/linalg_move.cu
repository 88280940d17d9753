/* See linalg_move.cuh. */
#include "device/cuda/linalg_move.cuh"

enum { THREADS = 256 };

/* Matrices in a tensor, by its strides. */
struct grid {
    em_steps<1> batch;
    int64_t down, across; /* elements from row to row, from column to column */
    int64_t rows, columns;
};

/* `swap`: seen as its transpose. */
static grid grid_of(const em__cuda_matrix &m, bool swap)
{
    em__tensor lead = m.tensor;
    grid g = {};
    int rank = lead.spec.rank;
    int64_t down = m.axes == 2 ? lead.strides[rank - 2] : m.axes == 1 ? lead.strides[rank - 1] : 0;
    int64_t across = m.axes == 2 ? lead.strides[rank - 1] : 0;
    lead.spec.rank -= m.axes;
    const em__tensor *const tensors[] = {&lead};
    g.batch = em_steps_of(em_collapse<1>(&lead.spec, tensors));
    g.down = swap ? across : down;
    g.across = swap ? down : across;
    g.rows = m.rows;
    g.columns = m.columns;
    return g;
}

static __device__ __forceinline__ bool is_outside(em_part part, int64_t row, int64_t column)
{
    return (part == EM_PART_UPPER && row > column) || (part == EM_PART_LOWER && row < column) ||
           (part == EM_PART_UNIT_LOWER && row <= column);
}

/* F: the reals of the tensor, R: of the work; N of them make an element. */
template <typename F, typename R, int N>
__global__ void in_kernel(const F *from, R *to, grid g, em_turn turn, int64_t size, int *bad)
{
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x, at[1];
    if (index >= size)
        return;
    int64_t column = index / g.rows, row = index - column * g.rows, matrix = column / g.columns;
    column -= matrix * g.columns;
    em_step(g.batch, matrix, at);
    const F *x = from + (at[0] + row * g.down + column * g.across) * N;
    R re = (R)x[0], im = N > 1 ? (R)x[N - 1] : (R)0;
    if (turn.conjugate)
        im = -im;
    bool one = turn.unit && row == column;
    if (one || is_outside(turn.part, row, column)) {
        re = one ? 1 : 0;
        im = 0;
    }
    to[index * N] = re;
    if (N > 1)
        to[index * N + N - 1] = im;
    if (bad && !(isfinite(re) && isfinite(im)))
        bad[matrix] = 1; /* whoever writes, writes this */
}

template <typename R, int N>
__global__ void mend_kernel(R *matrices, int64_t rows, int64_t columns, int64_t size, const int *bad)
{
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (index >= size)
        return;
    int64_t column = index / rows, row = index - column * rows, matrix = column / columns;
    if (!bad[matrix])
        return;
    for (int i = 0; i < N; i++)
        matrices[index * N + i] = i == 0 && row == column - matrix * columns;
}

template <typename F, typename R, int N>
__global__ void out_kernel(const R *from, F *to, grid g, em_turn turn, int64_t lead, int64_t step, int64_t size,
                           const int *bad)
{
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x, at[1];
    if (index >= size)
        return;
    int64_t row = index / g.columns, column = index - row * g.columns, matrix = row / g.rows;
    row -= matrix * g.rows;
    em_step(g.batch, matrix, at);
    const R *x = from + (matrix * step + column * lead + row) * N;
    R re = 0, im = 0;
    if (is_outside(turn.part, row, column)) {
        re = turn.part == EM_PART_UNIT_LOWER && row == column;
    } else {
        re = x[0];
        im = N > 1 ? x[N - 1] : 0;
    }
    if (bad[matrix])
        re = im = (R)NAN;
    F *out = to + (at[0] + row * g.down + column * g.across) * N;
    out[0] = (F)re;
    if (N > 1)
        out[N - 1] = (F)(turn.conjugate ? -im : im);
}

template <typename F, typename R, int N>
static em_status launch_in(em__cuda *cuda, const em__cuda_matrix &in, int64_t batch, em_turn turn, void *to, int *bad)
{
    int64_t size = batch * in.rows * in.columns;
    return em_launch(cuda, "matrices", in_kernel<F, R, N>, em_blocks(size, THREADS), THREADS, 0,
                     (const F *)in.tensor.data, (R *)to, grid_of(in, turn.swap), turn, size, bad);
}

em_status em_matrices_in(em__cuda *cuda, const em__cuda_matrix &in, int64_t batch, em_turn turn, void *to, int *bad)
{
    bool widens = in.work != in.tensor.spec.dtype;
    switch (in.tensor.spec.dtype) {
    case EM_F32:
        return widens ? launch_in<float, double, 1>(cuda, in, batch, turn, to, bad)
                      : launch_in<float, float, 1>(cuda, in, batch, turn, to, bad);
    case EM_C64:
        return widens ? launch_in<float, double, 2>(cuda, in, batch, turn, to, bad)
                      : launch_in<float, float, 2>(cuda, in, batch, turn, to, bad);
    case EM_F64: return launch_in<double, double, 1>(cuda, in, batch, turn, to, bad);
    default: return launch_in<double, double, 2>(cuda, in, batch, turn, to, bad);
    }
}

em_status em_matrices_mend(em__cuda *cuda, em_dtype work, void *matrices, int64_t rows, int64_t columns, int64_t batch,
                           const int *bad)
{
    int64_t size = batch * rows * columns;
    unsigned blocks = em_blocks(size, THREADS);
    switch (work) {
    case EM_F32:
        return em_launch(cuda, "matrices", mend_kernel<float, 1>, blocks, THREADS, 0, (float *)matrices, rows, columns,
                         size, bad);
    case EM_C64:
        return em_launch(cuda, "matrices", mend_kernel<float, 2>, blocks, THREADS, 0, (float *)matrices, rows, columns,
                         size, bad);
    case EM_F64:
        return em_launch(cuda, "matrices", mend_kernel<double, 1>, blocks, THREADS, 0, (double *)matrices, rows,
                         columns, size, bad);
    default:
        return em_launch(cuda, "matrices", mend_kernel<double, 2>, blocks, THREADS, 0, (double *)matrices, rows,
                         columns, size, bad);
    }
}

template <typename F, typename R, int N>
static em_status launch_out(em__cuda *cuda, const em__cuda_matrix &out, int64_t batch, em_turn turn, const void *from,
                            int64_t lead, int64_t step, const int *bad)
{
    int64_t size = batch * out.rows * out.columns;
    return em_launch(cuda, "matrices", out_kernel<F, R, N>, em_blocks(size, THREADS), THREADS, 0, (const R *)from,
                     (F *)out.tensor.data, grid_of(out, turn.swap), turn, lead, step, size, bad);
}

em_status em_matrices_out(em__cuda *cuda, const em__cuda_matrix &out, int64_t batch, em_turn turn, const void *from,
                          int64_t lead, int64_t step, const int *bad)
{
    bool narrows = out.work != out.tensor.spec.dtype;
    switch (out.tensor.spec.dtype) {
    case EM_F32:
        return narrows ? launch_out<float, double, 1>(cuda, out, batch, turn, from, lead, step, bad)
                       : launch_out<float, float, 1>(cuda, out, batch, turn, from, lead, step, bad);
    case EM_C64:
        return narrows ? launch_out<float, double, 2>(cuda, out, batch, turn, from, lead, step, bad)
                       : launch_out<float, float, 2>(cuda, out, batch, turn, from, lead, step, bad);
    case EM_F64: return launch_out<double, double, 1>(cuda, out, batch, turn, from, lead, step, bad);
    default: return launch_out<double, double, 2>(cuda, out, batch, turn, from, lead, step, bad);
    }
}
