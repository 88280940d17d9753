/*
 * The matrix product against a loop in double precision, at every level this machine runs, and the promises of gemm.h
 * about bits: the same for any thread count, any company of rows, and both vector widths.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/block.h"
#include "device/cpu/gemm.h"

static const int thread_counts[] = {1, 2, 3, 5};
static em__pool *pools[4];
static uint64_t seed = 1;

static uint32_t next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static float random_value(void)
{
    return (float)next_random() / (float)(1u << 30) - 1.0f;
}

static float *random_floats(int64_t count)
{
    float *x = malloc(((size_t)count + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++)
        x[i] = random_value();
    return x;
}

static void halve_negative(void *out, const void *in, size_t n)
{
    float *y = out;
    const float *x = in;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? x[i] * 0.5f : x[i];
}

/* One product with everything that it needs. */
typedef struct product {
    em__gemm_args args;
    float *a, *source, *c, *bias, *residual;
    float *packed;
    size_t packed_bytes;
    bool transposed; /* source is [n, k] */
} product;

/* Room for B as any level here packs it. */
static size_t packed_room(int64_t n, int64_t k)
{
    size_t room = 0;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        size_t bytes = em__gemm_f32_packed_bytes(em__gemm_kernels_get(level), n, k);
        room = bytes > room ? bytes : room;
    }
    return room;
}

static product product_new(int64_t m, int64_t n, int64_t k, bool transposed, int64_t pad)
{
    product p = {.transposed = transposed, .args = {.m = m, .n = n, .k = k}};
    p.args.lda = k + pad;
    p.args.ldc = n + pad;
    p.args.ldr = n + 2 * pad;
    p.args.a = p.a = random_floats(m * p.args.lda);
    p.source = random_floats(n * k);
    p.args.c = p.c = random_floats(m * p.args.ldc);
    p.bias = random_floats(n);
    p.residual = random_floats(m * p.args.ldr);
    p.packed_bytes = packed_room(n, k);
    p.args.b = p.packed = em__block_alloc(p.packed_bytes);
    assert_non_null(p.packed);
    return p;
}

static void product_free(product *p)
{
    free(p->a);
    free(p->source);
    free(p->c);
    free(p->bias);
    free(p->residual);
    em__block_free(p->packed, p->packed_bytes);
}

static void product_pack(product *p, const em__gemm_kernels *kernels, em__pool *pool)
{
    int64_t n = p->args.n, k = p->args.k;
    memset(p->packed, 0xff, p->packed_bytes);
    em__gemm_f32_pack(kernels, pool, p->packed, p->source, n, k, p->transposed ? k : 1, p->transposed ? 1 : n);
}

static double expected(const product *p, int64_t i, int64_t j, double *magnitude)
{
    double sum = 0;
    *magnitude = 1e-30;
    for (int64_t k = 0; k < p->args.k; k++) {
        double b = p->source[p->transposed ? j * p->args.k + k : k * p->args.n + j];
        sum += p->a[i * p->args.lda + k] * b;
        *magnitude += fabs(p->a[i * p->args.lda + k] * b);
    }
    sum += p->args.bias ? p->bias[j] : 0;
    sum = p->args.activation && sum < 0 ? sum * 0.5 : sum;
    *magnitude += fabs(sum);
    double residual = p->args.residual ? p->residual[i * p->args.ldr + j] : 0;
    *magnitude += fabs(residual);
    return sum + residual;
}

static void check_values(const product *p, const char *what)
{
    for (int64_t i = 0; i < p->args.m; i++) {
        for (int64_t j = 0; j < p->args.n; j++) {
            double magnitude, want = expected(p, i, j, &magnitude), got = p->c[i * p->args.ldc + j];
            if (!(fabs(got - want) <= 1e-6 * magnitude + 1e-37))
                fail_msg("%s: m %d n %d k %d: element (%d, %d) is %.9g, expected %.9g", what, (int)p->args.m,
                         (int)p->args.n, (int)p->args.k, (int)i, (int)j, got, want);
        }
    }
}

static const em__gemm_kernels *level_or_null(em__cpu_level level)
{
    const em__gemm_kernels *kernels = em__gemm_kernels_get(level);
    return em__gemm_kernels_level(kernels) == level ? kernels : NULL;
}

static void run(product *p, const em__gemm_kernels *kernels, em__pool *pool)
{
    assert_int_equal(em__gemm_f32(kernels, pool, &p->args), EM_OK);
}

/* The elements between n and ldc of a row of C belong to somebody else. */
static void check_padding(const product *p, const float *before)
{
    for (int64_t i = 0; i < p->args.m; i++)
        assert_memory_equal(p->c + i * p->args.ldc + p->args.n, before + i * p->args.ldc + p->args.n,
                            (size_t)(p->args.ldc - p->args.n) * sizeof(float));
}

static void check_product(const em__gemm_kernels *kernels, int64_t m, int64_t n, int64_t k)
{
    const uint32_t dice = next_random();
    product p = product_new(m, n, k, dice & 1, dice & 2 ? 3 : 0);
    p.args.bias = dice & 4 ? p.bias : NULL;
    p.args.residual = dice & 8 ? p.residual : NULL;
    p.args.activation = dice & 16 ? halve_negative : NULL;
    float *before = malloc((size_t)(m * p.args.ldc + 1) * sizeof(float));
    memcpy(before, p.c, (size_t)(m * p.args.ldc) * sizeof(float));
    em__pool *pool = dice & 32 ? pools[dice / 64 % 4] : NULL;
    product_pack(&p, kernels, pool);
    run(&p, kernels, pool);
    check_values(&p, em__cpu_level_name(em__gemm_kernels_level(kernels)));
    check_padding(&p, before);
    free(before);
    product_free(&p);
}

static void test_values(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = level_or_null(level);
        if (!kernels) {
            print_message("no gemm kernels of level %s run here\n", em__cpu_level_name(level));
            continue;
        }
        for (int64_t m = 1; m <= 33; m++)
            check_product(kernels, m, 1 + next_random() % 70, next_random() % 70);
        for (int64_t n = 1; n <= 70; n++)
            check_product(kernels, 1 + next_random() % 33, n, 1 + next_random() % 40);
        for (int64_t k = 0; k <= 34; k++)
            check_product(kernels, 1 + next_random() % 20, 1 + next_random() % 70, k);
        static const int64_t large[][3] = {{256, 96, 384},  {100, 384, 1536}, {17, 1152, 385},
                                           {500, 33, 769},  {3, 1000, 1000},  {15, 64, 1024},
                                           {40, 100, 2048}, {16, 384, 384},   {300, 70, 1201}};
        for (size_t i = 0; i < sizeof large / sizeof *large; i++)
            check_product(kernels, large[i][0], large[i][1], large[i][2]);
    }
}

static bool same_bits(const float *x, const float *y, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (memcmp(x + i, y + i, sizeof *x) != 0 && !(isnan(x[i]) && isnan(y[i])))
            return false;
    return true;
}

/* All vector levels and thread counts give the bits of the first, and a row alone gives the bits it has in company. */
static void check_bits(int64_t m, int64_t n, int64_t k)
{
    product p = product_new(m, n, k, true, 0);
    p.args.bias = p.bias;
    p.args.residual = p.residual;
    p.args.activation = k % 2 ? halve_negative : NULL;
    float *first = NULL;
    for (int level = EM__CPU_AVX2; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = level_or_null(level);
        if (level == EM__CPU_AMX) { /* has bits of its own */
            free(first);
            first = NULL;
        }
        for (int t = 0; kernels && t < 4; t++) {
            product_pack(&p, kernels, pools[t]);
            run(&p, kernels, pools[t]);
            if (!first) {
                first = malloc((size_t)(m * n) * sizeof *first);
                memcpy(first, p.c, (size_t)(m * n) * sizeof *first);
            }
            assert_true(same_bits(first, p.c, m * n));
        }
        for (int64_t row = 0; kernels && row < m; row += 1 + m / 7) {
            em__gemm_args alone = p.args;
            alone.m = 1 + (int64_t)(next_random() % 3);
            alone.m = alone.m < m - row ? alone.m : m - row;
            alone.a += row * p.args.lda;
            alone.c = p.c;
            alone.residual += row * p.args.ldr;
            assert_int_equal(em__gemm_f32(kernels, pools[1], &alone), EM_OK);
            assert_true(same_bits(first + row * n, p.c, alone.m * n));
        }
    }
    free(first);
    product_free(&p);
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

/* Infinity, NaN and denormals travel as IEEE says, also beside the zero columns of a packed tail. */
static void test_special_values(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = level_or_null(level);
        if (!kernels)
            continue;
        product p = product_new(9, 37, 20, true, 0);
        for (int64_t i = 0; i < 20; i++) {
            p.a[0 * 20 + i] = INFINITY;
            p.a[1 * 20 + i] = i == 3 ? NAN : 1;
            p.a[2 * 20 + i] = i == 3 ? 1e-40f : 0;
            p.source[i] = 1;
            p.source[36 * 20 + i] = i == 3 ? 0.5f : 0;
        }
        product_pack(&p, kernels, NULL);
        run(&p, kernels, NULL);
        assert_true(isinf(p.c[0]));
        assert_true(isnan(p.c[36])); /* inf * 0 */
        assert_true(isnan(p.c[37]));
        assert_true(p.c[2 * 37] == 1e-40f);
        assert_true(p.c[2 * 37 + 36] == 1e-40f * 0.5f);
        assert_false(isnan(p.c[3 * 37]));
        product_free(&p);
    }
}

/* Depth `k`, of which a row and a column have something odd in the first 50 or in the last, and zeros otherwise. */
static void check_unsplittable(const em__gemm_kernels *kernels, int i, int64_t k, bool front)
{
    static const float odd[] = {1e38f, 1e-35f, 1e-42f, INFINITY, -INFINITY, NAN, 3e38f, 0.0f};
    product p = product_new(70, 100, k, true, 0), want = product_new(70, 100, k, true, 0);
    memcpy(want.a, p.a, (size_t)(70 * k) * sizeof(float));
    memcpy(want.source, p.source, (size_t)(100 * k) * sizeof(float));
    for (int64_t d = 0; d < k; d++) {
        const bool here = front ? d < 50 : d >= k - 50;
        p.a[(20 + i % 8) * k + d] = d % 3 || !here ? 0 : odd[i % 8];
        p.source[(40 + i / 8) * k + d] = d % 2 || !here ? 0 : odd[i / 8];
    }
    product_pack(&p, kernels, NULL);
    product_pack(&want, kernels, NULL);
    run(&p, kernels, pools[1]);
    run(&want, kernels, pools[2]);
    for (int64_t r = 0; r < 70; r++) /* what was not touched keeps its bits, but for its panel's form */
        if (r != 20 + i % 8)
            assert_true(same_bits(p.c + r * 100, want.c + r * 100, 32));
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
    product_free(&p);
    product_free(&want);
}

/* Weights and rows that the split form of AMX must leave to f32 arithmetic: huge, tiny, not finite; both at once. Of
 * long rows it meets a part at a time. */
static void test_unsplittable(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = level_or_null(level);
        for (int i = 0; kernels && i < 64; i++)
            check_unsplittable(kernels, i, 50, true);
        for (int i = 0; kernels && i < 64; i += 3)
            check_unsplittable(kernels, i, 1300, i % 2);
    }
}

/* k = 0 leaves activation(bias) + residual. */
static void test_empty(void **state)
{
    (void)state;
    const em__gemm_kernels *kernels = em__gemm_kernels_get(em__cpu_get()->level);
    product p = product_new(5, 40, 0, true, 0);
    p.args.bias = p.bias;
    p.args.residual = p.residual;
    product_pack(&p, kernels, NULL);
    run(&p, kernels, pools[1]);
    for (int64_t i = 0; i < 5 * 40; i++)
        assert_true(p.c[i] == p.bias[i % 40] + p.residual[i]);
    em__gemm_args none = p.args;
    none.m = 0;
    assert_int_equal(em__gemm_f32(kernels, NULL, &none), EM_OK);
    product_free(&p);
    assert_int_equal(em__gemm_f32_packed_bytes(kernels, INT64_MAX / 2, INT64_MAX / 2), 0);
}

/* Elements that are contiguous in neither direction, and pieces packed one behind the other. */
static void test_packing(void **state)
{
    (void)state;
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = level_or_null(level);
        if (!kernels)
            continue;
        const int64_t n = 96, k = 45;
        float *rows = random_floats(n * k), *strided = malloc((size_t)(n * k * 4) * sizeof(float));
        size_t bytes = em__gemm_f32_packed_bytes(kernels, n, k);
        float *whole = em__block_alloc(bytes), *pieces = em__block_alloc(bytes);
        for (int64_t j = 0; j < n; j++)
            for (int64_t i = 0; i < k; i++)
                strided[j * 2 + i * 2 * n] = rows[j * k + i];
        em__gemm_f32_pack(kernels, pools[1], whole, rows, n, k, k, 1);
        em__gemm_f32_pack(kernels, pools[1], pieces, strided, n, k, 2, 2 * n);
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

/* A [k, m] or [m, k] or neither contiguous, B likewise, two batch axes of which one may be broadcast. */
static void check_batched(const em__gemm_kernels *kernels, int64_t outer, int64_t inner, int64_t m, int64_t n,
                          int64_t k, em__pool *pool)
{
    const uint32_t dice = next_random();
    const int64_t gap = dice & 16 ? 2 : 1;
    em__gemm_batch batch = {.m = m, .n = n, .k = k, .rank = 2, .dims = {outer, inner}};
    float *a = random_floats(outer * inner * m * k * gap), *b = random_floats(outer * inner * n * k * gap);
    float *c = random_floats(outer * inner * m * n);
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
        const em__gemm_kernels *kernels = level_or_null(level);
        for (int i = 0; kernels && i < 60; i++)
            check_batched(kernels, 1 + next_random() % 3, 1 + next_random() % 4, 1 + next_random() % 50,
                          1 + next_random() % 50, next_random() % 60, pools[i % 4]);
        for (int i = 0; kernels && i < 8; i++)
            check_batched(kernels, 1, 2, 200 + i, 300, 400, pools[1]);
        for (int i = 0; kernels && i < 40; i++) /* few rows, or one column, of long and wide operands */
            check_batched(kernels, 1, 1 + next_random() % 2, 1 + next_random() % (i % 4 ? 8 : 300),
                          i % 4 ? 1 + next_random() % 400 : 1, 1 + next_random() % 300, pools[i % 4]);
        if (kernels)
            check_batched(kernels, 0, 3, 5, 5, 5, pools[1]);
    }
}

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        if (em__pool_new(thread_counts[i], &pools[i]) != EM_OK)
            return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        em__pool_free(pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),         cmocka_unit_test(test_bits),    cmocka_unit_test(test_empty),
        cmocka_unit_test(test_special_values), cmocka_unit_test(test_packing), cmocka_unit_test(test_batched),
        cmocka_unit_test(test_unsplittable),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
