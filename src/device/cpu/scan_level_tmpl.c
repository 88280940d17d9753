/*
 * All scan kernels of one level: plain C and vectors of the compiler's own. Included with VECTOR, the bytes of a
 * vector of the level, and FILL, the name of the function that puts the kernels into a table.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "device/cpu/scan.h"

#define PIECES (64 / VECTOR)

/* Indices of a shuffle of two vectors of N elements, the second of which is put below the first: see UP. */
#define FROM(i, k) ((i) < (k) ? 2 * N - (k) + (i) : (i) - (k))
#define FROM2(i, k) FROM(i, k), FROM((i) + 1, k)
#define FROM4(i, k) FROM2(i, k), FROM2((i) + 2, k)
#define FROM8(i, k) FROM4(i, k), FROM4((i) + 4, k)
#define FROM16(i, k) FROM8(i, k), FROM8((i) + 8, k)
#define FROM32(i, k) FROM16(i, k), FROM16((i) + 16, k)
#define FROM64(i, k) FROM32(i, k), FROM32((i) + 32, k)
#if VECTOR == 64
#define FROM_SIZE1(k) FROM64(0, k)
#define FROM_SIZE2(k) FROM32(0, k)
#define FROM_SIZE4(k) FROM16(0, k)
#define FROM_SIZE8(k) FROM8(0, k)
#elif VECTOR == 32
#define FROM_SIZE1(k) FROM32(0, k)
#define FROM_SIZE2(k) FROM16(0, k)
#define FROM_SIZE4(k) FROM8(0, k)
#define FROM_SIZE8(k) FROM4(0, k)
#else
#define FROM_SIZE1(k) FROM16(0, k)
#define FROM_SIZE2(k) FROM8(0, k)
#define FROM_SIZE4(k) FROM4(0, k)
#define FROM_SIZE8(k) FROM2(0, k)
#endif

#define T float
#define MASK_UP(k) FROM_SIZE4(k)
#define I int32_t
#define FN(name) f32_##name
#define LOWEST (-(float)INFINITY)
#define HIGHEST ((float)INFINITY)
#define FLOATING 1
#include "device/cpu/scan_tmpl.c"

#define T double
#define MASK_UP(k) FROM_SIZE8(k)
#define I int64_t
#define FN(name) f64_##name
#define LOWEST (-(double)INFINITY)
#define HIGHEST ((double)INFINITY)
#define FLOATING 1
#include "device/cpu/scan_tmpl.c"

#define T uint8_t
#define MASK_UP(k) FROM_SIZE1(k)
#define I int8_t
#define FN(name) u8_##name
#define LOWEST 0
#define HIGHEST UINT8_MAX
#include "device/cpu/scan_tmpl.c"

#define T uint16_t
#define MASK_UP(k) FROM_SIZE2(k)
#define I int16_t
#define FN(name) u16_##name
#define LOWEST 0
#define HIGHEST UINT16_MAX
#include "device/cpu/scan_tmpl.c"

#define T uint32_t
#define MASK_UP(k) FROM_SIZE4(k)
#define I int32_t
#define FN(name) u32_##name
#define LOWEST 0
#define HIGHEST UINT32_MAX
#include "device/cpu/scan_tmpl.c"

#define T uint64_t
#define MASK_UP(k) FROM_SIZE8(k)
#define I int64_t
#define FN(name) u64_##name
#define LOWEST 0
#define HIGHEST UINT64_MAX
#include "device/cpu/scan_tmpl.c"

#define EXTREMES_ONLY
#define T int8_t
#define MASK_UP(k) FROM_SIZE1(k)
#define I int8_t
#define FN(name) s8_##name
#define LOWEST INT8_MIN
#define HIGHEST INT8_MAX
#include "device/cpu/scan_tmpl.c"

#define T int16_t
#define MASK_UP(k) FROM_SIZE2(k)
#define I int16_t
#define FN(name) s16_##name
#define LOWEST INT16_MIN
#define HIGHEST INT16_MAX
#include "device/cpu/scan_tmpl.c"

#define T int32_t
#define MASK_UP(k) FROM_SIZE4(k)
#define I int32_t
#define FN(name) s32_##name
#define LOWEST INT32_MIN
#define HIGHEST INT32_MAX
#include "device/cpu/scan_tmpl.c"

#define T int64_t
#define MASK_UP(k) FROM_SIZE8(k)
#define I int64_t
#define FN(name) s64_##name
#define LOWEST INT64_MIN
#define HIGHEST INT64_MAX
#include "device/cpu/scan_tmpl.c"

void FILL(em__scan *k)
{
/* Sums and products of signed integers wrap as the unsigned ones. */
#define ROW(DTYPE, plain, extreme)                                                                                     \
    k->block[EM__SCAN_SUM][DTYPE] = plain##_sum;                                                                       \
    k->block[EM__SCAN_PRODUCT][DTYPE] = plain##_product;                                                               \
    k->block[EM__SCAN_MAX][DTYPE] = extreme##_max;                                                                     \
    k->block[EM__SCAN_MIN][DTYPE] = extreme##_min
    ROW(EM_F32, f32, f32);
    ROW(EM_F64, f64, f64);
    ROW(EM_U8, u8, u8);
    ROW(EM_U16, u16, u16);
    ROW(EM_U32, u32, u32);
    ROW(EM_U64, u64, u64);
    ROW(EM_S8, u8, s8);
    ROW(EM_S16, u16, s16);
    ROW(EM_S32, u32, s32);
    ROW(EM_S64, u64, s64);
#undef ROW
}
