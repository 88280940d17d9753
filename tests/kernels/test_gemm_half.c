/*
 * Products with half weights read in place, at every level this machine runs: the bits of the f32 product of the
 * weights cast to f32 (beside matrix units: its value), for any rows, strides, edges and thread count.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/float16.h"
#include "device/cpu/gemm.h"
#include "device/cpu/gemm_kernels.h"
#include "harness/expect.h"
#include "harness/rng.h"

static const int thread_counts[] = {1, 2, 3, 5};
static em__pool *pools[4];

typedef struct product {
    em__gemm_args args; /* with `half`; its c is `got` */
    float *a, *bias, *residual, *got, *want, *wide;
    uint16_t *half;
} product;

static void halve_negative(void *out, const void *in, size_t n)
{
    float *y = out;
    const float *x = in;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? x[i] * 0.5f : x[i];
}

static float widened(const em__gemm_half *half, int64_t j, int64_t k)
{
    const uint16_t h = half->data[j * half->row + k * half->depth];
    return half->dtype == EM_BF16 ? em__bf16_to_f32(h) : em__f16_to_f32(h);
}

/* Exactly as large as what may be read, for the sanitizers. */
static void *filled(rng *r, em_dtype dtype, int64_t n, bool edges)
{
    void *data = malloc((size_t)n * em_dtype_size(dtype) + 1);
    assert_non_null(data);
    if (edges)
        rng_fill_edges(r, dtype, data, (size_t)n);
    else
        rng_fill(r, dtype, data, (size_t)n);
    return data;
}

typedef struct shape {
    int64_t m, n, k, pad;
    bool turned; /* the weight is [k, n] */
    bool edges;
    int mask; /* bias 1, residual 2, activation 4 */
} shape;

static product product_new(rng *r, const shape *s, em_dtype dtype)
{
    product p = {.args = {.m = s->m, .n = s->n, .k = s->k, .lda = s->k + s->pad, .ldc = s->n + s->pad}};
    const int64_t row = s->turned ? 1 : s->k + s->pad, depth = s->turned ? s->n + s->pad : 1;
    const int64_t room = s->k ? (s->n - 1) * row + (s->k - 1) * depth + 1 : 0;
    p.a = filled(r, EM_F32, s->k ? (s->m - 1) * p.args.lda + s->k : 0, s->edges);
    p.half = filled(r, dtype, room, s->edges);
    p.bias = filled(r, EM_F32, s->n, s->edges);
    p.args.ldr = s->n + 2 * s->pad;
    p.residual = filled(r, EM_F32, s->m * p.args.ldr, s->edges);
    p.got = filled(r, EM_F32, s->m * p.args.ldc, false);
    p.want = malloc((size_t)(s->m * p.args.ldc) * sizeof *p.want);
    memcpy(p.want, p.got, (size_t)(s->m * p.args.ldc) * sizeof *p.want);
    p.args.a = p.a;
    p.args.half = (em__gemm_half){p.half, dtype, row, depth};
    p.wide = malloc((size_t)(s->n * s->k + 1) * sizeof *p.wide);
    for (int64_t j = 0; j < s->n; j++)
        for (int64_t k = 0; k < s->k; k++)
            p.wide[j * s->k + k] = widened(&p.args.half, j, k);
    p.args.bias = s->mask & 1 ? p.bias : NULL;
    p.args.residual = s->mask & 2 ? p.residual : NULL;
    p.args.activation = s->mask & 4 ? halve_negative : NULL;
    return p;
}

static void product_free(product *p)
{
    free(p->a), free(p->half), free(p->bias), free(p->residual), free(p->got), free(p->want), free(p->wide);
}

/* The f32 product of the cast weights. */
static void run_wide(product *p, const em__gemm_kernels *kernels)
{
    em__gemm_args args = p->args;
    size_t bytes = em__gemm_f32_packed_bytes(kernels, args.n, args.k);
    float *packed = em__block_alloc(bytes);
    em__gemm_f32_pack(kernels, pools[0], packed, p->wide, args.n, args.k, args.k, 1);
    args.half.data = NULL;
    args.b = packed;
    args.c = p->want;
    EXPECT_OK(em__gemm_f32(kernels, pools[0], &args));
    em__block_free(packed, bytes);
}

static void compare(const product *p, const em__gemm_kernels *kernels, const char *what)
{
    const em__gemm_half *half = &p->args.half;
    const bool other = kernels->split && (p->args.m <= 8 || half->dtype != EM_BF16 || half->depth != 1);
    for (int64_t i = 0; i < p->args.m * p->args.ldc; i++) {
        const float got = p->got[i], want = p->want[i];
        const bool same = memcmp(&got, &want, sizeof got) == 0 || (isnan(got) && isnan(want));
        const bool close = other && fabsf(got - want) <= 1e-6f * (float)p->args.k + 1e-5f * fabsf(want);
        if (!same && !close)
            fail_msg("%s, level %s, %s: m %d n %d k %d: element %d is %.9g, expected %.9g", what,
                     em__cpu_level_name(em__gemm_kernels_level(kernels)), em_dtype_name(p->args.half.dtype),
                     (int)p->args.m, (int)p->args.n, (int)p->args.k, (int)i, got, want);
    }
}

static void check(rng *r, const em__gemm_kernels *kernels, const shape *s, const char *what)
{
    static const em_dtype dtypes[] = {EM_BF16, EM_F16};
    for (int d = 0; d < 2; d++) {
        product p = product_new(r, s, dtypes[d]);
        run_wide(&p, kernels);
        p.args.c = p.got;
        EXPECT_OK(em__gemm_half_run(kernels, pools[rng_below(r, 4)], &p.args));
        compare(&p, kernels, what);
        product_free(&p);
    }
}

static void each_level(void (*run)(rng *r, const em__gemm_kernels *kernels))
{
    for (int level = 0; level < EM__CPU_LEVEL_COUNT; level++) {
        const em__gemm_kernels *kernels = em__gemm_kernels_get(level);
        rng r = {11};
        if (em__gemm_kernels_level(kernels) == (em__cpu_level)level)
            run(&r, kernels);
        else
            print_message("nothing of level %s runs here\n", em__cpu_level_name(level));
    }
}

static void check_shapes(rng *r, const em__gemm_kernels *kernels)
{
    static const int64_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 64};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int j = 0; j < 6; j++) {
            shape s = {rows[i], 1 + (int64_t)rng_below(r, 70), (int64_t)rng_below(r, 300), 0, false, false, j};
            s.pad = j % 2 ? 3 : 0;
            check(r, kernels, &s, "random");
        }
        check(r, kernels, &(shape){rows[i], 49, 1024, 0, false, false, 7}, "even");
        check(r, kernels, &(shape){rows[i], 40, 33, 1, true, false, 1}, "turned");
    }
    for (int64_t k = 0; k <= 70; k++)
        check(r, kernels, &(shape){1 + (int64_t)rng_below(r, 9), 19, k, k % 3, false, false, 0}, "depth");
    for (int64_t n = 1; n <= 70; n++)
        check(r, kernels, &(shape){1 + (int64_t)rng_below(r, 9), n, 40, n % 3, false, false, 1}, "columns");
    check(r, kernels, &(shape){3, 1000, 1300, 0, false, false, 3}, "many tasks");
    check(r, kernels, &(shape){300, 200, 800, 0, false, false, 5}, "blocks");
    check(r, kernels, &(shape){30, 300, 2048, 0, false, false, 2}, "rows a page apart");
}

/* Infinities, NaN and subnormals meet what they would in f32. Matrix units have their own way with the latter. */
static void check_edges(rng *r, const em__gemm_kernels *kernels)
{
    for (int64_t m = kernels->split ? 9 : 1; m <= 12; m++)
        for (int64_t k = 1; k <= 40; k += 3)
            check(r, kernels, &(shape){m, 35, k, 1, m == 5, true, (int)m % 8}, "edges");
}

static void check_threads(rng *r, const em__gemm_kernels *kernels)
{
    static const int64_t shapes[][3] = {{1, 700, 1024}, {8, 515, 1030}, {64, 515, 520}};
    for (int i = 0; i < 3; i++) {
        const shape s = {shapes[i][0], shapes[i][1], shapes[i][2], 0, false, false, 7};
        product p = product_new(r, &s, i == 1 ? EM_F16 : EM_BF16);
        p.args.c = p.want;
        EXPECT_OK(em__gemm_half_run(kernels, pools[0], &p.args));
        p.args.c = p.got;
        for (int t = 1; t < 4; t++) {
            EXPECT_OK(em__gemm_half_run(kernels, pools[t], &p.args));
            EXPECT_SAME_BITS(EM_F32, p.got, p.want, (size_t)(s.m * s.n));
        }
        product_free(&p);
    }
}

/* A row has the same bits alone and in company; with matrix units only among up to 8 rows, and among more. */
static void check_company(rng *r, const em__gemm_kernels *kernels)
{
    const shape s = {64, 130, 700, 0, false, false, 1};
    product p = product_new(r, &s, EM_BF16);
    p.args.c = p.want;
    EXPECT_OK(em__gemm_half_run(kernels, pools[1], &p.args));
    p.args.c = p.got;
    for (int64_t m = kernels->split ? 9 : 1; m < 20; m++) {
        p.args.m = m;
        EXPECT_OK(em__gemm_half_run(kernels, pools[1], &p.args));
        EXPECT_SAME_BITS(EM_F32, p.got, p.want, (size_t)(m * s.n));
    }
    for (int64_t m = 1; m <= 8; m++) {
        p.args.m = m;
        p.args.c = m == 1 ? p.want : p.got;
        EXPECT_OK(em__gemm_half_run(kernels, pools[1], &p.args));
        EXPECT_SAME_BITS(EM_F32, p.args.c, p.want, (size_t)s.n);
    }
    product_free(&p);
}

static void test_shapes(void **state)
{
    (void)state;
    each_level(check_shapes);
}

static void test_edges(void **state)
{
    (void)state;
    each_level(check_edges);
}

static void test_threads(void **state)
{
    (void)state;
    each_level(check_threads);
}

static void test_company(void **state)
{
    (void)state;
    each_level(check_company);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_company)};
    for (int i = 0; i < 4; i++)
        if (em__pool_new(thread_counts[i], &pools[i]) != EM_OK)
            return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < 4; i++)
        em__pool_free(pools[i]);
    return failed;
}
