/* splitmix64, and values of each dtype made from it. */
#include "harness/rng.h"

#include <math.h>
#include <stdbool.h>
#include <float.h>
#include <string.h>

#include "core/float16.h"

uint64_t rng_u64(rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

size_t rng_below(rng *r, size_t n)
{
    return n ? (size_t)(rng_u64(r) % n) : 0;
}

double rng_unit(rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_between(rng *r, double low, double high)
{
    return low + (high - low) * rng_unit(r);
}

double rng_normal(rng *r)
{
    double radius = sqrt(-2 * log(1 - rng_unit(r)));
    return radius * cos(6.283185307179586 * rng_unit(r));
}

/* A whole-range integer shifted right by a random amount: every magnitude is as likely as any other. */
static uint64_t integer(rng *r, unsigned bits)
{
    uint64_t value = rng_u64(r) >> (64 - bits);
    uint64_t sign = value >> (bits - 1);
    unsigned shift = (unsigned)rng_below(r, bits);
    return sign ? ~(~value >> shift) : value >> shift;
}

static double float_edge(rng *r, em_dtype dtype)
{
    static const double common[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -0.5, INFINITY, -INFINITY, NAN};
    static const double largest[EM_DTYPE_COUNT] = {
        [EM_F8_E4M3FN] = 448, [EM_F8_E5M2] = 57344, [EM_F16] = 65504,   [EM_BF16] = 0x1.fep127,
        [EM_F32] = FLT_MAX,   [EM_F64] = DBL_MAX,   [EM_C64] = FLT_MAX, [EM_C128] = DBL_MAX,
    };
    static const double smallest[EM_DTYPE_COUNT] = {
        [EM_F8_E4M3FN] = 0x1p-9, [EM_F8_E5M2] = 0x1p-16, [EM_F16] = 0x1p-24,  [EM_BF16] = 0x1p-133,
        [EM_F32] = 0x1p-149,     [EM_F64] = 0x1p-1074,   [EM_C64] = 0x1p-149, [EM_C128] = 0x1p-1074,
    };
    size_t count = sizeof common / sizeof common[0];
    size_t i = rng_below(r, count + 4);
    if (i < count)
        return common[i];
    double value = i < count + 2 ? largest[dtype] : smallest[dtype] * (double)(1 + rng_below(r, 3));
    return i % 2 ? -value : value;
}

static uint64_t integer_edge(rng *r, unsigned bits, bool is_signed)
{
    uint64_t top = ~(uint64_t)0 >> (64 - bits), high = (uint64_t)1 << (bits - 1);
    const uint64_t edges[] = {0, 1, top, is_signed ? high : top, is_signed ? high - 1 : top - 1};
    return edges[rng_below(r, 5)];
}

static void store_float(em_dtype dtype, void *at, double value)
{
    uint16_t half = dtype == EM_BF16 ? em__f64_to_bf16(value) : em__f64_to_f16(value);
    uint8_t byte = dtype == EM_F8_E5M2 ? em__f32_to_f8_e5m2((float)value) : em__f32_to_f8_e4m3fn((float)value);
    float single = (float)value;
    switch (em_dtype_size(dtype)) {
    case 1: memcpy(at, &byte, 1); break;
    case 2: memcpy(at, &half, 2); break;
    case 4: memcpy(at, &single, 4); break;
    default: memcpy(at, &value, 8);
    }
}

static void store_integer(size_t size, void *at, uint64_t value)
{
    uint8_t u8 = (uint8_t)value;
    uint16_t u16 = (uint16_t)value;
    uint32_t u32 = (uint32_t)value;
    memcpy(at, size == 1 ? (void *)&u8 : size == 2 ? (void *)&u16 : size == 4 ? (void *)&u32 : (void *)&value, size);
}

static void fill(rng *r, em_dtype dtype, void *data, size_t n, bool edges)
{
    size_t size = em_dtype_size(dtype);
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    if (kind == EM_KIND_COMPLEX) {
        fill(r, dtype == EM_C64 ? EM_F32 : EM_F64, data, 2 * n, edges);
        return;
    }
    if (em_dtype_bits(dtype) < 8) { /* few values: all are met */
        for (size_t i = 0; i < n * em_dtype_bits(dtype); i += 8)
            ((unsigned char *)data)[i / 8] =
                (unsigned char)(rng_u64(r) &
                                0xffU >> (n * em_dtype_bits(dtype) - i < 8 ? 8 - n * em_dtype_bits(dtype) % 8 : 0));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char *at = (unsigned char *)data + i * size;
        bool edge = edges && rng_below(r, 4) == 0;
        unsigned bits = (unsigned)size * 8;
        if (kind == EM_KIND_FLOAT)
            store_float(dtype, at, edge ? float_edge(r, dtype) : rng_normal(r));
        else if (kind == EM_KIND_BOOL)
            *at = rng_u64(r) & 1;
        else
            store_integer(size, at, edge ? integer_edge(r, bits, kind == EM_KIND_SIGNED) : integer(r, bits));
    }
}

void rng_fill(rng *r, em_dtype dtype, void *data, size_t n)
{
    fill(r, dtype, data, n, false);
}

void rng_fill_edges(rng *r, em_dtype dtype, void *data, size_t n)
{
    fill(r, dtype, data, n, true);
}
