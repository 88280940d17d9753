/*
 * COPY and BITCAST: any strides to row-major; em_move, which other families move with. Three ways: words of up to 16
 * bytes, where both sides run alike; long runs of bytes that are not aligned; tiles through shared memory, where the
 * side that is read runs along another axis.
 */
#include "device/cuda/words.cuh"

enum { THREADS = 256, EACH = 4, TILE_ROWS = 8, LEAST_TILE = 16, LONG_RUN = 1024 };

template <typename W>
__global__ void move_kernel(const W *from, W *to, em_steps<2> steps, em_starts from_starts, em_starts to_starts)
{
    em_grid_wait();
    from += em_start(from_starts);
    to += em_start(to_starts);
    int64_t first = blockIdx.x * (int64_t)(THREADS * EACH) + threadIdx.x;
    W words[EACH];
    int64_t at[EACH];
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int64_t index = first + k * THREADS, both[2];
        if (index >= steps.size)
            continue;
        em_step(steps, index, both);
        words[k] = from[both[0]];
        at[k] = both[1];
    }
#pragma unroll
    for (int k = 0; k < EACH; k++)
        if (first + k * THREADS < steps.size)
            to[at[k]] = words[k];
}

static em_starts in_words(const em_starts *starts, int64_t by)
{
    em_starts out = {};
    if (starts)
        out = *starts;
    for (int i = 0; i < out.n; i++)
        out.steps[i] /= by;
    return out;
}

template <typename W>
static em_status launch_move(em__cuda *cuda, const void *from, void *to, const em_layout<2> &layout,
                             const em_starts &from_starts, const em_starts &to_starts)
{
    em_steps<2> steps = em_steps_of(layout);
    return em_launch(cuda, "move", move_kernel<W>, em_blocks(steps.size, THREADS * EACH), THREADS, 0, (const W *)from,
                     (W *)to, steps, from_starts, to_starts);
}

/* Whole runs of bytes, however they lie: 16 bytes at a time where they go, of words of 4 where they come from. */
static __device__ void copy_slot(const char *from, char *to, int64_t first, int64_t end)
{
    if (end - first < 16) {
        for (int64_t i = first; i < end; i++)
            to[i] = from[i];
        return;
    }
    const uintptr_t at = (uintptr_t)(from + first);
    if (at % 16 == 0) {
        *(uint4 *)(to + first) = *(const uint4 *)at;
        return;
    }
    const uint32_t *words = (const uint32_t *)(at / 4 * 4);
    unsigned shift = (unsigned)(at % 4) * 8;
    uint32_t w[5];
#pragma unroll
    for (int i = 0; i < 4; i++)
        w[i] = words[i];
    w[4] = shift ? words[4] : 0;
    *(uint4 *)(to + first) = make_uint4(__funnelshift_r(w[0], w[1], shift), __funnelshift_r(w[1], w[2], shift),
                                        __funnelshift_r(w[2], w[3], shift), __funnelshift_r(w[3], w[4], shift));
}

/* A run is cut into slots of 16 bytes, aligned where they go; the first and the last may be shorter. */
__global__ void runs_kernel(const char *from, char *to, em_steps<2> runs, int64_t bytes, em_divisor pieces,
                            em_starts from_starts, em_starts to_starts)
{
    em_grid_wait();
    uint32_t run = em_divide(blockIdx.x, pieces), piece = blockIdx.x - run * pieces.by;
    int64_t at[2];
    em_step(runs, run, at);
    from += em_start(from_starts) + at[0];
    to += em_start(to_starts) + at[1];
    int64_t lead = (int64_t)((uintptr_t)to % 16);
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        int64_t first = (((int64_t)piece * EACH + k) * THREADS + threadIdx.x) * 16 - lead, end = first + 16;
        if (first < bytes)
            copy_slot(from, to, first < 0 ? 0 : first, end < bytes ? end : bytes);
    }
}

static em_status move_runs(em__cuda *cuda, const em__tensor *from, const em__tensor *to, const em_layout<2> &layout,
                           const em_starts *from_starts, const em_starts *to_starts)
{
    int64_t element = (int64_t)em_dtype_size(to->spec.dtype);
    em_layout<2> runs = layout;
    int64_t bytes = runs.dims[--runs.rank] * element;
    for (int axis = 0; axis < runs.rank; axis++)
        for (int i = 0; i < 2; i++)
            runs.strides[i][axis] *= element;
    em_starts a = {}, b = {};
    for (int side = 0; side < 2; side++) {
        const em_starts *given = side ? to_starts : from_starts;
        em_starts *mine = side ? &b : &a;
        if (given)
            *mine = *given;
        for (int i = 0; i < mine->n; i++)
            mine->steps[i] *= element;
    }
    em_steps<2> steps = em_steps_of(runs);
    int64_t pieces = (bytes / 16 + 2 + THREADS * EACH - 1) / (THREADS * EACH);
    return em_launch(cuda, "move", runs_kernel, (unsigned)(steps.size * pieces), THREADS, 0, (const char *)from->data,
                     (char *)to->data, steps, bytes, em_divisor_of(pieces), a, b);
}

static em_status move_words(em__cuda *cuda, const em__tensor *from, const em__tensor *to, const em_layout<2> &layout,
                            const em_starts *from_starts, const em_starts *to_starts)
{
    size_t element = em_dtype_size(to->spec.dtype);
    uint64_t bits = (uint64_t)(uintptr_t)from->data | (uint64_t)(uintptr_t)to->data;
    for (int i = 0; from_starts && i < from_starts->n; i++)
        bits |= (uint64_t)from_starts->steps[i] * element;
    for (int i = 0; to_starts && i < to_starts->n; i++)
        bits |= (uint64_t)to_starts->steps[i] * element;
    size_t word = em_word_size(layout, 3, element, bits);
    int64_t by = (int64_t)(word / element);
    int last = layout.rank - 1;
    bool runs = word < 16 && last >= 0 && layout.strides[0][last] == 1 && layout.strides[1][last] == 1 &&
                layout.dims[last] * (int64_t)element >= LONG_RUN;
    if (runs)
        return move_runs(cuda, from, to, layout, from_starts, to_starts);
    em_layout<2> wide = em_widen(layout, 3, element, word);
    em_starts a = in_words(from_starts, by), b = in_words(to_starts, by);
    return EM_BY_SIZE(word, launch_move, cuda, from->data, to->data, wide, a, b);
}

/* Axis `along` of what is read runs in steps of 1; so does the last axis of what is written. */
struct tiles {
    int64_t rows, columns;        /* extents of `along` and of the last axis */
    int64_t from_step, to_step;   /* of what is read along the last axis, of what is written along `along` */
    int64_t row_tiles, col_tiles; /* of one plane */
};

/* The shared row of an element of 4 bytes or more may begin anywhere: its parts go one by one. */
template <typename T, typename P, int PACK> static __device__ __forceinline__ void put_word(T *to, P word)
{
    union {
        P word;
        T parts[PACK];
    } in = {word};
    if (sizeof(T) < 4)
        *(P *)to = word;
    for (int i = 0; i < PACK && sizeof(T) >= 4; i++)
        to[i] = in.parts[i];
}

/* PACK elements side by side are read, and written, as one word P. */
template <typename T, typename P, int PACK>
__global__ void tile_kernel(const T *from, T *to, tiles t, em_steps<2> planes)
{
    constexpr int SIDE = 32 * PACK;
    __shared__ __align__(16) T tile[SIDE][SIDE + (sizeof(T) * PACK == 4 ? PACK : 1)]; /* an odd number of banks */
    em_grid_wait();
    int64_t block = blockIdx.x, plane = block / (t.row_tiles * t.col_tiles), at[2];
    block -= plane * t.row_tiles * t.col_tiles;
    int64_t row = block % t.row_tiles * SIDE, column = block / t.row_tiles * SIDE;
    em_step(planes, plane, at);
    from += at[0] + row + column * t.from_step;
    to += at[1] + row * t.to_step + column;
    int64_t rows = t.rows - row, columns = t.columns - column;
    int lane = threadIdx.x * PACK;
    P words[SIDE / TILE_ROWS];
#pragma unroll
    for (int k = 0; k < SIDE / TILE_ROWS; k++) {
        int c = threadIdx.y + k * TILE_ROWS;
        if (c < columns && lane < rows)
            words[k] = *(const P *)(from + c * t.from_step + lane);
    }
#pragma unroll
    for (int k = 0; k < SIDE / TILE_ROWS; k++)
        put_word<T, P, PACK>(&tile[threadIdx.y + k * TILE_ROWS][lane], words[k]);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < SIDE / TILE_ROWS; k++) {
        int r = threadIdx.y + k * TILE_ROWS;
        union {
            T parts[PACK];
            P word;
        } out;
#pragma unroll
        for (int i = 0; i < PACK; i++)
            out.parts[i] = tile[lane + i][r];
        if (r < rows && lane < columns)
            *(P *)(to + r * t.to_step + lane) = out.word;
    }
}

template <typename T, typename P, int PACK>
static em_status launch_tiles(em__cuda *cuda, const void *from, void *to, tiles t, const em_layout<2> &planes)
{
    em_steps<2> steps = em_steps_of(planes);
    t.row_tiles = (t.rows + 32 * PACK - 1) / (32 * PACK);
    t.col_tiles = (t.columns + 32 * PACK - 1) / (32 * PACK);
    return em_launch(cuda, "transpose", tile_kernel<T, P, PACK>, (unsigned)(steps.size * t.row_tiles * t.col_tiles),
                     dim3(32, TILE_ROWS), 0, (const T *)from, (T *)to, t, steps);
}

static em_status move_tiles(em__cuda *cuda, const em__tensor *from, const em__tensor *to, const em_layout<2> &layout,
                            int along)
{
    int last = layout.rank - 1;
    tiles t = {layout.dims[along], layout.dims[last], layout.strides[0][last], layout.strides[1][along], 0, 0};
    em_layout<2> planes = {};
    size_t element = em_dtype_size(to->spec.dtype);
    uint64_t bits = (uint64_t)(uintptr_t)from->data | (uint64_t)(uintptr_t)to->data;
    bits |= (uint64_t)(t.rows | t.columns | t.from_step | t.to_step) * element;
    for (int axis = 0; axis < last; axis++) {
        if (axis == along)
            continue;
        planes.dims[planes.rank] = layout.dims[axis];
        for (int i = 0; i < 2; i++) {
            planes.strides[i][planes.rank] = layout.strides[i][axis];
            bits |= (uint64_t)layout.strides[i][axis] * element;
        }
        planes.rank++;
    }
    bool packs = bits % (element < 4 ? 4 : 8) == 0;
    switch (element) {
    case 1:
        return packs ? launch_tiles<uint8_t, uint32_t, 4>(cuda, from->data, to->data, t, planes)
                     : launch_tiles<uint8_t, uint8_t, 1>(cuda, from->data, to->data, t, planes);
    case 2:
        return packs ? launch_tiles<uint16_t, uint32_t, 2>(cuda, from->data, to->data, t, planes)
                     : launch_tiles<uint16_t, uint16_t, 1>(cuda, from->data, to->data, t, planes);
    case 4:
        return packs ? launch_tiles<uint32_t, uint2, 2>(cuda, from->data, to->data, t, planes)
                     : launch_tiles<uint32_t, uint32_t, 1>(cuda, from->data, to->data, t, planes);
    case 8: return launch_tiles<uint64_t, uint64_t, 1>(cuda, from->data, to->data, t, planes);
    default: return launch_tiles<uint4, uint4, 1>(cuda, from->data, to->data, t, planes);
    }
}

/* The axis that a transpose by tiles reads along; -1 where words serve better. */
static int tiled_axis(const em_layout<2> &layout)
{
    int last = layout.rank - 1;
    if (last < 1 || layout.strides[0][last] == 1 || layout.strides[0][last] == 0 || layout.strides[1][last] != 1 ||
        layout.dims[last] < LEAST_TILE)
        return -1;
    for (int axis = last - 1; axis >= 0; axis--)
        if (layout.strides[0][axis] == 1 && layout.dims[axis] >= LEAST_TILE)
            return axis;
    return -1;
}

em_status em_move(em__cuda *cuda, const em__tensor *from, const em__tensor *to, const em_starts *from_starts,
                  const em_starts *to_starts)
{
    if (em__spec_size(&to->spec) == 0)
        return EM_OK;
    const em__tensor *const both[] = {from, to};
    em_layout<2> layout = em_collapse<2>(&to->spec, both);
    int along = from_starts || to_starts ? -1 : tiled_axis(layout);
    return along >= 0 ? move_tiles(cuda, from, to, layout, along)
                      : move_words(cuda, from, to, layout, from_starts, to_starts);
}

/* By kernels even where the bytes lie as they must: the driver's copy would keep the kernels around it apart. */
static em_status run_copy(em_device *device, const em__call *call)
{
    if (call->in[0].data == call->out.data)
        return EM_OK; /* in place: it is there */
    return em_move(em__cuda_of(device), &call->in[0], &call->out, NULL, NULL);
}

extern "C" bool em__cuda_prepare_copy(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->kernel = run_copy;
    plan->strided = 1;
    return call->op == EM__OP_COPY || call->op == EM__OP_BITCAST;
}
