/* A pool in the child of a fork: its caller does all, keeps its processors, and can free it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/pool.h"

enum { CHUNKS = 100, ALARM_SECONDS = 60 };

/* What the child found wrong, by its exit status. */
enum { FINE, FEWER_CHUNKS, OTHER_PROCESSORS, NO_SCRATCH, WORKERS_LEFT };

static void count(void *context, int64_t chunk, int worker)
{
    (void)chunk, (void)worker;
    atomic_fetch_add((atomic_int *)context, 1);
}

/* To another processor and back into the whole set: as the system does when it moves a process. */
static void move(const cpu_set_t *all)
{
    cpu_set_t others = *all;
    CPU_CLR(sched_getcpu(), &others);
    if (CPU_COUNT(&others) > 0)
        sched_setaffinity(0, sizeof others, &others);
    sched_setaffinity(0, sizeof *all, all);
}

static int run_child(em__pool *pool)
{
    atomic_int done = 0;
    cpu_set_t before, after;
    alarm(ALARM_SECONDS);
    sched_getaffinity(0, sizeof before, &before);
    move(&before);
    em__pool_run(pool, count, &done, CHUNKS);
    sched_getaffinity(0, sizeof after, &after);
    if (atomic_load(&done) != CHUNKS)
        return FEWER_CHUNKS;
    if (!CPU_EQUAL(&before, &after))
        return OTHER_PROCESSORS;
    if (em__pool_reserve(pool, 1 << 16) != EM_OK || !em__pool_scratch(pool, 0))
        return NO_SCRATCH;
    if (em__pool_size(pool) != 1)
        return WORKERS_LEFT;
    em__pool_free(pool);
    return FINE;
}

static void test_child_runs_alone(void **state)
{
    em__pool *pools[2];
    atomic_int done = 0;
    int status;
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(em__pool_new(4, &pools[i]), EM_OK);
    em__pool_run(pools[0], count, &done, CHUNKS);
    assert_int_equal(em__pool_reserve(pools[0], 4096), EM_OK);
    em__pool_free(pools[1]);
    const pid_t child = fork();
    if (child == 0)
        _exit(run_child(pools[0]));
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), FINE);
    em__pool_run(pools[0], count, &done, CHUNKS);
    assert_int_equal(atomic_load(&done), 2 * CHUNKS);
    assert_true(em__pool_size(pools[0]) > 1);
    em__pool_free(pools[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_child_runs_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
