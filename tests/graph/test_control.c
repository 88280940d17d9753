/* Loops and branches: values, captures, nesting, lanes, errors, and what is run and allocated. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/control.h>
#include <emily/memory.h>
#include <emily/fourier.h>
#include <emily/indexing.h>
#include <emily/ops.h>

#include "core/alloc.h"
#include "harness/expect.h"
#include "harness/faults.h"

static em_array *integer(em_scope *s, int64_t value)
{
    return em_scalar(s, EM_S32, (double)value);
}

/* Doubles state 1 while state 0 < the user's bound. */
static em_status below(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_less(s, in[0], integer(s, *(const int *)user));
    return EM_OK;
}

static em_status doubled(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_add(s, in[0], integer(s, 1));
    out[1] = em_add(s, in[1], in[1]);
    return EM_OK;
}

static em_status power(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *results[2];
    em_status status = em_while(s, below, doubled, user, (em_array *[]){integer(s, 0), in[0]}, 2, results);
    out[0] = results[1];
    out[1] = results[0];
    return status;
}

static void expect_power(int bound, em_lane lane)
{
    float data[] = {1, -2.5f, 3};
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_constant_f32(s, data, em_shape(3)), *eager[2], *replayed[2];
    EXPECT_OK(power(s, &x, eager, &bound));
    for (int i = 0; i < 3; i++)
        assert_float_equal(((const float *)em_array_data(eager[0]))[i], data[i] * (float)(1 << bound), 0);
    assert_int_equal(*(const int32_t *)em_array_data(eager[1]), bound > 0 ? bound : 0);
    const em_spec spec = {EM_F32, {1, {3}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    em_program *p = em_compile(power, &bound, &spec, 1, 2, &options);
    assert_non_null(p);
    for (int run = 0; run < 2; run++) {
        EXPECT_OK(em_run(p, &x, replayed));
        for (int i = 0; i < 2; i++) {
            assert_memory_equal(em_array_data(replayed[i]), em_array_data(eager[i]), em_array_bytes(eager[i]));
            em_array_release(&replayed[i]);
        }
    }
    em_program_free(p);
    em_scope_free(s);
}

static void test_while(void **state)
{
    (void)state;
    for (int bound = 0; bound < 6; bound++) {
        expect_power(bound, EM_NATIVE);
        expect_power(bound, EM_FUSE);
    }
}

/* sum over i < rows of (row i of a), each times the captured weight; the inner loop multiplies i times by two. */
typedef struct nest {
    em_array *weight, *lazy;
} nest;

static em_status inner_next(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const nest *n = user;
    out[0] = em_sub(s, in[0], integer(s, 1));
    out[1] = em_add(s, em_mul(s, in[1], n->weight), n->lazy);
    return EM_OK;
}

static em_status positive(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_greater(s, in[0], integer(s, 0));
    return EM_OK;
}

static em_status outer_next(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *results[2];
    em_status status = em_while(s, positive, inner_next, user, (em_array *[]){in[0], in[1]}, 2, results);
    out[0] = em_sub(s, in[0], integer(s, 1));
    out[1] = results[1];
    return status;
}

static em_status nested(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    nest n = {user, em_sin(s, in[0])};
    em_array *results[2];
    em_status status = em_while(s, positive, outer_next, &n, (em_array *[]){integer(s, 3), in[0]}, 2, results);
    out[0] = results[1];
    return status;
}

static void test_nested_captures(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_scalar(s, EM_F64, 0.75), *weight = em_scalar(s, EM_F64, 1.5), *eager, *replayed;
    EXPECT_OK(nested(s, &x, &eager, weight));
    double want = 0.75, lazy = sin(0.75);
    for (int i = 3; i > 0; i--)
        for (int j = i; j > 0; j--)
            want = want * 1.5 + lazy;
    const double *got = em_array_data(eager);
    assert_non_null(got);
    assert_float_equal(*got, want, 1e-13);
    const em_spec spec = {EM_F64, {0}};
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane};
        em_program *p = em_compile(nested, weight, &spec, 1, 1, &options);
        assert_non_null(p);
        EXPECT_OK(em_run(p, &x, &replayed));
        assert_memory_equal(em_array_data(replayed), got, sizeof *got);
        em_array_release(&replayed);
        em_program_free(p);
    }
    em_scope_free(s);
}

static em_status forever(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in;
    (void)user;
    out[0] = em_scalar(s, EM_U8, 2);
    return EM_OK;
}

static em_status same(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)s;
    (void)user;
    out[0] = in[0];
    return EM_OK;
}

static em_status hang(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *x = user;
    (void)in;
    return em_while(s, forever, same, NULL, &x, 1, out);
}

static em_status negated(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in;
    out[0] = em_neg(s, user);
    return EM_OK;
}

/* The branch that is not taken would never end. */
static em_status choose(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *x = em_exp(s, in[1]);
    return em_cond(s, in[0], negated, hang, x, out, 1);
}

static void test_only_the_taken_branch_runs(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    float data[] = {0, 1};
    em_array *in[] = {em_scalar(s, EM_S32, -7), em_constant_f32(s, data, em_shape(2))}, *eager, *replayed;
    EXPECT_OK(choose(s, in, &eager, NULL));
    const float *got = em_array_data(eager);
    assert_non_null(got);
    assert_float_equal(got[0], -1, 0);
    const em_spec specs[] = {{EM_S32, {0}}, {EM_F32, {1, {2}}}};
    em_program *p = em_compile(choose, NULL, specs, 2, 1, NULL);
    assert_non_null(p);
    EXPECT_OK(em_run(p, in, &replayed));
    assert_memory_equal(em_array_data(replayed), got, sizeof data);
    em_array_release(&replayed);
    em_program_free(p);
    em_scope_free(s);
}

static em_status both(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    return em_cond(s, in[0], same, negated, in[1], out, 1);
}

static em_status widened(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_cast(s, in[0], EM_F64);
    return EM_OK;
}

static em_status fails(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_reshape(s, in[0], em_shape(99));
    return EM_OK;
}

static void test_errors(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_scalar(s, EM_F32, 1), *out[1];
    EXPECT_ERROR(em_while(s, forever, widened, NULL, &x, 1, out), EM_ERROR_INVALID_ARGUMENT, "state 0 starts as f32[]");
    assert_null(out[0]);
    em_scope_free(s);
    s = em_scope_new(NULL);
    x = em_scalar(s, EM_F32, 1);
    EXPECT_ERROR(em_while(s, forever, fails, NULL, &x, 1, out), EM_ERROR_INVALID_ARGUMENT, "reshape");
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "reshape");
    em_scope_free(s);
    s = em_scope_new(NULL);
    x = em_constant_f32(s, (float[]){1, 2}, em_shape(2));
    EXPECT_ERROR(em_while(s, same, same, NULL, &x, 1, out), EM_ERROR_INVALID_ARGUMENT, "must be a scalar");
    em_scope_free(s);
    s = em_scope_new(NULL);
    em_array *two[] = {em_scalar(s, EM_PRED, 1), em_scalar(s, EM_F32, 1)};
    EXPECT_ERROR(em_while(s, forever, same, NULL, two, 0, out), EM_ERROR_INVALID_ARGUMENT, "1 to");
    em_scope_free(s);
    s = em_scope_new(NULL);
    em_array *missing[] = {em_scalar(s, EM_PRED, 1), NULL};
    EXPECT_ERROR(both(s, missing, out, NULL), EM_ERROR_INVALID_ARGUMENT, "");
    em_scope_free(s);
}

static em_status refuses(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)s;
    (void)user;
    out[0] = in[0];
    return EM_ERROR_IO;
}

/* A function that fails without a word still gives its status and a text. */
static void test_functions_that_fail(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_scalar(s, EM_F32, 1), *out[1];
    EXPECT_ERROR(em_while(s, forever, refuses, NULL, &x, 1, out), EM_ERROR_IO, "the function failed");
    em_scope_free(s);
    const em_spec spec = {EM_F32, {0}};
    assert_null(em_compile(refuses, NULL, &spec, 1, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_IO, "the function failed");
    s = em_scope_new(NULL);
    x = em_constant_f32(s, (float[]){1, 2, 3, 4}, em_shape(2, 2));
    assert_null(em_fft2(s, x, NULL, NULL));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "two axes");
    em_scope_free(s);
    s = em_scope_new(NULL);
    assert_null(em_einsum(s, "i", NULL, 1));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "einsum");
    em_scope_free(s);
    s = em_scope_new(NULL);
    x = em_constant_f32(s, (float[]){1, 2, 3, 4}, em_shape(2, 2));
    assert_null(em_diagonal(s, x, INT64_MIN));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "beyond");
    em_scope_free(s);
}

static void test_replay_allocates_nothing(void **state)
{
    (void)state;
    int bound = 5;
    float x[3] = {1, 2, 3}, y[3];
    int32_t count;
    const em_spec spec = {EM_F32, {1, {3}}};
    em_program *p = em_compile(power, &bound, &spec, 1, 2, NULL);
    assert_non_null(p);
    for (int i = 0; i < 3; i++) /* a GPU's first runs make room for the caller's memory, and a recording */
        EXPECT_OK(em_run_raw(p, (const void *[]){x}, (void *[]){y, &count}));
    unsigned long before = em__alloc_count();
    em_memory_stats blocks = {.struct_size = sizeof blocks}, after = blocks;
    em_memory_get_stats(&blocks);
    for (int i = 0; i < 10; i++)
        EXPECT_OK(em_run_raw(p, (const void *[]){x}, (void *[]){y, &count}));
    em_memory_get_stats(&after);
    assert_float_equal(y[2], 96, 0);
    assert_int_equal(after.allocations, blocks.allocations);
    assert_int_equal(em__alloc_count(), before);
    em_program_free(p);
}

/* A cache that each turn writes a row of, and a state that swaps with another. */
static em_status not_full(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_less(s, in[0], integer(s, 8));
    return EM_OK;
}

static em_status write_row(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *row = em_broadcast_to(s, em_add(s, em_cast(s, in[0], EM_F32), in[2]), em_shape(1, 4));
    out[0] = em_add(s, in[0], integer(s, 1));
    out[1] = em_put_slice(s, in[1], row, (em_array *[]){in[0], integer(s, 0)});
    out[2] = in[3];
    out[3] = in[2];
    return EM_OK;
}

static em_status filled(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *results[4], *states[] = {integer(s, 0), in[0], em_scalar(s, EM_F32, 0.5), em_scalar(s, EM_F32, 0.25)};
    (void)user;
    em_status status = em_while(s, not_full, write_row, NULL, states, 4, results);
    out[0] = results[1];
    out[1] = results[2];
    return status;
}

static void test_updates_in_place(void **state)
{
    (void)state;
    float cache[10][4] = {{0}}, want[10][4] = {{0}};
    em_scope *s = em_scope_new(NULL);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++)
            want[i][j] = (float)i + (i % 2 ? 0.25f : 0.5f);
    em_array *x = em_constant_f32(s, &cache[0][0], em_shape(10, 4)), *eager[2], *replayed[2];
    EXPECT_OK(filled(s, &x, eager, NULL));
    assert_memory_equal(em_array_data(eager[0]), want, sizeof want);
    assert_float_equal(*(const float *)em_array_data(eager[1]), 0.5, 0);
    const em_spec spec = {EM_F32, {2, {10, 4}}};
    em_program *p = em_compile(filled, NULL, &spec, 1, 2, NULL);
    assert_non_null(p);
    EXPECT_OK(em_run(p, &x, replayed));
    assert_memory_equal(em_array_data(replayed[0]), want, sizeof want);
    em_array_release(&replayed[0]);
    em_array_release(&replayed[1]);
    em_program_free(p);
    em_scope_free(s);
}

static em_status write_once(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_put_slice(s, in[0], em_broadcast_to(s, in[2], em_shape(1, 4)), (em_array *[]){in[1], integer(s, 0)});
    out[1] = em_add(s, in[1], integer(s, 1));
    return EM_OK;
}

/* A donated cache keeps its memory from run to run; one that somebody else holds is copied. */
static void test_donated(void **state)
{
    (void)state;
    const em_spec specs[] = {{EM_F32, {2, {10, 4}}}, {EM_S32, {0}}, {EM_F32, {0}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .donated = 1};
    em_program *p = em_compile(write_once, NULL, specs, 3, 2, &options);
    assert_non_null(p);
    assert_true(em_program_updates(p, 0));
    assert_false(em_program_updates(p, 1));
    float cache[10][4] = {{0}}, value = 3;
    int32_t at = 7, next, *other = malloc(sizeof cache);
    EXPECT_OK(em_run_raw(p, (const void *[]){cache, &at, &value}, (void *[]){cache, &next}));
    assert_float_equal(cache[7][2], 3, 0);
    assert_int_equal(next, 8);
    EXPECT_ERROR(em_run_raw(p, (const void *[]){cache, &at, &value}, (void *[]){other, &next}),
                 EM_ERROR_INVALID_ARGUMENT, "in place");
    free(other);
    em_scope *s = em_scope_new(NULL);
    em_array *shared = em_constant_f32(s, &cache[0][0], em_shape(10, 4)), *out[2], *again[2];
    em_array *held = em_array_retain(shared);
    EXPECT_OK(em_run(p, (em_array *[]){shared, integer(s, 1), em_scalar(s, EM_F32, 5)}, out));
    assert_float_equal(((const float *)em_array_data(held))[4], 0, 0);
    assert_float_equal(((const float *)em_array_data(out[0]))[4], 5, 0);
    const void *memory = em_array_data(out[0]);
    EXPECT_OK(em_run(p, (em_array *[]){out[0], out[1], em_scalar(s, EM_F32, 6)}, again));
    if (!default_has_own_memory()) /* else the host's copy of it is another */
        assert_ptr_equal(em_array_data(again[0]), memory);
    assert_float_equal(((const float *)em_array_data(again[0]))[8], 6, 0);
    em_array_release(&held);
    for (int i = 0; i < 2; i++) {
        em_array_release(&out[i]);
        em_array_release(&again[i]);
    }
    em_scope_free(s);
    em_program_free(p);
}

static em_status write_and_read(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_put_slice(s, in[0], em_full(s, EM_F32, 9, em_shape(2)), (em_array *[]){integer(s, 0)});
    out[1] = em_add(s, em_sum(s, out[0], EM_ALL_AXES, false), em_sum(s, in[1], EM_ALL_AXES, false));
    return EM_OK;
}

/* An array given twice is not overwritten, however few references it has. */
static void test_donated_twice(void **state)
{
    (void)state;
    const em_spec specs[] = {{EM_F32, {1, {4}}}, {EM_F32, {1, {4}}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .donated = 1};
    em_program *p = em_compile(write_and_read, NULL, specs, 2, 2, &options);
    assert_non_null(p);
    em_scope *s = em_scope_new(NULL);
    em_array *made = em_array_retain(em_constant_f32(s, (float[]){1, 2, 3, 4}, em_shape(4))), *out[2];
    em_scope_free(s);
    EXPECT_OK(em_run(p, (em_array *[]){made, made}, out));
    assert_float_equal(((const float *)em_array_data(made))[0], 1, 0);
    assert_float_equal(*(const float *)em_array_data(out[1]), 25 + 10, 0);
    for (int i = 0; i < 2; i++)
        em_array_release(&out[i]);
    em_array *same[] = {made, made};
    EXPECT_ERROR(em_run(p, same, same), EM_ERROR_INVALID_ARGUMENT, "one list");
    em_array_release(&made);
    em_program_free(p);
}

static em_status build_and_run(void *context)
{
    float x = 0.5f;
    em_scope *s = em_scope_new(NULL);
    em_array *in = s ? em_constant_f32(s, &x, (em_dims){0}) : NULL, *weight = s ? em_scalar(s, EM_F32, 2) : NULL;
    em_array *out[1] = {NULL}, *replayed = NULL;
    em_program *p = NULL;
    const em_spec spec = {EM_F32, {0}};
    (void)context;
    em_status status = !s ? EM_ERROR_OUT_OF_MEMORY : !weight || !in ? em_scope_status(s) : EM_OK;
    if (status == EM_OK)
        status = nested(s, &in, out, weight);
    if (status == EM_OK)
        status = em_eval(s, out[0]);
    if (status == EM_OK && !(p = em_compile(nested, weight, &spec, 1, 1, NULL)))
        status = em_last_status();
    if (status == EM_OK)
        status = em_run(p, &in, &replayed);
    em_array_release(&replayed);
    em_program_free(p);
    em_scope_free(s);
    return status;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    assert_true(faults_sweep_benign(build_and_run, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while),
        cmocka_unit_test(test_nested_captures),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_only_the_taken_branch_runs),
        cmocka_unit_test(test_replay_allocates_nothing),
        cmocka_unit_test(test_every_allocation_fails_once),
        cmocka_unit_test(test_updates_in_place),
        cmocka_unit_test(test_donated),
        cmocka_unit_test(test_functions_that_fail),
        cmocka_unit_test(test_donated_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
