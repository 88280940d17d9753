/*
 * Scalar conversions between float and the narrow float formats, round to nearest even, NaN kept quiet.
 * f16: IEEE 754 binary16. bf16: the upper half of binary32. f8: OCP 8-bit formats, E4M3FN (no infinity, saturating
 * never: overflow is NaN, as JAX and ml_dtypes do) and E5M2.
 */
#ifndef EM_CORE_FLOAT16_H
#define EM_CORE_FLOAT16_H

#include <stdint.h>
#include <string.h>

float em__f16_to_f32(uint16_t h);
uint16_t em__f32_to_f16(float f);
float em__f8_e4m3fn_to_f32(uint8_t b);
uint8_t em__f32_to_f8_e4m3fn(float f);
float em__f8_e5m2_to_f32(uint8_t b);
uint8_t em__f32_to_f8_e5m2(float f);

/* One rounding from double: going through float would round twice. */
uint16_t em__f64_to_f16(double d);
uint16_t em__f64_to_bf16(double d);
uint8_t em__f64_to_f8_e4m3fn(double d);
uint8_t em__f64_to_f8_e5m2(double d);

/* A 64-bit integer as a double whose last bit is set if anything was cut off: rounding that to a narrower float gives
 * the integer rounded once. */
double em__odd_from_u64(uint64_t x);
double em__odd_from_s64(int64_t x);

static inline float em__bf16_to_f32(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint16_t em__f32_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

#endif
