/*
 * Rows of any length in order, by CUB's radix sort over all of them at once: the key's upper half is the row where the
 * element's key has 32 bits; where it has 64, all is sorted by key first and by row, stably, afterwards. A number says
 * which element it is: its row times n plus its place.
 */
#include "device/cuda/order.cuh"

/* CUB */
#include <cub/device/device_radix_sort.cuh>

enum { THREADS = 256 };

struct areas {
    uint64_t *keys[2];
    uint32_t *numbers[2];
    void *rest;
    size_t rest_bytes, all;
};

static int bits_for(int64_t count)
{
    int bits = 0;
    while ((int64_t)1 << bits < count)
        bits++;
    return bits;
}

static areas areas_of(const em_order_args *args, void *scratch)
{
    areas a = {};
    size_t size = (size_t)(args->rows * args->n), wide = (size * 8 + 63) / 64 * 64, narrow = (size * 4 + 63) / 64 * 64;
    char *at = (char *)scratch;
    a.keys[0] = (uint64_t *)at;
    a.keys[1] = (uint64_t *)(at + wide);
    a.numbers[0] = (uint32_t *)(at + 2 * wide);
    a.numbers[1] = (uint32_t *)(at + 2 * wide + narrow);
    a.rest = at + 2 * wide + 2 * narrow;
    cub::DoubleBuffer<uint64_t> keys(a.keys[0], a.keys[1]);
    cub::DoubleBuffer<uint32_t> numbers(a.numbers[0], a.numbers[1]);
    cub::DeviceRadixSort::SortPairs(NULL, a.rest_bytes, keys, numbers, (uint32_t)size, 0, 64);
    a.all = 2 * wide + 2 * narrow + a.rest_bytes;
    return a;
}

size_t em_order_long_scratch(const em_order_args *args, int key_bytes)
{
    (void)key_bytes;
    return areas_of(args, NULL).all;
}

uint64_t *em_order_long_keys(const em_order_args *args, void *scratch)
{
    return areas_of(args, scratch).keys[0];
}

uint32_t *em_order_long_numbers(const em_order_args *args, void *scratch)
{
    return areas_of(args, scratch).numbers[0];
}

__global__ void rows_kernel(const uint32_t *numbers, uint64_t *keys, int64_t size, uint32_t n)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    em_grid_wait();
    if (i < size)
        keys[i] = numbers[i] / n;
}

em_status em_order_long_sort(em__cuda *cuda, const em_order_args *args, int key_bytes, void *scratch,
                             const uint32_t **sorted)
{
    areas a = areas_of(args, scratch);
    uint32_t size = (uint32_t)(args->rows * args->n);
    int rows = bits_for(args->rows);
    cub::DoubleBuffer<uint64_t> keys(a.keys[0], a.keys[1]);
    cub::DoubleBuffer<uint32_t> numbers(a.numbers[0], a.numbers[1]);
    EM__TRY(em__cuda_check(cuda,
                           cub::DeviceRadixSort::SortPairs(a.rest, a.rest_bytes, keys, numbers, size, 0,
                                                           key_bytes == 8 ? 64 : 32 + rows, cuda->stream),
                           "sort"));
    if (key_bytes == 8 && rows > 0) {
        EM__TRY(em_launch(cuda, "sort", rows_kernel, em_blocks(size, THREADS), THREADS, 0,
                          (const uint32_t *)numbers.Current(), keys.Current(), (int64_t)size, (uint32_t)args->n));
        EM__TRY(em__cuda_check(
            cuda, cub::DeviceRadixSort::SortPairs(a.rest, a.rest_bytes, keys, numbers, size, 0, rows, cuda->stream),
            "sort"));
    }
    *sorted = numbers.Current();
    return EM_OK;
}
