/*
 * Samplers against exact probabilities: each is drawn from many times, and the counts are held to the probabilities
 * that its definition gives by Pearson's chi-square. Seeds are fixed, so the outcome is too.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "generate/sample.h"
#include "harness/expect.h"

enum { N = 40, DRAWS = 200000 };

typedef struct fixture {
    float logits[N];
    em__sampler sampler;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    uint32_t random = 7;
    for (int i = 0; i < N; i++) {
        random = random * 1664525u + 1013904223u;
        f->logits[i] = (float)(random >> 8) / (float)(1 << 24) * 6 - 3;
    }
    f->logits[11] = f->logits[4]; /* a tie */
    f->logits[20] = -INFINITY;
    assert_int_equal(em__sampler_init(&f->sampler, N), EM_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    em__sampler_free(&f->sampler);
    free(f);
    return 0;
}

/* The definition, in double, by sorting everything. */
static void exact(const float *logits, const em_generation_options *o, double *p)
{
    int order[N], kept = N;
    double sum = 0, most = -INFINITY;
    for (int i = 0; i < N; i++)
        most = fmax(most, logits[i]);
    for (int i = 0; i < N; i++) {
        p[i] = exp((logits[i] - most) / o->temperature);
        order[i] = i;
    }
    for (int i = 0; i < N; i++)
        for (int k = i + 1; k < N; k++)
            if (p[order[k]] > p[order[i]] || (p[order[k]] == p[order[i]] && order[k] < order[i])) {
                int t = order[i];
                order[i] = order[k];
                order[k] = t;
            }
    kept = o->top_k > 0 && o->top_k < kept ? o->top_k : kept;
    for (int i = 0; i < kept; i++)
        sum += p[order[i]];
    double reached = 0;
    for (int i = 0; i < kept && o->top_p > 0 && o->top_p < 1; i++)
        if ((reached += p[order[i]]) >= (double)o->top_p * sum) {
            kept = i + 1;
            break;
        }
    for (int i = 0; i < N; i++)
        if (i >= kept || p[order[i]] < (double)o->min_p * (1 - 1e-7))
            p[order[i]] = 0;
    sum = 0;
    for (int i = 0; i < N; i++)
        sum += p[i];
    for (int i = 0; i < N; i++)
        p[i] /= sum;
}

/* Chi-square of the counts, against the value that chance exceeds once in about 10,000. */
static void hold(const fixture *f, em_generation_options o, const float *logits)
{
    double p[N], chi = 0;
    int counts[N] = {0}, free_cells = -1;
    em__sampler sampler = f->sampler;
    em__random random = em__random_begin(1234, 0);
    const em__choice choice = {f->logits, &o, NULL, 0, 0};
    exact(logits, &o, p);
    for (int i = 0; i < DRAWS; i++)
        counts[em__sample(&sampler, &choice, &random)]++;
    for (int i = 0; i < N; i++) {
        if (p[i] == 0) {
            assert_int_equal(counts[i], 0);
            continue;
        }
        double expected = p[i] * DRAWS;
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
        free_cells++;
    }
    double limit = free_cells + 3.72 * sqrt(2.0 * free_cells) + 10; /* normal tail, and room for few cells */
    if (chi > limit)
        fail_msg("chi-square %.1f over %d cells, limit %.1f", chi, free_cells, limit);
}

static em_generation_options at(float temperature)
{
    return (em_generation_options){.struct_size = sizeof(em_generation_options), .temperature = temperature};
}

static void test_temperature(void **state)
{
    const fixture *f = *state;
    hold(f, at(1), f->logits);
    hold(f, at(0.3f), f->logits);
    hold(f, at(2.5f), f->logits);
}

static void test_top_k(void **state)
{
    const fixture *f = *state;
    for (int k = 1; k <= N; k += 13) {
        em_generation_options o = at(1.3f);
        o.top_k = k;
        hold(f, o, f->logits);
    }
}

static void test_top_p(void **state)
{
    const fixture *f = *state;
    const float shares[] = {0.01f, 0.3f, 0.5f, 0.9f, 0.999f};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        em_generation_options o = at(1);
        o.top_p = shares[i];
        hold(f, o, f->logits);
    }
}

static void test_min_p(void **state)
{
    const fixture *f = *state;
    const float shares[] = {0.02f, 0.2f, 1};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        em_generation_options o = at(1);
        o.min_p = shares[i];
        hold(f, o, f->logits);
    }
}

static void test_all_at_once(void **state)
{
    const fixture *f = *state;
    em_generation_options o = at(0.8f);
    o.top_k = 25;
    o.top_p = 0.92f;
    o.min_p = 0.05f;
    hold(f, o, f->logits);
}

static void test_bias(void **state)
{
    const fixture *f = *state;
    const em_logit_bias bias[] = {{3, 1.5f}, {5, -INFINITY}, {20, 4}};
    float logits[N];
    em_generation_options o = at(1);
    o.logit_bias = bias;
    o.n_logit_bias = 3;
    memcpy(logits, f->logits, sizeof logits);
    logits[3] += 1.5f;
    logits[5] = -INFINITY; /* 20 was impossible and stays so */
    hold(f, o, logits);
}

static void test_penalties(void **state)
{
    const fixture *f = *state;
    const int32_t seen[] = {2, 2, 9, 30, 9, 9};
    em_generation_options o = at(0);
    o.repetition_penalty = 1.25f;
    o.presence_penalty = 0.5f;
    o.frequency_penalty = 0.25f;
    float logits[N], most = -INFINITY;
    int32_t expected = 0;
    em__sampler sampler = f->sampler;
    em__random random = em__random_begin(0, 0);
    memcpy(logits, f->logits, sizeof logits);
    const int once[] = {2, 9, 30};
    for (int i = 0; i < 3; i++)
        logits[once[i]] = logits[once[i]] > 0 ? logits[once[i]] / 1.25f : logits[once[i]] * 1.25f;
    logits[9] -= 0.5f + 2 * 0.25f; /* the answer is {30, 9, 9} */
    logits[30] -= 0.5f + 0.25f;
    for (int i = 0; i < N; i++)
        if (logits[i] > most) {
            most = logits[i];
            expected = i;
        }
    const em__choice choice = {f->logits, &o, seen, 6, 3};
    assert_int_equal(em__sample(&sampler, &choice, &random), expected);
    for (int i = 0; i < N; i++) {
        assert_true(sampler.logits[i] == logits[i] || fabsf(sampler.logits[i] - logits[i]) < 1e-6f);
        assert_int_equal(sampler.counts[i], 0);
    }
}

static void test_greedy_takes_the_first_of_equals(void **state)
{
    const fixture *f = *state;
    float logits[N] = {0};
    logits[17] = logits[29] = 2;
    logits[8] = NAN;
    em_generation_options o = at(0);
    em__sampler sampler = f->sampler;
    em__random random = em__random_begin(0, 0);
    const em__choice choice = {logits, &o, NULL, 0, 0};
    assert_int_equal(em__sample(&sampler, &choice, &random), 17);
}

static void test_logprobs(void **state)
{
    const fixture *f = *state;
    em_token_score top[N];
    em__sampler sampler = f->sampler;
    double sum = 0;
    size_t n = em__top_logprobs(&sampler, f->logits, N, top);
    assert_int_equal(n, N - 1); /* one is impossible */
    for (size_t i = 0; i < n; i++) {
        sum += exp(top[i].logprob);
        assert_true(fabsf(top[i].logprob - em__logprob(f->logits, N, top[i].id)) < 1e-6f);
        assert_true(i == 0 || top[i - 1].logprob >= top[i].logprob);
    }
    assert_true(fabs(sum - 1) < 1e-5);
    assert_int_equal(em__top_logprobs(&sampler, f->logits, 3, top), 3);
}

static void test_seeds_differ(void **state)
{
    em__random a = em__random_begin(1, 0), b = em__random_begin(1, 1), c = em__random_begin(2, 0);
    em__random again = em__random_begin(1, 0);
    (void)state;
    for (int i = 0; i < 100; i++) {
        double x = em__random_next(&a);
        assert_true(x >= 0 && x < 1);
        assert_true(x == em__random_next(&again));
        assert_true(x != em__random_next(&b) && x != em__random_next(&c));
    }
}

/* Ties, infinities and what is no number among logits of every length about a vector's, and over a block's. */
static void test_greedy_is_the_definition(void **state)
{
    (void)state;
    enum { MOST = 5000 };
    static const float values[] = {-INFINITY, NAN, -0.0f, 0, 1, 2, 3, INFINITY};
    float *logits = malloc(MOST * sizeof *logits);
    const em_generation_options o = at(0);
    em__random random = em__random_begin(5, 0);
    uint32_t seed = 3;
    assert_non_null(logits);
    for (size_t n = 1; n <= MOST; n += n < 70 ? 1 : 997) {
        for (unsigned kinds = 1; kinds <= 8; kinds++) {
            int32_t want = 0;
            float most = -INFINITY;
            for (size_t i = 0; i < n; i++) {
                seed = seed * 1664525u + 1013904223u;
                logits[i] = values[(seed >> 16) % kinds];
                if (logits[i] > most) {
                    most = logits[i];
                    want = (int32_t)i;
                }
            }
            em__sampler sampler = {.vocabulary = n};
            const em__choice choice = {logits, &o, NULL, 0, 0};
            assert_int_equal(em__sample(&sampler, &choice, &random), want);
        }
    }
    free(logits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_top_p),
        cmocka_unit_test(test_min_p),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_greedy_takes_the_first_of_equals),
        cmocka_unit_test(test_greedy_is_the_definition),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_seeds_differ),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
