/* Opening and closing models, and what is known of them. */
#include "models/model.h"

#include <string.h>
#include <unistd.h>

#include <emily/hub.h>
#include <emily/template.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "core/options.h"
#include "io/file.h"
#include "models/decoder/decoder.h"
#include "models/tokenizer.h"
#include "models/weights.h"

em_status em__no_model(void)
{
    return em_last_status() != EM_OK ? em_last_status() : em__fail(EM_ERROR_INVALID_ARGUMENT, "the model is NULL");
}

em_status em__need_encoder(const em_model *model, const char *what)
{
    if (!model)
        return em__no_model();
    EM__FAIL_IF(model->decoder, EM_ERROR_UNSUPPORTED,
                "%s: %s is a %s model: it generates text and has no vectors; `emily generate` runs it", what,
                model->path, model->info.family);
    return EM_OK;
}

em_status em__need_decoder(const em_model *model, const char *what)
{
    if (!model)
        return em__no_model();
    EM__FAIL_IF(!model->decoder, EM_ERROR_UNSUPPORTED,
                "%s: %s is a %s model: it gives vectors and does not generate; `emily embed` runs it", what,
                model->path, model->info.family);
    return EM_OK;
}

static em_status take_options(em_model *model, const em_model_options *given)
{
    em_model_options options = {0};
    EM__TRY(EM__OPTIONS_COPY(given, &options, em_model_options));
    em_dtype dtype = options.dtype == EM_PRED ? EM_F32 : options.dtype;
    EM__FAIL_IF(dtype != EM_F32 && dtype != EM_F64 && dtype != EM_F16 && dtype != EM_BF16, EM_ERROR_INVALID_ARGUMENT,
                "model: dtype is %s, expected f32, f16, bf16 or f64", em_dtype_name(dtype));
    EM__FAIL_IF(options.lane < EM_LANE_FUSE || options.lane > EM_LANE_EAGER, EM_ERROR_INVALID_ARGUMENT,
                "model: lane is %d, expected EM_LANE_FUSE, EM_LANE_NATIVE or EM_LANE_EAGER", (int)options.lane);
    model->dtype = dtype;
    model->lane = options.lane;
    model->profile = options.profile;
    model->raw_weights = options.raw_weights;
    model->exact = options.exact;
    model->device = options.device ? options.device : em_device_default();
    return model->device ? EM_OK : em_last_status();
}

static em_status find_directory(em_model *model, const char *name)
{
    EM__FAIL_IF(!name || !*name, EM_ERROR_INVALID_ARGUMENT, "model: no name was given");
    EM__TRY(em_hub_resolve(name, NULL, &model->path));
    EM__FAIL_IF(!em__path_is_dir(model->path), EM_ERROR_NOT_FOUND, "%s: not a directory with a checkpoint", name);
    return EM_OK;
}

static em_status load_weights(em_model *model)
{
    em__source from = {NULL, model->dtype, model->device};
    EM__TRY(em__checkpoint_open(model->modules.transformer, &model->file));
    from.file = model->file;
    EM__TRY(em__weights_load(&from, model->family, &model->config, &model->weights));
    return em__stages_load(&model->modules, model->config.sizes[EM__HIDDEN], model->device, &model->width);
}

static em_status read_config(em_model *model)
{
    char *path = em__path_join(model->modules.transformer, "config.json");
    em_status status = path ? em__config_read(path, &model->config, &model->family) : EM_ERROR_OUT_OF_MEMORY;
    em__free(path);
    if (status != EM_OK)
        return status;
    const size_t limit = (size_t)model->modules.max_tokens;
    model->positions = (size_t)(model->config.sizes[EM__POSITIONS] - model->config.first_position);
    model->max_tokens = limit > 0 && limit < model->positions ? limit : model->positions;
    return EM_OK;
}

static em_status is_decoder(const em_model *model, bool *is)
{
    char *path = em__path_join(model->path, "config.json");
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    *is = false;
    em_status status = em__path_exists(path) ? em__decoder_config_is(path, is) : EM_OK;
    em__free(path);
    return status;
}

/* Of this machine. Packed weights must stay in it; the system can drop pages of a file. */
static size_t memory_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
}

static em_status load_decoder(em_model *model)
{
    EM__FAIL_IF(model->dtype != EM_F32, EM_ERROR_UNSUPPORTED,
                "model: dtype %s was asked for; models that generate compute in f32, with weights as they are stored",
                em_dtype_name(model->dtype));
    EM__TRY(em__checkpoint_open(model->path, &model->file));
    model->decoder = em__decoder_open(model->path, model->file, model->device, model->lane, model->profile);
    if (!model->decoder)
        return em_last_status();
    model->decoder->raw_weights = model->raw_weights || em_safetensors_bytes(model->file) > memory_bytes();
    model->decoder->exact = model->exact;
    model->positions = model->max_tokens = (size_t)model->decoder->config.positions;
    return EM_OK;
}

/* Config and weights here, the tokenizer on another thread. */
static em_status load(em_model *model)
{
    em__tokenizer_load tokenizer;
    bool decoder;
    EM__TRY(is_decoder(model, &decoder));
    if (decoder)
        return load_decoder(model);
    EM__TRY(em__modules_read(model->path, &model->modules));
    EM__TRY(read_config(model));
    em__tokenizer_start(&tokenizer, model->modules.transformer, model->modules.lowercase);
    em_status status = load_weights(model);
    if (status == EM_OK)
        status = em__tokenizer_join(&tokenizer, &model->tokenizer);
    else
        em__tokenizer_discard(&tokenizer);
    const em__side side = model->modules.truncation_side;
    model->truncate_left = status == EM_OK && (side == EM__SIDE_UNSAID ? em_tokenizer_truncates_left(model->tokenizer)
                                                                       : side == EM__SIDE_LEFT);
    return status;
}

static size_t matrix_parameters(const em__matrix *m)
{
    size_t size = em_array_size(m->weight) + em_array_size(m->bias);
    return m->weight ? size : size + em_array_size(m->codes.codes) * 32 / (size_t)m->how.bits;
}

static size_t matrix_bytes(const em__matrix *m)
{
    return em_array_bytes(m->weight) + em_array_bytes(m->codes.codes) + em_array_bytes(m->codes.scales) +
           em_array_bytes(m->codes.biases);
}

static size_t decoder_parameters(const em__decoder *d)
{
    const em__decoder_weights *w = &d->weights;
    size_t count = matrix_parameters(&w->embedding) + em_array_size(w->norm);
    count += w->tied ? 0 : matrix_parameters(&w->head);
    for (int64_t i = 0; i < d->config.layers; i++) {
        const em__decoder_layer *l = &w->layers[i];
        const em__matrix *const all[] = {&l->query, &l->key, &l->value, &l->out, &l->gate, &l->up, &l->down};
        for (size_t m = 0; m < sizeof all / sizeof *all; m++)
            count += matrix_parameters(all[m]);
        count += em_array_size(l->attention_norm) + em_array_size(l->mlp_norm) + em_array_size(l->query_norm) +
                 em_array_size(l->key_norm);
    }
    return count;
}

/* Whether the template of a chat without tools can be parsed; EM_ERROR_NOT_FOUND: there is none. */
static em_status try_template(const char *dir)
{
    em_chat_template *chat = NULL;
    em_template *parsed = NULL;
    em_status status = em_chat_template_open(dir, &chat);
    const char *source = em_chat_template_source(chat, false);
    if (status == EM_OK)
        status = em_template_parse(source, strlen(source), NULL, &parsed);
    em_template_free(parsed);
    em_chat_template_free(chat);
    return status;
}

/* What a checkpoint that generates brings along for it. */
static em_status abilities(const char *dir, const char **can)
{
    char *path = em__path_join(dir, "tokenizer.json");
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    bool tokenizer = em__path_is_file(path);
    em__free(path);
    const em_status status = try_template(dir);
    *can = !tokenizer                     ? "generate from token ids"
           : status == EM_OK              ? "generate, chat, tokenize"
           : status == EM_ERROR_NOT_FOUND ? "generate, tokenize"
                                          : "generate from raw text (the chat template can't be read), tokenize";
    return status == EM_ERROR_OUT_OF_MEMORY ? status : EM_OK;
}

static void describe_decoder(em_model *model)
{
    em_model_info *info = &model->info;
    const em__decoder *d = model->decoder;
    const em__decoder_config *c = &d->config;
    const em__matrix *first = &d->weights.layers[0].query;
    info->architecture = c->architecture;
    info->family = c->family->name;
    info->parameters = decoder_parameters(d);
    info->dtype = em__decoder_dtype(&d->weights, first);
    info->quantized_bits = first->weight ? 0 : first->how.bits;
    info->quantized_group = first->weight ? 0 : first->how.group;
    info->layers = (int)c->layers;
    info->hidden = (int)c->hidden;
    info->heads = (int)c->heads;
    info->kv_heads = (int)c->kv_heads;
    info->head_dim = (int)c->head_dim;
    info->intermediate = (int)c->intermediate;
    info->positions = (int)c->positions;
    info->vocabulary = (int)c->vocabulary;
    info->token_bytes = em_safetensors_bytes(model->file) - (d->weights.tied ? 0 : matrix_bytes(&d->weights.embedding));
}

static void describe_encoder(em_model *model)
{
    em_model_info *info = &model->info;
    const em_safetensors_tensor *t;
    const int64_t *sizes = model->config.sizes;
    const em__modules *m = &model->modules;
    for (size_t i = 0; (t = em_safetensors_at(model->file, i)); i++)
        if (em_dtype_get_kind(t->dtype) == EM_KIND_FLOAT)
            info->parameters += t->nbytes / em_dtype_size(t->dtype);
    info->architecture = model->config.architecture;
    info->family = model->family->name;
    info->dtype = em_array_dtype(model->weights.shared[0]);
    info->layers = (int)model->config.layers;
    info->hidden = (int)sizes[EM__HIDDEN];
    info->heads = (int)sizes[EM__HEADS];
    info->intermediate = (int)sizes[EM__INTERMEDIATE];
    info->positions = (int)model->positions;
    info->vocabulary = (int)sizes[EM__VOCABULARY];
    info->kv_heads = info->heads;
    info->head_dim = info->hidden / info->heads;
    info->pooling = m->pools[0];
    info->poolings = m->pools;
    info->n_poolings = (size_t)m->n_pools;
    info->normalize = m->n_stages > 0 && !m->stages[m->n_stages - 1].dir;
    info->plain = m->plain;
    info->width = (int)em__task_width(model, &(em__task){0});
    info->whole_width = (int)model->width;
    info->similarity = m->similarity;
    info->prompts = m->n_prompts;
    info->can = "embed, search, tokenize";
}

static void describe(em_model *model)
{
    em_model_info *info = &model->info;
    info->path = model->path;
    info->weight_bytes = em_safetensors_bytes(model->file);
    info->weight_files = em_safetensors_file_count(model->file);
    info->tensors = em_safetensors_count(model->file);
    info->max_tokens = model->max_tokens;
    info->truncate_left = model->truncate_left;
    if (model->decoder)
        describe_decoder(model);
    else
        describe_encoder(model);
}

em_model *em_model_open(const char *name, const em_model_options *options)
{
    uint64_t start = em__now();
    em_model *model = em__calloc(1, sizeof *model);
    if (!model)
        return NULL;
    atomic_init(&model->refs, 1);
    pthread_mutex_init(&model->lock, NULL);
    em_status status = take_options(model, options);
    if (status == EM_OK)
        status = find_directory(model, name);
    if (status == EM_OK)
        status = load(model);
    if (status != EM_OK) {
        em_model_close(&model);
        return NULL;
    }
    describe(model);
    if (model->modules.plain && !model->decoder)
        em__log(EM_LOG_INFO, "%s: no modules.json; sentence vectors are mean pooled", model->path);
    if (em__telemetry_wanted())
        em__telemetry("load", model->path, em__now() - start);
    return model;
}

void em_model_close(em_model **model)
{
    em_model *m = model ? *model : NULL;
    if (!m)
        return;
    *model = NULL;
    if (atomic_fetch_sub(&m->refs, 1) > 1)
        return;
    em__programs_clear(&m->programs);
    em__decoder_close(m->decoder);
    em__weights_free(&m->weights);
    em__modules_free(&m->modules);
    em__config_free(&m->config);
    em_safetensors_close(&m->file);
    em_tokenizer_free(m->tokenizer);
    em__free(m->path);
    pthread_mutex_destroy(&m->lock);
    em__free(m);
}

em_model *em__model_retain(em_model *model)
{
    atomic_fetch_add(&model->refs, 1);
    return model;
}

em_status em_model_get_info(const em_model *model, em_model_info *info)
{
    if (!model)
        return em__no_model();
    EM__FAIL_IF(!info, EM_ERROR_INVALID_ARGUMENT, "model: info is NULL");
    em_model_info made = model->info;
    if (model->decoder)
        EM__TRY(abilities(model->path, &made.can));
    return em__result_give(&made, info, sizeof made, "em_model_info");
}

bool em_model_prompt(const em_model *model, size_t index, const char **name, const char **text, bool *is_default)
{
    if (!model || index >= model->modules.n_prompts)
        return false;
    const em__prompt *prompt = &model->modules.prompts[index];
    *name = prompt->name;
    *text = prompt->text;
    if (is_default)
        *is_default = prompt->text == model->modules.default_prompt;
    return true;
}

/* A decoder's tokenizer is large, and ids need none: it is read when first wanted. */
static em_status read_tokenizer(em_model *model)
{
    return em_tokenizer_open(model->path, &model->tokenizer);
}

em_status em__model_tokenizer(const em_model *model, const em_tokenizer **tokenizer)
{
    em_model *m = (em_model *)model; /* only what is read late changes, under the lock */
    em_status status = EM_OK;
    *tokenizer = NULL;
    if (!model)
        return em__no_model();
    if (m->decoder) {
        pthread_mutex_lock(&m->lock);
        if (!m->tokenizer)
            status = read_tokenizer(m);
        pthread_mutex_unlock(&m->lock);
    }
    *tokenizer = m->tokenizer;
    return status;
}

const em_tokenizer *em__model_tokenizer_if_read(const em_model *model)
{
    em_model *m = (em_model *)model; /* the lock */
    pthread_mutex_lock(&m->lock);
    const em_tokenizer *tokenizer = m->tokenizer;
    pthread_mutex_unlock(&m->lock);
    return tokenizer;
}

const em_tokenizer *em_model_tokenizer(const em_model *model)
{
    const em_tokenizer *tokenizer;
    return model && em__model_tokenizer(model, &tokenizer) == EM_OK ? tokenizer : NULL;
}
