/*
 * Windows on cpu against ref: random shapes, windows, strides, paddings and dilations of every dtype; the same bits for
 * 1, 2 and 5 threads; long lines and wide rows; scatters.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/windows.h>

#include "harness/expect.h"
#include "harness/rng.h"
#include "harness/sample.h"

#define MOST 400000

static double x[MOST];

typedef struct trial {
    int op;
    em_dtype dtype;
    em_dims dims;
    int64_t window[EM_MAX_RANK], strides[EM_MAX_RANK], dilations[EM_MAX_RANK], low[EM_MAX_RANK], high[EM_MAX_RANK];
} trial;

static em_array *build(em_scope *s, const trial *t)
{
    em_window_options o = {sizeof o, t->strides, t->dilations, t->low, t->high, false};
    em_array *a = em_constant(s, t->dtype, x, t->dims);
    return t->op == 0   ? em_window_sum(s, a, t->window, &o)
           : t->op == 1 ? em_window_product(s, a, t->window, &o)
           : t->op == 2 ? em_window_max(s, a, t->window, &o)
                        : em_window_min(s, a, t->window, &o);
}

static void run_trial(const trial *t)
{
    static const int threads[] = {1, 2, 5};
    em_scope *ref = em_scope_new(em_device_find("ref")), *first = NULL;
    em_array *want = build(ref, t), *one = NULL;
    EXPECT_OK(em_eval(ref, want));
    em_dtype dtype = em_array_dtype(want);
    bool exact = t->op > 1 || em_dtype_get_kind(dtype) < EM_KIND_FLOAT;
    size_t size = em_dtype_size(dtype);
    double unit = size == 1          ? 0.2
                  : dtype == EM_F16  ? 0x1p-10
                  : dtype == EM_BF16 ? 0x1p-7
                  : size == 4        ? 0x1p-20
                                     : 0x1p-48;
    unit = dtype == EM_C64 ? 0x1p-20 : unit;
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads[i]));
        em_scope *s = em_scope_new(em_device_default());
        em_array *got = build(s, t);
        EXPECT_OK(em_eval(s, got));
        if (exact)
            EXPECT_CLOSE(dtype, em_array_data(got), em_array_data(want), em_array_size(want), 0, 0);
        else
            EXPECT_CLOSE(dtype, em_array_data(got), em_array_data(want), em_array_size(want), 30 * unit, unit);
        if (one)
            EXPECT_SAME_BITS(dtype, em_array_data(got), em_array_data(one), em_array_size(one));
        one = one ? one : got;
        if (first)
            em_scope_free(s);
        first = first ? first : s;
    }
    em_scope_free(first);
    em_scope_free(ref);
}

static size_t fill(rng *r, trial *t)
{
    size_t n = 1;
    for (int i = 0; i < t->dims.rank; i++)
        n *= (size_t)t->dims.dims[i];
    assert_true(n <= MOST / 2);
    rng_fill(r, t->dtype, x, n);
    return n;
}

static bool random_trial(rng *r, trial *t)
{
    int rank = (int)rng_below(r, 5);
    t->dims.rank = rank;
    for (int i = 0; i < rank; i++) {
        bool plain = rng_below(r, 3) == 0;
        t->dims.dims[i] = (int64_t)rng_below(r, 12) + (rng_below(r, 10) != 0);
        t->window[i] = plain ? 1 : 1 + (int64_t)rng_below(r, 5);
        t->strides[i] = plain ? 1 : 1 + (int64_t)rng_below(r, 3);
        t->dilations[i] = 1 + (int64_t)rng_below(r, 3);
        t->low[i] = plain ? 0 : (int64_t)rng_below(r, 5) - 1;
        t->high[i] = plain ? 0 : (int64_t)rng_below(r, 5) - 1;
        int64_t padded = t->dims.dims[i] + t->low[i] + t->high[i];
        if (padded < (t->window[i] - 1) * t->dilations[i] + 1)
            return false;
    }
    return true;
}

static void test_random(void **state)
{
    (void)state;
    rng r = {11};
    for (int dtype = EM_U8; dtype <= EM_C128; dtype++)
        for (int i = 0; i < 120; i++) {
            trial t = {.op = i % 4, .dtype = (em_dtype)dtype};
            if ((em_dtype_get_kind(t.dtype) == EM_KIND_COMPLEX && t.op > 1) || !random_trial(&r, &t))
                continue;
            fill(&r, &t);
            if (sample_takes())
                run_trial(&t);
        }
}

/* Lines and rows cut into pieces, parts for several workers. */
static void test_large(void **state)
{
    (void)state;
    static const trial trials[] = {
        {2, EM_U8, {2, {12, 1}}, {5, 1}, {1, 1}, {3, 1}, {0, 2}, {1, 0}}, /* rows of one element, then a line */
        {0, EM_F32, {1, {100000}}, {5}, {1}, {1}, {2}, {2}},
        {0, EM_F32, {1, {100000}}, {40}, {3}, {7}, {100}, {300}},
        {2, EM_U8, {1, {100000}}, {3}, {2}, {1}, {0}, {1}},
        {0, EM_F64, {2, {9, 9000}}, {3, 1}, {1, 1}, {2, 1}, {1, 0}, {1, 0}},
        {3, EM_S32, {2, {9, 9000}}, {3, 2}, {2, 2}, {1, 1}, {1, 0}, {0, 0}},
        {0, EM_BF16, {4, {2, 40, 41, 3}}, {1, 3, 3, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, {0, 1, 1, 0}, {0, 1, 1, 0}},
        {2, EM_F16, {4, {2, 3, 60, 61}}, {1, 1, 2, 2}, {1, 1, 2, 2}, {1, 1, 1, 1}, {0}, {0}},
        {0, EM_F32, {3, {20, 30, 50}}, {4, 5, 6}, {1, 2, 3}, {2, 1, 2}, {3, 0, 1}, {0, 2, 1}},
        {1,
         EM_F32,
         {8, {2, 3, 2, 3, 2, 3, 2, 3}},
         {2, 2, 1, 2, 1, 3, 2, 2},
         {1, 1, 1, 1, 1, 1, 1, 1},
         {1, 1, 1, 1, 1, 1, 1, 1},
         {0, 1},
         {0, 0, 0, 1}}};
    rng r = {12};
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        trial t = trials[i];
        fill(&r, &t);
        run_trial(&t);
    }
}

/* Where a window covers padding alone, and where a long pad makes windows longer than the array. */
static void test_padding_alone(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    const int64_t window[] = {INT64_C(1) << 40}, pad[] = {INT64_C(1) << 40}, three[] = {3}, two[] = {2}, none[] = {0};
    const float v[] = {1, 2, 3};
    em_array *a = em_constant_f32(s, v, em_shape(3));
    em_window_options all = {.struct_size = sizeof all, .low = pad};
    em_window_options few = {.struct_size = sizeof few, .low = three, .high = none, .strides = two};
    const float *sum = em_array_data(em_window_sum(s, a, window, &all));
    assert_non_null(sum);
    const float want[] = {0, 1, 3, 6};
    EXPECT_SAME_BITS(EM_F32, sum, want, 4);
    const float *max = em_array_data(em_window_max(s, a, two, &few));
    assert_non_null(max);
    assert_true(max[0] == -INFINITY && max[1] == 1 && max[2] == 3);
    em_scope_free(s);
}

/* An axis of a few elements in much padding, its windows and the steps between them long: most places see nothing. */
static void far_axis(rng *r, bool dilated, trial *t, int d)
{
    const uint64_t far = UINT64_C(1) << (5 + rng_below(r, 40));
    const int64_t size = 1 + (int64_t)rng_below(r, 6);
    t->dims.dims[d] = size;
    t->low[d] = (int64_t)rng_below(r, far);
    t->high[d] = (int64_t)rng_below(r, far);
    const int64_t padded = size + t->low[d] + t->high[d];
    const int64_t span = (int64_t)rng_below(r, (uint64_t)padded); /* of a window but for its first element */
    t->dilations[d] = dilated && rng_below(r, 2) ? 1 + (int64_t)rng_below(r, (uint64_t)span + 1) : 1;
    t->window[d] = 1 + span / t->dilations[d];
    t->strides[d] = 1 + padded / (1 + (int64_t)rng_below(r, 40));
}

static void test_far_windows(void **state)
{
    (void)state;
    rng r = {15};
    for (int i = 0; i < 400; i++) {
        trial t = {.op = i % 4, .dtype = i % 8 < 4 ? EM_F32 : EM_S64, .dims = {1 + i % 3}};
        for (int d = 0; d < t.dims.rank; d++)
            far_axis(&r, true, &t, d);
        fill(&r, &t);
        if (sample_takes())
            run_trial(&t);
    }
    trial t = {0, EM_F32, {2, {3, 1000}}, {1, 1}, {2, 1}, {INT64_C(1) << 60, 1}, {0}, {0}};
    fill(&r, &t);
    run_trial(&t);
}

static em_array *build_scatter(em_scope *s, const trial *t, em_dims places, const void *source)
{
    em_window_options o = {sizeof o, t->strides, NULL, t->low, t->high, false};
    em_array *a = em_constant(s, t->dtype, x, t->dims), *b = em_constant(s, t->dtype, source, places);
    em_array *init = em_scalar(s, t->dtype, t->op == 2 ? 1 : 0);
    return t->op % 2 ? em_window_scatter_max(s, a, b, init, t->window, &o)
                     : em_window_scatter_min(s, a, b, init, t->window, &o);
}

/* A scatter's places; how many. */
static size_t places_of(const trial *t, em_dims *places)
{
    size_t m = 1;
    places->rank = t->dims.rank;
    for (int d = 0; d < t->dims.rank; d++) {
        int64_t rest = t->dims.dims[d] + t->low[d] + t->high[d] - t->window[d];
        places->dims[d] = rest / t->strides[d] + 1;
        m *= (size_t)places->dims[d];
    }
    return m;
}

static void run_scatter(const trial *t, em_dims places, const void *source)
{
    if (!sample_takes())
        return;
    em_scope *ref = em_scope_new(em_device_find("ref"));
    em_array *want = build_scatter(ref, t, places, source);
    EXPECT_OK(em_eval(ref, want));
    for (int threads = 1; threads < 4; threads++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads));
        em_scope *s = em_scope_new(em_device_default());
        em_array *got = build_scatter(s, t, places, source);
        EXPECT_OK(em_eval(s, got));
        EXPECT_SAME_BITS(t->dtype, em_array_data(got), em_array_data(want), em_array_size(want));
        em_scope_free(s);
    }
    em_scope_free(ref);
}

/* A scatter of a window along one axis as long as `reach` makes it, padded before (0), behind (1) or around (2). */
static em_array *reaching_scatter(em_scope *s, int axis, int side, int64_t reach, bool max, float pad)
{
    static const float v[] = {3, 1, -2, 5, 5, 0, -0.0f, 7, 7, 2, 4, 4, 1, -5, 9, 9, 0, NAN, 6, 6};
    static const float sources[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    int64_t window[] = {1, 1}, low[] = {0, 0}, high[] = {0, 0};
    window[axis] = side == 2 ? 2 * reach + 1 : reach + 1;
    low[axis] = side == 1 ? 0 : reach;
    high[axis] = side == 0 ? 0 : reach;
    const em_window_options o = {.struct_size = sizeof o, .low = low, .high = high};
    em_array *a = em_constant_f32(s, v, em_shape(4, 5)), *init = em_constant_f32(s, &pad, (em_dims){0});
    em_array *source = em_constant_f32(s, sources, em_shape(4, 5));
    return max ? em_window_scatter_max(s, a, source, init, window, &o)
               : em_window_scatter_min(s, a, source, init, window, &o);
}

/* A window far longer than the array costs no more, and gives the same, as one that is longer by a few. */
static void test_long_scatters(void **state)
{
    (void)state;
    static const char *const devices[] = {"ref", "cpu"};
    static const float pads[] = {-9, 6, 20, NAN};
    for (int i = 0; i < 96; i++) {
        const int axis = i / 2 % 2, side = i / 4 % 3;
        em_scope *s = em_scope_new(em_device_find(devices[i / 12 % 2]));
        em_array *few = reaching_scatter(s, axis, side, 7, i % 2, pads[i / 24]);
        em_array *far = reaching_scatter(s, axis, side, INT64_C(1) << 50, i % 2, pads[i / 24]);
        EXPECT_OK(em_eval(s, few));
        EXPECT_OK(em_eval(s, far));
        EXPECT_SAME_BITS(EM_F32, em_array_data(far), em_array_data(few), em_array_size(few));
        em_scope_free(s);
    }
}

/* Few values, so that they tie. */
static void test_scatters(void **state)
{
    (void)state;
    static const em_dtype dtypes[] = {EM_F32, EM_F64, EM_U8, EM_S32, EM_S64, EM_BF16, EM_S8};
    static double source[MOST];
    rng r = {13};
    for (int i = 0; i < 400; i++) {
        trial t = {.op = i % 4, .dtype = dtypes[i % 7]};
        em_dims places = {0};
        if (!random_trial(&r, &t) || (i % 40 == 0 && t.dims.rank == 0))
            continue;
        t.dims.dims[0] += t.dims.rank && i % 5 == 0 ? 60 : 0;
        for (int d = 0; d < t.dims.rank && t.dims.rank > 1 && i % 3 == 0; d++) { /* pooled by squares */
            bool side = d >= t.dims.rank - 2;
            t.window[d] = t.strides[d] = side ? 2 : 1;
            t.dims.dims[d] += side && t.dims.dims[d] < 2 ? 2 : 0;
        }
        size_t n = fill(&r, &t), m = places_of(&t, &places);
        for (size_t k = 0; k < n * em_dtype_size(t.dtype) && t.dtype == EM_U8; k++)
            ((uint8_t *)x)[k] %= 4;
        rng_fill(&r, t.dtype, source, m);
        run_scatter(&t, places, source);
    }
}

/* An axis of a plane: 3 in steps of 2, 2 in steps of 2, 3 around each element; small windows, and any. */
static void random_axis(rng *r, int kind, trial *t, int d, size_t size)
{
    static const int64_t windows[] = {3, 2, 3}, strides[] = {2, 2, 1};
    t->window[d] = kind < 3 ? windows[kind] : 1 + (int64_t)rng_below(r, kind == 3 ? 4 : 9);
    t->strides[d] = kind < 3 ? strides[kind] : 1 + (int64_t)rng_below(r, kind == 3 ? 3 : 10);
    t->low[d] = kind == 0 ? (int64_t)rng_below(r, 2) : kind == 1 ? 0 : kind == 2 ? 1 : (int64_t)rng_below(r, 5) - 1;
    t->high[d] = kind == 2 ? 1 : (int64_t)rng_below(r, 4) - (kind > 2 || t->low[d] == 1);
    t->dims.dims[d] = t->window[d] + 2 + (int64_t)rng_below(r, size); /* there is a window */
}

/* Planes that are pooled by rows, longer than a vector or a band; values that tie, NaN, zeros of both signs. */
static void test_planes(void **state)
{
    (void)state;
    static const float values[] = {1, 2, 2, 3, 0, -0.0f, -1, INFINITY, -INFINITY, NAN};
    static float source[MOST];
    rng r = {14};
    for (int i = 0; i < 750; i++) {
        trial t = {.op = (int)rng_below(&r, 4), .dtype = EM_F32, .dims = {3, {1 + (int64_t)rng_below(&r, 3)}}};
        em_dims places = {0};
        const size_t few = i % 3 ? 10 : 9, size = i % 8 < 6 ? 80 : 12;
        t.window[0] = t.strides[0] = 1;
        random_axis(&r, i % 5, &t, 1, size);
        random_axis(&r, i % 5, &t, 2, size);
        const size_t n = (size_t)(t.dims.dims[0] * t.dims.dims[1] * t.dims.dims[2]), m = places_of(&t, &places);
        for (size_t k = 0; k < n; k++)
            ((float *)(void *)x)[k] = values[rng_below(&r, few)];
        rng_fill(&r, EM_F32, source, m);
        run_scatter(&t, places, source);
    }
}

static void test_far_scatters(void **state)
{
    (void)state;
    static float source[41 * 41];
    rng r = {16};
    for (int i = 0; i < 400; i++) {
        trial t = {.op = i % 4, .dtype = EM_F32, .dims = {1 + i % 2}};
        em_dims places = {0};
        for (int d = 0; d < t.dims.rank; d++) {
            far_axis(&r, false, &t, d);
            t.window[d] = 1 + (t.window[d] - 1) % t.dims.dims[d];
        }
        fill(&r, &t);
        rng_fill(&r, EM_F32, source, places_of(&t, &places));
        run_scatter(&t, places, source);
    }
}

/* Padding that goes on far behind, or in front of, what there is. */
static void test_far_padding(void **state)
{
    (void)state;
    enum { FAR = 1 << 20 };
    static const int64_t windows[] = {3, 2, 3}, strides[] = {2, 2, 1};
    float *source = calloc(4 * (size_t)FAR, sizeof *source);
    assert_non_null(source);
    for (int i = 0; i < 9; i++)
        ((float *)(void *)x)[i] = (float)(i * 5 % 7);
    for (int i = 0; i < 24; i++) {
        const int kind = i % 3, axis = i / 3 % 2;
        trial t = {.op = i / 6 % 2, .dtype = EM_F32, .dims = {2, {3, 3}}};
        em_dims places = {0};
        for (int d = 0; d < 2; d++) {
            t.window[d] = windows[kind];
            t.strides[d] = strides[kind];
        }
        (i < 12 ? t.high : t.low)[axis] = FAR;
        source[places_of(&t, &places) - 1] = 1;
        run_scatter(&t, places, source);
    }
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),      cmocka_unit_test(test_large),         cmocka_unit_test(test_padding_alone),
        cmocka_unit_test(test_scatters),    cmocka_unit_test(test_long_scatters), cmocka_unit_test(test_planes),
        cmocka_unit_test(test_far_padding), cmocka_unit_test(test_far_windows),   cmocka_unit_test(test_far_scatters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
