/*
 * Conversions of dtypes below a byte from and to s8, u8, f32 and f64; with these every pair of dtypes is one conversion
 * or two (em__cast_run). Elements lie from the lowest bits on, and what a last byte has left is written 0. Plain loops
 * at level portable for all levels: the vectoriser has what it needs.
 */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#pragma GCC optimize("O3")
#endif

#include <stdint.h>

#include "device/cpu/cast.h"

#define BLOCK 512 /* elements, or bytes of them, on their way */

/* Each byte's two fields of so many bits, to two bytes. `sign` is the bit of the sign, 0 for unsigned ones. */
static inline void part(uint8_t *restrict to, const uint8_t *restrict from, size_t bytes, unsigned bits, unsigned sign)
{
    const unsigned mask = (1U << bits) - 1;
    for (size_t i = 0; i < bytes; i++) {
        to[2 * i] = (uint8_t)(((from[i] & mask) ^ sign) - sign);
        to[2 * i + 1] = (uint8_t)(((from[i] >> bits & mask) ^ sign) - sign);
    }
}

/* Fields of 2 bits by way of those of 4: twice a loop that the vectoriser knows. */
static inline void unpack(uint8_t *to, const uint8_t *from, size_t n, unsigned bits, unsigned sign)
{
    const unsigned each = 8 / bits, mask = (1U << bits) - 1;
    const size_t whole = n / each;
    uint8_t halves[2 * BLOCK];
    for (size_t i = 0; i < whole && bits == 2; i += BLOCK) {
        size_t bytes = whole - i < BLOCK ? whole - i : BLOCK;
        part(halves, from + i, bytes, 4, 0);
        part(to + i * 4, halves, 2 * bytes, 2, sign);
    }
    if (bits == 4)
        part(to, from, whole, 4, sign);
    for (size_t i = whole * each; i < n; i++)
        to[i] = (uint8_t)(((from[whole] >> (i % each * bits) & mask) ^ sign) - sign);
}

/* Keeps the low bits. */
static inline void pack(uint8_t *to, const uint8_t *from, size_t n, unsigned bits)
{
    const unsigned each = 8 / bits, mask = (1U << bits) - 1;
    const size_t whole = n / each;
    for (size_t i = 0; i < whole; i++) {
        unsigned byte = 0;
        for (unsigned k = 0; k < each; k++)
            byte |= (from[i * each + k] & mask) << (k * bits);
        to[i] = (uint8_t)byte;
    }
    unsigned rest = 0;
    for (size_t i = whole * each; i < n; i++)
        rest |= (from[i] & mask) << (i % each * bits);
    if (n % each)
        to[whole] = (uint8_t)rest;
}

/* Truncated and saturated, NaN 0: in selections that the vectoriser knows. */
static inline uint8_t held_f32(float x, int low, int high)
{
    float y = x < (float)high ? x : (float)high;
    y = x > (float)low ? y : (float)low;
    return (uint8_t)(int)(x == x ? y : 0);
}

static inline uint8_t held_f64(double x, int low, int high)
{
    double y = x < high ? x : high;
    y = x > low ? y : low;
    return (uint8_t)(int)(x == x ? y : 0);
}

/* A float's two conversions, by blocks of bytes. */
#define FLOAT(name, T, t, B, bits, sign, low, high)                                                                    \
    static void name##_to_##t(void *out, const void *in, size_t n)                                                     \
    {                                                                                                                  \
        const uint8_t *x = in;                                                                                         \
        T *y = out;                                                                                                    \
        B block[BLOCK];                                                                                                \
        for (size_t i = 0; i < n; i += BLOCK) {                                                                        \
            size_t count = n - i < BLOCK ? n - i : BLOCK;                                                              \
            unpack((uint8_t *)block, x + i * (bits) / 8, count, bits, sign);                                           \
            for (size_t k = 0; k < count; k++)                                                                         \
                y[i + k] = (T)block[k];                                                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_from_##t(void *out, const void *in, size_t n)                                                   \
    {                                                                                                                  \
        const T *x = in;                                                                                               \
        uint8_t *y = out, block[BLOCK];                                                                                \
        for (size_t i = 0; i < n; i += BLOCK) {                                                                        \
            size_t count = n - i < BLOCK ? n - i : BLOCK;                                                              \
            for (size_t k = 0; k < count; k++)                                                                         \
                block[k] = held_##t(x[i + k], low, high);                                                              \
            pack(y + i * (bits) / 8, block, count, bits);                                                              \
        }                                                                                                              \
    }

#define DTYPE(name, B, bits, sign, low, high)                                                                          \
    static void name##_to_byte(void *out, const void *in, size_t n)                                                    \
    {                                                                                                                  \
        unpack(out, in, n, bits, sign);                                                                                \
    }                                                                                                                  \
    FLOAT(name, float, f32, B, bits, sign, low, high)                                                                  \
    FLOAT(name, double, f64, B, bits, sign, low, high)

DTYPE(u2, uint8_t, 2, 0, 0, 3)
DTYPE(u4, uint8_t, 4, 0, 0, 15)
DTYPE(s2, int8_t, 2, 2, -2, 1)
DTYPE(s4, int8_t, 4, 8, -8, 7)

static void pack_2(void *out, const void *in, size_t n)
{
    pack(out, in, n, 2);
}

static void pack_4(void *out, const void *in, size_t n)
{
    pack(out, in, n, 4);
}

void em__cast_fill_sub_byte(em__cast *k)
{
#define FILL(NAME, name, BYTE, bits)                                                                                   \
    k->fn[EM_##NAME][EM_##BYTE] = name##_to_byte;                                                                      \
    k->fn[EM_##NAME][EM_F32] = name##_to_f32;                                                                          \
    k->fn[EM_##NAME][EM_F64] = name##_to_f64;                                                                          \
    k->fn[EM_S8][EM_##NAME] = k->fn[EM_U8][EM_##NAME] = pack_##bits;                                                   \
    k->fn[EM_F32][EM_##NAME] = name##_from_f32;                                                                        \
    k->fn[EM_F64][EM_##NAME] = name##_from_f64;
    FILL(U2, u2, U8, 2)
    FILL(U4, u4, U8, 4)
    FILL(S2, s2, S8, 2)
    FILL(S4, s4, S8, 4)
#undef FILL
}
