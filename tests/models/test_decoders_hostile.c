/*
 * Decoder checkpoints that lie: sizes that divide by zero or do not fit, rope without sense, tensors that are missing
 * or of another shape, quantization that is not there. Each is refused with a status and a text that names the file
 * and the field or tensor; nothing is computed from it.
 */
#include <stdio.h>
#include <string.h>

#include <emily/generation.h>
#include <emily/model.h>
#include <emily/safetensors.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"

enum { MAX_TENSORS = 128 };

static char dir[1024];

static void use(const char *checkpoint)
{
    char golden[256];
    snprintf(golden, sizeof golden, "decoders/%s", checkpoint);
    snprintf(dir, sizeof dir, "%s", checkpoint_copy(golden, "decoders_hostile"));
}

/* The directory does not open: `status`, and a text with both `file` and `words`. */
static void expect_refused(em_status status, const char *file, const char *words)
{
    em_model *model = em_model_open(dir, NULL);
    if (model)
        fail_msg("opened, but should fail with \"%s\"", words);
    EXPECT_ERROR(em_last_status(), status, words);
    EXPECT_ERROR(em_last_status(), status, file);
}

typedef struct config_row {
    const char *key, *value; /* JSON; NULL: the member is removed */
    em_status status;
    const char *words; /* after '*' the text names the file of the weights, otherwise config.json */
} config_row;

#define ROWS(rows) rows, sizeof rows / sizeof *rows

static void refuse_each(const char *checkpoint, const config_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        use(checkpoint);
        checkpoint_set(dir, "config.json", rows[i].key, rows[i].value);
        expect_refused(rows[i].status, rows[i].words[0] == '*' ? "safetensors" : "config.json",
                       rows[i].words + (rows[i].words[0] == '*'));
    }
}

#define FORMAT EM_ERROR_FORMAT
#define UNSUPPORTED EM_ERROR_UNSUPPORTED

static void test_sizes(void **state)
{
    (void)state;
    static const config_row rows[] = {
        {"num_attention_heads", "0", FORMAT, "num_attention_heads"},
        {"num_attention_heads", "-4", FORMAT, "num_attention_heads"},
        {"num_attention_heads", "4.5", FORMAT, "num_attention_heads"},
        {"num_attention_heads", "\"4\"", FORMAT, "num_attention_heads"},
        {"num_attention_heads", "4294967300", FORMAT, "num_attention_heads"},
        {"num_attention_heads", NULL, FORMAT, "num_attention_heads"},
        {"num_attention_heads", "8", FORMAT, "q_proj.weight has shape [128, 64], config.json asks for [256, 64]"},
        {"num_key_value_heads", "0", FORMAT, "num_key_value_heads"},
        {"num_key_value_heads", "8", FORMAT, "num_key_value_heads"},
        {"num_key_value_heads", "3", FORMAT, "num_key_value_heads"},
        {"num_key_value_heads", "4", FORMAT, "k_proj.weight has shape [64, 64], config.json asks for [128, 64]"},
        {"head_dim", "0", FORMAT, "head_dim"},
        {"head_dim", "-32", FORMAT, "head_dim"},
        {"head_dim", "31", FORMAT, "head_dim"},
        {"head_dim", "9223372036854775807", FORMAT, "head_dim"},
        {"head_dim", "64", FORMAT, "config.json asks for [256, 64]"},
        {"head_dim", NULL, FORMAT, "config.json asks for [64, 64]"},
        {"hidden_size", "0", FORMAT, "hidden_size"},
        {"hidden_size", "4611686018427387904", FORMAT, "hidden_size"},
        {"hidden_size", "[64]", FORMAT, "hidden_size"},
        {"hidden_size", "63", FORMAT, "model.embed_tokens.weight has shape [256, 64], config.json asks for [256, 63]"},
        {"intermediate_size", "0", FORMAT, "intermediate_size"},
        {"intermediate_size", "57", FORMAT, "mlp.gate_proj.weight has shape [56, 64]"},
        {"num_hidden_layers", "0", FORMAT, "num_hidden_layers"},
        {"num_hidden_layers", "1000000000", FORMAT, "num_hidden_layers"},
        {"num_hidden_layers", "1e9", FORMAT, "num_hidden_layers"},
        {"num_hidden_layers", "-2", FORMAT, "num_hidden_layers"},
        {"num_hidden_layers", "3", FORMAT, "layer_types"},
        {"layer_types", "[\"full_attention\"]", FORMAT, "layer_types"},
        {"layer_types", "[\"full_attention\", 7]", FORMAT, "layer_types"},
        {"layer_types", "[\"full_attention\", \"linear_attention\"]", UNSUPPORTED, "linear_attention"},
        {"vocab_size", "0", FORMAT, "vocab_size"},
        {"vocab_size", "1e12", FORMAT, "vocab_size"},
        {"vocab_size", "255", FORMAT, "model.embed_tokens.weight has shape [256, 64], config.json asks for [255, 64]"},
        {"max_position_embeddings", "0", FORMAT, "max_position_embeddings"},
        {"max_position_embeddings", "-1", FORMAT, "max_position_embeddings"},
        {"rms_norm_eps", "-1", FORMAT, "rms_norm_eps"},
        {"rms_norm_eps", "\"small\"", FORMAT, "rms_norm_eps"},
    };
    refuse_each("qwen3", ROWS(rows));
}

static void test_words(void **state)
{
    (void)state;
    static const config_row rows[] = {
        {"tie_word_embeddings", "\"yes\"", FORMAT, "tie_word_embeddings"},
        {"tie_word_embeddings", "false", FORMAT, "*tensor lm_head.weight is missing"},
        {"attention_bias", "true", FORMAT, "*q_proj.bias is missing"},
        {"attention_bias", "1", FORMAT, "attention_bias"},
        {"hidden_act", "\"mish\"", UNSUPPORTED, "hidden_act mish"},
        {"hidden_act", "7", FORMAT, "hidden_act"},
        {"model_type", "\"qwen9\"", UNSUPPORTED, "qwen9"},
        {"model_type", "[]", FORMAT, "model_type"},
        {"architectures", "[\"Qwen3ForSequenceClassification\"]", UNSUPPORTED, "Qwen3ForSequenceClassification"},
        {"architectures", "\"Qwen3ForCausalLM\"", FORMAT, "architectures"},
        {"architectures", "[{}]", FORMAT, "architectures"},
        {"eos_token_id", "-1", FORMAT, "eos_token_id"},
        {"eos_token_id", "\"</s>\"", FORMAT, "eos_token_id"},
        {"eos_token_id", "[2, 1.5]", FORMAT, "eos_token_id"},
        {"eos_token_id", "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]", UNSUPPORTED, "eos_token_id"},
        {"eos_token_id", "1e15", FORMAT, "eos_token_id"},
        {"bos_token_id", "-7", FORMAT, "bos_token_id"},
    };
    refuse_each("qwen3", ROWS(rows));
}

#define ROPE(rest) "{\"rope_type\": " rest "}"
#define YARN "\"yarn\", \"rope_theta\": 10000.0, \"factor\": 4.0"
#define LLAMA3 "\"llama3\", \"factor\": 8.0, \"original_max_position_embeddings\": 64"

static void test_rope(void **state)
{
    (void)state;
    static const config_row rows[] = {
        {"rope_parameters", "7", FORMAT, "rope_parameters"},
        {"rope_parameters", ROPE("\"default\", \"rope_theta\": 0"), FORMAT, "rope_theta"},
        {"rope_parameters", ROPE("\"default\", \"rope_theta\": -10000.0"), FORMAT, "rope_theta"},
        {"rope_parameters", ROPE("\"default\", \"rope_theta\": \"NaN\""), FORMAT, "rope_theta"},
        {"rope_parameters", ROPE("\"spiral\""), UNSUPPORTED, "spiral"},
        {"rope_parameters", ROPE("\"longrope\", \"factor\": 2.0"), UNSUPPORTED, "longrope"},
        {"rope_parameters", ROPE("3"), FORMAT, "rope_type"},
        {"rope_parameters", ROPE("\"linear\""), FORMAT, "factor"},
        {"rope_parameters", ROPE("\"linear\", \"factor\": 0"), FORMAT, "factor"},
        {"rope_parameters", ROPE("\"linear\", \"factor\": -4"), FORMAT, "factor"},
        {"rope_parameters", ROPE("\"linear\", \"factor\": \"4\""), FORMAT, "factor"},
        {"rope_parameters", ROPE("\"dynamic\", \"factor\": 0.0"), FORMAT, "factor"},
        {"rope_parameters", ROPE(YARN ", \"original_max_position_embeddings\": 0"), FORMAT,
         "original_max_position_embeddings"},
        {"rope_parameters", ROPE(YARN ", \"original_max_position_embeddings\": -32"), FORMAT,
         "original_max_position_embeddings"},
        {"rope_parameters", ROPE(YARN ", \"attention_factor\": -1"), FORMAT, "attention_factor"},
        {"rope_parameters", ROPE(YARN ", \"beta_fast\": -8"), FORMAT, "beta_fast"},
        {"rope_parameters", ROPE(YARN ", \"truncate\": 1"), FORMAT, "truncate"},
        {"rope_parameters", ROPE("\"yarn\", \"rope_theta\": 1.0, \"factor\": 4.0"), FORMAT, "rope_theta"},
        {"rope_parameters", ROPE(LLAMA3), FORMAT, "low_freq_factor"},
        {"rope_parameters", ROPE(LLAMA3 ", \"low_freq_factor\": 4.0, \"high_freq_factor\": 4.0"), FORMAT,
         "high_freq_factor"},
        {"rope_parameters", ROPE(LLAMA3 ", \"low_freq_factor\": 0, \"high_freq_factor\": 4.0"), FORMAT,
         "low_freq_factor"},
        {"rope_parameters", ROPE("\"linear\", \"factor\": 2, \"partial_rotary_factor\": 0"), FORMAT, "turn"},
        {"rope_parameters", "{\"full_attention\": {\"rope_type\": \"default\", \"rope_theta\": 1e6}}", UNSUPPORTED,
         "rope for full_attention"},
        {"rope_parameters", ROPE("\"default\", \"partial_rotary_factor\": 2"), FORMAT, "partial_rotary_factor"},
        {"rope_theta", "0", FORMAT, "rope_theta"},
        {"rope_theta", "-1e4", FORMAT, "rope_theta"},
        {"rope_theta", "\"big\"", FORMAT, "rope_theta"},
        {"rope_scaling", "[]", FORMAT, "rope_scaling"},
        {"rope_scaling", "{\"type\": \"su\", \"factor\": 2}", UNSUPPORTED, "su"},
        {"rope_scaling", "{\"type\": \"linear\", \"factor\": 0}", FORMAT, "factor"},
    };
    refuse_each("qwen3", ROWS(rows));
}

static void test_families(void **state)
{
    (void)state;
    static const config_row smollm3[] = {
        {"no_rope_layers", "[1, 0]", FORMAT, "no_rope_layers"},
        {"no_rope_layers", "[1, 1, 1, 2]", FORMAT, "no_rope_layers"},
        {"no_rope_layers", "true", FORMAT, "no_rope_layers"},
        {"no_rope_layer_interval", "0", FORMAT, "no_rope_layer_interval"},
        {"no_rope_layer_interval", "-4", FORMAT, "no_rope_layer_interval"},
    };
    static const config_row mistral[] = {
        {"sliding_window", "0", FORMAT, "sliding_window"},
        {"sliding_window", "-12", FORMAT, "sliding_window"},
        {"sliding_window", "\"12\"", FORMAT, "sliding_window"},
    };
    static const config_row llama[] = {
        {"mlp_bias", "\"no\"", FORMAT, "mlp_bias"},
        {"mlp_bias", "false", FORMAT, "*_proj.bias is not part of the llama model"},
    };
    refuse_each("smollm3", ROWS(smollm3));
    refuse_each("mistral", ROWS(mistral));
    refuse_each("llama-bias", ROWS(llama));
}

static void test_quantization(void **state)
{
    (void)state;
    static const config_row rows[] = {
        {"quantization", "{\"group_size\": 0, \"bits\": 4}", FORMAT, "group_size"},
        {"quantization", "{\"group_size\": -64, \"bits\": 4}", FORMAT, "group_size"},
        {"quantization", "{\"group_size\": 63, \"bits\": 4}", UNSUPPORTED, "group_size 63"},
        {"quantization", "{\"group_size\": 64, \"bits\": 7}", UNSUPPORTED, "bits 7"},
        {"quantization", "{\"group_size\": 64, \"bits\": 0}", FORMAT, "bits"},
        {"quantization", "{\"group_size\": 64, \"bits\": \"4\"}", FORMAT, "bits"},
        {"quantization", "{\"group_size\": 64, \"bits\": 4, \"mode\": \"weird\"}", UNSUPPORTED, "mode weird"},
        {"quantization", "{\"group_size\": 64, \"bits\": 4, \"mode\": 4}", FORMAT, "mode"},
        {"quantization", "{\"group_size\": 64, \"bits\": 4, \"mode\": \"mxfp4\"}", UNSUPPORTED, "mxfp4"},
        {"quantization", "{\"group_size\": 128, \"bits\": 4}", FORMAT, "group of 128"},
        {"quantization", "{\"group_size\": 32, \"bits\": 4}", FORMAT, "model.embed_tokens.scales has shape [256, 1]"},
        {"quantization", "{\"group_size\": 64, \"bits\": 8}", FORMAT, "model.embed_tokens.weight has shape [256, 8]"},
        {"quantization", "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128}", UNSUPPORTED, "gptq"},
        {"quantization", "[64, 4]", FORMAT, "quantization"},
        {"quantization",
         "{\"group_size\": 64, \"bits\": 4, \"model.layers.1.mlp.up_proj\": {\"group_size\": 64, "
         "\"bits\": 7}}",
         UNSUPPORTED, "bits 7"},
        {"quantization",
         "{\"group_size\": 64, \"bits\": 4, \"model.layers.1.mlp.up_proj\": {\"group_size\": 64, "
         "\"bits\": 3}}",
         FORMAT, "model.layers.1.mlp.up_proj.weight"},
    };
    refuse_each("qwen3-4bit", ROWS(rows));
    use("qwen3-4bit");
    checkpoint_set(dir, "config.json", "quantization", NULL);
    checkpoint_set(dir, "config.json", "quantization_config", NULL);
    expect_refused(FORMAT, "model.embed_tokens", "quantization");
}

/* ---- tensors ---- */

typedef enum change { DROP, NARROW, FLATTEN, INTEGER, HALVE, DOUBLE, RENAME, TO_HEAD, ADD } change;

static size_t apply(em_safetensors_tensor *tensors, size_t n, const char *name, change how)
{
    static char renamed[256];
    em_safetensors_tensor *t = NULL;
    for (size_t i = 0; i < n; i++)
        t = strcmp(tensors[i].name, name) == 0 ? &tensors[i] : t;
    if (how == ADD) {
        assert_true(!t && n < MAX_TENSORS);
        tensors[n] = tensors[0];
        tensors[n].name = name;
        return n + 1;
    }
    if (!t)
        fail_msg("no tensor %s", name);
    switch (how) {
    case DROP: *t = tensors[n - 1]; return n - 1;
    case NARROW:
        t->nbytes -= t->nbytes / (size_t)t->dims.dims[t->dims.rank - 1];
        t->dims.dims[t->dims.rank - 1]--;
        break;
    case FLATTEN:
        t->dims.dims[0] *= t->dims.rank == 2 ? t->dims.dims[1] : 1;
        t->dims.rank = 1;
        break;
    case INTEGER: t->dtype = EM_S32; break;
    case HALVE:
        t->dims.dims[0] /= 2;
        t->nbytes /= 2;
        break;
    case DOUBLE: /* two rows for one, of half the width */
        t->dims.dims[0] *= 2;
        t->dims.dims[1] /= 2;
        break;
    case RENAME:
        snprintf(renamed, sizeof renamed, "%s.old", name);
        t->name = renamed;
        break;
    case TO_HEAD: t->name = "lm_head.weight"; break;
    case ADD: break; /* done above: there is no such tensor yet */
    }
    return n;
}

static void rewrite(const char *name, change how)
{
    em_safetensors *file;
    em_safetensors_tensor tensors[MAX_TENSORS];
    char path[1100], fresh[1100];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    snprintf(fresh, sizeof fresh, "%s/fresh", dir);
    EXPECT_OK(em_safetensors_open(path, NULL, &file));
    size_t n = em_safetensors_count(file);
    assert_true(n <= MAX_TENSORS);
    for (size_t i = 0; i < n; i++)
        tensors[i] = *em_safetensors_at(file, i);
    n = apply(tensors, n, name, how);
    EXPECT_OK(em_safetensors_write(fresh, tensors, n, NULL, 0));
    em_safetensors_close(&file);
    assert_int_equal(rename(fresh, path), 0);
}

typedef struct tensor_row {
    const char *checkpoint, *tensor;
    change how;
    em_status status;
    const char *words; /* beside the tensor's name */
} tensor_row;

#define LAYER "model.layers.0."

static const tensor_row tensor_rows[] = {
    {"qwen3", "model.embed_tokens.weight", DROP, FORMAT, "missing"},
    {"qwen3", "model.embed_tokens.weight", HALVE, FORMAT, "[128, 64], config.json asks for [256, 64]"},
    {"qwen3", "model.norm.weight", DROP, FORMAT, "missing"},
    {"qwen3", "model.norm.weight", NARROW, FORMAT, "[63], config.json asks for [64]"},
    {"qwen3", LAYER "input_layernorm.weight", INTEGER, UNSUPPORTED, "s32"},
    {"qwen3", LAYER "self_attn.q_norm.weight", DROP, FORMAT, "missing"},
    {"qwen3", LAYER "self_attn.k_norm.weight", NARROW, FORMAT, "[31]"},
    {"qwen3", LAYER "self_attn.q_proj.weight", NARROW, FORMAT, "[128, 63], config.json asks for [128, 64]"},
    {"qwen3", LAYER "self_attn.q_proj.weight", FLATTEN, FORMAT, "[8192], config.json asks for [128, 64]"},
    {"qwen3", LAYER "self_attn.q_proj.weight", INTEGER, UNSUPPORTED, "s32"},
    {"qwen3", LAYER "self_attn.k_proj.weight", HALVE, FORMAT, "[32, 64], config.json asks for [64, 64]"},
    {"qwen3", LAYER "self_attn.o_proj.weight", DROP, FORMAT, "missing"},
    {"qwen3", LAYER "mlp.down_proj.weight", RENAME, FORMAT, "missing"},
    {"qwen3-untied", "lm_head.weight", DROP, FORMAT, "missing"},
    {"qwen3-own-head", "lm_head.bias", ADD, FORMAT, "is not part of the qwen3 model"},
    {"qwen3-untied", LAYER "self_attn.o_proj.bias", DROP, FORMAT, "missing"},
    {"qwen2", LAYER "self_attn.v_proj.bias", DROP, FORMAT, "missing"},
    {"qwen2", LAYER "self_attn.k_proj.bias", NARROW, FORMAT, "[31]"},
    {"llama-bias", LAYER "mlp.up_proj.bias", DROP, FORMAT, "missing"},
    {"qwen3-4bit", LAYER "mlp.up_proj.scales", DROP, FORMAT, ""},
    {"qwen3-4bit", LAYER "mlp.up_proj.scales", NARROW, FORMAT, "config.json asks for [128, 1]"},
    {"qwen3-4bit", LAYER "mlp.up_proj.scales", HALVE, FORMAT, "[64, 1]"},
    {"qwen3-4bit", LAYER "mlp.up_proj.scales", INTEGER, FORMAT, "s32"},
    {"qwen3-4bit", LAYER "mlp.up_proj.biases", DROP, FORMAT, "missing"},
    {"qwen3-4bit", LAYER "mlp.up_proj.weight", DROP, FORMAT, "missing"},
    {"qwen3-4bit", LAYER "mlp.up_proj.weight", INTEGER, FORMAT, "s32"},
    {"qwen3-4bit", LAYER "mlp.up_proj.weight", DOUBLE, FORMAT, "[256, 4]"},
    {"qwen3-4bit", LAYER "mlp.up_proj.weight", FLATTEN, FORMAT, "[128, 8]"},
    {"qwen3-mxfp4", LAYER "mlp.up_proj.scales", NARROW, FORMAT, "config.json asks for [96, 2]"},
};

static void score(float *logprobs, size_t n)
{
    static const int32_t ids[] = {3, 1, 4, 1, 5, 9};
    em_model *model = em_model_open(dir, NULL);
    if (!model)
        fail_msg("%s", em_last_error());
    assert_int_equal(n, sizeof ids / sizeof *ids);
    EXPECT_OK(em_model_score(model, ids, n, logprobs));
    em_model_close(&model);
}

/* Not hostile: the one matrix of a tied checkpoint by the head's name. */
static void test_head_alone(void **state)
{
    (void)state;
    float want[6], got[6];
    use("qwen3");
    score(want, 6);
    rewrite("model.embed_tokens.weight", TO_HEAD);
    score(got, 6);
    assert_memory_equal(got, want, sizeof want);
    checkpoint_set(dir, "config.json", "tie_word_embeddings", "false");
    expect_refused(FORMAT, "safetensors", "model.embed_tokens.weight is missing");
}

static void test_tensors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tensor_rows / sizeof *tensor_rows; i++) {
        const tensor_row *row = &tensor_rows[i];
        char stem[256];
        use(row->checkpoint);
        rewrite(row->tensor, row->how);
        /* Without scales the weight itself is what does not fit. */
        snprintf(stem, sizeof stem, "%.*s", (int)(strrchr(row->tensor, '.') - row->tensor), row->tensor);
        expect_refused(row->status, "model.safetensors", row->words);
        expect_refused(row->status, stem, row->words);
    }
}

/* ---- files ---- */

static void test_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "[]", "null", "{}", "{\"rope_theta\": NaN}", "\xff\xfe"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        use("qwen3");
        checkpoint_write(dir, "config.json", texts[i]);
        expect_refused(FORMAT, "config.json", "");
        use("qwen3");
        if (strcmp(texts[i], "{}") != 0) {
            checkpoint_write(dir, "generation_config.json", texts[i]);
            expect_refused(FORMAT, "generation_config.json", "");
        }
    }
    use("qwen3");
    checkpoint_write(dir, "generation_config.json", "{\"eos_token_id\": [-5]}");
    expect_refused(FORMAT, "generation_config.json", "eos_token_id");
    use("qwen3");
    checkpoint_write(dir, "config.json", NULL);
    expect_refused(EM_ERROR_NOT_FOUND, "config.json", "");
    use("qwen3");
    checkpoint_write(dir, "model.safetensors", NULL);
    expect_refused(EM_ERROR_NOT_FOUND, "model.safetensors", "");
    use("qwen3-shards");
    checkpoint_write(dir, "model-00002-of-00003.safetensors", NULL);
    expect_refused(EM_ERROR_NOT_FOUND, "model-00002-of-00003.safetensors", "");
    checkpoint_write(dir, "model-00002-of-00003.safetensors", "short");
    expect_refused(FORMAT, "model-00002-of-00003.safetensors", "");
}

/* ---- prompts ---- */

static void test_prompts(void **state)
{
    (void)state;
    static const int32_t ids[] = {1, 256, -1, INT32_MIN, INT32_MAX};
    use("qwen3");
    em_model *model = em_model_open(dir, NULL);
    const em_generation_options options = {.struct_size = sizeof options, .context = 8};
    em_generation *g = em_generation_new(model, &options);
    if (!g)
        fail_msg("%s", em_last_error());
    for (size_t i = 1; i < sizeof ids / sizeof *ids; i++)
        EXPECT_ERROR(em_generate_ids(g, &ids[i], 1), EM_ERROR_INVALID_ARGUMENT, "");
    EXPECT_ERROR(em_generate_ids(g, ids, 0), EM_ERROR_INVALID_ARGUMENT, "");
    static const int32_t many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    EXPECT_ERROR(em_generate_ids(g, many, 9), EM_ERROR_INVALID_ARGUMENT, "context");
    EXPECT_OK(em_generate_ids(g, many, 4));
    em_generation_free(g);
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_words),   cmocka_unit_test(test_rope),
        cmocka_unit_test(test_families),     cmocka_unit_test(test_tensors), cmocka_unit_test(test_head_alone),
        cmocka_unit_test(test_quantization), cmocka_unit_test(test_files),   cmocka_unit_test(test_prompts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
