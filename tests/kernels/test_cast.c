/*
 * Every pair of dtypes against conversions by long double and 64-bit integers, at every level this machine runs, on
 * values fond of edges; lengths 0..67 and one long; the driver.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "core/float16.h"
#include "device/cpu/cast.h"

#define LONG 3001

static em__cast tables[EM__CPU_AVX512 + 1];
static const em_dtype dtypes[] = {EM_PRED, EM_U8,  EM_U16, EM_U32,  EM_U64, EM_S8, EM_S16,
                                  EM_S32,  EM_S64, EM_F16, EM_BF16, EM_F32, EM_F64};
#define DTYPES (sizeof dtypes / sizeof *dtypes)

static int is_float(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_FLOAT;
}

static int is_signed(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_SIGNED;
}

static uint64_t load_bits(em_dtype dtype, const void *data, size_t i)
{
    size_t size = em_dtype_size(dtype);
    uint64_t raw = 0;
    memcpy(&raw, (const uint8_t *)data + i * size, size);
    int shift = 64 - 8 * (int)size;
    return is_signed(dtype) ? (uint64_t)((int64_t)(raw << shift) >> shift) : raw;
}

static uint64_t float_to_int(em_dtype to, double x)
{
    int bits = 8 * (int)em_dtype_size(to);
    uint64_t most = UINT64_MAX >> (64 - bits + is_signed(to));
    uint64_t least = is_signed(to) ? ~most : 0;
    if (isnan(x))
        return 0;
    if (x >= ldexp(1.0, bits - is_signed(to)))
        return most;
    if (x <= (is_signed(to) ? -ldexp(1.0, bits - 1) : 0.0))
        return least;
    return x < 0 ? (uint64_t)(int64_t)x : (uint64_t)x;
}

static void check_float(em_dtype to, const void *out, size_t i, double want)
{
    uint16_t half;
    memcpy(&half, (const uint8_t *)out + i * 2, sizeof half);
    double got = expect_element(to, out, i);
    if (to == EM_F32)
        want = (double)(float)want;
    if (to == EM_F16)
        want = (double)em__f16_to_f32(em__f64_to_f16(want));
    if (to == EM_BF16)
        want = (double)em__bf16_to_f32(em__f64_to_bf16(want));
    assert_true((isnan(got) && isnan(want)) || (got == want && signbit(got) == signbit(want)));
}

static void check_element(em_dtype from, em_dtype to, const void *in, const void *out, size_t i)
{
    uint64_t mask = UINT64_MAX >> (64 - 8 * (int)em_dtype_size(to)), got = load_bits(to, out, i);
    if (is_float(from)) {
        double x = expect_element(from, in, i);
        if (is_float(to))
            check_float(to, out, i, x);
        else
            assert_true(((got ^ (to == EM_PRED ? (uint64_t)(x != 0.0) : float_to_int(to, x))) & mask) == 0);
        return;
    }
    uint64_t x = load_bits(from, in, i);
    if (!is_float(to)) {
        assert_true(((got ^ (to == EM_PRED || from == EM_PRED ? x != 0 : x)) & mask) == 0);
    } else if (to == EM_F32) { /* one rounding, not two */
        float want = is_signed(from) ? (float)(int64_t)x : (float)x;
        assert_true((float)expect_element(EM_F32, out, i) == want);
    } else {
        check_float(to, out, i, is_signed(from) ? (double)(int64_t)x : (double)x);
    }
}

static void every_pair_converts(void **state)
{
    (void)state;
    static uint64_t in[LONG + 1], out[LONG + 1];
    rng r = {1};
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (size_t p = 0; p < DTYPES * DTYPES; p++) {
            em_dtype from = dtypes[p / DTYPES], to = dtypes[p % DTYPES];
            for (size_t trial = 0; trial <= 68; trial++) {
                size_t n = trial < 68 ? trial : LONG;
                uint8_t *x = (uint8_t *)in + (trial % 2) * em_dtype_size(from);
                rng_fill_edges(&r, from, x, n);
                memset(out, 0x5a, sizeof out);
                tables[level].fn[from][to](out, x, n);
                for (size_t i = 0; i < n; i++)
                    check_element(from, to, x, out, i);
                assert_int_equal(((uint8_t *)out)[n * em_dtype_size(to)], 0x5a);
            }
        }
    }
}

static void the_driver_cuts_without_a_trace(void **state)
{
    (void)state;
    enum { N = 200001 };
    float *x = malloc(N * sizeof *x);
    uint16_t *got = malloc(N * sizeof *got), *want = malloc(N * sizeof *want);
    assert_true(x && got && want);
    rng r = {2};
    rng_fill_edges(&r, EM_F32, x, N);
    const em__cast *k = &tables[levels_best()];
    k->fn[EM_F32][EM_BF16](want, x, N);
    for (int threads = 1; threads <= 3; threads++) {
        em__pool *pool;
        EXPECT_OK(em__pool_new(threads, &pool));
        em__cast_run(k, pool, EM_F32, EM_BF16, got, x, N);
        assert_memory_equal(got, want, N * sizeof *want);
        em__pool_free(pool);
    }
    free(x), free(got), free(want);
}

/* Every f8 code there and back, and f32 of all sizes, ties and their neighbours among them. */
static void f8_as_the_scalar_functions(void **state)
{
    (void)state;
    const em__cast *k = &tables[levels_best()];
    rng r = {3};
    for (uint32_t i = 0; i < 1u << 21; i++) {
        uint32_t bits = i < 1u << 20 ? i << 12 : (uint32_t)rng_u64(&r), near[3] = {bits - 1, bits, bits + 1};
        float x[3];
        uint8_t four[3], five[3];
        memcpy(x, near, sizeof x);
        em__cast_run(k, NULL, EM_F32, EM_F8_E4M3FN, four, x, 3);
        em__cast_run(k, NULL, EM_F32, EM_F8_E5M2, five, x, 3);
        for (int j = 0; j < 3; j++)
            if (four[j] != em__f32_to_f8_e4m3fn(x[j]) || five[j] != em__f32_to_f8_e5m2(x[j]))
                fail_msg("%.9g: got %02x and %02x", (double)x[j], four[j], five[j]);
    }
    for (int i = 0; i < 256; i++) {
        uint8_t code = (uint8_t)i;
        float four, five;
        em__cast_run(k, NULL, EM_F8_E4M3FN, EM_F32, &four, &code, 1);
        em__cast_run(k, NULL, EM_F8_E5M2, EM_F32, &five, &code, 1);
        float want[2] = {em__f8_e4m3fn_to_f32(code), em__f8_e5m2_to_f32(code)};
        assert_memory_equal(&four, &want[0], sizeof four);
        assert_memory_equal(&five, &want[1], sizeof five);
    }
}

/* Dtypes below a byte from and to every other, against shifts and masks, at all lengths; the driver in pieces. */
static void parts_of_bytes(void **state)
{
    (void)state;
    static uint64_t in[2 * LONG], out[2 * LONG], wide[2 * LONG];
    static const em_dtype parts[] = {EM_U2, EM_U4, EM_S2, EM_S4};
    const em__cast *k = &tables[levels_best()];
    rng r = {4};
    for (size_t p = 0; p < 4 * (size_t)EM_DTYPE_COUNT; p++) {
        em_dtype part = parts[p % 4], other = (em_dtype)(p / 4);
        for (size_t trial = 0; trial <= 68; trial++) {
            size_t n = trial < 68 ? trial : LONG, bits = em_dtype_bits(part), bytes = (n * bits + 7) / 8;
            bool rounds = other == EM_F8_E5M2 && part == EM_U4; /* 9, 11, 13 and 15 */
            rng_fill_edges(&r, part, in, n);
            em__cast_run(k, NULL, part, other, wide, in, n);
            for (size_t i = 0; i < n; i++) {
                double x = expect_element(part, in, i), y = expect_element(other, wide, i);
                uint64_t code = (uint64_t)(int64_t)x;
                bool is_unsigned = em_dtype_get_kind(other) == EM_KIND_UNSIGNED;
                if (other == EM_PRED)
                    assert_true(y == (x != 0));
                else if (rounds)
                    assert_true(fabs(y - x) <= 1);
                else if (em_dtype_bits(other) >= 8)
                    assert_true(is_unsigned ? y == (double)(code & UINT64_MAX >> (64 - em_dtype_bits(other))) : y == x);
                else /* the low bits */
                    assert_true((((uint64_t)(int64_t)y ^ code) & ((1U << em_dtype_bits(other)) - 1)) == 0);
            }
            memset(out, 0x5a, sizeof out);
            em__cast_run(k, NULL, other, part, out, wide, n);
            if (em_dtype_bits(other) >= 8 && other != EM_PRED && !rounds)
                assert_memory_equal(out, in, bytes); /* there and back, zeros behind the last */
            assert_int_equal(((uint8_t *)out)[bytes], 0x5a);
        }
    }
}

static void parts_by_many(void **state)
{
    (void)state;
    enum { N = 400003 };
    uint8_t *x = malloc(N), *one = malloc(N), *many = malloc(N);
    assert_true(x && one && many);
    rng r = {5};
    rng_fill(&r, EM_S4, x, N);
    for (int to = 0; to < 2; to++) {
        em_dtype dtype = to ? EM_S2 : EM_U8;
        size_t bytes = ((size_t)N * em_dtype_bits(dtype) + 7) / 8;
        em__pool *pool;
        em__cast_run(&tables[levels_best()], NULL, EM_S4, dtype, one, x, N);
        EXPECT_OK(em__pool_new(3, &pool));
        em__cast_run(&tables[levels_best()], pool, EM_S4, dtype, many, x, N);
        assert_memory_equal(one, many, bytes);
        em__pool_free(pool);
    }
    free(x), free(one), free(many);
}

static int make_tables(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)levels_best(); level++)
        em__cast_init(&tables[level], (em__cpu_level)level);
    levels_report();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_converts),
        cmocka_unit_test(the_driver_cuts_without_a_trace),
        cmocka_unit_test(f8_as_the_scalar_functions),
        cmocka_unit_test(parts_of_bytes),
        cmocka_unit_test(parts_by_many),
    };
    return cmocka_run_group_tests(tests, make_tables, NULL);
}
