/*
 * Two products with an activation between them: the bits of the two calls, for any rows and columns, with and without
 * biases and a residual; and nothing is written where rows or panels have to stay whole.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "device/cpu/gemm_pair.h"
#include "harness/expect.h"
#include "harness/rng.h"

static const em__gemm_kernels *kernels;
static rng values = {11};

static float *random_floats(int64_t n)
{
    float *x = em__block_alloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)rng_between(&values, -1, 1);
    return x;
}

/* Also makes what can not be split of what could be. */
static void bend(void *out, const void *in, size_t n)
{
    const float *x = in;
    for (size_t i = 0; i < n; i++)
        ((float *)out)[i] = x[i] > 1000 ? INFINITY : x[i] < 0 ? x[i] * 0.5f : x[i];
}

typedef struct setting {
    int64_t m, k, between, n;
    float *a, *b, *d, *packed[2], *bias[2], *residual, *middle, *want, *got;
    em__gemm_args up, down;
} setting;

static float *pack(const float *w, int64_t n, int64_t k)
{
    float *to = em__block_alloc(em__gemm_f32_packed_bytes(kernels, n, k));
    assert_non_null(to);
    em__gemm_f32_pack(kernels, NULL, to, w, n, k, k, 1);
    return to;
}

static setting make(int64_t m, int64_t k, int64_t between, int64_t n)
{
    setting s = {.m = m, .k = k, .between = between, .n = n};
    s.a = random_floats(m * k);
    s.b = random_floats(between * k);
    s.d = random_floats(n * between);
    s.bias[0] = random_floats(between);
    s.bias[1] = random_floats(n);
    s.residual = random_floats(m * n);
    s.middle = random_floats(m * between);
    s.want = random_floats(m * n);
    s.got = random_floats(m * n);
    return s;
}

static void free_all(setting *s)
{
    const int64_t m = s->m, k = s->k, between = s->between, n = s->n;
    const struct {
        float *at;
        int64_t count;
    } parts[] = {{s->a, m * k},   {s->b, between * k},  {s->d, n * between},      {s->bias[0], between},
                 {s->bias[1], n}, {s->residual, m * n}, {s->middle, m * between}, {s->want, m * n},
                 {s->got, m * n}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        em__block_free(parts[i].at, (size_t)parts[i].count * sizeof(float));
}

/* Runs both ways; what the pair says. */
static bool run(setting *s, int with)
{
    s->packed[0] = pack(s->b, s->between, s->k);
    s->packed[1] = pack(s->d, s->n, s->between);
    s->up = (em__gemm_args){.m = s->m,
                            .n = s->between,
                            .k = s->k,
                            .a = s->a,
                            .lda = s->k,
                            .b = s->packed[0],
                            .c = s->middle,
                            .ldc = s->between,
                            .activation = bend};
    s->down = (em__gemm_args){.m = s->m,
                              .n = s->n,
                              .k = s->between,
                              .a = s->middle,
                              .lda = s->between,
                              .b = s->packed[1],
                              .c = s->want,
                              .ldc = s->n};
    s->up.bias = with & 1 ? s->bias[0] : NULL;
    s->down.bias = with & 1 ? s->bias[1] : NULL;
    s->down.residual = with & 2 ? s->residual : NULL;
    s->down.ldr = s->n;
    EXPECT_OK(em__gemm_f32(kernels, NULL, &s->up));
    EXPECT_OK(em__gemm_f32(kernels, NULL, &s->down));
    em__gemm_args up = s->up, down = s->down;
    up.c = NULL;
    down.a = NULL;
    down.c = s->got;
    const size_t bytes = em__gemm_pair_bytes(s->k, s->n);
    char *scratch = em__block_alloc(bytes);
    assert_non_null(scratch);
    const bool done = em__gemm_pair_run(kernels, scratch, &up, &down);
    em__block_free(scratch, bytes);
    em__block_free(s->packed[0], em__gemm_f32_packed_bytes(kernels, s->between, s->k));
    em__block_free(s->packed[1], em__gemm_f32_packed_bytes(kernels, s->n, s->between));
    return done;
}

static void test_bits(void **state)
{
    (void)state;
    static const int64_t shapes[][4] = {{1, 200, 200, 200},   {16, 384, 384, 384}, {17, 150, 400, 33},
                                        {33, 384, 1536, 384}, {64, 129, 385, 129}, {50, 400, 800, 40},
                                        {96, 160, 777, 161}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int with = 0; with < 4; with++) {
            setting s = make(shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]);
            assert_true(s.m <= em__gemm_pair_rows(s.k, s.n));
            assert_true(run(&s, with));
            EXPECT_SAME_BITS(EM_F32, s.got, s.want, (size_t)(s.m * s.n));
            free_all(&s);
        }
}

static void expect_untouched(int64_t at_a, int64_t at_b, int64_t at_d, float value)
{
    setting s = make(40, 160, 800, 150);
    float *const parts[] = {s.a, s.b, s.d};
    const int64_t at[] = {at_a, at_b, at_d};
    for (int i = 0; i < 3; i++)
        if (at[i] >= 0)
            parts[i][at[i]] = value;
    float *before = random_floats(s.m * s.n);
    memcpy(before, s.got, (size_t)(s.m * s.n) * sizeof *before);
    assert_false(run(&s, 3));
    EXPECT_SAME_BITS(EM_F32, s.got, before, (size_t)(s.m * s.n));
    em__block_free(before, (size_t)(s.m * s.n) * sizeof *before);
    free_all(&s);
}

static void test_unsplittable(void **state)
{
    (void)state;
    expect_untouched(33 * 160 + 7, -1, -1, INFINITY);    /* a row of A */
    expect_untouched(33 * 160 + 7, -1, -1, 0x1p+20f);    /* ... whose products become too large */
    expect_untouched(-1, 799 * 160, -1, NAN);            /* the last panel of B */
    expect_untouched(-1, -1, 149 * 800 + 799, 0x1p+60f); /* the last panel of D */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_unsplittable)};
    kernels = em__gemm_kernels_get(EM__CPU_AMX);
    if (!kernels->split) {
        printf("skipped: this machine has no amx\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
