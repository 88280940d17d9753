/*
 * Products of f32 with half weights: the value of the weight cast to f32, in every lane, on every device; the fuse lane
 * merges what it merges of f32 ones, with eager's bits, and no lane casts a weight.
 */
#include <math.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "device/cpu/cpu.h"
#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

#define MOST 45000

typedef struct setting {
    em_dtype dtype; /* of the weights */
    int64_t rows, k;
    em_scope *s;
    float data[5][MOST]; /* of the weights, the bias and x */
} setting;

typedef struct example {
    const char *name;
    em_array *(*fn)(em_scope *s, setting *at, em_array *x, bool cast);
    size_t kernels; /* of the fuse lane; 0: whatever */
} example;

/* A weight of these dims; as f32 when the example is computed the long way. */
static em_array *weight(em_scope *s, setting *at, int i, em_dims dims, bool cast)
{
    em_array *w = em_cast(s, em_constant(s, EM_F32, at->data[i], dims), at->dtype);
    EXPECT_OK(em_eval(s, w));
    w = em_constant(s, at->dtype, em_array_data(w), dims);
    return cast ? em_cast(s, w, EM_F32) : w;
}

static em_array *vector(em_scope *s, setting *at, int64_t n)
{
    return em_constant(s, EM_F32, at->data[3], em_shape(n));
}

static em_array *linear(em_scope *s, setting *at, em_array *x, bool cast)
{
    return em_linear(s, x, weight(s, at, 0, em_shape(37, at->k), cast), NULL);
}

static em_array *surrounded(em_scope *s, setting *at, em_array *x, bool cast)
{
    em_array *y = em_linear(s, x, weight(s, at, 0, em_shape(at->k, at->k), cast), vector(s, at, at->k));
    return em_add(s, em_silu(s, y), x);
}

static em_array *siblings(em_scope *s, setting *at, em_array *x, bool cast)
{
    em_array *y[3];
    for (int i = 0; i < 3; i++)
        y[i] = em_linear(s, x, weight(s, at, i, em_shape(32 + 32 * i, at->k), cast), vector(s, at, 32 + 32 * i));
    return em_concatenate(s, y, 3, -1);
}

static em_array *right_side(em_scope *s, setting *at, em_array *x, bool cast)
{
    return em_matmul(s, x, weight(s, at, 0, em_shape(at->k, 21), cast));
}

static em_array *turned(em_scope *s, setting *at, em_array *x, bool cast)
{
    em_array *w = weight(s, at, 0, em_shape(40, at->k), cast);
    em_array *some =
        em_slice(s, em_reverse(s, w, EM_AXES(0)), (int64_t[]){1, 0}, (int64_t[]){40, at->k}, (int64_t[]){3, 1});
    return em_dot_general(s, em_transpose(s, x, EM_AXES(1, 0)), EM_AXES(0), (em_axes){0}, some, EM_AXES(1),
                          (em_axes){0});
}

static em_array *two_axes(em_scope *s, setting *at, em_array *x, bool cast)
{
    em_array *w = weight(s, at, 0, em_shape(at->k, 5, at->rows), cast);
    return em_dot_general(s, x, EM_AXES(0, 1), (em_axes){0}, w, EM_AXES(2, 0), (em_axes){0});
}

static const example examples[] = {{"linear", linear, 1},         {"surrounded", surrounded, 1},
                                   {"siblings", siblings, 0},     {"right side", right_side, 1},
                                   {"strided weight", turned, 0}, {"two axes", two_axes, 0}};

typedef struct job {
    const example *e;
    setting *at;
} job;

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const job *j = user;
    out[0] = j->e->fn(s, j->at, in[0], false);
    return em_scope_status(s);
}

static void no_cast(const char *line, void *user)
{
    if (strstr(line, "cast"))
        fail_msg("%s: a weight is cast: %s", (const char *)user, line);
}

static void check_lane(const job *j, em_lane lane, em_array *x, em_array *eager)
{
    const em_spec spec = {EM_F32, em_array_dims(x)};
    em_compile_options options = {sizeof options, .lane = lane};
    em_array *out;
    em_program_stats stats = {.struct_size = sizeof stats};
    em_program *program = em_compile(trace, (void *)j, &spec, 1, 1, &options);
    if (!program)
        fail_msg("%s: %s", j->e->name, em_last_error());
    em_program_get_stats(program, &stats);
    if (lane == EM_FUSE && j->e->kernels && stats.kernels != j->e->kernels)
        fail_msg("%s: %zu kernels", j->e->name, stats.kernels);
    const bool packs = j->e->fn == linear && j->at->k % 128 == 0 && j->at->dtype == EM_BF16;
    if (packs && stats.packed_bytes == 0)
        fail_msg("%s: %zu bytes are packed", j->e->name, stats.packed_bytes);
    em_program_describe(program, no_cast, (void *)j->e->name);
    EXPECT_OK(em_run(program, &x, &out));
    EXPECT_SAME_BITS(EM_F32, em_array_data(out), em_array_data(eager), em_array_size(eager));
    em_array_release(&out);
    em_program_free(program);
}

static void check(const job *j)
{
    setting *at = j->at;
    for (em_device *const *device = devices_under_test(); *device; device++) {
        em_scope *s = em_scope_new(*device);
        em_array *in = em_constant(s, EM_F32, at->data[4], em_shape(at->rows, at->k));
        em_array *mixed = j->e->fn(s, at, in, false), *wide = j->e->fn(s, at, in, true);
        if (!mixed || em_eval(s, mixed) != EM_OK)
            fail_msg("%s: %s", j->e->name, em_scope_error(s));
        assert_int_equal(em_array_dtype(mixed), EM_F32);
        EXPECT_CLOSE_F32(em_array_data(mixed), em_array_data(wide), em_array_size(wide), 2e-5, 2e-6);
        if (*device == em_device_default()) {
            check_lane(j, EM_NATIVE, in, mixed);
            check_lane(j, EM_FUSE, in, mixed);
        }
        em_scope_free(s);
    }
}

static void test_values(void **state)
{
    static setting at;
    em__cpu_set_least_packed(1);
    static const int64_t shapes[][2] = {{1, 64}, {3, 96}, {8, 33}, {9, 128}, {1, 128}, {70, 40}};
    (void)state;
    rng r = {7};
    for (int i = 0; i < 5; i++)
        rng_fill(&r, EM_F32, at.data[i], MOST);
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++)
            for (int half = 0; half < 2; half++) {
                at.dtype = half ? EM_F16 : EM_BF16;
                at.rows = shapes[j][0];
                at.k = shapes[j][1];
                check(&(job){&examples[i], &at});
            }
}

/* With batch axes, or a half on the left, operands are cast as ever. */
static void test_what_is_cast(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_cast(s, em_iota(s, EM_F32, em_shape(2, 3, 4), 2), EM_F32), *w = em_cast(s, x, EM_BF16);
    em_array *batched = em_dot_general(s, x, EM_AXES(2), EM_AXES(0), w, EM_AXES(2), EM_AXES(0));
    em_array *left = em_linear(s, w, em_reshape(s, x, em_shape(6, 4)), NULL);
    EXPECT_OK(em_eval(s, batched));
    EXPECT_OK(em_eval(s, left));
    assert_int_equal(em_array_dtype(batched), EM_F32);
    assert_int_equal(em_array_dtype(left), EM_F32);
    assert_int_equal(((const float *)em_array_data(batched))[0], 14);
    assert_int_equal(((const float *)em_array_data(left))[0], 14);
    em_scope_free(s);
}

static em_status trace_linear(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_linear(s, in[0], user, NULL);
    return em_scope_status(s);
}

static size_t packed_bytes(em_array *weight, int64_t k, bool raw)
{
    const em_spec spec = {EM_F32, em_shape(1, k)};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .raw_weights = raw};
    em_program_stats stats = {.struct_size = sizeof stats};
    em_program *program = em_compile(trace_linear, weight, &spec, 1, 1, &options);
    assert_non_null(program);
    em_program_get_stats(program, &stats);
    em_program_free(program);
    return stats.packed_bytes;
}

/* What is packed: large bf16 of a depth of 128s, unless its values do not suit or the caller wants it raw. */
static void test_what_is_packed(void **state)
{
    enum { N = 512, K = 1024 };
    static uint16_t data[N * K];
    (void)state;
    em__cpu_set_least_packed(sizeof data);
    for (size_t i = 0; i < N * K; i++)
        data[i] = (uint16_t)(0x3c00 + i % 251);
    em_scope *s = em_scope_new(NULL);
    em_array *weight = em_constant(s, EM_BF16, data, em_shape(N, K));
    const size_t bytes = packed_bytes(weight, K, false);
    assert_true(bytes > sizeof data * 3 / 4 && bytes < sizeof data * 4 / 5);
    assert_int_equal(packed_bytes(weight, K, true), 0);
    assert_int_equal(packed_bytes(em_constant(s, EM_BF16, data, em_shape(N - 1, K)), K, false), 0);
    assert_int_equal(packed_bytes(em_constant(s, EM_BF16, data, em_shape(2 * N * K / 1026, 513)), 513, false), 0);
    assert_int_equal(packed_bytes(em_constant(s, EM_F16, data, em_shape(N, K)), K, false), 0);
    rng r = {3};
    for (size_t i = 0; i < N * K; i++)
        data[i] = (uint16_t)rng_u64(&r);
    assert_int_equal(packed_bytes(em_constant(s, EM_BF16, data, em_shape(N, K)), K, false), 0);
    em_scope_free(s);
}

static em_status compile_packed(void *weight)
{
    const em_spec spec = {EM_F32, em_shape(1, em_array_dims(weight).dims[1])};
    em_program *program = em_compile(trace_linear, weight, &spec, 1, 1, NULL);
    em_program_free(program);
    return program ? EM_OK : em_last_status();
}

static void test_faults(void **state)
{
    static uint16_t data[64 * 128];
    (void)state;
    em__cpu_set_least_packed(1);
    em_scope *s = em_scope_new(NULL);
    faults_sweep(compile_packed, em_constant(s, EM_BF16, data, em_shape(64, 128)));
    for (int i = 0; i < 64 * 128; i++)
        data[i] = (uint16_t)(i * 40503); /* is not packed in the end */
    faults_sweep(compile_packed, em_constant(s, EM_BF16, data, em_shape(64, 128)));
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_what_is_cast),
                                       cmocka_unit_test(test_what_is_packed), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
