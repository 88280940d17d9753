/*
 * Row kernels against long double, at every level this machine runs: lengths 1..150 and some long ones, misaligned
 * rows, with and without residual, weight and bias, in place; edges of softmax; AVX2 and AVX-512 bit for bit; and the
 * drivers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "core/float16.h"
#include "device/cpu/rows.h"

#define LONGEST 5000

static em__rows tables[EM__CPU_AVX512 + 1];
static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_F16, EM_BF16};
static double exact[LONGEST], x_buffer[LONGEST + 1], out_buffer[LONGEST + 1], residual[LONGEST], weight[LONGEST],
    bias[LONGEST];

static size_t length_of(int trial)
{
    static const size_t longer[] = {192, 255, 384, 768, 1000, 4096, LONGEST};
    return trial < 150 ? (size_t)trial + 1 : longer[trial - 150];
}

static double tolerance(em_dtype dtype)
{
    return dtype == EM_F64 ? 1e-13 : dtype == EM_F32 ? 4e-7 : dtype == EM_F16 ? 1e-3 : 8e-3;
}

static void exact_softmax(em__softmax_kind kind, em_dtype dtype, const void *x, size_t n)
{
    long double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxl(largest, expect_element(dtype, x, i));
    for (size_t i = 0; i < n; i++)
        sum += expl(expect_element(dtype, x, i) - largest);
    for (size_t i = 0; i < n; i++) {
        long double d = expect_element(dtype, x, i) - largest;
        exact[i] = (double)(kind == EM__SOFTMAX ? expl(d) / sum : d - logl(sum));
    }
    if (kind == EM__LOGSUMEXP)
        exact[0] = (double)(largest + logl(sum));
}

static void exact_norm(em__norm_kind kind, em_dtype dtype, const void *x, const void *r, const void *w, const void *b,
                       double eps, size_t n)
{
    long double mean = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        exact[i] = expect_element(dtype, x, i) + (r ? expect_element(dtype, r, i) : 0.0);
        mean += exact[i];
    }
    mean = kind == EM__LAYER_NORM ? mean / (long double)n : 0;
    for (size_t i = 0; i < n; i++)
        square += (exact[i] - mean) * (exact[i] - mean);
    long double scale = kind == EM__L2_NORM ? 1 / fmaxl(sqrtl(square), eps) : 1 / sqrtl(square / (long double)n + eps);
    for (size_t i = 0; i < n; i++) {
        long double y = (exact[i] - mean) * scale;
        exact[i] = (double)(y * (w ? expect_element(dtype, w, i) : 1.0) + (b ? expect_element(dtype, b, i) : 0.0));
    }
}

/* |got - exact| <= t * (|exact| + size): `size` is what a result is made of, which may cancel. */
static void expect_row(em_dtype dtype, const void *got, size_t n, double t, double size)
{
    for (size_t i = 0; i < n; i++) {
        double value = expect_element(dtype, got, i);
        if (!(fabs(value - exact[i]) <= t * (fabs(exact[i]) + size)))
            fail_msg("%s, %zu columns: element %zu is %.9g, expected %.9g", em_dtype_name(dtype), n, i, value,
                     exact[i]);
    }
}

static void softmax_is_close(void **state)
{
    (void)state;
    rng r = {1};
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (int trial = 0; trial < 157; trial++) {
            em_dtype dtype = dtypes[trial % 4];
            size_t n = length_of(trial), size = em_dtype_size(dtype);
            uint8_t *x = (uint8_t *)x_buffer + (trial % 3 ? size : 0), *out = (uint8_t *)out_buffer;
            rng_fill(&r, dtype, x, n);
            for (int kind = 0; kind < EM__SOFTMAX_COUNT; kind++) {
                memset(out, 0x5a, sizeof out_buffer);
                tables[level].softmax[kind][dtype](out, x, n);
                exact_softmax((em__softmax_kind)kind, dtype, x, n);
                size_t results = kind == EM__LOGSUMEXP ? 1 : n;
                expect_row(dtype, out, results, tolerance(dtype) * 2, kind == EM__SOFTMAX ? 1e-8 : 1.0);
                assert_int_equal(out[results * size], 0x5a);
            }
            exact_softmax(EM__SOFTMAX, dtype, x, n);
            tables[level].softmax[EM__SOFTMAX][dtype](x, x, n);
            expect_row(dtype, x, n, tolerance(dtype) * 2, 1e-8);
        }
    }
}

static void norms_are_close(void **state)
{
    (void)state;
    rng r = {2};
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (int trial = 0; trial < 157 * 4; trial++) {
            em_dtype dtype = dtypes[trial % 4];
            size_t n = length_of(trial / 4), size = em_dtype_size(dtype);
            uint8_t *x = (uint8_t *)x_buffer + (trial % 3 ? size : 0), *out = (uint8_t *)out_buffer;
            rng_fill(&r, dtype, x, n);
            rng_fill(&r, dtype, residual, n);
            rng_fill(&r, dtype, weight, n);
            rng_fill(&r, dtype, bias, n);
            const void *res = trial % 5 < 2 ? residual : NULL;
            const void *w = trial % 7 < 4 ? weight : NULL, *b = trial % 11 < 6 ? bias : NULL;
            for (int kind = 0; kind < EM__NORM_COUNT; kind++) {
                memset(out, 0x5a, sizeof out_buffer);
                tables[level].norm[kind][dtype](out, x, res, w, b, 1e-5, n);
                exact_norm((em__norm_kind)kind, dtype, x, res, w, b, 1e-5, n);
                expect_row(dtype, out, n, tolerance(dtype) * 4, 4.0);
                assert_int_equal(out[n * size], 0x5a);
            }
        }
    }
}

static void edges_of_softmax(void **state)
{
    (void)state;
    float inf = INFINITY, none[3] = {-inf, -inf, -inf}, some[3] = {-inf, 2, -inf}, nan[3] = {0, NAN, 1}, out[3];
    float top[3] = {0, inf, 1};
    const float all_nan[3] = {NAN, NAN, NAN}, one[3] = {0, 1, 0};
    for (int level = 0; level <= (int)levels_best(); level++) {
        em__softmax_fn softmax = tables[level].softmax[EM__SOFTMAX][EM_F32];
        softmax(out, none, 3);
        EXPECT_CLOSE_F32(out, all_nan, 3, 0.0, 0.0);
        softmax(out, nan, 3);
        EXPECT_CLOSE_F32(out, all_nan, 3, 0.0, 0.0);
        softmax(out, top, 3);
        EXPECT_CLOSE_F32(out, all_nan, 3, 0.0, 0.0);
        softmax(out, some, 3);
        EXPECT_CLOSE_F32(out, one, 3, 0.0, 0.0);
        tables[level].softmax[EM__LOGSUMEXP][EM_F32](out, none, 3);
        assert_true(out[0] == -inf);
        tables[level].softmax[EM__LOGSUMEXP][EM_F32](out, top, 3);
        assert_true(out[0] == inf);
        tables[level].softmax[EM__LOGSUMEXP][EM_F32](out, nan, 3);
        assert_true(isnan(out[0]));
    }
}

static void avx2_and_avx512_give_the_same_bits(void **state)
{
    (void)state;
    if (levels_best() < EM__CPU_AVX512)
        skip();
    rng r = {3};
    static double other[LONGEST];
    const em__rows *narrow = &tables[EM__CPU_AVX2], *broad = &tables[EM__CPU_AVX512];
    for (int trial = 0; trial < 157 * 4; trial++) {
        em_dtype dtype = dtypes[trial % 4];
        size_t n = length_of(trial / 4);
        rng_fill(&r, dtype, x_buffer, n);
        rng_fill(&r, dtype, residual, n);
        rng_fill(&r, dtype, weight, n);
        for (int kind = 0; kind < EM__SOFTMAX_COUNT; kind++) {
            narrow->softmax[kind][dtype](out_buffer, x_buffer, n);
            broad->softmax[kind][dtype](other, x_buffer, n);
            EXPECT_SAME_BITS(dtype, other, out_buffer, kind == EM__LOGSUMEXP ? 1 : n);
        }
        for (int kind = 0; kind < EM__NORM_COUNT; kind++) {
            narrow->norm[kind][dtype](out_buffer, x_buffer, residual, weight, NULL, 1e-12, n);
            broad->norm[kind][dtype](other, x_buffer, residual, weight, NULL, 1e-12, n);
            EXPECT_SAME_BITS(dtype, other, out_buffer, n);
        }
    }
}

static void drivers_equal_single_rows(void **state)
{
    (void)state;
    enum { ROWS = 131, COLS = 257, STRIDE = 260 };
    static float x[ROWS * STRIDE], r1[ROWS * STRIDE], want[ROWS * STRIDE], got[ROWS * STRIDE], w[COLS];
    rng r = {4};
    rng_fill(&r, EM_F32, x, ROWS * STRIDE);
    rng_fill(&r, EM_F32, r1, ROWS * STRIDE);
    rng_fill(&r, EM_F32, w, COLS);
    em__rows k = tables[levels_best()];
    for (int threads = 1; threads <= 3; threads++) {
        em__pool *pool;
        EXPECT_OK(em__pool_new(threads, &pool));
        memset(want, 0, sizeof want);
        memset(got, 0, sizeof got);
        for (size_t i = 0; i < ROWS; i++)
            k.softmax[EM__SOFTMAX][EM_F32](want + i * STRIDE, x + i * STRIDE, COLS);
        em__rows_softmax(&k, pool, EM__SOFTMAX, EM_F32, got, STRIDE, x, STRIDE, ROWS, COLS);
        EXPECT_SAME_BITS(EM_F32, got, want, ROWS * STRIDE);
        em__norm_args args = {got, x, r1, w, NULL, 1e-5, ROWS, COLS, STRIDE, STRIDE, STRIDE};
        for (size_t i = 0; i < ROWS; i++)
            k.norm[EM__LAYER_NORM][EM_F32](want + i * STRIDE, x + i * STRIDE, r1 + i * STRIDE, w, NULL, 1e-5, COLS);
        em__rows_norm(&k, pool, EM__LAYER_NORM, EM_F32, &args);
        EXPECT_SAME_BITS(EM_F32, got, want, ROWS * STRIDE);
        em__pool_free(pool);
    }
}

static int make_tables(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)levels_best(); level++)
        em__rows_init(&tables[level], (em__cpu_level)level);
    levels_report();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_close),          cmocka_unit_test(norms_are_close),
        cmocka_unit_test(edges_of_softmax),          cmocka_unit_test(avx2_and_avx512_give_the_same_bits),
        cmocka_unit_test(drivers_equal_single_rows),
    };
    return cmocka_run_group_tests(tests, make_tables, NULL);
}
