/*
 * Dtypes below a byte where they meet the rest: how they lie in memory, programs and what passes through them whole,
 * control ops, reducers, random numbers, printing, and files, which have no form for them. Their arithmetic is recorded
 * (tests/golden/ops/sub_byte.py), their conversions are held in tests/kernels/test_cast.c.
 */
#include <stdio.h>
#include <string.h>

#include <emily/control.h>
#include <emily/emily.h>
#include <emily/indexing.h>
#include <emily/ops.h>
#include <emily/order.h>
#include <emily/random.h>
#include <emily/windows.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

/* -8 -1 0 7 3 | 0 1 2 3 -1: the first in the low bits. */
static const uint8_t nibbles[] = {0xf8, 0x70, 0x03}, pairs[] = {0x50, 0x01};

static void test_memory(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_constant(s, EM_S4, nibbles, em_shape(5)), *b = em_constant(s, EM_U2, pairs, em_shape(5, 1));
    assert_int_equal(em_array_bytes(a), 3);
    assert_int_equal(em_array_bytes(b), 2);
    assert_memory_equal(em_array_data(em_cast(s, a, EM_S8)), ((int8_t[]){-8, -1, 0, 7, 3}), 5);
    assert_memory_equal(em_array_data(em_cast(s, b, EM_U8)), ((uint8_t[]){0, 0, 1, 1, 1}), 5);
    em_array *last = em_slice(s, a, (int64_t[]){3}, (int64_t[]){5}, NULL), *scalar = em_scalar(s, EM_S4, -100);
    assert_memory_equal(em_array_data(last), ((uint8_t[]){0x37}), 1);
    assert_memory_equal(em_array_data(scalar), ((uint8_t[]){0x08}), 1);
    assert_int_equal(em_array_bytes(scalar), 1);
    assert_int_equal(em_array_bytes(em_constant(s, EM_S2, NULL, em_shape(0, 7))), 0);
    em_array *wrapped = em_array_wrap(EM_U4, nibbles + 1, em_shape(3), NULL, NULL);
    assert_memory_equal(em_array_data(em_cast(s, wrapped, EM_U8)), ((uint8_t[]){0, 7, 3}), 3);
    assert_ptr_equal(em_array_data(wrapped), nibbles + 1);
    em_array_release(&wrapped);
    EXPECT_OK(em_scope_status(s));
    em_scope_free(s);
}

static em_status less_than_five(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_less(s, in[0], em_scalar(s, EM_U4, 5));
    return EM_OK;
}

static em_status turn(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_add(s, in[0], em_scalar(s, EM_U4, 1));
    out[1] = em_add(s, em_mul(s, in[1], em_scalar(s, EM_S4, 3)), user);
    return EM_OK;
}

static em_status same(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)s, (void)in;
    out[0] = user;
    return EM_OK;
}

static em_status negative(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in;
    out[0] = em_neg(s, user);
    return EM_OK;
}

static em_array *add(em_scope *s, em_array *a, em_array *b, void *user)
{
    (void)user;
    return em_add(s, a, b);
}

/* What one program gives: an input as it came, views, a loop, a branch, reductions by a traced function, the best. */
#define OUTPUTS 9
static em_status everything(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *states[] = {em_scalar(s, EM_U4, 0), in[0]}, *done[2], *index;
    out[0] = in[0];
    out[1] = em_reshape(s, in[0], em_shape(7, 5));
    out[2] = em_transpose(s, in[0], EM_ALL_AXES);
    EXPECT_OK(em_while(s, less_than_five, turn, in[1], states, 2, done));
    out[3] = done[0];
    out[4] = done[1];
    em_array *yes = em_greater(s, em_max(s, in[1], EM_ALL_AXES, false), em_scalar(s, EM_S4, 0));
    EXPECT_OK(em_cond(s, yes, same, negative, in[0], &out[5], 1));
    out[6] = em_reduce(s, in[0], em_scalar(s, EM_S4, 1), EM_AXES(1), false, add, NULL);
    out[7] = em_window_reduce(s, in[0], em_scalar(s, EM_S4, 0), (int64_t[]){2, 3}, NULL, add, NULL);
    em_top_k(s, in[0], 2, 1, &out[8], &index);
    return em_scope_status(s);
}

static int at(em_array *a, size_t i)
{
    return (int)expect_element(em_array_dtype(a), em_array_data(a), i);
}

static int wrapped(int x)
{
    return ((x + 8) & 15) - 8;
}

/* Against sums in int. x is [5, 7], y [7]. */
static void check_eager(em_array *x, em_array *y, em_array *const *out)
{
    for (size_t i = 0; i < 5; i++) {
        int sum = 1, first = -8, second = -8;
        for (size_t j = 0; j < 7; j++) {
            int v = at(x, i * 7 + j), turned = v, window = 0;
            for (int k = 0; k < 5; k++)
                turned = wrapped(3 * turned + at(y, j));
            assert_int_equal(at(out[2], j * 5 + i), v);
            assert_int_equal(at(out[4], i * 7 + j), turned);
            for (size_t k = 0; k < 6 && i < 4 && j < 5; k++)
                window += at(x, (i + k / 3) * 7 + j + k % 3);
            if (i < 4 && j < 5)
                assert_int_equal(at(out[7], i * 5 + j), wrapped(window));
            sum += v;
            second = v > first ? first : v > second ? v : second;
            first = v > first ? v : first;
        }
        assert_int_equal(at(out[6], i), wrapped(sum));
        assert_int_equal(at(out[8], 2 * i), first);
        assert_int_equal(at(out[8], 2 * i + 1), second);
    }
    assert_int_equal(at(out[3], 0), 5);
}

static void test_programs(void **state)
{
    (void)state;
    const em_spec specs[] = {{EM_S4, {2, {5, 7}}}, {EM_S4, {1, {7}}}};
    uint8_t x[18], y[4];
    rng r = {3};
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane};
        em_program *program = em_compile(everything, NULL, specs, 2, OUTPUTS, &options);
        if (!program)
            fail_msg("%s", em_last_error());
        for (int time = 0; time < 4; time++) {
            rng_fill(&r, EM_S4, x, 35);
            rng_fill(&r, EM_S4, y, 7);
            em_scope *s = em_scope_new(NULL);
            em_array *in[] = {em_constant(s, EM_S4, x, em_shape(5, 7)), em_constant(s, EM_S4, y, em_shape(7))};
            em_array *eager[OUTPUTS], *got[OUTPUTS];
            EXPECT_OK(everything(s, in, eager, NULL));
            EXPECT_OK(em_run(program, in, got));
            for (int i = 0; i < OUTPUTS; i++) {
                assert_int_equal(em_array_dtype(got[i]), em_array_dtype(eager[i]));
                assert_int_equal(em_array_bytes(got[i]), em_array_bytes(eager[i]));
                assert_memory_equal(em_array_data(got[i]), em_array_data(eager[i]), em_array_bytes(eager[i]));
                em_array_release(&got[i]);
            }
            check_eager(in[0], in[1], eager);
            em_scope_free(s);
        }
        em_program_free(program);
    }
}

static void test_random(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *key = em_random_key(s, 7);
    static const struct {
        em_dtype dtype;
        int low, high;
    } rows[] = {{EM_S4, -8, 8}, {EM_S4, -3, 2}, {EM_U2, 0, 4}, {EM_U4, 1, 100}, {EM_S2, -100, 100}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int bits = (int)em_dtype_bits(rows[i].dtype), seen = 0;
        bool is_signed = em_dtype_get_kind(rows[i].dtype) == EM_KIND_SIGNED;
        int low = is_signed ? -(1 << (bits - 1)) : 0, high = low + (1 << bits);
        low = rows[i].low > low ? rows[i].low : low;
        high = rows[i].high < high ? rows[i].high : high;
        em_array *a = em_random_randint(s, key, rows[i].low, rows[i].high, rows[i].dtype, em_shape(501));
        for (size_t k = 0; k < 501; k++) {
            assert_in_range(at(a, k) - low, 0, high - low - 1);
            seen |= 1 << (at(a, k) - low);
        }
        assert_int_equal(seen, (1 << (high - low)) - 1);
    }
    em_scope_free(s);
}

static char said[200];

static void listen(em_log_level level, const char *text, void *user)
{
    (void)level, (void)user;
    snprintf(said, sizeof said, "%s", text);
}

static void test_print(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_log_set(listen, EM_LOG_INFO, NULL);
    EXPECT_OK(em_eval(s, em_print(s, em_constant(s, EM_S4, nibbles, em_shape(5)), "x")));
    assert_non_null(strstr(said, "x: s4[5] -8 -1 0 7 3"));
    em_log_set(NULL, EM_LOG_WARN, NULL);
    em_scope_free(s);
}

/* Refused in words: what has no such dtype. */
static void test_refused(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_constant(s, EM_S4, nibbles, em_shape(5));
    assert_null(em_bitcast(s, a, EM_S8));
    assert_non_null(strstr(em_scope_error(s), "s4 has 4 bits"));
    em_scope_free(s);
    const em_safetensors_tensor tensor = {
        .name = "t", .dtype = EM_S4, .dims = em_shape(5), .data = nibbles, .nbytes = sizeof nibbles};
    EXPECT_ERROR(em_safetensors_write("/nonexistent", &tensor, 1, NULL, 0), EM_ERROR_UNSUPPORTED, "no dtype for s4");
}

static em_status compute(void *context)
{
    (void)context;
    em_scope *s = em_scope_new(NULL);
    if (!s)
        return em_last_status();
    em_array *a = em_constant(s, EM_S4, nibbles, em_shape(5)), *values = NULL, *index = NULL;
    em_array *in[] = {a, em_iota(s, EM_S4, em_shape(3), 0)};
    em_array *all[] = {em_add(s, a, a), em_concatenate(s, in, 2, 0), em_max(s, a, EM_ALL_AXES, false),
                       em_count_leading_zeros(s, a)};
    em_top_k(s, a, 2, 0, &values, &index);
    for (size_t i = 0; i < sizeof all / sizeof *all && em_scope_status(s) == EM_OK; i++)
        (void)em_eval(s, all[i]);
    if (em_scope_status(s) == EM_OK)
        (void)em_eval(s, values);
    em_status status = em_scope_status(s);
    em_scope_free(s);
    return status;
}

static void test_faults(void **state)
{
    (void)state;
    assert_true(faults_sweep(compute, NULL) > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory), cmocka_unit_test(test_programs), cmocka_unit_test(test_random),
        cmocka_unit_test(test_print),  cmocka_unit_test(test_refused),  cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
