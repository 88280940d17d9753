/*
 * Programs at their edges: outputs that are inputs, constants, views or each other; no inputs; empty arrays; captured
 * views whose owner goes; one weight used both ways; foreign inputs; memory that does not fit; threads at once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "core/alloc.h"
#include "harness/expect.h"

#define N 40 /* rows and columns: no multiple of a tile */

static em_program *compiled(em_trace_fn fn, void *user, const em_spec *specs, size_t n_in, size_t n_out, em_lane lane)
{
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    em_program *program = em_compile(fn, user, specs, n_in, n_out, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    return program;
}

static em_status copies(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *y = em_exp(s, in[0]);
    out[0] = in[0];
    out[1] = y;
    out[2] = y;
    out[3] = em_reshape(s, y, em_shape(3, 2));
    out[4] = em_transpose(s, y, EM_ALL_AXES);
    out[5] = user;
    out[6] = in[0];
    out[7] = em_broadcast_to(s, em_scalar(s, EM_F32, 2), em_shape(2, 3));
    return EM_OK;
}

static void test_outputs_may_be_anything(void **state)
{
    (void)state;
    const em_spec spec = {EM_F32, {2, {2, 3}}};
    em_scope *s = em_scope_new(NULL);
    em_array *constant = em_transpose(s, em_iota(s, EM_F32, em_shape(2, 3), 1), EM_ALL_AXES);
    em_array *x = em_iota(s, EM_F32, em_shape(2, 3), 0), *want[8], *got[8];
    EXPECT_OK(em_eval(s, constant));
    EXPECT_OK(copies(s, &x, want, constant));
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        em_program *program = compiled(copies, constant, &spec, 1, 8, (em_lane)lane);
        for (int run = 0; run < 2; run++) {
            EXPECT_OK(em_run(program, &x, got));
            for (int i = 0; i < 8; i++) {
                EXPECT_SAME_BITS(EM_F32, em_array_data(got[i]), em_array_data(want[i]), 6);
                em_array_release(&got[i]);
            }
        }
        em_program_free(program);
    }
    em_scope_free(s);
}

static em_status counts(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)in, (void)user;
    out[0] = em_add(s, em_iota(s, EM_S32, em_shape(5), 0), em_scalar(s, EM_S32, 1));
    return EM_OK;
}

static void test_no_inputs(void **state)
{
    (void)state;
    const int32_t want[] = {1, 2, 3, 4, 5};
    int32_t got[5] = {0};
    em_program *program = compiled(counts, NULL, NULL, 0, 1, EM_FUSE);
    EXPECT_OK(em_run_raw(program, NULL, (void *[]){got}));
    EXPECT_SAME_BITS(EM_S32, got, want, 5);
    em_array *out;
    EXPECT_OK(em_run(program, NULL, &out));
    EXPECT_SAME_BITS(EM_S32, em_array_data(out), want, 5);
    em_array_release(&out);
    em_program_free(program);
}

static em_status both_ways(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_linear(s, in[0], user, NULL);
    out[1] = em_matmul(s, in[0], user);
    return EM_OK;
}

/* The packed forms of W and of W turned are two. */
static void test_one_weight_used_both_ways(void **state)
{
    (void)state;
    const em_spec spec = {EM_F32, {2, {N, N}}};
    em_scope *s = em_scope_new(NULL);
    em_array *w = em_sin(s, em_reshape(s, em_iota(s, EM_F32, em_shape(N * N), 0), em_shape(N, N)));
    em_array *x = em_cos(s, em_iota(s, EM_F32, em_shape(N, N), 1)), *want[2], *got[2];
    EXPECT_OK(em_eval(s, w));
    for (int half = 0; half < 2; half++) {
        em_dtype dtype = half ? EM_F16 : EM_F32;
        em_array *wd = em_cast(s, w, dtype), *xd = em_cast(s, x, dtype);
        em_spec typed = spec;
        typed.dtype = dtype;
        EXPECT_OK(em_eval(s, wd));
        EXPECT_OK(both_ways(s, &xd, want, wd));
        for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
            em_program *program = compiled(both_ways, wd, &typed, 1, 2, (em_lane)lane);
            EXPECT_OK(em_run(program, &xd, got));
            for (int i = 0; i < 2; i++) {
                EXPECT_SAME_BITS(dtype, em_array_data(got[i]), em_array_data(want[i]), N * N);
                em_array_release(&got[i]);
            }
            em_program_free(program);
        }
    }
    em_scope_free(s);
}

static em_status adds_captured(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_add(s, in[0], user);
    return EM_OK;
}

static void overwrite(void *user)
{
    memset(user, 0x7f, N * N * sizeof(float));
}

/* em_array_data makes a strided array row-major: the program keeps the memory that it captured. */
static void test_captured_views_outlive_their_owner(void **state)
{
    (void)state;
    static float memory[N * N], zeros[N * N], got[N * N];
    const em_spec spec = {EM_F32, {2, {N, N}}};
    for (int i = 0; i < N * N; i++)
        memory[i] = (float)i;
    em_scope *s = em_scope_new(NULL);
    em_array *w = em_array_wrap(EM_F32, memory, em_shape(N, N), overwrite, memory);
    em_array *turned = em_array_retain(em_transpose(s, w, EM_ALL_AXES));
    EXPECT_OK(em_eval(s, turned));
    em_array_release(&w);
    em_scope_free(s);
    em_program *program = compiled(adds_captured, turned, &spec, 1, 1, EM_NATIVE);
    assert_non_null(em_array_data(turned)); /* moves */
    em_array_release(&turned);
    EXPECT_OK(em_run_raw(program, (const void *[]){zeros}, (void *[]){got}));
    assert_true(got[1] == N && got[N] == 1);
    em_program_free(program);
    assert_true(memory[1] != 1); /* only now was it free to go */
}

static em_status leaks_input(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    *(em_array **)user = em_array_retain(in[0]);
    out[0] = em_exp(s, in[0]);
    return EM_OK;
}

static void test_inputs_belong_to_one_program(void **state)
{
    (void)state;
    const em_spec large = {EM_F32, {1, {1000}}}, small = {EM_F32, {1, {1}}};
    em_array *leaked = NULL, *out = NULL;
    em_program *program = compiled(leaks_input, &leaked, &large, 1, 1, EM_FUSE);
    assert_null(em_compile(adds_captured, leaked, &small, 1, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "another program");
    EXPECT_ERROR(em_run(program, &leaked, &out), EM_ERROR_INVALID_ARGUMENT, "while it is traced");
    assert_null(out);
    em_array_release(&leaked);
    em_program_free(program);
    em_program_free(NULL);
}

static void test_arguments(void **state)
{
    (void)state;
    _Alignas(8) char memory[64] = {0};
    const em_spec spec = {EM_F32, {1, {4}}}, deep = {EM_F32, {9, {1}}}, odd = {(em_dtype)77, {1, {1}}};
    const em_spec negative = {EM_F32, {1, {-4}}};
    assert_null(em_compile(NULL, NULL, &spec, 1, 1, NULL));
    assert_null(em_compile(counts, NULL, NULL, 1, 1, NULL));
    assert_null(em_compile(counts, NULL, NULL, 0, 0, NULL));
    assert_null(em_compile(counts, NULL, NULL, 0, SIZE_MAX, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "outputs");
    assert_null(em_compile(counts, NULL, &deep, 1, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "rank 9");
    assert_null(em_compile(counts, NULL, &odd, 1, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "dtype 77");
    assert_null(em_compile(counts, NULL, &negative, 1, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "-4");
    em_compile_options options = {.struct_size = sizeof options + 1};
    assert_null(em_compile(counts, NULL, NULL, 0, 1, &options));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "struct_size");
    options = (em_compile_options){.struct_size = sizeof options, .lane = (em_lane)5};
    assert_null(em_compile(counts, NULL, NULL, 0, 1, &options));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "lane 5");
    options = (em_compile_options){.struct_size = offsetof(em_compile_options, device), .profile = true};
    em_program *program = em_compile(counts, NULL, NULL, 0, 1, &options);
    assert_non_null(program);
    EXPECT_ERROR(em_run_raw(program, NULL, (void *[]){memory + 1}), EM_ERROR_INVALID_ARGUMENT, "not aligned");
    EXPECT_ERROR(em_run_raw(program, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "NULL");
    EXPECT_ERROR(em_run_raw(NULL, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "NULL");
    assert_int_equal(em_program_output_spec(program, 1).dims.rank, 0);
    em_program_free(program);
}

typedef struct work {
    em_program *program;
    em_array *weight;
    const float *want;
} work;

static void *run_and_build(void *arg)
{
    static const em_spec spec = {EM_F32, {2, {N, N}}};
    const work *w = arg;
    float ones[N * N], got[2][N * N];
    for (int i = 0; i < N * N; i++)
        ones[i] = 1;
    for (int round = 0; round < 30; round++) {
        const void *in[] = {ones};
        void *out[] = {got[0], got[1]};
        if (em_run_raw(w->program, in, out) != EM_OK || memcmp(got[0], w->want, sizeof got[0]) != 0)
            return "replay";
        em_scope *s = em_scope_new(NULL);
        em_array *x = em_constant_f32(s, ones, em_shape(N, N)), *y[2];
        both_ways(s, &x, y, w->weight);
        const void *data = em_array_data(y[0]);
        if (!data || memcmp(data, w->want, sizeof got[0]) != 0)
            return "eager";
        em_program *own = em_compile(both_ways, w->weight, &spec, 1, 2, NULL);
        if (!own || em_run_raw(own, in, out) != EM_OK || memcmp(got[0], w->want, sizeof got[0]) != 0)
            return "own program";
        em_program_free(own);
        em_scope_free(s);
    }
    return NULL;
}

/* Replays, eager work and compilation over one lazy weight on several threads, while the device changes its threads. */
static void test_threads_at_once(void **state)
{
    (void)state;
    const em_spec spec = {EM_F32, {2, {N, N}}};
    em_scope *s = em_scope_new(NULL);
    em_array *w = em_transpose(s, em_sin(s, em_iota(s, EM_F32, em_shape(N, N), 0)), EM_ALL_AXES);
    em_array *ones = em_broadcast_to(s, em_scalar(s, EM_F32, 1), em_shape(N, N)), *want[2];
    EXPECT_OK(both_ways(s, &ones, want, w));
    work job = {compiled(both_ways, w, &spec, 1, 2, EM_FUSE), w, em_array_data(want[0])};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_and_build, &job), 0);
    for (int i = 0; i < 40; i++)
        EXPECT_OK(em_device_set_threads(em_device_default(), 1 + i % 3));
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        if (result)
            fail_msg("%s", (const char *)result);
    }
    em_program_free(job.program);
    em_scope_free(s);
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
}

/* A replay after em_device_set_threads allocates nothing: the new threads have the scratch of the old ones. */
static void test_new_threads_have_scratch(void **state)
{
    (void)state;
    enum { WIDE = 1024 };
    static float x[16 * WIDE], y[2][16 * WIDE];
    const em_spec spec = {EM_F32, {2, {16, WIDE}}};
    em_scope *s = em_scope_new(NULL);
    em_array *w = em_broadcast_to(s, em_scalar(s, EM_F32, 0.5), em_shape(WIDE, WIDE));
    em_program *program = compiled(both_ways, w, &spec, 1, 2, EM_FUSE);
    EXPECT_OK(em_device_set_threads(em_device_default(), 3));
    unsigned long before = em__alloc_count();
    EXPECT_OK(em_run_raw(program, (const void *[]){x}, (void *[]){y[0], y[1]}));
    assert_int_equal(em__alloc_count(), before);
    em_program_free(program);
    em_scope_free(s);
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outputs_may_be_anything),
        cmocka_unit_test(test_no_inputs),
        cmocka_unit_test(test_one_weight_used_both_ways),
        cmocka_unit_test(test_captured_views_outlive_their_owner),
        cmocka_unit_test(test_inputs_belong_to_one_program),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_threads_at_once),
        cmocka_unit_test(test_new_threads_have_scratch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
