/* Windows over a row-major operand: where they stand, and which of their elements are on it. */
#ifndef EM_DEVICE_CUDA_WINDOW_CUH
#define EM_DEVICE_CUDA_WINDOW_CUH

#include "device/cuda/folds.cuh"

typedef struct em_windows {
    int rank;
    int64_t size[EM_MAX_RANK], places[EM_MAX_RANK], strides[EM_MAX_RANK]; /* of the operand; of the result */
    int64_t window[EM_MAX_RANK], step[EM_MAX_RANK], low[EM_MAX_RANK], dilation[EM_MAX_RANK];
} em_windows;

/* The call's windows over `in`; `places`: the shape of where they stand. Axes on which nothing happens are merged with
 * the axis before them where that is such an axis too. */
static em_windows em_windows_of(const em__call *call, const em__spec *in, const em__spec *places)
{
    em_windows w = {};
    int rank = in->rank;
    bool plain_before = false;
    for (int d = 0; d < rank; d++) {
        int64_t window = call->ints[d], step = call->ints[rank + d], low = call->ints[2 * rank + d];
        bool plain = window == 1 && step == 1 && low == 0 && places->dims[d] == in->dims[d];
        if (plain && plain_before) {
            w.size[w.rank - 1] *= in->dims[d];
            w.places[w.rank - 1] *= in->dims[d];
            continue;
        }
        plain_before = plain;
        w.size[w.rank] = in->dims[d];
        w.places[w.rank] = places->dims[d];
        w.window[w.rank] = window;
        w.step[w.rank] = step;
        w.low[w.rank] = low;
        w.dilation[w.rank++] = call->n_ints > 4 * rank ? call->ints[4 * rank + d] : 1;
    }
    int64_t stride = 1;
    for (int d = w.rank - 1; d >= 0; d--) {
        w.strides[d] = stride;
        stride *= w.size[d];
    }
    return w;
}

/* Coordinates of element `index` of a row-major shape. */
__device__ __forceinline__ void em_coordinates(const int64_t *shape, int rank, int64_t index, int64_t *at)
{
    for (int d = rank - 1; d >= 0; d--) {
        int64_t next = index / shape[d];
        at[d] = index - next * shape[d];
        index = next;
    }
}

/* Steps over a box of `extent` from `from`, row-major; false after the last. */
__device__ __forceinline__ bool em_step(const int64_t *from, const int64_t *end, int rank, int64_t *at)
{
    for (int d = rank - 1; d >= 0; d--) {
        if (++at[d] < end[d])
            return true;
        at[d] = from[d];
    }
    return false;
}

#endif
