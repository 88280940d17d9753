/* Rules asked about attributes and operands that no builder gives: what a decoded program may hold. */
#include "harness/expect.h"
#include "ops/op.h"

/* em__op_check, then the rule, as decoding does. */
static em_status ask(em__op op, const em__spec *in, int n_in, const int64_t *ints, int n_ints, int n_floats)
{
    static const double floats[4];
    const em__spec *operands[8];
    em__spec out;
    for (int i = 0; i < n_in; i++)
        operands[i] = &in[i];
    const em__apply apply = {op, n_in, operands, n_ints, ints, n_floats, floats};
    em_status status = em__op_check(&apply);
    return status == EM_OK ? em__op_infer(&apply, &out) : status;
}

static void test_operands_of_other_dtypes(void **state)
{
    (void)state;
    const em__spec select[] = {{EM_PRED, 1, {4}}, {EM_U8, 1, {4}}, {EM_F64, 1, {4}}};
    EXPECT_ERROR(ask(EM__OP_SELECT, select, 3, NULL, 0, 0), EM_ERROR_INVALID_ARGUMENT, "one dtype");
    const em__spec packed[] = {
        {EM_F32, 3, {4, 1, 8}}, {EM_F32, 3, {4, 1, 8}}, {EM_F32, 3, {4, 1, 8}}, {EM_S32, 1, {2}}, {EM_U8, 2, {1, 7}}};
    EXPECT_ERROR(ask(EM__OP_SDPA_SEGMENTS, packed, 5, (const int64_t[]){1, 0, 0}, 3, 1), EM_ERROR_INVALID_ARGUMENT,
                 "bias");
    EXPECT_ERROR(ask(EM__OP_SDPA_SEGMENTS, packed, 4, (const int64_t[]){0, 1, -1}, 3, 1), EM_ERROR_INVALID_ARGUMENT,
                 "window is -1");
    const em__spec grouped[] = {
        {EM_F32, 3, {4, 3, 8}}, {EM_F32, 3, {4, 2, 8}}, {EM_F32, 3, {4, 2, 8}}, {EM_S32, 1, {2}}};
    EXPECT_ERROR(ask(EM__OP_SDPA_SEGMENTS, grouped, 4, (const int64_t[]){0, 0, 0}, 3, 1), EM_ERROR_INVALID_ARGUMENT,
                 "3 query heads are no multiple of 2");
}

/* f32 with a half weight is a product; no other pair is, nor this one in batches. */
static void test_products_of_two_dtypes(void **state)
{
    (void)state;
    static const int64_t plain[] = {1, 0, 1, 1}, batched[] = {1, 1, 1, 1, 0, 0};
    const em__spec x = {EM_F32, 2, {3, 4}};
    for (int d = 0; d < EM_DTYPE_COUNT; d++) {
        const em__spec in[] = {x, {(em_dtype)d, 2, {3, 4}}}, other[] = {in[1], x};
        const bool half = d == EM_BF16 || d == EM_F16;
        if (half || d == EM_F32)
            EXPECT_OK(ask(EM__OP_DOT_GENERAL, in, 2, plain, 4, 0));
        else
            EXPECT_ERROR(ask(EM__OP_DOT_GENERAL, in, 2, plain, 4, 0), EM_ERROR_INVALID_ARGUMENT, "cast");
        if (d == EM_F32)
            continue;
        EXPECT_ERROR(ask(EM__OP_DOT_GENERAL, other, 2, plain, 4, 0), EM_ERROR_INVALID_ARGUMENT, "cast");
        EXPECT_ERROR(ask(EM__OP_DOT_GENERAL, in, 2, batched, 6, 0), EM_ERROR_INVALID_ARGUMENT, "cast");
    }
}

/* A decoded program may not compute in a dtype below a byte: there would be no kernel. */
static void test_dtypes_below_a_byte(void **state)
{
    (void)state;
    const em__spec x[] = {{EM_S4, 1, {3}}, {EM_S4, 1, {3}}};
    EXPECT_ERROR(ask(EM__OP_ADD, x, 2, NULL, 0, 0), EM_ERROR_UNSUPPORTED, "add does not compute with s4");
    EXPECT_ERROR(ask(EM__OP_TRANSPOSE, x, 1, (const int64_t[]){0}, 1, 0), EM_ERROR_UNSUPPORTED, "cast to s8");
    EXPECT_ERROR(ask(EM__OP_IOTA, NULL, 0, (const int64_t[]){EM_U2, 0, 5}, 3, 0), EM_ERROR_UNSUPPORTED, "cast to u8");
    EXPECT_OK(ask(EM__OP_CAST, x, 1, (const int64_t[]){EM_U2}, 1, 0));
    EXPECT_OK(ask(EM__OP_RESHAPE, x, 1, (const int64_t[]){3, 1}, 2, 0));
}

static void test_numbers_that_wrap(void **state)
{
    (void)state;
    const em__spec one = {EM_F32, 1, {4}}, two[] = {{EM_F32, 1, {4}}, {EM_S32, 0, {0}}};
    const int64_t states[] = {((int64_t)1 << 32) + 1, INT64_MAX - ((int64_t)1 << 32)};
    EXPECT_ERROR(ask(EM__OP_WHILE, &one, 1, states, 2, 0), EM_ERROR_INVALID_ARGUMENT, "while");
    EXPECT_ERROR(ask(EM__OP_TAKE, two, 2, (const int64_t[]){(int64_t)1 << 32}, 1, 0), EM_ERROR_INVALID_ARGUMENT,
                 "axis 4294967296");
    EXPECT_ERROR(ask(EM__OP_SUM, &one, 1, NULL, 0, 0), EM_ERROR_INVALID_ARGUMENT, "attributes");
    EXPECT_ERROR(ask(EM__OP_ADD, &one, 1, NULL, 0, 0), EM_ERROR_INVALID_ARGUMENT, "1 operands");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands_of_other_dtypes), cmocka_unit_test(test_products_of_two_dtypes),
        cmocka_unit_test(test_dtypes_below_a_byte), cmocka_unit_test(test_numbers_that_wrap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
