/*
 * Matrix products of f64, complex and integers: every level this machine runs against ref, on random shapes with rows
 * and depth either way round, in batches; the same bits on one, two and three threads.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "core/block.h"
#include "device/cpu/product.h"
#include "device/device.h"

#define MOST (1 << 17)

static em__pool *pools[3];
static char *operands[2], *want, *got[3];

static const em_dtype dtypes[] = {EM_F64, EM_C64, EM_C128, EM_S8,  EM_U8,  EM_S16,
                                  EM_U16, EM_S32, EM_U32,  EM_S64, EM_U64, EM_PRED};

/* Batch of [rows, depth] or, turned, [depth, rows]. */
static em__tensor side(em_dtype dtype, void *data, int64_t batch, int64_t rows, int64_t depth, bool turned)
{
    em__tensor t = {.data = data, .spec = {dtype, 3, {batch, rows, depth}}};
    em__tensor_contiguous(&t);
    if (turned) {
        t.strides[1] = 1;
        t.strides[2] = rows;
    }
    return t;
}

static em__product_side as_side(const em__tensor *t)
{
    return (em__product_side){.data = t->data, .row = t->strides[1], .depth = t->strides[2], .batch = {t->strides[0]}};
}

static void fill(rng *r, em_dtype dtype, void *data, size_t n)
{
    if (em_dtype_get_kind(dtype) == EM_KIND_COMPLEX) {
        dtype = dtype == EM_C64 ? EM_F32 : EM_F64;
        n *= 2;
    }
    rng_fill(r, dtype, data, n);
}

/* Floats by value, integers by bits; complex is two floats. */
static void compare(em_dtype dtype, size_t n, int64_t k, const void *x, const char *what)
{
    const bool wide = dtype == EM_F64 || dtype == EM_C128;
    if (em_dtype_get_kind(dtype) < EM_KIND_FLOAT) {
        if (memcmp(x, want, n * em_dtype_size(dtype)) != 0)
            fail_msg("%s %s: other integers than ref's", em_dtype_name(dtype), what);
        return;
    }
    n *= em_dtype_get_kind(dtype) == EM_KIND_COMPLEX ? 2 : 1;
    for (size_t i = 0; i < n; i++) {
        const em_dtype real = wide ? EM_F64 : EM_F32;
        const double y = expect_element(real, x, i), r = expect_element(real, want, i);
        if (!(fabs(y - r) <= (wide ? 1e-14 : 2e-6) * (10 + (double)k)))
            fail_msg("%s %s: element %zu is %.17g, ref says %.17g", em_dtype_name(dtype), what, i, y, r);
    }
}

static void run_level(em__product *p, em__cpu_level level, size_t bytes)
{
    char what[128];
    size_t memory;
    assert_true(em__product_memory(p, level, &memory));
    snprintf(what, sizeof what, "%lld x %lld x %lld, batch %lld, strides %lld %lld %lld %lld, %s", (long long)p->m,
             (long long)p->n, (long long)p->k, (long long)p->dims[0], (long long)p->a.row, (long long)p->a.depth,
             (long long)p->b.row, (long long)p->b.depth, em__cpu_level_name(level));
    p->memory = em__block_alloc(memory);
    for (int i = 0; i < 3; i++) {
        memset(got[i], 0xa5, bytes + 64);
        p->c = got[i];
        em__product_run(p, level, pools[i]);
        if (memcmp(got[i], got[0], bytes + 64) != 0)
            fail_msg("%s: other bits on %d threads", what, i + 1);
    }
    assert_int_equal((unsigned char)got[0][bytes], 0xa5);
    em__block_free(p->memory, memory);
    compare(p->dtype, bytes / em_dtype_size(p->dtype), p->k, got[0], what);
}

static void run_case(rng *r, em_dtype dtype, int64_t batch, int64_t m, int64_t n, int64_t k)
{
    static const int64_t ints[] = {1, 1, 2, 2, 0, 0};
    em__tensor in[2] = {side(dtype, operands[0], batch, m, k, rng_below(r, 3) == 0),
                        side(dtype, operands[1], batch, n, k, rng_below(r, 2))};
    em__call call = {.op = EM__OP_DOT_GENERAL, .n_in = 2, .n_ints = 6, .in = in, .ints = ints};
    call.out = side(dtype, want, batch, m, n, false);
    fill(r, dtype, operands[0], (size_t)(batch * m * k));
    fill(r, dtype, operands[1], (size_t)(batch * n * k));
    EXPECT_OK(em__ref_kernel(EM__OP_DOT_GENERAL)(NULL, &call));
    em__product p = {.dtype = dtype, .m = m, .n = n, .k = k, .rank = 1, .dims = {batch}};
    p.a = as_side(&in[0]);
    p.b = as_side(&in[1]);
    for (int level = EM__CPU_PORTABLE; level <= (int)levels_best(); level++)
        run_level(&p, (em__cpu_level)level, (size_t)(batch * m * n) * em_dtype_size(dtype));
}

static void test_random(void **state)
{
    (void)state;
    rng r = {31};
    for (int trial = 0; trial < 12; trial++)
        for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
            run_case(&r, dtypes[i], 1 + (int64_t)rng_below(&r, 3), 1 + (int64_t)rng_below(&r, 40),
                     1 + (int64_t)rng_below(&r, 40), (int64_t)rng_below(&r, 40));
}

static void test_long(void **state)
{
    (void)state;
    rng r = {32};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        run_case(&r, dtypes[i], 1, 15, 19, 257 + (int64_t)rng_below(&r, 900));
        run_case(&r, dtypes[i], 1, 130, 70, 30);
    }
}

/* Rows of A that are whole pages apart: in a buffer of its own they are not. */
static void test_pages(void **state)
{
    (void)state;
    rng r = {33};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        const int64_t k = 4096 / (int64_t)em_dtype_size(dtypes[i]);
        run_case(&r, dtypes[i], 1, 15, 67, k);
        run_case(&r, dtypes[i], k > 1000 ? 1 : 2, 8, 64, k);
    }
    run_case(&r, EM_F64, 1, 9, 65, 1024);
}

static int set_up(void **state)
{
    (void)state;
    operands[0] = malloc(MOST * 16);
    operands[1] = malloc(MOST * 16);
    want = malloc(MOST * 16);
    for (int i = 0; i < 3; i++) {
        got[i] = malloc(MOST * 16);
        assert_non_null(got[i]);
        EXPECT_OK(em__pool_new(i + 1, &pools[i]));
    }
    assert_true(operands[0] && operands[1] && want);
    levels_report();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        em__pool_free(pools[i]);
        free(got[i]);
    }
    free(operands[0]);
    free(operands[1]);
    free(want);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_pages)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
