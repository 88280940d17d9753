/* The harness itself: random values are the same everywhere and meet the edges; faults are found. */
#include "harness/expect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "harness/faults.h"
#include "harness/golden.h"
#include "harness/rng.h"

static void values_are_the_same_everywhere(void **state)
{
    (void)state;
    rng r = {42};
    assert_true(rng_u64(&r) == 0xbdd732262feb6e95u);
    assert_true(rng_u64(&r) == 0x28efe333b266f103u);
    for (int i = 0; i < 1000; i++) {
        assert_true(rng_below(&r, 7) < 7);
        double u = rng_unit(&r), v = rng_between(&r, -2, 3);
        assert_true(u >= 0 && u < 1 && v >= -2 && v < 3);
    }
    assert_int_equal(rng_below(&r, 0), 0);
}

static void normal_values_are_normal(void **state)
{
    (void)state;
    rng r = {1};
    double sum = 0, squares = 0;
    const int n = 100000;
    for (int i = 0; i < n; i++) {
        double x = rng_normal(&r);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / n) < 0.02 && fabs(squares / n - 1) < 0.02);
}

static void edges_are_met(void **state)
{
    (void)state;
    enum { N = 4000 };
    static unsigned char data[N * 16];
    rng r = {2};
    for (int d = 0; d < EM_DTYPE_COUNT; d++) {
        em_dtype dtype = (em_dtype)d;
        int zeros = 0, nans = 0, infinities = 0, others = 0;
        rng_fill_edges(&r, dtype, data, N);
        for (size_t i = 0; i < N; i++) {
            double x = expect_element(dtype, data, i);
            zeros += x == 0;
            nans += isnan(x) != 0;
            infinities += isinf(x) != 0;
            others += isfinite(x) && x != 0;
        }
        assert_true(zeros > 0 && others > N / 4);
        bool is_float = em_dtype_get_kind(dtype) >= EM_KIND_FLOAT;
        assert_int_equal(nans > 0, is_float);
        assert_int_equal(infinities > 0, is_float && dtype != EM_F8_E4M3FN);
        rng_fill(&r, dtype, data, N);
        for (size_t i = 0; i < N; i++)
            assert_true(isfinite(expect_element(dtype, data, i)));
    }
}

static void elements_of_each_dtype(void **state)
{
    (void)state;
    const uint16_t half[] = {0x3c00, 0xc000};
    const int64_t longs[] = {-5, INT64_MIN};
    const float pair[] = {1.5f, 9.0f, -2.5f, 9.0f};
    assert_true(expect_element(EM_F16, half, 0) == 1 && expect_element(EM_F16, half, 1) == -2);
    assert_true(expect_element(EM_S64, longs, 0) == -5 && expect_element(EM_S64, longs, 1) == -0x1p63);
    assert_true(expect_element(EM_C64, pair, 1) == -2.5);
    EXPECT_CLOSE_F32(pair, pair, 4, 0, 0);
    EXPECT_SAME_BITS(EM_F32, pair, pair, 4);
}

static em_status absorbs(void *context)
{
    (void)context;
    void *optional = em__alloc(10), *needed = em__alloc(10);
    em__free(optional);
    em__free(needed);
    return needed ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static void benign_faults_are_allowed(void **state)
{
    (void)state;
    assert_int_equal(faults_sweep_benign(absorbs, NULL), 2);
}

static void paths(void **state)
{
    (void)state;
    const char *golden = golden_path("a/b.npy"), *scratch = golden_scratch("out");
    assert_non_null(strstr(golden, "/golden/a/b.npy"));
    char own[64];
    snprintf(own, sizeof own, "/scratch/%ld/out", (long)getpid());
    assert_non_null(strstr(scratch, own));
    assert_false(golden_exists("there/is/no/such/file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_same_everywhere),
        cmocka_unit_test(normal_values_are_normal),
        cmocka_unit_test(edges_are_met),
        cmocka_unit_test(elements_of_each_dtype),
        cmocka_unit_test(benign_faults_are_allowed),
        cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
