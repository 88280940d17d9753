/*
 * Offsets of segments and lengths of caches are the caller's data, which nobody has checked: whatever they say, nothing
 * outside the operands is read (the operands here are allocations of their own, for the sanitizer), and what is out of
 * range counts as the nearest that is not. EMILY_DEBUG=bounds names it.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <emily/log.h>
#include <emily/ops.h>

#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/rng.h"

enum { T = 24, H = 2, D = 16, S = 3 };

static void forget(void *data)
{
    free(data);
}

/* An array over memory that ends where it does. */
static em_array *own(em_scope *s, em_dtype dtype, const void *values, em_dims dims, size_t bytes)
{
    void *data = malloc(bytes);
    assert_non_null(data);
    memcpy(data, values, bytes);
    return em_scope_adopt(s, em_array_wrap(dtype, data, dims, forget, data));
}

static em_array *random_values(em_scope *s, em_dims dims, size_t n, uint64_t seed)
{
    float values[T * H * D];
    rng r = {seed};
    rng_fill(&r, EM_F32, values, n);
    return own(s, EM_F32, values, dims, n * sizeof *values);
}

static em_array *list(em_scope *s, const int32_t *values, int64_t n)
{
    return own(s, EM_S32, values, em_shape(n), (size_t)n * sizeof *values);
}

/* What both ops make of the offsets, one after another. */
static void run(em_device *device, const int32_t *offsets, float *attended, float *pooled)
{
    em_scope *s = em_scope_new(device);
    em_array *q = random_values(s, em_shape(T, H, D), T * H * D, 1),
             *k = random_values(s, em_shape(T, H, D), T * H * D, 2);
    em_array *v = random_values(s, em_shape(T, H, D), T * H * D, 3), *x = random_values(s, em_shape(T, D), T * D, 4);
    em_array *bias = random_values(s, em_shape(H, 2 * T - 1), H * (2 * T - 1), 5);
    em_array *a = em_sdpa_segments(s, q, k, v, list(s, offsets, S + 1), bias, 0);
    EXPECT_OK(em_eval(s, a));
    memcpy(attended, em_array_data(a), T * H * D * sizeof *attended);
    for (int pool = EM_POOL_MEAN; pool <= EM_POOL_WEIGHTED; pool++) {
        em_array *p = em_segment_pool(s, x, list(s, offsets, S + 1), (em_pool)pool);
        EXPECT_OK(em_eval(s, p));
        memcpy(pooled + (pool - EM_POOL_MEAN) * S * D, em_array_data(p), S * D * sizeof *pooled);
    }
    em_scope_free(s);
}

enum { POOLS = EM_POOL_WEIGHTED - EM_POOL_MEAN + 1 };

static void test_out_of_range_is_the_nearest(void **state)
{
    static const int32_t cases[][2][S + 1] = {
        {{0, 9, 30, 40}, {0, 9, T, T}},
        {{-7, 3, 5, INT_MAX}, {0, 3, 5, T}},
        {{INT_MIN, INT_MIN, INT_MAX, INT_MAX}, {0, 0, T, T}},
        {{T + 1, T + 1, T + 2, INT_MAX}, {T, T, T, T}},
        {{-9, -3, -2, -1}, {0, 0, 0, 0}},
    };
    (void)state;
    for (em_device *const *device = devices_under_test(); *device; device++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            float got[T * H * D], want[T * H * D], got_rows[POOLS * S * D], want_rows[POOLS * S * D];
            run(*device, cases[i][0], got, got_rows);
            run(*device, cases[i][1], want, want_rows);
            EXPECT_SAME_BITS(EM_F32, got, want, T * H * D);
            EXPECT_SAME_BITS(EM_F32, got_rows, want_rows, POOLS * S * D);
        }
}

/* Descending offsets mean nothing: they only may not leave the operands. */
static void test_descending_stays_inside(void **state)
{
    static const int32_t cases[][S + 1] = {{9, 3, 0, 24}, {24, 0, 24, 0}, {INT_MAX, 0, INT_MIN, 5}, {5, -5, 99, -99}};
    (void)state;
    for (em_device *const *device = devices_under_test(); *device; device++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            float got[T * H * D], rows[POOLS * S * D];
            run(*device, cases[i], got, rows);
            for (int k = 0; k < T * H * D; k++)
                assert_true(got[k] == got[k]);
        }
}

static void test_lengths(void **state)
{
    static const int32_t cases[][2] = {{99, 12}, {-1, 0}, {INT_MIN, 0}, {INT_MAX, 12}};
    (void)state;
    for (em_device *const *device = devices_under_test(); *device; device++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            em_scope *s = em_scope_new(*device);
            em_array *out[2], *q = random_values(s, em_shape(1, H, 2, D), H * 2 * D, 1);
            em_array *k = random_values(s, em_shape(1, H, 12, D), H * 12 * D, 2);
            for (int j = 0; j < 2; j++) {
                const em_sdpa_options o = {.struct_size = sizeof o, .lengths = list(s, &cases[i][j], 1)};
                out[j] = em_sdpa_with(s, q, k, k, &o);
                EXPECT_OK(em_eval(s, out[j]));
            }
            EXPECT_SAME_BITS(EM_F32, em_array_data(out[0]), em_array_data(out[1]), H * 2 * D);
            em_scope_free(s);
        }
}

static void test_debug_names_it(void **state)
{
    const int32_t far[S + 1] = {0, 9, 30, 40}, down[S + 1] = {0, 9, 3, 24};
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = random_values(s, em_shape(T, D), T * D, 4), *q = random_values(s, em_shape(T, H, D), T * H * D, 1);
    em_debug_set(EM_DEBUG_BOUNDS);
    EXPECT_ERROR(em_array_eval(em_segment_pool(s, x, list(s, far, S + 1), EM_POOL_MEAN)), EM_ERROR_INVALID_ARGUMENT,
                 "segment_pool: offset 2 is 30, expected 9 (the one before) to 24 (the tokens)");
    EXPECT_ERROR(em_array_eval(em_sdpa_segments(s, q, q, q, list(s, down, S + 1), NULL, 0)), EM_ERROR_INVALID_ARGUMENT,
                 "sdpa_segments: offset 2 is 3, expected 9");
    em_debug_set(EM_DEBUG_NONE);
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_out_of_range_is_the_nearest),
                                       cmocka_unit_test(test_descending_stays_inside), cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_debug_names_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
