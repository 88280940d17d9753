/*
 * The real all-MiniLM-L6-v2: the same bits in eager and native and with any number of threads; fuse within 1e-5. Where
 * the checkpoint is not (see test_minilm.c) it is skipped.
 */
#include <stdio.h>
#include <stdlib.h>

#include <emily/model.h>

#include "harness/expect.h"
#include "io/file.h"

enum { TEXTS = 6, WIDTH = 384, SKIPPED = 77 };

static const char *const texts[TEXTS] = {
    "A man is eating food.",
    "How do plants make energy from the light of the sun, and what do they do with it at night?",
    "",
    "Photosynthesis converts light energy into chemical energy in plants, algae and some bacteria; the energy is "
    "stored "
    "in sugars that are made of carbon dioxide and water, and oxygen is given off.",
    "42",
    "Der schnelle braune Fuchs springt über den faulen Hund."};

static const char *checkpoint(void)
{
    const char *named = getenv("EMILY_TEST_MODEL");
    return named && *named ? named : EM_TEST_BUILD_DIR "/../models/all-MiniLM-L6-v2";
}

static em_array *embed(em_model_lane lane)
{
    const em_model_options options = {.struct_size = sizeof options, .lane = lane};
    em_model *model = em_model_open(checkpoint(), &options);
    em_array *v = em_embed(model, texts, TEXTS, NULL);
    if (!v)
        fail_msg("%s", em_last_error());
    em_model_close(&model);
    return v;
}

static void test_lanes(void **state)
{
    (void)state;
    em_array *eager = embed(EM_LANE_EAGER), *native = embed(EM_LANE_NATIVE), *fuse = embed(EM_LANE_FUSE);
    EXPECT_SAME_BITS(EM_F32, em_array_data(native), em_array_data(eager), TEXTS * WIDTH);
    EXPECT_CLOSE_F32(em_array_data(fuse), em_array_data(eager), TEXTS * WIDTH, 1e-5, 0);
    em_array_release(&eager);
    em_array_release(&native);
    em_array_release(&fuse);
}

static void test_threads(void **state)
{
    static const int threads[] = {1, 2, 3, 5};
    em_array *first = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads[i]));
        em_array *v = embed(EM_LANE_FUSE);
        first = first ? first : em_array_retain(v);
        EXPECT_SAME_BITS(EM_F32, em_array_data(v), em_array_data(first), TEXTS * WIDTH);
        em_array_release(&v);
    }
    em_array_release(&first);
    EXPECT_OK(em_device_set_threads(em_device_default(), 0));
}

int main(void)
{
    if (!em__path_is_dir(checkpoint())) {
        printf("skipped: no checkpoint at %s\n", checkpoint());
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lanes), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
