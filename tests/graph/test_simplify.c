/*
 * What the fuse lane does not compute: each function below has eager's values with the kernels that are said beside it.
 */
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "harness/expect.h"
#include "harness/rng.h"

#define ROWS 6
#define COLUMNS 10

static em_array *number(em_scope *s, em_array *like, double value)
{
    return em_scalar(s, em_array_dtype(like), value);
}

static em_array *casts(em_scope *s, em_array *x, em_array *y)
{
    (void)y;
    return em_tanh(s, em_cast(s, em_cast(s, x, EM_F64), em_array_dtype(x)));
}

static em_array *views(em_scope *s, em_array *x, em_array *y)
{
    (void)y;
    em_array *turned = em_transpose(s, em_transpose(s, x, EM_AXES(1, 0)), EM_AXES(1, 0));
    em_array *flat = em_reshape(s, em_reshape(s, turned, em_shape(ROWS * COLUMNS)), em_shape(COLUMNS, ROWS));
    return em_tanh(s, em_reshape(s, flat, em_shape(ROWS, COLUMNS)));
}

static em_array *neutral(em_scope *s, em_array *x, em_array *y)
{
    (void)y;
    em_array *a = em_mul(s, number(s, x, 1), em_sub(s, x, number(s, x, 0)));
    return em_tanh(s, em_neg(s, em_neg(s, em_add(s, em_div(s, a, number(s, x, 1)), number(s, x, -0.0)))));
}

/* 0 + -0 is 0: this one is computed. */
static em_array *kept(em_scope *s, em_array *x, em_array *y)
{
    (void)y;
    return em_add(s, x, number(s, x, 0));
}

/* u8 -> f32 -> s8 saturates, u8 -> s8 wraps: both casts are computed. */
static em_array *kept_casts(em_scope *s, em_array *x, em_array *y)
{
    (void)y;
    em_array *bytes = em_cast(s, em_abs(s, em_mul(s, x, number(s, x, 100))), EM_U8);
    return em_cast(s, em_cast(s, bytes, EM_F32), EM_S8);
}

static em_array *product(em_scope *s, em_array *x, em_array *y)
{
    return em_matmul(s, x, em_transpose(s, y, EM_AXES(1, 0)));
}

typedef struct example {
    const char *name;
    em_array *(*fn)(em_scope *s, em_array *x, em_array *y);
    size_t kernels;
    const char *absent; /* no kernel of this name */
} example;

static const example examples[] = {{"casts", casts, 1, "cast"},           {"views", views, 1, "copy"},
                                   {"neutral", neutral, 1, "mul"},        {"kept", kept, 1, "tanh"},
                                   {"kept casts", kept_casts, 1, "copy"}, {"product", product, 1, "copy"}};

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = ((const example *)user)->fn(s, in[0], in[1]);
    return em_scope_status(s);
}

static void look_for(const char *line, void *user)
{
    const char **name = user;
    if (*name && strstr(line, *name))
        *name = NULL;
}

static void check(const example *e, em_dtype dtype)
{
    double data[2][ROWS * COLUMNS];
    rng r = {5};
    em_scope *s = em_scope_new(NULL);
    em_array *in[2], *eager, *fused;
    em_spec specs[2] = {{dtype, {2, {ROWS, COLUMNS}}}, {dtype, {2, {ROWS, COLUMNS}}}};
    em_program_stats stats = {.struct_size = sizeof stats};
    const char *absent = e->absent;
    for (int i = 0; i < 2; i++) {
        rng_fill(&r, dtype, data[i], ROWS * COLUMNS);
        memset(data[i], 0, em_dtype_size(dtype));                         /* a zero, */
        ((unsigned char *)data[i])[2 * em_dtype_size(dtype) - 1] |= 0x80; /* and something negative */
        in[i] = em_constant(s, dtype, data[i], specs[i].dims);
    }
    EXPECT_OK(trace(s, in, &eager, (void *)e));
    em_program *program = em_compile(trace, (void *)e, specs, 2, 1, NULL);
    if (!program)
        fail_msg("%s: %s", e->name, em_last_error());
    em_program_get_stats(program, &stats);
    if (stats.kernels != e->kernels)
        fail_msg("%s: %zu kernels", e->name, stats.kernels);
    em_program_describe(program, look_for, &absent);
    assert_non_null(absent);
    EXPECT_OK(em_run(program, in, &fused));
    EXPECT_SAME_BITS(em_array_dtype(eager), em_array_data(fused), em_array_data(eager), em_array_size(eager));
    em_array_release(&fused);
    em_program_free(program);
    em_scope_free(s);
}

static void test_what_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        check(&examples[i], EM_F32);
        check(&examples[i], EM_BF16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_left)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
