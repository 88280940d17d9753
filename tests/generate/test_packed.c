/* A real decoder with packed weights, bf16 or 4 bits, answers bit for bit as one that reads them where they lie. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <emily/generation.h>
#include <emily/quantize.h>

#include "device/cpu/cpu.h"
#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"

#define PRIMER EM_TEST_DIR "/../models/primer"

/* A prompt of more than 64 tokens is rounded where it meets weights, one of fewer is not. */
enum { SHORT = 11, PROMPT = 70, STEPS = 12, VOCABULARY = 1024 };

static void record(const char *path, em_model_lane lane, size_t length, bool raw, float *logits)
{
    static const int32_t ids[PROMPT] = {1, 300, 17, 42, 5, 900, 77, 8, 8, 61, 40, 3, 2, 1000};
    const em_model_options how = {.struct_size = sizeof how, .lane = lane, .raw_weights = raw};
    const em_generation_options options = {.struct_size = sizeof options, .ignore_eos = true, .logits = true};
    em_model *model = em_model_open(path, &how);
    em_generation *g = em_generation_new(model, &options);
    const em_prompt prompt = {ids, length};
    bool going = true;
    EXPECT_OK(em_generation_start(g, &prompt, 1));
    for (int i = 0; i < STEPS; i++) {
        EXPECT_OK(em_generation_step(g, &going));
        memcpy(logits + i * VOCABULARY, em_generation_logits(g, 0), VOCABULARY * sizeof *logits);
    }
    em_generation_free(g);
    em_model_close(&model);
}

static void check(const char *path)
{
    static float raw[STEPS * VOCABULARY], packed[STEPS * VOCABULARY];
    const em_model_lane lanes[] = {EM_LANE_NATIVE, EM_LANE_FUSE};
    for (int i = 0; i < 4; i++) {
        record(path, lanes[i % 2], i < 2 ? SHORT : PROMPT, true, raw);
        record(path, lanes[i % 2], i < 2 ? SHORT : PROMPT, false, packed);
        EXPECT_SAME_BITS(EM_F32, packed, raw, STEPS * VOCABULARY);
    }
}

static void test_bf16(void **state)
{
    (void)state;
    check(PRIMER);
}

static void test_four_bits(void **state)
{
    char path[512];
    (void)state;
    snprintf(path, sizeof path, "%s", golden_scratch("packed_4_bits"));
    checkpoint_remove(path);
    EXPECT_OK(em_checkpoint_quantize(PRIMER, path, NULL, NULL));
    check(path);
    checkpoint_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bf16), cmocka_unit_test(test_four_bits)};
    em__cpu_set_least_packed(1); /* its weights are small */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
