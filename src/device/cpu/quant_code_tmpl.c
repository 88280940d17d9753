/*
 * Coding of whole groups, for one level. Plain loops over a group, which the compiler turns into the level's vectors;
 * each rounding is the one of ref_quant.c.
 */
#include <math.h>

#include "core/float16.h"

#define MOST_GROUP 128

/* The least and the largest of a group; NaN does not count. */
static inline void extremes(const float *w, int64_t group, float *lo, float *hi)
{
    v16 low = v16_set1(INFINITY), high = v16_set1(-INFINITY);
    for (int64_t i = 0; i < group; i += EM__QUANT_STEP) {
        const v16 v = v16_load(w + i);
        low = v16_min(v, low);
        high = v16_max(v, high);
    }
    *lo = v16_least(low);
    *hi = v16_most(high);
}

/* Codes, one a byte, to a stream of `bits` each: eight become as many bytes as they have bits. */
ALWAYS void pack_bits(uint8_t *to, const uint8_t *codes, int64_t group, const int bits)
{
    uint64_t eight[MOST_GROUP / 8];
    memcpy(eight, codes, (size_t)group);
    if (bits == 8) {
        memcpy(to, codes, (size_t)group);
        return;
    }
    const uint64_t one = (1u << bits) - 1, two = one << bits | one, four = two << 2 * bits | two;
    const uint64_t ones = one * 0x0001000100010001u, twos = two * 0x0000000100000001u;
    for (int64_t i = 0; i < group / 8; i++) {
        uint64_t x = eight[i];
        x = (x & ones) | (x >> (8 - bits) & ones << bits);
        x = (x & twos) | (x >> (16 - 2 * bits) & twos << 2 * bits);
        eight[i] = (x & four) | (x >> 32) << 4 * bits;
    }
    for (int64_t i = 0; i < group / 8; i++)
        memcpy(to + i * bits, &eight[i], (size_t)bits);
}

static void pack_any(uint8_t *to, const uint8_t *codes, int64_t group, int bits)
{
    switch (bits) {
    case 2: pack_bits(to, codes, group, 2); return;
    case 3: pack_bits(to, codes, group, 3); return;
    case 4: pack_bits(to, codes, group, 4); return;
    case 5: pack_bits(to, codes, group, 5); return;
    case 6: pack_bits(to, codes, group, 6); return;
    default: pack_bits(to, codes, group, 8); return;
    }
}

/* `width` divides the group: loops of known length become vectors whole. */
ALWAYS void code_affine(uint8_t *restrict to, const float *restrict w, int64_t group, float scale, float bias, float n,
                        const int width)
{
    for (int64_t i = 0; i < group; i += width)
        for (int l = 0; l < width; l++) {
            float c = rintf((w[i + l] - bias) / scale);
            c = c > 0 ? c : 0;
            c = c < n ? c : n;
            to[i + l] = (uint8_t)(int)c;
        }
}

static void encode_affine(uint8_t *to, float *scales, float *biases, const float *w, const em__quant *q, int64_t groups)
{
    const float n = (float)((1 << q->bits) - 1);
    uint8_t codes[MOST_GROUP];
    for (int64_t g = 0; g < groups; g++) {
        float lo, hi;
        extremes(w, q->group, &lo, &hi);
        const bool low = fabsf(lo) > fabsf(hi);
        float scale = (hi - lo) / n, bias = 0;
        scale = scale < 1e-7f ? 1e-7f : scale;
        scale = low ? scale : -scale;
        const float edge = low ? lo : hi, q0 = rintf(edge / scale);
        if (q0 != 0) {
            scale = edge / q0;
            bias = edge;
        }
        if (q->group % 64 == 0)
            code_affine(codes, w, q->group, scale, bias, n, 64);
        else
            code_affine(codes, w, q->group, scale, bias, n, 16);
        pack_any(to, codes, q->group, (int)q->bits);
        scales[g] = scale;
        biases[g] = bias;
        w += q->group;
        to += q->group * q->bits / 8;
    }
}

ALWAYS void code_e2m1(uint8_t *restrict to, const float *restrict w, float unit, const int group)
{
    for (int i = 0; i < group; i++) {
        const float v = w[i] / unit, a = fabsf(v);
        const int code = (a > 0.25f) + (a > 0.75f) + (a > 1.25f) + (a > 1.75f) + (a > 2.5f) + (a > 3.5f) + (a > 5);
        to[i] = (uint8_t)(code | (v < -0.25f ? 8 : 0));
    }
}

/* A normal number rounds on its bits to three of mantissa; a smaller one is a multiple of 2^-9. NaN is 0. */
static inline uint8_t e4m3_code(float v)
{
    float a = fabsf(v);
    uint32_t bits, sign;
    a = a < 448 ? a : v == v ? 448 : 0;
    memcpy(&bits, &a, sizeof bits);
    memcpy(&sign, &v, sizeof sign);
    const uint32_t normal = ((bits + 0x7ffff + (bits >> 20 & 1)) >> 20) - 960;
    const uint32_t small = (uint32_t)(int)rintf(a * 512);
    return (uint8_t)((a < 0x1p-6f ? small : normal) | (v == v ? sign >> 24 & 0x80 : 0));
}

static void code_e4m3(uint8_t *restrict to, const float *restrict w, float unit)
{
    for (int i = 0; i < 32; i++)
        to[i] = e4m3_code(w[i] / unit);
}

/* 127 + the least e with 2^e >= x, as far as scales go; 127 for 0. */
static inline uint8_t e8m0_code(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t exponent = bits >> 23, rest = bits & 0x7fffff;
    if (bits == 0)
        return 127;
    return (uint8_t)(exponent == 255 ? 254 : exponent == 0 ? rest > 0x400000 : exponent + (rest != 0));
}

/* The scale of a group whose largest magnitude, over the element's largest, is `most`. */
static inline uint8_t micro_scale(const em__quant *q, float most, float *unit)
{
    const uint8_t scale = q->mode == EM_QUANT_NVFP4 ? e4m3_code(most) : e8m0_code(most);
    if (q->mode == EM_QUANT_NVFP4)
        scale_e4m3(unit, &scale, 1);
    else
        scale_e8m0(unit, &scale, 1);
    return scale;
}

static inline float rounded_to(em_dtype dtype, float x)
{
    return dtype == EM_F16    ? em__f16_to_f32(em__f32_to_f16(x))
           : dtype == EM_BF16 ? em__bf16_to_f32(em__f32_to_bf16(x))
                              : x;
}

static void encode_micro(uint8_t *to, uint8_t *scales, const float *w, const em__quant *q, em_dtype dtype,
                         int64_t groups)
{
    uint8_t codes[MOST_GROUP];
    for (int64_t g = 0; g < groups; g++) {
        float lo, hi, unit;
        extremes(w, q->group, &lo, &hi);
        const float most = -lo > hi ? -lo : hi;
        scales[g] = micro_scale(q, rounded_to(dtype, (most > 0 ? most : 0) / (q->bits == 8 ? 448.0f : 6.0f)), &unit);
        if (unit == 0)
            memset(codes, 0, sizeof codes);
        else if (q->bits == 8)
            code_e4m3(codes, w, unit);
        else if (q->group == 16)
            code_e2m1(codes, w, unit, 16);
        else
            code_e2m1(codes, w, unit, 32);
        pack_any(to, codes, q->group, (int)q->bits);
        w += q->group;
        to += q->group * q->bits / 8;
    }
}

static void scale_groups(float *x, const float *scales, int64_t groups, int64_t group_steps)
{
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = 0; i < group_steps * EM__QUANT_STEP; i++)
            *x++ *= scales[g];
}

static void shift_groups(float *x, const float *biases, int64_t groups, int64_t group_steps)
{
    for (int64_t g = 0; g < groups; g++)
        for (int64_t i = 0; i < group_steps * EM__QUANT_STEP; i++)
            *x++ += biases[g];
}
