/* Host memory: sizes at the edges, counting, and the countdown to a failing allocation. */
#include "harness/expect.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "core/alloc.h"
#include "harness/faults.h"

static void sizes_at_the_edges(void **state)
{
    (void)state;
    long live = em__alloc_live();
    void *empty = em__alloc(0);
    unsigned char *zeros = em__calloc(3, 5);
    assert_non_null(empty);
    assert_non_null(zeros);
    for (int i = 0; i < 15; i++)
        assert_int_equal(zeros[i], 0);
    assert_int_equal(em__alloc_live(), live + 2);
    em__free(NULL);
    em__free(empty);
    em__free(zeros);
    assert_int_equal(em__alloc_live(), live);
}

static void impossible_sizes(void **state)
{
    (void)state;
    long live = em__alloc_live();
    em_clear_error();
    assert_null(em__calloc(SIZE_MAX / 2, 3));
    assert_int_equal(em_last_status(), EM_ERROR_OUT_OF_MEMORY);
    em_clear_error();
    volatile size_t huge = SIZE_MAX / 2 + 1;
    assert_null(em__alloc(huge));
    assert_int_equal(em_last_status(), EM_ERROR_OUT_OF_MEMORY);
    assert_null(em__strndup("x", SIZE_MAX));
    assert_int_equal(em__alloc_live(), live);
}

static void realloc_keeps(void **state)
{
    (void)state;
    long live = em__alloc_live();
    char *text = em__realloc(NULL, 4);
    memcpy(text, "abc", 4);
    text = em__realloc(text, 10000);
    assert_string_equal(text, "abc");
    assert_int_equal(em__alloc_live(), live + 1);
    em__alloc_fail_at(1, 0);
    assert_null(em__realloc(text, 20000));
    assert_string_equal(text, "abc");
    assert_int_equal(em__alloc_live(), live + 1);
    em__free(text);
    assert_int_equal(em__alloc_live(), live);
}

static void strings(void **state)
{
    (void)state;
    char *copy = em__strdup("text"), *part = em__strndup("a\0b", 3), *made = em__format("%s-%d", "n", 42);
    assert_string_equal(copy, "text");
    assert_memory_equal(part, "a\0b", 4);
    assert_string_equal(made, "n-42");
    em__free(copy);
    em__free(part);
    em__free(made);
}

static bool next_fails(void)
{
    void *ptr = em__alloc(1);
    em__free(ptr);
    return !ptr;
}

static void countdown(void **state)
{
    (void)state;
    em__alloc_fail_at(3, 0);
    assert_false(next_fails());
    assert_false(next_fails());
    assert_true(next_fails());
    assert_false(next_fails());
    em__alloc_fail_at(2, 1);
    assert_false(next_fails());
    assert_true(next_fails());
    assert_true(next_fails());
    em__alloc_fail_at(0, 0);
    assert_false(next_fails());
    unsigned long count = em__alloc_count();
    next_fails();
    assert_int_equal(em__alloc_count(), count + 1);
}

static void *allocate_many(void *arg)
{
    long failed = 0;
    for (int i = 0; i < 10000; i++)
        failed += next_fails();
    *(long *)arg = failed;
    return NULL;
}

/* Four threads race past the countdown: exactly one allocation fails. */
static void countdown_with_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    long failed[4], sum = 0;
    em__alloc_fail_at(20000, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_many, &failed[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        sum += failed[i];
    }
    assert_int_equal(sum, 1);
}

static em_status two_strings(void *context)
{
    (void)context;
    char *a = em__strdup("a"), *b = a ? em__format("%s%s", a, "b") : NULL;
    em__free(a);
    em__free(b);
    return b ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static void sweep_counts(void **state)
{
    (void)state;
    assert_int_equal(faults_sweep(two_strings, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_at_the_edges), cmocka_unit_test(impossible_sizes),
        cmocka_unit_test(realloc_keeps),      cmocka_unit_test(strings),
        cmocka_unit_test(countdown),          cmocka_unit_test(countdown_with_threads),
        cmocka_unit_test(sweep_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
