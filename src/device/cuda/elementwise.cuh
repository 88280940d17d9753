/*
 * Kernels that make each element of the result from one element of each operand, by a function F:
 *
 *     struct F {
 *         static constexpr int N, OUT;              operands; the result's dtype
 *         static constexpr int in(int i);           dtype of operand i
 *         static __device__ ... apply(int op, x...) the result of math values, not rounded yet (op_math.cuh)
 *     };
 *
 * A thread makes V neighbours, 16 bytes of the widest operand, where along the last axis each operand is contiguous or
 * one element; else (transposed operands, views at odd addresses) one element by general strides. Both read before they
 * write, so the result may lie on an operand.
 */
#ifndef EM_DEVICE_CUDA_ELEMENTWISE_CUH
#define EM_DEVICE_CUDA_ELEMENTWISE_CUH

#include "device/cuda/common.cuh"
#include "device/cuda/op_math.cuh"

enum { EM_THREADS = 256 };

template <class S, int V> struct alignas(sizeof(S) * V) em_packet {
    S v[V];
};

template <int N> struct em_inputs {
    const void *data[N];
    int step[N];         /* of neighbours along the last axis, in elements: 0 or 1 when V > 1 */
    em_layout<N> layout; /* in packets of V along the last axis */
    bool flat;           /* at most one axis */
    bool small;          /* offsets of packets fit 32 bits */
    int op;
};

/* em_offsets, by 32-bit division where that will do. */
template <int N> __device__ __forceinline__ void em_locate(const em_inputs<N> &in, int64_t index, int64_t (&at)[N])
{
    if (!in.small) {
        em_offsets(in.layout, index, at);
        return;
    }
    uint32_t rest = (uint32_t)index;
#pragma unroll
    for (int i = 0; i < N; i++)
        at[i] = 0;
    for (int axis = in.layout.rank - 1; axis >= 0; axis--) {
        uint32_t dim = (uint32_t)in.layout.dims[axis], next = axis > 0 ? rest / dim : 0, within = rest - next * dim;
#pragma unroll
        for (int i = 0; i < N; i++)
            at[i] += within * in.layout.strides[i][axis];
        rest = next;
    }
}

/* Packets of halves pass by the first-level cache: on an H200 that is worth a twentieth, while f32 lose by it. */
template <class S, int V> __device__ __forceinline__ em_packet<S, V> em_fetch_packet(const S *from)
{
    if constexpr (sizeof(S) != 2 || V != 8)
        return *(const em_packet<S, V> *)from;
    union {
        unsigned words[4];
        em_packet<S, V> packet;
    } u;
    asm("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(u.words[0]), "=r"(u.words[1]), "=r"(u.words[2]), "=r"(u.words[3])
        : "l"(from)
        : "memory");
    return u.packet;
}

template <class S, int V> __device__ __forceinline__ em_packet<S, V> em_fetch(const S *from, int step, int count)
{
    em_packet<S, V> p;
    if (V > 1 && step == 0) {
        S one = *from;
#pragma unroll
        for (int k = 0; k < V; k++)
            p.v[k] = one;
    } else if (count >= V) {
        p = em_fetch_packet<S, V>(from);
    } else {
#pragma unroll
        for (int k = 0; k < V; k++)
            p.v[k] = from[k < count ? k : 0];
    }
    return p;
}

/* The function of element k of the fetched packets. */
template <class F, class A> __device__ __forceinline__ em_stored<F::OUT> em_apply(int op, const A &a, int k)
{
    return em_pack<F::OUT>(F::apply(op, em_unpack<F::in(0)>(a.v[k])));
}

template <class F, class A, class B>
__device__ __forceinline__ em_stored<F::OUT> em_apply(int op, const A &a, const B &b, int k)
{
    return em_pack<F::OUT>(F::apply(op, em_unpack<F::in(0)>(a.v[k]), em_unpack<F::in(1)>(b.v[k])));
}

template <class F, class A, class B, class C>
__device__ __forceinline__ em_stored<F::OUT> em_apply(int op, const A &a, const B &b, const C &c, int k)
{
    return em_pack<F::OUT>(
        F::apply(op, em_unpack<F::in(0)>(a.v[k]), em_unpack<F::in(1)>(b.v[k]), em_unpack<F::in(2)>(c.v[k])));
}

/* The packet of operand I. */
template <class F, int V, int I>
__device__ __forceinline__ auto em_operand(const em_inputs<F::N> &in, const int64_t (&at)[F::N], int count)
{
    typedef em_stored<F::in(I)> S;
    return em_fetch<S, V>((const S *)in.data[I] + at[I], in.step[I], count);
}

/* The packets of the operands, and what F makes of them. */
template <class F, int V> struct em_fetched {
    em_packet<em_stored<F::in(0)>, V> a;
    em_packet<em_stored<F::in(F::N > 1 ? 1 : 0)>, V> b;
    em_packet<em_stored<F::in(F::N > 2 ? 2 : 0)>, V> c;
};

template <class F, int V>
__device__ __forceinline__ void em_fetch_all(em_fetched<F, V> *p, const em_inputs<F::N> &in, const int64_t (&at)[F::N],
                                             int count)
{
    p->a = em_operand<F, V, 0>(in, at, count);
    if constexpr (F::N > 1)
        p->b = em_operand<F, V, 1>(in, at, count);
    if constexpr (F::N > 2)
        p->c = em_operand<F, V, 2>(in, at, count);
}

template <class F, int V>
__device__ __forceinline__ em_packet<em_stored<F::OUT>, V> em_make(const em_fetched<F, V> &p, int op)
{
    em_packet<em_stored<F::OUT>, V> r;
#pragma unroll
    for (int k = 0; k < V; k++) {
        if constexpr (F::N == 1)
            r.v[k] = em_apply<F>(op, p.a, k);
        else if constexpr (F::N == 2)
            r.v[k] = em_apply<F>(op, p.a, p.b, k);
        else
            r.v[k] = em_apply<F>(op, p.a, p.b, p.c, k);
    }
    return r;
}

/* One packet, wherever it lies. */
template <class F, int V>
__device__ __forceinline__ void em_map_packet(const em_inputs<F::N> &in, em_stored<F::OUT> *out, int64_t packet,
                                              int64_t size)
{
    int64_t start = packet * V, at[F::N];
    em_fetched<F, V> p;
    if (start >= size)
        return;
    int count = size - start < V ? (int)(size - start) : V;
    if (in.flat) {
#pragma unroll
        for (int i = 0; i < F::N; i++)
            at[i] = start * in.step[i];
    } else {
        em_locate(in, packet, at);
    }
    em_fetch_all<F, V>(&p, in, at, count);
    em_packet<em_stored<F::OUT>, V> r = em_make<F, V>(p, in.op);
    if (count == V) {
        *(em_packet<em_stored<F::OUT>, V> *)(out + start) = r;
        return;
    }
#pragma unroll
    for (int k = 0; k < V; k++)
        if (k < count)
            out[start + k] = r.v[k];
}

/* U packets a thread, EM_THREADS apart: all are fetched before the first is made. */
template <class F, int V, int U>
__global__ void __launch_bounds__(EM_THREADS)
    em_map_kernel(const __grid_constant__ em_inputs<F::N> in, em_stored<F::OUT> *out, int64_t size)
{
    em_grid_wait();
    em_grid_next();
    int64_t packet = blockIdx.x * (int64_t)(EM_THREADS * U) + threadIdx.x;
    if constexpr (U == 1) {
        em_map_packet<F, V>(in, out, packet, size);
    } else if (!in.flat || (blockIdx.x + (int64_t)1) * (EM_THREADS * U * V) > size) {
#pragma unroll 1
        for (int u = 0; u < U; u++)
            em_map_packet<F, V>(in, out, packet + u * EM_THREADS, size);
    } else {
        em_fetched<F, V> p[U];
#pragma unroll
        for (int u = 0; u < U; u++) {
            int64_t at[F::N];
#pragma unroll
            for (int i = 0; i < F::N; i++)
                at[i] = (packet + u * EM_THREADS) * V * in.step[i];
            em_fetch_all<F, V>(&p[u], in, at, V);
        }
#pragma unroll
        for (int u = 0; u < U; u++)
            *(em_packet<em_stored<F::OUT>, V> *)(out + (packet + u * EM_THREADS) * V) = em_make<F, V>(p[u], in.op);
    }
}

constexpr int em_bytes(int dtype)
{
#define EM_BYTES(NAME, text, bits, kind, st) bits / 8,
    constexpr int bytes[] = {EM_DTYPE_WHOLE_MAP(EM_BYTES)};
#undef EM_BYTES
    return bytes[dtype];
}

/* Elements a thread makes. */
template <class F> constexpr int em_width()
{
    int most = em_bytes(F::OUT);
    for (int i = 0; i < F::N; i++)
        most = em_bytes(F::in(i)) > most ? em_bytes(F::in(i)) : most;
    return 16 / most;
}

/* Whether the operands go V at a time; then the layout counts packets. */
template <int N>
static bool em_by_packets(em_inputs<N> *in, const int (&sizes)[N], const void *out, int out_size, int v)
{
    em_layout<N> *l = &in->layout;
    int last = l->rank - 1;
    bool fits = (uintptr_t)out % (size_t)(v * out_size) == 0 && (last <= 0 || l->dims[last] % v == 0);
    for (int i = 0; i < N && fits; i++) {
        int64_t step = last < 0 ? 0 : l->strides[i][last];
        fits = step == 0 || (step == 1 && (uintptr_t)in->data[i] % (size_t)(v * sizes[i]) == 0);
        for (int axis = 0; axis < last && fits && step; axis++)
            fits = l->strides[i][axis] % v == 0;
    }
    if (!fits || last < 0)
        return fits;
    l->dims[last] /= last > 0 ? v : 1;
    for (int i = 0; i < N; i++) {
        in->step[i] = (int)l->strides[i][last];
        l->strides[i][last] *= v;
    }
    return true;
}

/* Packets a thread: two of small elements where that was measured to help. */
template <class F> constexpr int em_packets = 1;

template <class F, int V> static em_status em_map_launch(em__cuda *cuda, const em__call *call, em_inputs<F::N> *in)
{
    constexpr int U = V > 1 ? em_packets<F> : 1;
    int64_t size = em__spec_size(&call->out.spec), packets = (size + V - 1) / V;
    in->flat = V > 1 ? in->layout.rank <= 1 : false;
    in->small = packets <= 0x7fffffff;
    in->op = (int)call->op;
    return em_launch(cuda, em__op_get(call->op)->name, em_map_kernel<F, V, U>, em_blocks(packets, EM_THREADS * U),
                     EM_THREADS, 0, *in, (em_stored<F::OUT> *)call->out.data, size);
}

/* The kernel function of F, a packet at a time; G, with the same dtypes, has the same function for general strides
 * (one kernel for many ops, which it tells apart when it runs). */
template <class F, class G, int V = em_width<F>()> static em_status em_map(em_device *device, const em__call *call)
{
    em_inputs<F::N> in = {};
    const em__tensor *tensors[F::N];
    int sizes[F::N];
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    for (int i = 0; i < F::N; i++) {
        tensors[i] = &call->in[i];
        in.data[i] = call->in[i].data;
        sizes[i] = em_bytes(F::in(i));
    }
    const em__tensor *const(&list)[F::N] = tensors;
    in.layout = em_collapse<F::N>(&call->out.spec, list);
    if (V > 1 && em_by_packets(&in, sizes, call->out.data, (int)sizeof(em_stored<F::OUT>), V))
        return em_map_launch<F, V>(em__cuda_of(device), call, &in);
    return em_map_launch<G, 1>(em__cuda_of(device), call, &in);
}

/* F's: one op of one dtype. */
#define EM_F(NAME, TEMPLATE, COUNT, RESULT, PARAMETERS, VALUE)                                                         \
    TEMPLATE struct NAME {                                                                                             \
        static constexpr int N = COUNT, OUT = RESULT;                                                                  \
        static constexpr int in(int)                                                                                   \
        {                                                                                                              \
            return T;                                                                                                  \
        }                                                                                                              \
        static __device__ __forceinline__ auto apply PARAMETERS                                                        \
        {                                                                                                              \
            return VALUE;                                                                                              \
        }                                                                                                              \
    };
#define EM_ONE (int, em_math<T> x)
#define EM_TWO (int, em_math<T> x, em_math<T> y)
#define EM_OF_OP template <int OP, int T>
/* As the dtype is rounded anyway. */
template <int OP, int T> __device__ __forceinline__ em_math<T> em_float1_for(em_math<T> x)
{
    if constexpr (OP == EM__OP_GELU && (T == EM_F16 || T == EM_BF16))
        return em_gelu_half(x);
    else
        return em_float1<OP>(x);
}

EM_F(em_f1, EM_OF_OP, 1, T, EM_ONE, (em_float1_for<OP, T>(x)))
EM_F(em_f2, EM_OF_OP, 2, T, EM_TWO, (em_float2<OP>(x, y)))

constexpr bool em_is_light(int op)
{
    return op == EM__OP_ADD || op == EM__OP_SUB || op == EM__OP_MUL || op == EM__OP_MAXIMUM || op == EM__OP_MINIMUM;
}
template <int OP, int T> constexpr int em_packets<em_f2<OP, T>> = em_bytes(T) == 2 && em_is_light(OP) ? 2 : 1;
template <int OP, int T> constexpr int em_packets<em_f1<OP, T>> = em_bytes(T) == 2 && OP == EM__OP_GELU ? 2 : 1;

/* F's: all ops of a list, told apart when they run. */
#define EM_ANY_OF(NAME, COUNT, RESULT, VALUE, PARAMETERS, LIST, CASE)                                                  \
    template <int T> struct NAME {                                                                                     \
        static constexpr int N = COUNT, OUT = RESULT;                                                                  \
        static constexpr int in(int)                                                                                   \
        {                                                                                                              \
            return T;                                                                                                  \
        }                                                                                                              \
        static __device__ __forceinline__ VALUE apply PARAMETERS                                                       \
        {                                                                                                              \
            switch (op) {                                                                                              \
                LIST(CASE)                                                                                             \
            }                                                                                                          \
            return VALUE();                                                                                            \
        }                                                                                                              \
    };
#define EM_ANY_ONE (int op, em_math<T> x)
#define EM_ANY_TWO (int op, em_math<T> x, em_math<T> y)
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_float1_for<EM__OP_##NAME, T>(x);
EM_ANY_OF(em_any_f1, 1, T, em_math<T>, EM_ANY_ONE, EM_FLOAT1, EM_CASE)
#undef EM_CASE
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_float2<EM__OP_##NAME>(x, y);
EM_ANY_OF(em_any_f2, 2, T, em_math<T>, EM_ANY_TWO, EM_FLOAT2, EM_CASE)
#undef EM_CASE
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_integer1<EM__OP_##NAME, T>(x);
EM_ANY_OF(em_any_i1, 1, T, em_math<T>, EM_ANY_ONE, EM_INTEGER1, EM_CASE)
#undef EM_CASE
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_integer2<EM__OP_##NAME, T>(x, y);
EM_ANY_OF(em_any_i2, 2, T, em_math<T>, EM_ANY_TWO, EM_INTEGER2, EM_CASE)
#undef EM_CASE
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_test1<EM__OP_##NAME, T>(x);
EM_ANY_OF(em_any_t1, 1, EM_PRED, uint32_t, EM_ANY_ONE, EM_TEST1, EM_CASE)
#undef EM_CASE
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_test2<EM__OP_##NAME, T>(x, y);
EM_ANY_OF(em_any_t2, 2, EM_PRED, uint32_t, EM_ANY_TWO, EM_TEST2, EM_CASE)
#undef EM_CASE

/* The kernel function of a float op of the dtype, a kernel each; NULL where there is none. */
template <int T> static em__kernel_fn em_find_float(em__op op)
{
    switch ((int)op) {
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_map<em_f1<EM__OP_##NAME, T>, em_any_f1<T>>;
        EM_FLOAT1(EM_CASE)
#undef EM_CASE
#define EM_CASE(NAME)                                                                                                  \
    case EM__OP_##NAME: return em_map<em_f2<EM__OP_##NAME, T>, em_any_f2<T>>;
        EM_FLOAT2(EM_CASE)
#undef EM_CASE
    default: return NULL;
    }
}

/* The same, by the file that holds the kernels; `dtype` is that of the last operand. */
em__kernel_fn em__elementwise_f32(em__op op);
em__kernel_fn em__elementwise_f16(em__op op);
em__kernel_fn em__elementwise_bf16(em__op op);
em__kernel_fn em__elementwise_f64(em__op op);
em__kernel_fn em__elementwise_f8(em__op op, em_dtype dtype);
em__kernel_fn em__elementwise_integer(em__op op, em_dtype dtype);
em__kernel_fn em__elementwise_complex(em__op op, em_dtype dtype);
em__kernel_fn em__elementwise_test(em__op op, em_dtype dtype); /* results are pred */
em__kernel_fn em__elementwise_select(em_dtype dtype);
em__kernel_fn em__elementwise_cast(em_dtype from, em_dtype to);

#endif
