/* What a generation remembers: the cache of a conversation, of batches, rotating, in several dtypes, in a file. */
#include <stdio.h>
#include <string.h>

#include "generate/support/recorded_answer.h"
#include "harness/expect.h"
#include "harness/golden.h"

/* A conversation that grows reads only what is new, and answers as a fresh process does. */
static void test_reuse(void **state)
{
    em_model *model = open_model("llama3");
    const em_generation_options options = {.max_tokens = 10, .ignore_eos = true};
    em_generation *g = begin(model, options);
    int32_t text[128], again[10];
    em_generation_stats stats = {.struct_size = sizeof stats};
    size_t n = PROMPT_LENGTH;
    (void)state;
    memcpy(text, prompt, sizeof prompt);
    for (int turn = 0; turn < 5; turn++) {
        answer(g, text, n, text + n);
        em_generation *fresh = begin(model, options);
        answer(fresh, text, n, again);
        em_generation_free(fresh);
        assert_memory_equal(text + n, again, sizeof again);
        EXPECT_OK(em_generation_get_stats(g, &stats));
        assert_int_equal(stats.reused_tokens, turn ? n - 3 - 1 : 0);
        n += 10;
        for (int i = 0; i < 3; i++)
            text[n++] = 20 + turn * 3 + i;
    }
    em_generation_free(g);
    em_model_close(&model);
}

static void test_batches(void **state)
{
    em_model *model = open_model("qwen2");
    const size_t lengths[] = {PROMPT_LENGTH, 1, 6, 3};
    em_prompt prompts[4];
    bool going = true;
    (void)state;
    for (int i = 0; i < 4; i++)
        prompts[i] = (em_prompt){prompt + i, lengths[i] - (i == 0 ? 0 : 0)};
    prompts[0].length = PROMPT_LENGTH;
    int32_t alone[30];
    em_generation *one = begin(model, (em_generation_options){.max_tokens = 1, .ignore_eos = true});
    answer(one, prompts[1].ids, prompts[1].length, alone);
    const int32_t stop = alone[0]; /* the second sequence ends at once, others later or never */
    const em_generation_options options = {
        .struct_size = sizeof options, .max_tokens = 30, .ignore_eos = true, .stop_ids = &stop, .n_stop_ids = 1};
    EXPECT_OK(em_generation_set_options(one, &options));
    em_generation *g = begin(model, options);
    EXPECT_OK(em_generation_start(g, prompts, 4));
    while (going)
        EXPECT_OK(em_generation_step(g, &going));
    for (size_t i = 0; i < 4; i++) {
        size_t length, n = answer(one, prompts[i].ids, prompts[i].length, alone);
        const int32_t *ids = em_generation_ids(g, i, &length);
        assert_int_equal(length, n);
        assert_memory_equal(ids, alone, n * sizeof *ids);
        assert_int_equal(em_generation_finish(g, i), em_generation_finish(one, 0));
    }
    em_generation_free(one);
    em_generation_free(g);
    em_model_close(&model);
}

/* As long as the context is not full a rotating cache changes nothing; afterwards it goes on, as often as it is run. */
static void test_rotation(void **state)
{
    em_model *model = open_model("tinyllama");
    int32_t plain[20], ids[60], again[60];
    (void)state;
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 20, .ignore_eos = true});
    answer(g, prompt, PROMPT_LENGTH, plain);
    em_generation_free(g);
    const em_generation_options options = {
        .max_tokens = 60, .ignore_eos = true, .context = 32, .overflow = EM_OVERFLOW_ROTATE, .keep = 4};
    g = begin(model, options);
    assert_int_equal(answer(g, prompt, PROMPT_LENGTH, ids), 60);
    assert_memory_equal(ids, plain, (32 - PROMPT_LENGTH + 1) * sizeof *ids);
    assert_int_equal(answer(g, prompt, PROMPT_LENGTH, again), 60);
    assert_memory_equal(ids, again, sizeof ids);
    em_generation_free(g);
    em_model_close(&model);
}

/* A prompt beyond a rotating context is its first `keep` and its newest tokens, also where some was read before. */
static void test_long_prompts(void **state)
{
    em_model *model = open_model("tinyllama");
    const em_generation_options options = {
        .max_tokens = 20, .ignore_eos = true, .context = 32, .overflow = EM_OVERFLOW_ROTATE, .keep = 4};
    int32_t text[100], cut[32], wanted[20], ids[20];
    em_generation_stats stats = {.struct_size = sizeof stats};
    (void)state;
    for (int i = 0; i < 100; i++)
        text[i] = prompt[i % PROMPT_LENGTH] + i / PROMPT_LENGTH;
    memcpy(cut, text, 4 * sizeof *cut);
    memcpy(cut + 4, text + 100 - 28, 28 * sizeof *cut);
    em_generation *g = begin(model, options);
    assert_int_equal(answer(g, cut, 32, wanted), 20);
    for (size_t before = 0; before < 30; before += 3) {
        em_generation_reset(g);
        const em_prompt early = {text, before};
        if (before > 0)
            EXPECT_OK(em_generation_start(g, &early, 1));
        assert_int_equal(answer(g, text, 100, ids), 20);
        assert_memory_equal(ids, wanted, sizeof ids);
        EXPECT_OK(em_generation_get_stats(g, &stats));
        assert_int_equal(stats.prompt_tokens, 32);
        em_generation_stats unset = {0};
        EXPECT_ERROR(em_generation_get_stats(g, &unset), EM_ERROR_INVALID_ARGUMENT, "sizeof(em_generation_stats)");
    }
    em_generation_free(g);
    em_model_close(&model);
}

/* A session goes on in another generation where it was left, without reading anything again. */
static void hold_session(em_dtype cache)
{
    em_model *model = open_model("qwen3-bf16"), *other = open_model("llama3");
    const em_generation_options options = {.max_tokens = 10, .ignore_eos = true, .cache_dtype = cache};
    char path[512];
    int32_t text[PROMPT_LENGTH + 21], there[10], here[10];
    em_generation_stats stats = {.struct_size = sizeof stats};
    snprintf(path, sizeof path, "%s", golden_scratch("session.safetensors"));
    memcpy(text, prompt, sizeof prompt);
    em_generation *g = begin(model, options), *h = begin(model, options), *wrong = begin(other, options);
    EXPECT_ERROR(em_generation_save(g, path), EM_ERROR_INVALID_ARGUMENT, "nothing to save");
    answer(g, text, PROMPT_LENGTH, text + PROMPT_LENGTH);
    EXPECT_OK(em_generation_save(g, path));
    text[PROMPT_LENGTH + 10] = 77;
    answer(g, text, PROMPT_LENGTH + 11, there);
    EXPECT_OK(em_generation_load(h, path));
    answer(h, text, PROMPT_LENGTH + 11, here);
    assert_memory_equal(there, here, sizeof here);
    EXPECT_OK(em_generation_get_stats(h, &stats));
    assert_int_equal(stats.reused_tokens, PROMPT_LENGTH + 9);
    EXPECT_ERROR(em_generation_load(wrong, path), EM_ERROR_FORMAT, "the session is of qwen3");
    EXPECT_ERROR(em_generation_load(h, golden_path("decoders/qwen3/model.safetensors")), EM_ERROR_FORMAT,
                 "not a session");
    EXPECT_ERROR(em_generation_load(h, "/nonexistent"), EM_ERROR_NOT_FOUND, "");
    em_generation_free(g);
    em_generation_free(h);
    em_generation_free(wrong);
    em_model_close(&model);
    em_model_close(&other);
}

static void test_sessions(void **state)
{
    (void)state;
    hold_session(EM_PRED);
    hold_session(EM_S8);
}

/* The kinds of cache: all are read by chunks, by single tokens and in batches; exact ones agree with f32. */
static void test_cache_dtypes(void **state)
{
    em_model *model = open_model("qwen3");
    const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16, EM_S8};
    int32_t once[12], again[12];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        em_generation_options options = {.max_tokens = 12, .ignore_eos = true, .cache_dtype = dtypes[i]};
        em_generation *g = begin(model, options);
        answer(g, prompt, PROMPT_LENGTH, once);
        em_generation_free(g);
        options.sequences = 2;
        options.prefill_chunk = 1;
        g = begin(model, options);
        answer(g, prompt, PROMPT_LENGTH, again);
        assert_memory_equal(once, again, 4 * sizeof *once);
        em_generation_free(g);
    }
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reuse),        cmocka_unit_test(test_batches),  cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_long_prompts), cmocka_unit_test(test_sessions), cmocka_unit_test(test_cache_dtypes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
