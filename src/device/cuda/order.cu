/*
 * SORT, ARGSORT and TOP_K, stable. Keys travel with the places they came from, so no two are equal, and any sort of the
 * pairs is the stable one; the elements follow by place. A row up to BLOCK elements is sorted by one block, in shared
 * memory or, from some length on, in registers (order_block.cu), longer ones by radix (order_long.cu).
 */
#include "device/cuda/order.cuh"

enum { BLOCK = 4096, THREADS = 256 };

template <typename T>
__device__ __forceinline__ void put(const em_order_args &a, int64_t row, int64_t k, uint32_t place)
{
    int64_t to = em_order_base(row, a.count, a.inner) + k * a.inner;
    if (a.values)
        ((T *)a.values)[to] = ((const T *)a.x)[em_order_base(row, a.n, a.inner) + place * a.inner];
    if (a.indices)
        a.indices[to] = place;
}

template <typename K> __device__ __forceinline__ bool comes_later(K a, uint32_t place_a, K b, uint32_t place_b)
{
    return a > b || (a == b && place_a > place_b);
}

/* A bitonic network over `padded` pairs, a power of two; what fills it up comes last. */
template <typename Order>
__global__ void __launch_bounds__(1024) order_block_kernel(const __grid_constant__ em_order_args a, int padded)
{
    typedef typename Order::Key K;
    extern __shared__ uint4 memory[];
    K *keys = (K *)memory;
    uint32_t *places = (uint32_t *)(keys + padded);
    int64_t row = blockIdx.x;
    const typename Order::In *x = (const typename Order::In *)a.x + em_order_base(row, a.n, a.inner);
    K turn = a.descending ? (K) ~(K)0 : (K)0;
    em_grid_wait();
    for (int i = (int)threadIdx.x; i < padded; i += (int)blockDim.x) {
        keys[i] = i < a.n ? (K)(Order::of(x[i * a.inner], a.flip) ^ turn) : (K) ~(K)0;
        places[i] = (uint32_t)i;
    }
    for (int size = 2; size <= padded; size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            __syncthreads();
            for (int i = (int)threadIdx.x; i < padded / 2; i += (int)blockDim.x) {
                int low = 2 * i - (i & (step - 1)), high = low + step;
                K key = keys[low], other = keys[high];
                uint32_t place = places[low], other_place = places[high];
                if (comes_later(key, place, other, other_place) == ((low & size) == 0)) {
                    keys[low] = other;
                    keys[high] = key;
                    places[low] = other_place;
                    places[high] = place;
                }
            }
        }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < a.count; i += (int)blockDim.x)
        put<typename Order::In>(a, row, i, places[i]);
}

template <typename Order>
__global__ void order_keys_kernel(const __grid_constant__ em_order_args a, uint64_t *keys, uint32_t *numbers)
{
    typedef typename Order::Key K;
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    em_grid_wait();
    if (i >= a.rows * a.n)
        return;
    int64_t row = i / a.n, place = i - row * a.n;
    K turn = a.descending ? (K) ~(K)0 : (K)0;
    K key = Order::of(((const typename Order::In *)a.x)[em_order_base(row, a.n, a.inner) + place * a.inner], a.flip);
    keys[i] = (sizeof(K) == 8 ? 0 : (uint64_t)row << 32) | (K)(key ^ turn);
    numbers[i] = (uint32_t)i;
}

template <typename T> __global__ void order_put_kernel(const __grid_constant__ em_order_args a, const uint32_t *numbers)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    em_grid_wait();
    if (i >= a.rows * a.count)
        return;
    int64_t row = i / a.count, k = i - row * a.count;
    put<T>(a, row, k, (uint32_t)(numbers[row * a.n + k] - row * a.n));
}

static em_status arguments_of(const em__call *call, em_order_args *a)
{
    const em__spec *spec = &call->in[0].spec;
    int axis = (int)call->ints[0];
    *a = (em_order_args){};
    a->x = call->in[0].data;
    a->n = a->count = spec->dims[axis];
    a->inner = 1;
    for (int d = axis + 1; d < spec->rank; d++)
        a->inner *= spec->dims[d];
    a->rows = a->n ? em__spec_size(spec) / a->n : 0;
    a->flip =
        em_dtype_get_kind(spec->dtype) == EM_KIND_SIGNED ? (uint64_t)1 << (8 * em_dtype_size(spec->dtype) - 1) : 0;
    a->descending = call->op == EM__OP_TOP_K || call->ints[1] != 0;
    if (call->op == EM__OP_ARGSORT) {
        a->indices = (int64_t *)call->out.data;
    } else if (call->op == EM__OP_SORT) {
        a->values = call->out.data;
    } else {
        em__tensor parts[2];
        EM__TRY(em__call_parts(call, parts, 2));
        a->values = parts[0].data;
        a->indices = (int64_t *)parts[1].data;
        a->count = call->ints[1];
    }
    return EM_OK;
}

template <typename Order> static em_status run(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    em_order_args a;
    EM__TRY(arguments_of(call, &a));
    if (a.rows == 0 || a.count == 0)
        return EM_OK;
    if (em_order_by_block(&a, call->in[0].spec.dtype))
        return em_order_block_sort(cuda, &a, call->in[0].spec.dtype);
    if (a.n <= BLOCK) {
        int padded = 2;
        while (padded < a.n)
            padded *= 2;
        int threads = padded / 2 < 32 ? 32 : padded / 2 < 1024 ? padded / 2 : 1024;
        return em_launch(cuda, "sort", order_block_kernel<Order>, (unsigned)a.rows, threads,
                         (size_t)padded * (sizeof(typename Order::Key) + 4), a, padded);
    }
    const uint32_t *numbers;
    EM__TRY(em_launch(cuda, "sort", order_keys_kernel<Order>, em_blocks(a.rows * a.n, THREADS), THREADS, 0, a,
                      em_order_long_keys(&a, call->scratch), em_order_long_numbers(&a, call->scratch)));
    EM__TRY(em_order_long_sort(cuda, &a, (int)sizeof(typename Order::Key), call->scratch, &numbers));
    return em_launch(cuda, "sort", order_put_kernel<typename Order::In>, em_blocks(a.rows * a.count, THREADS), THREADS,
                     0, a, numbers);
}

static em__kernel_fn kernel_of(em_dtype dtype)
{
    switch (dtype) {
    case EM_F8_E4M3FN: return run<em_float_order<__nv_fp8_e4m3>>;
    case EM_F8_E5M2: return run<em_float_order<__nv_fp8_e5m2>>;
    case EM_F16: return run<em_float_order<__half>>;
    case EM_BF16: return run<em_float_order<__nv_bfloat16>>;
    case EM_F32: return run<em_float_order<float>>;
    case EM_F64: return run<em_double_order>;
    case EM_PRED:
    case EM_U8:
    case EM_S8: return run<em_integer_order<uint8_t, uint32_t>>;
    case EM_U16:
    case EM_S16: return run<em_integer_order<uint16_t, uint32_t>>;
    case EM_U32:
    case EM_S32: return run<em_integer_order<uint32_t, uint32_t>>;
    case EM_U64:
    case EM_S64: return run<em_integer_order<uint64_t, uint64_t>>;
    default: return NULL;
    }
}

extern "C" bool em__cuda_prepare_order(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    em_order_args a;
    if (call->op != EM__OP_SORT && call->op != EM__OP_ARGSORT && call->op != EM__OP_TOP_K)
        return false;
    em_dtype dtype = call->in[0].spec.dtype;
    if (arguments_of(call, &a) != EM_OK || em__spec_size(&call->in[0].spec) > INT32_MAX || !kernel_of(dtype))
        return false;
    plan->kernel = kernel_of(dtype);
    if (a.n > BLOCK && a.rows > 0)
        plan->scratch = em_order_long_scratch(&a, (int)em_dtype_size(dtype));
    return true;
}
