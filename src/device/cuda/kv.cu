/*
 * KV_UPDATE, KV_CODES, KV_SCALES: new rows into a cache [.., room, width], from a position that lies on the device. A
 * copy of the cache comes first unless it is the result already.
 */
#include "device/cuda/reals.cuh"
#include "device/cuda/words.cuh"

enum { THREADS = 256, EACH = 4, WARP = 32 };

/* Where the rows of a plane go: its position, clamped so that all of them fit. */
struct places {
    const void *position;
    em_dtype dtype;
    int64_t stride;            /* of the positions; 0: one for all */
    em_divisor planes, length; /* planes that share a position; new rows of a plane */
    int64_t room;              /* rows of the cache in a plane */
};

/* The row of the cache in which new row `row` belongs, counted through all planes. */
static __device__ __forceinline__ int64_t place_of(const places &p, uint32_t row)
{
    uint32_t plane = em_divide(row, p.length);
    int64_t at = p.stride ? em_divide(plane, p.planes) * p.stride : 0;
    int64_t first = em__index_clamp(em__index_at(p.dtype, p.position, at), p.room - p.length.by + 1);
    return plane * p.room + first + row - plane * p.length.by;
}

template <typename T> struct run_of {
    T x[EACH];
};
template <> struct __align__(16) run_of<float>
{
    float x[EACH];
};
template <> struct __align__(8) run_of<__half>
{
    __half x[EACH];
};
template <> struct __align__(8) run_of<__nv_bfloat16>
{
    __nv_bfloat16 x[EACH];
};

/* Rows of f32 into halves. `rows` walks the new rows, its last axis EACH features a step where RUNS. */
template <typename T, bool RUNS>
__global__ void round_kernel(const float *from, T *to, em_steps<1> rows, em_divisor width, places p)
{
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x, at[1];
    if (index >= rows.size)
        return;
    em_step(rows, index, at);
    uint32_t row = em_divide((uint32_t)index, width), feature = (uint32_t)index - row * width.by;
    int64_t target = place_of(p, row) * width.by + feature;
    if (RUNS) {
        run_of<float> in = ((const run_of<float> *)from)[at[0]];
        run_of<T> out;
#pragma unroll
        for (int i = 0; i < EACH; i++)
            em_store(&out.x[i], in.x[i]);
        ((run_of<T> *)to)[target] = out;
    } else {
        em_store(&to[target], from[at[0]]);
    }
}

/* Rows of the cache's dtype, as words. */
template <typename W> __global__ void rows_kernel(const W *from, W *to, em_steps<1> rows, em_divisor width, places p)
{
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x, at[1];
    if (index >= rows.size)
        return;
    em_step(rows, index, at);
    uint32_t row = em_divide((uint32_t)index, width), feature = (uint32_t)index - row * width.by;
    to[place_of(p, row) * width.by + feature] = from[at[0]];
}

/* A row of f32 as codes of 8 bits (CODES) or as their scale: a warp a row. One not finite: scale NaN, codes 0. */
template <bool CODES>
__global__ void quantize_kernel(const float *from, void *to, em_steps<1> rows, int64_t step, int64_t width, places p)
{
    em_grid_wait();
    int64_t row = blockIdx.x * (int64_t)(THREADS / WARP) + threadIdx.x / WARP, at[1];
    if (row >= rows.size)
        return;
    em_step(rows, row, at);
    const float *x = from + at[0];
    float top = 0;
    bool wrong = false;
    for (int64_t i = threadIdx.x % WARP; i < width; i += WARP) {
        float v = x[i * step];
        wrong |= !isfinite(v);
        top = fmaxf(top, fabsf(v));
    }
    for (int lane = WARP / 2; lane; lane /= 2)
        top = fmaxf(top, __shfl_xor_sync(~0u, top, lane));
    float scale = __any_sync(~0u, wrong) ? __int_as_float(0x7fc00000) : top / 127;
    int64_t target = place_of(p, (uint32_t)row);
    if (!CODES && threadIdx.x % WARP == 0)
        ((float *)to)[target] = scale;
    for (int64_t i = threadIdx.x % WARP; CODES && i < width; i += WARP) {
        float code = scale > 0 ? fminf(fmaxf(rintf(x[i * step] / scale), -127), 127) : 0;
        ((int8_t *)to)[target * width + i] = (int8_t)code;
    }
}

static places places_of(const em__call *call)
{
    const em__tensor *rows = &call->in[1], *position = &call->in[2];
    int rank = rows->spec.rank;
    int64_t planes = 1;
    for (int axis = 0; axis < rank - 2; axis++)
        planes *= rows->spec.dims[axis];
    places p = {};
    p.position = position->data;
    p.dtype = position->spec.dtype;
    p.stride = position->spec.rank ? position->strides[0] : 0;
    p.planes = em_divisor_of(p.stride ? planes / rows->spec.dims[0] : planes);
    p.length = em_divisor_of(rows->spec.dims[rank - 2]);
    p.room = call->in[0].spec.dims[rank - 2];
    return p;
}

static em_layout<1> layout_of(const em__tensor *rows)
{
    const em__tensor *const tensors[] = {rows};
    return em_collapse<1>(&rows->spec, tensors);
}

template <typename W> static em_status launch_rows(em__cuda *cuda, const em__call *call, int64_t width)
{
    size_t element = em_dtype_size(call->out.spec.dtype);
    em_layout<1> layout = layout_of(&call->in[1]);
    em_steps<1> rows = em_steps_of(em_widen(layout, 1, element, sizeof(W)));
    return em_launch(cuda, "kv_update", rows_kernel<W>, em_blocks(rows.size, THREADS), THREADS, 0,
                     (const W *)call->in[1].data, (W *)call->out.data, rows,
                     em_divisor_of(width * (int64_t)element / (int64_t)sizeof(W)), places_of(call));
}

template <typename T> static em_status launch_round(em__cuda *cuda, const em__call *call, int64_t width)
{
    em_layout<1> layout = layout_of(&call->in[1]);
    uint64_t bits = (uint64_t)(uintptr_t)call->in[1].data | (uint64_t)(uintptr_t)call->out.data * 2;
    bool runs = em_word_size(layout, 1, 4, bits | (uint64_t)width * 4) == 16;
    em_steps<1> rows = em_steps_of(runs ? em_widen(layout, 1, 4, 16) : layout);
    return em_launch(cuda, "kv_update", runs ? round_kernel<T, true> : round_kernel<T, false>,
                     em_blocks(rows.size, THREADS), THREADS, 0, (const float *)call->in[1].data, (T *)call->out.data,
                     rows, em_divisor_of(runs ? width / EACH : width), places_of(call));
}

static em_status update(em__cuda *cuda, const em__call *call)
{
    const em__tensor *rows = &call->in[1];
    int64_t width = rows->spec.dims[rows->spec.rank - 1];
    size_t element = em_dtype_size(call->out.spec.dtype);
    if (rows->spec.dtype != call->out.spec.dtype)
        return call->out.spec.dtype == EM_F16 ? launch_round<__half>(cuda, call, width)
                                              : launch_round<__nv_bfloat16>(cuda, call, width);
    uint64_t bits = (uint64_t)(uintptr_t)rows->data | (uint64_t)(uintptr_t)call->out.data;
    size_t word = em_word_size(layout_of(rows), 1, element, bits | (uint64_t)width * element);
    return EM_BY_SIZE(word, launch_rows, cuda, call, width);
}

static em_status quantize(em__cuda *cuda, const em__call *call)
{
    em__tensor lead = call->in[1];
    int last = --lead.spec.rank;
    em_steps<1> rows = em_steps_of(layout_of(&lead));
    return em_launch(cuda, call->op == EM__OP_KV_CODES ? "kv_codes" : "kv_scales",
                     call->op == EM__OP_KV_CODES ? quantize_kernel<true> : quantize_kernel<false>,
                     em_blocks(rows.size, THREADS / WARP), THREADS, 0, (const float *)call->in[1].data, call->out.data,
                     rows, call->in[1].strides[last], call->in[1].spec.dims[last], places_of(call));
}

static em_status run_kv(em_device *device, const em__call *call)
{
    size_t bytes = em__spec_bytes(&call->out.spec);
    if (call->out.data != call->in[0].data)
        EM__TRY(em__cuda_memory.copy(device, call->out.data, call->in[0].data, bytes));
    em__tensor lead = call->in[1];
    lead.spec.rank--;
    bool none = em__spec_size(call->op == EM__OP_KV_SCALES ? &lead.spec : &call->in[1].spec) == 0;
    if (bytes == 0 || none)
        return EM_OK;
    return call->op == EM__OP_KV_UPDATE ? update(em__cuda_of(device), call) : quantize(em__cuda_of(device), call);
}

extern "C" bool em__cuda_prepare_kv(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->kernel = run_kv;
    plan->strided = 6;
    bool mine = call->op == EM__OP_KV_UPDATE || call->op == EM__OP_KV_CODES || call->op == EM__OP_KV_SCALES;
    return mine && em__spec_size(&call->in[1].spec) < EM_FEW_WORDS;
}
