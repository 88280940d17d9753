/* einsum's errors say where; eight operands; conv's errors. What they compute is recorded in tests/golden/ops. */
#include <string.h>

#include <emily/ops.h>

#include "harness/expect.h"
#include "harness/faults.h"

static em_array *filled(em_scope *s, em_dims dims)
{
    return em_iota(s, EM_F32, dims, dims.rank - 1);
}

static void expect_einsum_error(const char *subscripts, const char *words)
{
    em_scope *s = em_scope_new(NULL);
    em_array *in[] = {filled(s, em_shape(2, 3)), filled(s, em_shape(3, 4))};
    assert_null(em_einsum(s, subscripts, in, 2));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, words);
    em_scope_free(s);
}

static void test_einsum_errors(void **state)
{
    (void)state;
    expect_einsum_error("ij,j?->i", "position 4: expected a letter");
    expect_einsum_error("ij,jk->iz", "position 9: the result has a label that no operand has");
    expect_einsum_error("ij,jk->ii", "position 9: the result has a label twice");
    expect_einsum_error("ij", "position 2: expected a comma");
    expect_einsum_error("ij,jk,kl", "position 5: there are more terms than operands");
    expect_einsum_error("ijk,jk", "position 3: 3 labels for operand 0, which has rank 2");
    expect_einsum_error("i,jk", "position 1: 1 labels for operand 0");
    expect_einsum_error("ij,ik->jk", "position 5: operand 1 is f32[3, 4], but the label of its axis 0 has size 2");
    expect_einsum_error("ii,jk", "position 2: the label of a diagonal");
    expect_einsum_error("ij,jk-ik", "position 5: expected \"->\"");
    expect_einsum_error("ij,jk->ik->", "position 9: the result ends");
    expect_einsum_error("......,jk", "position 3: a second");
    expect_einsum_error("i...,jk->ik", "position 9: the operands have axes under");
    expect_einsum_error("ijklmnopq,jk", "position 8: more than 8 axes");
    expect_einsum_error("ij,j.k", "position 4: expected a letter");
}

static void test_einsum_counts(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *in[9];
    for (int i = 0; i < 9; i++)
        in[i] = em_add(s, filled(s, em_shape(2, 2)), em_scalar(s, EM_F32, 1));
    em_array *y = em_einsum(s, "ab,bc,cd,de,ef,fg,gh,hi->ai", in, 8), *want = in[0];
    for (int i = 1; i < 8; i++)
        want = em_matmul(s, want, in[i]);
    EXPECT_OK(em_eval(s, y));
    EXPECT_OK(em_eval(s, want));
    assert_memory_equal(em_array_data(y), em_array_data(want), 4 * sizeof(float));
    assert_null(em_einsum(s, "ab", in, 0));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "1 to 8 operands");
    em_scope_free(s);
    s = em_scope_new(NULL);
    assert_null(em_einsum(s, NULL, in, 9));
    em_scope_free(s);
}

static void expect_conv_error(em_dims input, em_dims kernel, const em_conv_options *o, const char *words)
{
    em_scope *s = em_scope_new(NULL);
    assert_null(em_conv(s, filled(s, input), filled(s, kernel), o));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, words);
    em_scope_free(s);
}

static void test_conv_errors(void **state)
{
    (void)state;
    const em_dims x = em_shape(2, 4, 6), w = em_shape(4, 4, 3);
    const int64_t zero = 0, huge = INT64_MAX, two = 2;
    const int twice[] = {0, 1, 1};
    em_conv_options o = {0};
    o.feature_groups = -1;
    expect_conv_error(x, w, &o, "feature groups are -1");
    o = (em_conv_options){0};
    o.batch_groups = -1;
    expect_conv_error(x, w, &o, "batch groups -1");
    o.batch_groups = o.feature_groups = 2;
    expect_conv_error(x, w, &o, "one of them must be 1");
    o.feature_groups = 0; /* stands for 1 */
    o.batch_groups = 3;
    expect_conv_error(x, w, &o, "do not divide into 3 groups");
    o = (em_conv_options){0};
    o.strides = &zero;
    expect_conv_error(x, w, &o, "stride 0");
    o.same = true;
    expect_conv_error(x, w, &o, "stride 0");
    o = (em_conv_options){0};
    o.kernel_dilation = &zero;
    expect_conv_error(x, w, &o, "kernel dilation 0");
    o.kernel_dilation = &huge;
    expect_conv_error(x, w, &o, "at most 2^40");
    o = (em_conv_options){0};
    o.pad_low = &huge;
    expect_conv_error(x, w, &o, "overflows");
    o = (em_conv_options){0};
    o.input_axes = twice;
    expect_conv_error(x, w, &o, "name every axis once");
    o = (em_conv_options){0};
    o.feature_groups = two;
    expect_conv_error(x, w, &o, "4 input channels in 2 feature groups do not match a kernel of 4");
    expect_conv_error(x, em_shape(4, 4, 7), NULL, "a kernel over 7 elements does not fit 6 padded ones");
    expect_conv_error(x, em_shape(4, 4, 0), NULL, "does not fit");
    expect_conv_error(x, em_shape(4, 3, 3), NULL, "do not match a kernel of 3");
    expect_conv_error(x, em_shape(4, 4, 3, 1), NULL, "both must have the same");
    expect_conv_error(em_shape(4, 4), em_shape(4, 4), NULL, "both must have the same, 3 to 8");
}

static em_status everything(void *context)
{
    (void)context;
    em_scope *s = em_scope_new(NULL);
    if (!s)
        return EM_ERROR_OUT_OF_MEMORY;
    em_conv_options o = {0};
    o.same = true;
    em_array *x = em_conv(s, filled(s, em_shape(1, 3, 20, 30)), filled(s, em_shape(5, 3, 3, 3)), &o);
    em_array *in[] = {x, filled(s, em_shape(1, 5, 20))};
    em_array *y = em_einsum(s, "ncij,ncj->ni", (em_array *[]){em_einsum(s, "ncij->ncji", in, 1), in[1]}, 2);
    em_status status = em_eval(s, y);
    em_scope_free(s);
    return status;
}

static void test_faults(void **state)
{
    (void)state;
    faults_sweep(everything, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_einsum_errors), cmocka_unit_test(test_einsum_counts),
                                       cmocka_unit_test(test_conv_errors), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
