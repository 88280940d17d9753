/* Statuses and the thread's last error. */
#include "harness/expect.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/cause.h"
#include "core/error.h"

static void names_and_texts(void **state)
{
    (void)state;
#define CHECK(name, code, text)                                                                                        \
    assert_int_equal(EM_##name, code);                                                                                 \
    assert_string_equal(em_status_name(EM_##name), "EM_" #name);                                                       \
    assert_string_equal(em_status_text(EM_##name), text);
    EM_STATUS_MAP(CHECK)
#undef CHECK
    assert_string_equal(em_status_name((em_status)99), "EM_?");
    assert_string_equal(em_status_text((em_status)-1), "unknown status");
}

static void fail_records(void **state)
{
    (void)state;
    em_clear_error();
    assert_string_equal(em_last_error(), "");
    assert_int_equal(em_last_status(), EM_OK);
    assert_int_equal(em__fail(EM_ERROR_IO, "%s: %d", "file", 7), EM_ERROR_IO);
    assert_string_equal(em_last_error(), "file: 7");
    assert_int_equal(em_last_status(), EM_ERROR_IO);
    /* The old message may be an argument of the new one. */
    em__fail(EM_ERROR_FORMAT, "again (%s)", em_last_error());
    assert_string_equal(em_last_error(), "again (file: 7)");
}

/* What a terminal would obey, in one byte and in two; no more of a cut character is taken than there is. */
static void no_controls(void **state)
{
    (void)state;
    em__fail(EM_ERROR_FORMAT, "\"%s\": line\n\tnext; %s", "\x1b[1m\xc2\x9b\x31m\x7f", "do");
    assert_string_equal(em_last_error(), "\"?[1m??1m?\": line\n\tnext; do");
    assert_string_equal(em__last_next(), "do");
    em__context(EM_ERROR_FORMAT, "%s", "a\xc2\x80\rb");
    assert_string_equal(em_last_error(), "a???b: \"?[1m??1m?\": line\n\tnext; do");
    em__fail(EM_ERROR_FORMAT, "\xc2\xa0\xc3\x9b\xc2");
    assert_string_equal(em_last_error(), "\xc2\xa0\xc3\x9b\xc2");
}

static void context_goes_in_front(void **state)
{
    (void)state;
    em__fail(EM_ERROR_IO, "cause");
    assert_int_equal(em__context(EM_ERROR_IO, "%s", "a.json"), EM_ERROR_IO);
    assert_string_equal(em_last_error(), "a.json: cause");
    assert_int_equal(em_last_status(), EM_ERROR_IO);
    assert_int_equal(em__context(EM_OK, "not this"), EM_OK);
    assert_string_equal(em_last_error(), "a.json: cause");
}

/* Behind the "; " of the format, not of what is printed; a text that is passed on keeps its own. */
static void next_steps(void **state)
{
    (void)state;
    em_clear_error();
    assert_null(em__last_next());
    em__fail(EM_ERROR_IO, "%s: no; fetch %d", "a; b", 7);
    assert_string_equal(em__last_next(), "fetch 7");
    em__context(EM_ERROR_IO, "%s", "c; d");
    assert_string_equal(em_last_error(), "c; d: a; b: no; fetch 7");
    assert_string_equal(em__last_next(), "fetch 7");
    em__fail(EM_ERROR_IO, "%s", "x: no; fetch it");
    assert_string_equal(em__last_next(), "fetch it");
    em__fail(EM_ERROR_IO, "again: %s", em_last_error());
    assert_null(em__last_next());
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    em__fail(EM_ERROR_IO, "%s; too far off", text);
    assert_null(em__last_next());
    em__fail(EM_ERROR_IO, "near; %s", "by");
    em__context(EM_ERROR_IO, "%s", text);
    assert_null(em__last_next());
}

static void causes(void **state)
{
    (void)state;
    em__fail(EM_ERROR_FORMAT, "odd");
    assert_int_equal(em__last_cause(), EM__CAUSE_UNKNOWN);
    assert_int_equal(em__because(EM_ERROR_FORMAT, EM__CAUSE_JSON), EM_ERROR_FORMAT);
    em__context(EM_ERROR_FORMAT, "a.json");
    assert_int_equal(em__last_cause(), EM__CAUSE_JSON);
    em__fail(EM_ERROR_FORMAT, "other");
    assert_int_equal(em__last_cause(), EM__CAUSE_UNKNOWN);
    em__because(EM_ERROR_FORMAT, EM__CAUSE_JSON);
    em_clear_error();
    assert_int_equal(em__last_cause(), EM__CAUSE_UNKNOWN);
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    em__fail(EM_ERROR_IO, "%s", text);
    size_t length = strlen(em_last_error());
    assert_true(length > 500 && length < sizeof text);
    em__context(EM_ERROR_IO, "%s", text);
    assert_int_equal(strlen(em_last_error()), length);
    assert_int_equal(strspn(em_last_error(), "x"), length);
}

static em_status tries(em_status inner)
{
    EM__TRY(inner);
    return em__fail(EM_ERROR_INTERNAL, "went on");
}

static em_status fails_if(int condition)
{
    EM__FAIL_IF(condition, EM_ERROR_UNSUPPORTED, "condition is %d", condition);
    return EM_OK;
}

static void macros(void **state)
{
    (void)state;
    assert_int_equal(tries(EM_ERROR_NETWORK), EM_ERROR_NETWORK);
    assert_int_equal(tries(EM_OK), EM_ERROR_INTERNAL);
    assert_int_equal(fails_if(0), EM_OK);
    EXPECT_ERROR(fails_if(3), EM_ERROR_UNSUPPORTED, "condition is 3");
}

static void *other_thread(void *arg)
{
    (void)arg;
    bool clean = em_last_status() == EM_OK && em_last_error()[0] == '\0';
    em__fail(EM_ERROR_CANCELLED, "other");
    return clean ? NULL : "it saw another thread's error";
}

static void one_error_a_thread(void **state)
{
    (void)state;
    em__fail(EM_ERROR_IO, "mine");
    pthread_t thread;
    void *complaint;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, &complaint), 0);
    assert_null(complaint);
    assert_string_equal(em_last_error(), "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_texts),       cmocka_unit_test(fail_records), cmocka_unit_test(no_controls),
        cmocka_unit_test(context_goes_in_front), cmocka_unit_test(next_steps),   cmocka_unit_test(causes),
        cmocka_unit_test(long_messages_are_cut), cmocka_unit_test(macros),       cmocka_unit_test(one_error_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
