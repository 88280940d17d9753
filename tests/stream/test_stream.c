/*
 * Streams: order, callbacks, a full queue, stopping, freeing and cancelling in the middle of work, failing tasks, and
 * every allocation failed once. What many streams do together is in test_stream_many.c.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/stream.h>

#include "array/array.h"
#include "core/error.h"
#include "harness/expect.h"
#include "harness/faults.h"

/* What callbacks have seen. */
typedef struct tally {
    atomic_int by_status[16], all;
    atomic_int texts_of_ok; /* none */
    char text[256];         /* of the last failure */
    pthread_t thread;
} tally;

static void count(em_status status, const char *error, void *user)
{
    tally *t = user;
    t->thread = pthread_self();
    if (status != EM_OK)
        snprintf(t->text, sizeof t->text, "%s", error);
    else if (*error)
        atomic_fetch_add(&t->texts_of_ok, 1);
    atomic_fetch_add(&t->by_status[status], 1);
    atomic_fetch_add(&t->all, 1);
}

static void wait_for(tally *t, int completions)
{
    while (atomic_load(&t->all) < completions)
        sched_yield();
}

/* A task that holds its worker until it is let go. */
typedef struct gate {
    sem_t entered, open;
} gate;

static em_status wait_at(void *user)
{
    gate *g = user;
    sem_post(&g->entered);
    while (sem_wait(&g->open) != 0) {
    }
    return EM_OK;
}

static em_stream *stream_of(size_t capacity)
{
    em_stream *stream = em_stream_new(&(em_stream_options){.struct_size = sizeof(em_stream_options), capacity});
    if (!stream)
        fail_msg("%s", em_last_error());
    return stream;
}

/* A stream whose worker stands at the gate; the gate's task has no callback. */
static em_stream *held(gate *g, size_t capacity)
{
    em_stream *stream = stream_of(capacity);
    sem_init(&g->entered, 0, 0);
    sem_init(&g->open, 0, 0);
    EXPECT_OK(em_stream_call(stream, wait_at, NULL, g, NULL));
    sem_wait(&g->entered);
    return stream;
}

/* A lazy chain of four products, as slow as `size` asks. */
static em_array *chain(em_scope *s, int64_t size)
{
    em_array *x = em_mul(s, em_iota(s, EM_F32, em_shape(size, size), -1), em_scalar(s, EM_F32, 1e-3));
    em_array *y = x;
    for (int i = 0; i < 4; i++)
        y = em_mul(s, em_matmul(s, y, x), em_scalar(s, EM_F32, 1e-3));
    return y;
}

typedef struct note {
    int *next, value;
} note;

static em_status write_note(void *user)
{
    note *n = user;
    int *next = n->next;
    next[1 + next[0]++] = n->value;
    return EM_OK;
}

static void test_tasks_run_in_order(void **state)
{
    (void)state;
    int list[101] = {0};
    note notes[100];
    tally t = {0};
    em_stream *stream = stream_of(0);
    em_ticket before = 0, ticket;
    for (int i = 0; i < 100; i++) {
        notes[i] = (note){list, i};
        EXPECT_OK(em_stream_call(stream, write_note, NULL, &notes[i], &ticket));
        assert_true(ticket > before);
        before = ticket;
    }
    EXPECT_OK(em_stream_eval(stream, NULL, 0, count, &t, NULL));
    wait_for(&t, 1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(list[1 + i], i);
    assert_int_equal(em_stream_depth(stream), 0);
    assert_false(pthread_equal(t.thread, pthread_self()));
    em_stream_free(stream);
    EXPECT_OK(em_streams_shutdown());
    assert_int_equal(t.all, 1);
}

static void test_a_full_queue_says_so(void **state)
{
    (void)state;
    gate g;
    tally t = {0};
    em_stream *stream = held(&g, 4);
    em_scope *s = em_scope_new(NULL);
    int taken = 0;
    for (int i = 0; i < 20; i++) {
        em_array *y = chain(s, 16);
        em_status status = em_stream_eval(stream, &y, 1, count, &t, NULL);
        if (status == EM_OK)
            taken++;
        else
            EXPECT_ERROR(status, EM_ERROR_BUSY, "4 tasks wait");
    }
    assert_int_equal(taken, 4);
    assert_int_equal(em_stream_depth(stream), 4);
    assert_int_equal(t.all, 0);
    sem_post(&g.open);
    wait_for(&t, 4);
    EXPECT_OK(em_stream_eval(stream, NULL, 0, count, &t, NULL));
    em_scope_free(s);
    em_stream_free(stream);
    EXPECT_OK(em_streams_shutdown());
    assert_int_equal(t.all, 5);
    assert_int_equal(t.by_status[EM_OK] + t.by_status[EM_ERROR_STOPPED], 5);
}

/* Fired as fast as possible: what was accepted completes, once, and nothing else does. */
static void test_a_storm(void **state)
{
    (void)state;
    for (int n = 20; n <= 500; n *= 5) {
        tally t = {0};
        em_stream *stream = stream_of(4);
        em_scope *s = em_scope_new(NULL);
        int taken = 0, busy = 0, stopped = 0;
        for (int i = 0; i < n; i++) {
            em_array *y = chain(s, 96);
            em_status status = em_stream_eval(stream, &y, 1, count, &t, NULL);
            taken += status == EM_OK;
            busy += status == EM_ERROR_BUSY;
            stopped += status == EM_ERROR_STOPPED;
            if (i == n / 2)
                em_stream_stop(stream);
        }
        em_stream_free(stream);
        EXPECT_OK(em_streams_shutdown());
        assert_int_equal(taken + busy + stopped, n);
        assert_true(stopped >= n / 2 - 1);
        assert_int_equal(t.all, taken);
        assert_int_equal(t.by_status[EM_OK] + t.by_status[EM_ERROR_STOPPED], taken);
        em_scope_free(s);
    }
}

static void test_stop_in_the_middle(void **state)
{
    (void)state;
    gate g;
    tally t = {0};
    em_stream *stream = held(&g, 0);
    for (int i = 0; i < 10; i++)
        EXPECT_OK(em_stream_eval(stream, NULL, 0, count, &t, NULL));
    em_stream_stop(stream); /* returns although a task runs */
    em_stream_stop(stream);
    EXPECT_ERROR(em_stream_eval(stream, NULL, 0, count, &t, NULL), EM_ERROR_STOPPED, "stopped");
    assert_int_equal(t.all, 0);
    sem_post(&g.open);
    EXPECT_OK(em_streams_shutdown());
    assert_int_equal(t.by_status[EM_ERROR_STOPPED], 10);
    assert_int_equal(t.all, 10);
    assert_string_equal(t.text, "the stream was stopped");
    assert_int_equal(em_stream_depth(stream), 0);
    EXPECT_ERROR(em_stream_call(stream, wait_at, NULL, &g, NULL), EM_ERROR_STOPPED, "stopped");
    em_stream_free(stream);
}

static void test_free_in_the_middle(void **state)
{
    (void)state;
    gate g;
    tally t = {0};
    em_stream *stream = held(&g, 0);
    em_scope *s = em_scope_new(NULL);
    em_array *y = chain(s, 16);
    EXPECT_OK(em_stream_eval(stream, &y, 1, count, &t, NULL));
    em_scope_free(s); /* the task holds what it needs */
    em_stream_free(stream);
    assert_int_equal(t.all, 0);
    sem_post(&g.open);
    EXPECT_OK(em_streams_shutdown());
    assert_int_equal(t.by_status[EM_ERROR_STOPPED], 1);
}

static em_status free_own(void *user)
{
    em_stream *stream = user;
    em_status refused = em_streams_shutdown();
    em_stream_free(stream);
    return refused == EM_ERROR_INVALID_ARGUMENT ? EM_OK : EM_ERROR_INTERNAL;
}

static atomic_int own_status = -1;

static void keep_own(em_status status, const char *error, void *user)
{
    (void)user, (void)error;
    own_status = (int)status;
}

static void test_a_task_frees_its_own_stream(void **state)
{
    (void)state;
    em_stream *stream = stream_of(2);
    EXPECT_OK(em_stream_call(stream, free_own, keep_own, stream, NULL));
    while (own_status < 0)
        sched_yield();
    EXPECT_OK(em_streams_shutdown());
    assert_int_equal(own_status, EM_OK);
}

static void test_cancelling(void **state)
{
    (void)state;
    gate g;
    tally t = {0};
    em_ticket tickets[5];
    em_stream *stream = held(&g, 5);
    for (int i = 0; i < 5; i++)
        EXPECT_OK(em_stream_eval(stream, NULL, 0, count, &t, &tickets[i]));
    EXPECT_OK(em_stream_cancel(stream, tickets[2]));
    EXPECT_OK(em_stream_cancel(stream, tickets[4])); /* the last, behind which the next is queued */
    EXPECT_ERROR(em_stream_cancel(stream, tickets[2]), EM_ERROR_NOT_FOUND, "does not wait");
    EXPECT_ERROR(em_stream_cancel(stream, 1), EM_ERROR_NOT_FOUND, "task 1 does not wait"); /* it runs */
    EXPECT_ERROR(em_stream_cancel(stream, 0), EM_ERROR_NOT_FOUND, "never was");
    assert_int_equal(em_stream_depth(stream), 3);
    EXPECT_OK(em_stream_eval(stream, NULL, 0, count, &t, NULL)); /* its place is free again */
    EXPECT_OK(em_stream_eval(stream, NULL, 0, count, &t, NULL));
    EXPECT_ERROR(em_stream_eval(stream, NULL, 0, count, &t, NULL), EM_ERROR_BUSY, "5 tasks wait");
    sem_post(&g.open);
    wait_for(&t, 7);
    assert_int_equal(t.by_status[EM_ERROR_CANCELLED], 2);
    assert_int_equal(t.by_status[EM_OK], 5);
    em_stream_free(stream);
    EXPECT_OK(em_streams_shutdown());
}

static em_status fails_with_text(void *user)
{
    (void)user;
    em_scope *s = em_scope_new(NULL);
    em_add(s, em_iota(s, EM_F32, em_shape(3), 0), em_iota(s, EM_F32, em_shape(4), 0));
    em_status status = em_scope_status(s);
    em_scope_free(s);
    return status;
}

static em_status fails_without_text(void *user)
{
    (void)user;
    return EM_ERROR_IO;
}

static void test_a_failing_task_leaves_the_stream_alive(void **state)
{
    (void)state;
    tally t = {0};
    em_stream *stream = stream_of(0);
    EXPECT_OK(em_stream_call(stream, fails_with_text, count, &t, NULL));
    wait_for(&t, 1);
    assert_int_equal(t.by_status[EM_ERROR_INVALID_ARGUMENT], 1);
    assert_non_null(strstr(t.text, "f32[4]"));
    EXPECT_OK(em_stream_call(stream, fails_without_text, count, &t, NULL));
    wait_for(&t, 2);
    assert_int_equal(t.by_status[EM_ERROR_IO], 1);
    assert_string_equal(t.text, em_status_text(EM_ERROR_IO));
    EXPECT_OK(em_stream_eval(stream, NULL, 0, count, &t, NULL));
    wait_for(&t, 3);
    assert_int_equal(t.by_status[EM_OK], 1);
    assert_int_equal(t.texts_of_ok, 0);
    em_stream_free(stream);
    EXPECT_OK(em_streams_shutdown());
}

static em_status doubled(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_add(s, in[0], in[0]);
    return EM_OK;
}

static const em_spec spec = {EM_F32, {1, {4}}};
static const float values[] = {1, 2, 3, 4}, twice[] = {2, 4, 6, 8};

static void test_programs(void **state)
{
    (void)state;
    gate g;
    tally t = {0};
    em_ticket ticket;
    em_stream *stream = held(&g, 0);
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_constant_f32(s, values, em_shape(4)), *wrong = em_constant_f32(s, values, em_shape(2, 2));
    em_array *out = NULL, *none = x, *late = x;
    em_program *program = em_compile(doubled, NULL, &spec, 1, 1, NULL);
    assert_non_null(program);
    EXPECT_OK(em_stream_run(stream, program, &x, &out, count, &t, NULL));
    EXPECT_OK(em_stream_run(stream, program, &wrong, &none, count, &t, NULL));
    EXPECT_OK(em_stream_run(stream, program, &x, &late, count, &t, &ticket));
    em_program_free(program); /* the tasks have it */
    em_scope_free(s);
    EXPECT_OK(em_stream_cancel(stream, ticket));
    sem_post(&g.open);
    wait_for(&t, 3);
    EXPECT_SAME_BITS(EM_F32, em_array_data(out), twice, 4);
    assert_null(none);
    assert_null(late);
    assert_int_equal(t.by_status[EM_ERROR_INVALID_ARGUMENT], 1);
    assert_int_equal(t.by_status[EM_ERROR_CANCELLED], 1);
    em_array_release(&out);
    em_stream_free(stream);
    EXPECT_OK(em_streams_shutdown());
}

/* A run whose inputs have values needs nothing that an evaluation elsewhere holds. */
static void test_runs_do_not_wait_for_evaluations(void **state)
{
    (void)state;
    tally t = {0};
    em_stream *stream = stream_of(0);
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_constant_f32(s, values, em_shape(4)), *out = NULL;
    em_program *program = em_compile(doubled, NULL, &spec, 1, 1, NULL);
    em__eval_lock();
    EXPECT_OK(em_stream_run(stream, program, &x, &out, count, &t, NULL));
    wait_for(&t, 1);
    EXPECT_SAME_BITS(EM_F32, em_array_data(out), twice, 4);
    em__eval_unlock();
    em_array_release(&out);
    em_program_free(program);
    em_scope_free(s);
    em_stream_free(stream);
    EXPECT_OK(em_streams_shutdown());
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    em_array *none = NULL;
    em_stream *stream = stream_of(1);
    EXPECT_ERROR(em_stream_eval(NULL, NULL, 0, NULL, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "stream is NULL");
    EXPECT_ERROR(em_stream_eval(stream, NULL, 1, NULL, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "list of arrays");
    EXPECT_ERROR(em_stream_eval(stream, &none, 1, NULL, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "array 0 is NULL");
    EXPECT_ERROR(em_stream_run(stream, NULL, NULL, &none, NULL, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "program");
    EXPECT_ERROR(em_stream_call(stream, NULL, NULL, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "function is NULL");
    EXPECT_ERROR(em_stream_cancel(NULL, 1), EM_ERROR_INVALID_ARGUMENT, "stream is NULL");
    assert_int_equal(em_stream_depth(NULL), 0);
    em_stream_stop(NULL);
    em_stream_free(NULL);
    assert_null(em_stream_new(&(em_stream_options){.struct_size = 3}));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "em_stream_options");
    em_stream_free(stream);
    EXPECT_OK(em_streams_shutdown());
}

/* The first status that was not EM_OK: of submitting, or of a task. */
typedef struct outcome {
    em_status status;
    char text[256];
} outcome;

static void keep_first(em_status status, const char *error, void *user)
{
    outcome *o = user;
    if (status == EM_OK || o->status != EM_OK)
        return;
    o->status = status;
    snprintf(o->text, sizeof o->text, "%s", error);
}

static em_status make_and_use(void *context)
{
    outcome o = {0};
    em_array *out = NULL, *x = context, *y = NULL;
    em_program *program = em_compile(doubled, NULL, &spec, 1, 1, NULL);
    em_scope *s = program ? em_scope_new(NULL) : NULL;
    em_stream *stream = s ? em_stream_new(NULL) : NULL;
    em_status status = stream && (y = em_exp(s, x)) ? EM_OK : em_last_status();
    if (status == EM_OK)
        status = em_stream_run(stream, program, &x, &out, keep_first, &o, NULL);
    if (status == EM_OK)
        status = em_stream_eval(stream, &y, 1, keep_first, &o, NULL);
    gate g;
    sem_init(&g.entered, 0, 0);
    sem_init(&g.open, 0, 1);
    if (status == EM_OK)
        status = em_stream_call(stream, wait_at, keep_first, &g, NULL);
    if (status == EM_OK)
        sem_wait(&g.entered);
    em_stream_free(stream);
    em_streams_shutdown();
    em_array_release(&out);
    em_scope_free(s);
    em_program_free(program);
    if (status != EM_OK || o.status == EM_OK)
        return status;
    return em__fail(o.status, "%s", o.text);
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_constant_f32(s, values, em_shape(4));
    assert_true(faults_sweep(make_and_use, x) > 10);
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_run_in_order),
        cmocka_unit_test(test_a_full_queue_says_so),
        cmocka_unit_test(test_a_storm),
        cmocka_unit_test(test_stop_in_the_middle),
        cmocka_unit_test(test_free_in_the_middle),
        cmocka_unit_test(test_a_task_frees_its_own_stream),
        cmocka_unit_test(test_cancelling),
        cmocka_unit_test(test_a_failing_task_leaves_the_stream_alive),
        cmocka_unit_test(test_programs),
        cmocka_unit_test(test_runs_do_not_wait_for_evaluations),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
