/* Hooks, prints, and the checks of EMILY_DEBUG: what they see, in which lane, and what they say. */
#include <stdio.h>
#include <string.h>

#include <emily/control.h>
#include <emily/indexing.h>
#include <emily/log.h>
#include <emily/ops.h>

#include "harness/expect.h"

/* ---- hooks ---- */

typedef struct seen {
    int calls, freed;
    float last;
} seen;

static void see(em_dtype dtype, em_dims dims, const void *data, void *user)
{
    seen *s = user;
    assert_int_equal(dtype, EM_F32);
    assert_int_equal(dims.rank, 1);
    s->calls++;
    s->last = *(const float *)data;
}

static void forget(void *user)
{
    ((seen *)user)->freed++;
}

static em_status below(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_less(s, em_sum(s, in[0], EM_ALL_AXES, false), em_scalar(s, EM_F32, 100));
    return EM_OK;
}

static em_status hooked(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_hook(s, em_add(s, in[0], in[0]), see, user, NULL);
    return EM_OK;
}

static em_status loop(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    return em_while(s, below, hooked, user, in, 1, out);
}

static void test_hook(void **state)
{
    (void)state;
    float one[] = {1, 2}, got[2];
    seen a = {0}, b = {0};
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_hook(s, em_exp(s, em_constant_f32(s, one, em_shape(2))), see, &a, forget), *y;
    assert_int_equal(a.calls, 0);
    EXPECT_OK(em_eval(s, em_add(s, x, x)));
    assert_int_equal(a.calls, 1);
    assert_float_equal(a.last, 2.7182817f, 1e-6);
    x = em_constant_f32(s, one, em_shape(2));
    EXPECT_OK(loop(s, &x, &y, &b));
    EXPECT_OK(em_eval(s, y));
    assert_int_equal(b.calls, 6); /* 3 * 2^6 >= 100 */
    em_scope_free(s);
    assert_int_equal(a.freed, 1);
    const em_spec spec = {EM_F32, {1, {2}}};
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        seen c = {0};
        const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane};
        em_program *p = em_compile(loop, &c, &spec, 1, 1, &options);
        assert_non_null(p);
        EXPECT_OK(em_run_raw(p, (const void *[]){one}, (void *[]){got}));
        EXPECT_OK(em_run_raw(p, (const void *[]){one}, (void *[]){got}));
        assert_int_equal(c.calls, 12);
        assert_float_equal(c.last, 64, 0);
        em_program_free(p);
    }
}

static void change_threads(em_dtype dtype, em_dims dims, const void *data, void *user)
{
    (void)dtype;
    (void)dims;
    (void)data;
    em_device *cpu = em_device_at(0);
    *(em_status *)user = em_device_set_threads(cpu, em_device_threads(cpu));
}

/* Of the run that calls it: it would wait for itself. */
static void test_threads_within_a_hook(void **state)
{
    (void)state;
    em_status status = EM_OK;
    em_scope *s = em_scope_new(em_device_at(0));
    EXPECT_OK(em_eval(s, em_hook(s, em_exp(s, em_scalar(s, EM_F32, 1)), change_threads, &status, NULL)));
    assert_int_equal(status, EM_ERROR_INVALID_ARGUMENT);
    em_scope_free(s);
    EXPECT_OK(em_device_set_threads(em_device_at(0), em_device_threads(em_device_at(0))));
}

static char logged[1024];

static void keep_line(em_log_level level, const char *message, void *user)
{
    (void)user;
    if (level == EM_LOG_INFO)
        snprintf(logged, sizeof logged, "%s", message);
}

static void test_print(void **state)
{
    (void)state;
    em_log_set(keep_line, EM_LOG_INFO, NULL);
    em_scope *s = em_scope_new(NULL);
    float x[] = {1, -2.5f, 0};
    EXPECT_OK(em_eval(s, em_print(s, em_constant_f32(s, x, em_shape(3)), "x")));
    assert_string_equal(logged, "x: f32[3] 1 -2.5 0");
    EXPECT_OK(em_eval(s, em_print(s, em_iota(s, EM_U8, em_shape(20), 0), "i")));
    assert_string_equal(logged, "i: u8[20] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 ..");
    em_scope_free(s);
    em_log_set(NULL, EM_LOG_INFO, NULL);
}

/* ---- checks ---- */

static em_status rooted(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *root = em_log(s, em_sub(s, in[0], em_scalar(s, EM_F32, 2)));
    out[0] = em_mul(s, em_sum(s, root, EM_ALL_AXES, false), em_scalar(s, EM_F32, 3));
    return EM_OK;
}

static void expect_named(em_status status)
{
    EXPECT_ERROR(status, EM_ERROR_INVALID_ARGUMENT, "log: produced NaN at element 1 of f32[3]");
}

static void test_first_nan_is_named(void **state)
{
    (void)state;
    float x[] = {3, 1, 4}, got;
    em_scope *s = em_scope_new(NULL);
    em_array *in = em_constant_f32(s, x, em_shape(3)), *out;
    const em_spec spec = {EM_F32, {1, {3}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE};
    em_program *p = em_compile(rooted, NULL, &spec, 1, 1, &options);
    em_debug_set(EM_DEBUG_NAN);
    EXPECT_OK(rooted(s, &in, &out, NULL));
    expect_named(em_array_eval(out));
    expect_named(em_run_raw(p, (const void *[]){x}, (void *[]){&got}));
    x[1] = 5;
    EXPECT_OK(em_run_raw(p, (const void *[]){x}, (void *[]){&got}));
    em_debug_set(EM_DEBUG_NONE);
    x[1] = 1;
    EXPECT_OK(em_run_raw(p, (const void *[]){x}, (void *[]){&got}));
    em_program_free(p);
    em_scope_free(s);
}

static void test_infinities_and_bounds(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_debug_set(EM_DEBUG_INF | EM_DEBUG_BOUNDS);
    em_array *big = em_exp(s, em_scalar(s, EM_F32, 100));
    EXPECT_ERROR(em_array_eval(big), EM_ERROR_INVALID_ARGUMENT, "exp: produced an infinity");
    em_array *a = em_iota(s, EM_F32, em_shape(5), 0);
    EXPECT_ERROR(em_array_eval(em_take(s, a, em_scalar(s, EM_S32, 7), 0)), EM_ERROR_INVALID_ARGUMENT,
                 "take: index 7 on axis 0 out of range (dim=5)");
    EXPECT_OK(em_array_eval(em_take(s, a, em_scalar(s, EM_S32, 4), 0)));
    em_debug_set(EM_DEBUG_NONE);
    EXPECT_OK(em_array_eval(em_take(s, a, em_scalar(s, EM_S32, 7), 0)));
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hook), cmocka_unit_test(test_threads_within_a_hook),
                                       cmocka_unit_test(test_print), cmocka_unit_test(test_first_nan_is_named),
                                       cmocka_unit_test(test_infinities_and_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
