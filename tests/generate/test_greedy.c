/*
 * Greedy answers of every recorded decoder are those of Transformers, id by id: with the prompt read at once or in
 * pieces, alone or beside prompts of other lengths, once or several times from one prompt, guessed ahead or not. In
 * exact arithmetic: of two ids that are nearly as likely rounding may take the other.
 */
#include <string.h>

#include <emily/generation.h>

#include "harness/decoders.h"
#include "harness/expect.h"
#include "harness/sample.h"

/* Some cases go beyond the positions that their config.json speaks of. */
static const em_generation_options plain = {
    .struct_size = sizeof plain, .max_tokens = DECODER_STEPS, .ignore_eos = true, .cache_dtype = EM_F32, .context = 96};

static em_model *open_model(const decoder_case *c)
{
    const em_model_options options = {.struct_size = sizeof options, .exact = true};
    em_model *model = em_model_open(c->dir, &options);
    if (!model)
        fail_msg("%s: %s", c->name, em_last_error());
    return model;
}

static em_generation *begin(em_model *model, const em_generation_options *options)
{
    em_generation *g = em_generation_new(model, options);
    if (!g)
        fail_msg("%s", em_last_error());
    return g;
}

static void expect_answer(const decoder_case *c, const em_generation *g, size_t sequence, size_t prompt)
{
    size_t length = 0;
    const int32_t *ids = em_generation_ids(g, sequence, &length);
    assert_int_equal(length, DECODER_STEPS);
    assert_int_equal(em_generation_finish(g, sequence), EM_FINISH_LENGTH);
    for (size_t i = 0; i < length; i++)
        if (ids[i] != c->greedy[prompt * DECODER_STEPS + i])
            fail_msg("%s, prompt %zu: id %zu is %d, recorded %d", c->name, prompt, i, (int)ids[i],
                     (int)c->greedy[prompt * DECODER_STEPS + i]);
}

/* Every prompt alone. A generation is made anew each time: nothing may come from what was read before. */
static void expect_alone(const decoder_case *c, em_model *model, const em_generation_options *options)
{
    const int32_t *ids;
    for (size_t p = 0; p < c->prompts; p++) {
        size_t n = decoder_prompt(c, p, &ids);
        em_generation *g = begin(model, options);
        EXPECT_OK(em_generate_ids(g, ids, n));
        expect_answer(c, g, 0, p);
        em_generation_free(g);
    }
}

static void for_all(void (*check)(const decoder_case *c, em_model *model))
{
    decoder_case c;
    for (size_t i = 0; i < decoder_count(); i++) {
        if (!sample_takes())
            continue;
        decoder_open(&c, i, "greedy");
        em_model *model = open_model(&c);
        check(&c, model);
        em_model_close(&model);
        decoder_close(&c);
    }
}

static void check_chunks(const decoder_case *c, em_model *model)
{
    static const size_t chunks[] = {0, 1, 3, 7};
    for (size_t i = 0; i < (c->chunks ? sizeof chunks / sizeof *chunks : 1); i++) {
        em_generation_options options = plain;
        options.prefill_chunk = chunks[i];
        expect_alone(c, model, &options);
    }
}

static void test_chunks(void **state)
{
    (void)state;
    for_all(check_chunks);
}

static void check_batch(const decoder_case *c, em_model *model)
{
    em_prompt prompts[8];
    bool going = true;
    em_generation_options options = plain;
    if (!c->chunks)
        return; /* frequencies follow the longest sequence */
    for (size_t p = 0; p < c->prompts; p++)
        prompts[p].length = decoder_prompt(c, p, &prompts[p].ids);
    for (options.sequences = 1; options.sequences <= 3; options.sequences += 2) {
        em_generation *g = begin(model, &options);
        EXPECT_OK(em_generation_start(g, prompts, c->prompts));
        while (going)
            EXPECT_OK(em_generation_step(g, &going));
        going = true;
        assert_int_equal(em_generation_sequences(g), c->prompts * options.sequences);
        for (size_t i = 0; i < em_generation_sequences(g); i++)
            expect_answer(c, g, i, i / options.sequences);
        em_generation_free(g);
    }
}

static void test_batch(void **state)
{
    (void)state;
    for_all(check_batch);
}

/* One generation after another prompt, and after the same: what is reused changes nothing. */
static void check_reuse(const decoder_case *c, em_model *model)
{
    const int32_t *ids;
    if (!c->chunks)
        return;
    em_generation *g = begin(model, &plain);
    for (size_t round = 0; round < 2; round++)
        for (size_t p = 0; p < c->prompts; p++) {
            size_t n = decoder_prompt(c, p, &ids);
            EXPECT_OK(em_generate_ids(g, ids, n));
            expect_answer(c, g, 0, p);
            EXPECT_OK(em_generate_ids(g, ids, n));
            expect_answer(c, g, 0, p);
        }
    em_generation_free(g);
}

static void test_reuse(void **state)
{
    (void)state;
    for_all(check_reuse);
}

static void check_speculation(const decoder_case *c, em_model *model)
{
    em_generation_options options = plain;
    options.speculate = 4;
    if (c->chunks)
        expect_alone(c, model, &options);
}

static void test_speculation(void **state)
{
    (void)state;
    for_all(check_speculation);
}

/* With the cache that the checkpoint's own numbers ask for: f32 where they are f32, also beside codes whose scales are
 * codes. Then the logits of each step are those recorded. */
static void check_own_cache(const decoder_case *c, em_model *model)
{
    em_generation_options options = plain;
    em_model_info info = {.struct_size = sizeof info};
    em_generation_stats stats = {.struct_size = sizeof stats};
    em_prompt prompt;
    bool going = true;
    prompt.length = decoder_prompt(c, c->prompts - 1, &prompt.ids);
    options.cache_dtype = EM_PRED;
    options.logits = true;
    EXPECT_OK(em_model_get_info(model, &info));
    em_generation *g = begin(model, &options);
    EXPECT_OK(em_generation_get_stats(g, &stats));
    assert_int_equal(em_dtype_get_kind(info.dtype), EM_KIND_FLOAT);
    assert_int_equal(stats.cache_dtype, info.dtype);
    if (c->steps && info.dtype == EM_F32) {
        EXPECT_OK(em_generation_start(g, &prompt, 1));
        for (size_t i = 0; going; i++) {
            EXPECT_OK(em_generation_step(g, &going));
            EXPECT_CLOSE_F32(em_generation_logits(g, 0), c->steps + i * c->vocabulary, c->vocabulary, 1e-4, 0);
        }
    }
    em_generation_free(g);
}

static void test_own_cache(void **state)
{
    (void)state;
    for_all(check_own_cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chunks), cmocka_unit_test(test_batch),
                                       cmocka_unit_test(test_reuse), cmocka_unit_test(test_speculation),
                                       cmocka_unit_test(test_own_cache)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
