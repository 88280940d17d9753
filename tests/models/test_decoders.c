/*
 * Every recorded decoder in every lane: logits at every position within 1e-4 of Transformers in f32; native the same
 * bits as eager; each spelling of config.json the same bits; the same bits on any number of threads. A long prompt,
 * whose activations the fuse lane may round to bf16, keeps its logits within 2e-2 of their rms and its clear answers.
 */
#include <math.h>
#include <string.h>

#include "core/alloc.h"
#include "device/memory.h"
#include "harness/decoders.h"
#include "harness/expect.h"
#include "harness/sample.h"
#include "models/decoder/decoder.h"

#define TOLERANCE 1e-4
#define ROUNDED_TOLERANCE 2e-2 /* of the rms of the logits, for the rms of what they differ by */

static const em_model_lane lanes[] = {EM_LANE_EAGER, EM_LANE_NATIVE, EM_LANE_FUSE};

enum { N_LANES = sizeof lanes / sizeof *lanes };

/* A decoder with an f32 cache of one sequence. */
typedef struct bench {
    em_safetensors *file;
    em__decoder *decoder;
    void **caches; /* keys and values of each layer */
    int64_t capacity;
    size_t bytes; /* of one of them */
} bench;

static void bench_open(bench *b, const char *dir, em_model_lane lane, int64_t capacity)
{
    memset(b, 0, sizeof *b);
    EXPECT_OK(em_safetensors_open(dir, NULL, &b->file));
    b->decoder = em__decoder_open(dir, b->file, em_device_default(), lane, false);
    if (!b->decoder)
        fail_msg("%s: %s", dir, em_last_error());
    const em__decoder_config *c = &b->decoder->config;
    b->capacity = capacity;
    b->bytes = (size_t)(c->kv_heads * capacity * c->head_dim) * sizeof(float);
    b->caches = em__calloc(2 * (size_t)c->layers, sizeof *b->caches);
    em_device *memory = em__memory_of(b->decoder->device);
    void *nan = em__alloc(b->bytes); /* rows that were not written must not count */
    memset(nan, 0xff, b->bytes);
    for (int64_t i = 0; i < 2 * c->layers; i++) {
        b->caches[i] = em__memory_alloc(memory, b->bytes);
        EXPECT_OK(em__memory_upload(memory, b->caches[i], nan, b->bytes));
    }
    em__free(nan);
}

static void bench_close(bench *b)
{
    for (int64_t i = 0; i < 2 * b->decoder->config.layers; i++)
        em__memory_free(em__memory_of(b->decoder->device), b->caches[i], b->bytes);
    em__free(b->caches);
    em__decoder_close(b->decoder);
    em_safetensors_close(&b->file);
}

/* Logits of n tokens that follow `before` others: [n, vocabulary]. */
static void forward(bench *b, const int32_t *ids, size_t n, size_t before, float *logits)
{
    const em__decoder_task task = {1, (int64_t)n, b->capacity, EM_F32, true};
    const int32_t at = (int32_t)before, length = (int32_t)(before + n);
    const em__decoder_feed feed = {
        .ids = ids, .positions = &at, .slots = &at, .lengths = &length, .caches = b->caches, .length = length};
    EXPECT_OK(em__decoder_run(b->decoder, &task, &feed, logits));
}

/* All prompts, in pieces of `chunk` tokens (0: whole): [tokens, vocabulary]. */
static float *all_logits(const decoder_case *c, em_model_lane lane, size_t chunk)
{
    bench b;
    float *logits = em__calloc(c->tokens * c->vocabulary, sizeof *logits);
    const int32_t *ids;
    bench_open(&b, c->dir, lane, 32);
    for (size_t p = 0; p < c->prompts; p++) {
        size_t n = decoder_prompt(c, p, &ids);
        for (size_t from = 0, step; from < n; from += step) {
            step = chunk && chunk < n - from ? chunk : n - from;
            forward(&b, ids + from, step, from, logits + ((size_t)c->offsets[p] + from) * c->vocabulary);
        }
    }
    bench_close(&b);
    return logits;
}

static void expect_logits(const decoder_case *c, const float *got, const float *want, size_t rows)
{
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < rows * c->vocabulary; i++) {
        double off = fabs((double)got[i] - (double)want[i]);
        if (!(off <= worst)) {
            worst = off;
            at = i / c->vocabulary;
        }
    }
    if (!(worst <= TOLERANCE))
        fail_msg("%s: logits differ by %g, worst at position %zu", c->name, worst, at);
}

static void for_all(void (*check)(decoder_case *c))
{
    decoder_case c;
    for (size_t i = 0; i < decoder_count(); i++) {
        if (!sample_takes())
            continue;
        decoder_open(&c, i, "decoders");
        check(&c);
        decoder_close(&c);
    }
}

static void check_lanes(decoder_case *c)
{
    float *results[N_LANES];
    for (int i = 0; i < N_LANES; i++) {
        results[i] = all_logits(c, lanes[i], 0);
        expect_logits(c, results[i], c->logits, c->tokens);
    }
    EXPECT_SAME_BITS(EM_F32, results[1], results[0], c->tokens * c->vocabulary);
    for (int i = 0; i < N_LANES; i++)
        em__free(results[i]);
}

static void count(const char *line, void *user)
{
    (void)line;
    ++*(int *)user;
}

/* Calls of the program that reads the first prompt. */
static int calls_of(const decoder_case *c, em_model_lane lane)
{
    bench b;
    int calls = 0;
    const int32_t *ids;
    size_t n = decoder_prompt(c, 0, &ids);
    float *logits = em__calloc(n * c->vocabulary, sizeof *logits);
    bench_open(&b, c->dir, lane, 32);
    forward(&b, ids, n, 0, logits);
    assert_true(em__decoder_describe(b.decoder, count, &calls));
    bench_close(&b);
    em__free(logits);
    return calls;
}

/* What the fuse lane has right says nothing where it merged nothing. */
static void check_merged(decoder_case *c)
{
    const int native = calls_of(c, EM_LANE_NATIVE), fused = calls_of(c, EM_LANE_FUSE);
    print_message("  %-24s %3d calls, %3d when merged\n", c->name, native, fused);
    assert_true(fused > 0 && fused < native);
}

static void test_merged(void **state)
{
    (void)state;
    for_all(check_merged);
}

static void test_lanes(void **state)
{
    (void)state;
    for_all(check_lanes);
}

static void check_chunks(decoder_case *c)
{
    static const size_t chunks[] = {1, 3, 7};
    for (size_t i = 0; c->chunks && i < sizeof chunks / sizeof *chunks; i++) {
        float *got = all_logits(c, EM_LANE_FUSE, chunks[i]);
        expect_logits(c, got, c->logits, c->tokens);
        em__free(got);
    }
}

static void test_chunks(void **state)
{
    (void)state;
    for_all(check_chunks);
}

static void check_spellings(decoder_case *c)
{
    float *own = all_logits(c, EM_LANE_FUSE, 0);
    for (size_t i = 0; i < c->spellings; i++) {
        decoder_spell(c, i);
        float *spelled = all_logits(c, EM_LANE_FUSE, 0);
        EXPECT_SAME_BITS(EM_F32, spelled, own, c->tokens * c->vocabulary);
        em__free(spelled);
    }
    em__free(own);
}

static void test_spellings(void **state)
{
    (void)state;
    for_all(check_spellings);
}

static void check_threads(decoder_case *c)
{
    static const int threads[] = {1, 2, 3, 5};
    em_device *device = em_device_default();
    float *first = NULL;
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        EXPECT_OK(em_device_set_threads(device, threads[t]));
        float *got = all_logits(c, EM_LANE_FUSE, 0);
        if (!first)
            first = got;
        EXPECT_SAME_BITS(EM_F32, got, first, c->tokens * c->vocabulary);
        if (got != first)
            em__free(got);
    }
    em__free(first);
    EXPECT_OK(em_device_set_threads(device, 0));
}

static void test_threads(void **state)
{
    (void)state;
    for_all(check_threads);
}

/* The last prompt, then its recorded answer id by id: the logits that chose each. */
static void check_steps(decoder_case *c)
{
    bench b;
    const int32_t *ids, *answer = c->greedy + (c->prompts - 1) * DECODER_STEPS;
    size_t n = decoder_prompt(c, c->prompts - 1, &ids);
    if (!c->steps)
        return;
    float *logits = em__calloc((n + DECODER_STEPS) * c->vocabulary, sizeof *logits);
    for (int i = 0; i < N_LANES; i++) {
        bench_open(&b, c->dir, lanes[i], (int64_t)n + DECODER_STEPS);
        forward(&b, ids, n, 0, logits);
        for (size_t k = 0; k + 1 < DECODER_STEPS; k++)
            forward(&b, &answer[k], 1, n + k, logits + (n + k) * c->vocabulary);
        expect_logits(c, logits + (n - 1) * c->vocabulary, c->steps, DECODER_STEPS);
        bench_close(&b);
    }
    em__free(logits);
}

static void test_steps(void **state)
{
    (void)state;
    for_all(check_steps);
}

enum { LONG_PROMPT = 100 };

static float *long_logits(const decoder_case *c, em_model_lane lane, bool exact)
{
    bench b;
    int32_t ids[LONG_PROMPT];
    float *logits = em__calloc(LONG_PROMPT * c->vocabulary, sizeof *logits);
    for (size_t i = 0; i < LONG_PROMPT; i++)
        ids[i] = c->ids[i % c->tokens];
    bench_open(&b, c->dir, lane, LONG_PROMPT);
    b.decoder->exact = exact;
    forward(&b, ids, LONG_PROMPT, 0, logits);
    bench_close(&b);
    return logits;
}

/* The most likely id, and how far the next one is behind it. */
static size_t most_likely(const float *logits, size_t n, float *lead)
{
    size_t best = 0;
    *lead = INFINITY;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    for (size_t i = 0; i < n; i++)
        if (i != best && logits[best] - logits[i] < *lead)
            *lead = logits[best] - logits[i];
    return best;
}

static void check_rounded(decoder_case *c)
{
    float lead, ignored, *eager = long_logits(c, EM_LANE_EAGER, false);
    float *exact = long_logits(c, EM_LANE_FUSE, true), *rounded = long_logits(c, EM_LANE_FUSE, false);
    double sum = 0, off = 0, size;
    size_t clear = 0;
    for (size_t i = 0; i < LONG_PROMPT * c->vocabulary; i++) {
        if (!(fabsf(exact[i] - eager[i]) <= TOLERANCE))
            fail_msg("%s: exact logits differ by %g", c->name, fabsf(exact[i] - eager[i]));
        sum += (double)eager[i] * eager[i];
        off += ((double)rounded[i] - eager[i]) * ((double)rounded[i] - eager[i]);
    }
    size = sqrt(sum / (double)(LONG_PROMPT * c->vocabulary));
    if (!(sqrt(off / sum) <= ROUNDED_TOLERANCE))
        fail_msg("%s: rounded logits differ by %g of their rms", c->name, sqrt(off / sum));
    for (size_t t = 0; t < LONG_PROMPT; t++) {
        const size_t id = most_likely(eager + t * c->vocabulary, c->vocabulary, &lead);
        if (lead <= 5 * ROUNDED_TOLERANCE * size)
            continue;
        assert_int_equal(most_likely(rounded + t * c->vocabulary, c->vocabulary, &ignored), id);
        clear++;
    }
    assert_true(clear > LONG_PROMPT / 2);
    em__free(eager);
    em__free(exact);
    em__free(rounded);
}

static void test_rounded(void **state)
{
    (void)state;
    for_all(check_rounded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lanes),   cmocka_unit_test(test_merged),
                                       cmocka_unit_test(test_chunks),  cmocka_unit_test(test_spellings),
                                       cmocka_unit_test(test_threads), cmocka_unit_test(test_steps),
                                       cmocka_unit_test(test_rounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
