/* Numbers to and from text: what is refused, the shortest form, and that no locale matters. */
#include "harness/expect.h"

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"
#include "harness/rng.h"

static void integers(void **state)
{
    (void)state;
    long long v = 77;
    const char *const bad[] = {"",    " 1", "1 ", "1.0", "0x10", "a", "-", "+", "--1", "9223372036854775808",
                               "1e3", "+-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (em__parse_i64(bad[i], &v))
            fail_msg("\"%s\" was taken for an integer", bad[i]);
        assert_int_equal(v, 77);
    }
    assert_true(em__parse_i64("9223372036854775807", &v) && v == LLONG_MAX);
    assert_true(em__parse_i64("-9223372036854775808", &v) && v == LLONG_MIN);
    assert_true(em__parse_i64("+12", &v) && v == 12);
    assert_true(em__parse_i64("007", &v) && v == 7);
}

static void reals(void **state)
{
    (void)state;
    double v = 77;
    const char *const bad[] = {"",      " 1",     "1 ", "1,5", "nan", "inf",  "0x1p3",
                               "1e999", "-1e999", "e",  ".",   "1e",  "1.2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (em__parse_f64(bad[i], &v))
            fail_msg("\"%s\" was taken for a number", bad[i]);
        assert_true(v == 77);
    }
    assert_true(em__parse_f64("1.5", &v) && v == 1.5);
    assert_true(em__parse_f64("-.5e-3", &v) && v == -0.0005);
    assert_true(em__parse_f64("4.9e-324", &v) && v == 4.9406564584124654e-324);
    assert_true(em__parse_f64("1e-400", &v) && v == 0);
    assert_true(em__parse_f64("1.7976931348623157e308", &v) && v == DBL_MAX);
}

/* What em__print_f32 promises: the first of %.6g .. %.9g that reads back. */
static void check_f32(float value)
{
    char got[EM__NUMBER_SIZE], want[EM__NUMBER_SIZE];
    int length = em__print_f32(got, value), digits = 6;
    do
        snprintf(want, sizeof want, "%.*g", digits, (double)value);
    while (strtof(want, NULL) != value && digits++ < 9);
    if (strcmp(got, want) != 0 || length != (int)strlen(got))
        fail_msg("%a prints as \"%s\" (%d), expected \"%s\"", (double)value, got, length, want);
}

static void shortest_f32(void **state)
{
    (void)state;
    const float hand[] = {0.0f,   -0.0f,     1.0f,   0.1f,     -0.3f,      1e-4f,     9.99999e-5f, 1e6f,
                          999999, 999999.5f, 1e-45f, FLT_MIN,  FLT_MAX,    16777216,  123456.7f,   0.001f,
                          100.0f, 65504.0f,  0.5f,   1.0f / 3, 0.0100001f, 99999.99f, INFINITY,    -INFINITY};
    for (size_t i = 0; i < sizeof hand / sizeof hand[0]; i++)
        check_f32(hand[i]);
    for (float f = 1e-5f; f < 1e7f; f *= 10) {
        float below = nextafterf(f, 0), above = nextafterf(f, FLT_MAX);
        check_f32(f);
        check_f32(-below);
        check_f32(above);
    }
    rng r = {3};
    for (int i = 0; i < 300000; i++) {
        uint32_t bits = (uint32_t)rng_u64(&r);
        float any;
        memcpy(&any, &bits, sizeof any);
        if (!isnan(any))
            check_f32(any);
        check_f32((float)(rng_normal(&r) * 0.05));
        check_f32((float)(rng_normal(&r) * 1000));
    }
}

static void shortest_f64(void **state)
{
    (void)state;
    char text[EM__NUMBER_SIZE];
    em__print_f64(text, 0.1);
    assert_string_equal(text, "0.1");
    em__print_f64(text, 1.0 / 3);
    assert_string_equal(text, "0.3333333333333333");
    rng r = {4};
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_u64(&r);
        double value;
        memcpy(&value, &bits, sizeof value);
        assert_true(em__print_f64(text, value) < EM__NUMBER_SIZE);
        if (!isnan(value))
            assert_true(strtod(text, NULL) == value);
    }
    for (int sign = -1; sign < 2; sign += 2) {
        assert_int_equal(em__print_f32(text, copysignf(NAN, (float)sign)), 3);
        assert_string_equal(text, "nan");
        assert_int_equal(em__print_f64(text, copysign(NAN, sign)), 3);
        assert_string_equal(text, "nan");
    }
    em__print_f64(text, -DBL_MAX);
    assert_string_equal(text, "-1.7976931348623157e+308");
}

/* Under a locale with a decimal comma, where the machine has one, everything above holds; `make test` says if not. */
static void decimal_comma(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "ru_RU.UTF-8"};
    (void)state;
    size_t i = 0, count = sizeof names / sizeof names[0];
    while (i < count && !setlocale(LC_ALL, names[i]))
        i++;
    if (i == count) {
        print_message("no locale with a decimal comma is installed\n");
        skip();
    }
    char text[EM__NUMBER_SIZE];
    double v;
    em__print_f32(text, 1e-30f);
    assert_null(strchr(text, ','));
    em__print_f64(text, 0.25);
    assert_string_equal(text, "0.25");
    assert_true(em__parse_f64("2.5", &v) && v == 2.5);
    assert_false(em__parse_f64("2,5", &v));
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers),     cmocka_unit_test(reals),         cmocka_unit_test(shortest_f32),
        cmocka_unit_test(shortest_f64), cmocka_unit_test(decimal_comma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
