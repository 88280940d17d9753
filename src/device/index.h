/*
 * Indices as values: what every kernel that reads or writes by index does with them, and the check that finds the one
 * that is out of range.
 */
#ifndef EM_DEVICE_INDEX_H
#define EM_DEVICE_INDEX_H

#include "device/device.h"

/* What a GPU's kernels run as well. */
#ifdef __CUDACC__
#define EM__ALSO_GPU __host__ __device__
#else
#define EM__ALSO_GPU
#endif

/* Element i of integers of any dtype; u64 above the range of int64 saturates. */
static inline __attribute__((always_inline)) EM__ALSO_GPU int64_t em__index_at(em_dtype dtype, const void *data,
                                                                               int64_t i)
{
    switch (dtype) {
    case EM_U8: return ((const uint8_t *)data)[i];
    case EM_U16: return ((const uint16_t *)data)[i];
    case EM_U32: return ((const uint32_t *)data)[i];
    case EM_U64: {
        uint64_t u = ((const uint64_t *)data)[i];
        return u > INT64_MAX ? INT64_MAX : (int64_t)u;
    }
    case EM_S8: return ((const int8_t *)data)[i];
    case EM_S16: return ((const int16_t *)data)[i];
    case EM_S32: return ((const int32_t *)data)[i];
    default: return ((const int64_t *)data)[i];
    }
}

/* The nearest index that is in [0, count); 0 when there is none. */
static inline __attribute__((always_inline)) EM__ALSO_GPU int64_t em__index_clamp(int64_t index, int64_t count)
{
    index = index >= count ? count - 1 : index;
    return index < 0 ? 0 : index;
}

/* The element of `in` at which a DYNAMIC_SLICE or PUT_SLICE begins, in elements from its data: starts are operands
 * `first` on, `size` the slice's extent on each axis. */
int64_t em__slice_start(const em__call *call, int first, const em__tensor *in, const int64_t *size);

/* EM_ERROR_INVALID_ARGUMENT with "gather: index 7 on axis 0 out of range (dim=5)" or "gather: index -1 on axis 0 is
 * negative (dim=5)" unless 0 <= index < dim. */
em_status em__index_check(const char *what, int64_t index, int axis, int64_t dim);

/* em__index_check over all indices of a call of TAKE, TAKE_ALONG_AXIS, GATHER, INDEXED_ADD or INDEXED_PUT, whose
 * operands have data, and the like for offsets of segments; EM_OK for any other op. Reads, changes nothing. */
em_status em__call_check_indices(const em__call *call);

#endif
