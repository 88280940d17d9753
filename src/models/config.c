/* config.json: the fields that all encoder families share, and the choice of the family. */
#include "models/config.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "models/decoder/config.h"
#include "models/family.h"

/* Bounds that no real encoder comes near; what they keep out is files made to exhaust memory. */
enum { MAX_LAYERS = 1024, MAX_WIDTH = 1 << 17, MAX_VOCABULARY = 1 << 26, MAX_POSITIONS = 1 << 20, MAX_HEADS = 4096 };

static const struct {
    const char *name;
    em__activation activation;
} activations[] = {
    {"gelu", EM__GELU}, {"gelu_python", EM__GELU}, {"gelu_new", EM__GELU_TANH}, {"gelu_pytorch_tanh", EM__GELU_TANH},
    {"relu", EM__RELU}, {"silu", EM__SILU},        {"swish", EM__SILU},
};

em_status em__config_not_true(const em__json *root, const char *key)
{
    bool set = false;
    EM__TRY(em__json_opt_bool(root, key, &set));
    return set ? em__json_fail(root, EM_ERROR_UNSUPPORTED, "%s is true; only encoders without it are supported", key)
               : EM_OK;
}

em_status em__config_only(const em__json *root, const char *key, const char *only)
{
    const char *value = only;
    char shown[64];
    EM__TRY(em__json_opt_string(root, key, &value));
    if (strcmp(value, only) == 0)
        return EM_OK;
    return em__json_fail(root, EM_ERROR_UNSUPPORTED, "%s is %s, supported: %s", key,
                         em__printable(shown, sizeof shown, value), only);
}

/* "bert, roberta, mpnet, qwen3" */
static em_status list_families(em__str *text)
{
    const em__family *family;
    const em__decoder_family *decoder;
    for (size_t i = 0; (family = em__family_at(i)); i++)
        EM__TRY(em__str_addf(text, "%s%s", i ? ", " : "", family->name));
    for (size_t i = 0; (decoder = em__decoder_family_at(i)); i++)
        EM__TRY(em__str_addf(text, ", %s", decoder->name));
    return EM_OK;
}

/* "BertModel, BertForMaskedLM" */
static em_status list_architectures(em__str *text, const em__family *family)
{
    for (size_t i = 0; family->architectures[i]; i++)
        EM__TRY(em__str_addf(text, "%s%s", i ? ", " : "", family->architectures[i]));
    return EM_OK;
}

/* What is: the families, or the architectures of this one. */
static em_status unsupported(const em__json *root, const char *what, const char *value, const em__family *family)
{
    em__str text = {0};
    char shown[64];
    em_status status = family ? list_architectures(&text, family) : list_families(&text);
    if (status == EM_OK)
        status = em__json_fail(root, EM_ERROR_UNSUPPORTED, "%s %s is not supported; supported: %s", what,
                               em__printable(shown, sizeof shown, value), em__str_text(&text));
    em__str_free(&text);
    return status;
}

static bool has_architecture(const em__family *family, const char *architecture)
{
    for (size_t i = 0; family->architectures[i]; i++)
        if (strcmp(family->architectures[i], architecture) == 0)
            return true;
    return false;
}

/* By model_type; by architectures[0] where an old file has no model_type. Both must be known where both are given. */
static em_status choose_family(const em__json *root, const em__family **family, const char **architecture)
{
    const char *type = NULL;
    em__json list;
    size_t count;
    *architecture = NULL;
    EM__TRY(em__json_opt_string(root, "model_type", &type));
    EM__TRY(em__json_opt_array(root, "architectures", &list, &count));
    if (count > 0) {
        em__json first = em__json_item(&list, 0);
        EM__TRY(em__json_as_string(&first, architecture));
    }
    if (!type && !*architecture)
        return em__json_fail(root, EM_ERROR_FORMAT, "neither model_type nor architectures says what the model is");
    for (size_t i = 0; (*family = em__family_at(i)); i++)
        if (type ? strcmp((*family)->name, type) == 0 : has_architecture(*family, *architecture))
            break;
    if (!*family)
        return unsupported(root, type ? "model_type" : "architecture", type ? type : *architecture, NULL);
    if (!*architecture)
        *architecture = (*family)->architectures[0];
    return has_architecture(*family, *architecture) ? EM_OK : unsupported(root, "architecture", *architecture, *family);
}

em_status em__config_activation(const em__json *root, const char *key, const char *name, em__activation *activation)
{
    char shown[64];
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcmp(activations[i].name, name) == 0) {
            *activation = activations[i].activation;
            return EM_OK;
        }
    return em__json_fail(root, EM_ERROR_UNSUPPORTED,
                         "%s %s is not supported; supported: gelu, gelu_new, gelu_pytorch_tanh, relu, silu", key,
                         em__printable(shown, sizeof shown, name));
}

em_status em__config_pad_positions(const em__json *root, int64_t padding, em__config *config)
{
    const int64_t positions = config->sizes[EM__POSITIONS];
    if (positions <= padding + 1)
        return em__json_fail(root, EM_ERROR_FORMAT, "max_position_embeddings is %lld, but positions begin at %lld",
                             (long long)positions, (long long)padding + 1);
    config->padding = (int32_t)padding;
    config->first_position = (int32_t)padding + 1;
    return EM_OK;
}

const em__config_names em__bert_names = {.hidden = "hidden_size",
                                         .layers = "num_hidden_layers",
                                         .heads = "num_attention_heads",
                                         .intermediate = "intermediate_size",
                                         .activation = "hidden_act",
                                         .norm_eps = "layer_norm_eps"};

static em_status read_activation(const em__json *root, const char *key, em__activation *activation)
{
    const char *name = "gelu";
    EM__TRY(em__json_opt_string(root, key, &name));
    return em__config_activation(root, key, name, activation);
}

static em_status read_sizes(const em__json *root, const em__config_names *names, em__config *c)
{
    int64_t *sizes = c->sizes;
    sizes[EM__ONE] = 1;
    EM__TRY(em__json_get_int(root, names->hidden, 1, MAX_WIDTH, &sizes[EM__HIDDEN]));
    EM__TRY(em__json_get_int(root, names->layers, 1, MAX_LAYERS, &c->layers));
    EM__TRY(em__json_get_int(root, names->heads, 1, MAX_HEADS, &sizes[EM__HEADS]));
    EM__TRY(em__json_get_int(root, names->intermediate, 1, MAX_WIDTH, &sizes[EM__INTERMEDIATE]));
    EM__TRY(em__json_get_int(root, "vocab_size", 1, MAX_VOCABULARY, &sizes[EM__VOCABULARY]));
    EM__TRY(em__json_get_int(root, "max_position_embeddings", 1, MAX_POSITIONS, &sizes[EM__POSITIONS]));
    if (sizes[EM__HIDDEN] % sizes[EM__HEADS] == 0)
        return EM_OK;
    return em__json_fail(root, EM_ERROR_FORMAT, "%s is %lld, %s is %lld: the first must be a multiple of the second",
                         names->hidden, (long long)sizes[EM__HIDDEN], names->heads, (long long)sizes[EM__HEADS]);
}

typedef struct config_reading {
    em__config *config;
    const em__family **family;
} config_reading;

static em_status read_fields(const em__json *root, void *into)
{
    const config_reading *reading = into;
    const em__family **const family = reading->family;
    em__config *const config = reading->config;
    const char *architecture;
    EM__TRY(choose_family(root, family, &architecture));
    const em__config_names *names = (*family)->names;
    EM__TRY(read_sizes(root, names, config));
    EM__TRY(read_activation(root, names->activation, &config->activation));
    config->layer_norm_eps = 1e-12;
    if (names->norm_eps)
        EM__TRY(em__json_opt_real(root, names->norm_eps, 0, 1, &config->layer_norm_eps));
    config->padding = -1;
    if ((*family)->configure)
        EM__TRY((*family)->configure(root, config));
    config->architecture = em__strdup(architecture);
    return config->architecture ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

em_status em__config_read(const char *path, em__config *config, const em__family **family)
{
    config_reading reading = {config, family};
    memset(config, 0, sizeof *config);
    const em_status status = em__json_read(path, read_fields, &reading);
    if (status != EM_OK)
        em__config_free(config);
    return status;
}

void em__config_free(em__config *config)
{
    em__free(config->architecture);
    memset(config, 0, sizeof *config);
}
