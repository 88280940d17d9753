/* Tensor maps: how the copy engine is told of a matrix whose tiles it brings (wgmma.cuh). For chips of 9.0 on. */
#ifndef EM_DEVICE_CUDA_TENSOR_MAP_CUH
#define EM_DEVICE_CUDA_TENSOR_MAP_CUH

#include <cuda.h>

#include "device/cuda/common.cuh"

typedef CUresult (*em_encode_fn)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *,
                                 const cuuint64_t *, const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave,
                                 CUtensorMapSwizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/* The driver's maker of tensor maps; NULL where it has none. */
static inline em_encode_fn em_map_encoder(void)
{
    static em_encode_fn found;
    cudaDriverEntryPointQueryResult result;
    void *at = NULL;
    if (!found && cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &at, 12000, cudaEnableDefault, &result) ==
                      cudaSuccess)
        found = (em_encode_fn)at;
    return found;
}

/* A map of halves, [rows][depth] with rows `step` elements apart, for boxes of 64 of depth and so many rows, swizzled
 * by 128 bytes. */
static inline bool em_map_halves(CUtensorMap *map, em_dtype dtype, const void *at, int64_t rows, int64_t depth,
                                 int64_t step, int box_rows)
{
    const cuuint64_t dims[2] = {(cuuint64_t)depth, (cuuint64_t)rows}, steps[1] = {(cuuint64_t)step * 2};
    const cuuint32_t box[2] = {64, (cuuint32_t)box_rows}, ones[2] = {1, 1};
    const CUtensorMapDataType type =
        dtype == EM_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    return em_map_encoder()(map, type, 2, (void *)at, dims, steps, box, ones, CU_TENSOR_MAP_INTERLEAVE_NONE,
                            CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                            CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

/* A map of [rows][across] elements, side by side, for boxes of so many of them and so many rows, as they are. */
static inline bool em_map_plain(CUtensorMap *map, em_dtype dtype, const void *at, int64_t rows, int64_t across,
                                int box_across, int box_rows)
{
    const cuuint64_t dims[2] = {(cuuint64_t)across, (cuuint64_t)rows},
                     steps[1] = {(cuuint64_t)across * em_dtype_size(dtype)};
    const cuuint32_t box[2] = {(cuuint32_t)box_across, (cuuint32_t)box_rows}, ones[2] = {1, 1};
    const CUtensorMapDataType type =
        dtype == EM_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_UINT32;
    return em_map_encoder()(map, type, 2, (void *)at, dims, steps, box, ones, CU_TENSOR_MAP_INTERLEAVE_NONE,
                            CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                            CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

#endif
