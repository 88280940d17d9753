/* CAST between all dtypes, and SELECT. */
#include "device/cuda/elementwise.cuh"

/* F's: see elementwise.cuh. */
template <int FROM, int TO> struct cast_one {
    static constexpr int N = 1, OUT = TO;
    static constexpr int in(int)
    {
        return FROM;
    }
    static __device__ __forceinline__ auto apply(int, em_math<FROM> x)
    {
        return em_cast<FROM, TO>(x);
    }
};

template <int FROM, int TO> constexpr int em_packets<cast_one<FROM, TO>> = em_bytes(TO) <= 4 ? 2 : 1;

/* An element a thread, from one dtype to any, by general strides. */
template <int FROM>
__global__ void __launch_bounds__(EM_THREADS) cast_kernel(const em_inputs<1> in, void *out, int to, int64_t size)
{
    em_grid_wait();
    em_grid_next();
    int64_t i = blockIdx.x * (int64_t)EM_THREADS + threadIdx.x, at[1];
    if (i >= size)
        return;
    em_locate(in, i, at);
    em_math<FROM> x = em_unpack<FROM>(((const em_stored<FROM> *)in.data[0])[at[0]]);
    switch (to) {
#define CASE(NAME, text, bits, kind, st)                                                                               \
    case EM_##NAME: ((em_stored<EM_##NAME> *)out)[i] = em_pack<EM_##NAME>(em_cast<FROM, EM_##NAME>(x)); break;
        EM_DTYPE_WHOLE_MAP(CASE)
#undef CASE
    }
}

template <int FROM> static em_status cast_any(em_device *device, const em__call *call)
{
    int64_t size = em__spec_size(&call->out.spec);
    const em__tensor *const tensors[] = {&call->in[0]};
    em_inputs<1> in = {};
    if (size == 0)
        return EM_OK;
    in.data[0] = call->in[0].data;
    in.layout = em_collapse<1>(&call->out.spec, tensors);
    in.small = size <= 0x7fffffff;
    return em_launch(em__cuda_of(device), "cast", cast_kernel<FROM>, em_blocks(size, EM_THREADS), EM_THREADS, 0, in,
                     call->out.data, (int)call->out.spec.dtype, size);
}

/* By packets, where the operand lies for it. */
template <int FROM, int TO> static em_status cast_pair(em_device *device, const em__call *call)
{
    em__kernel_fn general = cast_any<FROM>;
    return em__tensor_is_contiguous(&call->in[0]) ? em_map<cast_one<FROM, TO>, cast_one<FROM, TO>>(device, call)
                                                  : general(device, call);
}

/* The dtypes among which casts are common. */
#define COMMON(X) X(PRED) X(U8) X(U32) X(S32) X(S64) X(F16) X(BF16) X(F32) X(F64)

template <int FROM> static em__kernel_fn find_common(em_dtype to)
{
    switch ((int)to) {
#define CASE(NAME)                                                                                                     \
    case EM_##NAME: return cast_pair<FROM, EM_##NAME>;
        COMMON(CASE)
#undef CASE
    default: return cast_any<FROM>;
    }
}

em__kernel_fn em__elementwise_cast(em_dtype from, em_dtype to)
{
    if (em__sub_byte(to))
        return NULL;
    switch ((int)from) {
#define CASE(NAME)                                                                                                     \
    case EM_##NAME: return find_common<EM_##NAME>(to);
        COMMON(CASE)
#undef CASE
    }
    switch ((int)from) {
#define CASE(NAME, text, bits, kind, st)                                                                               \
    case EM_##NAME: return cast_any<EM_##NAME>;
        EM_DTYPE_WHOLE_MAP(CASE)
#undef CASE
    default: return NULL;
    }
}

/* Moves bits, so one dtype stands for all of its size. */
template <int T> struct select_one {
    static constexpr int N = 3, OUT = T;
    static constexpr int in(int i)
    {
        return i ? T : EM_PRED;
    }
    static __device__ __forceinline__ em_math<T> apply(int, uint32_t condition, em_math<T> x, em_math<T> y)
    {
        return condition ? x : y;
    }
};

template <int T> constexpr int em_packets<select_one<T>> = 2;

em__kernel_fn em__elementwise_select(em_dtype dtype)
{
    switch (em_dtype_size(dtype)) {
    case 1: return em_map<select_one<EM_U8>, select_one<EM_U8>>;
    case 2: return em_map<select_one<EM_U16>, select_one<EM_U16>>;
    case 4: return em_map<select_one<EM_U32>, select_one<EM_U32>>;
    case 8: return em_map<select_one<EM_U64>, select_one<EM_U64>>;
    case 16: return em_map<select_one<EM_C128>, select_one<EM_C128>>;
    default: return NULL;
    }
}
