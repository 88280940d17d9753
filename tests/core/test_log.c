/* Log handlers, levels, telemetry spans. */
#include "harness/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

typedef struct seen {
    int count;
    em_log_level level;
    char text[2048];
} seen;

static void on_log(em_log_level level, const char *message, void *user)
{
    seen *s = user;
    s->count++;
    s->level = level;
    snprintf(s->text, sizeof s->text, "%s", message);
}

static void handler_gets_what_it_wants(void **state)
{
    (void)state;
    seen s = {0};
    em_log_set(on_log, EM_LOG_INFO, &s);
    assert_true(em__log_wants(EM_LOG_ERROR) && em__log_wants(EM_LOG_INFO));
    assert_false(em__log_wants(EM_LOG_DEBUG));
    em__log(EM_LOG_DEBUG, "not this");
    assert_int_equal(s.count, 0);
    em__log(EM_LOG_WARN, "%d of %s", 3, "four");
    assert_int_equal(s.count, 1);
    assert_int_equal(s.level, EM_LOG_WARN);
    assert_string_equal(s.text, "3 of four");
    em_log_set(NULL, EM_LOG_DEBUG, NULL);
    em__log(EM_LOG_ERROR, "nobody listens");
    assert_int_equal(s.count, 1);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    seen s = {0};
    char text[3000];
    memset(text, 'z', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    em_log_set(on_log, EM_LOG_ERROR, &s);
    em__log(EM_LOG_ERROR, "%s", text);
    em_log_set(NULL, EM_LOG_ERROR, NULL);
    assert_true(strlen(s.text) > 500 && strspn(s.text, "z") == strlen(s.text));
}

/* A handler may log and may replace itself: no lock is held around it. */
static void on_log_again(em_log_level level, const char *message, void *user)
{
    (void)message;
    seen *s = user;
    if (s->count++ == 0) {
        em__log(level, "from inside");
        em_log_set(NULL, EM_LOG_ERROR, NULL);
    }
}

static void handlers_may_log(void **state)
{
    (void)state;
    seen s = {0};
    em_log_set(on_log_again, EM_LOG_DEBUG, &s);
    em__log(EM_LOG_INFO, "first");
    assert_int_equal(s.count, 2);
    assert_false(em__log_wants(EM_LOG_INFO));
}

static void environment_turns_on_stderr(void **state)
{
    (void)state;
    int keep = dup(STDERR_FILENO);
    FILE *file = tmpfile();
    assert_non_null(file);
    setenv("EMILY_LOG", "warn", 1);
    em_log_set(NULL, EM_LOG_ERROR, NULL);
    dup2(fileno(file), STDERR_FILENO);
    em__log(EM_LOG_INFO, "hidden");
    em__log(EM_LOG_WARN, "shown %d", 5);
    fflush(stderr);
    dup2(keep, STDERR_FILENO);
    close(keep);
    unsetenv("EMILY_LOG");
    em_log_set(NULL, EM_LOG_ERROR, NULL);
    char text[256] = "";
    rewind(file);
    assert_non_null(fgets(text, sizeof text, file));
    assert_string_equal(text, "emily [warn] shown 5\n");
    assert_null(fgets(text, sizeof text, file));
    fclose(file);
}

static void on_span(const char *name, const char *detail, uint64_t nanoseconds, void *user)
{
    seen *s = user;
    s->count++;
    snprintf(s->text, sizeof s->text, "%s %s %llu", name, detail, (unsigned long long)nanoseconds);
}

static void telemetry_spans(void **state)
{
    (void)state;
    seen s = {0};
    assert_false(em__telemetry_wanted());
    em__telemetry("run", "x", 1);
    em_telemetry_set(on_span, &s);
    assert_true(em__telemetry_wanted());
    em__telemetry("run", "matmul", 1500);
    assert_string_equal(s.text, "run matmul 1500");
    em__telemetry("run", NULL, 0);
    assert_string_equal(s.text, "run  0");
    em_telemetry_set(NULL, NULL);
    em__telemetry("run", "x", 1);
    assert_int_equal(s.count, 2);
}

static void clock_goes_forward(void **state)
{
    (void)state;
    uint64_t last = em__now();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = em__now();
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    unsetenv("EMILY_LOG");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handler_gets_what_it_wants),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(handlers_may_log),
        cmocka_unit_test(environment_turns_on_stderr),
        cmocka_unit_test(telemetry_spans),
        cmocka_unit_test(clock_goes_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
