/* 16 weights at a time in plain C. See quant_v_avx512.h. */
#ifndef EM_DEVICE_CPU_QUANT_V_PORTABLE_H
#define EM_DEVICE_CPU_QUANT_V_PORTABLE_H

#include <math.h>
#include <string.h>

#include "device/cpu/multiply_add.h"
#include "device/cpu/quant.h"

#define ALWAYS static inline __attribute__((always_inline))
#define DIRECT_M 1
#define TILE_M 2
#define HALVES 1
#define EACH for (int l = 0; l < 16; l++)

typedef struct v16 {
    float v[16];
} v16;
typedef v16 vh;
typedef struct v8 {
    float v[8];
} v8;
typedef struct v4 {
    float v[4];
} v4;

ALWAYS v16 v16_set1(float x)
{
    v16 y;
    EACH y.v[l] = x;
    return y;
}

ALWAYS v16 v16_zero(void)
{
    return v16_set1(0);
}

ALWAYS v16 v16_load(const float *p)
{
    v16 y;
    memcpy(&y, p, sizeof y);
    return y;
}

ALWAYS void v16_store(float *p, v16 x)
{
    memcpy(p, &x, sizeof x);
}

ALWAYS v16 v16_add(v16 a, v16 b)
{
    EACH a.v[l] += b.v[l];
    return a;
}

ALWAYS v16 v16_fma(v16 a, v16 b, v16 c)
{
    EACH c.v[l] = em__multiply_add(a.v[l], b.v[l], c.v[l]);
    return c;
}

#define vh_zero v16_zero
#define vh_load v16_load
#define vh_fma v16_fma

ALWAYS v8 fold_half(v16 x)
{
    v8 y;
    for (int l = 0; l < 8; l++)
        y.v[l] = x.v[l] + x.v[l + 8];
    return y;
}

#define fold_halves(lo, hi) fold_half(lo)

ALWAYS float fold_eight(v8 x)
{
    return ((x.v[0] + x.v[2]) + (x.v[1] + x.v[3])) + ((x.v[4] + x.v[6]) + (x.v[5] + x.v[7]));
}

ALWAYS v4 fold_four(v8 a, v8 b, v8 c, v8 d)
{
    return (v4){{fold_eight(a), fold_eight(b), fold_eight(c), fold_eight(d)}};
}

ALWAYS void put_four(float *to, v4 x, bool first)
{
    for (int i = 0; i < 4; i++)
        to[i] = first ? x.v[i] : to[i] + x.v[i];
}

ALWAYS v16 v16_max(v16 a, v16 b)
{
    EACH b.v[l] = a.v[l] > b.v[l] ? a.v[l] : b.v[l];
    return b;
}

ALWAYS v16 v16_min(v16 a, v16 b)
{
    EACH b.v[l] = a.v[l] < b.v[l] ? a.v[l] : b.v[l];
    return b;
}

ALWAYS float v16_most(v16 x)
{
    float most = x.v[0];
    EACH most = x.v[l] > most ? x.v[l] : most;
    return most;
}

ALWAYS float v16_least(v16 x)
{
    float least = x.v[0];
    EACH least = x.v[l] < least ? x.v[l] : least;
    return least;
}

ALWAYS v16 v16_to_lanes(v16 x)
{
    v16 y;
    EACH y.v[l] = x.v[l % 2 * 8 + l / 2];
    return y;
}

ALWAYS v16 v16_from_lanes(v16 x)
{
    v16 y;
    EACH y.v[l % 2 * 8 + l / 2] = x.v[l];
    return y;
}

typedef struct qgroup {
    float scale, bias;
} qgroup;

ALWAYS qgroup q_group(const em__quant_kind kind, float scale, float bias)
{
    (void)kind;
    return (qgroup){scale, bias};
}

static inline unsigned code_at(const uint8_t *p, int element, int bits)
{
    const int at = element * bits, byte = at / 8;
    unsigned pair = p[byte];
    if (at % 8 + bits > 8)
        pair |= (unsigned)p[byte + 1] << 8;
    return pair >> at % 8 & ((1u << bits) - 1);
}

static inline float e4m3_value(unsigned code)
{
    const unsigned exponent = code >> 3 & 15, mantissa = code & 7;
    const uint32_t bits = (exponent + 120) << 23 | mantissa << 20;
    float v;
    memcpy(&v, &bits, sizeof v);
    v = exponent ? v : (float)mantissa * 0x1p-9f;
    return code & 0x80 ? -v : v;
}

ALWAYS v16 q_weights(const em__quant_kind kind, const uint8_t *p, qgroup g)
{
    static const float e2m1[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, 0, -0.5f, -1, -1.5f, -2, -3, -4, -6};
    const int bits = em__quant_bits(kind);
    v16 w;
    EACH
    {
        const unsigned code = code_at(p, em__quant_reorders(kind) ? l % 2 * 8 + l / 2 : l, bits);
        if (kind == EM__QUANT_E2M1)
            w.v[l] = e2m1[code] * g.scale;
        else if (kind == EM__QUANT_E4M3)
            w.v[l] = e4m3_value(code) * g.scale;
        else
            w.v[l] = em__multiply_add((float)code, g.scale, g.bias);
    }
    return w;
}

#endif
