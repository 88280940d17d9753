/* ANY and ALL. An element is true when any of its bits is set, a float's sign aside; all are when none is not. */
#include "device/cuda/reduce.cuh"

struct wide_bits {
    uint64_t low, high;
};

template <typename T> __device__ __forceinline__ bool is_set(T x, uint64_t mask)
{
    return (x & mask) != 0;
}

__device__ __forceinline__ bool is_set(wide_bits x, uint64_t mask)
{
    return ((x.low | x.high) & mask) != 0;
}

template <typename T> struct truth_op {
    typedef T In;
    typedef uint8_t Out;
    typedef uint32_t Acc;
    uint64_t mask;
    bool all;
    __device__ __forceinline__ Acc start() const
    {
        return 0;
    }
    __device__ __forceinline__ Acc take(T x) const
    {
        return is_set(x, mask) != all;
    }
    __device__ __forceinline__ Acc join(Acc a, Acc b) const
    {
        return a | b;
    }
    __device__ __forceinline__ uint8_t give(Acc x) const
    {
        return (x != 0) != all;
    }
};

template <typename T> static em_status run(em_device *device, const em__call *call)
{
    em_dtype dtype = call->in[0].spec.dtype;
    truth_op<T> op = {UINT64_MAX, call->op == EM__OP_ALL};
    if (dtype == EM_C64)
        op.mask = 0x7fffffff7fffffff;
    else if (em_dtype_get_kind(dtype) >= EM_KIND_FLOAT)
        op.mask = UINT64_MAX >> (65 - 8 * (sizeof(T) < 8 ? sizeof(T) : 8));
    return em_reduce_run(em__cuda_of(device), call, op);
}

em__kernel_fn em_reduce_truth(const em__call *call)
{
    switch (em_dtype_size(call->in[0].spec.dtype)) {
    case 1: return run<uint8_t>;
    case 2: return run<uint16_t>;
    case 4: return run<uint32_t>;
    case 8: return run<uint64_t>;
    case 16: return run<wide_bits>;
    default: return NULL;
    }
}
