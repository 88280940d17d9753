/*
 * Rows of middle length in order: one block a row, by CUB's radix sort of keys of 32 bits in registers. Threads hold
 * neighbouring places, so that it is stable; what fills a row up comes last. Only bits in which keys of the dtype
 * differ are looked at.
 */
#include "device/cuda/order.cuh"

/* CUB */
#include <cub/block/block_radix_sort.cuh>

enum { THREADS = 256 };

struct block_args {
    em_order_args order;
    em_dtype dtype;
    int first_bit, end_bit;
};

__device__ __forceinline__ uint32_t key_at(const block_args &a, int64_t at)
{
    const void *x = a.order.x;
    uint64_t flip = a.order.flip;
    switch (a.dtype) {
    case EM_F8_E4M3FN: return em_float_order<__nv_fp8_e4m3>::of(((const __nv_fp8_e4m3 *)x)[at], flip);
    case EM_F8_E5M2: return em_float_order<__nv_fp8_e5m2>::of(((const __nv_fp8_e5m2 *)x)[at], flip);
    case EM_F16: return em_float_order<__half>::of(((const __half *)x)[at], flip);
    case EM_BF16: return em_float_order<__nv_bfloat16>::of(((const __nv_bfloat16 *)x)[at], flip);
    case EM_F32: return em_float_order<float>::of(((const float *)x)[at], flip);
    case EM_U16:
    case EM_S16: return em_integer_order<uint16_t, uint32_t>::of(((const uint16_t *)x)[at], flip);
    case EM_U32:
    case EM_S32: return em_integer_order<uint32_t, uint32_t>::of(((const uint32_t *)x)[at], flip);
    default: return em_integer_order<uint8_t, uint32_t>::of(((const uint8_t *)x)[at], flip);
    }
}

/* Element `from` of the operand as element `to` of the result. */
__device__ __forceinline__ void move(const em_order_args &a, int size, int64_t to, int64_t from)
{
    if (size == 4)
        ((uint32_t *)a.values)[to] = ((const uint32_t *)a.x)[from];
    else if (size == 2)
        ((uint16_t *)a.values)[to] = ((const uint16_t *)a.x)[from];
    else
        ((uint8_t *)a.values)[to] = ((const uint8_t *)a.x)[from];
}

template <int ITEMS>
__global__ void __launch_bounds__(THREADS) sort_kernel(const __grid_constant__ block_args a, int size)
{
    typedef cub::BlockRadixSort<uint32_t, THREADS, ITEMS, uint16_t> Sort;
    __shared__ typename Sort::TempStorage memory;
    const em_order_args &o = a.order;
    int64_t from = em_order_base(blockIdx.x, o.n, o.inner), to = em_order_base(blockIdx.x, o.count, o.inner);
    uint32_t keys[ITEMS], turn = o.descending ? ~0u : 0;
    uint16_t places[ITEMS];
    em_grid_wait();
    em_grid_next();
#pragma unroll
    for (int i = 0; i < ITEMS; i++) {
        int place = (int)threadIdx.x * ITEMS + i;
        keys[i] = place < o.n ? key_at(a, from + place * o.inner) ^ turn : ~0u;
        places[i] = (uint16_t)place;
    }
    Sort(memory).SortBlockedToStriped(keys, places, a.first_bit, a.end_bit);
#pragma unroll
    for (int i = 0; i < ITEMS; i++) {
        int64_t k = i * THREADS + (int)threadIdx.x;
        if (k >= o.count)
            continue;
        if (o.values)
            move(o, size, to + k * o.inner, from + places[i] * o.inner);
        if (o.indices)
            o.indices[to + k * o.inner] = places[i];
    }
}

/* Bits of the mantissa, from the lowest, that no element has: a key's others say them. */
static int idle_bits(em_dtype dtype)
{
    switch (dtype) {
    case EM_F8_E4M3FN: return 20;
    case EM_F8_E5M2: return 21;
    case EM_F16: return 13;
    case EM_BF16: return 16;
    default: return 0;
    }
}

bool em_order_by_block(const em_order_args *a, em_dtype dtype)
{
    return a->n > 512 && a->n <= 4096 && em_dtype_size(dtype) <= 4;
}

em_status em_order_block_sort(em__cuda *cuda, const em_order_args *order, em_dtype dtype)
{
    int size = (int)em_dtype_size(dtype);
    bool is_float = em_dtype_get_kind(dtype) == EM_KIND_FLOAT;
    block_args a = {*order, dtype, idle_bits(dtype), is_float ? 32 : 8 * size};
    void (*kernel)(block_args, int) = order->n <= 1024   ? sort_kernel<4>
                                      : order->n <= 2048 ? sort_kernel<8>
                                                         : sort_kernel<16>;
    return em_launch(cuda, "sort", kernel, (unsigned)order->rows, THREADS, 0, a, size);
}
