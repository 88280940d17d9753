/*
 * Promotion against Nx.Type.merge, written out by hand, and what each class of ops does with each dtype. Where Nx lets
 * the operands' order decide (f8_e4m3fn with another float) the wider wins, and f16 for the two f8; pred, which Nx has
 * not, gives way to everything.
 */
#include <stdio.h>
#include <string.h>

#include <emily/ops.h>

#include "harness/expect.h"
#include "ops/op.h"

static const em_dtype order[] = {EM_PRED, EM_U8,        EM_U16,     EM_U32,  EM_U64, EM_S8,  EM_S16, EM_S32, EM_S64,
                                 EM_F16,  EM_F8_E4M3FN, EM_F8_E5M2, EM_BF16, EM_F32, EM_F64, EM_C64, EM_C128};
#define N ((int)(sizeof order / sizeof order[0]))

/* Row and column in that order; p pred, b bf16, 3 f8_e4m3fn, 5 f8_e5m2, h f16, f f32, d f64, c c64, z c128. */
static const char *const table[] = {
    "p    u8   u16  u32  u64  s8   s16  s32  s64  h    3    5    b    f    d    c    z",
    "u8   u8   u16  u32  u64  s16  s16  s32  s64  h    3    5    b    f    d    c    z",
    "u16  u16  u16  u32  u64  s32  s32  s32  s64  h    3    5    b    f    d    c    z",
    "u32  u32  u32  u32  u64  s64  s64  s64  s64  h    3    5    b    f    d    c    z",
    "u64  u64  u64  u64  u64  s64  s64  s64  s64  h    3    5    b    f    d    c    z",
    "s8   s16  s32  s64  s64  s8   s16  s32  s64  h    3    5    b    f    d    c    z",
    "s16  s16  s32  s64  s64  s16  s16  s32  s64  h    3    5    b    f    d    c    z",
    "s32  s32  s32  s64  s64  s32  s32  s32  s64  h    3    5    b    f    d    c    z",
    "s64  s64  s64  s64  s64  s64  s64  s64  s64  h    3    5    b    f    d    c    z",
    "h    h    h    h    h    h    h    h    h    h    h    h    h    f    d    c    z",
    "3    3    3    3    3    3    3    3    3    h    3    h    3    f    d    c    z",
    "5    5    5    5    5    5    5    5    5    h    h    5    5    f    d    c    z",
    "b    b    b    b    b    b    b    b    b    h    3    5    b    f    d    c    z",
    "f    f    f    f    f    f    f    f    f    f    f    f    f    f    d    c    z",
    "d    d    d    d    d    d    d    d    d    d    d    d    d    d    d    z    z",
    "c    c    c    c    c    c    c    c    c    c    c    c    c    c    z    c    z",
    "z    z    z    z    z    z    z    z    z    z    z    z    z    z    z    z    z",
};

static const char *text_of(em_dtype dtype)
{
    switch (dtype) {
    case EM_PRED: return "p";
    case EM_BF16: return "b";
    case EM_F8_E4M3FN: return "3";
    case EM_F8_E5M2: return "5";
    case EM_F16: return "h";
    case EM_F32: return "f";
    case EM_F64: return "d";
    case EM_C64: return "c";
    case EM_C128: return "z";
    default: return em_dtype_name(dtype);
    }
}

static void test_table(void **state)
{
    (void)state;
    for (int a = 0; a < N; a++)
        for (int b = 0; b < N; b++) {
            char want[6] = "";
            sscanf(table[a] + 5 * b, "%5s", want);
            const char *got = text_of(em__promote(order[a], order[b]));
            if (strcmp(got, want) != 0)
                fail_msg("%s with %s: %s, expected %s", em_dtype_name(order[a]), em_dtype_name(order[b]), got, want);
        }
}

static void test_widened(void **state)
{
    (void)state;
    em_dtype want;
    EXPECT_OK(em__op_operand_dtype(EM__OP_EXP, EM_S64, &want));
    assert_int_equal(want, EM_F32);
    EXPECT_OK(em__op_operand_dtype(EM__OP_EXP, EM_F8_E5M2, &want));
    assert_int_equal(want, EM_F8_E5M2);
    EXPECT_OK(em__op_operand_dtype(EM__OP_EXP, EM_C64, &want));
    assert_int_equal(want, EM_C64);
    EXPECT_OK(em__op_operand_dtype(EM__OP_CONJUGATE, EM_F64, &want));
    assert_int_equal(want, EM_C128);
    EXPECT_OK(em__op_operand_dtype(EM__OP_CONJUGATE, EM_BF16, &want));
    assert_int_equal(want, EM_C64);
}

#define REFUSED(words, call)                                                                                           \
    do {                                                                                                               \
        em_scope *s = em_scope_new(em_device_find("ref"));                                                             \
        em_array *c = em_iota(s, EM_C64, em_shape(3), 0), *p = em_iota(s, EM_PRED, em_shape(3), 0);                    \
        em_array *f = em_iota(s, EM_F32, em_shape(3), 0);                                                              \
        (void)c, (void)p, (void)f;                                                                                     \
        assert_null(call);                                                                                             \
        assert_int_equal(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT);                                               \
        if (!strstr(em_scope_error(s), words))                                                                         \
            fail_msg("\"%s\" does not say \"%s\"", em_scope_error(s), words);                                          \
        em_scope_free(s);                                                                                              \
    } while (0)

static void test_refused(void **state)
{
    (void)state;
    REFUSED("less: operand is c64, the op takes anything but complex", em_less(s, c, f));
    REFUSED("anything but complex", em_maximum(s, c, c));
    REFUSED("anything but complex", em_argmax(s, c, 0));
    REFUSED("anything but complex", em_argmin_with(s, c, NULL));
    REFUSED("floor: operand is c64, the op takes a real number", em_floor(s, c));
    REFUSED("a real number", em_erf(s, c));
    REFUSED("a number", em_neg(s, p));
    REFUSED("an integer", em_population_count(s, f));
    REFUSED("an integer or pred", em_bitwise_and(s, f, p));
    REFUSED("a real number", em_make_complex(s, c, f));
    REFUSED("anything but complex", em_logsumexp(s, c, EM_AXES(0), false));
    REFUSED("f32 has 32 bits and can't be seen as s64, which has 64", em_bitcast(s, f, EM_S64));
    REFUSED("a pred is 0 or 1", em_bitcast(s, em_cast(s, f, EM_U8), EM_PRED));
    REFUSED("does not exist", em_bitcast(s, f, (em_dtype)99));
    REFUSED("out of range", em_variance(s, f, EM_AXES(1), 0, false));
    REFUSED("struct_size", em_argmax_with(s, f, &(em_arg_options){.struct_size = 1}));
    REFUSED("axis 1 is out of range",
            em_argmax_with(s, f, &(em_arg_options){.struct_size = sizeof(em_arg_options), .axis = 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_widened),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
