/* What is known of an open model: em_model_info. */
#include <string.h>

#include <emily/template.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/options.h"
#include "io/file.h"
#include "models/decoder/decoder.h"
#include "models/model.h"

static size_t matrix_parameters(const em__matrix *m)
{
    size_t size = em_array_size(m->weight) + em_array_size(m->bias);
    return m->codes.codes ? size + em_array_size(m->codes.codes) * 32 / (size_t)m->how.bits : size;
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

/* What a decoder with a tokenizer can do: by its vectors, its head, and its chat template. */
static const char *list_abilities(const em_model *model, em_status template)
{
    enum { CHAT, NO_CHAT, BAD_CHAT };
    static const char *const lists[2][3] = {
        {"generate, chat, tokenize", "generate, tokenize",
         "generate from raw text (the chat template can't be read), tokenize"},
        {"embed, search, generate, chat, tokenize", "embed, search, generate, tokenize",
         "embed, search, generate from raw text (the chat template can't be read), tokenize"}};
    if (!model->info.generates)
        return model->vectors ? "embed, search, tokenize" : "tokenize";
    return lists[model->vectors][template == EM_OK ? CHAT : template == EM_ERROR_NOT_FOUND ? NO_CHAT : BAD_CHAT];
}

/* What a decoder brings along: its tokenizer is read if only that says where a text is cut. */
em_status em__model_describe_late(const em_model *model, em_model_info *info)
{
    const em_tokenizer *tokenizer;
    const char *dir = em__model_dir(model);
    char *path = em__path_join(dir, "tokenizer.json");
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    const bool there = em__path_is_file(path);
    em__free(path);
    em_status status = try_template(dir);
    info->can = there             ? list_abilities(model, status)
                : info->generates ? "generate from token ids"
                                  : "nothing without tokenizer.json";
    if (there && model->vectors && status != EM_ERROR_OUT_OF_MEMORY) {
        status = em__model_tokenizer(model, &tokenizer);
        info->truncate_left = model->truncate_left;
    }
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
    info->generates = em__decoder_has_head(&d->weights);
    info->token_bytes = em_safetensors_bytes(model->file) - (d->weights.tied ? 0 : matrix_bytes(&d->weights.embedding));
}

static void describe_vectors(em_model *model)
{
    em_model_info *info = &model->info;
    const em__modules *m = &model->modules;
    info->pooling = m->pools[0];
    info->poolings = m->pools;
    info->n_poolings = (size_t)m->n_pools;
    info->normalize = m->n_stages > 0 && !m->stages[m->n_stages - 1].dir;
    info->plain = m->plain;
    info->width = (int)em__task_width(model, &(em__task){0});
    info->whole_width = (int)model->width;
    info->similarity = m->similarity;
    info->prompts = m->n_prompts;
}

static void describe_encoder(em_model *model)
{
    em_model_info *info = &model->info;
    const em_safetensors_tensor *t;
    const int64_t *sizes = model->config.sizes;
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
    info->can = "embed, search, tokenize";
}

void em__model_describe(em_model *model)
{
    em_model_info *info = &model->info;
    info->path = model->path;
    info->weight_bytes = em_safetensors_bytes(model->file);
    info->weight_files = em_safetensors_file_count(model->file);
    info->tensors = em_safetensors_count(model->file);
    info->max_tokens = model->max_tokens[EM_TASK_ANY];
    info->query_tokens = model->max_tokens[EM_TASK_QUERY];
    info->document_tokens = model->max_tokens[EM_TASK_DOCUMENT];
    info->truncate_left = model->truncate_left;
    if (model->decoder)
        describe_decoder(model);
    else
        describe_encoder(model);
    if (model->vectors)
        describe_vectors(model);
}
