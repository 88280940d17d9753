/*
 * A small encoder on the GPU, in both lanes, against the cpu device with the same weights in f32: few tokens and many,
 * sequences of every length, empty ones, tokens of none; heads of 32 and 64; f32, bf16 and f16.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"
#include "harness/sample.h"

enum { VOCABULARY = 97, POSITIONS = 128, LAYERS = 2, INPUTS = 4, MOST_SEGMENTS = 128 };

static em_device *gpu;
static uint32_t state;

static float uniform(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return (float)state / 2147483648.0f - 1;
}

/* What the case is of. */
typedef struct texts {
    int64_t width, heads, tokens;
    size_t segments;
    int32_t offsets[MOST_SEGMENTS + 1];
} texts;

typedef struct layer {
    em_array *w[6], *b[6], *gain[2], *bias[2];
} layer;

typedef struct encoder {
    const texts *shape;
    em_dtype dtype;
    em_array *words, *types, *positions, *gain, *bias;
    layer layers[LAYERS];
} encoder;

/* Numbers that `rounded` holds, as `dtype`. */
static em_array *filled(em_scope *s, em_dims dims, float middle, float spread, em_dtype rounded, em_dtype dtype)
{
    size_t n = 1;
    for (int i = 0; i < dims.rank; i++)
        n *= (size_t)dims.dims[i];
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = middle + spread * uniform();
    em_array *array = em_cast(s, em_cast(s, em_constant_f32(s, values, dims), rounded), dtype);
    EXPECT_OK(em_eval(s, array));
    free(values);
    return array;
}

static encoder make(em_scope *s, const texts *shape, em_dtype rounded, em_dtype dtype)
{
    const int64_t width = shape->width;
    encoder e = {.shape = shape, .dtype = dtype};
    state = 2463534242u;
    e.words = filled(s, em_shape(VOCABULARY, width), 0, 1, rounded, dtype);
    e.types = filled(s, em_shape(2, width), 0, 1, rounded, dtype);
    e.positions = filled(s, em_shape(POSITIONS, width), 0, 1, rounded, dtype);
    e.gain = filled(s, em_shape(width), 1, 0.2f, rounded, dtype);
    e.bias = filled(s, em_shape(width), 0, 0.2f, rounded, dtype);
    for (int i = 0; i < LAYERS; i++) {
        layer *l = &e.layers[i];
        for (int j = 0; j < 6; j++) {
            const int64_t n = j == 4 ? 4 * width : width, k = j == 5 ? 4 * width : width;
            l->w[j] = filled(s, em_shape(n, k), 0, 2 / sqrtf((float)k), rounded, dtype);
            l->b[j] = filled(s, em_shape(n), 0, 0.2f, rounded, dtype);
        }
        for (int j = 0; j < 2; j++) {
            l->gain[j] = filled(s, em_shape(width), 1, 0.2f, rounded, dtype);
            l->bias[j] = filled(s, em_shape(width), 0, 0.2f, rounded, dtype);
        }
    }
    return e;
}

static em_array *heads(em_scope *s, const encoder *e, const layer *l, em_array *x, int i)
{
    return em_reshape(s, em_linear(s, x, l->w[i], l->b[i]),
                      em_shape(e->shape->tokens, e->shape->heads, e->shape->width / e->shape->heads));
}

/* Inputs: ids, types, positions, offsets. */
static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const encoder *e = user;
    em_array *x = em_add(s, em_take(s, e->words, in[0], 0), em_take(s, e->types, in[1], 0));
    x = em_layer_norm(s, em_add(s, x, em_take(s, e->positions, in[2], 0)), e->gain, e->bias, 1e-12);
    for (int i = 0; i < LAYERS; i++) {
        const layer *l = &e->layers[i];
        em_array *mixed =
            em_sdpa_segments(s, heads(s, e, l, x, 0), heads(s, e, l, x, 1), heads(s, e, l, x, 2), in[3], NULL, 0);
        mixed = em_reshape(s, mixed, em_shape(-1, e->shape->width));
        x = em_layer_norm(s, em_add(s, em_linear(s, mixed, l->w[3], l->b[3]), x), l->gain[0], l->bias[0], 1e-12);
        em_array *inner = em_gelu(s, em_linear(s, x, l->w[4], l->b[4]));
        x = em_layer_norm(s, em_add(s, em_linear(s, inner, l->w[5], l->b[5]), x), l->gain[1], l->bias[1], 1e-12);
    }
    out[0] = em_cast(s, x, EM_F32);
    return em_scope_status(s);
}

/* Twice, the second time recorded, with the same bits. */
static void run(em_device *device, em_lane lane, const texts *shape, em_dtype rounded, em_dtype dtype, float *out)
{
    const int64_t n = shape->tokens;
    em_scope *s = em_scope_new(device);
    assert_non_null(s);
    encoder e = make(s, shape, rounded, dtype);
    int32_t *ids[INPUTS - 1];
    for (int i = 0; i < INPUTS - 1; i++) {
        ids[i] = malloc((size_t)n * sizeof **ids);
        assert_non_null(ids[i]);
        for (int64_t j = 0; j < n; j++) /* some are past the table, and count as its last row */
            ids[i][j] = i == 0 ? (int32_t)(j * 31 % (VOCABULARY + 3)) : i == 1 ? (int32_t)(j % 2) : (int32_t)(j % 50);
    }
    const int64_t lengths[INPUTS] = {n, n, n, (int64_t)shape->segments + 1};
    em_spec specs[INPUTS];
    em_array *inputs[INPUTS], *result;
    for (int i = 0; i < INPUTS; i++) {
        specs[i] = (em_spec){EM_S32, em_shape(lengths[i])};
        inputs[i] = em_constant(s, EM_S32, i < INPUTS - 1 ? ids[i] : shape->offsets, specs[i].dims);
        EXPECT_OK(em_eval(s, inputs[i]));
    }
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane, .device = device};
    em_program *program = em_compile(trace, &e, specs, INPUTS, 1, &options);
    assert_non_null(program);
    for (int turn = 0; turn < 3; turn++) {
        EXPECT_OK(em_run(program, inputs, &result));
        if (turn > 0)
            assert_memory_equal(out, em_array_data(result), em_array_bytes(result));
        memcpy(out, em_array_data(result), em_array_bytes(result));
        em_array_release(&result);
    }
    em_program_free(program);
    for (int i = 0; i < INPUTS - 1; i++)
        free(ids[i]);
    em_scope_free(s);
}

/* The largest 1 - cosine of a row. */
static double apart(const float *got, const float *want, int64_t rows, int64_t width)
{
    double most = 0;
    for (int64_t i = 0; i < rows; i++) {
        double product = 0, a = 0, b = 0;
        for (int64_t j = i * width; j < (i + 1) * width; j++) {
            product += (double)got[j] * want[j];
            a += (double)got[j] * got[j];
            b += (double)want[j] * want[j];
        }
        most = fmax(most, 1 - product / sqrt(a * b));
        if (!isfinite(product))
            return INFINITY;
    }
    return most;
}

static void check(const texts *shape)
{
    static const em_dtype dtypes[] = {EM_F32, EM_BF16, EM_F16};
    static const double most[] = {1e-9, 2e-4, 1e-5};
    const size_t n = (size_t)(shape->tokens * shape->width);
    float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
    assert_true(want && got);
    for (int i = 0; i < 3; i++) {
        if (!sample_takes())
            continue;
        run(em_device_find("cpu"), EM_NATIVE, shape, dtypes[i], EM_F32, want);
        for (int lane = 0; lane < 2; lane++) {
            run(gpu, lane ? EM_FUSE : EM_NATIVE, shape, dtypes[i], dtypes[i], got);
            double far = apart(got, want, shape->tokens, shape->width);
            if (!(far <= most[i]))
                fail_msg("%s, %s, %lld tokens of %lld in %zu sequences: %.3g from cpu, at most %.3g",
                         em_dtype_name(dtypes[i]), lane ? "fuse" : "native", (long long)shape->tokens,
                         (long long)shape->width, shape->segments, far, most[i]);
        }
    }
    free(want);
    free(got);
}

/* Sequences of one length, at 384 and at another width. */
static void check_even(int64_t tokens, size_t segments)
{
    static const int64_t sizes[][2] = {{384, 12}, {128, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        texts c = {sizes[i][0], sizes[i][1], tokens, segments, {0}};
        for (size_t j = 0; j <= segments; j++)
            c.offsets[j] = (int32_t)(tokens * (int64_t)j / (int64_t)segments);
        check(&c);
    }
}

static void test_one_text(void **unused)
{
    (void)unused;
    check_even(1, 1);
    check_even(13, 1);
    check_even(32, 1);
    check_even(64, 1);
    check_even(100, 1);
}

static void test_several_texts(void **unused)
{
    (void)unused;
    check_even(40, 3);
    check_even(62, 31);
    check_even(330, 7);
}

static void test_uneven_texts(void **unused)
{
    (void)unused;
    const texts few = {384, 12, 61, 5, {0, 5, 5, 38, 39, 61}}, outside = {384, 12, 40, 3, {3, 20, 20, 37}};
    const texts many = {128, 4, 300, 6, {0, 1, 130, 130, 146, 179, 290}}, wide = {768, 12, 33, 2, {0, 20, 33}};
    check(&few);
    check(&outside);
    check(&many);
    check(&wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_text), cmocka_unit_test(test_several_texts),
                                       cmocka_unit_test(test_uneven_texts)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
