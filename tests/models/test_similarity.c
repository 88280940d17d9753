/* How vectors are compared: what sentence-transformers answers for each similarity_fn_name, and the name itself. */
#include <math.h>
#include <string.h>

#include <emily/model.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "io/json.h"

#define SETTINGS "config_sentence_transformers.json"
enum { MOST_TEXTS = 16 };

/* The checkpoint with that similarity_fn_name, JSON; NULL takes the member away. */
static em_model *open_with(const char *golden, const char *name)
{
    const char *dir = checkpoint_copy(golden, "similarity");
    checkpoint_set(dir, SETTINGS, "similarity_fn_name", name);
    return em_model_open(dir, NULL);
}

/* Scores of the query, text 0, with each text after it. */
static void check_scores(em_model *model, em_similarity how, const char *const *texts, size_t n, const json_t *scores)
{
    em_array *array = em_embed(model, texts, n, NULL);
    const float *x = em_array_data(array);
    const size_t width = em_array_size(array) / n;
    assert_non_null(x);
    assert_int_equal(json_array_size(scores), n - 1);
    for (size_t i = 1; i < n; i++) {
        const double want = json_real_value(json_array_get(scores, i - 1));
        const double got = em_similarity_f32(how, x, x + i * width, width);
        if (!(fabs(got - want) <= 1e-5 * fmax(1, fabs(want))))
            fail_msg("%s of text %zu is %.9g, sentence-transformers has %.9g", em_similarity_name(how), i, got, want);
    }
    em_array_release(&array);
}

static void test_recorded(void **state)
{
    (void)state;
    json_t *all = json_load_file(golden_path("models/similarity.json"), 0, NULL), *passages, *scores;
    assert_non_null(all);
    passages = json_object_get(all, "passages");
    const char *texts[MOST_TEXTS] = {json_string_value(json_object_get(all, "query"))}, *name;
    const size_t n = 1 + json_array_size(passages);
    for (size_t i = 1; i < n; i++)
        texts[i] = json_string_value(json_array_get(passages, i - 1));
    char golden[128], quoted[32];
    snprintf(golden, sizeof golden, "models/%s", json_string_value(json_object_get(all, "model")));
    json_object_foreach(json_object_get(all, "scores"), name, scores)
    {
        em_model_info info = {.struct_size = sizeof info};
        snprintf(quoted, sizeof quoted, "\"%s\"", name);
        em_model *model = open_with(golden, quoted);
        EXPECT_OK(em_model_get_info(model, &info));
        assert_string_equal(em_similarity_name(info.similarity), name);
        check_scores(model, info.similarity, texts, n, scores);
        em_model_close(&model);
    }
    json_decref(all);
}

static void test_unsaid(void **state)
{
    (void)state;
    const char *const names[] = {NULL, "null"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        em_model_info info = {.struct_size = sizeof info};
        em_model *model = open_with("models/bert-cls-relu-prefix", names[i]);
        EXPECT_OK(em_model_get_info(model, &info));
        assert_int_equal(info.similarity, EM_SIMILARITY_COSINE);
        em_model_close(&model);
    }
}

static void test_refused(void **state)
{
    (void)state;
    assert_null(open_with("models/bert-cls-relu-prefix", "\"MaxSim\""));
    EXPECT_ERROR(em_last_status(), EM_ERROR_UNSUPPORTED,
                 SETTINGS
                 ": similarity_fn_name \"MaxSim\" is not supported; supported: cosine, dot, euclidean, manhattan");
    assert_null(open_with("models/bert-cls-relu-prefix", "3"));
    EXPECT_ERROR(em_last_status(), EM_ERROR_FORMAT, "similarity_fn_name");
}

static void test_edges(void **state)
{
    (void)state;
    const float zeros[5] = {0}, a[5] = {3, 0, 0, 0, 4}, b[5] = {0, 0, 0, 0, -1};
    assert_true(em_similarity_f32(EM_SIMILARITY_COSINE, zeros, a, 5) == 0);
    assert_true(em_similarity_f32(EM_SIMILARITY_COSINE, a, b, 5) == -0.8);
    assert_true(em_similarity_f32(EM_SIMILARITY_DOT, a, b, 5) == -4);
    assert_true(em_similarity_f32(EM_SIMILARITY_EUCLIDEAN, a, zeros, 5) == -5);
    assert_true(em_similarity_f32(EM_SIMILARITY_MANHATTAN, a, b, 5) == -8);
    assert_false(signbit(em_similarity_f32(EM_SIMILARITY_EUCLIDEAN, a, a, 5)));
    assert_true(em_similarity_f32(EM_SIMILARITY_EUCLIDEAN, NULL, NULL, 0) == 0);
    assert_true(isnan(em_similarity_f32(EM_SIMILARITY_MANHATTAN, a, NULL, 5)));
    assert_true(isnan(em_similarity_f32((em_similarity)9, a, b, 5)));
    assert_string_equal(em_similarity_name((em_similarity)-1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_unsaid),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
