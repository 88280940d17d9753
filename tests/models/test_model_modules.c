/* What sentence-transformers writes beside the weights: both generations of its files, and hostile ones. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "models/modules.h"

#define TRANSFORMER "{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"}"
#define POOLING "{\"path\":\"1_Pooling\",\"type\":\"sentence_transformers.models.Pooling\"}"
#define DENSE "{\"path\":\"2_Dense\",\"type\":\"sentence_transformers.models.Dense\"}"
#define NORMALIZE "{\"path\":\"3_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}"

static em__modules modules;
static char dir[1024];

static int fresh(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "%s", golden_scratch("modules"));
    static const char *const files[] = {"modules.json",
                                        "1_Pooling/config.json",
                                        "2_Dense/config.json",
                                        "sentence_bert_config.json",
                                        "tokenizer_config.json",
                                        "sentence_roberta_config.json",
                                        "config_sentence_transformers.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        checkpoint_write(dir, files[i], "{}");
        checkpoint_write(dir, files[i], NULL);
    }
    return 0;
}

static int close_modules(void **state)
{
    (void)state;
    em__modules_free(&modules);
    return 0;
}

static em_status read_pooling(const char *config)
{
    em__modules_free(&modules);
    checkpoint_write(dir, "modules.json", "[" TRANSFORMER "," POOLING "]");
    checkpoint_write(dir, "1_Pooling/config.json", config);
    return em__modules_read(dir, &modules);
}

static void expect_pools(const char *config, int n, const em_pool *pools)
{
    EXPECT_OK(read_pooling(config));
    assert_int_equal(modules.n_pools, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(modules.pools[i], pools[i]);
}

static void test_plain(void **state)
{
    (void)state;
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_true(modules.plain);
    assert_true(modules.include_prompt);
    assert_string_equal(modules.transformer, dir);
    assert_int_equal(modules.n_pools, 1);
    assert_int_equal(modules.pools[0], EM_POOL_MEAN);
    assert_int_equal(modules.n_stages, 0);
    assert_int_equal(modules.max_tokens, 0);
}

static void test_pooling(void **state)
{
    (void)state;
    expect_pools("{}", 1, (em_pool[]){EM_POOL_MEAN});
    expect_pools("{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}", 1, (em_pool[]){EM_POOL_CLS});
    expect_pools("{\"pooling_mode_lasttoken\":true}", 1, (em_pool[]){EM_POOL_LAST});
    expect_pools("{\"pooling_mode_weightedmean_tokens\":true}", 1, (em_pool[]){EM_POOL_WEIGHTED});
    expect_pools("{\"pooling_mode_mean_sqrt_len_tokens\":true}", 1, (em_pool[]){EM_POOL_MEAN_SQRT});
    expect_pools("{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":true,\"pooling_mode_max_tokens\":true}",
                 3, (em_pool[]){EM_POOL_CLS, EM_POOL_MAX, EM_POOL_MEAN});
    expect_pools("{\"pooling_mode\":\"max\",\"pooling_mode_cls_token\":true}", 1, (em_pool[]){EM_POOL_MAX});
    expect_pools("{\"pooling_mode\":[\"mean\",\"cls\"]}", 2, (em_pool[]){EM_POOL_MEAN, EM_POOL_CLS});
    EXPECT_OK(read_pooling("{\"include_prompt\":false}"));
    assert_false(modules.include_prompt);
    EXPECT_ERROR(read_pooling("{\"pooling_mode\":\"median\"}"), EM_ERROR_UNSUPPORTED, "weightedmean");
    EXPECT_ERROR(read_pooling("{\"pooling_mode\":[]}"), EM_ERROR_FORMAT, "1_Pooling/config.json");
    EXPECT_ERROR(read_pooling("{\"pooling_mode\":[1]}"), EM_ERROR_FORMAT, "pooling_mode");
    EXPECT_ERROR(read_pooling("{\"pooling_mode\":[\"cls\",\"cls\",\"cls\",\"cls\",\"cls\",\"cls\",\"cls\"]}"),
                 EM_ERROR_FORMAT, "more than");
    EXPECT_ERROR(read_pooling("{\"pooling_mode_cls_token\":1}"), EM_ERROR_FORMAT, "pooling_mode_cls_token");
    EXPECT_ERROR(read_pooling("{\"include_prompt\":\"no\"}"), EM_ERROR_FORMAT, "include_prompt");
    EXPECT_ERROR(read_pooling(NULL), EM_ERROR_NOT_FOUND, "1_Pooling");
    assert_null(modules.transformer);
}

static void test_stages(void **state)
{
    (void)state;
    checkpoint_write(dir, "1_Pooling/config.json", "{}");
    checkpoint_write(dir, "2_Dense/config.json",
                     "{\"in_features\":8,\"out_features\":4,\"bias\":false,"
                     "\"activation_function\":\"torch.nn.modules.linear.Identity\"}");
    checkpoint_write(dir, "modules.json", "[" TRANSFORMER "," POOLING "," DENSE "," NORMALIZE "]");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.n_stages, 2);
    assert_non_null(modules.stages[0].dir);
    assert_int_equal(modules.stages[0].out, 4);
    assert_false(modules.stages[0].has_bias);
    assert_int_equal(modules.stages[0].activation, EM__IDENTITY);
    assert_null(modules.stages[1].dir);
    em__modules_free(&modules);
    static const struct {
        const char *key, *value, *words;
        em_status status;
    } rows[] = {
        {"in_features", "0", "in_features", EM_ERROR_FORMAT},
        {"out_features", "99999999999", "out_features", EM_ERROR_FORMAT},
        {"bias", "1", "bias", EM_ERROR_FORMAT},
        {"use_residual", "true", "use_residual", EM_ERROR_UNSUPPORTED},
        {"module_input_name", "\"token_embeddings\"", "token_embeddings", EM_ERROR_UNSUPPORTED},
        {"activation_function", "\"mine.Tanh\"", "mine.Tanh", EM_ERROR_UNSUPPORTED},
        {"activation_function", "\"torch.nn.modules.activation.Hardtanh\"", "Hardtanh", EM_ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        checkpoint_write(dir, "2_Dense/config.json", "{\"in_features\":8,\"out_features\":4}");
        checkpoint_set(dir, "2_Dense/config.json", rows[i].key, rows[i].value);
        EXPECT_ERROR(em__modules_read(dir, &modules), rows[i].status, rows[i].words);
    }
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
        em_status status;
    } rows[] = {
        {"{}", "modules.json", EM_ERROR_FORMAT},
        {"[]", "Transformer", EM_ERROR_UNSUPPORTED},
        {"[" TRANSFORMER "]", "Pooling", EM_ERROR_UNSUPPORTED},
        {"[" POOLING "," TRANSFORMER "]", "cannot stand here", EM_ERROR_UNSUPPORTED},
        {"[" TRANSFORMER "," TRANSFORMER "," POOLING "]", "cannot stand here", EM_ERROR_UNSUPPORTED},
        {"[" TRANSFORMER "," NORMALIZE "," POOLING "]", "cannot stand here", EM_ERROR_UNSUPPORTED},
        {"[1]", "modules.json", EM_ERROR_FORMAT},
        {"[{\"path\":\"\"}]", "type", EM_ERROR_FORMAT},
        {"[{\"type\":\"sentence_transformers.models.CNN\"}]", "models.CNN", EM_ERROR_UNSUPPORTED},
        {"[{\"type\":\"evil.Transformer\"}]", "evil.Transformer", EM_ERROR_UNSUPPORTED},
        {"[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"../x\"}]", "leaves", EM_ERROR_FORMAT},
        {"[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"a/../../x\"}]", "leaves", EM_ERROR_FORMAT},
        {"[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"/etc\"}]", "leaves", EM_ERROR_FORMAT},
        {"[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":7}]", "path", EM_ERROR_FORMAT},
    };
    checkpoint_write(dir, "1_Pooling/config.json", "{}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        checkpoint_write(dir, "modules.json", rows[i].text);
        EXPECT_ERROR(em__modules_read(dir, &modules), rows[i].status, rows[i].words);
    }
    checkpoint_write(dir, "modules.json",
                     "[{\"type\":\"sentence_transformers.base.modules.transformer.Transformer\",\"path\":\"0_T\"},"
                     "{\"type\":\"sentence_transformers.sentence_transformer.modules.pooling.Pooling\","
                     "\"path\":\"1_Pooling\"},{\"type\":\"sentence_transformers.models.Dropout\"}]");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_non_null(strstr(modules.transformer, "/0_T"));
}

static void test_limits(void **state)
{
    (void)state;
    checkpoint_write(dir, "tokenizer_config.json", "{\"model_max_length\":512}");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.max_tokens, 512);
    em__modules_free(&modules);
    checkpoint_write(dir, "tokenizer_config.json", "{\"model_max_length\":1000000000000000019884624838656}");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.max_tokens, 0);
    em__modules_free(&modules);
    checkpoint_write(dir, "sentence_roberta_config.json", "{\"max_seq_length\":64,\"do_lower_case\":true}");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.max_tokens, 64);
    assert_true(modules.lowercase);
    em__modules_free(&modules);
    checkpoint_write(dir, "sentence_bert_config.json", "{\"max_seq_length\":null,\"do_lower_case\":false}");
    checkpoint_write(dir, "tokenizer_config.json", "{\"model_max_length\":128}");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.max_tokens, 128);
    assert_false(modules.lowercase);
    em__modules_free(&modules);
    checkpoint_write(dir, "sentence_bert_config.json", "{\"max_seq_length\":0}");
    EXPECT_ERROR(em__modules_read(dir, &modules), EM_ERROR_FORMAT, "max_seq_length");
}

static void expect_limits(const char *bert, int64_t max_tokens, em__side side)
{
    checkpoint_write(dir, "sentence_bert_config.json", bert);
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.max_tokens, max_tokens);
    assert_int_equal(modules.truncation_side, side);
    em__modules_free(&modules);
}

static void expect_no_limits(const char *bert, em_status status, const char *text)
{
    checkpoint_write(dir, "sentence_bert_config.json", bert);
    EXPECT_ERROR(em__modules_read(dir, &modules), status, text);
}

/* What counts more, tried with sentence-transformers 6.2. */
static void test_precedence(void **state)
{
    (void)state;
    expect_limits("{}", 0, EM__SIDE_UNSAID);
    checkpoint_write(dir, "tokenizer_config.json", "{\"model_max_length\":12,\"truncation_side\":\"left\"}");
    expect_limits("{}", 12, EM__SIDE_LEFT);
    expect_limits("{\"max_seq_length\":9}", 9, EM__SIDE_LEFT);
    expect_limits("{\"max_seq_length\":9,\"tokenizer_args\":{\"model_max_length\":7,\"truncation_side\":\"right\"}}", 7,
                  EM__SIDE_RIGHT);
    expect_limits("{\"processor_kwargs\":{\"truncation_side\":\"right\",\"padding_side\":\"left\"}}", 12,
                  EM__SIDE_RIGHT);
    expect_limits("{\"processor_kwargs\":{\"truncation_side\":\"right\"},\"tokenizer_args\":{}}", 12, EM__SIDE_LEFT);
    expect_limits("{\"max_seq_length\":9,\"processing_kwargs\":{\"text\":{\"max_length\":20,\"truncation\":true}}}", 20,
                  EM__SIDE_LEFT);
    expect_limits(
        "{\"processing_kwargs\":{\"text\":{\"max_length\":null,\"padding\":\"longest\",\"add_special_tokens\":true,"
        "\"truncation\":\"longest_first\"},\"image\":{\"size\":3},\"common\":{}}}",
        12, EM__SIDE_LEFT);
    expect_limits("{\"processing_kwargs\":null}", 12, EM__SIDE_LEFT);
    expect_limits("{\"tokenizer_args\":{\"use_fast\":true,\"revision\":\"main\",\"model_max_length\":7}}", 7,
                  EM__SIDE_LEFT);
    expect_no_limits("{\"processor_kwargs\":{\"do_lower_case\":false,\"model_max_length\":24}}", EM_ERROR_UNSUPPORTED,
                     "processor_kwargs: do_lower_case is not supported; supported: model_max_length");
    expect_no_limits("{\"tokenizer_args\":{\"truncation_side\":\"up\"}}", EM_ERROR_FORMAT, "truncation_side is \"up\"");
    expect_no_limits("{\"processing_kwargs\":{\"text\":{\"add_special_tokens\":false}}}", EM_ERROR_UNSUPPORTED,
                     "processing_kwargs.text: add_special_tokens is not supported");
    expect_no_limits("{\"processing_kwargs\":{\"text\":{\"truncation\":false}}}", EM_ERROR_UNSUPPORTED, "truncation");
    expect_no_limits("{\"processing_kwargs\":{\"text\":{\"max_length\":0}}}", EM_ERROR_FORMAT, "max_length");
    expect_no_limits("{\"processing_kwargs\":{\"common\":{\"max_length\":8}}}", EM_ERROR_UNSUPPORTED, "common");
    expect_no_limits("{\"processing_kwargs\":{\"all\":{\"x\":8}}}", EM_ERROR_UNSUPPORTED, "all is not");
    expect_no_limits("{\"processing_kwargs\":[]}", EM_ERROR_FORMAT, "processing_kwargs");
}

static void test_truncate_dim(void **state)
{
    (void)state;
    const char *file = "config_sentence_transformers.json";
    checkpoint_write(dir, file, "{\"truncate_dim\":16}");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.truncate_dim, 16);
    em__modules_free(&modules);
    checkpoint_write(dir, file, "{\"truncate_dim\":null}");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.truncate_dim, 0);
    em__modules_free(&modules);
    checkpoint_write(dir, file, "{\"truncate_dim\":-1}");
    EXPECT_ERROR(em__modules_read(dir, &modules), EM_ERROR_FORMAT, "truncate_dim");
}

static void test_prompts(void **state)
{
    (void)state;
    const char *text;
    const char *file = "config_sentence_transformers.json";
    checkpoint_write(dir, file,
                     "{\"prompts\":{\"query\":\"query: \",\"none\":\"\",\"unset\":null},"
                     "\"default_prompt_name\":\"query\"}");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_int_equal(modules.n_prompts, 2);
    assert_string_equal(modules.default_prompt, "query: ");
    EXPECT_OK(em__prompts_find(&modules, "none", &text));
    assert_string_equal(text, "");
    EXPECT_ERROR(em__prompts_find(&modules, "document", &text), EM_ERROR_NOT_FOUND, "query, none");
    em__modules_free(&modules);
    checkpoint_set(dir, file, "default_prompt_name", "\"document\"");
    EXPECT_ERROR(em__modules_read(dir, &modules), EM_ERROR_NOT_FOUND, "document");
    checkpoint_set(dir, file, "default_prompt_name", "null");
    EXPECT_OK(em__modules_read(dir, &modules));
    assert_null(modules.default_prompt);
    em__modules_free(&modules);
    checkpoint_set(dir, file, "prompts", "{\"query\":7}");
    EXPECT_ERROR(em__modules_read(dir, &modules), EM_ERROR_FORMAT, "query");
    checkpoint_set(dir, file, "prompts", "[]");
    EXPECT_ERROR(em__modules_read(dir, &modules), EM_ERROR_FORMAT, "prompts");
}

/* A folder that is a link is read as far as it stays in the checkpoint. */
static void test_linked_folder(void **state)
{
    (void)state;
    char link[1100], away[1100];
    snprintf(away, sizeof away, "%s", golden_scratch("modules_away"));
    checkpoint_write(away, "1_Pooling/config.json", "{}");
    checkpoint_write(dir, "2_Dense/config.json", "{}");
    snprintf(link, sizeof link, "%s/linked", dir);
    static const char *const paths[] = {"linked", "linked/1_Pooling"};
    for (int i = 0; i < 2; i++) {
        char modules_json[512];
        snprintf(modules_json, sizeof modules_json,
                 "[" TRANSFORMER ",{\"path\":\"%s\",\"type\":\"sentence_transformers.models.Pooling\"}]", paths[i]);
        checkpoint_write(dir, "modules.json", modules_json);
        if (i == 0)
            strncat(away, "/1_Pooling", sizeof away - strlen(away) - 1);
        else
            *strrchr(away, '/') = '\0';
        unlink(link);
        assert_int_equal(symlink(away, link), 0);
        EXPECT_ERROR(em__modules_read(dir, &modules), EM_ERROR_FORMAT, "outside of the model directory");
    }
    checkpoint_write(dir, "modules.json",
                     "[" TRANSFORMER ",{\"path\":\"linked\",\"type\":\"sentence_transformers.models.Pooling\"}]");
    unlink(link);
    assert_int_equal(symlink("2_Dense", link), 0);
    EXPECT_OK(em__modules_read(dir, &modules));
    unlink(link);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fresh, close_modules)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_plain),        TEST(test_pooling), TEST(test_stages),
                                       TEST(test_lists),        TEST(test_limits),  TEST(test_precedence),
                                       TEST(test_truncate_dim), TEST(test_prompts), TEST(test_linked_folder)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
