/* The parts of gemm_split.h's kernels for AMX that need no tiles: see there what they do. */
#ifndef EM_DEVICE_CPU_GEMM_ENDS_AMX_H
#define EM_DEVICE_CPU_GEMM_ENDS_AMX_H

#include "device/cpu/gemm_split.h"

/* The parts of a number, as they lie in a step. */
enum { HIGH, MIDDLE, LOW };

void em__split_store_amx(const float *sum, const em__gemm_tile *tile);
void em__split_rows_amx(uint16_t *dst, const float *a, int64_t lda, int rows, int64_t k, uint32_t *largest);
void em__split_lay_half_amx(uint16_t *dst, const uint16_t *src, int64_t stride, int columns, int64_t k,
                            uint32_t *largest);

#endif
