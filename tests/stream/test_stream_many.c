/*
 * Many streams at once: 16 streams run one program and different ones with the bits of a run alone, one that is stopped
 * in its work leaves the others whole, threads share one stream, memory stays flat.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <emily/memory.h>
#include <emily/ops.h>
#include <emily/stream.h>

#include "harness/expect.h"

#define STREAMS 16
#define RUNS 100
#define WIDE 48
#define ROWS 5

typedef struct weights {
    em_array *w, *g;
    int layers;
} weights;

static em_status forward(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const weights *k = user;
    em_array *x = in[0];
    for (int i = 0; i < k->layers; i++)
        x = em_layer_norm(s, em_gelu(s, em_matmul(s, x, k->w)), k->g, NULL, 1e-5);
    out[0] = em_softmax(s, x, -1);
    return em_scope_status(s);
}

static em_array *noise(em_scope *s, unsigned seed, em_dims dims)
{
    float values[WIDE * WIDE];
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int)(seed >> 8) / 16777216.0f - 0.5f;
    }
    return em_constant_f32(s, values, dims);
}

static const em_spec spec = {EM_F32, {2, {ROWS, WIDE}}};

static em_program *compiled(weights *k, em_lane lane)
{
    em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    em_program *program = em_compile(forward, k, &spec, 1, 1, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    return program;
}

/* One stream's work: runs one after another, each queued by the callback of the one before. */
typedef struct job {
    em_stream *stream;
    em_program *program; /* NULL: evaluates */
    weights *k;
    em_array *x, *out;
    const float *want;
    int left;
    atomic_int done, wrong, failed, stopped;
} job;

static void next(job *j);

static void check(em_status status, const char *error, void *user)
{
    job *j = user;
    (void)error;
    if (status == EM_OK) {
        const void *got = em_array_data(j->out);
        if (!got || memcmp(got, j->want, sizeof(float) * ROWS * WIDE) != 0)
            atomic_fetch_add(&j->wrong, 1);
    } else {
        atomic_fetch_add(status == EM_ERROR_STOPPED ? &j->stopped : &j->failed, 1);
    }
    em_array_release(&j->out);
    j->left--;
    atomic_fetch_add(&j->done, 1);
    if (status == EM_OK && j->left > 0)
        next(j);
}

static void next(job *j)
{
    em_status status = EM_OK;
    if (j->program) {
        status = em_stream_run(j->stream, j->program, &j->x, &j->out, check, j, NULL);
    } else {
        em_scope *s = em_scope_new(NULL);
        em_array *y;
        status = forward(s, &j->x, &y, j->k);
        j->out = em_array_retain(y);
        if (status == EM_OK)
            status = em_stream_eval(j->stream, &j->out, 1, check, j, NULL);
        em_scope_free(s);
    }
    if (status != EM_OK) { /* no callback comes */
        em_array_release(&j->out);
        atomic_fetch_add(status == EM_ERROR_STOPPED ? &j->stopped : &j->failed, 1);
    }
}

static void finish(job *jobs, int n, int runs)
{
    for (int i = 0; i < n; i++)
        while (atomic_load(&jobs[i].done) < runs && !atomic_load(&jobs[i].stopped) && !atomic_load(&jobs[i].failed))
            sched_yield();
    for (int i = 0; i < n; i++)
        em_stream_free(jobs[i].stream);
    EXPECT_OK(em_streams_shutdown());
    for (int i = 0; i < n; i++) {
        assert_int_equal(jobs[i].wrong, 0);
        assert_int_equal(jobs[i].failed, 0);
    }
}

typedef enum mix { ONE_PROGRAM, PROGRAM_EACH, EVALUATE, MIXED } mix;

/* 16 streams; `victim` is stopped in its work. */
static void run_streams(mix how, int victim)
{
    em_scope *s = em_scope_new(NULL);
    weights k[STREAMS];
    em_program *programs[STREAMS];
    em_array *want[STREAMS] = {0};
    job *jobs = calloc(STREAMS, sizeof *jobs);
    em_array *w = noise(s, 1, em_shape(WIDE, WIDE)), *g = noise(s, 2, em_shape(WIDE));
    for (int i = 0; i < STREAMS; i++) {
        bool same = how == ONE_PROGRAM && i > 0;
        k[i] = (weights){w, g, how == ONE_PROGRAM ? 2 : 1 + i % 4};
        programs[i] = same ? programs[0] : compiled(&k[i], how == MIXED && i % 3 == 0 ? EM_FUSE : EM_NATIVE);
        em_array *x = noise(s, 100 + (unsigned)i, em_shape(ROWS, WIDE));
        EXPECT_OK(em_run(programs[i], &x, &want[i]));
        bool eager = how == EVALUATE || (how == MIXED && i % 3 == 1);
        jobs[i] = (job){.program = eager ? NULL : programs[i], .k = &k[i], .x = x, .left = RUNS};
        jobs[i].want = em_array_data(want[i]);
        assert_non_null(jobs[i].stream = em_stream_new(NULL));
    }
    for (int i = 0; i < STREAMS; i++)
        next(&jobs[i]);
    if (victim >= 0)
        em_stream_stop(jobs[victim].stream);
    finish(jobs, STREAMS, RUNS);
    for (int i = 0; i < STREAMS; i++) {
        if (i != victim)
            assert_int_equal(jobs[i].done, RUNS);
        em_array_release(&want[i]);
        if (how != ONE_PROGRAM || i == 0)
            em_program_free(programs[i]);
    }
    free(jobs);
    em_scope_free(s);
}

static void test_one_program(void **state)
{
    (void)state;
    run_streams(ONE_PROGRAM, -1);
}

static void test_a_program_each(void **state)
{
    (void)state;
    run_streams(PROGRAM_EACH, -1);
}

static void test_eager(void **state)
{
    (void)state;
    run_streams(EVALUATE, -1);
}

static void test_one_dies(void **state)
{
    (void)state;
    run_streams(MIXED, 7);
}

/* Threads that submit to one stream, cancel, ask and stop. */
typedef struct shared {
    em_stream *stream;
    em_array *y;
    atomic_int taken, completed;
} shared;

static void completed(em_status status, const char *error, void *user)
{
    (void)status, (void)error;
    atomic_fetch_add(&((shared *)user)->completed, 1);
}

static void *submit_much(void *arg)
{
    shared *all = arg;
    for (int i = 0; i < 300; i++) {
        em_ticket ticket = 0;
        em_status status = em_stream_eval(all->stream, &all->y, 1, completed, all, &ticket);
        if (status == EM_OK)
            atomic_fetch_add(&all->taken, 1);
        if (i % 7 == 0)
            em_stream_cancel(all->stream, ticket);
        em_stream_depth(all->stream);
    }
    return NULL;
}

static void test_threads_share_a_stream(void **state)
{
    (void)state;
    pthread_t threads[4];
    em_scope *s = em_scope_new(NULL);
    shared all = {.y = em_exp(s, noise(s, 3, em_shape(ROWS, WIDE)))};
    assert_non_null(all.stream = em_stream_new(&(em_stream_options){.struct_size = sizeof(em_stream_options), 8}));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_much, &all), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    em_stream_free(all.stream);
    EXPECT_OK(em_streams_shutdown());
    assert_int_equal(all.completed, all.taken);
    assert_true(all.taken >= 8);
    em_scope_free(s);
}

static size_t active(void)
{
    em_memory_stats stats = {.struct_size = sizeof stats};
    em_memory_get_stats(&stats);
    return stats.active;
}

static void test_memory_is_flat(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    weights k = {noise(s, 1, em_shape(WIDE, WIDE)), noise(s, 2, em_shape(WIDE)), 1};
    em_program *program = compiled(&k, EM_NATIVE);
    em_array *x = noise(s, 9, em_shape(ROWS, WIDE)), *want;
    EXPECT_OK(em_run(program, &x, &want));
    assert_non_null(em_array_data(want)); /* on the host from now on, wherever it was computed */
    size_t before = active();
    job jobs[2];
    for (int i = 0; i < 2; i++) {
        jobs[i] = (job){.program = i ? program : NULL, .k = &k, .x = x, .left = 2000, .want = em_array_data(want)};
        assert_non_null(jobs[i].stream = em_stream_new(NULL));
    }
    em_memory_reset_peak();
    for (int i = 0; i < 2; i++)
        next(&jobs[i]);
    finish(jobs, 2, 2000);
    em_memory_stats stats = {.struct_size = sizeof stats};
    em_memory_get_stats(&stats);
    assert_int_equal(stats.active, before);
    assert_true(stats.peak - before < (size_t)2000 / 4 * ROWS * WIDE * sizeof(float));
    /* Streams themselves come and go. */
    for (int i = 0; i < 500; i++)
        em_stream_free(em_stream_new(NULL));
    EXPECT_OK(em_streams_shutdown());
    assert_int_equal(active(), before);
    em_array_release(&want);
    em_program_free(program);
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_program),
        cmocka_unit_test(test_a_program_each),
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_one_dies),
        cmocka_unit_test(test_threads_share_a_stream),
        cmocka_unit_test(test_memory_is_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
