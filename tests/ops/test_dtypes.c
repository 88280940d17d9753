/*
 * Arrays too large for one piece of work, of every dtype: the cpu agrees with ref, has the same bits at 1, 2 and 5
 * threads, takes operands that lie transposed, and fails cleanly where memory runs out. Edge values are in the books.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>
#include <emily/ops.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

#define ROWS 173
#define COLS 1009

/* Two operands; each op takes what it needs. */
typedef em_array *(*op_fn)(em_scope *s, em_array *a, em_array *b);

#define UNARY(name)                                                                                                    \
    static em_array *op_##name(em_scope *s, em_array *a, em_array *b)                                                  \
    {                                                                                                                  \
        (void)b;                                                                                                       \
        return em_##name(s, a);                                                                                        \
    }
#define BINARY(name)                                                                                                   \
    static em_array *op_##name(em_scope *s, em_array *a, em_array *b)                                                  \
    {                                                                                                                  \
        return em_##name(s, a, b);                                                                                     \
    }
UNARY(abs)
UNARY(exp)
UNARY(sqrt)
UNARY(conjugate)
UNARY(is_finite)
BINARY(add)
BINARY(mul)
BINARY(equal)

static em_array *op_turned(em_scope *s, em_array *a, em_array *b)
{
    return em_sub(s, em_transpose(s, a, EM_ALL_AXES),
                  em_slice(s, em_transpose(s, b, EM_ALL_AXES), (int64_t[]){0, 1}, (int64_t[]){COLS, 2}, NULL));
}

static em_array *op_sum_rows(em_scope *s, em_array *a, em_array *b)
{
    return em_add(s, em_sum(s, a, EM_AXES(1), false), em_sum(s, b, EM_AXES(1), false));
}

static em_array *op_sum_columns(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_sum(s, a, EM_AXES(0), true);
}

static em_array *op_sum_all(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_sum(s, em_reshape(s, a, em_shape(ROWS * COLS)), EM_AXES(0), false);
}

static em_array *op_product(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_product(s, em_slice(s, a, (int64_t[]){0, 0}, (int64_t[]){5, 20}, NULL), EM_AXES(0), false);
}

static em_array *op_apart(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_sum(
        s, em_reshape(s, em_slice(s, a, (int64_t[]){0, 0}, (int64_t[]){ROWS, 1008}, NULL), em_shape(ROWS, 8, 126)),
        EM_AXES(0, 2), false);
}

static em_array *op_any(em_scope *s, em_array *a, em_array *b)
{
    return em_any(s, em_logical_and(s, a, b), EM_AXES(1), false);
}

static em_array *op_softmax(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_softmax(s, a, 0);
}

static em_array *op_argmax(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_argmax_with(s, a, &(em_arg_options){.struct_size = sizeof(em_arg_options), .axis = 0, .last = true});
}

static em_array *op_iota(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_add(s, a, em_iota(s, em_array_dtype(a), em_shape(ROWS, COLS), 1));
}

static em_array *op_cast_s16(em_scope *s, em_array *a, em_array *b)
{
    (void)b;
    return em_cast(s, a, EM_S16);
}

static const struct row {
    const char *name;
    op_fn fn;
    int kinds;   /* 1: f8, 2: complex, 4: f16 */
    double loss; /* in units of the dtype's precision, of the result's scale */
} rows[] = {
    {"abs", op_abs, 7, 1},
    {"exp", op_exp, 7, 4},
    {"sqrt", op_sqrt, 7, 2},
    {"conjugate", op_conjugate, 2, 0},
    {"is_finite", op_is_finite, 7, 0},
    {"add", op_add, 7, 1},
    {"mul", op_mul, 7, 2},
    {"equal", op_equal, 7, 0},
    {"turned", op_turned, 7, 1},
    {"sum rows", op_sum_rows, 7, 8},
    {"sum columns", op_sum_columns, 7, 8},
    {"sum all", op_sum_all, 2, 64},
    {"product", op_product, 7, 8},
    {"apart", op_apart, 7, 64},
    {"any", op_any, 7, 0},
    {"softmax", op_softmax, 5, 2},
    {"argmax", op_argmax, 5, 0},
    {"iota", op_iota, 7, 1},
    {"cast_s16", op_cast_s16, 7, 0},
};

static const struct {
    em_dtype dtype;
    int kind;
    double unit;
} dtypes[] = {{EM_C64, 2, 0x1p-23},
              {EM_C128, 2, 0x1p-52},
              {EM_F8_E4M3FN, 1, 0x1p-3},
              {EM_F8_E5M2, 1, 0x1p-2},
              {EM_F16, 4, 0x1p-10}};

static float values[2][2][ROWS * COLS]; /* operand, part */

static em_array *operand(em_scope *s, int which, em_dtype dtype)
{
    em_array *re = em_constant(s, EM_F32, values[which][0], em_shape(ROWS, COLS));
    if (em_dtype_get_kind(dtype) != EM_KIND_COMPLEX)
        return em_cast(s, re, dtype);
    em_array *im = em_constant(s, EM_F32, values[which][1], em_shape(ROWS, COLS));
    return em_cast(s, em_make_complex(s, re, im), dtype);
}

static em_array *apply(em_scope *s, const struct row *row, em_dtype dtype)
{
    em_array *out = row->fn(s, operand(s, 0, dtype), operand(s, 1, dtype));
    EXPECT_OK(em_eval(s, out));
    return out;
}

static void compare(const struct row *row, em_array *got, em_array *want, double unit)
{
    em_dtype dtype = em_array_dtype(got), part = dtype == EM_C64 ? EM_F32 : dtype == EM_C128 ? EM_F64 : dtype;
    size_t n = em_array_size(got) * (part == dtype ? 1 : 2);
    double scale = 0;
    for (size_t i = 0; i < n; i++) {
        double size = fabs(expect_element(part, em_array_data(want), i));
        scale = size > scale ? size : scale;
    }
    EXPECT_CLOSE(part, em_array_data(got), em_array_data(want), n, row->loss * unit * scale, 0);
}

static void test_large(void **state)
{
    (void)state;
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            if (!(rows[r].kinds & dtypes[d].kind))
                continue;
            em_scope *ref = em_scope_new(em_device_find("ref")), *cpu = em_scope_new(em_device_default());
            em_array *first = apply(cpu, &rows[r], dtypes[d].dtype);
            print_message("%s %s\n", rows[r].name, em_dtype_name(dtypes[d].dtype));
            compare(&rows[r], first, apply(ref, &rows[r], dtypes[d].dtype), dtypes[d].unit);
            for (int threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) {
                em_scope *again = em_scope_new(em_device_default());
                EXPECT_OK(em_device_set_threads(em_device_default(), threads));
                em_array *out = apply(again, &rows[r], dtypes[d].dtype);
                assert_memory_equal(em_array_data(out), em_array_data(first), em_array_bytes(first));
                em_scope_free(again);
            }
            EXPECT_OK(em_device_set_threads(em_device_default(), 0));
            em_scope_free(ref), em_scope_free(cpu);
        }
}

static em_status everything(void *context)
{
    (void)context;
    em_scope *s = em_scope_new(em_device_default());
    if (!s)
        return em_last_status();
    float x[24] = {1, 2, 3, 4, 5};
    em_array *a = em_constant(s, EM_F32, x, em_shape(2, 3, 4)), *z = em_make_complex(s, a, em_rint(s, a));
    em_array *f8 = em_cast(s, a, EM_F8_E5M2);
    em_array *all[] = {em_variance(s, z, EM_AXES(0, 2), 1, false),
                       em_logsumexp(s, f8, EM_AXES(1), true),
                       em_standard_deviation(s, f8, EM_ALL_AXES, 0, false),
                       em_all_close(s, z, z, 1e-5, 1e-8, true),
                       em_argmax_with(s, f8, NULL),
                       em_softmax(s, em_mul(s, f8, f8), 1),
                       em_product(s, em_exp(s, z), EM_AXES(1), false),
                       em_bitcast(s, f8, EM_U8)};
    for (size_t i = 0; i < sizeof all / sizeof *all && em_scope_status(s) == EM_OK; i++)
        (void)em_eval(s, all[i]);
    em_status status = em_scope_status(s);
    em_scope_free(s);
    return status;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep(everything, NULL) > 50);
}

static int fill(void **state)
{
    (void)state;
    rng r = {20};
    for (int which = 0; which < 2; which++)
        for (int part = 0; part < 2; part++)
            for (size_t i = 0; i < ROWS * COLS; i++)
                values[which][part][i] = (float)rng_between(&r, 0.25, 1.25) * (i % 3 || part ? 1 : -1);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_large), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, fill, NULL);
}
