/*
 * ROPE and ROTARY: pairs of features turned by an angle. ROPE's angles are taken in double, once for each position and
 * pair by the block that turns all rows there; a block of ROTARY reads its tables.
 */
#include "device/cuda/reals.cuh"
#include "device/cuda/words.cuh"

enum { THREADS = 128, VECTOR = 4, X = 0, OUT = 1, COSINE = 2, SINE = 3 };

/* What all rows share. A row is so many pairs, then the features that are not turned; work is given out V at a time. */
struct turns {
    int64_t step; /* of x's features; 1 where V is more than 1 */
    int pairs, size;
    bool interleaved, full; /* full: tables have an entry for each feature of a pair */
};

template <typename T, int V> struct __align__(sizeof(T) * V) several
{
    T x[V];
};

/* Features [first, first + V) of a row. */
template <typename T, int V> static __device__ __forceinline__ several<T, V> take(const T *x, int64_t step, int first)
{
    several<T, V> out;
    if (V > 1)
        return *(const several<T, V> *)(x + first);
    out.x[0] = x[first * step];
    return out;
}

/* V pairs of a row, of which (c1, s1) are the turns of the first features and (c2, s2) of the second; all features are
 * read before any is written. */
template <typename T, typename R, int V>
static __device__ __forceinline__ void turn(const turns &t, const T *x, T *out, int pair, const R *c1, const R *s1,
                                            const R *c2, const R *s2)
{
    int first = t.interleaved ? 2 * pair : pair, second = t.interleaved ? first + V : first + t.pairs;
    several<T, V> a = take<T, V>(x, t.step, first), b = take<T, V>(x, t.step, second), one, two;
#pragma unroll
    for (int i = 0; i < V; i++) {
        bool apart = V > 1 && t.interleaved; /* a, then b, hold pairs side by side */
        T *from_1 = !apart ? &a.x[i] : 2 * i < V ? &a.x[2 * i % V] : &b.x[2 * i % V];
        T *from_2 = !apart ? &b.x[i] : 2 * i < V ? &a.x[(2 * i + 1) % V] : &b.x[(2 * i + 1) % V];
        T *to_1 = !apart ? &one.x[i] : 2 * i < V ? &one.x[2 * i % V] : &two.x[2 * i % V];
        T *to_2 = !apart ? &two.x[i] : 2 * i < V ? &one.x[(2 * i + 1) % V] : &two.x[(2 * i + 1) % V];
        R u = em_load(from_1), v = em_load(from_2);
        em_store(to_1, u * c1[i] - v * s1[i]);
        em_store(to_2, v * c2[i] + u * s2[i]);
    }
    *(several<T, V> *)(out + first) = one;
    *(several<T, V> *)(out + second) = two;
}

/* V features from `feature` on, which are not turned. */
template <typename T, int V>
static __device__ __forceinline__ void keep(const turns &t, const T *x, T *out, int feature)
{
    *(several<T, V> *)(out + feature) = take<T, V>(x, t.step, feature);
}

/* The turns of V pairs from a table's row. */
template <typename R, int V>
static __device__ __forceinline__ void read_table(const turns &t, const R *table, int64_t step, int pair, R *one,
                                                  R *two)
{
#pragma unroll
    for (int i = 0; i < V; i++) {
        int first = t.full && t.interleaved ? 2 * (pair + i) : pair + i;
        one[i] = table[first * step];
        two[i] = t.full ? table[(t.interleaved ? first + 1 : first + t.pairs) * step] : one[i];
    }
}

template <typename T, int V>
__global__ void rotary_kernel(const T *x, T *out, const typename em_real<T>::type *cosine,
                              const typename em_real<T>::type *sine, em_steps<4> rows, int64_t cosine_step,
                              int64_t sine_step, em_divisor items, turns t)
{
    typedef typename em_real<T>::type R;
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x, at[4];
    if (index >= rows.size * items.by)
        return;
    uint32_t row = em_divide((uint32_t)index, items);
    int item = (int)((uint32_t)index - row * items.by) * V;
    em_step(rows, row, at);
    if (item >= t.pairs) {
        keep<T, V>(t, x + at[X], out + at[OUT], item + t.pairs);
        return;
    }
    R c1[V], c2[V], s1[V], s2[V];
    read_table<R, V>(t, cosine + at[COSINE], cosine_step, item, c1, c2);
    read_table<R, V>(t, sine + at[SINE], sine_step, item, s1, s2);
    turn<T, R, V>(t, x + at[X], out + at[OUT], item, c1, s1, c2, s2);
}

/* Of a ROPE. The grid is [positions x batches, shares of the rows that stand at one position]. */
struct angles {
    const void *offset; /* NULL: none */
    em_dtype dtype;
    int64_t offset_step;  /* 0: one for all batches */
    const float *periods; /* NULL: from base */
    int64_t period_step;
    double base_log2, scale; /* log2 of base, times -2 / dims */
    int64_t positions, x_position, out_position, x_batch, out_batch;
};

template <typename T, int V>
__global__ void rope_kernel(const T *x, T *out, angles a, em_steps<2> rows, em_divisor items, turns t)
{
    typedef typename em_real<T>::type R;
    extern __shared__ char memory[];
    R *cosine = (R *)memory, *sine = cosine + t.pairs;
    em_grid_wait();
    int64_t batch = blockIdx.x / a.positions, place = blockIdx.x - batch * a.positions;
    double position = (double)place;
    if (a.offset)
        position += (double)em__index_at(a.dtype, a.offset, batch * a.offset_step);
    position *= a.scale;
    for (int i = threadIdx.x; i < t.pairs; i += blockDim.x) {
        double angle = a.periods ? position / (double)a.periods[i * a.period_step] : position * exp2(a.base_log2 * i);
        double c, s;
        sincos(angle, &s, &c);
        cosine[i] = (R)c;
        sine[i] = (R)s;
    }
    __syncthreads();
    x += place * a.x_position + batch * a.x_batch;
    out += place * a.out_position + batch * a.out_batch;
    int64_t work = rows.size * items.by;
    for (int64_t i = blockIdx.y * blockDim.x + threadIdx.x; i < work; i += gridDim.y * blockDim.x) {
        uint32_t row = em_divide((uint32_t)i, items);
        int item = (int)((uint32_t)i - row * items.by) * V;
        int64_t at[2];
        em_step(rows, row, at);
        if (item < t.pairs)
            turn<T, R, V>(t, x + at[0], out + at[1], item, cosine + item, sine + item, cosine + item, sine + item);
        else
            keep<T, V>(t, x + at[0], out + at[1], item + t.pairs);
    }
}

/* Whether VECTOR features at a time may be read and written: all rows begin aligned. */
template <typename T> static bool in_vectors(const turns &t, const em__call *call)
{
    const em__tensor *x = &call->in[0];
    uint64_t bits = (uint64_t)(uintptr_t)x->data | (uint64_t)(uintptr_t)call->out.data;
    for (int axis = 0; axis < x->spec.rank - 1; axis++)
        bits |= (uint64_t)(x->spec.dims[axis] > 1 ? x->strides[axis] : 0) * sizeof(T);
    bits |= (uint64_t)(t.pairs | t.size) * sizeof(T);
    return t.step == 1 && bits % (VECTOR * sizeof(T)) == 0;
}

static turns turns_of(const em__call *call)
{
    const em__tensor *x = &call->in[0];
    int last = x->spec.rank - 1;
    turns t = {x->strides[last], (int)(call->ints[0] / 2), (int)x->spec.dims[last], call->ints[1] != 0, false};
    return t;
}

template <typename T> static em_status run_rotary(em_device *device, const em__call *call)
{
    typedef typename em_real<T>::type R;
    em__tensor x = call->in[0], out = call->out;
    em__spec shape = x.spec;
    int last = shape.rank - 1;
    turns t = turns_of(call);
    shape.dims[last] = call->in[1].spec.dims[call->in[1].spec.rank - 1];
    t.full = shape.dims[last] == call->ints[0];
    em__tensor cosine = em__tensor_broadcast(&call->in[1], &shape), sine = em__tensor_broadcast(&call->in[2], &shape);
    shape.rank--; /* rows */
    const em__tensor *const tensors[] = {&x, &out, &cosine, &sine};
    em_steps<4> rows = em_steps_of(em_collapse<4>(&shape, tensors));
    bool vectors = in_vectors<T>(t, call);
    em_divisor items = em_divisor_of((t.size - t.pairs) / (vectors ? VECTOR : 1));
    if (rows.size == 0)
        return EM_OK;
    return em_launch(em__cuda_of(device), "rotary", vectors ? rotary_kernel<T, VECTOR> : rotary_kernel<T, 1>,
                     em_blocks(rows.size * items.by, THREADS), THREADS, 0, (const T *)x.data, (T *)out.data,
                     (const R *)cosine.data, (const R *)sine.data, rows, cosine.strides[last], sine.strides[last],
                     items, t);
}

static angles angles_of(const em__call *call)
{
    angles a = {};
    int64_t mask = call->ints[2], axis = call->ints[3];
    const em__tensor *offset = mask & 1 ? &call->in[1] : NULL, *periods = mask & 2 ? &call->in[1 + (mask & 1)] : NULL;
    if (offset) {
        a.offset = offset->data;
        a.dtype = offset->spec.dtype;
        a.offset_step = offset->spec.rank ? offset->strides[0] : 0;
    }
    if (periods) {
        a.periods = (const float *)periods->data;
        a.period_step = periods->strides[0];
    }
    a.base_log2 = -2 * log2(call->floats[0]) / (double)call->ints[0];
    a.scale = call->floats[1];
    a.positions = call->in[0].spec.dims[axis];
    a.x_position = call->in[0].strides[axis];
    a.out_position = call->out.strides[axis];
    return a;
}

template <typename T> static em_status run_rope(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em__tensor x = call->in[0], out = call->out;
    int axis = (int)call->ints[3];
    turns t = turns_of(call);
    angles a = angles_of(call);
    em__spec shape = x.spec; /* of the rows at one position of one batch */
    shape.rank--;
    shape.dims[axis] = 1;
    int64_t batches = 1;
    if (a.offset_step) {
        batches = shape.dims[0];
        shape.dims[0] = 1;
        a.x_batch = x.strides[0];
        a.out_batch = out.strides[0];
    }
    const em__tensor *const tensors[] = {&x, &out};
    em_steps<2> rows = em_steps_of(em_collapse<2>(&shape, tensors));
    bool vectors = in_vectors<T>(t, call);
    em_divisor items = em_divisor_of((t.size - t.pairs) / (vectors ? VECTOR : 1));
    int64_t blocks = batches * a.positions, work = rows.size * items.by;
    if (blocks == 0 || work == 0)
        return EM_OK;
    int64_t shares = em_blocks(work, 4 * THREADS), wanted = 8 * (int64_t)cuda->sms / blocks + 1;
    shares = shares < wanted ? shares : wanted;
    return em_launch(cuda, "rope", vectors ? rope_kernel<T, VECTOR> : rope_kernel<T, 1>,
                     dim3((unsigned)blocks, (unsigned)(shares < 65535 ? shares : 65535)), THREADS,
                     2 * (size_t)t.pairs * sizeof(typename em_real<T>::type), (const T *)x.data, (T *)out.data, a, rows,
                     items, t);
}

extern "C" bool em__cuda_prepare_rotary(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op != EM__OP_ROPE && call->op != EM__OP_ROTARY)
        return false;
    bool rope = call->op == EM__OP_ROPE;
    plan->strided = 7;
    plan->inplace = 1;
    /* two tables in 48 KiB; work is counted in 32 bits */
    if ((rope && call->ints[0] > 6144) || em__spec_size(&call->in[0].spec) >= EM_FEW_WORDS)
        return false;
    switch (call->in[0].spec.dtype) {
    case EM_F16: plan->kernel = rope ? run_rope<__half> : run_rotary<__half>; return true;
    case EM_BF16: plan->kernel = rope ? run_rope<__nv_bfloat16> : run_rotary<__nv_bfloat16>; return true;
    case EM_F32: plan->kernel = rope ? run_rope<float> : run_rotary<float>; return true;
    case EM_F64: plan->kernel = rope ? run_rope<double> : run_rotary<double>; return true;
    default: return false;
    }
}
