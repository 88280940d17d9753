/* Growing strings and vectors. */
#include "harness/expect.h"

#include <string.h>

#include "core/str.h"
#include "core/vec.h"
#include "harness/faults.h"

static void grows(void **state)
{
    (void)state;
    em__str s = {0};
    assert_string_equal(em__str_text(&s), "");
    for (int i = 0; i < 1000; i++)
        EXPECT_OK(em__str_add_char(&s, (char)('a' + i % 26)));
    EXPECT_OK(em__str_add_text(&s, "tail"));
    EXPECT_OK(em__str_add(&s, "\0x", 2));
    EXPECT_OK(em__str_add(&s, NULL, 0));
    EXPECT_OK(em__str_addf(&s, "%d %s", 7, "end"));
    assert_int_equal(s.length, 1000 + 4 + 2 + 5);
    assert_memory_equal(s.data + 1000, "tail\0x7 end", 12);
    em__str_clear(&s);
    assert_string_equal(em__str_text(&s), "");
    assert_true(s.capacity > 1000);
    em__str_free(&s);
    assert_null(s.data);
    em__str_free(&s);
}

static void reserve_leaves_a_string(void **state)
{
    (void)state;
    em__str s = {0};
    EXPECT_OK(em__str_reserve(&s, 100));
    assert_string_equal(em__str_text(&s), "");
    const char *data = s.data;
    char text[101];
    memset(text, 'y', 100);
    text[100] = '\0';
    EXPECT_OK(em__str_add_text(&s, text));
    assert_ptr_equal(s.data, data);
    EXPECT_OK(em__str_reserve(&s, 5));
    assert_string_equal(em__str_text(&s), text);
    EXPECT_ERROR(em__str_reserve(&s, SIZE_MAX), EM_ERROR_OUT_OF_MEMORY, "out of memory");
    EXPECT_ERROR(em__str_reserve(&s, SIZE_MAX / 2), EM_ERROR_OUT_OF_MEMORY, "out of memory");
    assert_string_equal(em__str_text(&s), text);
    em__str_free(&s);
}

static void vectors(void **state)
{
    (void)state;
    EM__VEC(double) v = {0};
    for (int i = 0; i < 10000; i++)
        EXPECT_OK(em__vec_push(&v, i * 0.5));
    assert_int_equal(v.length, 10000);
    for (int i = 0; i < 10000; i++)
        assert_true(v.data[i] == i * 0.5);
    size_t length = v.length;
    EXPECT_ERROR(em__vec_reserve(&v, SIZE_MAX), EM_ERROR_OUT_OF_MEMORY, "too many");
    EXPECT_ERROR(em__vec_reserve(&v, SIZE_MAX / 16), EM_ERROR_OUT_OF_MEMORY, "");
    assert_int_equal(v.length, length);
    em__vec_free(&v);
    assert_null(v.data);
    assert_int_equal(v.capacity, 0);
}

static em_status build(void *context)
{
    (void)context;
    em__str s = {0};
    EM__VEC(int) v = {0};
    em_status status = EM_OK;
    for (int i = 0; i < 100 && status == EM_OK; i++)
        status = em__str_addf(&s, "line %d\n", i);
    for (int i = 0; i < 100 && status == EM_OK; i++)
        status = em__vec_push(&v, i);
    em__str_free(&s);
    em__vec_free(&v);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    assert_true(faults_sweep(build, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),
        cmocka_unit_test(reserve_leaves_a_string),
        cmocka_unit_test(vectors),
        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
