/*
 * All conversions of one level. Included by cast_portable.c and x86/cast_avx2.c after the level's vecmath header, with
 * FILL the name of the function that puts them into a table. AVX-512 adds nothing to the plain pairs, which memory
 * bounds; it has the halves alone.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <stdint.h>

#include "core/float16.h"
#include "device/cpu/cast.h"
#include "device/cpu/cast_halves.h"

#define F32_BLOCK 1024 /* elements that stay in L1 between two conversions */

/* name, C type, dtype: the types that C converts between by itself */
#define PLAIN_TYPES(X)                                                                                                 \
    X(u8, uint8_t, EM_U8)                                                                                              \
    X(u16, uint16_t, EM_U16)                                                                                           \
    X(u32, uint32_t, EM_U32)                                                                                           \
    X(u64, uint64_t, EM_U64)                                                                                           \
    X(s8, int8_t, EM_S8)                                                                                               \
    X(s16, int16_t, EM_S16)                                                                                            \
    X(s32, int32_t, EM_S32)                                                                                            \
    X(s64, int64_t, EM_S64)                                                                                            \
    X(f32, float, EM_F32)                                                                                              \
    X(f64, double, EM_F64)

static void through_f32(void *out, size_t out_size, const void *in, size_t in_size, size_t n, em__cast_fn first,
                        em__cast_fn second)
{
    float block[F32_BLOCK];
    for (size_t i = 0; i < n; i += F32_BLOCK) {
        size_t count = n - i < F32_BLOCK ? n - i : F32_BLOCK;
        first(block, (const uint8_t *)in + i * in_size, count);
        second((uint8_t *)out + i * out_size, block, count);
    }
}

static inline uint8_t saturate_u8(double x)
{
    return x >= 0x1p8 ? UINT8_MAX : x <= 0.0 ? 0 : x == x ? (uint8_t)x : 0;
}

static inline uint16_t saturate_u16(double x)
{
    return x >= 0x1p16 ? UINT16_MAX : x <= 0.0 ? 0 : x == x ? (uint16_t)x : 0;
}

static inline uint32_t saturate_u32(double x)
{
    return x >= 0x1p32 ? UINT32_MAX : x <= 0.0 ? 0 : x == x ? (uint32_t)x : 0;
}

static inline uint64_t saturate_u64(double x)
{
    return x >= 0x1p64 ? UINT64_MAX : x <= 0.0 ? 0 : x == x ? (uint64_t)x : 0;
}

static inline int8_t saturate_s8(double x)
{
    return x >= 0x1p7 ? INT8_MAX : x <= -0x1p7 ? INT8_MIN : x == x ? (int8_t)x : 0;
}

static inline int16_t saturate_s16(double x)
{
    return x >= 0x1p15 ? INT16_MAX : x <= -0x1p15 ? INT16_MIN : x == x ? (int16_t)x : 0;
}

static inline int32_t saturate_s32(double x)
{
    return x >= 0x1p31 ? INT32_MAX : x <= -0x1p31 ? INT32_MIN : x == x ? (int32_t)x : 0;
}

static inline int64_t saturate_s64(double x)
{
    return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : x == x ? (int64_t)x : 0;
}

static inline float saturate_f32(double x)
{
    return (float)x;
}

static inline double saturate_f64(double x)
{
    return x;
}

#define T uint8_t
#define FN(name) u8_##name
#define DTYPE EM_U8
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 0
#include "device/cpu/cast_from_tmpl.c"

#define T uint16_t
#define FN(name) u16_##name
#define DTYPE EM_U16
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 0
#include "device/cpu/cast_from_tmpl.c"

#define T uint32_t
#define FN(name) u32_##name
#define DTYPE EM_U32
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 1
#define NARROWING(x) ((double)(x))
#include "device/cpu/cast_from_tmpl.c"

#define T uint64_t
#define FN(name) u64_##name
#define DTYPE EM_U64
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 1
#define NARROWING(x) em__odd_from_u64(x)
#include "device/cpu/cast_from_tmpl.c"

#define T int8_t
#define FN(name) s8_##name
#define DTYPE EM_S8
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 0
#include "device/cpu/cast_from_tmpl.c"

#define T int16_t
#define FN(name) s16_##name
#define DTYPE EM_S16
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 0
#include "device/cpu/cast_from_tmpl.c"

#define T int32_t
#define FN(name) s32_##name
#define DTYPE EM_S32
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 1
#define NARROWING(x) ((double)(x))
#include "device/cpu/cast_from_tmpl.c"

#define T int64_t
#define FN(name) s64_##name
#define DTYPE EM_S64
#define CONVERT(to, TO, x) ((TO)(x))
#define WIDE 1
#define NARROWING(x) em__odd_from_s64(x)
#include "device/cpu/cast_from_tmpl.c"

#define T float
#define FN(name) f32_##name
#define DTYPE EM_F32
#define CONVERT(to, TO, x) saturate_##to((double)(x))
#define WIDE 0
#include "device/cpu/cast_from_tmpl.c"

#define T double
#define FN(name) f64_##name
#define DTYPE EM_F64
#define CONVERT(to, TO, x) saturate_##to((double)(x))
#define WIDE 1
#define NARROWING(x) ((double)(x))
#include "device/cpu/cast_from_tmpl.c"

#define T uint8_t
#define FN(name) pred_##name
#define DTYPE EM_PRED
#define CONVERT(to, TO, x) ((TO)((x) != 0))
#define WIDE 0
#include "device/cpu/cast_from_tmpl.c"

/* From the halves: every half is an f32. */
#define FROM_HALF(to, TO, D)                                                                                           \
    static void f16_to_##to##_by_f32(void *out, const void *in, size_t n)                                              \
    {                                                                                                                  \
        through_f32(out, sizeof(TO), in, sizeof(uint16_t), n, f16_to_f32, f32_to_##to);                                \
    }                                                                                                                  \
    static void bf16_to_##to##_by_f32(void *out, const void *in, size_t n)                                             \
    {                                                                                                                  \
        through_f32(out, sizeof(TO), in, sizeof(uint16_t), n, bf16_to_f32, f32_to_##to);                               \
    }
PLAIN_TYPES(FROM_HALF)
FROM_HALF(pred, uint8_t, EM_PRED)
FROM_HALF(f16, uint16_t, EM_F16)
FROM_HALF(bf16, uint16_t, EM_BF16)

void FILL(em__cast *k)
{
    u8_fill(k);
    u16_fill(k);
    u32_fill(k);
    u64_fill(k);
    s8_fill(k);
    s16_fill(k);
    s32_fill(k);
    s64_fill(k);
    f32_fill(k);
    f64_fill(k);
    pred_fill(k);
#define FROM_HALF_SLOT(to, TO, D) k->fn[EM_F16][D] = f16_to_##to##_by_f32, k->fn[EM_BF16][D] = bf16_to_##to##_by_f32;
    PLAIN_TYPES(FROM_HALF_SLOT)
    FROM_HALF_SLOT(pred, uint8_t, EM_PRED)
    FROM_HALF_SLOT(f16, uint16_t, EM_F16)
    FROM_HALF_SLOT(bf16, uint16_t, EM_BF16)
    fill_halves(k);
}
