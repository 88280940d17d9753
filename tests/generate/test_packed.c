/* A real decoder whose bf16 weights are packed answers bit for bit as one that reads them where they lie. */
#include <string.h>

#include <emily/generation.h>

#include "device/cpu/cpu.h"
#include "harness/expect.h"

#define PRIMER EM_TEST_DIR "/../models/primer"

enum { STEPS = 12, VOCABULARY = 1024 };

static void record(em_model_lane lane, bool raw, float *logits)
{
    static const int32_t ids[] = {1, 300, 17, 42, 5, 900, 77, 8, 8, 61, 40};
    const em_model_options how = {.struct_size = sizeof how, .lane = lane, .raw_weights = raw};
    const em_generation_options options = {.struct_size = sizeof options, .ignore_eos = true, .logits = true};
    em_model *model = em_model_open(PRIMER, &how);
    em_generation *g = em_generation_new(model, &options);
    const em_prompt prompt = {ids, sizeof ids / sizeof *ids};
    bool going = true;
    EXPECT_OK(em_generation_start(g, &prompt, 1));
    for (int i = 0; i < STEPS; i++) {
        EXPECT_OK(em_generation_step(g, &going));
        memcpy(logits + i * VOCABULARY, em_generation_logits(g, 0), VOCABULARY * sizeof *logits);
    }
    em_generation_free(g);
    em_model_close(&model);
}

static void test_same_bits(void **state)
{
    static float raw[STEPS * VOCABULARY], packed[STEPS * VOCABULARY];
    const em_model_lane lanes[] = {EM_LANE_NATIVE, EM_LANE_FUSE};
    (void)state;
    for (int i = 0; i < 2; i++) {
        record(lanes[i], true, raw);
        record(lanes[i], false, packed);
        EXPECT_SAME_BITS(EM_F32, packed, raw, STEPS * VOCABULARY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
    em__cpu_set_least_packed(1); /* its weights are small */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
