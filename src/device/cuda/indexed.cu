/*
 * INDEXED_ADD and INDEXED_PUT: updates to places of operand 0 that indices name. Updates of one place take effect in
 * their order, as if one by one: they are sorted by place (stable), and the first of a place's updates adds them all,
 * the last one is what PUT leaves.
 */
#include <cub/device/device_radix_sort.cuh>

#include "device/cuda/words.cuh"

enum { THREADS = 256, UPDATE = 0, OUT = 1 };

/* The places: updates [batch.., window..], n indices a batch element. */
struct places {
    const void *data; /* the indices */
    em_dtype dtype;
    int n;
    int64_t step;                                    /* from one index of an update to the next */
    int64_t count[EM_MAX_RANK], stride[EM_MAX_RANK]; /* of the axes that they name */
    uint32_t none;                                   /* the key of an update that is out of range: past all others */
};

/* Where the update's window begins in the result. */
static __device__ __forceinline__ int64_t place_of(const places &p, int64_t at)
{
    int64_t offset = 0;
    for (int i = 0; i < p.n; i++)
        offset += em__index_at(p.dtype, p.data, at + i * p.step) * p.stride[i];
    return offset;
}

__global__ void keys_kernel(places p, em_steps<2> batch, uint32_t *keys, uint32_t *order)
{
    em_grid_wait();
    int64_t update = blockIdx.x * (int64_t)THREADS + threadIdx.x, at[2];
    if (update >= batch.size)
        return;
    em_step(batch, update, at);
    int64_t key = 0;
    bool outside = false;
    for (int i = 0; i < p.n; i++) {
        int64_t pick = em__index_at(p.dtype, p.data, at[1] + i * p.step);
        outside = outside || pick < 0 || pick >= p.count[i];
        key = key * p.count[i] + (outside ? 0 : pick);
    }
    keys[update] = outside ? p.none : (uint32_t)key;
    order[update] = (uint32_t)update;
}

/* Updates in order of places. */
struct sorted {
    const uint32_t *keys, *order;
    int64_t n;
};

/* batch: updates, indices. window: updates, result. */
template <typename T>
__global__ void put_kernel(const T *updates, T *out, places p, em_steps<2> batch, em_steps<2> window, sorted s)
{
    em_grid_wait();
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x, from[2], within[2];
    if (i >= s.n * window.size)
        return;
    int64_t rank = i / window.size;
    uint32_t key = s.keys[rank];
    if (key == p.none || (rank + 1 < s.n && s.keys[rank + 1] == key))
        return;
    em_step(batch, s.order[rank], from);
    em_step(window, i - rank * window.size, within);
    out[place_of(p, from[1]) + within[OUT]] = updates[from[0] + within[UPDATE]];
}

template <typename T> static __device__ __forceinline__ T sum(T a, T b)
{
    return (T)(a + b);
}
static __device__ __forceinline__ __half sum(__half a, __half b)
{
    return __float2half_rn(__half2float(a) + __half2float(b));
}
static __device__ __forceinline__ __nv_bfloat16 sum(__nv_bfloat16 a, __nv_bfloat16 b)
{
    return __float2bfloat16_rn(__bfloat162float(a) + __bfloat162float(b));
}
static __device__ __forceinline__ float2 sum(float2 a, float2 b)
{
    return make_float2(a.x + b.x, a.y + b.y);
}
static __device__ __forceinline__ double2 sum(double2 a, double2 b)
{
    return make_double2(a.x + b.x, a.y + b.y);
}

template <typename T>
__global__ void add_kernel(const T *updates, T *out, places p, em_steps<2> batch, em_steps<2> window, sorted s)
{
    em_grid_wait();
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x, from[2], within[2];
    if (i >= s.n * window.size)
        return;
    int64_t rank = i / window.size;
    uint32_t key = s.keys[rank];
    if (key == p.none || (rank > 0 && s.keys[rank - 1] == key))
        return;
    em_step(window, i - rank * window.size, within);
    em_step(batch, s.order[rank], from);
    T *to = &out[place_of(p, from[1]) + within[OUT]], all = *to;
    for (;;) {
        all = sum(all, updates[from[0] + within[UPDATE]]);
        if (++rank >= s.n || s.keys[rank] != key)
            break;
        em_step(batch, s.order[rank], from);
    }
    *to = all;
}

/* A call seen as places, batch and window. */
struct job {
    places p;
    em_steps<2> batch, window;
};

static job job_of(const em__call *call)
{
    const em__tensor *index = &call->in[1], *updates = &call->in[2], *out = &call->out;
    job j = {};
    int n_batch = index->spec.rank - 1;
    em__tensor from = *updates, to = {};
    em__spec batch = {}, window = {};
    unsigned named = 0;
    int64_t none = 1;
    j.p.data = index->data;
    j.p.dtype = index->spec.dtype;
    j.p.n = call->n_ints;
    j.p.step = index->strides[n_batch];
    for (int i = 0; i < call->n_ints; i++) {
        named |= 1u << call->ints[i];
        j.p.count[i] = out->spec.dims[call->ints[i]];
        j.p.stride[i] = out->strides[call->ints[i]];
        none *= j.p.count[i];
    }
    j.p.none = (uint32_t)none;
    batch.rank = n_batch;
    for (int i = 0; i < n_batch; i++)
        batch.dims[i] = updates->spec.dims[i];
    const em__tensor *const batches[] = {updates, index};
    j.batch = em_steps_of(em_collapse<2>(&batch, batches));
    for (int axis = 0; axis < out->spec.rank; axis++)
        if (!(named >> axis & 1)) {
            window.dims[window.rank] = out->spec.dims[axis];
            from.strides[window.rank] = updates->strides[n_batch + window.rank];
            to.strides[window.rank++] = out->strides[axis];
        }
    const em__tensor *const windows[] = {&from, &to};
    j.window = em_steps_of(em_collapse<2>(&window, windows));
    return j;
}

static size_t list_bytes(int64_t n)
{
    return ((size_t)n * sizeof(uint32_t) + 255) / 256 * 256;
}

/* Sorts by key; with `memory` NULL only says in *bytes how much it takes. */
static cudaError_t sort_keys(void *memory, size_t *bytes, uint32_t *lists, const job &j, cudaStream_t stream)
{
    int64_t n = j.batch.size, step = (int64_t)(list_bytes(n) / sizeof(uint32_t));
    int bits = 1;
    while (bits < 32 && j.p.none >> bits)
        bits++;
    return cub::DeviceRadixSort::SortPairs(memory, *bytes, lists, lists + step, lists + 2 * step, lists + 3 * step,
                                           (int)n, 0, bits, stream);
}

template <typename T> static em_status apply(em__cuda *cuda, const em__call *call, const job &j, const sorted &s)
{
    auto kernel = call->op == EM__OP_INDEXED_ADD ? add_kernel<T> : put_kernel<T>;
    return em_launch(cuda, em__op_get(call->op)->name, kernel, em_blocks(s.n * j.window.size, THREADS), THREADS, 0,
                     (const T *)call->in[2].data, (T *)call->out.data, j.p, j.batch, j.window, s);
}

/* Integers add alike with and without a sign. */
static em_status apply_any(em__cuda *cuda, const em__call *call, const job &j, const sorted &s)
{
    em_dtype dtype = call->out.spec.dtype;
    switch (dtype) {
    case EM_F16: return apply<__half>(cuda, call, j, s);
    case EM_BF16: return apply<__nv_bfloat16>(cuda, call, j, s);
    case EM_F32: return apply<float>(cuda, call, j, s);
    case EM_F64: return apply<double>(cuda, call, j, s);
    case EM_C64: return apply<float2>(cuda, call, j, s);
    case EM_C128: return apply<double2>(cuda, call, j, s);
    default: break;
    }
    switch (em_dtype_size(dtype)) {
    case 1: return apply<uint8_t>(cuda, call, j, s);
    case 2: return apply<uint16_t>(cuda, call, j, s);
    case 4: return apply<uint32_t>(cuda, call, j, s);
    default: return apply<uint64_t>(cuda, call, j, s);
    }
}

static em_status run_indexed(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    size_t bytes = em__spec_bytes(&call->out.spec), sort_bytes = 0;
    if (call->out.data != call->in[0].data)
        EM__TRY(em__cuda_memory.copy(device, call->out.data, call->in[0].data, bytes));
    job j = job_of(call);
    if (bytes == 0 || em__spec_size(&call->in[2].spec) == 0)
        return EM_OK;
    uint32_t *lists = (uint32_t *)call->scratch;
    int64_t n = j.batch.size, step = (int64_t)(list_bytes(n) / sizeof(uint32_t));
    EM__TRY(em_launch(cuda, "indexed", keys_kernel, em_blocks(n, THREADS), THREADS, 0, j.p, j.batch, lists,
                      lists + 2 * step));
    EM__TRY(em__cuda_check(cuda, sort_keys(NULL, &sort_bytes, lists, j, cuda->stream), "sort"));
    EM__TRY(em__cuda_check(cuda, sort_keys(lists + 4 * step, &sort_bytes, lists, j, cuda->stream), "sort"));
    return apply_any(cuda, call, j, {lists + step, lists + 3 * step, n});
}

extern "C" bool em__cuda_prepare_indexed(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    if (call->op != EM__OP_INDEXED_ADD && call->op != EM__OP_INDEXED_PUT)
        return false;
    em_dtype dtype = call->out.spec.dtype;
    bool adds = call->op == EM__OP_INDEXED_ADD;
    int64_t places = 1;
    for (int i = 0; i < call->n_ints; i++)
        places *= call->out.spec.dims[call->ints[i]];
    job j = job_of(call);
    if ((adds && (dtype == EM_F8_E4M3FN || dtype == EM_F8_E5M2)) || places >= EM_FEW_WORDS ||
        j.batch.size >= EM_FEW_WORDS)
        return false;
    size_t sort_bytes = 0;
    if (sort_keys(NULL, &sort_bytes, NULL, j, cuda->stream) != cudaSuccess)
        return false;
    plan->kernel = run_indexed;
    plan->strided = 6;
    plan->scratch = 4 * list_bytes(j.batch.size) + sort_bytes;
    return true;
}
