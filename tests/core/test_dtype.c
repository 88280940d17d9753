/* The dtype table. */
#include "harness/expect.h"

#include <string.h>

static void table(void **state)
{
    (void)state;
    int rows = 0;
#define CHECK(id, text, bits, of_kind, st)                                                                             \
    assert_string_equal(em_dtype_name(EM_##id), text);                                                                 \
    assert_int_equal(em_dtype_bits(EM_##id), bits);                                                                    \
    assert_int_equal(em_dtype_size(EM_##id), (bits) < 8 ? 1 : (bits) / 8);                                             \
    assert_int_equal(em_dtype_get_kind(EM_##id), EM_KIND_##of_kind);                                                   \
    rows++;
    EM_DTYPE_MAP(CHECK)
#undef CHECK
    assert_int_equal(rows, EM_DTYPE_COUNT);
}

static void outside_the_table(void **state)
{
    (void)state;
    const em_dtype wrong[] = {EM_DTYPE_COUNT, (em_dtype)-1, (em_dtype)1000};
    for (int i = 0; i < 3; i++) {
        assert_string_equal(em_dtype_name(wrong[i]), "?");
        assert_int_equal(em_dtype_size(wrong[i]), 0);
        assert_int_equal(em_dtype_bits(wrong[i]), 0);
        assert_int_equal(em_dtype_get_kind(wrong[i]), EM_KIND_BOOL);
    }
}

static void parsing(void **state)
{
    (void)state;
    em_dtype dtype;
    for (int i = 0; i < EM_DTYPE_COUNT; i++) {
        EXPECT_OK(em_dtype_parse(em_dtype_name((em_dtype)i), &dtype));
        assert_int_equal(dtype, i);
    }
    static const struct {
        const char *name;
        em_dtype dtype;
    } others[] = {{"float32", EM_F32}, {"bfloat16", EM_BF16}, {"int64", EM_S64}, {"bool", EM_PRED}, {"half", EM_F16}};
    for (int i = 0; i < 5; i++) {
        EXPECT_OK(em_dtype_parse(others[i].name, &dtype));
        assert_int_equal(dtype, others[i].dtype);
    }
    dtype = EM_U16;
    EXPECT_ERROR(em_dtype_parse("float7", &dtype), EM_ERROR_INVALID_ARGUMENT, "\"float7\" is unknown; known are pred");
    EXPECT_ERROR(em_dtype_parse("", &dtype), EM_ERROR_INVALID_ARGUMENT, "bf16");
    EXPECT_ERROR(em_dtype_parse("F32", &dtype), EM_ERROR_INVALID_ARGUMENT, "");
    EXPECT_ERROR(em_dtype_parse(NULL, &dtype), EM_ERROR_INVALID_ARGUMENT, "NULL");
    EXPECT_ERROR(em_dtype_parse("f32", NULL), EM_ERROR_INVALID_ARGUMENT, "NULL");
    assert_int_equal(dtype, EM_U16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(outside_the_table),
        cmocka_unit_test(parsing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
