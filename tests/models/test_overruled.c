/* tokenizer_config.json against tokenizer.json: ids of Transformers, recorded by tests/golden/models/overruled.py. */
#include <string.h>

#include <emily/model.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "io/json.h"

/* Sets the members of `changes` in `file`; "-" removes one. */
static void change(const char *dir, const char *file, const json_t *changes)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)changes, key, value)
    {
        const char *text = json_string_value(value);
        char *json = json_dumps(value, JSON_ENCODE_ANY);
        checkpoint_set(dir, file, key, text && strcmp(text, "-") == 0 ? NULL : json);
        em__json_text_free(json);
    }
}

static void change_normalizer(const char *dir, const json_t *changes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    json_t *root = json_load_file(path, 0, NULL), *normalizer = json_object_get(root, "normalizer");
    assert_int_equal(json_object_update(normalizer, (json_t *)changes), 0);
    char *json = json_dumps(normalizer, 0);
    checkpoint_set(dir, "tokenizer.json", "normalizer", json);
    em__json_text_free(json);
    json_decref(root);
}

static const char *make(const json_t *c)
{
    char golden[128];
    snprintf(golden, sizeof golden, "models/%s", json_string_value(json_object_get(c, "model")));
    const char *dir = checkpoint_copy(golden, "overruled");
    const json_t *settings = json_object_get(c, "tokenizer_config");
    change_normalizer(dir, json_object_get(c, "normalizer"));
    change(dir, "config.json", json_object_get(c, "config"));
    if (json_is_null(settings))
        checkpoint_write(dir, "tokenizer_config.json", NULL);
    else
        change(dir, "tokenizer_config.json", settings);
    return dir;
}

static void check_ids(size_t which, const em_tokenizer *tokenizer, const char *text, const json_t *ids)
{
    em_encoding e = {0};
    EXPECT_OK(em_tokenizer_encode(tokenizer, text, strlen(text), NULL, &e));
    bool same = e.length == json_array_size(ids);
    for (size_t i = 0; i < e.length && same; i++)
        same = e.ids[i] == json_integer_value(json_array_get(ids, i));
    if (!same)
        fail_msg("case %zu: other ids than those of Transformers", which);
    em_encoding_free(&e);
}

/* The same through the model, and from its directory. */
static void test_recorded(void **state)
{
    (void)state;
    json_t *all = json_load_file(golden_path("models/overruled.json"), 0, NULL), *c;
    const char *text = json_string_value(json_object_get(all, "text"));
    size_t i;
    assert_non_null(text);
    json_array_foreach(json_object_get(all, "cases"), i, c)
    {
        em_tokenizer *alone;
        const char *dir = make(c);
        em_model *model = em_model_open(dir, NULL);
        assert_non_null(model);
        check_ids(i, em_model_tokenizer(model), text, json_object_get(c, "ids"));
        EXPECT_OK(em_tokenizer_open(dir, &alone));
        check_ids(i, alone, text, json_object_get(c, "ids"));
        em_tokenizer_free(alone);
        em_model_close(&model);
    }
    json_decref(all);
}

/* The file by its own name says what it says; a broken word beside it is an error. */
static void test_file_and_words(void **state)
{
    (void)state;
    em_tokenizer *tokenizer;
    em_encoding e = {0};
    char path[1024];
    const char *dir = checkpoint_copy("models/bert-plain", "overruled");
    checkpoint_set(dir, "tokenizer_config.json", "do_lower_case", "false");
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    EXPECT_OK(em_tokenizer_open(path, &tokenizer));
    EXPECT_OK(em_tokenizer_encode(tokenizer, "The", 3, NULL, &e));
    assert_string_equal(em_tokenizer_token(tokenizer, e.ids[1], NULL), "the");
    em_encoding_free(&e);
    em_tokenizer_free(tokenizer);
    checkpoint_set(dir, "tokenizer_config.json", "do_lower_case", "\"no\"");
    EXPECT_ERROR(em_tokenizer_open(dir, &tokenizer), EM_ERROR_FORMAT, "do_lower_case");
    assert_null(tokenizer);
}

/* A fault of the file beside is told as that one's, and tokenizer.json is not blamed. */
static void test_fault_beside(void **state)
{
    em_tokenizer *tokenizer;
    (void)state;
    const char *dir = checkpoint_copy("models/bert-plain", "fault_beside");
    checkpoint_write(dir, "tokenizer_config.json", "{\"do_lower_case\":\"yes\"}");
    assert_int_equal(em_tokenizer_open(dir, &tokenizer), EM_ERROR_FORMAT);
    assert_non_null(strstr(em_last_error(), "tokenizer_config.json: do_lower_case: expected true or false"));
    assert_null(strstr(em_last_error(), "tokenizer.json"));
    assert_null(strstr(em_last_error(), "damaged"));
    checkpoint_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded), cmocka_unit_test(test_file_and_words),
                                       cmocka_unit_test(test_fault_beside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
