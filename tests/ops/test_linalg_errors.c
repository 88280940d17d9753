/*
 * Linear algebra that can't be done: matrices without an answer, named by op and place in the batch; wrong shapes,
 * flags and sizes; every allocation failed once.
 */
#include <math.h>
#include <string.h>

#include <emily/linalg.h>
#include <emily/ops.h>
#include <emily/program.h>

#include "array/array.h"
#include "core/error.h"
#include "device/linalg.h"
#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/faults.h"
#include "ops/linalg.h"

/* Three matrices: good, bad, bad. */
static em_array *batch(em_scope *s, em_dtype dtype, const double *bad)
{
    double values[12] = {2, 1, 1, 2};
    memcpy(values + 4, bad, 4 * sizeof *bad);
    memcpy(values + 8, bad, 4 * sizeof *bad);
    return em_cast(s, em_constant(s, EM_F64, values, em_shape(3, 2, 2)), dtype);
}

static void expect_no_answer(em_scope *s, em_array *out, const char *words)
{
    if (!out)
        fail_msg("%s", em_scope_error(s));
    EXPECT_ERROR(em_array_eval(out), EM_ERROR_INVALID_ARGUMENT, words);
    EXPECT_ERROR(em_array_eval(out), EM_ERROR_INVALID_ARGUMENT, words); /* and again */
}

static void test_no_answer(void **state)
{
    (void)state;
    static const double singular[] = {1, 2, 2, 4}, indefinite[] = {1, 2, 2, 1}, flat[] = {0, 0, 0, 0},
                        half[] = {1, 0, 5, 0};
    static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_C64, EM_C128, EM_BF16};
    for (em_device *const *device = devices_under_test(); *device; device++)
        for (int t = 0; t < 5; t++) {
            em_scope *s = em_scope_new(*device);
            em_dtype dtype = dtypes[t];
            expect_no_answer(s, em_cholesky(s, batch(s, dtype, indefinite), false),
                             "cholesky: matrix 1 of 3 is not positive definite");
            expect_no_answer(s, em_cholesky(s, batch(s, dtype, flat), true), "cholesky: matrix 1 of 3");
            expect_no_answer(s, em_inverse(s, batch(s, dtype, singular)), "solve: matrix 1 of 3 is singular");
            expect_no_answer(s, em_inverse(s, batch(s, dtype, flat)), "solve: matrix 1 of 3 is singular");
            em_array *b = batch(s, dtype, half);
            expect_no_answer(s, em_triangular_solve(s, b, b, 0), "triangular_solve: matrix 1 of 3 is singular");
            EXPECT_OK(em_array_eval(em_triangular_solve(s, b, b, EM_TRIANGLE_UNIT)));
            EXPECT_OK(em_scope_status(s));
            em_scope_free(s);
        }
}

/* A batch whose only bad matrix is the last of many, on several threads. */
static void test_the_first_of_many_is_named(void **state)
{
    (void)state;
    enum { N = 500 };
    static double values[N * 4];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < 4; j++)
            values[4 * i + j] = i % 97 == 96 ? 1 : j == 0 || j == 3;
    EXPECT_OK(em_device_set_threads(em_device_default(), 5));
    em_scope *s = em_scope_new(NULL);
    for (int i = 0; i < 20; i++)
        expect_no_answer(s, em_inverse(s, em_constant(s, EM_F64, values, em_shape(5, N / 5, 2, 2))),
                         "matrix 96 of 500");
    em_scope_free(s);
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
}

typedef em_array *(*builder)(em_scope *s, em_array *a);

static em_array *do_lu(em_scope *s, em_array *a)
{
    em_array *p, *l, *u;
    return em_lu(s, a, &p, &l, &u) == EM_OK ? l : NULL;
}

static em_array *do_qr(em_scope *s, em_array *a)
{
    em_array *q;
    return em_qr(s, a, true, &q, NULL) == EM_OK ? q : NULL;
}

static em_array *do_eigh(em_scope *s, em_array *a)
{
    em_array *values, *vectors;
    return em_eigh(s, a, &values, &vectors) == EM_OK ? vectors : NULL;
}

static em_array *do_svd(em_scope *s, em_array *a)
{
    em_array *values, *u;
    return em_svd(s, a, false, &u, &values, NULL) == EM_OK ? u : NULL;
}

static em_array *do_cholesky(em_scope *s, em_array *a)
{
    return em_cholesky(s, a, false);
}

static em_array *do_solve(em_scope *s, em_array *a)
{
    return em_solve(s, a, a);
}

static em_array *do_triangular(em_scope *s, em_array *a)
{
    return em_triangular_solve(s, a, a, EM_TRIANGLE_RIGHT);
}

static em_array *do_norm(em_scope *s, em_array *a)
{
    return em_matrix_norm(s, a, EM_NORM_NUCLEAR);
}

static em_array *do_rank(em_scope *s, em_array *a)
{
    return em_matrix_rank(s, a, -1);
}

static em_array *do_pseudo(em_scope *s, em_array *a)
{
    return em_pseudo_inverse(s, a, -1);
}

static const struct row {
    builder build;
    bool square;
} builders[] = {{do_lu, false},      {do_qr, false},   {do_eigh, true},       {do_svd, false},
                {do_cholesky, true}, {do_solve, true}, {do_triangular, true}, {em_determinant, true},
                {em_inverse, true},  {do_norm, false}, {do_rank, false},      {do_pseudo, false}};
#define BUILDERS (sizeof builders / sizeof *builders)

static void wrong(builder build, em_dims dims)
{
    em_scope *s = em_scope_new(NULL);
    assert_null(build(s, em_iota(s, EM_F32, dims, 0)));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "");
    assert_null(build(s, NULL)); /* passes through */
    em_scope_free(s);
}

static void test_wrong_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < BUILDERS; i++) {
        wrong(builders[i].build, EM_SCALAR_SHAPE);
        if (builders[i].build != do_solve && builders[i].build != do_triangular)
            wrong(builders[i].build, em_shape(4));
        if (builders[i].square)
            wrong(builders[i].build, em_shape(3, 4));
    }
    em_scope *s = em_scope_new(NULL);
    assert_null(
        em_triangular_solve(s, em_iota(s, EM_F32, em_shape(3, 3), 0), em_iota(s, EM_F32, em_shape(3, 3), 0), 32));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "0x20");
    em_scope_free(s);
    s = em_scope_new(NULL);
    assert_null(em_solve(s, em_iota(s, EM_F32, em_shape(2, 3, 3), 0), em_iota(s, EM_F32, em_shape(3, 3, 3), 0)));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "leading axes");
    em_scope_free(s);
    s = em_scope_new(NULL);
    assert_null(em_solve(s, em_iota(s, EM_F32, em_shape(3, 3), 0), em_iota(s, EM_F32, em_shape(4, 2), 0)));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "do not fit each other");
    em_scope_free(s);
    s = em_scope_new(NULL);
    assert_null(em_matrix_norm(s, em_iota(s, EM_F32, em_shape(3, 3), 0), (em_norm)99));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "norm 99");
    em_scope_free(s);
}

static int measures_nothing(const em__linalg *job, em__matrix *in, em__matrix *out, em__workspace *workspace)
{
    (void)job, (void)in, (void)out, (void)workspace;
    return 0;
}

/* Sizes are refused before memory is asked for. */
static void test_too_large(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {
        {46341, 46341}, {INT64_C(1) << 32, 1}, {1, INT64_C(1) << 31}, {1 << 20, 1 << 20}};
    em__linalg job;
    for (size_t i = 0; i < 4; i++) {
        em__tensor a = {.spec = {EM_F64, 2, {sizes[i][0], sizes[i][1]}}};
        em__call call = {.op = EM__OP_CHOLESKY, .n_in = 1, .in = &a, .out = a, .ints = (int64_t[]){0}, .n_ints = 1};
        EXPECT_ERROR(em__linalg_open(&call, EM_F64, measures_nothing, &job), EM_ERROR_UNSUPPORTED, "too large");
    }
    em__tensor a = {.spec = {EM_F64, 2, {20001, 20001}}};
    em__call call = {.op = EM__OP_EIGH, .n_in = 1, .in = &a, .ints = (int64_t[]){1}, .n_ints = 1};
    EXPECT_ERROR(em__linalg_open(&call, EM_F64, measures_nothing, &job), EM_ERROR_UNSUPPORTED, "20001 x 20001");
}

/* Everything eagerly, or compiled. */
typedef struct way {
    em_device *device;
    bool compiled;
} way;

static em_status all_ops(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    for (size_t i = 0; i < BUILDERS; i++)
        out[i] = builders[i].build(s, in[0]);
    return em_scope_status(s);
}

static const double good[] = {4, 1, 0, 1, 5, 2, 0, 2, 6};

static em_status run_all(void *context)
{
    const way *w = context;
    em_array *out[BUILDERS] = {0}, *a;
    em_program *program = NULL;
    em_clear_error();
    em_scope *s = em_scope_new(w->device);
    em_status status = s && (a = em_constant(s, EM_F64, good, em_shape(3, 3))) ? EM_OK : em_last_status();
    if (status == EM_OK && w->compiled) {
        em_spec spec = {EM_F64, {2, {3, 3}}};
        em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .device = w->device};
        program = em_compile(all_ops, NULL, &spec, 1, BUILDERS, &options);
        status = program ? em_run(program, &a, out) : em_last_status();
        for (size_t i = 0; i < BUILDERS; i++)
            em_array_release(&out[i]);
    } else if (status == EM_OK) {
        status = all_ops(s, &a, out, NULL);
        for (size_t i = 0; i < BUILDERS && status == EM_OK; i++)
            status = em_eval(s, out[i]);
        if (status != EM_OK && !*em_last_error())
            status = em__fail(status, "%s", em_scope_error(s));
    }
    em_program_free(program);
    em_scope_free(s);
    return status;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    for (em_device *const *device = devices_under_test(); *device; device++)
        for (int compiled = 0; compiled < 2; compiled++) {
            way w = {*device, compiled};
            assert_true(faults_sweep(run_all, &w) > 50);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_the_first_of_many_is_named),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
