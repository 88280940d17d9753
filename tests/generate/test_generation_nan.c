/* Logits that become NaN within an answer end it, and name the weight that is none: also where a device chooses. */
#include <string.h>

#include <emily/generation.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"

#define EMBEDDING "model.embed_tokens.weight"

static const int32_t prompt_ids[] = {1, 2, 3};
static const em_generation_options greedy = {.struct_size = sizeof greedy, .max_tokens = 8, .ignore_eos = true};

/* The first token of the answer, and the status of the rest. */
static em_status answer(const char *dir, int32_t *first)
{
    const em_prompt prompt = {prompt_ids, 3};
    em_model *model = em_model_open(dir, NULL);
    em_generation *g = em_generation_new(model, &greedy);
    bool going = true;
    size_t length = 0;
    if (!g)
        fail_msg("%s", em_last_error());
    EXPECT_OK(em_generation_start(g, &prompt, 1));
    EXPECT_OK(em_generation_step(g, &going));
    *first = em_generation_ids(g, 0, &length)[0];
    em_status status = EM_OK;
    while (going && status == EM_OK)
        status = em_generation_step(g, &going);
    em_generation_free(g);
    em_model_close(&model);
    return status;
}

static void test_a_row_of_the_embedding(void **state)
{
    (void)state;
    enum { WIDTH = 64 };
    int32_t first, again;
    const char *dir = checkpoint_copy("decoders/qwen3-untied", "generation_nan");
    EXPECT_OK(answer(dir, &first));
    assert_true(first > 3); /* not in the prompt */
    checkpoint_spoil(dir, EMBEDDING, (size_t)first * WIDTH * sizeof(float), sizeof(float));
    EXPECT_ERROR(answer(dir, &again), EM_ERROR_FORMAT, "tensor " EMBEDDING " holds NaN");
    assert_int_equal(again, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_row_of_the_embedding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
