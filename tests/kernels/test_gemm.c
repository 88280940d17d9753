/*
 * The matrix product against a loop in double precision, at every level this machine runs, and the promises of gemm.h
 * about bits: the same for any thread count, any company of rows, and both vector widths.
 */
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "kernels/support/gemm_product.h"

/* The elements between n and ldc of a row of C belong to somebody else. */
static void check_padding(const gemm_product *p, const float *before)
{
    for (int64_t i = 0; i < p->args.m; i++)
        assert_memory_equal(p->c + i * p->args.ldc + p->args.n, before + i * p->args.ldc + p->args.n,
                            (size_t)(p->args.ldc - p->args.n) * sizeof(float));
}

static void check_product(const em__gemm_kernels *kernels, int64_t m, int64_t n, int64_t k)
{
    const uint32_t dice = gemm_random();
    gemm_product p = gemm_product_new(m, n, k, dice & 1, dice & 2 ? 3 : 0);
    p.args.bias = dice & 4 ? p.bias : NULL;
    p.args.residual = dice & 8 ? p.residual : NULL;
    p.args.activation = dice & 16 ? gemm_halve_negative : NULL;
    float *before = malloc((size_t)(m * p.args.ldc + 1) * sizeof(float));
    memcpy(before, p.c, (size_t)(m * p.args.ldc) * sizeof(float));
    em__pool *pool = dice & 32 ? gemm_pools[dice / 64 % 4] : NULL;
    gemm_product_pack(&p, kernels, pool);
    gemm_product_run(&p, kernels, pool);
    gemm_product_check(&p, em__cpu_level_name(em__gemm_kernels_level(kernels)));
    check_padding(&p, before);
    free(before);
    gemm_product_free(&p);
}

static void test_values(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = gemm_level(level);
        if (!kernels) {
            print_message("no gemm kernels of level %s run here\n", em__cpu_level_name(level));
            continue;
        }
        for (int64_t m = 1; m <= 33; m++)
            check_product(kernels, m, 1 + gemm_random() % 70, gemm_random() % 70);
        for (int64_t n = 1; n <= 70; n++)
            check_product(kernels, 1 + gemm_random() % 33, n, 1 + gemm_random() % 40);
        for (int64_t k = 0; k <= 34; k++)
            check_product(kernels, 1 + gemm_random() % 20, 1 + gemm_random() % 70, k);
        static const int64_t large[][3] = {{256, 96, 384},  {100, 384, 1536}, {17, 1152, 385},
                                           {500, 33, 769},  {3, 1000, 1000},  {15, 64, 1024},
                                           {40, 100, 2048}, {16, 384, 384},   {300, 70, 1201}};
        for (size_t i = 0; i < sizeof large / sizeof *large; i++)
            check_product(kernels, large[i][0], large[i][1], large[i][2]);
    }
}

/* All vector levels and thread counts give the bits of the first, and a row alone gives the bits it has in company. */
static void check_bits(int64_t m, int64_t n, int64_t k)
{
    gemm_product p = gemm_product_new(m, n, k, true, 0);
    p.args.bias = p.bias;
    p.args.residual = p.residual;
    p.args.activation = k % 2 ? gemm_halve_negative : NULL;
    float *first = NULL;
    for (int level = EM__CPU_AVX2; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = gemm_level(level);
        if (level == EM__CPU_AMX) { /* has bits of its own */
            free(first);
            first = NULL;
        }
        for (int t = 0; kernels && t < 4; t++) {
            gemm_product_pack(&p, kernels, gemm_pools[t]);
            gemm_product_run(&p, kernels, gemm_pools[t]);
            if (!first) {
                first = malloc((size_t)(m * n) * sizeof *first);
                memcpy(first, p.c, (size_t)(m * n) * sizeof *first);
            }
            assert_true(gemm_same_bits(first, p.c, m * n));
        }
        for (int64_t row = 0; kernels && row < m; row += 1 + m / 7) {
            em__gemm_args alone = p.args;
            alone.m = 1 + (int64_t)(gemm_random() % 3);
            alone.m = alone.m < m - row ? alone.m : m - row;
            alone.a += row * p.args.lda;
            alone.c = p.c;
            alone.residual += row * p.args.ldr;
            assert_int_equal(em__gemm_f32(kernels, gemm_pools[1], &alone), EM_OK);
            assert_true(gemm_same_bits(first + row * n, p.c, alone.m * n));
        }
    }
    free(first);
    gemm_product_free(&p);
}

static void test_bits(void **state)
{
    (void)state;
    check_bits(1, 384, 384);
    check_bits(16, 1152, 384);
    check_bits(33, 384, 1536);
    check_bits(32, 100, 1536);
    check_bits(27, 70, 832);
    check_bits(130, 100, 1000);
    check_bits(320, 384, 384);
    check_bits(60, 64, 1024);
    check_bits(70, 100, 2500);
    check_bits(300, 70, 1537);
    check_bits(29, 31, 33);
}

/* k = 0 leaves activation(bias) + residual. */
static void test_empty(void **state)
{
    (void)state;
    const em__gemm_kernels *kernels = em__gemm_kernels_get(em__cpu_get()->level);
    gemm_product p = gemm_product_new(5, 40, 0, true, 0);
    p.args.bias = p.bias;
    p.args.residual = p.residual;
    gemm_product_pack(&p, kernels, NULL);
    gemm_product_run(&p, kernels, gemm_pools[1]);
    for (int64_t i = 0; i < 5 * 40; i++)
        assert_true(p.c[i] == p.bias[i % 40] + p.residual[i]);
    em__gemm_args none = p.args;
    none.m = 0;
    assert_int_equal(em__gemm_f32(kernels, NULL, &none), EM_OK);
    gemm_product_free(&p);
    assert_int_equal(em__gemm_f32_packed_bytes(kernels, INT64_MAX / 2, INT64_MAX / 2), 0);
}

/* Elements that are contiguous in neither direction, and pieces packed one behind the other. */
static void test_packing(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = gemm_level(level);
        if (!kernels)
            continue;
        const int64_t n = 96, k = 45;
        float *rows = gemm_random_floats(n * k), *strided = malloc((size_t)(n * k * 4) * sizeof(float));
        size_t bytes = em__gemm_f32_packed_bytes(kernels, n, k);
        float *whole = em__block_alloc(bytes), *pieces = em__block_alloc(bytes);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < k; i++)
                strided[j * 2 + i * 2 * n] = rows[j * k + i];
        em__gemm_f32_pack(kernels, gemm_pools[1], whole, rows, n, k, k, 1);
        em__gemm_f32_pack(kernels, gemm_pools[1], pieces, strided, n, k, 2, 2 * n);
        assert_memory_equal(whole, pieces, bytes);
        em__gemm_f32_pack(kernels, NULL, pieces, rows, 32, k, k, 1);
        float *second = pieces + em__gemm_f32_packed_bytes(kernels, 32, k) / sizeof(float);
        em__gemm_f32_pack(kernels, NULL, second, rows + 32 * k, 64, k, k, 1);
        assert_memory_equal(whole, pieces, bytes);
        em__block_free(whole, bytes);
        em__block_free(pieces, bytes);
        free(rows);
        free(strided);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_packing),
    };
    return cmocka_run_group_tests(tests, gemm_setup, gemm_teardown);
}
