/* What a generation promises: how answers end, whose they are, what is refused; on recorded checkpoints. */
#include <math.h>
#include <string.h>

#include "generate/support/recorded_answer.h"
#include "harness/expect.h"
#include "harness/golden.h"

static void test_limits(void **state)
{
    em_model *model = open_model("qwen3");
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 9, .ignore_eos = true});
    int32_t ids[64];
    (void)state;
    assert_int_equal(answer(g, prompt, PROMPT_LENGTH, ids), 9);
    assert_int_equal(em_generation_finish(g, 0), EM_FINISH_LENGTH);
    em_generation_free(g);
    g = begin(model, (em_generation_options){.context = PROMPT_LENGTH + 4, .ignore_eos = true});
    assert_int_equal(answer(g, prompt, PROMPT_LENGTH, ids), 5); /* the fifth does not fit and is not needed */
    assert_int_equal(em_generation_finish(g, 0), EM_FINISH_CONTEXT);
    em_generation_free(g);
    g = begin(model, (em_generation_options){.context = PROMPT_LENGTH - 1});
    EXPECT_ERROR(em_generate_ids(g, prompt, PROMPT_LENGTH), EM_ERROR_INVALID_ARGUMENT, "13 tokens, the context 12");
    em_generation_free(g);
    em_model_close(&model);
}

static void test_stop_ids(void **state)
{
    em_model *model = open_model("qwen3");
    int32_t free_run[20], ids[20];
    (void)state;
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 20, .ignore_eos = true});
    answer(g, prompt, PROMPT_LENGTH, free_run);
    const em_generation_options stop = {
        .struct_size = sizeof stop, .max_tokens = 20, .ignore_eos = true, .stop_ids = &free_run[6], .n_stop_ids = 1};
    EXPECT_OK(em_generation_set_options(g, &stop));
    size_t n = answer(g, prompt, PROMPT_LENGTH, ids);
    assert_true(n <= 7);
    assert_int_equal(ids[n - 1], free_run[6]);
    assert_int_equal(em_generation_finish(g, 0), EM_FINISH_STOP);
    em_generation_free(g);
    em_model_close(&model);
}

/* What was written can be read after the model was closed; its own ids are no prompt. */
static void test_ownership(void **state)
{
    em_model *model = open_model("qwen3");
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 5, .ignore_eos = true});
    size_t n;
    bool going;
    (void)state;
    EXPECT_OK(em_generate_ids(g, prompt, PROMPT_LENGTH));
    em_model_close(&model);
    assert_null(model);
    const int32_t *ids = em_generation_ids(g, 0, &n);
    assert_int_equal(n, 5);
    EXPECT_ERROR(em_generate_ids(g, ids, n), EM_ERROR_INVALID_ARGUMENT, "own memory");
    const em_prompt again = {prompt, PROMPT_LENGTH};
    EXPECT_OK(em_generation_start(g, &again, 1));
    EXPECT_OK(em_generation_step(g, &going));
    EXPECT_ERROR(em_generation_set_options(g, NULL), EM_ERROR_INVALID_ARGUMENT, "between answers");
    assert_string_equal(em_finish_name(EM_FINISH_LENGTH), "length");
    em_generation_free(g);
}

static void test_bad_options(void **state)
{
    em_model *model = open_model("mistral");
    const em_logit_bias bias = {1 << 20, 1};
    const char *const empty = "";
    const struct {
        em_generation_options options;
        const char *text;
    } bad[] = {
        {{.temperature = -1}, "temperature is -1"},
        {{.top_p = 1.5f}, "top_p is 1.5"},
        {{.top_p = 1.0000001f}, "top_p is 1.0000001, expected 0 to 1"},
        {{.temperature = 1000001}, "temperature is 1000001, expected 0 to 1000000"},
        {{.context = 1073741825}, "context is 1073741825, expected 1 to 1073741824"},
        {{.presence_penalty = -INFINITY}, "presence_penalty is -inf, expected -1000000 to 1000000"},
        {{.top_logprobs = 65}, "top_logprobs is 65"},
        {{.speculate = 4, .temperature = 1}, "speculate needs temperature 0"},
        {{.logit_bias = &bias, .n_logit_bias = 1}, "token 1048576"},
        {{.stop = &empty, .n_stop = 1}, "stop string 0 is empty"},
        {{.n_stop = 1}, "a list is NULL"},
        {{.cache_dtype = EM_S32}, "cache_dtype is s32"},
        {{.overflow = EM_OVERFLOW_ROTATE}, "see a window of 12"},
        {{.context = 8, .overflow = EM_OVERFLOW_ROTATE, .keep = 8}, "keep is 8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        em_generation_options options = bad[i].options;
        options.struct_size = sizeof options;
        assert_null(em_generation_new(model, &options));
        assert_non_null(strstr(em_last_error(), bad[i].text));
    }
    em_model_close(&model);
    assert_null(em_generation_new(NULL, NULL));
    model = em_model_open(golden_path("models/bert-plain"), NULL);
    assert_null(em_generation_new(model, NULL));
    assert_int_equal(em_last_status(), EM_ERROR_UNSUPPORTED);
    em_model_close(&model);
    model = open_model("qwen3");
    const char *texts[] = {"x"};
    assert_null(em_embed(model, texts, 1, NULL));
    assert_int_equal(em_last_status(), EM_ERROR_UNSUPPORTED);
    em_model_close(&model);
}

/* Why a generation could not be made is still known after calls on the NULL that came of it. */
static void test_first_error_stays(void **state)
{
    enum { CALLS = 10 };
    em_model *model = open_model("qwen3");
    const em_generation_options options = {.struct_size = sizeof options, .top_p = 2};
    const em_message message = {"user", "x"};
    const em_prompt ids = {prompt, PROMPT_LENGTH};
    em_generation_stats stats = {.struct_size = sizeof stats};
    bool going = true;
    (void)state;
    em_generation *g = em_generation_new(model, &options);
    assert_null(g);
    const em_status made[CALLS] = {em_generate(g, "x"),
                                   em_generate(g, NULL),
                                   em_generate_ids(g, prompt, PROMPT_LENGTH),
                                   em_generation_start(g, &ids, 1),
                                   em_generation_step(g, &going),
                                   em_generation_save(g, "x"),
                                   em_generation_load(g, "x"),
                                   em_generation_chat(g, &message, 1),
                                   em_generation_set_options(g, &options),
                                   em_generation_get_stats(g, &stats)};
    for (int i = 0; i < CALLS; i++)
        EXPECT_ERROR(made[i], EM_ERROR_INVALID_ARGUMENT, "top_p is 2");
    assert_false(going);
    em_model_close(&model);
}

static void test_nothing(void **state)
{
    em_model *model = open_model("qwen3");
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 3});
    bool going = true;
    (void)state;
    EXPECT_ERROR(em_generation_step(g, &going), EM_ERROR_INVALID_ARGUMENT, "nothing was started");
    assert_false(going);
    EXPECT_ERROR(em_generate_ids(g, NULL, 0), EM_ERROR_INVALID_ARGUMENT, "prompt 0 is empty");
    EXPECT_ERROR(em_generation_start(g, NULL, 0), EM_ERROR_INVALID_ARGUMENT, "no prompt");
    assert_int_equal(em_generate(g, "hello"), EM_ERROR_NOT_FOUND); /* no tokenizer.json */
    assert_null(em_generation_logits(g, 0));
    em_generation_free(g);
    em_generation_free(NULL);
    em_generation_cancel(NULL);
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_stop_ids),          cmocka_unit_test(test_ownership),
        cmocka_unit_test(test_bad_options), cmocka_unit_test(test_first_error_stays), cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
