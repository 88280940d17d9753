/*
 * Reductions against long double and 128-bit sums, at every level this machine runs: rows and columns of many lengths,
 * all dtypes, empty ones, NaN and ties, pools of several sizes, AVX2 and AVX-512 bit for bit.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "device/cpu/reduce.h"

#define MOST 140000

static em__reduce tables[EM__CPU_AVX512 + 1];
static em__pool *pools[3];
static double x[MOST], out[MOST], other[MOST];
static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_F16, EM_BF16, EM_U8,  EM_U16, EM_U32,
                                  EM_U64, EM_S8,  EM_S16, EM_S32,  EM_S64, EM_PRED};
static const size_t shapes[][3] = {
    {3, 1, 1},    {5, 7, 1},    {2, 63, 1},   {2, 64, 1},    {1, 65, 1},    {3, 130, 1},    {2, 1000, 1},
    {1, 4099, 1}, {17, 300, 1}, {2, 0, 1},    {1, 40000, 1}, {3, 17000, 1}, {1, 131072, 1}, {1, 5, 3},
    {2, 9, 16},   {3, 33, 17},  {1, 600, 40}, {1, 258, 515}, {2, 20, 1030}, {1, 0, 4},      {4, 1, 9}};
#define SHAPES (sizeof shapes / sizeof *shapes)

static int is_float(em_dtype dtype)
{
    return em_dtype_get_kind(dtype) == EM_KIND_FLOAT;
}

/* The integer at i, wrapped into 64 bits. */
static uint64_t load_int(em_dtype dtype, const void *data, size_t i)
{
    size_t size = em_dtype_size(dtype);
    uint64_t raw = 0;
    memcpy(&raw, (const uint8_t *)data + i * size, size);
    int shift = 64 - 8 * (int)size;
    return em_dtype_get_kind(dtype) == EM_KIND_SIGNED ? (uint64_t)((int64_t)(raw << shift) >> shift) : raw;
}

static int less(em_dtype dtype, uint64_t a, uint64_t b)
{
    return em_dtype_get_kind(dtype) == EM_KIND_SIGNED ? (int64_t)a < (int64_t)b : a < b;
}

static void check_int(em__reduce_op op, em_dtype dtype, const void *got, size_t at, size_t first, const size_t s[3])
{
    int bits = 8 * (int)em_dtype_size(dtype), is_signed = em_dtype_get_kind(dtype) == EM_KIND_SIGNED;
    uint64_t most = is_signed ? UINT64_MAX >> (65 - bits) : UINT64_MAX >> (64 - bits), least = is_signed ? ~most : 0;
    uint64_t sum = 0, product = 1, max = least, min = most, all = 1, any = 0;
    for (size_t r = 0; r < s[1]; r++) {
        uint64_t v = load_int(dtype, x, first + r * s[2]);
        sum += v;
        product *= v;
        max = less(dtype, max, v) ? v : max;
        min = less(dtype, v, min) ? v : min;
        all &= v != 0;
        any |= v != 0;
    }
    uint64_t want[EM__REDUCE_COUNT] = {sum, product, max, min, all, any};
    em_dtype out_dtype = op == EM__REDUCE_ALL || op == EM__REDUCE_ANY ? EM_PRED : dtype;
    uint64_t mask = UINT64_MAX >> (64 - 8 * (int)em_dtype_size(out_dtype));
    assert_true(((load_int(out_dtype, got, at) ^ want[op]) & mask) == 0);
}

static void check_float(em__reduce_op op, em_dtype dtype, const void *got, size_t at, size_t first, const size_t s[3])
{
    long double sum = 0, size = 0, product = 1, max = -INFINITY, min = INFINITY;
    int all = 1, any = 0;
    for (size_t r = 0; r < s[1]; r++) {
        long double v = expect_element(dtype, x, first + r * s[2]);
        sum += v;
        size += fabsl(v);
        product *= v;
        max = isnan(max) || v < max ? max : v;
        min = isnan(min) || v > min ? min : v;
        all &= v != 0;
        any |= v != 0;
    }
    if (op == EM__REDUCE_ALL || op == EM__REDUCE_ANY) {
        assert_int_equal(((const uint8_t *)got)[at], op == EM__REDUCE_ALL ? all : any);
        return;
    }
    long double n = (long double)s[1];
    const long double want[] = {sum, product, max, min, 0, 0, s[1] ? sum / n : (long double)NAN};
    double value = expect_element(dtype, got, at), exact = (double)want[op];
    double unit = dtype == EM_F64 ? 2e-16 : dtype == EM_F32 ? 1.2e-7 : dtype == EM_F16 ? 1e-3 : 8e-3;
    /* A few roundings of partial sums, far fewer than one an element. */
    double bound = op == EM__REDUCE_PRODUCT ? unit * (double)(n + 2) * fabs(exact) + 1e-30
                   : op == EM__REDUCE_MAX || op == EM__REDUCE_MIN
                       ? 0.0
                       : unit * fabs(exact) + (dtype == EM_F64 ? 2e-16 : 1.2e-7) * 4 * (double)size /
                                                  (op == EM__REDUCE_MEAN ? (double)n : 1);
    if (dtype != EM_F64 && dtype != EM_F32 && op == EM__REDUCE_PRODUCT)
        bound += 1e-7;
    if ((isnan(value) && isnan(exact)) || value == exact)
        return;
    if (!(fabs(value - exact) <= bound))
        fail_msg("op %d %s [%zu %zu %zu]: %.9g, expected %.9g", op, em_dtype_name(dtype), s[0], s[1], s[2], value,
                 exact);
}

static void check_shape(const em__reduce *k, em_dtype dtype, const size_t s[3], rng *r, int trial)
{
    size_t n = s[0] * s[1] * s[2];
    assert_true(n <= MOST);
    rng_fill(r, dtype, x, n);
    for (int op = 0; op <= EM__REDUCE_MEAN; op++) {
        if (op == EM__REDUCE_MEAN ? !is_float(dtype) : !k->row[op][dtype])
            continue;
        em__reduce_run(k, pools[trial % 3], (em__reduce_op)op, dtype, out, x, s[0], s[1], s[2]);
        for (size_t i = 0; i < s[0] * s[2]; i++) {
            size_t first = i / s[2] * s[1] * s[2] + i % s[2];
            if (is_float(dtype))
                check_float((em__reduce_op)op, dtype, out, i, first, s);
            else
                check_int((em__reduce_op)op, dtype, out, i, first, s);
        }
    }
}

static void reductions_are_right(void **state)
{
    (void)state;
    rng r = {1};
    for (int level = 0; level <= (int)levels_best(); level++)
        for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
            for (size_t i = 0; i < SHAPES; i++)
                check_shape(&tables[level], dtypes[d], shapes[i], &r, (int)(d + i));
}

/* The first or last extreme, or the first NaN. */
static int64_t naive_arg(em__arg_op op, em_dtype dtype, size_t first, size_t n, size_t stride, bool last)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_float(dtype)) {
            uint64_t v = load_int(dtype, x, first + i * stride), b = load_int(dtype, x, first + found * stride);
            if ((op == EM__ARG_MAX ? less(dtype, b, v) : less(dtype, v, b)) || (last && v == b))
                found = i;
            continue;
        }
        double v = expect_element(dtype, x, first + i * stride), b = expect_element(dtype, x, first + found * stride);
        if (isnan(v))
            return (int64_t)i;
        if ((op == EM__ARG_MAX ? v > b : v < b) || (last && v == b))
            found = i;
    }
    return (int64_t)found;
}

static void arg_decides_ties_and_nan(void **state)
{
    (void)state;
    rng r = {2};
    int64_t *index = (int64_t *)out;
    for (int level = 0; level <= (int)levels_best(); level++) {
        for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
            for (size_t i = 0; i < SHAPES * 4; i++) {
                const size_t *s = shapes[i / 4];
                em__arg_op op = (em__arg_op)(i % 2);
                bool last = i / 2 % 2;
                if (!s[1])
                    continue;
                if (i % 3)
                    rng_fill_edges(&r, dtypes[d], x, s[0] * s[1] * s[2]);
                else
                    rng_fill(&r, dtypes[d], x, s[0] * s[1] * s[2]);
                em__reduce_arg(&tables[level], pools[i % 3], op, dtypes[d], index, x, s[0], s[1], s[2], last);
                for (size_t at = 0; at < s[0] * s[2]; at++) {
                    size_t first = at / s[2] * s[1] * s[2] + at % s[2];
                    assert_int_equal(index[at], naive_arg(op, dtypes[d], first, s[1], s[2], last));
                }
            }
        }
    }
}

static void same_bits_for_all_pools_and_levels(void **state)
{
    (void)state;
    rng r = {3};
    em__cpu_level least = levels_best() > EM__CPU_AVX2 ? EM__CPU_AVX2 : levels_best();
    for (size_t d = 0; d < 4; d++) {
        for (size_t i = 0; i < SHAPES; i++) {
            const size_t *s = shapes[i];
            rng_fill_edges(&r, dtypes[d], x, s[0] * s[1] * s[2]);
            for (int op = 0; op < EM__REDUCE_ALL; op++) {
                em__reduce_run(&tables[least], NULL, (em__reduce_op)op, dtypes[d], other, x, s[0], s[1], s[2]);
                for (int p = 0; p < 3; p++) {
                    em__reduce_run(&tables[levels_best()], pools[p], (em__reduce_op)op, dtypes[d], out, x, s[0], s[1],
                                   s[2]);
                    EXPECT_CLOSE(dtypes[d], out, other, s[0] * s[2], 0.0, 0.0);
                }
            }
        }
    }
}

/* A million times 0.1: one running f32 sum would be off by a percent. */
static void long_sums_keep_their_digits(void **state)
{
    (void)state;
    enum { N = 1000000 };
    float *ones = malloc(N * sizeof *ones), sum;
    assert_non_null(ones);
    for (size_t i = 0; i < N; i++)
        ones[i] = 0.1f;
    for (int level = 0; level <= (int)levels_best(); level++) {
        em__reduce_run(&tables[level], pools[1], EM__REDUCE_SUM, EM_F32, &sum, ones, 1, N, 1);
        assert_true(fabs((double)sum - N * (double)0.1f) <= 0.1);
        float columns[4];
        em__reduce_run(&tables[level], pools[1], EM__REDUCE_SUM, EM_F32, columns, ones, 1, N / 4, 4);
        assert_true(fabs((double)columns[3] - N / 4 * (double)0.1f) <= 0.05);
    }
    free(ones);
}

static int make_tables(void **state)
{
    (void)state;
    for (int level = 0; level <= (int)levels_best(); level++)
        em__reduce_init(&tables[level], (em__cpu_level)level);
    for (int i = 0; i < 3; i++)
        EXPECT_OK(em__pool_new(i + 1, &pools[i]));
    levels_report();
    return 0;
}

static int free_pools(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        em__pool_free(pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_are_right),
        cmocka_unit_test(arg_decides_ties_and_nan),
        cmocka_unit_test(same_bits_for_all_pools_and_levels),
        cmocka_unit_test(long_sums_keep_their_digits),
    };
    return cmocka_run_group_tests(tests, make_tables, free_pools);
}
