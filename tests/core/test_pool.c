/*
 * The thread pool: every chunk runs once, callers take turns, a loop inside a loop runs inline, workers sleep when
 * there is nothing to do and are there when there is, also with more threads than processors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/pool.h"

#define MANY 1000

typedef struct tally {
    em__pool *pool;
    atomic_int counts[MANY];
    atomic_int bad_workers;
    atomic_int inner;
    int inner_chunks;
} tally;

static void count_inner(void *context, int64_t chunk, int worker)
{
    tally *t = context;
    (void)chunk;
    (void)worker;
    atomic_fetch_add(&t->inner, 1);
}

static void count_chunk(void *context, int64_t chunk, int worker)
{
    tally *t = context;
    atomic_fetch_add(&t->counts[chunk], 1);
    if (worker < 0 || worker >= em__pool_size(t->pool))
        atomic_fetch_add(&t->bad_workers, 1);
    if (t->inner_chunks)
        em__pool_run(t->pool, count_inner, t, t->inner_chunks);
}

static void check_loops(em__pool *pool, int loops)
{
    tally *t = calloc(1, sizeof *t);
    t->pool = pool;
    for (int i = 0; i < loops; i++) {
        int64_t n = i % (MANY + 1);
        memset(t->counts, 0, sizeof t->counts);
        em__pool_run(pool, count_chunk, t, n);
        for (int64_t c = 0; c < MANY; c++)
            assert_int_equal(t->counts[c], c < n);
    }
    assert_int_equal(t->bad_workers, 0);
    free(t);
}

static void test_every_chunk_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        em__pool *pool;
        assert_int_equal(em__pool_new(threads, &pool), EM_OK);
        assert_int_equal(em__pool_size(pool), threads);
        check_loops(pool, 1500);
        em__pool_free(pool);
    }
    em__pool_free(NULL);
}

/* More than there are processors anywhere: all of them, unless the system gives fewer; beyond the most, the most. */
static void test_many(void **state)
{
    (void)state;
    static const int asked[] = {300, 1025};
    for (int i = 0; i < 2; i++) {
        em__pool *pool;
        assert_int_equal(em__pool_new(asked[i], &pool), EM_OK);
        assert_true(em__pool_size(pool) >= 1 && em__pool_size(pool) <= (asked[i] < 1024 ? asked[i] : 1024));
        assert_int_equal(em__pool_reserve(pool, 64), EM_OK);
        check_loops(pool, 20);
        em__pool_free(pool);
    }
}

static void test_no_pool(void **state)
{
    (void)state;
    tally *t = calloc(1, sizeof *t);
    em__pool_run(NULL, count_inner, t, 5);
    em__pool_run(NULL, count_inner, t, 0);
    assert_int_equal(t->inner, 5);
    free(t);
}

static void test_loop_in_loop(void **state)
{
    (void)state;
    em__pool *pool;
    assert_int_equal(em__pool_new(3, &pool), EM_OK);
    tally *t = calloc(1, sizeof *t);
    t->pool = pool;
    t->inner_chunks = 7;
    em__pool_run(pool, count_chunk, t, 100);
    assert_int_equal(t->inner, 700);
    free(t);
    em__pool_free(pool);
}

static void *many_loops(void *pool)
{
    check_loops(pool, 500);
    return NULL;
}

static void test_callers_take_turns(void **state)
{
    (void)state;
    em__pool *pool;
    pthread_t callers[4];
    assert_int_equal(em__pool_new(2, &pool), EM_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, many_loops, pool), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(callers[i], NULL);
    em__pool_free(pool);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Between loops of random distance, so that they meet workers that spin, park, and are about to. */
static void test_sleep_and_wake(void **state)
{
    (void)state;
    em__pool *pool;
    assert_int_equal(em__pool_new(3, &pool), EM_OK);
    for (int i = 0; i < 300; i++) {
        check_loops(pool, 3);
        struct timespec pause = {0, (i * 7919 % 400) * 1000};
        nanosleep(&pause, NULL);
    }
    usleep(20000);
    double before = cpu_seconds();
    usleep(100000);
    assert_true(cpu_seconds() - before < 0.02); /* parked: nothing burns */
    check_loops(pool, 10);
    em__pool_free(pool);
}

static void wait_for_another(void *context, int64_t chunk, int worker)
{
    atomic_int *arrived = context;
    (void)chunk;
    (void)worker;
    atomic_fetch_add(arrived, 1);
    for (int i = 0; i < 2000 && atomic_load(arrived) < 2; i++)
        usleep(1000);
}

/* Two chunks that wait for each other end only when two threads run them: the worker does wake up. */
static void test_workers_take_part(void **state)
{
    (void)state;
    em__pool *pool;
    assert_int_equal(em__pool_new(2, &pool), EM_OK);
    for (int i = 0; i < 20; i++) {
        atomic_int arrived = 0;
        em__pool_run(pool, wait_for_another, &arrived, 2);
        assert_int_equal(arrived, 2);
        usleep(i % 2 ? 1000 : 0);
    }
    em__pool_free(pool);
}

static void write_scratch(void *context, int64_t chunk, int worker)
{
    em__pool *pool = context;
    memset(em__pool_scratch(pool, worker), (int)chunk, 100000);
}

static void test_scratch(void **state)
{
    (void)state;
    em__pool *pool;
    assert_int_equal(em__pool_new(3, &pool), EM_OK);
    assert_int_equal(em__pool_reserve(pool, 100000), EM_OK);
    void *before = em__pool_scratch(pool, 1);
    assert_int_equal((uintptr_t)before % 64, 0);
    em__pool_run(pool, write_scratch, pool, 50);
    assert_int_equal(em__pool_reserve(pool, 1000), EM_OK);
    assert_ptr_equal(em__pool_scratch(pool, 1), before);
    em__pool_free(pool);
}

static void look_inside(void *context, int64_t chunk, int worker)
{
    em__pool *pool = context;
    (void)worker;
    memset(em__pool_scratch(pool, worker), (int)chunk, 1000);
    assert_int_equal(em__pool_width(pool), 1);
    assert_int_equal(em__pool_reserve(pool, 1000), EM_OK);
    assert_int_equal(em__pool_reserve(pool, 1001), EM_ERROR_INTERNAL);
}

/* Within a loop there is one thread, and the scratch that there was. */
static void test_inside(void **state)
{
    (void)state;
    em__pool *pool;
    assert_int_equal(em__pool_new(1, &pool), EM_OK); /* failures can't be told from other threads */
    assert_int_equal(em__pool_reserve(pool, 1000), EM_OK);
    em__pool_run(pool, look_inside, pool, 5);
    em__pool_free(pool);
    assert_int_equal(em__pool_width(NULL), 1);
    assert_int_equal(em__pool_new(3, &pool), EM_OK);
    assert_int_equal(em__pool_width(pool), 3);
    em__pool_free(pool);
}

static void test_sizes(void **state)
{
    (void)state;
    em__pool *pool;
    assert_int_equal(em__pool_new(-1, &pool), EM_ERROR_INVALID_ARGUMENT);
    assert_true(em__pool_default_size() >= 1);
    setenv("EMILY_THREADS", "3", 1);
    assert_int_equal(em__pool_default_size(), 3);
    assert_int_equal(em__pool_new(0, &pool), EM_OK);
    assert_int_equal(em__pool_size(pool), 3);
    em__pool_free(pool);
    unsetenv("EMILY_THREADS");
    const int usual = em__pool_default_size();
    const char *const slips[] = {"0", "1025", "99999999999999999999", "two"};
    for (size_t i = 0; i < sizeof slips / sizeof *slips; i++) {
        setenv("EMILY_THREADS", slips[i], 1);
        assert_int_equal(em__pool_default_size(), usual);
    }
    unsetenv("EMILY_THREADS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_chunk_once),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_no_pool),
        cmocka_unit_test(test_loop_in_loop),
        cmocka_unit_test(test_callers_take_turns),
        cmocka_unit_test(test_sleep_and_wake),
        cmocka_unit_test(test_workers_take_part),
        cmocka_unit_test(test_scratch),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
