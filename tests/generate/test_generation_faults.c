/* Every allocation fails once while a decoder is opened, answers, and is closed: an error, and no leak. */
#include <stdio.h>

#include <emily/generation.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/golden.h"

typedef struct run {
    const char *dir;
    em_model_lane lane;
    size_t speculate, sequences;
} run;

static em_status open_and_generate(void *context)
{
    static const int32_t ids[] = {1, 5, 9, 1, 5, 9, 1};
    static const char *const stops[] = {"stop"};
    static const em_logit_bias bias = {3, 1};
    const run *r = context;
    const em_model_options how = {.struct_size = sizeof how, .lane = r->lane};
    const em_generation_options options = {.struct_size = sizeof options,
                                           .max_tokens = 4,
                                           .ignore_eos = true,
                                           .logit_bias = &bias,
                                           .n_logit_bias = 1,
                                           .stop = stops,
                                           .n_stop = 1,
                                           .sequences = r->sequences,
                                           .speculate = r->speculate};
    em_model *model = em_model_open(r->dir, &how);
    em_generation *g = model ? em_generation_new(model, &options) : NULL;
    em_status status = g ? em_generate_ids(g, ids, 7) : em_last_status();
    bool going;
    if (g && status != EM_OK && em_generation_step(g, &going) == EM_OK) /* nothing is left to go on with */
        assert_false(going);
    em_generation_free(g);
    em_model_close(&model);
    return status;
}

static void test_fuse(void **state)
{
    run r = {golden_path("decoders/qwen3-shards"), EM_LANE_FUSE, 4, 1};
    (void)state;
    assert_true(faults_sweep(open_and_generate, &r) > 100);
}

static void test_native_batch(void **state)
{
    run r = {golden_path("decoders/llama-mixed-bits"), EM_LANE_NATIVE, 0, 2};
    (void)state;
    assert_true(faults_sweep(open_and_generate, &r) > 100);
}

static void test_eager(void **state)
{
    run r = {golden_path("decoders/tinyllama"), EM_LANE_EAGER, 0, 1};
    (void)state;
    assert_true(faults_sweep(open_and_generate, &r) > 100);
}

static em_status score(void *context)
{
    static const int32_t ids[] = {1, 5, 9, 1, 5, 9, 1};
    float logprobs[7];
    em_model *model = em_model_open(context, NULL);
    em_status status = model ? em_model_score(model, ids, 7, logprobs) : em_last_status();
    em_model_close(&model);
    return status;
}

static void test_score(void **state)
{
    char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s", golden_path("decoders/smollm3"));
    assert_true(faults_sweep(score, path) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fuse),
        cmocka_unit_test(test_native_batch),
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
