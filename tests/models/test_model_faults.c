/* Every allocation fails once while a small model is opened, run in each lane, and freed: an error, and no leak. */
#include <emily/model.h>

#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/golden.h"

typedef struct run {
    const char *dir;
    em_model_lane lane;
} run;

static em_status open_and_embed(void *context)
{
    const run *r = context;
    const em_model_options options = {.struct_size = sizeof options, .lane = r->lane};
    const em_embed_options how = {.struct_size = sizeof how, .prompt = "the ", .batch_tokens = 8};
    static const char *const texts[] = {"A man is eating food.", "the woman", ""};
    em_model *model = em_model_open(r->dir, &options);
    em_array *v = em_embed(model, texts, 3, &how);
    em_status status = v && em_array_data(v) ? EM_OK : em_last_status();
    em_array_release(&v);
    em_model_close(&model);
    return status;
}

static void sweep(const char *name, em_model_lane lane)
{
    run r = {golden_path(name), lane};
    assert_true(faults_sweep(open_and_embed, &r) > 100);
}

static void test_fuse(void **state)
{
    (void)state;
    sweep("models/bert-plain", EM_LANE_FUSE);
}

static void test_native(void **state)
{
    (void)state;
    sweep("models/bert-weighted-dense-lower", EM_LANE_NATIVE);
}

static void test_eager(void **state)
{
    (void)state;
    sweep("models/bert-plain", EM_LANE_EAGER);
}

static void test_mpnet(void **state)
{
    (void)state;
    sweep("models/mpnet-cls-prefix", EM_LANE_FUSE);
}

/* Its tokenizer has a character map, and a cache of words that does without memory. */
static void test_xlm_roberta(void **state)
{
    (void)state;
    run r = {golden_path("models/xlm-roberta-cls"), EM_LANE_FUSE};
    assert_true(faults_sweep_benign(open_and_embed, &r) > 100);
}

static void test_stages(void **state)
{
    (void)state;
    sweep("models/bert-concat-pooling", EM_LANE_FUSE);
}

/* Their tokenizers have such a cache, too. */
static void test_decoders(void **state)
{
    run fuse = {golden_path("models/qwen2-both-ways-bf16"), EM_LANE_FUSE};
    run eager = {golden_path("models/mistral-mean-dense-window"), EM_LANE_EAGER};
    (void)state;
    assert_true(faults_sweep_benign(open_and_embed, &fuse) > 100);
    assert_true(faults_sweep_benign(open_and_embed, &eager) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fuse),    cmocka_unit_test(test_native),
                                       cmocka_unit_test(test_eager),   cmocka_unit_test(test_stages),
                                       cmocka_unit_test(test_mpnet),   cmocka_unit_test(test_xlm_roberta),
                                       cmocka_unit_test(test_decoders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
