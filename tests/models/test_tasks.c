/* em_embed_options.task: prompts and lengths as encode, encode_query and encode_document of sentence-transformers have
 * them, recorded by tests/golden/models/tasks.py. */
#include <math.h>
#include <string.h>

#include <emily/model.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "io/json.h"

static const char *const names[] = {[EM_TASK_ANY] = "any", [EM_TASK_QUERY] = "query", [EM_TASK_DOCUMENT] = "document"};

enum { TASKS = sizeof names / sizeof *names };

static void change(const char *dir, const char *file, const json_t *changes)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)changes, key, value)
    {
        char *json = json_is_null(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
        checkpoint_set(dir, file, key, json);
        em__json_text_free(json);
    }
}

static void check_vector(size_t which, em_task task, const em_array *array, const json_t *want)
{
    const float *x = em_array_data((em_array *)array);
    if (!x)
        fail_msg("case %zu, %s: %s", which, names[task], em_last_error());
    assert_int_equal(json_array_size(want), 8);
    for (size_t i = 0; i < json_array_size(want); i++)
        if (!(fabs((double)x[i] - json_real_value(json_array_get(want, i))) <= 1e-5))
            fail_msg("case %zu, %s: element %zu is %.9g", which, names[task], i, (double)x[i]);
}

static void check_case(size_t which, const json_t *all, const json_t *c)
{
    char golden[128];
    snprintf(golden, sizeof golden, "models/%s", json_string_value(json_object_get(all, "model")));
    const char *dir = checkpoint_copy(golden, "tasks"), *text = json_string_value(json_object_get(all, "text"));
    const json_t *call = json_object_get(c, "call"), *vectors = json_object_get(c, "vectors");
    change(dir, "sentence_bert_config.json", json_object_get(c, "sentence_bert_config"));
    change(dir, "config_sentence_transformers.json", json_object_get(c, "config_sentence_transformers"));
    em_model *model = em_model_open(dir, NULL);
    for (int task = 0; task < TASKS; task++) {
        const em_embed_options how = {.task = (em_task)task,
                                      .prompt = json_string_value(json_object_get(call, "prompt")),
                                      .prompt_name = json_string_value(json_object_get(call, "prompt_name"))};
        em_array *array = em_embed(model, &text, 1, &how);
        check_vector(which, how.task, array, json_object_get(vectors, names[task]));
        em_array_release(&array);
    }
    em_model_close(&model);
}

static void test_recorded(void **state)
{
    (void)state;
    json_t *all = json_load_file(golden_path("models/tasks.json"), 0, NULL), *c;
    size_t i;
    assert_true(json_array_size(json_object_get(all, "cases")) > 0);
    json_array_foreach(json_object_get(all, "cases"), i, c) check_case(i, all, c);
    json_decref(all);
}

static em_model *open_with(const char *key, const char *value)
{
    const char *dir = checkpoint_copy("models/bert-cls-relu-prefix", "tasks");
    checkpoint_set(dir, "sentence_bert_config.json", key, value);
    return em_model_open(dir, NULL);
}

static void test_lengths(void **state)
{
    (void)state;
    em_model_info info = {.struct_size = sizeof info};
    em_model *model = open_with("query_length", "5");
    EXPECT_OK(em_model_get_info(model, &info));
    assert_true(info.max_tokens == 32 && info.query_tokens == 5 && info.document_tokens == 32);
    em_model_close(&model);
    model = open_with("document_length", "1000"); /* the model has positions for 40 */
    EXPECT_OK(em_model_get_info(model, &info));
    assert_true(info.query_tokens == 32 && info.document_tokens == 40);
    const char *text = "the dog";
    assert_null(em_embed(model, &text, 1, &(em_embed_options){.task = (em_task)3}));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "task 3 does not exist");
    em_model_close(&model);
}

static void test_refused(void **state)
{
    (void)state;
    assert_null(open_with("query_length", "0"));
    EXPECT_ERROR(em_last_status(), EM_ERROR_FORMAT, "query_length");
    assert_null(open_with("query_expansion", "{\"strategy\": \"fixed\", \"length\": 32}"));
    EXPECT_ERROR(em_last_status(), EM_ERROR_UNSUPPORTED, "query_expansion is not supported");
    em_model *model = open_with("query_length", "2");
    const char *text = "the dog";
    assert_non_null(model);
    assert_null(em_embed(model, &text, 1, &(em_embed_options){.task = EM_TASK_QUERY}));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "the tokenizer adds 2");
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
