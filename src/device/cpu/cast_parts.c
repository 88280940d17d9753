/*
 * Conversions of f8 and complex from and to the floats beside them; with these every pair of dtypes is one conversion
 * or two (em__cast_run). Plain loops at level portable for all levels: the vectoriser has what it needs.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <pthread.h>
#include <string.h>

#include "core/float16.h"
#include "device/cpu/cast.h"
#include "ops/op.h"

static float f8_values[2][256]; /* of every code: e4m3fn, e5m2 */
static pthread_once_t f8_once = PTHREAD_ONCE_INIT;

static void fill_values(void)
{
    for (int i = 0; i < 256; i++) {
        f8_values[0][i] = em__f8_e4m3fn_to_f32((uint8_t)i);
        f8_values[1][i] = em__f8_e5m2_to_f32((uint8_t)i);
    }
}

static inline uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* An f32 rounded to a float of `mant` mantissa bits whose lowest normal number is 2^low: numbers below that by adding
 * one whose last bit is the format's, the others by adding half of what is cut off. `past`: the code of what is larger
 * than `top`, as f32 bits. */
static inline uint8_t encode(float x, int mant, int low, uint32_t top, uint8_t past, uint8_t nan)
{
    uint32_t bits = bits_of(x), size = bits & 0x7fffffffu, cut = 23 - (uint32_t)mant;
    uint32_t magic = (uint32_t)(127 + low - mant + 23) << 23;
    uint32_t tiny = bits_of(float_of(size) + float_of(magic)) - magic;
    uint32_t code = ((size + (1u << (cut - 1)) - 1 + (size >> cut & 1)) >> cut) - ((uint32_t)(126 + low) << mant);
    code = size < (uint32_t)(127 + low) << 23 ? tiny : code;
    code = size > top ? past : code;
    code = size > 0x7f800000u ? nan : code;
    return (uint8_t)(code | (bits >> 24 & 0x80));
}

static void e4m3fn_from_f32(void *out, const void *in, size_t n)
{
    const float *x = in;
    uint8_t *y = out;
    for (size_t i = 0; i < n; i++)
        y[i] = encode(x[i], 3, -6, 0x43e80000u, 0x7f, 0x7f);
}

static void e5m2_from_f32(void *out, const void *in, size_t n)
{
    const float *x = in;
    uint8_t *y = out;
    for (size_t i = 0; i < n; i++)
        y[i] = encode(x[i], 2, -14, 0x476fffffu, 0x7c, 0x7e);
}

static void e4m3fn_from_f64(void *out, const void *in, size_t n)
{
    const double *x = in;
    uint8_t *y = out;
    for (size_t i = 0; i < n; i++)
        y[i] = em__f64_to_f8_e4m3fn(x[i]);
}

static void e5m2_from_f64(void *out, const void *in, size_t n)
{
    const double *x = in;
    uint8_t *y = out;
    for (size_t i = 0; i < n; i++)
        y[i] = em__f64_to_f8_e5m2(x[i]);
}

#define FROM_F8(name, T, row)                                                                                          \
    static void name(void *out, const void *in, size_t n)                                                              \
    {                                                                                                                  \
        const uint8_t *x = in;                                                                                         \
        T *y = out;                                                                                                    \
        for (size_t i = 0; i < n; i++)                                                                                 \
            y[i] = (T)f8_values[row][x[i]];                                                                            \
    }
FROM_F8(e4m3fn_to_f32, float, 0)
FROM_F8(e5m2_to_f32, float, 1)
FROM_F8(e4m3fn_to_f64, double, 0)
FROM_F8(e5m2_to_f64, double, 1)

/* From complex: the real part. */
#define COMPLEX(c, P)                                                                                                  \
    static void c##_to_real(void *out, const void *in, size_t n)                                                       \
    {                                                                                                                  \
        const P *x = in;                                                                                               \
        P *y = out;                                                                                                    \
        for (size_t i = 0; i < n; i++)                                                                                 \
            y[i] = x[2 * i];                                                                                           \
    }                                                                                                                  \
    static void c##_from_real(void *out, const void *in, size_t n)                                                     \
    {                                                                                                                  \
        const P *x = in;                                                                                               \
        P *y = out;                                                                                                    \
        for (size_t i = 0; i < n; i++) {                                                                               \
            y[2 * i] = x[i];                                                                                           \
            y[2 * i + 1] = 0;                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void c##_to_pred(void *out, const void *in, size_t n)                                                       \
    {                                                                                                                  \
        const P *x = in;                                                                                               \
        uint8_t *y = out;                                                                                              \
        for (size_t i = 0; i < n; i++)                                                                                 \
            y[i] = x[2 * i] != 0 || x[2 * i + 1] != 0;                                                                 \
    }
COMPLEX(c64, float)
COMPLEX(c128, double)

static void c64_to_c128(void *out, const void *in, size_t n)
{
    const float *x = in;
    double *y = out;
    for (size_t i = 0; i < 2 * n; i++)
        y[i] = (double)x[i];
}

static void c128_to_c64(void *out, const void *in, size_t n)
{
    const double *x = in;
    float *y = out;
    for (size_t i = 0; i < 2 * n; i++)
        y[i] = (float)x[i];
}

#define SAME(name, T)                                                                                                  \
    static void name(void *out, const void *in, size_t n)                                                              \
    {                                                                                                                  \
        memcpy(out, in, n * sizeof(T));                                                                                \
    }
SAME(same_1, uint8_t)
SAME(same_8, uint64_t)
SAME(same_16, uint64_t[2])

void em__cast_fill_parts(em__cast *k)
{
    pthread_once(&f8_once, fill_values);
    k->fn[EM_F32][EM_F8_E4M3FN] = e4m3fn_from_f32;
    k->fn[EM_F32][EM_F8_E5M2] = e5m2_from_f32;
    k->fn[EM_F64][EM_F8_E4M3FN] = e4m3fn_from_f64;
    k->fn[EM_F64][EM_F8_E5M2] = e5m2_from_f64;
    k->fn[EM_F8_E4M3FN][EM_F32] = e4m3fn_to_f32;
    k->fn[EM_F8_E5M2][EM_F32] = e5m2_to_f32;
    k->fn[EM_F8_E4M3FN][EM_F64] = e4m3fn_to_f64;
    k->fn[EM_F8_E5M2][EM_F64] = e5m2_to_f64;
    k->fn[EM_F8_E4M3FN][EM_F8_E4M3FN] = k->fn[EM_F8_E5M2][EM_F8_E5M2] = same_1;
    k->fn[EM_C64][EM_F32] = c64_to_real;
    k->fn[EM_C128][EM_F64] = c128_to_real;
    k->fn[EM_F32][EM_C64] = c64_from_real;
    k->fn[EM_F64][EM_C128] = c128_from_real;
    k->fn[EM_C64][EM_PRED] = c64_to_pred;
    k->fn[EM_C128][EM_PRED] = c128_to_pred;
    k->fn[EM_C64][EM_C128] = c64_to_c128;
    k->fn[EM_C128][EM_C64] = c128_to_c64;
    k->fn[EM_C64][EM_C64] = same_8;
    k->fn[EM_C128][EM_C128] = same_16;
}

static bool is_f8(em_dtype dtype)
{
    return dtype == EM_F8_E4M3FN || dtype == EM_F8_E5M2;
}

em_dtype em__cast_between(const em__cast *kernels, em_dtype from, em_dtype to)
{
    if (kernels->fn[from][to])
        return to;
    if (from == EM_C64 || from == EM_C128)
        return from == EM_C64 ? EM_F32 : EM_F64;
    if (to == EM_C64 || to == EM_C128)
        return to == EM_C64 ? EM_F32 : EM_F64;
    if (is_f8(from) || is_f8(to))
        return EM_F32;
    if (em__sub_byte(from))
        return em__wide_dtype(from);
    return em_dtype_get_kind(from) == EM_KIND_FLOAT ? EM_F32 : em__wide_dtype(to);
}
