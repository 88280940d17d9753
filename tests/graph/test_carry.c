/*
 * Calls that treat each row alone, merged by the cpu device: a row has the bits that it has in a program of few rows,
 * which merges nothing, for every number of rows and threads, also where others read what lies between the calls.
 */
#include <math.h>
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>

#include "harness/expect.h"
#include "harness/rng.h"

enum { WIDTH = 136, INNER = 420, FEW = 40, MOST_ROWS = 700, N_OUT = 3 };

typedef struct setting {
    float up[INNER * WIDTH], down[WIDTH * INNER], bias[INNER], gain[WIDTH], shift[WIDTH];
    bool shows; /* what is between two products is an output, too */
    int part;   /* of four */
} setting;

static em_array *f32(em_scope *s, const float *data, em_dims dims)
{
    return em_constant(s, EM_F32, data, dims);
}

static em_array *layer(em_scope *s, const setting *at, em_array *x, em_array **between)
{
    em_array *gain = f32(s, at->gain, em_shape(WIDTH)), *shift = f32(s, at->shift, em_shape(WIDTH));
    *between = em_gelu(s, em_linear(s, x, f32(s, at->up, em_shape(INNER, WIDTH)), f32(s, at->bias, em_shape(INNER))));
    em_array *y = em_linear(s, *between, f32(s, at->down, em_shape(WIDTH, INNER)), shift);
    return em_layer_norm(s, em_add(s, y, x), gain, shift, 1e-5);
}

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const setting *at = user;
    em_array *first, *second, *x = em_rms_norm(s, in[0], f32(s, at->gain, em_shape(WIDTH)), 1e-5);
    x = layer(s, at, x, &first);
    out[0] = layer(s, at, x, &second);
    out[1] = at->shows ? first : out[0];
    out[2] = at->shows ? second : x;
    return em_scope_status(s);
}

static em_program *compile(setting *at, int64_t rows)
{
    const em_spec spec = {EM_F32, em_shape(rows, WIDTH)};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_FUSE};
    em_program *program = em_compile(trace, at, &spec, 1, N_OUT, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    return program;
}

typedef struct results {
    float out[N_OUT][MOST_ROWS * INNER];
} results;

static int64_t width_of(const setting *at, int i)
{
    return at->shows && i > 0 ? INNER : WIDTH;
}

/* Few rows at a time. */
static void run_apart(setting *at, const float *x, results *to)
{
    em_program *program = compile(at, FEW);
    static float few[FEW * WIDTH], out[N_OUT][FEW * INNER];
    for (int64_t row = 0; row < MOST_ROWS; row += FEW) {
        const int64_t rows = row + FEW > MOST_ROWS ? MOST_ROWS - row : FEW;
        memcpy(few, x + row * WIDTH, (size_t)(rows * WIDTH) * sizeof *x);
        EXPECT_OK(em_run_raw(program, (const void *const[]){few}, (void *const[]){out[0], out[1], out[2]}));
        for (int i = 0; i < N_OUT; i++)
            memcpy(to->out[i] + row * width_of(at, i), out[i], (size_t)(rows * width_of(at, i)) * sizeof **out);
    }
    em_program_free(program);
}

static void expect_same(setting *at, const float *x, int64_t rows, const results *want)
{
    static results got;
    em_program *program = compile(at, rows);
    memset(&got, 0, sizeof got);
    for (int again = 0; again < 2; again++)
        EXPECT_OK(em_run_raw(program, (const void *const[]){x}, (void *const[]){got.out[0], got.out[1], got.out[2]}));
    for (int i = 0; i < N_OUT; i++)
        EXPECT_SAME_BITS(EM_F32, got.out[i], want->out[i], (size_t)(rows * width_of(at, i)));
    em_program_free(program);
}

/* Ordinary weights and, at first, ordinary rows: products that the cpu device may run in pairs. */
static void make_ordinary(setting *at, float *x)
{
    rng r = {8};
    float *weights = (void *)at;
    for (size_t i = 0; i < offsetof(setting, shows) / sizeof(float); i++)
        weights[i] = (float)rng_between(&r, -0.25, 0.25);
    for (size_t i = 0; i < (size_t)300 * WIDTH; i++)
        x[i] = (float)rng_between(&r, -1, 1);
}

static void check(bool shows, bool ordinary)
{
    static const int64_t rows[] = {63, 64, 65, 127, 128, 129, 250, 321, 400, 560, MOST_ROWS};
    static setting at;
    static results want;
    static float x[MOST_ROWS * WIDTH];
    rng r = {7};
    rng_fill(&r, EM_F32, &at, offsetof(setting, shows) / sizeof(float));
    rng_fill(&r, EM_F32, x, MOST_ROWS * WIDTH);
    if (ordinary)
        make_ordinary(&at, x);
    at.shows = shows;
    run_apart(&at, x, &want);
    for (int threads = 1; threads <= 5; threads += threads < 3 ? 1 : 2) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads));
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            expect_same(&at, x, rows[i], &want);
    }
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
}

static void test_bits(void **state)
{
    (void)state;
    check(false, false);
    check(false, true);
}

static void test_shown(void **state)
{
    (void)state;
    check(true, false);
    check(true, true);
}

static void count(const char *line, void *user)
{
    int *counts = user;
    counts[0] += strstr(line, "  x1") != NULL;
    counts[1]++;
}

/* With a profile only the first of merged calls has a time: here one of eight. */
static void test_merged(void **state)
{
    static setting at;
    static results out;
    static float x[MOST_ROWS * WIDTH];
    (void)state;
    const em_spec spec = {EM_F32, em_shape(MOST_ROWS, WIDTH)};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_FUSE, .profile = true};
    em_program *program = em_compile(trace, &at, &spec, 1, N_OUT, &options);
    int counts[2] = {0};
    assert_non_null(program);
    EXPECT_OK(em_run_raw(program, (const void *const[]){x}, (void *const[]){out.out[0], out.out[1], out.out[2]}));
    em_program_describe(program, count, counts);
    if (!strcmp(em_device_name(em_device_default()), "cpu"))
        assert_true(counts[0] >= 1 && counts[0] < counts[1] && counts[0] <= 2);
    em_program_free(program);
}

/* A part of what one product leaves, taken with other rows, is an operand of the next: these rows are not those. */
static em_status trace_part(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    enum { UP = 4 * WIDTH };
    const setting *at = user;
    em_array *big = em_linear(s, in[0], f32(s, at->up, em_shape(UP, WIDTH)), f32(s, at->bias, em_shape(UP)));
    big = at->shows ? em_gelu(s, big) : big;
    em_array *turned = em_reshape(s, big, em_shape(4 * (int64_t)MOST_ROWS, WIDTH));
    const int64_t from = at->part * (int64_t)MOST_ROWS, end = from + MOST_ROWS;
    em_array *some = em_slice(s, turned, (int64_t[]){from, 0}, (int64_t[]){end, WIDTH}, (int64_t[]){1, 1});
    out[0] = em_linear(s, some, f32(s, at->down, em_shape(WIDTH, WIDTH)), f32(s, at->shift, em_shape(WIDTH)));
    return em_scope_status(s);
}

static void run_part(setting *at, em_lane lane, const float *x, float *out)
{
    const em_spec spec = {EM_F32, em_shape(MOST_ROWS, WIDTH)};
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    em_program *program = em_compile(trace_part, at, &spec, 1, 1, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    for (int again = 0; again < 2; again++)
        EXPECT_OK(em_run_raw(program, (const void *const[]){x}, (void *const[]){out}));
    em_program_free(program);
}

static void test_other_rows(void **state)
{
    static setting at;
    static float x[MOST_ROWS * WIDTH], want[MOST_ROWS * WIDTH], got[MOST_ROWS * WIDTH];
    rng r = {9};
    (void)state;
    for (size_t i = 0; i < sizeof at.up / sizeof(float); i++)
        at.up[i] = at.down[i] = (float)rng_between(&r, -0.25, 0.25);
    for (size_t i = 0; i < MOST_ROWS * WIDTH; i++)
        x[i] = (float)rng_between(&r, -1, 1);
    for (int threads = 1; threads <= 2; threads++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads));
        for (int way = 0; way < 8; way++) {
            at.shows = way & 1;
            at.part = way / 2;
            run_part(&at, EM_NATIVE, x, want);
            run_part(&at, EM_FUSE, x, got);
            for (size_t i = 0; i < MOST_ROWS * WIDTH; i++)
                if (!(fabsf(got[i] - want[i]) <= 1e-4f))
                    fail_msg("part %d, element %zu: %g, not %g", at.part, i, (double)got[i], (double)want[i]);
        }
    }
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_shown),
                                       cmocka_unit_test(test_merged), cmocka_unit_test(test_other_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
