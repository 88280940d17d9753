/*
 * Moving elements as words: a layout whose inner runs are contiguous and aligned is seen as one of wider elements, and
 * the axes of an index are found without divisions (by multiplication, while there are fewer than 2^31 words).
 */
#ifndef EM_DEVICE_CUDA_WORDS_CUH
#define EM_DEVICE_CUDA_WORDS_CUH

#include "device/cuda/common.cuh"

extern "C" {
#include "device/index.h"
}

#define EM_FEW_WORDS ((int64_t)1 << 31) /* fewer than these are counted in 32 bits */

/* n / by is (n * magic >> 32) + n >> shift, for n and `by` below 2^31. */
struct em_divisor {
    uint32_t by, magic, shift;
};

static inline em_divisor em_divisor_of(int64_t by)
{
    em_divisor d = {(uint32_t)by, 0, 0};
    if (by < 1 || by >= EM_FEW_WORDS)
        return d;
    while ((int64_t)1 << d.shift < by)
        d.shift++;
    d.magic = (uint32_t)(((((uint64_t)1 << d.shift) - (uint64_t)by) << 32) / (uint64_t)by + 1);
    return d;
}

static __device__ __forceinline__ uint32_t em_divide(uint32_t n, em_divisor d)
{
    return (__umulhi(n, d.magic) + n) >> d.shift;
}

/* A layout to be walked by a kernel; axis 0 is the innermost here. */
template <int N> struct em_steps {
    int rank;
    bool large;   /* 32 bits do not hold all numbers of words and offsets */
    int64_t size; /* words in all */
    int64_t dims[EM_MAX_RANK];
    em_divisor divisors[EM_MAX_RANK];
    int64_t strides[N][EM_MAX_RANK];
};

template <int N> static em_steps<N> em_steps_of(const em_layout<N> &layout)
{
    em_steps<N> steps = {};
    int64_t reach[N] = {};
    steps.rank = layout.rank;
    steps.size = 1;
    for (int axis = 0; axis < layout.rank; axis++) {
        int from = layout.rank - 1 - axis;
        steps.dims[axis] = layout.dims[from];
        steps.divisors[axis] = em_divisor_of(layout.dims[from]);
        steps.size *= layout.dims[from];
        for (int i = 0; i < N; i++) {
            int64_t stride = layout.strides[i][from];
            steps.strides[i][axis] = stride;
            reach[i] += (stride < 0 ? -stride : stride) * layout.dims[from];
        }
    }
    steps.large = steps.size >= EM_FEW_WORDS;
    for (int i = 0; i < N; i++)
        steps.large = steps.large || reach[i] >= EM_FEW_WORDS;
    return steps;
}

/* Takes the innermost axis that is left, `axis`, off `index`: where it is on it. */
template <int N> static __device__ __forceinline__ int64_t em_split(const em_steps<N> &steps, int axis, int64_t *index)
{
    if (steps.large) {
        int64_t next = *index / steps.dims[axis], within = *index - next * steps.dims[axis];
        *index = next;
        return within;
    }
    uint32_t n = (uint32_t)*index, next = em_divide(n, steps.divisors[axis]);
    *index = next;
    return n - next * (uint32_t)steps.dims[axis];
}

/* Offsets of word `index`. */
template <int N>
static __device__ __forceinline__ void em_step(const em_steps<N> &steps, int64_t index, int64_t (&at)[N])
{
    int32_t near[N] = {};
#pragma unroll
    for (int i = 0; i < N; i++)
        at[i] = 0;
    if (steps.large) {
        for (int axis = 0; axis < steps.rank; axis++) {
            int64_t within = em_split(steps, axis, &index);
#pragma unroll
            for (int i = 0; i < N; i++)
                at[i] += within * steps.strides[i][axis];
        }
        return;
    }
    uint32_t n = (uint32_t)index;
#pragma unroll
    for (int axis = 0; axis < EM_MAX_RANK; axis++) {
        if (axis >= steps.rank)
            break;
        uint32_t next = axis + 1 < steps.rank ? em_divide(n, steps.divisors[axis]) : 0;
        int32_t within = (int32_t)(n - next * (uint32_t)steps.dims[axis]);
        n = next;
#pragma unroll
        for (int i = 0; i < N; i++)
            near[i] += within * (int32_t)steps.strides[i][axis];
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        at[i] = near[i];
}

/*
 * The widest word, up to 16 bytes, of which whole ones lie side by side in the last axis of each tensor of `data` (bit
 * i: tensor i). `bits`: every address and every step in bytes that must be a multiple of it, or-ed.
 */
template <int N> static size_t em_word_size(const em_layout<N> &layout, unsigned data, size_t element, uint64_t bits)
{
    int last = layout.rank - 1;
    bits |= 16 | (last >= 0 ? (uint64_t)layout.dims[last] * element : element);
    for (int i = 0; i < N; i++) {
        if (!(data >> i & 1))
            continue;
        if (last >= 0 && layout.strides[i][last] != 1)
            return element;
        for (int axis = 0; axis < last; axis++)
            bits |= (uint64_t)layout.strides[i][axis] * element;
    }
    uint64_t word = bits & (~bits + 1);
    return word > element ? (size_t)word : element;
}

/* The layout in words: steps of `data` shrink, and the last axis. */
template <int N> static em_layout<N> em_widen(em_layout<N> layout, unsigned data, size_t element, size_t word)
{
    int64_t by = (int64_t)(word / element);
    int last = layout.rank - 1;
    if (by == 1 || last < 0)
        return layout;
    layout.dims[last] /= by;
    for (int i = 0; i < N; i++)
        for (int axis = 0; axis < last && data >> i & 1; axis++)
            layout.strides[i][axis] /= by;
    return layout;
}

/* Where a moving slice begins: scalars on the device, clamped, one an axis. */
struct em_starts {
    int n;
    em_dtype dtype[EM_MAX_RANK];
    const void *data[EM_MAX_RANK];
    int64_t count[EM_MAX_RANK]; /* starts that fit */
    int64_t steps[EM_MAX_RANK]; /* elements, of an em_move; words in its kernels */
};

static __device__ __forceinline__ int64_t em_start(const em_starts &starts)
{
    int64_t at = 0;
    for (int i = 0; i < starts.n; i++)
        at += em__index_clamp(em__index_at(starts.dtype[i], starts.data[i], 0), starts.count[i]) * starts.steps[i];
    return at;
}

/* All elements of `from` to `to`, alike in shape and in size of element, any strides (copy.cu). `from_starts`,
 * `to_starts` (NULL: none) move where they begin. */
em_status em_move(em__cuda *cuda, const em__tensor *from, const em__tensor *to, const em_starts *from_starts,
                  const em_starts *to_starts);

/* FUNCTION<T> for the unsigned type T of so many bytes. */
#define EM_BY_SIZE(size, FUNCTION, ...)                                                                                \
    ((size) == 1   ? FUNCTION<uint8_t>(__VA_ARGS__)                                                                    \
     : (size) == 2 ? FUNCTION<uint16_t>(__VA_ARGS__)                                                                   \
     : (size) == 4 ? FUNCTION<uint32_t>(__VA_ARGS__)                                                                   \
     : (size) == 8 ? FUNCTION<uint2>(__VA_ARGS__)                                                                      \
                   : FUNCTION<uint4>(__VA_ARGS__))

#endif
