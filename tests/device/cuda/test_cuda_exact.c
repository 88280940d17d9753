/*
 * How many digits of f32 are left by what encoders are made of on the GPU, against f64 on the cpu device. The numbers
 * are positive: what a unit cuts off instead of rounding adds up, where it would vanish among numbers of both signs.
 */
#include <math.h>
#include <stdlib.h>

#include <emily/emily.h>

#include "harness/expect.h"
#include "harness/sample.h"

enum { HEADS = 3, SIZE = 32 };

static em_device *gpu;
static uint32_t state = 2463534242u;

/* From `low` to `high`. */
static float *numbers(size_t n, double low, double high)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        x[i] = (float)(low + (high - low) * state / 4294967296.0);
    }
    return x;
}

/* A program's inputs, and the weight that is a constant of it (NULL: none). */
typedef struct problem {
    em_trace_fn trace;
    int n;
    const float *values[3], *weight;
    em_dims dims[3], weight_dims;
    const int32_t *offsets;
    int64_t segments;
} problem;

/* What a trace sees of it. */
typedef struct constants {
    em_array *weight, *offsets;
} constants;

static em_array *array_of(em_scope *s, const float *values, em_dims dims, em_dtype dtype)
{
    em_array *a = em_cast(s, em_constant_f32(s, values, dims), dtype);
    EXPECT_OK(em_eval(s, a));
    return a;
}

/* The result, widened, is the caller's. */
static double *run(em_device *device, em_dtype dtype, const problem *p, size_t *n)
{
    em_scope *s = em_scope_new(device);
    assert_non_null(s);
    constants c = {NULL, NULL};
    em_spec specs[3];
    em_array *in[3], *result;
    if (p->weight)
        c.weight = array_of(s, p->weight, p->weight_dims, dtype);
    if (p->offsets) {
        c.offsets = em_constant(s, EM_S32, p->offsets, em_shape(p->segments + 1));
        EXPECT_OK(em_eval(s, c.offsets));
    }
    for (int i = 0; i < p->n; i++) {
        in[i] = array_of(s, p->values[i], p->dims[i], dtype);
        specs[i] = (em_spec){dtype, p->dims[i]};
    }
    const em_compile_options options = {
        .struct_size = sizeof options, .lane = dtype == EM_F64 ? EM_NATIVE : EM_FUSE, .device = device};
    em_program *program = em_compile(p->trace, &c, specs, (size_t)p->n, 1, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    EXPECT_OK(em_run(program, in, &result));
    *n = em_array_size(result);
    double *out = malloc(*n * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < *n; i++)
        out[i] = dtype == EM_F64 ? ((const double *)em_array_data(result))[i]
                                 : (double)((const float *)em_array_data(result))[i];
    em_array_release(&result);
    em_program_free(program);
    em_scope_free(s);
    return out;
}

/* The root of the mean square of errors relative to each value, and the greatest. */
static void check(const problem *p, const char *what, int64_t rows, int64_t depth, double most_rms, double most)
{
    size_t n;
    if (!sample_takes())
        return;
    double *want = run(em_device_find("cpu"), EM_F64, p, &n), *got = run(gpu, EM_F32, p, &n), square = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        const double off = fabs(got[i] - want[i]) / fabs(want[i]);
        square += off * off;
        worst = isnan(off) ? INFINITY : fmax(worst, off);
    }
    const double rms = sqrt(square / (double)n);
    print_message("%s of %lld x %lld: error %.3g, at most %.3g\n", what, (long long)rows, (long long)depth, rms, worst);
    if (!(rms <= most_rms) || !(worst <= most))
        fail_msg("%s of %lld x %lld: error %.3g (at most %.3g), %.3g (at most %.3g)", what, (long long)rows,
                 (long long)depth, rms, most_rms, worst, most);
    free(want);
    free(got);
}

static em_status linear(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const constants *c = user;
    out[0] = em_linear(s, in[0], c->weight, NULL);
    return em_scope_status(s);
}

static em_status linear_gelu(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const constants *c = user;
    out[0] = em_gelu(s, em_linear(s, in[0], c->weight, NULL));
    return em_scope_status(s);
}

static em_status attention(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const constants *c = user;
    out[0] = em_sdpa_segments(s, in[0], in[1], in[2], c->offsets, NULL, 0);
    return em_scope_status(s);
}

static void test_products(void **unused)
{
    static const int64_t rows[] = {1, 40, 100, 400, 3000}, depths[] = {384, 1536};
    (void)unused;
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 2; j++) {
            const int64_t m = rows[i], k = depths[j], n = 384;
            float *x = numbers((size_t)(m * k), 0.5, 1), *w = numbers((size_t)(n * k), 0.5, 1);
            const problem p = {.trace = linear,
                               .n = 1,
                               .values = {x},
                               .dims = {em_shape(m, k)},
                               .weight = w,
                               .weight_dims = em_shape(n, k)};
            check(&p, "product", m, k, 2.5e-7, 1e-6);
            free(x);
            free(w);
        }
}

static void test_attention(void **unused)
{
    static const int32_t lengths[] = {7, 40, 100, 256};
    (void)unused;
    for (size_t i = 0; i < 4; i++) {
        const int32_t offsets[] = {0, lengths[i], 2 * lengths[i]};
        const int64_t tokens = offsets[2];
        const size_t size = (size_t)(tokens * HEADS * SIZE);
        float *q = numbers(size, -1, 1), *k = numbers(size, -1, 1), *v = numbers(size, 0.5, 1);
        const em_dims dims = em_shape(tokens, HEADS, SIZE);
        const problem p = {.trace = attention,
                           .n = 3,
                           .values = {q, k, v},
                           .dims = {dims, dims, dims},
                           .offsets = offsets,
                           .segments = 2};
        check(&p, "attention", lengths[i], SIZE, 2.5e-7, 1e-6);
        free(q);
        free(k);
        free(v);
    }
}

/* Of products that are exact: the weight is the identity. */
static void test_gelu(void **unused)
{
    static const int64_t rows[] = {50, 1000};
    enum { K = 64 };
    (void)unused;
    float *w = calloc(K * K, sizeof *w);
    assert_non_null(w);
    for (int i = 0; i < K; i++)
        w[i * K + i] = 1;
    for (size_t i = 0; i < 2; i++)
        for (int below = 0; below < 2; below++) {
            float *x = numbers((size_t)(rows[i] * K), below ? -4 : -1, below ? -1 : 3);
            const problem p = {.trace = linear_gelu,
                               .n = 1,
                               .values = {x},
                               .dims = {em_shape(rows[i], K)},
                               .weight = w,
                               .weight_dims = em_shape(K, K)};
            check(&p, "gelu", rows[i], K, below ? 4e-7 : 1.2e-7, 2e-6);
            free(x);
        }
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_attention),
                                       cmocka_unit_test(test_gelu)};
    gpu = em_device_find("cuda");
    if (!gpu) {
        print_message("skipped: %s\n", em_last_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
