/*
 * Products that round A to bf16 (gemm_round.h) against sums in double of the rounded values: any rows, strides, tails
 * and epilogues; NaN and infinities; the same bits with packed weights, on any number of threads and in any company.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/float16.h"
#include "device/cpu/gemm_kernels.h"
#include "device/cpu/gemm_round.h"
#include "harness/expect.h"
#include "harness/rng.h"

static const int thread_counts[] = {1, 2, 3, 5};
static em__pool *pools[4];
static const em__round_kernels *kernels;

typedef struct shape {
    int64_t m, n, k, pad;
    int mask; /* bias 1, residual 2, activation 4 */
} shape;

typedef struct product {
    em__gemm_args args;
    float *a, *bias, *residual, *c;
    uint16_t *half;
} product;

static void halve_negative(void *out, const void *in, size_t n)
{
    float *y = out;
    const float *x = in;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? x[i] * 0.5f : x[i];
}

/* Exactly as large as what may be read, for the sanitizers. */
static void *filled(rng *r, em_dtype dtype, int64_t n)
{
    void *data = malloc((size_t)n * em_dtype_size(dtype) + 1);
    assert_non_null(data);
    rng_fill(r, dtype, data, (size_t)n);
    return data;
}

static product product_new(rng *r, const shape *s)
{
    product p = {.args = {.m = s->m, .n = s->n, .k = s->k, .lda = s->k + s->pad, .ldc = s->n + s->pad}};
    p.args.ldr = s->n + 2 * s->pad;
    p.a = filled(r, EM_F32, s->k ? (s->m - 1) * p.args.lda + s->k : 0);
    p.half = filled(r, EM_BF16, s->k ? (s->n - 1) * (s->k + s->pad) + s->k : 0);
    p.bias = filled(r, EM_F32, s->n);
    p.residual = filled(r, EM_F32, (s->m - 1) * p.args.ldr + s->n);
    p.c = filled(r, EM_F32, s->m * p.args.ldc);
    p.args.a = p.a;
    p.args.c = p.c;
    p.args.half = (em__gemm_half){.data = p.half, .dtype = EM_BF16, .row = s->k + s->pad, .depth = 1};
    p.args.bias = s->mask & 1 ? p.bias : NULL;
    p.args.residual = s->mask & 2 ? p.residual : NULL;
    p.args.activation = s->mask & 4 ? halve_negative : NULL;
    return p;
}

static void product_free(product *p)
{
    free(p->a), free(p->half), free(p->bias), free(p->residual), free(p->c);
}

static void run(const product *p, em__pool *pool)
{
    const size_t bytes = em__round_bytes(p->args.m, p->args.k);
    uint16_t *rounded = em__block_alloc(bytes);
    assert_non_null(rounded);
    memset(rounded, 0xff, bytes); /* NaN: what was not written must not count */
    em__round_rows(kernels, pool, &p->args, rounded);
    EXPECT_OK(em__round_run(kernels, pool, &p->args, rounded, NULL));
    em__block_free(rounded, bytes);
}

/* As the instruction takes it. */
static double taken(uint16_t half)
{
    return half & 0x7f80 ? em__bf16_to_f32(half) : 0;
}

/* The element in double, and the sum of all that was added, without signs. */
static double expected(const em__gemm_args *args, int64_t i, int64_t j, double *sum)
{
    double c = 0;
    *sum = 0;
    for (int64_t k = 0; k < args->k; k++) {
        const double x = taken(em__f32_to_bf16(args->a[i * args->lda + k]));
        const double term = x * taken(args->half.data[j * args->half.row + k]);
        c += term;
        *sum += fabs(term);
    }
    c += args->bias ? args->bias[j] : 0;
    c = args->activation && c < 0 ? c / 2 : c;
    return args->residual ? c + args->residual[i * args->ldr + j] : c;
}

/* Every element, and that nothing between the rows was written: `before` is C as it was. */
static void compare(const product *p, const float *before)
{
    const em__gemm_args *args = &p->args;
    for (int64_t i = 0; i < args->m; i++)
        for (int64_t j = 0; j < args->ldc; j++) {
            const float got = args->c[i * args->ldc + j];
            double sum = 0, want = j < args->n ? expected(args, i, j, &sum) : before[i * args->ldc + j];
            const double limit = j < args->n ? 4e-6 * (1 + sum) : 0;
            const bool same = isnan(want) ? isnan(got) : isinf(want) ? got == want : fabs(got - want) <= limit;
            if (!same)
                fail_msg("m %d n %d k %d: (%d, %d) is %.9g, expected %.9g", (int)args->m, (int)args->n, (int)args->k,
                         (int)i, (int)j, got, want);
        }
}

static void check(rng *r, const shape *s)
{
    product p = product_new(r, s);
    const size_t bytes = (size_t)(s->m * p.args.ldc) * sizeof *p.c;
    float *before = malloc(bytes);
    memcpy(before, p.c, bytes);
    run(&p, pools[rng_below(r, 4)]);
    compare(&p, before);
    free(before);
    product_free(&p);
}

static void test_shapes(void **state)
{
    (void)state;
    rng r = {5};
    for (int64_t m = 1; m <= 45; m++)
        check(&r, &(shape){m, 1 + (int64_t)rng_below(&r, 70), (int64_t)rng_below(&r, 300), m % 3, (int)m % 8});
    for (int64_t n = 1; n <= 70; n++)
        check(&r, &(shape){1 + (int64_t)rng_below(&r, 20), n, 40, n % 3, (int)n % 8});
    for (int64_t k = 0; k <= 70; k++)
        check(&r, &(shape){3, 37, k, k % 3, 3});
    for (int64_t k = 510; k <= 515; k++)
        check(&r, &(shape){15, 33, k, k % 2, 7});
    check(&r, &(shape){64, 515, 1030, 0, 7});
    check(&r, &(shape){130, 270, 1100, 3, 3});
    check(&r, &(shape){1100, 40, 33, 0, 1});
}

/* Infinities and NaN meet what they would in f32; subnormals are taken for zeros. */
static void test_edges(void **state)
{
    static const float odd[] = {INFINITY, -INFINITY, NAN, 1e-40f, -1e-40f, 0, -0.0f};
    static const uint16_t odd_halves[] = {0x7f80, 0xff80, 0x7fc0, 0x0001, 0x8001, 0, 0x8000};
    (void)state;
    rng r = {6};
    for (int64_t k = 1; k <= 66; k += 5) {
        product p = product_new(&r, &(shape){17, 35, k, 1, (int)k % 8});
        const size_t bytes = (size_t)(17 * p.args.ldc) * sizeof *p.c;
        float *before = malloc(bytes);
        memcpy(before, p.c, bytes);
        for (int i = 0; i < 12; i++) {
            p.a[rng_below(&r, (size_t)k) + rng_below(&r, 17) * (size_t)p.args.lda] = odd[rng_below(&r, 7)];
            p.half[rng_below(&r, (size_t)k) + rng_below(&r, 35) * (size_t)p.args.half.row] =
                odd_halves[rng_below(&r, 7)];
        }
        run(&p, pools[1]);
        compare(&p, before);
        free(before);
        product_free(&p);
    }
}

/* To nearest, ties to even; what is beyond the largest bf16 becomes infinite. */
static void test_rounding(void **state)
{
    enum { N = 4099 };
    static float x[N];
    static uint16_t got[N + 1];
    (void)state;
    rng r = {8};
    rng_fill(&r, EM_F32, x, N);
    const float some[] = {1.00390625f, 1.01171875f, -1.00390625f, 3.4e38f, 3.3895e38f, INFINITY, -0.0f};
    memcpy(x, some, sizeof some);
    kernels->round(got, x, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(got[i], em__f32_to_bf16(x[i]));
    assert_int_equal(got[N], 0);
}

static void test_threads(void **state)
{
    static const int64_t shapes[][3] = {{64, 515, 1030}, {511, 300, 700}, {100, 1024, 512}};
    (void)state;
    rng r = {9};
    for (int i = 0; i < 3; i++) {
        product p = product_new(&r, &(shape){shapes[i][0], shapes[i][1], shapes[i][2], 0, 7});
        const size_t n = (size_t)(p.args.m * p.args.n);
        float *want = malloc(n * sizeof *want);
        for (int t = 0; t < 4; t++) {
            run(&p, pools[t]);
            if (t == 0)
                memcpy(want, p.c, n * sizeof *want);
            EXPECT_SAME_BITS(EM_F32, p.c, want, n);
        }
        for (p.args.m = 1; p.args.m < 32; p.args.m += 3) {
            run(&p, pools[1]);
            EXPECT_SAME_BITS(EM_F32, p.c, want, (size_t)(p.args.m * p.args.n));
        }
        free(want);
        product_free(&p);
    }
}

/* A packed B has the bits of the plain one. */
static void test_packed(void **state)
{
    static const int64_t shapes[][3] = {{64, 48, 128}, {65, 200, 1152}, {70, 33, 512}, {100, 530, 640}};
    (void)state;
    rng r = {10};
    for (int i = 0; i < 4; i++) {
        product p = product_new(&r, &(shape){shapes[i][0], shapes[i][1], shapes[i][2], 0, 7});
        const size_t n = (size_t)(p.args.m * p.args.n), bytes = em__bf12_bytes(p.args.n, p.args.k);
        float *want = malloc(n * sizeof *want);
        void *packed = em__block_alloc(bytes);
        assert_true(em__bf12_pack(em__gemm_kernels_get(EM__CPU_AVX512), pools[1], packed, p.half, p.args.n, p.args.k,
                                  p.args.half.row));
        run(&p, pools[1]);
        memcpy(want, p.c, n * sizeof *want);
        p.args.half = (em__gemm_half){packed, EM_BF16, p.args.k, 1, true};
        run(&p, pools[2]);
        EXPECT_SAME_BITS(EM_F32, p.c, want, n);
        em__block_free(packed, bytes);
        free(want);
        product_free(&p);
    }
}

/* The level's tests, where it has kernels of its own. */
static int test_level(em__cpu_level level)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_rounding), cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_packed)};
    const em__round_kernels *below = kernels;
    kernels = em__round_kernels_get(level);
    if (!kernels || kernels == below)
        return 0;
    print_message("level %s\n", em__cpu_level_name(level));
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    if (!em__round_kernels_get(EM__CPU_AVX512)) {
        print_message("skipped: nothing multiplies bf16 here\n");
        return 77;
    }
    for (int i = 0; i < 4; i++)
        if (em__pool_new(thread_counts[i], &pools[i]) != EM_OK)
            return 1;
    int failed = test_level(EM__CPU_AVX512) + test_level(EM__CPU_AMX);
    for (int i = 0; i < 4; i++)
        em__pool_free(pools[i]);
    return failed;
}
