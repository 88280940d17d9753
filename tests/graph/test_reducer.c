/* Reductions by the user's functions, against the loops that say what they mean. */
#include <emily/control.h>
#include <emily/ops.h>

#include "harness/expect.h"

/* Neither commutative nor associative: the order shows. */
static em_array *mix(em_scope *s, em_array *x, em_array *acc, void *user)
{
    return em_add(s, em_mul(s, acc, em_scalar(s, EM_F64, *(const double *)user)), x);
}

static em_status reduced(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *one = em_scalar(s, EM_F64, 1);
    const em_window_options options = {.struct_size = sizeof options,
                                       .strides = (const int64_t[]){1, 2, 1},
                                       .low = (const int64_t[]){0, 1, 0},
                                       .high = (const int64_t[]){1, 0, 0},
                                       .dilations = (const int64_t[]){1, 1, 2}};
    out[0] = em_reduce(s, in[0], one, EM_ALL_AXES, false, mix, user);
    out[1] = em_reduce(s, in[0], one, EM_AXES(0, -1), true, mix, user);
    out[2] = em_window_reduce(s, in[0], one, (const int64_t[]){2, 3, 2}, &options, mix, user);
    out[3] = em_reduce(s, em_reshape(s, one, (em_dims){0}), one, EM_ALL_AXES, true, mix, user);
    return em_scope_status(s);
}

enum { A = 2, B = 5, C = 4 };

static double window_at(const double (*x)[B][C], int a, int b, int c, double factor)
{
    double acc = 1;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 2; k++) {
                int p = a + i, q = 2 * b + j - 1, r = c + 2 * k;
                acc = acc * factor + (p < A && q >= 0 ? x[p][q][r] : 1);
            }
    return acc;
}

static void check(em_array *const *got, const double (*x)[B][C], double factor)
{
    double all = 1;
    for (int i = 0; i < A * B * C; i++)
        all = all * factor + (&x[0][0][0])[i];
    assert_float_equal(*(const double *)em_array_data(got[0]), all, 0);
    const double *some = em_array_data(got[1]), *windows = em_array_data(got[2]);
    assert_int_equal(em_array_dims(got[1]).dims[1], B);
    assert_int_equal(em_array_dims(got[1]).rank, 3);
    for (int b = 0; b < B; b++) {
        double acc = 1;
        for (int a = 0; a < A; a++)
            for (int c = 0; c < C; c++)
                acc = acc * factor + x[a][b][c];
        assert_float_equal(some[b], acc, 0);
    }
    em_dims dims = em_array_dims(got[2]);
    assert_int_equal(dims.dims[0], 2);
    assert_int_equal(dims.dims[1], 2);
    assert_int_equal(dims.dims[2], 2);
    for (int i = 0; i < 8; i++)
        assert_float_equal(windows[i], window_at(x, i >> 2, i >> 1 & 1, i & 1, factor), 0);
    assert_float_equal(*(const double *)em_array_data(got[3]), factor + 1, 0);
}

static void test_order_and_lanes(void **state)
{
    (void)state;
    double x[A][B][C], factor = 0.75;
    for (int i = 0; i < A * B * C; i++)
        (&x[0][0][0])[i] = i % 7 - 2.5;
    em_scope *s = em_scope_new(NULL);
    em_array *in = em_constant(s, EM_F64, x, em_shape(A, B, C)), *eager[4], *replayed[4];
    EXPECT_OK(reduced(s, &in, eager, &factor));
    check(eager, x, factor);
    const em_spec spec = {EM_F64, {3, {A, B, C}}};
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane};
        em_program *p = em_compile(reduced, &factor, &spec, 1, 4, &options);
        assert_non_null(p);
        EXPECT_OK(em_run(p, &in, replayed));
        check(replayed, x, factor);
        for (int i = 0; i < 4; i++)
            em_array_release(&replayed[i]);
        em_program_free(p);
    }
    em_scope_free(s);
}

static em_array *to_half(em_scope *s, em_array *x, em_array *acc, void *user)
{
    (void)acc;
    (void)user;
    return em_cast(s, x, EM_F16);
}

static void test_errors(void **state)
{
    (void)state;
    double factor = 1;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_iota(s, EM_F32, em_shape(0, 3), 0), *one = em_scalar(s, EM_F64, 1);
    em_array *none = em_reduce(s, x, one, EM_AXES(0), false, mix, &factor);
    EXPECT_OK(em_eval(s, none));
    assert_int_equal(em_array_size(none), 3);
    assert_float_equal(((const double *)em_array_data(none))[2], 1, 0);
    assert_null(em_reduce(s, em_iota(s, EM_F32, em_shape(2), 0), one, EM_AXES(0), false, to_half, NULL));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "must keep shape and dtype");
    em_scope_free(s);
    s = em_scope_new(NULL);
    assert_null(
        em_reduce(s, em_iota(s, EM_F32, em_shape(2), 0), em_scalar(s, EM_F32, 0), EM_AXES(1), false, mix, NULL));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "axis 1 is out of range");
    em_scope_free(s);
    s = em_scope_new(NULL);
    assert_null(em_window_reduce(s, em_iota(s, EM_F32, em_shape(9000), 0), em_scalar(s, EM_F32, 0),
                                 (const int64_t[]){5000}, NULL, mix, NULL));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_UNSUPPORTED, "4096");
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_and_lanes), cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
