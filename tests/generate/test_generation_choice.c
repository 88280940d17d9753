/* How tokens are chosen: draws by seeds, guesses that change nothing, the logits that are shown. */
#include <string.h>

#include "generate/support/recorded_answer.h"
#include "harness/expect.h"

/* Each answer has draws of its own, whatever else is asked for; equal seeds give equal answers. */
static void test_seeds(void **state)
{
    em_model *model = open_model("smollm3");
    em_generation_options options = {.max_tokens = 12, .temperature = 1, .seed = 5, .ignore_eos = true, .sequences = 3};
    int32_t first[12];
    size_t n;
    (void)state;
    em_generation *three = begin(model, options);
    EXPECT_OK(em_generate_ids(three, prompt, PROMPT_LENGTH));
    options.sequences = 1;
    em_generation *one = begin(model, options);
    answer(one, prompt, PROMPT_LENGTH, first);
    assert_memory_equal(first, em_generation_ids(three, 0, &n), sizeof first);
    assert_memory_not_equal(first, em_generation_ids(three, 1, &n), sizeof first);
    assert_memory_not_equal(em_generation_ids(three, 2, &n), em_generation_ids(three, 1, &n), sizeof first);
    assert_null(em_generation_ids(three, 3, &n));
    em_generation_free(one);
    em_generation_free(three);
    em_model_close(&model);
}

static void test_speculation(void **state)
{
    em_model *model = open_model("qwen3");
    int32_t plain[200], guessed[200];
    em_generation_stats stats = {.struct_size = sizeof stats};
    (void)state;
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 200, .ignore_eos = true});
    answer(g, prompt, PROMPT_LENGTH, plain);
    em_generation_free(g);
    for (size_t most = 1; most <= 16; most *= 4) {
        g = begin(model, (em_generation_options){.max_tokens = 200, .ignore_eos = true, .speculate = most});
        assert_int_equal(answer(g, prompt, PROMPT_LENGTH, guessed), 200);
        assert_memory_equal(plain, guessed, sizeof plain);
        EXPECT_OK(em_generation_get_stats(g, &stats));
        assert_true(stats.guessed > 0 && stats.accepted <= stats.guessed);
        em_generation_free(g);
    }
    em_model_close(&model);
}

/* The logits are those that the newest token was chosen from, also when it was a guess. */
static void test_logits(void **state)
{
    em_model *model = open_model("qwen3");
    (void)state;
    for (size_t speculate = 0; speculate <= 4; speculate += 4) {
        const em_generation_options options = {
            .max_tokens = 40, .ignore_eos = true, .speculate = speculate, .logits = true};
        const em_prompt start = {prompt, PROMPT_LENGTH};
        em_generation *g = begin(model, options);
        bool going = true;
        EXPECT_OK(em_generation_start(g, &start, 1));
        assert_null(em_generation_logits(g, 0));
        while (going) {
            size_t n;
            EXPECT_OK(em_generation_step(g, &going));
            const int32_t *ids = em_generation_ids(g, 0, &n);
            const float *logits = em_generation_logits(g, 0);
            for (int i = 0; i < 256; i++)
                assert_true(logits[i] <= logits[ids[n - 1]]);
        }
        em_generation_free(g);
    }
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_speculation),
        cmocka_unit_test(test_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
