/*
 * Narrow floats against an oracle made another way: every code's value by ldexp, and a conversion that searches the
 * sorted values for the nearest, ties to the even code.
 */
#include "harness/expect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/float16.h"
#include "harness/rng.h"

typedef struct format {
    const char *name;
    int mant, exp, ieee;
    float (*decode)(uint32_t code);
    uint32_t (*encode)(double value); /* of a value that is exact in float, but for the f64 ones */
} format;

#define DECODE(name, type)                                                                                             \
    static float decode_##name(uint32_t code)                                                                          \
    {                                                                                                                  \
        return em__##name##_to_f32((type)code);                                                                        \
    }
#define ENCODE(name)                                                                                                   \
    static uint32_t encode_##name(double v)                                                                            \
    {                                                                                                                  \
        return em__f32_to_##name((float)v);                                                                            \
    }
// clang-format off
DECODE(f16, uint16_t)
DECODE(bf16, uint16_t)
DECODE(f8_e4m3fn, uint8_t)
DECODE(f8_e5m2, uint8_t)
ENCODE(f16)
ENCODE(bf16)
ENCODE(f8_e4m3fn)
ENCODE(f8_e5m2)
static uint32_t encode_f64_f16(double v) { return em__f64_to_f16(v); }
static uint32_t encode_f64_bf16(double v) { return em__f64_to_bf16(v); }
// clang-format on

static const format formats[] = {
    {"f16", 10, 5, 1, decode_f16, encode_f16},
    {"bf16", 7, 8, 1, decode_bf16, encode_bf16},
    {"f8_e4m3fn", 3, 4, 0, decode_f8_e4m3fn, encode_f8_e4m3fn},
    {"f8_e5m2", 2, 5, 1, decode_f8_e5m2, encode_f8_e5m2},
    {"f64 to f16", 10, 5, 1, decode_f16, encode_f64_f16},
    {"f64 to bf16", 7, 8, 1, decode_bf16, encode_f64_bf16},
};
enum { FORMATS = sizeof formats / sizeof formats[0], FROM_FLOAT = 4 };

static uint32_t sign_bit(const format *f)
{
    return 1u << (f->mant + f->exp);
}

/* The largest finite code, without a sign. */
static uint32_t largest(const format *f)
{
    uint32_t top = ((1u << f->exp) - 1) << f->mant;
    return f->ieee ? top - 1 : sign_bit(f) - 2;
}

/* Positive finite codes count up through the values: the code is also the rank. */
static double value_of(const format *f, uint32_t code)
{
    int bias = (1 << (f->exp - 1)) - 1, e = (int)(code >> f->mant);
    double mantissa = code & ((1u << f->mant) - 1);
    return e ? ldexp(1 + ldexp(mantissa, -f->mant), e - bias) : ldexp(mantissa, 1 - bias - f->mant);
}

static uint32_t nearest(const format *f, double value)
{
    uint32_t sign = signbit(value) ? sign_bit(f) : 0, low = 0, high = largest(f);
    uint32_t overflow = f->ieee ? high + 1 : sign_bit(f) - 1;
    double magnitude = fabs(value);
    if (isinf(value))
        return sign | overflow;
    /* The first value that there is no code for decides what still rounds down. */
    double step = value_of(f, high) - value_of(f, high - 1), tie = value_of(f, high) + step / 2;
    if (magnitude > tie || (magnitude == tie && (high & 1)))
        return sign | overflow;
    if (magnitude >= value_of(f, high))
        return sign | high;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        *(value_of(f, middle) <= magnitude ? &low : &high) = middle;
    }
    double down = magnitude - value_of(f, low), up = value_of(f, high) - magnitude;
    return sign | (down < up || (down == up && !(low & 1)) ? low : high);
}

static void every_code_decodes(void **state)
{
    (void)state;
    for (int i = 0; i < FROM_FLOAT; i++) {
        const format *f = &formats[i];
        for (uint32_t code = 0; code < sign_bit(f); code++) {
            float got = f->decode(code), negative = f->decode(code | sign_bit(f));
            if (code > largest(f)) {
                bool infinite = f->ieee && code == largest(f) + 1;
                assert_true(infinite ? isinf(got) && got > 0 && negative == -got : isnan(got) && isnan(negative));
                continue;
            }
            if ((double)got != value_of(f, code) || negative != -got || !signbit(negative))
                fail_msg("%s 0x%x decodes to %a, expected %a", f->name, code, (double)got, value_of(f, code));
        }
    }
}

static void every_code_survives(void **state)
{
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        const format *f = &formats[i];
        for (uint32_t code = 0; code < 2 * sign_bit(f); code++) {
            uint32_t back = f->encode((double)f->decode(code));
            bool is_nan = isnan(f->decode(code));
            if (is_nan ? !isnan(f->decode(back)) || (back ^ code) & sign_bit(f) : back != code)
                fail_msg("%s 0x%x comes back as 0x%x", f->name, code, back);
        }
    }
}

static void check(const format *f, double value)
{
    uint32_t got = f->encode(value), want = nearest(f, value);
    if (got != want)
        fail_msg("%s of %a is 0x%x, expected 0x%x", f->name, value, got, want);
}

/* Each midpoint of two neighbours, and the numbers just beside it. */
static void ties_and_their_neighbours(void **state)
{
    (void)state;
    for (int i = 0; i < FORMATS; i++) {
        const format *f = &formats[i];
        for (uint32_t code = 0; code <= largest(f); code++) {
            double next = code < largest(f) ? value_of(f, code + 1) : 2 * value_of(f, code) - value_of(f, code - 1);
            double tie = (value_of(f, code) + next) / 2;
            bool in_float = i < FROM_FLOAT;
            if (in_float && (double)(float)tie != tie)
                continue; /* bf16's smallest tie is below float's range */
            double below = in_float ? (double)nextafterf((float)tie, 0) : nextafter(tie, 0);
            double above = in_float ? (double)nextafterf((float)tie, INFINITY) : nextafter(tie, INFINITY);
            check(f, tie);
            check(f, -below);
            check(f, above);
        }
    }
}

static void random_values(void **state)
{
    (void)state;
    rng r = {5};
    for (int i = 0; i < FORMATS; i++) {
        const format *f = &formats[i];
        for (int n = 0; n < 100000; n++) {
            double wide = ldexp(rng_normal(&r), (int)rng_below(&r, 60) - 30);
            uint32_t bits = (uint32_t)rng_u64(&r);
            float any;
            memcpy(&any, &bits, sizeof any);
            check(f, i < FROM_FLOAT ? (double)(float)wide : wide);
            if (!isnan(any))
                check(f, (double)any);
        }
    }
}

/* What ml_dtypes 0.5 and NumPy give, where a design could have chosen otherwise. */
static void as_others_have_it(void **state)
{
    (void)state;
    assert_int_equal(em__f32_to_f8_e4m3fn(464.0f), 0x7e);
    assert_int_equal(em__f32_to_f8_e4m3fn(464.1f), 0x7f);
    assert_int_equal(em__f32_to_f8_e4m3fn(-INFINITY), 0xff);
    assert_int_equal(em__f32_to_f8_e5m2(61439.0f), 0x7b);
    assert_int_equal(em__f32_to_f8_e5m2(61440.0f), 0x7c);
    assert_int_equal(em__f64_to_f16(65519.99), 0x7bff);
    assert_int_equal(em__f64_to_f16(65520.0), 0x7c00);
    assert_int_equal(em__f64_to_f16(1 + 0x1p-11 + 0x1p-40), 0x3c01); /* through float it would be 0x3c00 */
    assert_int_equal(em__f64_to_bf16(1 + 0x1p-8 + 0x1p-40), 0x3f81);
    assert_int_equal(em__f64_to_f16(1e300), 0x7c00);
    assert_int_equal(em__f64_to_f16(-0x1p-1074), 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_decodes),        cmocka_unit_test(every_code_survives),
        cmocka_unit_test(ties_and_their_neighbours), cmocka_unit_test(random_values),
        cmocka_unit_test(as_others_have_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
