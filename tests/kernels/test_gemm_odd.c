/* The matrix product of what is no ordinary number: infinity, NaN, denormals, and what AMX cannot split. */
#include <math.h>
#include <string.h>

#include "kernels/support/gemm_product.h"

/* Infinity, NaN and denormals travel as IEEE says, also beside the zero columns of a packed tail. */
static void test_special_values(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = gemm_level(level);
        if (!kernels)
            continue;
        gemm_product p = gemm_product_new(9, 37, 20, true, 0);
        for (int64_t i = 0; i < 20; i++) {
            p.a[0 * 20 + i] = INFINITY;
            p.a[1 * 20 + i] = i == 3 ? NAN : 1;
            p.a[2 * 20 + i] = i == 3 ? 1e-40f : 0;
            p.source[i] = 1;
            p.source[36 * 20 + i] = i == 3 ? 0.5f : 0;
        }
        gemm_product_pack(&p, kernels, NULL);
        gemm_product_run(&p, kernels, NULL);
        assert_true(isinf(p.c[0]));
        assert_true(isnan(p.c[36])); /* inf * 0 */
        assert_true(isnan(p.c[37]));
        assert_true(p.c[2 * 37] == 1e-40f);
        assert_true(p.c[2 * 37 + 36] == 1e-40f * 0.5f);
        assert_false(isnan(p.c[3 * 37]));
        gemm_product_free(&p);
    }
}

/* Depth `k`, of which a row and a column have something odd in the first 50 or in the last, and zeros otherwise. */
static void check_unsplittable(const em__gemm_kernels *kernels, int i, int64_t k, bool front)
{
    static const float odd[] = {1e38f, 1e-35f, 1e-42f, INFINITY, -INFINITY, NAN, 3e38f, 0.0f};
    gemm_product p = gemm_product_new(70, 100, k, true, 0), want = gemm_product_new(70, 100, k, true, 0);
    memcpy(want.a, p.a, (size_t)(70 * k) * sizeof(float));
    memcpy(want.source, p.source, (size_t)(100 * k) * sizeof(float));
    for (int64_t d = 0; d < k; d++) {
        const bool here = front ? d < 50 : d >= k - 50;
        p.a[(20 + i % 8) * k + d] = d % 3 || !here ? 0 : odd[i % 8];
        p.source[(40 + i / 8) * k + d] = d % 2 || !here ? 0 : odd[i / 8];
    }
    gemm_product_pack(&p, kernels, NULL);
    gemm_product_pack(&want, kernels, NULL);
    gemm_product_run(&p, kernels, gemm_pools[1]);
    gemm_product_run(&want, kernels, gemm_pools[2]);
    for (int64_t r = 0; r < 70; r++) /* what was not touched keeps its bits, but for its panel's form */
        if (r != 20 + i % 8)
            assert_true(gemm_same_bits(p.c + r * 100, want.c + r * 100, 32));
    for (int64_t r = 0; r < 70; r++)
        for (int64_t j = 0; j < 100; j++) {
            double sum = 0, magnitude = 1e-30;
            for (int64_t d = 0; d < k; d++) {
                sum += (double)p.a[r * k + d] * p.source[j * k + d];
                magnitude += fabs((double)p.a[r * k + d] * p.source[j * k + d]);
            }
            float got = p.c[r * 100 + j];
            if (isnan(sum) || magnitude > 1e37)
                assert_true(!isfinite(got) || fabs(got) > 1e30);
            else
                assert_true(fabs(got - sum) <= 1e-6 * magnitude);
        }
    gemm_product_free(&p);
    gemm_product_free(&want);
}

/* Weights and rows that the split form of AMX must leave to f32 arithmetic: huge, tiny, not finite; both at once. Of
 * long rows it meets a part at a time. */
static void test_unsplittable(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = gemm_level(level);
        for (int i = 0; kernels && i < 64; i++)
            check_unsplittable(kernels, i, 50, true);
        for (int i = 0; kernels && i < 64; i += 3)
            check_unsplittable(kernels, i, 1300, i % 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_unsplittable),
    };
    return cmocka_run_group_tests(tests, gemm_setup, gemm_teardown);
}
