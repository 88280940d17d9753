/* Pooling of long segments on the processor: each mean is the f64 mean of its tokens, rounded once. */
#include <math.h>
#include <stdlib.h>

#include <emily/ops.h>

#include "harness/expect.h"
#include "harness/rng.h"

enum { TOKENS = 9000, COLUMNS = 70, CUT = 17 };

/* In token order, as pooling has it. */
static double exact(const float *x, int64_t from, int64_t to, int64_t column, em_pool pool)
{
    double sum = 0, weights = 0;
    for (int64_t t = from; t < to; t++) {
        const double weight = pool == EM_POOL_WEIGHTED ? (double)(t - from + 1) : 1;
        sum += weight * (double)x[t * COLUMNS + column];
        weights += weight;
    }
    return sum / (pool == EM_POOL_MEAN_SQRT ? sqrt(weights) : weights);
}

static void check(em_scope *s, em_array *x, const float *values, em_pool pool)
{
    const int32_t offsets[] = {0, CUT, TOKENS, TOKENS};
    em_array *pooled = em_segment_pool(s, x, em_constant(s, EM_S32, offsets, em_shape(4)), pool);
    EXPECT_OK(em_eval(s, pooled));
    const float *got = em_array_data(pooled);
    for (int segment = 0; segment < 2; segment++)
        for (int64_t c = 0; c < COLUMNS; c++) {
            const double want = exact(values, offsets[segment], offsets[segment + 1], c, pool);
            assert_true(fabs((double)got[segment * COLUMNS + c] - want) <= fabs(want) * 0x1p-23);
        }
    for (int64_t c = 0; c < COLUMNS; c++)
        assert_true(got[2 * COLUMNS + c] == 0);
}

static void test_long_segments(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(em_device_find("cpu"));
    float *values = malloc(sizeof *values * TOKENS * COLUMNS);
    assert_non_null(values);
    rng r = {11};
    for (int64_t i = 0; i < (int64_t)TOKENS * COLUMNS; i++)
        values[i] = (float)(rng_normal(&r) + 3);
    em_array *x = em_constant(s, EM_F32, values, em_shape(TOKENS, COLUMNS));
    check(s, x, values, EM_POOL_MEAN);
    check(s, x, values, EM_POOL_MEAN_SQRT);
    check(s, x, values, EM_POOL_WEIGHTED);
    free(values);
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_long_segments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
