/* Opening and closing models, and what is known of them. */
#include "models/model.h"

#include <string.h>
#include <unistd.h>

#include <emily/hub.h>

#include "core/alloc.h"
#include "core/cause.h"
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

em_status em__need_vectors(const em_model *model, const char *what)
{
    if (!model)
        return em__no_model();
    if (model->no_vectors) {
        em__error_put_back(model->no_vectors);
        return em__context(model->no_vectors->status, "%s: %s has no vectors", what, model->path);
    }
    EM__FAIL_IF(!model->vectors && !model->info.generates, EM_ERROR_UNSUPPORTED,
                "%s: %s is a %s model without modules.json and without a language model's head: it gives neither "
                "vectors nor text; sentence-transformers' modules.json would make it give vectors",
                what, model->path, model->info.family);
    EM__FAIL_IF(!model->vectors, EM_ERROR_UNSUPPORTED,
                "%s: %s is a %s model without modules.json: it generates text and has no vectors; `emily generate` "
                "runs it",
                what, model->path, model->info.family);
    return EM_OK;
}

em_status em__need_decoder(const em_model *model, const char *what)
{
    if (!model)
        return em__no_model();
    EM__FAIL_IF(!model->decoder, EM_ERROR_UNSUPPORTED,
                "%s: %s is a %s model: it gives vectors and does not generate; `emily embed` runs it", what,
                model->path, model->info.family);
    EM__FAIL_IF(!em__decoder_has_head(&model->decoder->weights), EM_ERROR_UNSUPPORTED,
                "%s: %s is a %s model without a language model's head (lm_head.weight): it does not generate; `emily "
                "info` says what it can do",
                what, model->path, model->info.family);
    return EM_OK;
}

const char *em__model_dir(const em_model *model)
{
    return model->modules.transformer ? model->modules.transformer : model->path;
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

static void find_limits(em_model *model)
{
    const em__modules *m = &model->modules;
    const int64_t limits[EM__TASK_COUNT] = {m->max_tokens, m->query_tokens, m->document_tokens};
    model->positions = (size_t)(model->config.sizes[EM__POSITIONS] - model->config.first_position);
    for (int task = 0; task < EM__TASK_COUNT; task++) {
        const size_t limit = (size_t)(limits[task] ? limits[task] : m->max_tokens);
        model->max_tokens[task] = limit > 0 && limit < model->positions ? limit : model->positions;
    }
}

static em_status read_config(em_model *model)
{
    char *path = em__path_join(model->modules.transformer, "config.json");
    em_status status = path ? em__config_read(path, &model->config, &model->family) : EM_ERROR_OUT_OF_MEMORY;
    em__free(path);
    if (status != EM_OK)
        return status;
    find_limits(model);
    return EM_OK;
}

static em_status is_decoder(const char *dir, bool *is)
{
    char *path = em__path_join(dir, "config.json");
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

static em_status load_decoder(em_model *model, const char *dir)
{
    EM__FAIL_IF(model->dtype != EM_F32, EM_ERROR_UNSUPPORTED,
                "model: dtype %s was asked for; decoders compute in f32, with weights as they are stored",
                em_dtype_name(model->dtype));
    EM__TRY(em__checkpoint_open(dir, &model->file));
    model->decoder = em__decoder_open(dir, model->file, model->device, model->lane, model->profile);
    if (!model->decoder)
        return em_last_status();
    model->decoder->raw_weights = model->raw_weights || em_safetensors_bytes(model->file) > memory_bytes();
    model->decoder->exact = model->exact;
    const em__decoder_config *c = &model->decoder->config;
    model->config.padding = -1;
    model->config.sizes[EM__HIDDEN] = c->hidden;
    model->config.sizes[EM__VOCABULARY] = c->vocabulary;
    model->config.sizes[EM__POSITIONS] = c->positions;
    find_limits(model);
    return EM_OK;
}

/* The last error becomes the reason; `before` is what it was before. */
static em_status keep_reason(em_model *model, const em__error *before)
{
    model->no_vectors = em__alloc(sizeof *model->no_vectors);
    if (!model->no_vectors)
        return EM_ERROR_OUT_OF_MEMORY;
    *model->no_vectors = em__error_now();
    em__error_put_back(before);
    return EM_OK;
}

/* What is beside a decoder that also generates must not keep it from that: what is wrong with it is told to those who
 * want vectors. */
static em_status load_stages(em_model *model)
{
    const em__error before = em__error_now();
    em__modules *m = &model->modules;
    em_status status = em__modules_read(model->path, m);
    if (status == EM_OK && !m->plain && strcmp(m->transformer, model->path) != 0)
        status = em__fail(EM_ERROR_UNSUPPORTED, "modules.json names another transformer than the one beside it");
    if (status == EM_OK && !m->plain)
        status = em__stages_load(m, model->config.sizes[EM__HIDDEN], model->device, &model->width);
    model->vectors = status == EM_OK && !m->plain;
    if (status != EM_OK && status != EM_ERROR_OUT_OF_MEMORY)
        status = keep_reason(model, &before);
    if (!model->vectors)
        em__modules_free(m);
    find_limits(model);
    return status;
}

/* Once the tokenizer is there. */
static void find_side(em_model *model)
{
    const em__side side = model->modules.truncation_side;
    model->truncate_left =
        side == EM__SIDE_UNSAID ? em_tokenizer_truncates_left(model->tokenizer) : side == EM__SIDE_LEFT;
}

/* Config and weights here, the tokenizer on another thread. */
static em_status load(em_model *model)
{
    em__tokenizer_load tokenizer;
    bool decoder;
    EM__TRY(is_decoder(model->path, &decoder));
    if (decoder) {
        EM__TRY(load_decoder(model, model->path));
        return load_stages(model);
    }
    EM__TRY(em__modules_read(model->path, &model->modules));
    model->vectors = true;
    EM__TRY(is_decoder(model->modules.transformer, &decoder));
    if (decoder) {
        EM__TRY(load_decoder(model, model->modules.transformer));
        return em__stages_load(&model->modules, model->config.sizes[EM__HIDDEN], model->device, &model->width);
    }
    EM__TRY(read_config(model));
    em__tokenizer_start(&tokenizer, model->modules.transformer, model->modules.lowercase);
    em_status status = load_weights(model);
    if (status == EM_OK)
        status = em__tokenizer_join(&tokenizer, &model->tokenizer);
    else
        em__tokenizer_discard(&tokenizer);
    find_side(model);
    return status;
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
    em__model_describe(model);
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
    em__free(m->no_vectors);
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
    if (model->decoder) {
        const em__error before = em__error_now(); /* there may be no chat template, say */
        EM__TRY(em__model_describe_late(model, &made));
        em__error_put_back(&before);
    }
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
    EM__TRY(em__tokenizer_read(em__model_dir(model), model->modules.lowercase, &model->tokenizer));
    find_side(model);
    return EM_OK;
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
