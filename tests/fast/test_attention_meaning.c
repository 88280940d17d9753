/*
 * What attention, rotary embedding and caches promise beyond the record: steps of decoding equal the whole, sinks of
 * -inf are none, and bad operands are refused with words that help.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <emily/ops.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

#define SDPA(...) (&(em_sdpa_options){.struct_size = sizeof(em_sdpa_options), __VA_ARGS__})

static em_array *values(em_scope *s, em_dims d, uint64_t seed)
{
    rng r = {seed};
    size_t n = 1;
    for (int i = 0; i < d.rank; i++)
        n *= (size_t)d.dims[i];
    float *data = malloc(n * sizeof *data + 1);
    assert_non_null(data);
    rng_fill(&r, EM_F32, data, n);
    em_array *a = em_constant_f32(s, data, d);
    free(data);
    return a;
}

/* Rows [from, to) of axis 2. */
static em_array *rows(em_scope *s, em_array *x, int64_t from, int64_t to)
{
    em_dims d = em_array_dims(x);
    int64_t start[4] = {0, 0, from, 0};
    d.dims[2] = to;
    return em_slice(s, x, start, d.dims, NULL);
}

static void expect_near(em_scope *s, em_array *got, em_array *want, double slack)
{
    if (!got || !want || em_eval(s, got) != EM_OK || em_eval(s, want) != EM_OK)
        fail_msg("%s", em_scope_error(s));
    assert_int_equal(em_array_bytes(got), em_array_bytes(want));
    EXPECT_CLOSE_F32(em_array_data(got), em_array_data(want), em_array_bytes(want) / 4, slack, 0);
}

/* Token k turned alone at offset k is row k of all; wavelengths given are base^(2i / dims); so by tables. */
static void test_rope_by_steps(void **state)
{
    (void)state;
    enum { T = 8, D = 32 };
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        em_scope *s = em_scope_new(NULL);
        em_array *x = values(s, em_shape(1, 2, T, D), 1), *i = em_iota(s, EM_F32, em_shape(D / 2), 0);
        em_array *freqs = em_pow(s, em_scalar(s, EM_F32, 10000), em_mul(s, i, em_scalar(s, EM_F32, 2.0 / D)));
        const em_rope_options o = {.struct_size = sizeof o, .interleaved = interleaved};
        const em_rope_options f = {.struct_size = sizeof f, .interleaved = interleaved, .freqs = freqs};
        em_array *whole = em_rope(s, x, NULL, &o);
        em_array *angle = em_div(s, em_iota(s, EM_F32, em_shape(T, D / 2), 0), freqs);
        for (int k = 0; k < T; k++) {
            em_array *at = em_scalar(s, EM_S64, k), *x1 = rows(s, x, k, k + 1), *y1 = rows(s, whole, k, k + 1);
            expect_near(s, em_rope(s, x1, at, &o), y1, 1e-4);
            expect_near(s, em_rope(s, x1, at, &f), y1, 1e-4);
        }
        expect_near(s, em_rotary(s, x, em_cos(s, angle), em_sin(s, angle), 0, interleaved), whole, 1e-4);
        em_scope_free(s);
    }
}

/* A cache of which n rows are valid, filled step by step, gives what the whole sequence gives. */
static void test_decoding_by_steps(void **state)
{
    (void)state;
    enum { B = 2, H = 4, KV = 2, T = 9, ROOM = 32, D = 16 };
    em_scope *s = em_scope_new(NULL);
    em_array *q = values(s, em_shape(B, H, T, D), 1), *k = values(s, em_shape(B, KV, T, D), 2);
    em_array *v = values(s, em_shape(B, KV, T, D), 3), *whole = em_sdpa(s, q, k, v, NULL, 0, true);
    em_array *keys = values(s, em_shape(B, KV, ROOM, D), 4), *held = values(s, em_shape(B, KV, ROOM, D), 5);
    for (int t = 0; t < T; t++) {
        em_array *at = em_scalar(s, EM_S32, t), *n = em_scalar(s, EM_S32, t + 1);
        keys = em_kv_update(s, keys, rows(s, k, t, t + 1), at);
        held = em_kv_update(s, held, rows(s, v, t, t + 1), at);
        const em_sdpa_options o = {.struct_size = sizeof o, .lengths = n, .causal = true};
        em_array *step = em_sdpa_with(s, rows(s, q, t, t + 1), keys, held, &o);
        expect_near(s, step, rows(s, whole, t, t + 1), 1e-5);
        em_array *seen = em_less(s, em_iota(s, EM_S32, em_shape(ROOM), 0), n);
        em_array *mask = em_select(s, seen, em_scalar(s, EM_F32, 0), em_scalar(s, EM_F32, -1e9));
        expect_near(s, em_sdpa(s, rows(s, q, t, t + 1), keys, held, mask, 0, false), step, 1e-5);
    }
    em_scope_free(s);
}

/* Attention of bf16 is that of the same numbers in f32, within the rounding of its result and of weights, which many
 * queries have in bf16 where the processor multiplies such. */
static void test_many_half_queries(void **state)
{
    (void)state;
    static const int64_t tokens[] = {63, 64, 70, 129, 200};
    for (int i = 0; i < 10; i++) {
        em_scope *s = em_scope_new(NULL);
        const int64_t t = tokens[i / 2], d = i % 3 ? 64 : 40;
        em_array *half[3], *wide[3];
        for (int j = 0; j < 3; j++) {
            half[j] = em_cast(s, values(s, em_shape(1, j ? 2 : 4, t, d), (uint64_t)(3 * i + j)), EM_BF16);
            wide[j] = em_cast(s, half[j], EM_F32);
        }
        em_array *got = em_sdpa(s, half[0], half[1], half[2], NULL, 0, i % 2);
        expect_near(s, em_cast(s, got, EM_F32), em_sdpa(s, wide[0], wide[1], wide[2], NULL, 0, i % 2), 0.02);
        em_scope_free(s);
    }
}

/* A row of bf16 attention is the same among 64 queries as among more, and among 63 as alone: on the processor. */
static void test_rows_of_half_queries(void **state)
{
    (void)state;
    if (strcmp(em_device_name(em_device_default()), "cpu") != 0)
        skip();
    static const int counts[][2] = {{130, 64}, {130, 97}, {63, 33}, {63, 1}, {20, 7}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        em_scope *s = em_scope_new(NULL);
        const int many = counts[i][0], few = counts[i][1], from = many - few;
        em_array *in[3];
        for (int j = 0; j < 3; j++)
            in[j] = em_cast(s, values(s, em_shape(1, j ? 2 : 4, j ? 130 : many, 40), (uint64_t)(9 * i + j)), EM_BF16);
        em_array *all = em_cast(s, em_sdpa(s, in[0], in[1], in[2], NULL, 0, false), EM_F32);
        em_array *some = em_cast(s, em_sdpa(s, rows(s, in[0], from, many), in[1], in[2], NULL, 0, false), EM_F32);
        expect_near(s, rows(s, all, from, many), some, 0);
        em_scope_free(s);
    }
}

/* Every value of a length or position is held inside what there is, in its own dtype: none wraps on the way. */
static void test_numbers_of_64_bits(void **state)
{
    (void)state;
    enum { KEYS = 6 };
    static const struct {
        em_dtype dtype;
        int64_t value; /* of u64 its bits */
        int keys;
    } trials[] = {{EM_S64, INT64_C(1) << 32, KEYS},
                  {EM_S64, (INT64_C(1) << 32) + 2, KEYS},
                  {EM_S64, 3000000000, KEYS},
                  {EM_S64, INT64_MAX, KEYS},
                  {EM_S64, 2, 2},
                  {EM_S64, 3 - (INT64_C(1) << 32), 0},
                  {EM_S64, INT64_MIN, 0},
                  {EM_U64, -1, KEYS},
                  {EM_U64, INT64_C(1) << 32, KEYS},
                  {EM_U64, 3, 3},
                  {EM_U32, 3000000000, KEYS},
                  {EM_U32, 4, 4},
                  {EM_S32, INT32_MAX, KEYS}};
    em_scope *s = em_scope_new(NULL);
    em_array *x = values(s, em_shape(1, 2, KEYS, 8), 1), *row = values(s, em_shape(1, 2, 1, 8), 2);
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        const int keys = trials[i].keys, last = keys < KEYS ? keys : KEYS - 1;
        em_array *n = em_constant(s, trials[i].dtype, &trials[i].value, (em_dims){0});
        em_array *some = rows(s, x, 0, keys), *y = em_sdpa_with(s, x, x, x, SDPA(.lengths = n));
        em_array *want = keys ? em_sdpa(s, x, some, some, NULL, 0, false) : em_mul(s, x, em_scalar(s, EM_F32, 0));
        expect_near(s, y, want, 1e-6);
        em_array *cache = em_kv_update(s, x, row, n);
        expect_near(s, rows(s, cache, last, last + 1), row, 0);
    }
    em_scope_free(s);
}

/* The step of a decoder over a cache in 8 bits. */
static em_status coded_steps(void *context)
{
    enum { B = 2, H = 4, KV = 2, T = 20, ROOM = 64, D = 64 };
    double *error = context, sum = 0, square = 0;
    em_scope *s = em_scope_new(NULL);
    if (!s)
        return EM_ERROR_OUT_OF_MEMORY;
    em_array *q = values(s, em_shape(B, H, 1, D), 1), *k = values(s, em_shape(B, KV, T, D), 2);
    em_array *v = values(s, em_shape(B, KV, T, D), 3), *exact = em_sdpa(s, q, k, v, NULL, 0, false);
    em_array *codes[2], *scales[2];
    for (int i = 0; i < 2; i++) {
        codes[i] = em_broadcast_to(s, em_scalar(s, EM_S8, 7), em_shape(B, KV, ROOM, D));
        scales[i] = em_broadcast_to(s, em_scalar(s, EM_F32, 3), em_shape(B, KV, ROOM));
        for (int t = 0; t < T; t += 10) {
            em_array *at = em_scalar(s, EM_S32, t), *x = i ? v : k, *some = x ? rows(s, x, t, t + 10) : NULL;
            codes[i] = em_kv_codes(s, codes[i], some, at);
            scales[i] = em_kv_scales(s, scales[i], some, at);
        }
    }
    em_sdpa_options o = {.struct_size = sizeof o, .k_scales = scales[0], .v_scales = scales[1]};
    o.lengths = em_scalar(s, EM_S32, T);
    em_array *y = em_sdpa_with(s, q, codes[0], codes[1], &o);
    em_status status = em_scope_status(s);
    if (status == EM_OK && (status = em_eval(s, y)) == EM_OK)
        status = em_eval(s, exact);
    const float *wanted = status == EM_OK ? em_array_data(exact) : NULL, *given = wanted ? em_array_data(y) : NULL;
    if (status == EM_OK && !given) /* from a device's memory they have yet to come */
        status = em_last_status();
    for (int i = 0; status == EM_OK && i < B * H * D; i++) {
        double want = wanted[i], got = given[i];
        sum += (got - want) * (got - want);
        square += want * want;
    }
    *error = square > 0 ? sqrt(sum / square) : 1;
    em_scope_free(s);
    return status;
}

static void test_codes(void **state)
{
    (void)state;
    double error = 1;
    EXPECT_OK(coded_steps(&error));
    if (error > 0.01)
        fail_msg("attention over 8 bits is %.4f off", error);
    assert_true(faults_sweep(coded_steps, &error) > 10);
}

static void test_no_sink(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *q = values(s, em_shape(1, 3, 12, 8), 1), *k = values(s, em_shape(1, 3, 12, 8), 2);
    em_array *none = em_broadcast_to(s, em_scalar(s, EM_F32, -INFINITY), em_shape(3));
    for (int64_t n = 1; n <= 12; n += 11) {
        const em_sdpa_options o = {.struct_size = sizeof o, .sinks = none};
        em_array *few = rows(s, q, 0, n);
        expect_near(s, em_sdpa_with(s, few, k, k, &o), em_sdpa(s, few, k, k, NULL, 0, false), 1e-6);
    }
    em_scope_free(s);
}

/* Rows whose keys all have a mask of -1e9 stay finite. */
static void test_masked_rows_are_finite(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *q = values(s, em_shape(1, 2, 1, 8), 1), *k = values(s, em_shape(1, 2, 40, 8), 2);
    em_array *mask = em_broadcast_to(s, em_scalar(s, EM_F32, -1e9), em_shape(1, 40));
    em_array *mean = em_mean(s, k, EM_AXES(2), true);
    expect_near(s, em_sdpa(s, q, k, k, mask, 0, false), mean, 1e-4);
    em_array *hidden = em_broadcast_to(s, em_scalar(s, EM_PRED, 0), em_shape(1, 40));
    em_array *zero = em_broadcast_to(s, em_scalar(s, EM_F32, 0), em_shape(1, 2, 1, 8));
    expect_near(s, em_sdpa(s, q, k, k, hidden, 0, false), zero, 0);
    em_scope_free(s);
}

#define REFUSED(words, call)                                                                                           \
    do {                                                                                                               \
        em_scope *s = em_scope_new(NULL);                                                                              \
        em_array *x = values(s, em_shape(2, 4, 6, 8), 1), *n = em_iota(s, EM_S32, em_shape(3), 0);                     \
        (void)n;                                                                                                       \
        assert_null(call);                                                                                             \
        EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, words);                                            \
        assert_non_null(x);                                                                                            \
        em_scope_free(s);                                                                                              \
    } while (0)

#define ROPE(...) (&(em_rope_options){.struct_size = sizeof(em_rope_options), __VA_ARGS__})

static void test_refused(void **state)
{
    (void)state;
    REFUSED("only one can be", em_rope(s, x, NULL, ROPE(.base = 500, .freqs = em_iota(s, EM_F32, em_shape(4), 0))));
    REFUSED("freqs must be f32[4]", em_rope(s, x, NULL, ROPE(.freqs = em_iota(s, EM_F32, em_shape(8), 0))));
    REFUSED("one number a batch", em_rope(s, x, n, NULL));
    REFUSED("out of range or the last", em_rope(s, x, NULL, ROPE(.axis = -1)));
    REFUSED("out of range or the last", em_rope(s, x, NULL, ROPE(.axis = 7)));
    REFUSED("even", em_rotary(s, x, x, x, 5, false));
    REFUSED("[.., 8] or [.., 4]",
            em_rotary(s, x, em_iota(s, EM_F32, em_shape(6, 3), 0), em_iota(s, EM_F32, em_shape(6, 3), 0), 0, false));
    REFUSED("cos and sin",
            em_rotary(s, x, em_iota(s, EM_F32, em_shape(5, 8), 0), em_iota(s, EM_F32, em_shape(5, 8), 0), 0, false));
    REFUSED("alike", em_rotary(s, x, x, em_iota(s, EM_F32, em_shape(8), 0), 0, false));
    REFUSED("rows must be as the cache",
            em_kv_update(s, x, values(s, em_shape(2, 4, 7, 8), 2), em_scalar(s, EM_S32, 0)));
    REFUSED("rows must be as the cache",
            em_kv_update(s, x, values(s, em_shape(2, 3, 1, 8), 2), em_scalar(s, EM_S32, 0)));
    REFUSED("integer", em_kv_update(s, x, x, em_scalar(s, EM_F32, 0)));
    REFUSED("one integer a batch", em_kv_update(s, x, x, n));
    REFUSED("sinks must be f32[4]", em_sdpa_with(s, x, x, x, SDPA(.sinks = n)));
    REFUSED("must be integers", em_sdpa_with(s, x, x, x, SDPA(.lengths = em_scalar(s, EM_F32, 3))));
    REFUSED("one a batch", em_sdpa_with(s, x, x, x, SDPA(.lengths = n)));
    REFUSED("window is -2", em_sdpa_with(s, x, x, x, SDPA(.window = -2)));
    REFUSED("does not broadcast", em_sdpa_with(s, x, x, x, SDPA(.mask = n)));
    REFUSED("scales of k alone", em_sdpa_with(s, x, x, x, SDPA(.k_scales = x)));
    REFUSED("both be of q's dtype", em_sdpa_with(s, x, em_cast(s, x, EM_S8), x, SDPA(.k_scales = x, .v_scales = x)));
    REFUSED("scales must be f32[2, 4, 6]",
            em_sdpa_with(s, x, em_cast(s, x, EM_S8), em_cast(s, x, EM_S8), SDPA(.k_scales = x, .v_scales = x)));
    REFUSED("have none", em_sdpa_with(s, x, x, x, SDPA(.k_scales = x, .v_scales = x)));
    REFUSED("codes must be s8", em_kv_codes(s, em_cast(s, x, EM_S16), x, em_scalar(s, EM_S32, 0)));
    REFUSED("rows must be as the cache", em_kv_scales(s, x, x, em_scalar(s, EM_S32, 0)));
    REFUSED("struct_size", em_sdpa_with(s, x, x, x, &(em_sdpa_options){.struct_size = 3}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rope_by_steps),
        cmocka_unit_test(test_decoding_by_steps),
        cmocka_unit_test(test_many_half_queries),
        cmocka_unit_test(test_rows_of_half_queries),
        cmocka_unit_test(test_numbers_of_64_bits),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_no_sink),
        cmocka_unit_test(test_masked_rows_are_finite),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
