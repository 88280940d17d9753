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
    };
    return cmocka_run_group_tests(tests, make_tables, NULL);
}
