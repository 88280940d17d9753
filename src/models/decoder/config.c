/* See config.h. Field names and defaults are those of the configuration classes of Transformers. */
#include "models/decoder/config.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"

enum {
    MAX_LAYERS = EM__DECODER_MAX_LAYERS,
    MAX_WIDTH = 1 << 18,
    MAX_VOCABULARY = 1 << 26,
    MAX_HEADS = 4096,
    MAX_HEAD = 4096
};
#define MAX_POSITIONS ((int64_t)1 << 30)

static em_status read_kind(const em__json *root, void *is)
{
    const char *type = NULL;
    EM__TRY(em__json_opt_string(root, "model_type", &type));
    *(bool *)is = type && em__decoder_family_find(type);
    return EM_OK;
}

em_status em__decoder_config_is(const char *path, bool *is)
{
    *is = false;
    return em__json_read(path, read_kind, is);
}

static em_status read_head_sizes(const em__json *root, em__decoder_config *c)
{
    EM__TRY(em__json_get_int(root, "num_attention_heads", 1, MAX_HEADS, &c->heads));
    c->kv_heads = c->heads;
    EM__TRY(em__json_opt_int(root, "num_key_value_heads", 1, MAX_HEADS, &c->kv_heads));
    if (c->heads % c->kv_heads != 0)
        return em__json_fail(root, EM_ERROR_FORMAT,
                             "num_attention_heads is %lld, num_key_value_heads is %lld: the first must be a multiple "
                             "of the second",
                             (long long)c->heads, (long long)c->kv_heads);
    bool given = em__json_has(root, "head_dim");
    if (!given && c->hidden % c->heads != 0)
        return em__json_fail(root, EM_ERROR_FORMAT,
                             "hidden_size %lld is no multiple of num_attention_heads %lld, and there is no head_dim",
                             (long long)c->hidden, (long long)c->heads);
    c->head_dim = c->hidden / c->heads;
    EM__TRY(em__json_opt_int(root, "head_dim", 1, MAX_HEAD, &c->head_dim));
    if (c->head_dim % 2 != 0 || c->head_dim == 0)
        return em__json_fail(root, EM_ERROR_FORMAT, "head_dim is %lld; it must be even", (long long)c->head_dim);
    return EM_OK;
}

static em_status read_sizes(const em__json *root, em__decoder_config *c)
{
    EM__TRY(em__json_get_int(root, "hidden_size", 1, MAX_WIDTH, &c->hidden));
    EM__TRY(em__json_get_int(root, "intermediate_size", 1, MAX_WIDTH, &c->intermediate));
    EM__TRY(em__json_get_int(root, "num_hidden_layers", 1, MAX_LAYERS, &c->layers));
    EM__TRY(em__json_get_int(root, "vocab_size", 1, MAX_VOCABULARY, &c->vocabulary));
    c->positions = 2048;
    EM__TRY(em__json_opt_int(root, "max_position_embeddings", 1, MAX_POSITIONS, &c->positions));
    c->norm_eps = 1e-6;
    EM__TRY(em__json_opt_real(root, "rms_norm_eps", 0, 1, &c->norm_eps));
    return read_head_sizes(root, c);
}

static em_status read_parts(const em__json *root, em__decoder_config *c)
{
    bool bias = false, causal = true;
    c->tied = c->family->tied;
    EM__TRY(em__json_opt_bool(root, "tie_word_embeddings", &c->tied));
    EM__TRY(em__json_opt_bool(root, "attention_bias", &bias));
    EM__TRY(em__json_opt_bool(root, "mlp_bias", &c->mlp_bias));
    EM__TRY(em__json_opt_bool(root, "is_causal", &causal));
    c->both_ways = !causal;
    c->qkv_bias = bias || c->family->qkv_bias;
    c->output_bias = bias && !c->family->qkv_bias;
    const char *activation = "silu";
    EM__TRY(em__json_opt_string(root, "hidden_act", &activation));
    EM__TRY(em__json_opt_string(root, "hidden_activation", &activation));
    return em__config_activation(root, "hidden_act", activation, &c->activation);
}

/* Layers that attend to a window: as layer_types says, or from max_window_layers on. */
static em_status read_windows(const em__json *root, em__decoder_config *c)
{
    bool use = c->family->always_window;
    bool said = em__json_member(root, "sliding_window").value != NULL; /* null is said: none */
    int64_t window = said || c->family->some_without_rope ? 0 : 4096,
            first = c->family->always_window || c->family->some_without_rope ? 0 : 28;
    em__json types;
    size_t count;
    EM__TRY(em__json_opt_bool(root, "use_sliding_window", &use));
    EM__TRY(em__json_opt_int(root, "sliding_window", 1, MAX_POSITIONS, &window));
    EM__TRY(em__json_opt_int(root, "max_window_layers", 0, MAX_LAYERS, &first));
    EM__TRY(em__json_opt_array(root, "layer_types", &types, &count));
    if (types.value && count != (size_t)c->layers)
        return em__json_fail(&types, EM_ERROR_FORMAT, "%zu layers, num_hidden_layers is %lld", count,
                             (long long)c->layers);
    for (int64_t i = 0; i < c->layers; i++) {
        const char *type =
            i >= first && !(c->family->some_without_rope && c->each[i].rope) ? "sliding_attention" : "full_attention";
        if (types.value) {
            em__json item = em__json_item(&types, (size_t)i);
            EM__TRY(em__json_as_string(&item, &type));
            char shown[64];
            if (strcmp(type, "sliding_attention") != 0 && strcmp(type, "full_attention") != 0)
                return em__json_fail(&item, EM_ERROR_UNSUPPORTED,
                                     "%s is not supported; supported: full_attention, sliding_attention",
                                     em__printable(shown, sizeof shown, type));
        }
        c->each[i].window = use && strcmp(type, "sliding_attention") == 0 ? window : 0;
    }
    return EM_OK;
}

/* Layers whose queries and keys do not turn. */
static em_status read_rope_layers(const em__json *root, em__decoder_config *c)
{
    int64_t interval = 4;
    em__json list;
    size_t count;
    for (int64_t i = 0; i < c->layers; i++)
        c->each[i].rope = true;
    if (!c->family->some_without_rope)
        return EM_OK;
    EM__TRY(em__json_opt_int(root, "no_rope_layer_interval", 1, MAX_LAYERS, &interval));
    EM__TRY(em__json_opt_array(root, "no_rope_layers", &list, &count));
    if (list.value && count < (size_t)c->layers)
        return em__json_fail(&list, EM_ERROR_FORMAT, "%zu layers, num_hidden_layers is %lld", count,
                             (long long)c->layers);
    for (int64_t i = 0; i < c->layers; i++) {
        int64_t on = (i + 1) % interval != 0;
        if (list.value) {
            em__json item = em__json_item(&list, (size_t)i);
            EM__TRY(em__json_as_int(&item, 0, 1, &on));
        }
        c->each[i].rope = on != 0;
    }
    return EM_OK;
}

/* Which tokens end an answer; replaces what is known where the file says it. */
static em_status read_ends(const em__json *root, em__decoder_config *c)
{
    em__json eos = em__json_member(root, "eos_token_id");
    int64_t id = c->bos;
    EM__TRY(em__json_opt_int(root, "bos_token_id", 0, MAX_VOCABULARY, &id));
    c->bos = (int32_t)id;
    if (!em__json_has(root, "eos_token_id"))
        return EM_OK;
    size_t count = 1;
    bool list = json_is_array(eos.value);
    if (list)
        EM__TRY(em__json_as_array(&eos, &count));
    if (count > EM__MAX_EOS)
        return em__json_fail(&eos, EM_ERROR_UNSUPPORTED, "%zu tokens end an answer; at most %d are supported", count,
                             EM__MAX_EOS);
    for (size_t i = 0; i < count; i++) {
        em__json item = list ? em__json_item(&eos, i) : eos;
        EM__TRY(em__json_as_int(&item, 0, MAX_VOCABULARY, &id));
        c->eos[i] = (int32_t)id;
    }
    c->n_eos = (int)count;
    return EM_OK;
}

/* "Qwen3Model" where the one with a head is "Qwen3ForCausalLM". */
static bool is_headless(const em__decoder_family *family, const char *name)
{
    const size_t stem = strlen(family->architecture) - strlen("ForCausalLM");
    return strncmp(name, family->architecture, stem) == 0 && strcmp(name + stem, "Model") == 0;
}

static em_status read_architecture(const em__json *root, em__decoder_config *c)
{
    const char *type, *name = NULL;
    char shown[64];
    em__json list;
    size_t count;
    EM__TRY(em__json_get_string(root, "model_type", &type));
    c->family = em__decoder_family_find(type);
    if (!c->family)
        return em__json_fail(root, EM_ERROR_UNSUPPORTED, "model_type %s is not a decoder's",
                             em__printable(shown, sizeof shown, type));
    EM__TRY(em__json_opt_array(root, "architectures", &list, &count));
    if (count > 0) {
        em__json first = em__json_item(&list, 0);
        EM__TRY(em__json_as_string(&first, &name));
    }
    c->headless = name && is_headless(c->family, name);
    if (name && !c->headless && strcmp(name, c->family->architecture) != 0)
        return em__json_fail(root, EM_ERROR_UNSUPPORTED, "architecture %s is not supported; of model_type %s: %s",
                             em__printable(shown, sizeof shown, name), c->family->name, c->family->architecture);
    c->architecture = em__strdup(name ? name : c->family->architecture);
    return c->architecture ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static em_status read_fields(const em__json *root, void *config)
{
    em__decoder_config *c = config;
    c->bos = -1;
    EM__TRY(read_architecture(root, c));
    EM__TRY(read_sizes(root, c));
    EM__TRY(read_parts(root, c));
    c->each = em__calloc((size_t)c->layers, sizeof *c->each);
    if (!c->each)
        return EM_ERROR_OUT_OF_MEMORY;
    EM__TRY(em__rope_read(root, c->family->theta, c->head_dim, c->positions, &c->rope));
    EM__TRY(read_rope_layers(root, c));
    EM__TRY(read_windows(root, c));
    EM__TRY(em__decoder_quantization_read(root, c));
    return read_ends(root, c);
}

/* generation_config.json */
static em_status read_generation(const em__json *root, void *config)
{
    em__decoder_config *c = config;
    bool sample = false;
    double temperature = 1;
    EM__TRY(read_ends(root, c));
    EM__TRY(em__json_opt_bool(root, "do_sample", &sample));
    EM__TRY(em__json_opt_real(root, "repetition_penalty", 0, 1e6, &c->recommended.repetition_penalty));
    if (!sample)
        return EM_OK;
    EM__TRY(em__json_opt_real(root, "temperature", 0, 1e6, &temperature));
    EM__TRY(em__json_opt_real(root, "top_k", 0, 1e9, &c->recommended.top_k));
    EM__TRY(em__json_opt_real(root, "top_p", 0, 1, &c->recommended.top_p));
    EM__TRY(em__json_opt_real(root, "min_p", 0, 1, &c->recommended.min_p));
    c->recommended.temperature = temperature;
    return EM_OK;
}

em_status em__decoder_config_read(const char *dir, em__decoder_config *config)
{
    bool there;
    memset(config, 0, sizeof *config);
    em_status status = em__json_read_at(dir, "config.json", NULL, read_fields, config);
    if (status == EM_OK)
        status = em__json_read_at(dir, "generation_config.json", &there, read_generation, config);
    if (status != EM_OK)
        em__decoder_config_free(config);
    return status;
}

void em__decoder_config_free(em__decoder_config *config)
{
    for (size_t i = 0; i < config->n_overrides; i++)
        em__free(config->overrides[i].name);
    em__free(config->overrides);
    em__free(config->each);
    em__free(config->architecture);
    memset(config, 0, sizeof *config);
}
