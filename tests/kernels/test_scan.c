/*
 * Running sums, products, maxima and minima: the kernels of every level against each other bit for bit and against a
 * plain loop; cpu against ref for every dtype, axis and direction; the same bits for 1, 2 and 5 threads; NaN.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/windows.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"
#include "harness/sample.h"

#include "device/cpu/scan.h"

#define MOST 300000

static double x[MOST], y[MOST], z[MOST];
static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_U8, EM_U16, EM_U32, EM_U64, EM_S8, EM_S16, EM_S32, EM_S64};

/* One level's scan in blocks, with the carry handed on. */
static void scan(const em__scan *k, em__scan_op op, em_dtype dtype, void *out, size_t n, bool reverse)
{
    size_t size = em_dtype_size(dtype);
    uint64_t carry;
    em__scan_nothing(op, dtype, &carry);
    for (size_t from = 0; from < n; from += EM__SCAN_BLOCK) {
        size_t m = n - from < EM__SCAN_BLOCK ? n - from : EM__SCAN_BLOCK, at = reverse ? n - from - m : from;
        uint64_t total = carry;
        k->block[op][dtype](NULL, (char *)x + at * size, m, &total, reverse);
        k->block[op][dtype]((char *)out + at * size, (char *)x + at * size, m, &carry, reverse);
        assert_memory_equal(&total, &carry, size);
    }
}

static void check_floats(em__scan_op op, em_dtype dtype, const void *got, size_t n, bool reverse)
{
    double acc = op == EM__SCAN_SUM       ? 0
                 : op == EM__SCAN_PRODUCT ? 1
                 : op == EM__SCAN_MAX     ? -INFINITY
                                          : INFINITY,
           size = 0;
    double unit = dtype == EM_F32 ? 0x1p-23 : 0x1p-52;
    for (size_t i = 0; i < n; i++) {
        size_t at = reverse ? n - 1 - i : i;
        double v = expect_element(dtype, x, at), y_at = expect_element(dtype, got, at);
        size += fabs(v);
        acc = op == EM__SCAN_SUM       ? acc + v
              : op == EM__SCAN_PRODUCT ? acc * v
              : op == EM__SCAN_MAX     ? (v > acc ? v : acc)
                                       : (v < acc ? v : acc);
        double bound = op == EM__SCAN_SUM       ? 64 * unit * size
                       : op == EM__SCAN_PRODUCT ? 4 * unit * (double)(i + 1) * fabs(acc)
                                                : 0;
        if (!(fabs(y_at - acc) <= bound + 1e-300))
            fail_msg("op %d, %s, %zu of %zu: got %g, want %g", (int)op, em_dtype_name(dtype), i, n, y_at, acc);
    }
}

static void test_levels(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 2, 7, 15, 16, 17, 31, 64, 65, 129, 1000, 4096, 4097, 9000};
    rng r = {3};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
        for (int op = 0; op < EM__SCAN_COUNT; op++)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
                for (int reverse = 0; reverse < 2; reverse++) {
                    em_dtype dtype = dtypes[d];
                    size_t n = lengths[l];
                    rng_fill(&r, dtype, x, n);
                    for (size_t i = 0; i < n && op == EM__SCAN_PRODUCT; i++)
                        if (dtype == EM_F32)
                            ((float *)x)[i] = (float)rng_between(&r, 0.97, 1.03);
                        else if (dtype == EM_F64)
                            x[i] = rng_between(&r, 0.97, 1.03);
                    for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++) {
                        em__scan k;
                        em__scan_init(&k, (em__cpu_level)level);
                        scan(&k, (em__scan_op)op, dtype, level ? z : y, n, reverse);
                        if (level)
                            EXPECT_SAME_BITS(dtype, z, y, n);
                    }
                    if (em_dtype_get_kind(dtype) == EM_KIND_FLOAT)
                        check_floats((em__scan_op)op, dtype, y, n, reverse);
                }
    levels_report();
}

static em_array *build(em_scope *s, int op, em_dtype dtype, em_dims dims, int axis, bool reverse)
{
    em_array *a = em_constant(s, dtype, x, dims);
    return op == 0   ? em_cumulative_sum(s, a, axis, reverse)
           : op == 1 ? em_cumulative_product(s, a, axis, reverse)
           : op == 2 ? em_cumulative_max(s, a, axis, reverse)
                     : em_cumulative_min(s, a, axis, reverse);
}

/* cpu against ref, and against itself with other threads. */
static void check_op(int op, em_dtype dtype, em_dims dims, int axis, bool reverse)
{
    static const int threads[] = {1, 2, 5};
    if (!sample_takes())
        return;
    em_scope *ref = em_scope_new(em_device_find("ref")), *first = NULL;
    em_array *want = build(ref, op, dtype, dims, axis, reverse), *one = NULL;
    EXPECT_OK(em_eval(ref, want));
    bool exact = op > 1 || em_dtype_get_kind(dtype) < EM_KIND_FLOAT;
    size_t size = em_dtype_size(dtype);
    bool complex = em_dtype_get_kind(dtype) == EM_KIND_COMPLEX;
    double unit = size == 1          ? 0.2
                  : dtype == EM_F16  ? 0x1p-10
                  : dtype == EM_BF16 ? 0x1p-7
                  : size == 4        ? 0x1p-18
                  : dtype == EM_C64  ? 0x1p-18
                                     : 0x1p-47;
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads[i]));
        em_scope *s = em_scope_new(em_device_default());
        em_array *got = build(s, op, dtype, dims, axis, reverse);
        EXPECT_OK(em_eval(s, got));
        em_dtype out = em_array_dtype(want);
        if (exact)
            EXPECT_SAME_BITS(out, em_array_data(got), em_array_data(want), em_array_size(want));
        else
            EXPECT_CLOSE(out, em_array_data(got), em_array_data(want), em_array_size(want),
                         op && !complex ? 1e-30 : 200 * unit, unit);
        if (one)
            EXPECT_SAME_BITS(out, em_array_data(got), em_array_data(one), em_array_size(one));
        one = one ? one : got;
        if (first)
            em_scope_free(s);
        first = first ? first : s;
    }
    em_scope_free(first);
    em_scope_free(ref);
}

/* Complex numbers near the unit circle: a product of others soon leaves the range, one part before the other. */
static void fill_turns(rng *r, em_dtype dtype, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double size = rng_between(r, 0.99, 1.01), angle = rng_between(r, -3, 3);
        double re = size * cos(angle), im = size * sin(angle);
        if (dtype == EM_C64) {
            ((float *)x)[2 * i] = (float)re;
            ((float *)x)[2 * i + 1] = (float)im;
        } else {
            x[2 * i] = re;
            x[2 * i + 1] = im;
        }
    }
}

static void test_ops(void **state)
{
    (void)state;
    static const em_dims shapes[] = {{1, {1}},
                                     {1, {9000}},
                                     {2, {3, 50}},
                                     {2, {50, 3}},
                                     {3, {2, 9, 40}},
                                     {3, {5, 3, 7}},
                                     {2, {2, 5000}},
                                     {2, {40, 700}},
                                     {2, {0, 3}},
                                     {2, {3, 0}},
                                     {3, {2, 4100, 2}},
                                     {4, {2, 3, 4, 5}},
                                     {8, {1, 2, 1, 3, 2, 1, 2, 3}}};
    rng r = {4};
    for (int dtype = EM_U8; dtype <= EM_C128; dtype++)
        for (int op = 0; op < 4; op++)
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
                if (em_dtype_get_kind((em_dtype)dtype) == EM_KIND_COMPLEX && op > 1)
                    continue;
                int64_t n = 1;
                for (int d = 0; d < shapes[i].rank; d++)
                    n *= shapes[i].dims[d];
                rng_fill(&r, (em_dtype)dtype, x, (size_t)n);
                if (em_dtype_get_kind((em_dtype)dtype) == EM_KIND_COMPLEX && op == 1)
                    fill_turns(&r, (em_dtype)dtype, n);
                for (int d = 0; d<shapes[i].rank; d += shapes[i].rank> 3 ? 3 : 1)
                    check_op(op, (em_dtype)dtype, shapes[i], d, (i + (size_t)d) % 2);
            }
}

static void test_long_lines(void **state)
{
    (void)state;
    rng r = {5};
    rng_fill(&r, EM_F32, x, MOST);
    for (int reverse = 0; reverse < 2; reverse++) {
        check_op(0, EM_F32, em_shape(MOST), 0, reverse);
        check_op(2, EM_F32, em_shape(2, MOST / 2), 1, reverse);
        check_op(0, EM_F32, em_shape(MOST / 2, 2), 0, reverse);
    }
    rng_fill(&r, EM_BF16, x, MOST);
    check_op(0, EM_BF16, em_shape(MOST), 0, false);
    check_op(3, EM_BF16, em_shape(MOST), 0, true);
}

static void test_nan_stays(void **state)
{
    (void)state;
    float *f = (float *)x;
    em_scope *s = em_scope_new(NULL);
    for (int i = 0; i < 5000; i++)
        f[i] = (float)(i % 100);
    f[4500] = NAN;
    for (int op = 0; op < 4; op++) {
        const float *got = em_array_data(build(s, op, EM_F32, em_shape(5000), 0, false));
        assert_non_null(got);
        for (int i = 0; i < 5000; i++)
            assert_int_equal(isnan(got[i]) != 0, i >= 4500 || (op == 1 && isnan(got[i])));
    }
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_ops),
                                       cmocka_unit_test(test_long_lines), cmocka_unit_test(test_nan_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
