/*
 * Two GPUs in one process: what one computes the other computes with the same bits, arrays and results of one are
 * operands of the other, two threads run a program each, and each has a memory, a limit and an end of its own.
 */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"
#include "harness/rng.h"

enum { ROWS = 37, WIDE = 256, RUNS = 200 };

static em_device *gpus[2];
static const em_spec spec = {EM_F32, {2, {ROWS, WIDE}}};

typedef struct weights {
    em_array *w, *gain;
} weights;

static em_array *noise(em_scope *s, uint32_t seed, em_dims dims)
{
    static float values[WIDE * WIDE];
    rng random = {seed};
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    assert_true(n <= sizeof values / sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)rng_between(&random, -1, 1);
    em_array *array = em_constant_f32(s, values, dims);
    EXPECT_OK(em_eval(s, array));
    return array;
}

static em_status forward(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const weights *k = user;
    em_array *x = in[0];
    for (int i = 0; i < 3; i++)
        x = em_layer_norm(s, em_gelu(s, em_matmul(s, x, k->w)), k->gain, NULL, 1e-5);
    out[0] = em_softmax(s, x, -1);
    return em_scope_status(s);
}

static em_program *compiled(em_device *device, weights *k, em_lane lane)
{
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane, .device = device};
    em_program *program = em_compile(forward, k, &spec, 1, 1, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    return program;
}

/* Weights of the host serve both; of the first GPU too. */
static void test_same_bits(void **unused)
{
    (void)unused;
    for (int from = -1; from < 1; from++)
        for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
            em_scope *s = em_scope_new(from < 0 ? em_device_find("cpu") : gpus[from]);
            weights k = {noise(s, 1, em_shape(WIDE, WIDE)), noise(s, 2, em_shape(WIDE))};
            em_array *x = noise(s, 3, em_shape(ROWS, WIDE)), *y[2] = {0};
            for (int i = 0; i < 2; i++) {
                em_program *program = compiled(gpus[i], &k, (em_lane)lane);
                EXPECT_OK(em_run(program, &x, &y[i]));
                em_program_free(program);
            }
            assert_memory_equal(em_array_data(y[0]), em_array_data(y[1]), ROWS * WIDE * sizeof(float));
            em_array_release(&y[0]);
            em_array_release(&y[1]);
            em_scope_free(s);
        }
}

/* Results go from one to the other and back, as operands of ops and of programs. */
static void test_operands_of_the_other(void **unused)
{
    (void)unused;
    em_scope *scopes[2] = {em_scope_new(gpus[0]), em_scope_new(gpus[1])};
    weights k = {noise(scopes[0], 1, em_shape(WIDE, WIDE)), noise(scopes[1], 2, em_shape(WIDE))};
    em_program *programs[2] = {compiled(gpus[0], &k, EM_FUSE), compiled(gpus[1], &k, EM_FUSE)};
    em_array *mixed = noise(scopes[0], 5, em_shape(ROWS, WIDE)), *alone = mixed;
    for (int turn = 0; turn < 6; turn++) {
        em_array *next = em_add(scopes[turn % 2], mixed, em_mul(scopes[(turn + 1) % 2], mixed, mixed)), *made = NULL;
        EXPECT_OK(em_run(programs[turn % 2], &next, &made));
        mixed = em_scope_adopt(scopes[turn % 2], made);
        next = em_add(scopes[0], alone, em_mul(scopes[0], alone, alone));
        made = NULL;
        EXPECT_OK(em_run(programs[0], &next, &made));
        alone = em_scope_adopt(scopes[0], made);
        assert_memory_equal(em_array_data(mixed), em_array_data(alone), ROWS * WIDE * sizeof(float));
    }
    for (int i = 0; i < 2; i++) {
        em_program_free(programs[i]);
        em_scope_free(scopes[i]);
    }
}

typedef struct worker {
    em_program *program;
    em_array *x;
    const float *want;
    int wrong;
} worker;

static void *work(void *user)
{
    worker *w = user;
    for (int i = 0; i < RUNS; i++) {
        em_array *y = NULL;
        if (em_run(w->program, &w->x, &y) != EM_OK ||
            memcmp(em_array_data(y), w->want, ROWS * WIDE * sizeof(float)) != 0)
            w->wrong++;
        em_array_release(&y);
    }
    return NULL;
}

/* Both read the same x, which is the other's memory for one of them. */
static void test_at_the_same_time(void **unused)
{
    (void)unused;
    em_scope *s = em_scope_new(gpus[0]);
    weights k = {noise(s, 1, em_shape(WIDE, WIDE)), noise(s, 2, em_shape(WIDE))};
    em_array *x = em_mul(s, noise(s, 3, em_shape(ROWS, WIDE)), em_scalar(s, EM_F32, 2)), *want = NULL;
    worker workers[2] = {{compiled(gpus[0], &k, EM_FUSE), x, NULL, 0}, {compiled(gpus[1], &k, EM_FUSE), x, NULL, 0}};
    pthread_t threads[2];
    EXPECT_OK(em_eval(s, x));
    EXPECT_OK(em_run(workers[0].program, &x, &want));
    for (int i = 0; i < 2; i++) {
        workers[i].want = em_array_data(want);
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
        em_program_free(workers[i].program);
    }
    em_array_release(&want);
    em_scope_free(s);
}

static size_t active(em_device *device)
{
    em_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(em_device_get_memory(device, &stats));
    return stats.active;
}

static void test_memory_of_each(void **unused)
{
    (void)unused;
    const em_dims large = em_shape(1 << 20, 16);
    const size_t before[2] = {active(gpus[0]), active(gpus[1])}, bytes = (size_t)64 << 20;
    em_scope *s = em_scope_new(gpus[1]);
    em_array *a = em_exp(s, em_full(s, EM_F32, 1.5, large)); /* which has no memory of its own */
    EXPECT_OK(em_eval(s, a));
    EXPECT_OK(em_device_wait(gpus[1]));
    assert_int_equal(active(gpus[0]), before[0]);
    assert_true(active(gpus[1]) >= before[1] + bytes);

    em_device_set_memory_limit(gpus[1], active(gpus[1]) + bytes / 2);
    em_scope *other = em_scope_new(gpus[1]), *first = em_scope_new(gpus[0]);
    assert_int_equal(em_eval(other, em_add(other, a, a)), EM_ERROR_OUT_OF_MEMORY);
    assert_non_null(strstr(em_last_error(), "cuda:1"));
    EXPECT_OK(em_eval(first, em_exp(first, em_full(first, EM_F32, 2.5, large))));
    em_device_set_memory_limit(gpus[1], SIZE_MAX);
    em_scope_free(other);
    other = em_scope_new(gpus[1]);
    EXPECT_OK(em_eval(other, em_add(other, a, a)));
    em_scope_free(first);
    em_scope_free(other);
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_operands_of_the_other),
                                       cmocka_unit_test(test_at_the_same_time), cmocka_unit_test(test_memory_of_each)};
    gpus[0] = em_device_find("cuda:0");
    gpus[1] = gpus[0] ? em_device_find("cuda:1") : NULL;
    if (!gpus[1]) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
