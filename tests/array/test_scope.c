/* Scopes: who owns what, the first error sticks, hostile arguments of every builder are errors and never crashes. */
#include <limits.h>
#include <string.h>

#include <emily/ops.h>

#include "array/array.h"
#include "harness/expect.h"
#include "harness/faults.h"

static void test_the_first_error_sticks(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_iota(s, EM_F32, em_shape(2, 3), 0), *b = em_iota(s, EM_F32, em_shape(4), 0);
    assert_string_equal(em_scope_error(s), "");
    assert_null(em_exp(s, em_add(s, a, b)));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "");
    assert_non_null(strstr(em_scope_error(s), "f32[2, 3], f32[4]"));
    assert_null(em_reshape(s, a, em_shape(7)));
    assert_null(em_constant_f32(s, NULL, em_shape(0)));
    assert_non_null(strstr(em_scope_error(s), "f32[4]"));
    assert_int_equal(em_eval(s, a), EM_ERROR_INVALID_ARGUMENT);
    em_scope_free(s);
    em_scope_free(NULL);
}

static void test_no_scope(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_iota(s, EM_F32, em_shape(2), 0);
    assert_null(em_exp(NULL, a));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "the scope is NULL");
    assert_null(em_constant_f32(NULL, NULL, em_shape(0)));
    assert_null(em_linear(NULL, a, a, a));
    assert_null(em_concatenate(NULL, NULL, 0, 0));
    em_clear_error();
    assert_null(em_scope_adopt(NULL, em_array_retain(a)));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "the scope is NULL");
    assert_int_equal(em_scope_status(NULL), EM_ERROR_OUT_OF_MEMORY);
    em_scope_free(s);
}

static void test_adopted_and_kept(void **state)
{
    (void)state;
    const float data[] = {1, 2};
    em_scope *s = em_scope_new(NULL);
    em_array *a = em_scope_adopt(s, em_array_wrap(EM_F32, data, em_shape(2), NULL, NULL));
    em_array *kept = em_array_retain(em_add(s, a, a));
    assert_null(em_scope_adopt(s, NULL));
    EXPECT_OK(em_scope_status(s));
    em_scope_free(s);
    const float want[] = {2, 4};
    EXPECT_SAME_BITS(EM_F32, em_array_data(kept), want, 2);
    em_array_release(&kept);
}

/* Each call below must give NULL and a scope error with these words; the scope is fresh each time. */
#define REFUSED(words, call)                                                                                           \
    do {                                                                                                               \
        em_scope *s = em_scope_new(NULL);                                                                              \
        em_array *x = em_iota(s, EM_F32, em_shape(2, 3), 0), *scalar = em_iota(s, EM_F32, EM_SCALAR_SHAPE, 0);         \
        (void)x, (void)scalar;                                                                                         \
        assert_null(call);                                                                                             \
        EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, words);                                            \
        em_scope_free(s);                                                                                              \
    } while (0)

static void test_hostile_axes(void **state)
{
    (void)state;
    const em_axes nine = {9, {0, 1, 0, 1, 0, 1, 0, 1}}, below = {-2, {0}}, many = {1 << 30, {0}}, none = {0};
    REFUSED("9 axes", em_sum(s, x, nine, false));
    REFUSED("-2 axes", em_max(s, x, below, true));
    REFUSED("axes", em_mean(s, x, many, true));
    REFUSED("axes", em_reverse(s, x, below));
    REFUSED("axes", em_squeeze(s, x, nine));
    REFUSED("axes", em_transpose(s, x, many));
    REFUSED("axes", em_transpose(s, x, below));
    REFUSED("axes", em_transpose(s, x, nine));
    REFUSED("twice", em_transpose(s, x, EM_AXES(0, 0)));
    REFUSED("out of range", em_transpose(s, x, EM_AXES(0, INT_MIN)));
    REFUSED("twice", em_sum(s, x, EM_AXES(1, -1), false));
    REFUSED("out of range", em_sum(s, scalar, EM_AXES(0), false));
    REFUSED("out of range", em_argmax(s, scalar, 0));
    REFUSED("out of range", em_argmin(s, x, INT_MIN));
    REFUSED("out of range", em_softmax(s, scalar, -1));
    REFUSED("pair up", em_dot_general(s, x, nine, none, x, nine, none));
    REFUSED("pair up", em_dot_general(s, x, below, none, x, below, none));
    REFUSED("twice", em_dot_general(s, x, (em_axes){8, {0}}, none, x, (em_axes){8, {0}}, none));
    REFUSED("twice", em_dot_general(s, x, EM_AXES(0), EM_AXES(0), x, EM_AXES(0), EM_AXES(0)));
    REFUSED("out of range", em_take(s, x, em_iota(s, EM_S32, em_shape(1), 0), 2));
    REFUSED("does not fit", em_expand_dims(s, x, 3));
}

static void test_hostile_shapes(void **state)
{
    (void)state;
    const em_dims nine = {9, {1, 1, 1, 1, 1, 1, 1, 1}}, minus = {-1, {0}};
    REFUSED("rank is 9", em_reshape(s, x, nine));
    REFUSED("rank is -1", em_reshape(s, x, minus));
    REFUSED("rank is 9", em_broadcast_to(s, x, nine));
    REFUSED("rank is 9", em_iota(s, EM_F32, nine, 0));
    REFUSED("rank is 9", em_constant(s, EM_F32, "", nine));
    REFUSED("dtype 999", em_iota(s, (em_dtype)999, em_shape(2), 0));
    REFUSED("does not exist", em_iota(s, (em_dtype)-1, em_shape(2), 0));
    REFUSED("dtype 999", em_cast(s, x, (em_dtype)999));
    REFUSED("dtype 999", em_scalar(s, (em_dtype)999, 1));
    REFUSED("number of elements", em_reshape(s, x, em_shape(-1, 4)));
    REFUSED("dimension 1 is -1", em_reshape(s, x, em_shape(-1, -1)));
    REFUSED("overflows", em_reshape(s, x, em_shape(INT64_MAX, INT64_MAX)));
    REFUSED("overflows", em_reshape(s, x, em_shape(INT64_MAX, INT64_MAX, 0)));
    REFUSED("overflows", em_broadcast_to(s, scalar, em_shape(INT64_MAX, 2)));
    REFUSED("overflows", em_iota(s, EM_U8, em_shape(0, INT64_MAX, INT64_MAX), 0));
    REFUSED("does not broadcast", em_broadcast_to(s, x, em_shape(3, 3)));
    REFUSED("does not broadcast", em_broadcast_to(s, x, em_shape(6)));
}

static void test_hostile_lists(void **state)
{
    (void)state;
    const int64_t zero[] = {0, 0}, two[] = {2, 3}, minus[] = {-1, 0}, large[] = {INT64_MAX, INT64_MAX};
    const int64_t least[] = {INT64_MIN, INT64_MIN};
    em_array *pair[] = {NULL, NULL};
    REFUSED("NULL", em_slice(s, x, NULL, two, NULL));
    REFUSED("NULL", em_slice(s, x, zero, NULL, NULL));
    REFUSED("do not fit", em_slice(s, x, minus, two, NULL));
    REFUSED("do not fit", em_slice(s, x, zero, large, NULL));
    REFUSED("do not fit", em_slice(s, x, two, zero, NULL));
    REFUSED("do not fit", em_slice(s, x, zero, two, zero));
    REFUSED("do not fit", em_slice(s, x, zero, two, minus));
    REFUSED("NULL", em_pad(s, x, scalar, NULL, zero, NULL));
    REFUSED("NULL", em_pad(s, x, scalar, zero, NULL, NULL));
    REFUSED("do not fit", em_pad(s, x, scalar, least, large, NULL));
    REFUSED("do not fit", em_pad(s, x, scalar, large, large, NULL));
    REFUSED("do not fit", em_pad(s, x, scalar, zero, zero, large));
    REFUSED("do not fit", em_pad(s, x, scalar, zero, zero, minus));
    REFUSED("scalar", em_pad(s, x, x, zero, zero, NULL));
    REFUSED("operand's dtype", em_pad(s, em_cast(s, x, EM_S32), scalar, zero, zero, NULL));
    REFUSED("at NULL", em_concatenate(s, NULL, 2, 0));
    REFUSED("operand 0 is NULL", em_concatenate(s, pair, 2, 0));
    REFUSED("0 arrays", em_concatenate(s, pair, 0, 0));
    REFUSED("arrays", em_concatenate(s, pair, SIZE_MAX, 0));
    REFUSED("operand 1 differs", em_concatenate(s, (em_array *[]){x, scalar}, 2, 0));
}

static void test_hostile_operands(void **state)
{
    (void)state;
    REFUSED("operand 1 is NULL", em_add(s, x, NULL));
    REFUSED("operand 2 is NULL", em_select(s, em_is_nan(s, x), x, NULL));
    REFUSED("operand 1 is NULL", em_linear(s, x, NULL, x));
    REFUSED("bias [n]", em_linear(s, x, x, x));
    REFUSED("weight must be [n, k]", em_linear(s, x, scalar, NULL));
    REFUSED("rank 1 or more", em_matmul(s, x, scalar));
    REFUSED("matmul: f32[2, 3] times f32[2, 3]: rows of the first have 3 elements, columns of the second 2",
            em_matmul(s, em_iota(s, EM_F32, em_shape(2, 3), 0), em_iota(s, EM_F32, em_shape(2, 3), 0)));
    REFUSED("bias must have 3", em_layer_norm(s, x, NULL, scalar, 1e-5));
    REFUSED("weight must have 3", em_layer_norm(s, x, x, NULL, 1e-5));
    REFUSED("axis", em_layer_norm(s, scalar, NULL, NULL, 1e-5));
    REFUSED("integers", em_take(s, x, x, 0));
    REFUSED("is empty", em_take(s, em_iota(s, EM_F32, em_shape(0, 3), 0), em_iota(s, EM_S32, em_shape(2), 0), 0));
    REFUSED("is empty", em_argmax(s, em_iota(s, EM_F32, em_shape(0, 3), 0), 0));
    REFUSED("pooling 6", em_segment_pool(s, x, em_iota(s, EM_S32, em_shape(2), 0), (em_pool)6));
    REFUSED("offsets s32", em_segment_pool(s, x, em_iota(s, EM_S64, em_shape(2), 0), EM_POOL_MEAN));
    REFUSED("offsets s32", em_segment_pool(s, x, em_iota(s, EM_S32, em_shape(0), 0), EM_POOL_MEAN));
    REFUSED("[batch, heads", em_sdpa(s, x, x, x, NULL, 0, false));
    REFUSED("[tokens, heads", em_sdpa_segments(s, x, x, x, em_iota(s, EM_S32, em_shape(2), 0), NULL, 0));
}

static void test_option_structs_grow(void **state)
{
    (void)state;
    const em_rope_options odd = {.struct_size = sizeof odd, .dims = 3}, large = {.struct_size = sizeof large + 8};
    const em_rope_options small = {.struct_size = 4},
                          older = {.struct_size = offsetof(em_rope_options, dims), .dims = 3};
    REFUSED("even", em_rope(s, em_iota(s, EM_F32, em_shape(2, 4), 0), NULL, &odd));
    REFUSED("struct_size", em_rope(s, em_iota(s, EM_F32, em_shape(2, 4), 0), NULL, &large));
    REFUSED("struct_size", em_rope(s, em_iota(s, EM_F32, em_shape(2, 4), 0), NULL, &small));
    REFUSED("integer", em_rope(s, em_iota(s, EM_F32, em_shape(2, 4), 0), scalar, NULL));
    em_scope *s = em_scope_new(NULL);
    assert_non_null(em_rope(s, em_iota(s, EM_F32, em_shape(2, 4), 0), NULL, &older)); /* its dims are not read */
    em_scope_free(s);
}

static em_status build_much(void *context)
{
    (void)context;
    em_clear_error();
    em_scope *s = em_scope_new(NULL);
    if (!s)
        return em_last_status();
    em_array *x = em_iota(s, EM_F16, em_shape(4, 6), 1), *parts[12];
    for (int i = 0; i < 12; i++)
        parts[i] = em_add(s, x, em_scalar(s, EM_F16, i));
    em_array *y = em_matmul(s, em_concatenate(s, parts, 12, 0), em_transpose(s, x, EM_ALL_AXES));
    em_array *z = em_array_retain(em_mean(s, em_softmax(s, y, 0), EM_ALL_AXES, false));
    em_status status = em_scope_status(s);
    em_scope_free(s);
    if (status == EM_OK && !em_array_data(z))
        status = em_last_status();
    em_array_release(&z);
    return status;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    assert_true(faults_sweep(build_much, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_error_sticks),
        cmocka_unit_test(test_no_scope),
        cmocka_unit_test(test_adopted_and_kept),
        cmocka_unit_test(test_hostile_axes),
        cmocka_unit_test(test_hostile_shapes),
        cmocka_unit_test(test_hostile_lists),
        cmocka_unit_test(test_hostile_operands),
        cmocka_unit_test(test_option_structs_grow),
        cmocka_unit_test(test_every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
