/* config.json: what is read from it, and what hostile or foreign files get. */
#include <stdio.h>
#include <string.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "models/config.h"
#include "models/family.h"

#define BERT                                                                                                           \
    "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"],\"hidden_size\":384,\"num_hidden_layers\":6,"          \
    "\"num_attention_heads\":12,\"intermediate_size\":1536,\"vocab_size\":30522,\"max_position_embeddings\":512}"

static em__config config;
static const em__family *family;

static em_status read_with(const char *key, const char *value)
{
    const char *dir = golden_scratch("config");
    checkpoint_write(dir, "config.json", BERT);
    if (key)
        checkpoint_set(dir, "config.json", key, value);
    char path[1100];
    snprintf(path, sizeof path, "%s/config.json", dir);
    return em__config_read(path, &config, &family);
}

static void test_defaults(void **state)
{
    (void)state;
    EXPECT_OK(read_with(NULL, NULL));
    assert_string_equal(family->name, "bert");
    assert_string_equal(config.architecture, "BertModel");
    assert_int_equal(config.layers, 6);
    assert_int_equal(config.sizes[EM__HIDDEN], 384);
    assert_int_equal(config.sizes[EM__INTERMEDIATE], 1536);
    assert_int_equal(config.sizes[EM__VOCABULARY], 30522);
    assert_int_equal(config.sizes[EM__POSITIONS], 512);
    assert_int_equal(config.sizes[EM__TYPES], 2);
    assert_int_equal(config.sizes[EM__HEADS], 12);
    assert_int_equal(config.activation, EM__GELU);
    assert_true(config.layer_norm_eps == 1e-12);
    em__config_free(&config);
    assert_null(config.architecture);
}

static void test_accepted(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        em__activation activation;
    } rows[] = {
        {"hidden_act", "\"gelu_new\"", EM__GELU_TANH},
        {"hidden_act", "\"gelu_pytorch_tanh\"", EM__GELU_TANH},
        {"hidden_act", "\"relu\"", EM__RELU},
        {"hidden_act", "\"silu\"", EM__SILU},
        {"hidden_act", "null", EM__GELU},
        {"is_decoder", "false", EM__GELU},
        {"architectures", "null", EM__GELU},
        {"architectures", "[\"BertForMaskedLM\"]", EM__GELU},
        {"model_type", "null", EM__GELU},
        {"position_embedding_type", "\"absolute\"", EM__GELU},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        EXPECT_OK(read_with(rows[i].key, rows[i].value));
        assert_int_equal(config.activation, rows[i].activation);
        em__config_free(&config);
    }
}

static void test_rejected(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value;
        em_status status;
        const char *words;
    } rows[] = {
        {"num_attention_heads", "0", EM_ERROR_FORMAT, "num_attention_heads"},
        {"num_attention_heads", "-12", EM_ERROR_FORMAT, "num_attention_heads"},
        {"num_attention_heads", "7", EM_ERROR_FORMAT, "multiple"},
        {"num_attention_heads", "\"12\"", EM_ERROR_FORMAT, "num_attention_heads"},
        {"num_attention_heads", "12.5", EM_ERROR_FORMAT, "num_attention_heads"},
        {"num_attention_heads", NULL, EM_ERROR_FORMAT, "num_attention_heads"},
        {"hidden_size", "0", EM_ERROR_FORMAT, "hidden_size"},
        {"hidden_size", "4294967296", EM_ERROR_FORMAT, "hidden_size"},
        {"hidden_size", "[384]", EM_ERROR_FORMAT, "hidden_size"},
        {"num_hidden_layers", "1000000000", EM_ERROR_FORMAT, "num_hidden_layers"},
        {"num_hidden_layers", "0", EM_ERROR_FORMAT, "num_hidden_layers"},
        {"intermediate_size", "0", EM_ERROR_FORMAT, "intermediate_size"},
        {"vocab_size", "0", EM_ERROR_FORMAT, "vocab_size"},
        {"vocab_size", "1e12", EM_ERROR_FORMAT, "vocab_size"},
        {"max_position_embeddings", "0", EM_ERROR_FORMAT, "max_position_embeddings"},
        {"type_vocab_size", "0", EM_ERROR_FORMAT, "type_vocab_size"},
        {"layer_norm_eps", "-1", EM_ERROR_FORMAT, "layer_norm_eps"},
        {"layer_norm_eps", "\"small\"", EM_ERROR_FORMAT, "layer_norm_eps"},
        {"hidden_act", "\"mish\"", EM_ERROR_UNSUPPORTED, "hidden_act mish"},
        {"hidden_act", "\"mish\"", EM_ERROR_UNSUPPORTED, "gelu_pytorch_tanh"},
        {"is_decoder", "true", EM_ERROR_UNSUPPORTED, "is_decoder"},
        {"add_cross_attention", "true", EM_ERROR_UNSUPPORTED, "add_cross_attention"},
        {"position_embedding_type", "\"relative_key\"", EM_ERROR_UNSUPPORTED, "relative_key"},
        {"model_type", "\"llama\"", EM_ERROR_UNSUPPORTED, "model_type llama is not supported; supported: bert"},
        {"model_type", "\"llama\"", EM_ERROR_UNSUPPORTED,
         "; supported: bert, roberta, xlm-roberta, camembert, distilbert, mpnet, qwen3, "},
        {"model_type", "7", EM_ERROR_FORMAT, "model_type"},
        {"architectures", "[\"JinaBertForMaskedLM\"]", EM_ERROR_UNSUPPORTED, "JinaBertForMaskedLM"},
        {"architectures", "[\"BertLMHeadModel\"]", EM_ERROR_UNSUPPORTED,
         "not supported; supported: BertModel, BertFor"},
        {"architectures", "\"BertModel\"", EM_ERROR_FORMAT, "architectures"},
        {"architectures", "[1]", EM_ERROR_FORMAT, "architectures"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        em_status status = read_with(rows[i].key, rows[i].value);
        EXPECT_ERROR(status, rows[i].status, rows[i].words);
        assert_non_null(strstr(em_last_error(), "config/config.json: "));
        assert_null(config.architecture);
    }
}

static void test_not_a_config(void **state)
{
    (void)state;
    char path[1100];
    const char *dir = golden_scratch("config");
    snprintf(path, sizeof path, "%s/config.json", dir);
    static const char *const texts[] = {"", "[]", "{", "{}", "null", "{\"model_type\":null}", "\xff\xfe"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        checkpoint_write(dir, "config.json", texts[i]);
        EXPECT_ERROR(em__config_read(path, &config, &family), EM_ERROR_FORMAT, "config.json");
    }
    checkpoint_write(dir, "config.json", NULL);
    EXPECT_ERROR(em__config_read(path, &config, &family), EM_ERROR_NOT_FOUND, "config.json");
}

static void test_mpnet(void **state)
{
    (void)state;
    char path[1100];
    const char *dir = golden_scratch("config");
    snprintf(path, sizeof path, "%s/config.json", dir);
    checkpoint_write(dir, "config.json", BERT);
    checkpoint_set(dir, "config.json", "model_type", "\"mpnet\"");
    checkpoint_set(dir, "config.json", "architectures", "[\"MPNetForMaskedLM\"]");
    EXPECT_OK(em__config_read(path, &config, &family));
    assert_string_equal(family->name, "mpnet");
    assert_int_equal(config.sizes[EM__BUCKETS], 32);
    em__config_free(&config);
    checkpoint_set(dir, "config.json", "max_position_embeddings", "2");
    EXPECT_ERROR(em__config_read(path, &config, &family), EM_ERROR_FORMAT, "max_position_embeddings");
    checkpoint_set(dir, "config.json", "max_position_embeddings", "514");
    checkpoint_set(dir, "config.json", "relative_attention_num_buckets", "31");
    EXPECT_ERROR(em__config_read(path, &config, &family), EM_ERROR_FORMAT, "relative_attention_num_buckets");
}

/* max_position_embeddings of RoBERTa counts the positions up to the padding token's, which no token gets. */
static void test_roberta(void **state)
{
    (void)state;
    static const char *const families[][2] = {
        {"\"roberta\"", "[\"RobertaModel\"]"},
        {"\"xlm-roberta\"", "[\"XLMRobertaForSequenceClassification\"]"},
        {"\"camembert\"", "[\"CamembertForMaskedLM\"]"},
    };
    char path[1100];
    const char *dir = golden_scratch("config");
    snprintf(path, sizeof path, "%s/config.json", dir);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        checkpoint_write(dir, "config.json", BERT);
        checkpoint_set(dir, "config.json", "model_type", families[i][0]);
        checkpoint_set(dir, "config.json", "architectures", families[i][1]);
        EXPECT_OK(em__config_read(path, &config, &family));
        assert_string_equal(family->prefix, "roberta.");
        assert_int_equal(config.padding, 1);
        assert_int_equal(config.first_position, 2);
        em__config_free(&config);
    }
    static const struct {
        const char *key, *value, *words;
    } rows[] = {
        {"pad_token_id", "-1", "pad_token_id"},
        {"pad_token_id", "30522", "pad_token_id"},
        {"pad_token_id", "511", "max_position_embeddings is 512, but positions begin at 512"},
        {"max_position_embeddings", "2", "max_position_embeddings is 2, but positions begin at 512"},
        {"pad_token_id", "1", "max_position_embeddings is 2, but positions begin at 2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        checkpoint_set(dir, "config.json", rows[i].key, rows[i].value);
        EXPECT_ERROR(em__config_read(path, &config, &family), EM_ERROR_FORMAT, rows[i].words);
    }
    checkpoint_set(dir, "config.json", "max_position_embeddings", "3");
    checkpoint_set(dir, "config.json", "pad_token_id", "null");
    EXPECT_OK(em__config_read(path, &config, &family));
    assert_int_equal(config.padding, 1);
    em__config_free(&config);
}

/* Its names for what all encoders have; an epsilon of its file counts as little as in Transformers. */
static void test_distilbert(void **state)
{
    (void)state;
    char path[1100];
    const char *dir = golden_scratch("config");
    snprintf(path, sizeof path, "%s/config.json", dir);
    checkpoint_write(dir, "config.json",
                     "{\"model_type\":\"distilbert\",\"dim\":384,\"n_layers\":6,\"n_heads\":12,\"hidden_dim\":1536,"
                     "\"activation\":\"relu\",\"vocab_size\":30522,\"max_position_embeddings\":512,"
                     "\"layer_norm_eps\":0.5}");
    EXPECT_OK(em__config_read(path, &config, &family));
    assert_string_equal(config.architecture, "DistilBertModel");
    assert_int_equal(config.layers, 6);
    assert_int_equal(config.sizes[EM__HIDDEN], 384);
    assert_int_equal(config.sizes[EM__INTERMEDIATE], 1536);
    assert_int_equal(config.sizes[EM__HEADS], 12);
    assert_int_equal(config.sizes[EM__TYPES], 0);
    assert_int_equal(config.activation, EM__RELU);
    assert_int_equal(config.first_position, 0);
    assert_true(config.layer_norm_eps == 1e-12);
    em__config_free(&config);
    static const struct {
        const char *key, *value;
        em_status status;
        const char *words;
    } rows[] = {
        {"activation", "\"mish\"", EM_ERROR_UNSUPPORTED, "activation mish"},
        {"n_heads", "7", EM_ERROR_FORMAT, "dim is 384, n_heads is 7"},
        {"hidden_dim", "-1", EM_ERROR_FORMAT, "hidden_dim"},
        {"n_heads", "0", EM_ERROR_FORMAT, "n_heads"},
        {"n_layers", NULL, EM_ERROR_FORMAT, "n_layers"},
        {"dim", NULL, EM_ERROR_FORMAT, "dim"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        checkpoint_set(dir, "config.json", rows[i].key, rows[i].value);
        EXPECT_ERROR(em__config_read(path, &config, &family), rows[i].status, rows[i].words);
        assert_null(config.architecture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults),  cmocka_unit_test(test_accepted),
                                       cmocka_unit_test(test_rejected),  cmocka_unit_test(test_not_a_config),
                                       cmocka_unit_test(test_mpnet),     cmocka_unit_test(test_roberta),
                                       cmocka_unit_test(test_distilbert)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
