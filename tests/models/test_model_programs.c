/* How shapes become programs: rounding, the bound, and that lengths seen before compile nothing. */
#include <emily/memory.h>

#include "models/model.h"

#include "harness/expect.h"
#include "harness/golden.h"

static void test_rounding(void **state)
{
    (void)state;
    size_t distinct = 0, last = 0;
    for (size_t n = 1; n <= 4096; n++) {
        size_t rounded = em__round_tokens(n);
        assert_true(rounded >= n && rounded >= last);
        assert_true((rounded - n) * 16 <= n);
        distinct += rounded != last;
        last = rounded;
    }
    assert_true(distinct <= 32 + 7 * 16);
    assert_int_equal(em__round_tokens(0), 1);
    assert_int_equal(em__round_segments(1), 1);
    assert_int_equal(em__round_segments(5), 8);
    assert_int_equal(em__round_segments(64), 64);
}

static void run_length(em_model *model, size_t length)
{
    int32_t ids[128], offsets[2] = {0, (int32_t)length};
    for (size_t i = 0; i < length; i++)
        ids[i] = (int32_t)(i % 50);
    em_array *h = em_model_hidden(model, ids, NULL, offsets, 1);
    assert_non_null(h);
    em_array_release(&h);
}

static void test_bound(void **state)
{
    (void)state;
    em_model *model = em_model_open(golden_path("models/bert-mean-gelu"), NULL);
    assert_non_null(model);
    for (int round = 0; round < 3; round++)
        for (size_t length = 1; length <= 50; length++)
            run_length(model, length);
    assert_int_equal(model->programs.compiled, 50);
    assert_int_equal(model->programs.count, 50);
    for (size_t length = 128; length > 0; length--)
        run_length(model, length);
    assert_int_equal(model->programs.count, EM__MAX_PROGRAMS);
    assert_int_equal(model->programs.entries[0].task.tokens, 1);
    em_model_close(&model);
}

/* A thousand runs of lengths that come and go leave no more memory in use than a hundred did. */
static void test_flat(void **state)
{
    (void)state;
    em_memory_stats early = {.struct_size = sizeof early}, late = early;
    em_model *model = em_model_open(golden_path("models/bert-mean-gelu"), NULL);
    assert_non_null(model);
    for (size_t i = 0; i < 1000; i++) {
        run_length(model, 1 + i * 37 % 127);
        if (i == 254)
            em_memory_get_stats(&early);
    }
    em_memory_get_stats(&late);
    assert_true((double)late.active <= 1.05 * (double)early.active);
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounding), cmocka_unit_test(test_bound),
                                       cmocka_unit_test(test_flat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
