/*
 * Fourier transforms: lengths that the records do not reach, against properties that ref is too slow to check; all
 * levels of this machine against each other; threads; every allocation failing once; more plans than are kept.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/levels.h"
#include "harness/rng.h"

#include "device/cpu/fourier.h"

#define MOST 140000

static float *values, *results;

/* Wave k of n, transformed, is n at k and 0 elsewhere. */
static void waves(void **state)
{
    static const int64_t lengths[] = {255,   256,     1021,      2048,  3600,  5003,
                                      16384, 37 * 61, 2 * 10007, 65536, 65537, 131072};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t n = lengths[i], k = n / 3 + 1;
        for (int64_t j = 0; j < n; j++) {
            double angle = 2 * M_PI * (double)(j * k % n) / (double)n;
            values[2 * j] = (float)cos(angle);
            values[2 * j + 1] = (float)sin(angle);
        }
        em_scope *s = em_scope_new(em_device_default());
        em_array *wave = em_constant(s, EM_C64, values, em_shape(n)), *line = em_fft(s, wave, 0, 0);
        em_array *back = em_ifft(s, line, 0, 0);
        EXPECT_OK(em_eval(s, line));
        EXPECT_OK(em_eval(s, back));
        const float *x = em_array_data(line), *y = em_array_data(back);
        for (int64_t j = 0; j < n; j++)
            if (fabs((double)x[2 * j] - (j == k ? (double)n : 0)) > 4e-6 * (double)n ||
                fabsf(x[2 * j + 1]) > 4e-6f * (float)n)
                fail_msg("length %d: element %d is %g, %g", (int)n, (int)j, (double)x[2 * j], (double)x[2 * j + 1]);
        for (int64_t j = 0; j < 2 * n; j++)
            assert_true(fabsf(y[j] - values[j]) < 3e-6f);
        em_scope_free(s);
    }
}

/* A real line's transform is the first half of the complex one's, and comes back. */
static void real_lines(void **state)
{
    static const int64_t lengths[] = {600, 1001, 4096, 10007, 2 * 10007, 65536, 90000};
    (void)state;
    rng r = {3};
    rng_fill(&r, EM_F32, values, MOST);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t n = lengths[i];
        em_scope *s = em_scope_new(em_device_default());
        em_array *x = em_constant(s, EM_F32, values, em_shape(n));
        em_array *half = em_rfft(s, x, 0, 0), *whole = em_fft(s, x, 0, 0), *back = em_irfft(s, half, n, 0);
        EXPECT_OK(em_eval(s, half));
        EXPECT_OK(em_eval(s, whole));
        EXPECT_OK(em_eval(s, back));
        EXPECT_CLOSE_F32(em_array_data(half), em_array_data(whole), (size_t)(n / 2 + 1) * 2, 4e-6 * sqrt((double)n), 0);
        EXPECT_CLOSE_F32(em_array_data(back), values, (size_t)n, 5e-6, 0);
        em_array *round = em_fft(s, em_ifft(s, x, 0, 0), 0, 0);
        EXPECT_OK(em_eval(s, round));
        for (int64_t j = 0; j < n; j++) {
            const float *got = (const float *)em_array_data(round) + 2 * j;
            assert_true(fabsf(got[0] - values[j]) < 5e-6f && fabsf(got[1]) < 5e-6f);
        }
        em_scope_free(s);
    }
}

/* Long real lines down an axis, there and back, against the same lines along it. */
static void real_columns(void **state)
{
    const int64_t n = 4096;
    (void)state;
    rng r = {8};
    rng_fill(&r, EM_F32, values, 3 * (size_t)n);
    em_scope *s = em_scope_new(em_device_default());
    em_array *x = em_constant(s, EM_F32, values, em_shape(n, 3));
    em_array *pairs[2] = {em_fft(s, x, 0, 0),
                          em_transpose(s, em_fft(s, em_transpose(s, x, EM_ALL_AXES), 0, 1), EM_ALL_AXES)};
    em_array *back = em_irfft(s, em_rfft(s, x, 0, 0), n, 0);
    pairs[1] = em_concatenate(s, (em_array *[]){pairs[1]}, 1, 0);
    for (int i = 0; i < 2; i++)
        EXPECT_OK(em_eval(s, pairs[i]));
    EXPECT_OK(em_eval(s, back));
    assert_memory_equal(em_array_data(pairs[0]), em_array_data(pairs[1]), em_array_bytes(pairs[0]));
    EXPECT_CLOSE_F32(em_array_data(back), values, 3 * (size_t)n, 5e-6, 0);
    em_scope_free(s);
}

/* Both ways of doing a line (alone, side by side with others), at every place of an axis, are within rounding. */
static void axes(void **state)
{
    (void)state;
    rng r = {4};
    rng_fill(&r, EM_F32, values, MOST);
    for (int64_t n = 300; n <= 1800; n += 375) {
        em_scope *s = em_scope_new(em_device_default());
        em_array *x = em_constant(s, EM_C64, values, em_shape(3, n, 12));
        em_array *down = em_fft(s, x, 0, 1), *turned = em_transpose(s, x, EM_AXES(0, 2, 1));
        em_array *along = em_transpose(s, em_fft(s, turned, 0, 2), EM_AXES(0, 2, 1));
        EXPECT_OK(em_eval(s, down));
        along = em_reshape(s, em_concatenate(s, (em_array *[]){along}, 1, 0), em_shape(3, n, 12));
        EXPECT_OK(em_eval(s, along));
        EXPECT_CLOSE_F32(em_array_data(down), em_array_data(along), (size_t)n * 72, 4e-6 * sqrt((double)n), 0);
        em_scope_free(s);
    }
}

static em_array *short_case(em_scope *s, int op, em_dtype dtype, em_dims dims, int64_t n)
{
    em_array *x = em_constant(s, dtype, values, dims);
    return op == 0 ? em_fft(s, x, n, -1) : op == 1 ? em_ifft(s, x, n, -1) : em_rfft(s, x, n, -1);
}

/* Short lines side by side, whole, cut or filled up, fewer and more than a vector has lanes: as ref has them. */
static void short_lines(void **state)
{
    static const em_dtype dtypes[] = {EM_C64, EM_C128, EM_F32, EM_F64};
    (void)state;
    rng r = {9};
    for (int i = 0; i < 400; i++) {
        em_dtype dtype = dtypes[i / 100];
        int op = i >= 200 ? 2 : (int)rng_below(&r, 2);
        int64_t lines = 1 + (int64_t)rng_below(&r, 40), count = 1 + (int64_t)rng_below(&r, 70);
        int64_t n = i % 3 ? count : 1 + (int64_t)rng_below(&r, 70);
        bool wide = dtype == EM_C128 || dtype == EM_F64;
        if (i % 100 == 0)
            rng_fill(&r, wide ? EM_F64 : EM_F32, values, 2 * 40 * 70);
        em_scope *ref = em_scope_new(em_device_find("ref")), *s = em_scope_new(em_device_default());
        em_array *want = short_case(ref, op, dtype, em_shape(lines, count), n);
        em_array *got = short_case(s, op, dtype, em_shape(lines, count), n);
        EXPECT_OK(em_eval(ref, want));
        EXPECT_OK(em_eval(s, got));
        double off = (wide ? 1e-14 : 4e-6) * sqrt((double)n) * (op == 1 ? 1 / (double)n : 1);
        EXPECT_CLOSE(em_array_dtype(want), em_array_data(got), em_array_data(want), em_array_size(want), off, 0);
        em_scope_free(ref);
        em_scope_free(s);
    }
}

static void threads(void **state)
{
    static const int counts[] = {1, 5, 2};
    em_device *cpu = em_device_default();
    (void)state;
    rng r = {5};
    rng_fill(&r, EM_F32, values, MOST);
    for (int64_t n = 32768; n < 70000; n += 32769) {
        for (int i = 0; i < 3; i++) {
            EXPECT_OK(em_device_set_threads(cpu, counts[i]));
            em_scope *s = em_scope_new(cpu);
            em_array *y = em_fft(s, em_constant(s, EM_C64, values, em_shape(n)), 0, 0);
            EXPECT_OK(em_eval(s, y));
            if (i == 0)
                memcpy(results, em_array_data(y), em_array_bytes(y));
            assert_memory_equal(results, em_array_data(y), em_array_bytes(y));
            em_scope_free(s);
        }
    }
}

/* The other levels' kernels give what the portable one does, but for rounding. */
static void levels(void **state)
{
    enum { N = 120 };
    static const int radices[] = {8, 3, 5};
    static double twiddles[3][2 * N], roots[2][8];
    em__fft_column column = {.n = N, .stages = 3};
    (void)state;
    for (int i = 0, length = N; i < 3; i++) {
        int r = column.radix[i] = radices[i], m = length / r, h = r / 2;
        for (int p = 0; p < m; p++) {
            for (int k = 1; k < r; k++) {
                twiddles[i][2 * (p * (r - 1) + k - 1)] = cos(2 * M_PI * p * k / length);
                twiddles[i][2 * (p * (r - 1) + k - 1) + 1] = -sin(2 * M_PI * p * k / length);
            }
        }
        for (int k = 0; k < h && i > 0; k++) {
            for (int j = 0; j < h; j++) {
                roots[i - 1][2 * (k * h + j)] = cos(2 * M_PI * (j + 1) * (k + 1) / r);
                roots[i - 1][2 * (k * h + j) + 1] = sin(2 * M_PI * (j + 1) * (k + 1) / r);
            }
        }
        column.twiddles[i] = twiddles[i];
        column.roots[i] = i ? roots[i - 1] : NULL;
        length = m;
    }
    double *in = (double *)values, *x = (double *)results, *y = x + N * 2 * EM__FFT_LANES;
    rng r = {6};
    rng_fill(&r, EM_F64, in, 2 * N);
    for (int level = 0; level <= (int)levels_best(); level++) {
        em__fft_kernels k[2];
        em__fft_kernels_init(k, (em__cpu_level)level);
        for (int count = 1; count <= k[1].lanes; count++) {
            for (int i = 0; i < N * count; i++) { /* the same line in each lane */
                ((double *)values)[2 * N + 2 * i] = in[2 * (i / count)];
                ((double *)values)[2 * N + 2 * i + 1] = in[2 * (i / count) + 1];
            }
            k[1].load(x, in + 2 * N, count, N, count, false);
            const double *done = k[1].column(&column, x, y);
            for (int f = 0; f < N; f += 7) {
                double re = 0, im = 0;
                for (int j = 0; j < N; j++) {
                    double c = cos(2 * M_PI * (f * j % N) / N), s = -sin(2 * M_PI * (f * j % N) / N);
                    re += in[2 * j] * c - in[2 * j + 1] * s;
                    im += in[2 * j] * s + in[2 * j + 1] * c;
                }
                for (int lane = 0; lane < count; lane++) {
                    assert_true(fabs(done[f * 2 * k[1].lanes + lane] - re) < 1e-12);
                    assert_true(fabs(done[(f * 2 + 1) * k[1].lanes + lane] - im) < 1e-12);
                }
            }
        }
    }
}

/* More lengths than there is room for plans; all of them right. */
static void many_plans(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * MOST; i++)
        values[i] = i % 2 ? 0 : 1;
    for (int64_t n = 1; n < 300; n++) {
        em_scope *s = em_scope_new(em_device_default());
        em_array *y = em_fft(s, em_constant(s, EM_C64, values, em_shape(n % 100 + 200 * (n % 3) + 1)), 0, 0);
        EXPECT_OK(em_eval(s, y));
        assert_true(fabsf(*(const float *)em_array_data(y) - (float)(n % 100 + 200 * (n % 3) + 1)) < 1e-3f);
        em_scope_free(s);
    }
}

static em_status all_families(void *context)
{
    (void)context;
    em_scope *s = em_scope_new(em_device_default());
    if (!s)
        return EM_ERROR_OUT_OF_MEMORY;
    em_array *x = em_random_normal(s, em_random_key(s, 1), EM_F32, em_shape(4, 67)), *top = NULL;
    em_array *y = em_irfft(s, em_rfft(s, x, 0, 1), 67, 1);
    em_array *z = em_sort(
        s, em_take(s, y, em_argsort(s, em_slice(s, y, (int64_t[]){0, 0}, (int64_t[]){1, 67}, NULL), 1, true), 1), 1,
        false);
    em_top_k(s, z, 3, 0, &top, NULL);
    em_status status = em_eval(s, top);
    em_scope_free(s);
    return status;
}

/* The plans are there already: what is kept is not lost. */
static void faults(void **state)
{
    (void)state;
    EXPECT_OK(all_families(NULL));
    faults_sweep(all_families, NULL);
}

static int setup(void **state)
{
    (void)state;
    levels_report();
    return posix_memalign((void **)&values, 64, 2 * MOST * sizeof *values) != 0 ||
           posix_memalign((void **)&results, 64, 2 * MOST * sizeof *results) != 0;
}

static int teardown(void **state)
{
    (void)state;
    free(values);
    free(results);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waves),      cmocka_unit_test(real_lines), cmocka_unit_test(real_columns),
        cmocka_unit_test(axes),       cmocka_unit_test(threads),    cmocka_unit_test(levels),
        cmocka_unit_test(many_plans), cmocka_unit_test(faults),     cmocka_unit_test(short_lines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
