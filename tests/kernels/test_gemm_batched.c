/* Batches of matrix products, of operands that lie in any order, against a loop in double precision. */
#include <math.h>
#include <stdlib.h>

#include "core/block.h"
#include "kernels/support/gemm_product.h"

/* A [k, m] or [m, k] or neither contiguous, B likewise, two batch axes of which one may be broadcast. */
static void check_batched(const em__gemm_kernels *kernels, int64_t outer, int64_t inner, int64_t m, int64_t n,
                          int64_t k, em__pool *pool)
{
    const uint32_t dice = gemm_random();
    const int64_t gap = dice & 16 ? 2 : 1;
    em__gemm_batch batch = {.m = m, .n = n, .k = k, .rank = 2, .dims = {outer, inner}};
    float *a = gemm_random_floats(outer * inner * m * k * gap), *b = gemm_random_floats(outer * inner * n * k * gap);
    float *c = gemm_random_floats(outer * inner * m * n);
    batch.a =
        (em__gemm_operand){a, dice & 1 ? gap : k * gap, dice & 1 ? m * gap : gap, {inner * m * k * gap, m * k * gap}};
    batch.b =
        (em__gemm_operand){b, dice & 2 ? gap : k * gap, dice & 2 ? n * gap : gap, {inner * n * k * gap, n * k * gap}};
    batch.b.batch[0] = dice & 4 ? 0 : batch.b.batch[0];
    batch.c = c;
    size_t memory, scratch;
    assert_true(em__gemm_f32_batched_needs(kernels, &batch, &memory, &scratch));
    batch.memory = em__block_alloc(memory);
    assert_int_equal(em__gemm_f32_batched(kernels, pool, &batch), EM_OK);
    em__block_free(batch.memory, memory);
    for (int64_t x = 0; x < outer * inner; x++) {
        const float *pa = a + x / inner * batch.a.batch[0] + x % inner * batch.a.batch[1];
        const float *pb = b + x / inner * batch.b.batch[0] + x % inner * batch.b.batch[1];
        for (int64_t i = 0; i < m; i += 1 + m / 40) {
            for (int64_t j = 0; j < n; j += 1 + n / 40) {
                double sum = 0, magnitude = 1e-30;
                for (int64_t d = 0; d < k; d++) {
                    double term =
                        (double)pa[i * batch.a.row + d * batch.a.depth] * pb[j * batch.b.row + d * batch.b.depth];
                    sum += term;
                    magnitude += fabs(term);
                }
                assert_true(fabs(c[(x * m + i) * n + j] - sum) <= 1e-6 * magnitude);
            }
        }
    }
    free(a);
    free(b);
    free(c);
}

static void test_batched(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = gemm_level(level);
        for (int i = 0; kernels && i < 60; i++)
            check_batched(kernels, 1 + gemm_random() % 3, 1 + gemm_random() % 4, 1 + gemm_random() % 50,
                          1 + gemm_random() % 50, gemm_random() % 60, gemm_pools[i % 4]);
        for (int i = 0; kernels && i < 8; i++)
            check_batched(kernels, 1, 2, 200 + i, 300, 400, gemm_pools[1]);
        for (int i = 0; kernels && i < 40; i++) /* few rows, or one column, of long and wide operands */
            check_batched(kernels, 1, 1 + gemm_random() % 2, 1 + gemm_random() % (i % 4 ? 8 : 300),
                          i % 4 ? 1 + gemm_random() % 400 : 1, 1 + gemm_random() % 300, gemm_pools[i % 4]);
        if (kernels)
            check_batched(kernels, 0, 3, 5, 5, 5, gemm_pools[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batched),
    };
    return cmocka_run_group_tests(tests, gemm_setup, gemm_teardown);
}
