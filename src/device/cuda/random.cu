/*
 * THREEFRY2X32 and RANDINT, the bits of ref_random.c. A thread runs the rounds on one block of two words, which stand
 * half of all the words apart in the result.
 */
#include "device/cuda/common.cuh"

enum { THREADS = 256 };

struct words {
    uint32_t first, second;
};

__device__ __forceinline__ void mix(words &x, const int (&rotations)[4])
{
#pragma unroll
    for (int r = 0; r < 4; r++) {
        x.first += x.second;
        x.second = __funnelshift_l(x.second, x.second, rotations[r]) ^ x.first;
    }
}

/* 20 rounds. */
__device__ __forceinline__ words threefry(uint32_t k0, uint32_t k1, words x)
{
    const uint32_t keys[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDA};
    x.first += k0;
    x.second += k1;
#pragma unroll
    for (uint32_t i = 0; i < 5; i++) {
        if (i % 2 == 0)
            mix(x, {13, 15, 26, 6});
        else
            mix(x, {17, 29, 16, 24});
        x.first += keys[(i + 1) % 3];
        x.second += keys[(i + 2) % 3] + i + 1;
    }
    return x;
}

/* Word `at` of the bits in the result of `size` elements of T. */
template <typename T> __device__ __forceinline__ void put_word(T *out, int64_t size, int64_t at, uint32_t word)
{
    constexpr int PER = 4 / (int)sizeof(T);
#pragma unroll
    for (int i = 0; i < PER; i++)
        if (at * PER + i < size)
            out[at * PER + i] = (T)(word >> (i * 8 * (int)sizeof(T)));
}

__device__ __forceinline__ void put_word(float *out, int64_t size, int64_t at, uint32_t word)
{
    if (at < size)
        out[at] = (float)(word >> 9) * (1.0f / 8388608);
}

__device__ __forceinline__ void put_words(uint64_t *out, int64_t at, words x)
{
    out[at] = (uint64_t)x.first << 32 | x.second;
}

__device__ __forceinline__ void put_words(double *out, int64_t at, words x)
{
    out[at] = (double)(((uint64_t)x.first << 32 | x.second) >> 12) * (1.0 / 4503599627370496);
}

template <typename T>
__global__ void bits_kernel(const uint32_t *key, const uint32_t *counters, T *out, int64_t size, int64_t count)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x, half = (count + 1) / 2;
    em_grid_wait();
    if (i >= half)
        return;
    bool both = i + half < count;
    words x = {(uint32_t)i, both ? (uint32_t)(i + half) : 0};
    if (counters)
        x = {counters[i], both ? counters[i + half] : 0};
    x = threefry(key[0], key[1], x);
    if constexpr (sizeof(T) == 8) {
        put_words(out, i, x);
    } else {
        put_word(out, size, i, x.first);
        if (both)
            put_word(out, size, i + half, x.second);
    }
}

template <typename T> static em_status run_bits(em_device *device, const em__call *call)
{
    int64_t size = em__spec_size(&call->out.spec), per_word = sizeof(T) < 4 ? 4 / (int64_t)sizeof(T) : 1;
    int64_t count = sizeof(T) == 8 ? 2 * size : (size + per_word - 1) / per_word;
    const void *counters = call->n_in == 2 ? call->in[1].data : NULL;
    if (size == 0)
        return EM_OK;
    return em_launch(em__cuda_of(device), "threefry", bits_kernel<T>, em_blocks((count + 1) / 2, THREADS), THREADS, 0,
                     (const uint32_t *)call->in[0].data, (const uint32_t *)counters, (T *)call->out.data, size, count);
}

__global__ void randint_kernel(const uint32_t *keys, uint32_t *out, int64_t size, uint32_t first, uint32_t span)
{
    int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x, half = (size + 1) / 2;
    uint32_t root = span ? 65536 % span : 0, factor = span ? root * root % span : 0;
    em_grid_wait();
    if (i >= half)
        return;
    words block = {(uint32_t)i, i + half < size ? (uint32_t)(i + half) : 0};
    words upper = threefry(keys[0], keys[1], block), lower = threefry(keys[2], keys[3], block);
    out[i] = first + (span ? (upper.first % span * factor + lower.first % span) % span : lower.first);
    if (i + half < size)
        out[i + half] = first + (span ? (upper.second % span * factor + lower.second % span) % span : lower.second);
}

static em_status run_randint(em_device *device, const em__call *call)
{
    int64_t size = em__spec_size(&call->out.spec);
    if (size == 0)
        return EM_OK;
    return em_launch(em__cuda_of(device), "randint", randint_kernel, em_blocks((size + 1) / 2, THREADS), THREADS, 0,
                     (const uint32_t *)call->in[0].data, (uint32_t *)call->out.data, size, (uint32_t)call->ints[1],
                     (uint32_t)call->ints[2]);
}

extern "C" bool em__cuda_prepare_random(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    plan->kernel = run_randint;
    if (call->op == EM__OP_RANDINT)
        return true;
    if (call->op != EM__OP_THREEFRY2X32)
        return false;
    switch (call->out.spec.dtype) {
    case EM_U8: plan->kernel = run_bits<uint8_t>; return true;
    case EM_U16: plan->kernel = run_bits<uint16_t>; return true;
    case EM_U32: plan->kernel = run_bits<uint32_t>; return true;
    case EM_U64: plan->kernel = run_bits<uint64_t>; return true;
    case EM_F32: plan->kernel = run_bits<float>; return true;
    case EM_F64: plan->kernel = run_bits<double>; return true;
    default: return false;
    }
}
