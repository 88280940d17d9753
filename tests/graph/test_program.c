/*
 * Programs over a small transformer block: bits against eager in both lanes, bits across thread counts, what was fused,
 * no allocation in a replay, memory given back, errors, every allocation failed once.
 */
#include <string.h>

#include <emily/memory.h>
#include <emily/ops.h>
#include <emily/program.h>

#include "core/alloc.h"
#include "harness/expect.h"
#include "harness/faults.h"

#define WIDE 64
#define TOKENS 20

typedef struct block {
    em_array *w[5], *b, *g;
} block;

static float noise(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int)(*state >> 8) / 16777216.0f - 0.5f;
}

static em_array *random_array(em_scope *s, unsigned seed, em_dims dims)
{
    float values[WIDE * WIDE];
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    for (size_t i = 0; i < n; i++)
        values[i] = noise(&seed) * 0.4f;
    return em_constant_f32(s, values, dims);
}

static block make_block(em_scope *s)
{
    block k;
    for (unsigned i = 0; i < 5; i++)
        k.w[i] = random_array(s, i + 1, em_shape(WIDE, WIDE));
    k.b = random_array(s, 11, em_shape(WIDE));
    k.g = random_array(s, 12, em_shape(WIDE));
    return k;
}

static em_array *attention(em_scope *s, const block *k, em_array *x, em_array *offsets)
{
    em_dims heads = em_shape(-1, 4, WIDE / 4);
    em_array *q = em_reshape(s, em_linear(s, x, k->w[0], k->b), heads);
    em_array *kk = em_reshape(s, em_linear(s, x, k->w[1], k->b), heads);
    em_array *v = em_reshape(s, em_linear(s, x, k->w[2], k->b), heads);
    em_array *a = em_sdpa_segments(s, q, kk, v, offsets, NULL, 0);
    return em_linear(s, em_reshape(s, a, em_shape(-1, WIDE)), k->w[3], k->b);
}

static em_status forward(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const block *k = user;
    em_array *x = em_layer_norm(s, em_add(s, attention(s, k, in[0], in[1]), in[0]), k->g, k->b, 1e-12);
    em_array *h = em_gelu(s, em_linear(s, x, k->w[3], k->b));
    out[0] = em_layer_norm(s, em_add(s, em_linear(s, h, k->w[4], k->b), x), k->g, k->b, 1e-12);
    out[1] = em_segment_pool(s, out[0], in[1], EM_POOL_MEAN);
    return em_scope_status(s);
}

static const int32_t lengths[] = {0, 5, 12, 19}; /* the last token belongs to nobody */
static const em_spec specs[] = {{EM_F32, {2, {TOKENS, WIDE}}}, {EM_S32, {1, {4}}}};

static void inputs_of(em_scope *s, em_array **in)
{
    in[0] = random_array(s, 99, em_shape(TOKENS, WIDE));
    in[1] = em_constant(s, EM_S32, lengths, em_shape(4));
}

static em_program *compiled(block *k, em_lane lane)
{
    em_compile_options options = {.struct_size = sizeof options, .lane = lane, .profile = true};
    em_program *program = em_compile(forward, k, specs, 2, 2, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    return program;
}

static void test_lanes_give_eagers_bits(void **state)
{
    (void)state;
    em_array *in[2], *eager[2], *got[2];
    em_scope *s = em_scope_new(NULL);
    block k = make_block(s);
    inputs_of(s, in);
    EXPECT_OK(forward(s, in, eager, &k));
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++)
        for (int threads = 1; threads <= 5; threads++) {
            EXPECT_OK(em_device_set_threads(em_device_default(), threads));
            em_program *program = compiled(&k, (em_lane)lane);
            EXPECT_OK(em_run(program, in, got));
            for (int i = 0; i < 2; i++) {
                EXPECT_SAME_BITS(EM_F32, em_array_data(got[i]), em_array_data(eager[i]), em_array_size(eager[i]));
                em_array_release(&got[i]);
            }
            em_program_free(program);
        }
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
    em_scope_free(s);
}

static void count_line(const char *line, void *user)
{
    int *counts = user;
    counts[0] += strstr(line, "fused_linear") != NULL;
    counts[1] += strstr(line, "3 weights") != NULL;
    counts[2] += strstr(line, "gelu") != NULL;
    counts[3] += strstr(line, "residual") != NULL;
    counts[4] += strstr(line, "fallback") != NULL;
    counts[5] += strstr(line, "x3,") != NULL; /* each ran three times */
}

static void test_what_was_fused(void **state)
{
    (void)state;
    em_array *in[2], *got[2];
    int counts[6] = {0};
    em_scope *s = em_scope_new(NULL);
    block k = make_block(s);
    inputs_of(s, in);
    em_program *program = compiled(&k, EM_FUSE);
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(em_run(program, in, got));
        em_array_release(&got[0]);
        em_array_release(&got[1]);
    }
    em_program_describe(program, count_line, counts);
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 1);
    assert_int_equal(counts[3], 2);
    em_program_stats stats = {.struct_size = sizeof stats};
    em_program_get_stats(program, &stats);
    assert_int_equal(stats.kernels, 8);
    assert_int_equal(counts[5], 8);
    assert_int_equal(stats.fallback_calls, counts[4]);
    em_program_free(program);
    em_scope_free(s);
}

static void test_replay_allocates_nothing(void **state)
{
    (void)state;
    float x[TOKENS * WIDE], y[TOKENS * WIDE], pooled[3 * WIDE];
    unsigned seed = 5;
    em_scope *s = em_scope_new(NULL);
    block k = make_block(s);
    for (int i = 0; i < TOKENS * WIDE; i++)
        x[i] = noise(&seed);
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        em_program *program = compiled(&k, (em_lane)lane);
        const void *inputs[] = {x, lengths};
        void *outputs[] = {y, pooled};
        EXPECT_OK(em_run_raw(program, inputs, outputs));
        unsigned long before = em__alloc_count();
        for (int i = 0; i < 10; i++)
            EXPECT_OK(em_run_raw(program, inputs, outputs));
        assert_int_equal(em__alloc_count(), before);
        em_program_free(program);
    }
    em_scope_free(s);
}

static void test_packed_weights_are_shared(void **state)
{
    (void)state;
    em_memory_stats one = {.struct_size = sizeof one}, two = one, before = one, after = one;
    em_scope *s = em_scope_new(NULL);
    block k = make_block(s);
    em_memory_get_stats(&before);
    em_program *a = compiled(&k, EM_FUSE);
    em_memory_get_stats(&one);
    em_program *b = compiled(&k, EM_FUSE);
    em_memory_get_stats(&two);
    em_program_stats stats = {.struct_size = sizeof stats};
    em_program_get_stats(a, &stats);
    assert_true(stats.packed_bytes >= (size_t)6 * WIDE * WIDE * sizeof(float));
    assert_true(two.active - one.active < (one.active - before.active) - stats.packed_bytes / 2);
    em_program_free(a);
    em_program_free(b);
    em_memory_get_stats(&after);
    assert_int_equal(after.active, before.active);
    em_scope_free(s);
}

static em_status returns_nothing(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)s, (void)in, (void)out, (void)user;
    return EM_OK;
}

static em_status adds_unlike(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_add(s, in[0], in[1]);
    return EM_OK; /* the scope knows better */
}

static em_status peeks(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_exp(s, in[0]);
    return em_eval(s, out[0]);
}

static void test_errors(void **state)
{
    (void)state;
    assert_null(em_compile(returns_nothing, NULL, specs, 2, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "set no output 0");
    assert_null(em_compile(adds_unlike, NULL, specs, 2, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "f32[20, 64]");
    assert_null(em_compile(peeks, NULL, specs, 1, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "while it is traced");
    em_scope *s = em_scope_new(NULL);
    block k = make_block(s);
    em_program *program = compiled(&k, EM_FUSE);
    em_array *in[2], *out[2];
    inputs_of(s, in);
    em_array *swapped[] = {in[1], in[0]};
    EXPECT_ERROR(em_run(program, swapped, out), EM_ERROR_INVALID_ARGUMENT, "input 0 is s32[4]");
    EXPECT_ERROR(em_run_raw(program, (const void *[]){NULL, NULL}, (void *[]){NULL, NULL}), EM_ERROR_INVALID_ARGUMENT,
                 "input 0 is NULL");
    em_program_free(program);
    em_scope_free(s);
}

static em_status build_and_run(void *context)
{
    (void)context;
    em_clear_error();
    em_scope *s = em_scope_new(NULL);
    if (!s)
        return em_last_status();
    em_array *in[2], *got[2] = {0};
    block k = make_block(s);
    inputs_of(s, in);
    em_compile_options options = {.struct_size = sizeof options, .lane = EM_FUSE};
    em_program *program = em_scope_status(s) == EM_OK ? em_compile(forward, &k, specs, 2, 2, &options) : NULL;
    em_status status = program ? em_run(program, in, got) : em_last_status();
    em_array_release(&got[0]);
    em_array_release(&got[1]);
    em_program_free(program);
    em_scope_free(s);
    return status;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    assert_true(faults_sweep(build_and_run, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes_give_eagers_bits),
        cmocka_unit_test(test_what_was_fused),
        cmocka_unit_test(test_replay_allocates_nothing),
        cmocka_unit_test(test_packed_weights_are_shared),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
