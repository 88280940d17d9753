/*
 * Keys of elements in order: an element becomes an unsigned number that is larger the later it stands; NaN is last, all
 * NaN are equal, and so are 0 and -0. Descending order turns the bits over.
 */
#ifndef EM_DEVICE_CUDA_ORDER_CUH
#define EM_DEVICE_CUDA_ORDER_CUH

#include "device/cuda/common.cuh"

/* One SORT, ARGSORT or TOP_K: rows along an axis, what becomes of the first `count` of each. */
typedef struct em_order_args {
    const void *x;
    void *values;                  /* NULL: not wanted */
    int64_t *indices;              /* NULL: not wanted */
    int64_t rows, n, count, inner; /* elements of a row are `inner` apart */
    uint64_t flip;                 /* bits of integers to turn over, sign bits */
    bool descending;
} em_order_args;

/* First element of row r of rows of n elements. */
__device__ __forceinline__ int64_t em_order_base(int64_t r, int64_t n, int64_t inner)
{
    return inner == 1 ? r * n : r / inner * n * inner + r % inner;
}

template <typename T> struct em_float_order {
    typedef T In;
    typedef uint32_t Key;
    static __device__ __forceinline__ uint32_t of(T x, uint64_t)
    {
        float f = (float)x + 0.0f; /* -0 becomes 0 */
        uint32_t bits = __float_as_uint(f);
        return isnan(f) ? ~0u : bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
    }
};

struct em_double_order {
    typedef double In;
    typedef uint64_t Key;
    static __device__ __forceinline__ uint64_t of(double x, uint64_t)
    {
        double f = x + 0.0;
        uint64_t bits = (uint64_t)__double_as_longlong(f);
        return isnan(f) ? ~(uint64_t)0 : bits ^ ((uint64_t)((int64_t)bits >> 63) | (uint64_t)1 << 63);
    }
};

template <typename T, typename K> struct em_integer_order {
    typedef T In;
    typedef K Key;
    static __device__ __forceinline__ K of(T x, uint64_t flip)
    {
        return (T)(x ^ (T)flip);
    }
};

/* Rows that one block holds in registers (order_block.cu). */
bool em_order_by_block(const em_order_args *args, em_dtype dtype);
em_status em_order_block_sort(em__cuda *cuda, const em_order_args *args, em_dtype dtype);

/* Rows too long for a block (order_long.cu): keys are written to scratch, sorted by radix, and looked up. */
size_t em_order_long_scratch(const em_order_args *args, int key_bytes);

/* Sorts keys whose numbers are in `keys`, both as em_order_long_layout says; the numbers in order come out. */
em_status em_order_long_sort(em__cuda *cuda, const em_order_args *args, int key_bytes, void *scratch,
                             const uint32_t **numbers);

/* Where keys (uint64) and numbers (uint32) of the elements are to be written before. */
uint64_t *em_order_long_keys(const em_order_args *args, void *scratch);
uint32_t *em_order_long_numbers(const em_order_args *args, void *scratch);

#endif
