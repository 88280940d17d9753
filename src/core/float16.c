/* Narrow floats by integer arithmetic: one rounding, to nearest even, straight from the double's bits. */
#include "core/float16.h"

/* A format with `mant` mantissa and `exp` exponent bits. `ieee`: the top exponent is infinity and NaN; otherwise
 * (E4M3FN) only the all-ones pattern is NaN and overflow becomes it. */
typedef struct format {
    int mant, exp;
    int ieee;
} format;

static const format f16 = {10, 5, 1}, bf16 = {7, 8, 1}, e4m3fn = {3, 4, 0}, e5m2 = {2, 5, 1};

static uint32_t encode(double value, format f)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = (uint32_t)(bits >> 63) << (f.mant + f.exp);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & 0xfffffffffffffull;
    uint32_t top = ((1u << f.exp) - 1) << f.mant;
    uint32_t infinity = f.ieee ? top : top | ((1u << f.mant) - 1);
    if (exponent == 0x7ff)
        return sign | (mantissa ? f.ieee ? top | 1u << (f.mant - 1) : infinity : infinity);
    int bias = (1 << (f.exp - 1)) - 1;
    int e = exponent - 1023 + bias;
    if (exponent == 0)
        return sign; /* a double's subnormal is far below every format here */
    mantissa |= 1ull << 52;
    int shift = 52 - f.mant + (e < 1 ? 1 - e : 0);
    if (shift > 54)
        return sign;
    uint64_t half = 1ull << (shift - 1), rest = mantissa & ((half << 1) - 1);
    uint64_t q = mantissa >> shift;
    q += rest > half || (rest == half && (q & 1));
    /* q carries the implicit bit when e >= 1, so adding it to (e - 1) << mant also moves the exponent on overflow. */
    uint64_t r = e < 1 ? q : ((uint64_t)(e - 1) << f.mant) + q;
    uint64_t largest = f.ieee ? top - 1 : infinity - 1;
    return sign | (uint32_t)(r > largest ? infinity : r);
}

static float decode(uint32_t code, format f)
{
    int bias = (1 << (f.exp - 1)) - 1;
    uint32_t sign = code >> (f.mant + f.exp) & 1, e = code >> f.mant & ((1u << f.exp) - 1);
    uint32_t mantissa = code & ((1u << f.mant) - 1), bits;
    if (f.ieee ? e == (1u << f.exp) - 1 : (code & ((1u << (f.mant + f.exp)) - 1)) == (1u << (f.mant + f.exp)) - 1) {
        bits = 0x7f800000u | mantissa << (23 - f.mant) | (f.ieee ? 0 : 0x400000u);
    } else if (e) {
        bits = (e + 127 - (uint32_t)bias) << 23 | mantissa << (23 - f.mant);
    } else if (!mantissa) {
        bits = 0;
    } else {
        int up = __builtin_clz(mantissa) - (31 - f.mant);
        bits = (uint32_t)(127 - bias + 1 - up) << 23 | (mantissa << up & ((1u << f.mant) - 1)) << (23 - f.mant);
    }
    bits |= sign << 31;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float em__f16_to_f32(uint16_t h)
{
    return decode(h, f16);
}

uint16_t em__f32_to_f16(float f)
{
    return (uint16_t)encode((double)f, f16);
}

uint16_t em__f64_to_f16(double d)
{
    return (uint16_t)encode(d, f16);
}

uint16_t em__f64_to_bf16(double d)
{
    return (uint16_t)encode(d, bf16);
}

float em__f8_e4m3fn_to_f32(uint8_t b)
{
    return decode(b, e4m3fn);
}

uint8_t em__f32_to_f8_e4m3fn(float f)
{
    return (uint8_t)encode((double)f, e4m3fn);
}

float em__f8_e5m2_to_f32(uint8_t b)
{
    return decode(b, e5m2);
}

uint8_t em__f32_to_f8_e5m2(float f)
{
    return (uint8_t)encode((double)f, e5m2);
}

uint8_t em__f64_to_f8_e4m3fn(double d)
{
    return (uint8_t)encode(d, e4m3fn);
}

uint8_t em__f64_to_f8_e5m2(double d)
{
    return (uint8_t)encode(d, e5m2);
}

double em__odd_from_u64(uint64_t x)
{
    if (x >> 53) /* the bits below the 53 highest become one */
        for (int cut = 11; cut > 0; cut--)
            if (x >> (52 + cut)) {
                uint64_t low = x & ((1ull << cut) - 1);
                return (double)((x >> cut | (low != 0)) << cut);
            }
    return (double)x;
}

double em__odd_from_s64(int64_t x)
{
    return x < 0 ? -em__odd_from_u64(0 - (uint64_t)x) : em__odd_from_u64((uint64_t)x);
}
