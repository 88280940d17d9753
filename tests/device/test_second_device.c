/* Finding a GPU that is not the first (second/plugin.c): others are neither woken nor in its way. */
#include <emily/emily.h>

#include "harness/expect.h"

static void test_second_alone(void **unused)
{
    (void)unused;
    char text[128];
    em_device *device = em_device_find("cuda:1");
    if (!device)
        fail_msg("%s", em_last_error());
    assert_string_equal(em_device_name(device), "cuda:1");
    EXPECT_OK(em_device_describe(device, text, sizeof text));
    assert_string_equal(text, "the first was asked for 0 times");
}

static void test_why_not(void **unused)
{
    (void)unused;
    assert_null(em_device_find("cuda"));
    assert_string_equal(em_last_error(), "device \"cuda\" can't be used: it is too old");
    assert_null(em_device_find("cuda:7"));
    assert_string_equal(em_last_error(), "device \"cuda:7\" can't be used: the driver shows 2 GPUs, counted from 0");
    assert_non_null(em_device_find("cuda:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_second_alone), cmocka_unit_test(test_why_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
