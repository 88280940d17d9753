/*
 * From tensors by name to the matrices of a decoder. A weight whose name with ".scales" is in the file is quantized:
 * codes, scales and biases stand for it, coded as config.json says. Whatever is missing, surplus, or not of the shape
 * and dtype that config.json asks for is an error that names the tensor.
 */
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "io/safetensors.h"
#include "models/decoder/decoder.h"
#include "models/weights.h"

enum { MAX_NAME = 160 };

typedef struct loading {
    const em_safetensors *file;
    const em__decoder_config *config;
    em_device *device;
    const char *prefix; /* "model.", or of a checkpoint without a language model's head "" */
    bool *used;         /* per tensor of the file */
} loading;

static const em_safetensors_tensor *find(const loading *l, const char *name, const char *suffix)
{
    char full[MAX_NAME + 16];
    snprintf(full, sizeof full, "%s%s", name, suffix);
    const em_safetensors_tensor *t = em_safetensors_find(l->file, full);
    if (t)
        l->used[t - em_safetensors_at(l->file, 0)] = true;
    return t;
}

/* The tensor name + suffix, rows x columns (a vector when columns is EM__VECTOR), f32 unless `stored`. */
static em_status take(const loading *l, const char *name, const char *suffix, int64_t rows, int64_t columns,
                      bool stored, em_array **array)
{
    char full[MAX_NAME + 16];
    em_safetensors *file = (em_safetensors *)l->file; /* only its count of references changes */
    const em__source from = {file, EM_F32, l->device};
    snprintf(full, sizeof full, "%s%s", name, suffix);
    find(l, name, suffix);
    const em__wanted wanted = {full, rows, columns, "config.json", stored};
    return em__tensor_load(&from, &wanted, array);
}

/* A part of a quantized weight as it is stored: rows x columns of one of two dtypes. */
static em_status take_part(const loading *l, const char *name, const char *suffix, int64_t rows, int64_t columns,
                           const em_dtype *dtypes, int n, em_array **array)
{
    const em_safetensors_tensor *t = find(l, name, suffix);
    const char *path = em_safetensors_file_path(l->file, 0);
    bool known = false;
    EM__FAIL_IF(!t, EM_ERROR_FORMAT, "%s: tensor %s%s is missing; the weight is quantized and can't be read without",
                path ? path : "checkpoint", name, suffix);
    for (int i = 0; i < n; i++)
        known |= t->dtype == dtypes[i];
    EM__FAIL_IF(!known, EM_ERROR_FORMAT, "%s: tensor %s%s is stored as %s, expected %s", path ? path : "checkpoint",
                name, suffix, em__tensor_dtype(t), em_dtype_name(dtypes[0]));
    EM__FAIL_IF(t->dims.rank != 2 || t->dims.dims[0] != rows || t->dims.dims[1] != columns, EM_ERROR_FORMAT,
                "%s: tensor %s%s has shape [%lld, %lld] (rank %d), config.json asks for [%lld, %lld]",
                path ? path : "checkpoint", name, suffix, (long long)t->dims.dims[0], (long long)t->dims.dims[1],
                t->dims.rank, (long long)rows, (long long)columns);
    *array = em__tensor_wrap((em_safetensors *)l->file, t);
    return *array ? EM_OK : em_last_status();
}

static em_status take_codes(const loading *l, const char *name, int64_t rows, int64_t columns, em__matrix *m)
{
    static const em_dtype codes[] = {EM_U32}, real[] = {EM_BF16, EM_F16, EM_F32}, bytes[] = {EM_U8};
    const em_quantization *how = em__decoder_quantization(l->config, name);
    EM__FAIL_IF(!how, EM_ERROR_FORMAT, "tensor %s.scales is there, but config.json has no \"quantization\"", name);
    m->how = *how;
    EM__FAIL_IF(
        columns % how->group != 0 || columns * how->bits % 32 != 0, EM_ERROR_FORMAT,
        "tensor %s.weight: rows of %lld elements are no multiple of the group of %d, which config.json asks for", name,
        (long long)columns, how->group);
    bool affine = how->mode == EM_QUANT_AFFINE;
    EM__TRY(take_part(l, name, ".weight", rows, columns * how->bits / 32, codes, 1, &m->codes.codes));
    EM__TRY(take_part(l, name, ".scales", rows, columns / how->group, affine ? real : bytes, affine ? 3 : 1,
                      &m->codes.scales));
    return affine ? take_part(l, name, ".biases", rows, columns / how->group, real, 3, &m->codes.biases) : EM_OK;
}

static em_status take_matrix(const loading *l, const char *name, int64_t rows, int64_t columns, bool bias,
                             em__matrix *m)
{
    if (bias)
        EM__TRY(take(l, name, ".bias", rows, EM__VECTOR, false, &m->bias));
    if (find(l, name, ".scales"))
        return take_codes(l, name, rows, columns, m);
    return take(l, name, ".weight", rows, columns, true, &m->weight);
}

static em_status take_layer(const loading *l, int64_t index, em__decoder_layer *w)
{
    const em__decoder_config *c = l->config;
    const int64_t query = c->heads * c->head_dim, key = c->kv_heads * c->head_dim;
    const struct {
        const char *name;
        em__matrix *matrix;
        int64_t rows, columns;
        bool bias;
    } matrices[] = {
        {"self_attn.q_proj", &w->query, query, c->hidden, c->qkv_bias},
        {"self_attn.k_proj", &w->key, key, c->hidden, c->qkv_bias},
        {"self_attn.v_proj", &w->value, key, c->hidden, c->qkv_bias},
        {"self_attn.o_proj", &w->out, c->hidden, query, c->output_bias},
        {"mlp.gate_proj", &w->gate, c->intermediate, c->hidden, c->mlp_bias},
        {"mlp.up_proj", &w->up, c->intermediate, c->hidden, c->mlp_bias},
        {"mlp.down_proj", &w->down, c->hidden, c->intermediate, c->mlp_bias},
    };
    const struct {
        const char *name;
        em_array **norm;
        int64_t size;
        bool there;
    } norms[] = {
        {"input_layernorm", &w->attention_norm, c->hidden, true},
        {"post_attention_layernorm", &w->mlp_norm, c->hidden, true},
        {"self_attn.q_norm", &w->query_norm, c->head_dim, c->family->qk_norm},
        {"self_attn.k_norm", &w->key_norm, c->head_dim, c->family->qk_norm},
    };
    char name[MAX_NAME];
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        snprintf(name, sizeof name, "%slayers.%lld.%s", l->prefix, (long long)index, matrices[i].name);
        EM__TRY(take_matrix(l, name, matrices[i].rows, matrices[i].columns, matrices[i].bias, matrices[i].matrix));
    }
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        snprintf(name, sizeof name, "%slayers.%lld.%s", l->prefix, (long long)index, norms[i].name);
        if (norms[i].there)
            EM__TRY(take(l, name, ".weight", norms[i].size, EM__VECTOR, false, norms[i].norm));
    }
    return EM_OK;
}

static bool has_head(const loading *l)
{
    return em_safetensors_find(l->file, "lm_head.weight");
}

/* Whether the head's tensor of this suffix is the embedding's. */
static bool same_head(const loading *l, const char *suffix)
{
    char embedding[MAX_NAME], head[MAX_NAME];
    snprintf(embedding, sizeof embedding, "%sembed_tokens%s", l->prefix, suffix);
    snprintf(head, sizeof head, "lm_head%s", suffix);
    return em__tensors_equal(l->file, embedding, head);
}

/* Whether config.json ties the head to the embedding and the file does not say otherwise: a head that is another
 * counts, as in Transformers 5. */
static bool is_tied(const loading *l)
{
    if (!has_head(l))
        return l->config->tied && !l->config->headless;
    return l->config->tied && same_head(l, ".weight") && same_head(l, ".scales") && same_head(l, ".biases");
}

/* A tied checkpoint may carry the one matrix by the head's name. */
static bool only_head(const loading *l)
{
    char embedding[MAX_NAME];
    snprintf(embedding, sizeof embedding, "%sembed_tokens.weight", l->prefix);
    return l->config->tied && has_head(l) && !em_safetensors_find(l->file, embedding);
}

/* Tensors that checkpoints carry and a forward does not need. */
static bool harmless(const char *name, bool tied)
{
    return strstr(name, "rotary_emb.inv_freq") || (tied && strncmp(name, "lm_head.", 8) == 0);
}

static em_status refuse_surplus(const loading *l, bool tied)
{
    const em_safetensors_tensor *t;
    for (size_t i = 0; (t = em_safetensors_at(l->file, i)); i++)
        EM__FAIL_IF(!l->used[i] && !harmless(t->name, tied), EM_ERROR_FORMAT,
                    "%s: tensor %s is not part of the %s model that config.json describes; the file may belong to "
                    "another model",
                    em_safetensors_file_path(l->file, 0) ? em_safetensors_file_path(l->file, 0) : "checkpoint", t->name,
                    l->config->family->name);
    return EM_OK;
}

static em_status take_all(const loading *l, em__decoder_weights *w)
{
    const em__decoder_config *c = l->config;
    const bool head = only_head(l);
    char words[MAX_NAME], norm[MAX_NAME];
    snprintf(words, sizeof words, "%sembed_tokens", l->prefix);
    snprintf(norm, sizeof norm, "%snorm", l->prefix);
    EM__TRY(take_matrix(l, head ? "lm_head" : words, c->vocabulary, c->hidden, false, &w->embedding));
    EM__TRY(take(l, norm, ".weight", c->hidden, EM__VECTOR, false, &w->norm));
    w->norm_dtype = find(l, norm, ".weight")->dtype;
    w->tied = head || is_tied(l);
    if (w->tied)
        w->head = w->embedding;
    else if (has_head(l) || !(c->headless || !*l->prefix))
        EM__TRY(take_matrix(l, "lm_head", c->vocabulary, c->hidden, false, &w->head));
    for (int64_t i = 0; i < c->layers; i++)
        EM__TRY(take_layer(l, i, &w->layers[i]));
    return refuse_surplus(l, w->tied);
}

em_status em__decoder_weights_load(const em_safetensors *file, const em__decoder_config *config, em_device *device,
                                   em__decoder_weights *weights)
{
    memset(weights, 0, sizeof *weights);
    const char *prefix = em_safetensors_find(file, "embed_tokens.weight") ? "" : "model.";
    loading l = {file, config, device, prefix, em__calloc(em_safetensors_count(file) + 1, sizeof *l.used)};
    weights->layers = em__calloc((size_t)config->layers, sizeof *weights->layers);
    em_status status = l.used && weights->layers ? take_all(&l, weights) : EM_ERROR_OUT_OF_MEMORY;
    em__free(l.used);
    if (status != EM_OK)
        em__decoder_weights_free(config, weights);
    return status;
}

em_dtype em__decoder_dtype(const em__decoder_weights *weights, const em__matrix *m)
{
    const em_array *numbers = m->weight ? m->weight : m->codes.scales;
    const em_dtype dtype = em_array_dtype(numbers);
    return em_dtype_get_kind(dtype) == EM_KIND_FLOAT ? dtype : weights->norm_dtype;
}

bool em__decoder_has_head(const em__decoder_weights *weights)
{
    return weights->head.weight || weights->head.codes.codes;
}

static void free_matrix(em__matrix *m)
{
    em_array_release(&m->weight);
    em_array_release(&m->codes.codes);
    em_array_release(&m->codes.scales);
    em_array_release(&m->codes.biases);
    em_array_release(&m->bias);
}

void em__decoder_weights_free(const em__decoder_config *config, em__decoder_weights *w)
{
    if (!w->tied)
        free_matrix(&w->head);
    free_matrix(&w->embedding);
    em_array_release(&w->norm);
    for (int64_t i = 0; w->layers && i < config->layers; i++) {
        em__decoder_layer *layer = &w->layers[i];
        em__matrix *const matrices[] = {&layer->query, &layer->key, &layer->value, &layer->out,
                                        &layer->gate,  &layer->up,  &layer->down};
        em_array **const norms[] = {&layer->attention_norm, &layer->mlp_norm, &layer->query_norm, &layer->key_norm};
        for (size_t m = 0; m < sizeof matrices / sizeof *matrices; m++)
            free_matrix(matrices[m]);
        for (size_t n = 0; n < sizeof norms / sizeof *norms; n++)
            em_array_release(norms[n]);
    }
    em__free(w->layers);
    memset(w, 0, sizeof *w);
}
