/*
 * Products of two to eight rows with weights of bf16 or 4-bit codes, which a decoder has in the steps of several
 * answers: a row's result has the same bits whatever stands beside it, also beside a row that is no numbers, and layers
 * of a decoder in the fuse lane, which merges such products, agree with the native lane, as do products of x and of
 * some of its rows, which are not of one x. (Values are compared with ref's in test_products.c.)
 */
#include <math.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/sample.h"

#include "support/layer.h"

enum { ROWS = 8, MOST = 2600 * 1024 }; /* rows of x; elements of an array */

static em_device *gpu;
static rng numbers = {88172645463325252u};
static const em_quantization how = {sizeof how, .mode = EM_QUANT_AFFINE, .group = 64, .bits = 4};

static em_array *filled(em_scope *s, em_dims dims, double spread)
{
    static float values[MOST];
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    assert_true(n <= MOST);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)rng_between(&numbers, -spread, spread);
    em_array *array = em_constant_f32(s, values, dims);
    EXPECT_OK(em_eval(s, array));
    return array;
}

/* Weights of bf16, or codes of them. */
typedef struct matrix {
    em_array *dense;
    em_quantized codes; /* NULL: none */
} matrix;

static matrix make_matrix(em_scope *s, int64_t width, int64_t depth, bool coded)
{
    matrix w = {em_cast(s, filled(s, em_shape(width, depth), 0.1), EM_BF16), {0}};
    if (coded)
        w.codes = em_quantize(s, w.dense, &how);
    return w;
}

static em_array *times(em_scope *s, em_array *x, const matrix *w)
{
    return w->codes.codes ? em_quantized_matmul(s, x, &w->codes, &how, true) : em_linear(s, x, w->dense, NULL);
}

/* Rows first .. first + n - 1 of x by w, as f32. */
static const float *product(em_scope *s, em_array *x, int first, int n, int64_t depth, const matrix *w)
{
    const int64_t start[] = {first, 0}, stop[] = {first + n, depth};
    em_array *y = times(s, em_slice(s, x, start, stop, NULL), w);
    EXPECT_OK(em_eval(s, y));
    return em_array_data(y);
}

static void check_rows(int64_t depth, int64_t width, bool coded)
{
    static const int parts[][2] = {{0, 2}, {1, 3}, {3, 5}, {2, 6}, {1, 7}};
    em_scope *s = em_scope_new(gpu);
    const matrix w = make_matrix(s, width, depth, coded);
    em_array *x = filled(s, em_shape(ROWS, depth), 2);
    const float *all = product(s, x, 0, ROWS, depth, &w);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_memory_equal(product(s, x, parts[i][0], parts[i][1], depth, &w), all + parts[i][0] * width,
                            (size_t)(parts[i][1] * width) * sizeof *all);
    em_scope_free(s);
}

static void test_rows_stand_alone(void **unused)
{
    (void)unused;
    for (int coded = 0; coded < 2; coded++) {
        check_rows(128, 40, coded);    /* fewer tiles than multiprocessors; a tail of one */
        check_rows(1024, 2600, coded); /* several tiles a block */
        check_rows(2560, 72, coded);   /* the most warps */
        check_rows(4096, 200, coded);  /* divided among blocks */
        check_rows(9728, 200, coded);  /* among more */
        check_rows(5248, 40, coded);   /* the last of which has less */
    }
}

/* The largest element is what the others are whole numbers of. */
static void test_not_numbers(void **unused)
{
    (void)unused;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3.4e38f, 1e-42f};
    enum { depth = 512, width = 48 };
    for (size_t i = 0; i < 2 * (sizeof bad / sizeof bad[0]); i++) {
        const float one = bad[i / 2];
        em_scope *s = em_scope_new(gpu);
        const matrix w = make_matrix(s, width, depth, i % 2);
        em_array *x = filled(s, em_shape(ROWS, depth), 2);
        const float *clean = product(s, x, 0, ROWS, depth, &w);
        float values[ROWS * depth];
        memcpy(values, em_array_data(x), sizeof values);
        values[3 * depth + 100] = one;
        const float *got = product(s, em_constant_f32(s, values, em_shape(ROWS, depth)), 0, ROWS, depth, &w);
        for (int row = 0; row < ROWS; row++)
            if (row != 3)
                assert_memory_equal(got + row * width, clean + row * width, (size_t)width * sizeof *got);
        for (int column = 0; column < width; column++)
            assert_true(isfinite(one) ? !isnan(got[3 * width + column]) : isnan(got[3 * width + column]));
        em_scope_free(s);
    }
}

static em_status multiply_both(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    static const int64_t start[] = {0, 0}, stop[] = {2, 512};
    const matrix *w = user;
    out[0] = times(s, em_slice(s, in[0], start, stop, NULL), &w[0]);
    out[1] = times(s, in[0], &w[1]);
    return em_scope_status(s);
}

static void check_some_rows(bool coded)
{
    enum { depth = 512, width = 48 };
    static const em_spec spec = {EM_F32, {2, {ROWS, depth}}};
    em_scope *s = em_scope_new(gpu);
    matrix w[2];
    for (int i = 0; i < 2; i++) {
        w[i] = make_matrix(s, width, depth, coded);
        em_array *const parts[] = {w[i].dense, w[i].codes.codes, w[i].codes.scales, w[i].codes.biases};
        for (int j = 0; j < (coded ? 4 : 1); j++)
            EXPECT_OK(em_eval(s, parts[j]));
    }
    em_array *x = filled(s, em_shape(ROWS, depth), 2), *got[2][2] = {{0}};
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane, .device = gpu};
        em_program *program = em_compile(multiply_both, w, &spec, 1, 2, &options);
        if (!program)
            fail_msg("%s", em_last_error());
        EXPECT_OK(em_run(program, &x, got[lane == EM_FUSE]));
        em_program_free(program);
    }
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(em_array_data(got[0][i]), em_array_data(got[1][i]),
                            (size_t)(i ? ROWS : 2) * width * sizeof(float));
        em_array_release(&got[0][i]);
        em_array_release(&got[1][i]);
    }
    em_scope_free(s);
}

static em_status multiply_twice(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const matrix *w = user;
    out[0] = times(s, in[0], &w[0]);
    out[1] = times(s, in[0], &w[1]);
    return em_scope_status(s);
}

static void count_run(const char *line, void *user)
{
    *(int *)user += strstr(line, "  x1") != NULL;
}

/* Of calls that run together only the first has a time. */
static void test_merged(void **unused)
{
    (void)unused;
    static const em_spec spec = {EM_F32, {2, {ROWS, 512}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_FUSE, .device = gpu, .profile = true};
    for (int coded = 0; coded < 2; coded++) {
        em_scope *s = em_scope_new(gpu);
        matrix w[2] = {make_matrix(s, 48, 512, coded), make_matrix(s, 80, 512, coded)};
        em_array *x = filled(s, em_shape(ROWS, 512), 2), *got[2] = {0};
        em_program *program = em_compile(multiply_twice, w, &spec, 1, 2, &options);
        int runs = 0;
        if (!program)
            fail_msg("%s", em_last_error());
        EXPECT_OK(em_run(program, &x, got));
        em_program_describe(program, count_run, &runs);
        assert_int_equal(runs, 1);
        em_program_free(program);
        em_array_release(&got[0]);
        em_array_release(&got[1]);
        em_scope_free(s);
    }
}

/* The first rows of x lie where x does. */
static void test_some_rows(void **unused)
{
    (void)unused;
    check_some_rows(false);
    check_some_rows(true);
}

static void check_layer(layer_shape as, int group)
{
    static const layer_way native = {EM_NATIVE, false, false}, fused = {EM_FUSE, false, false};
    as.weights = as.cache = EM_BF16;
    as.group = group;
    if (!sample_takes())
        return;
    const layer_errors e = layer_compare(gpu, &numbers, &as, &native, &fused);
    print_message("%d x %d tokens, width %d, inner %d, group %d: caches and result %.1e, result %.1e\n", as.batch,
                  as.tokens, as.width, as.inner, group, e.all, e.result);
    assert_true(e.all < 1e-4 && e.result < 1e-4); /* a cache rounds its rows: one may fall the other way */
}

static void test_layers(void **unused)
{
    (void)unused;
    const layer_shape plain = {2, 1, 512, 8, 4, 64, 1024, 300, 70, 0, true, true, .outputs = 500};
    const layer_shape deep = {8, 1, 1536, 8, 2, 128, 9728, 200, 33, 0, true, true, .outputs = 501, .layers = 2};
    const layer_shape tokens = {1, 7, 512, 8, 4, 64, 1024, 300, 5, 0, false, true, .outputs = 520};
    const layer_shape both = {3, 2, 512, 8, 4, 64, 1024, 300, 5, 0, true, false};
    const layer_shape apart = {4, 1, 512, 8, 4, 64, 1024, 300, 5, 0, true, true, .apart = true};
    for (int group = 0; group <= 64; group += 64) {
        check_layer(plain, group);
        check_layer(deep, group);
        check_layer(tokens, group);
        check_layer(both, group);
        check_layer(apart, group);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows_stand_alone), cmocka_unit_test(test_not_numbers),
                                       cmocka_unit_test(test_some_rows), cmocka_unit_test(test_merged),
                                       cmocka_unit_test(test_layers)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
