/*
 * The forward of a decoder, as Llama (Touvron et al., arXiv 2302.13971) has it; Qwen3 also normalises queries and keys,
 * Qwen2 adds biases, Mistral attends to a window, SmolLM3 leaves some layers without positions. It says what is
 * computed; merging products and epilogues is the fuse lane's affair.
 *
 * The layers run in two forms: new tokens of sequences that a cache continues, and, for vectors, whole sequences packed
 * side by side, without a cache. Packed tokens are sequences of one token each but for attention.
 */
#include <math.h>

#include <emily/indexing.h>

#include "array/array.h"
#include "core/alloc.h"
#include "models/decoder/decoder.h"
#include "models/layers.h"

typedef struct layer_context {
    const em__decoder_config *config;
    const em__decoder_task *task; /* of packed tokens NULL */
    em_array *positions, *periods;
    em_array *slots, *lengths; /* of sequences with a cache */
    em_array *offsets;         /* of packed tokens */
} layer_context;

static em_array *project(em_scope *s, em_array *x, const em__matrix *m)
{
    if (m->weight)
        return em_linear(s, x, m->weight, m->bias);
    em_array *y = em_quantized_matmul(s, x, &m->codes, &m->how, true);
    return m->bias ? em_add(s, y, m->bias) : y;
}

static em_array *embed(em_scope *s, const em__matrix *table, em_array *ids)
{
    if (table->weight)
        return em_cast(s, em_take(s, table->weight, ids, 0), EM_F32);
    em_quantized rows = {em_take(s, table->codes.codes, ids, 0), em_take(s, table->codes.scales, ids, 0), NULL};
    if (table->codes.biases) { /* affine: not rounded to a half type, as products do not round either */
        rows.scales = em_cast(s, rows.scales, EM_F32);
        rows.biases = em_cast(s, em_take(s, table->codes.biases, ids, 0), EM_F32);
    }
    return em_cast(s, em_dequantize(s, &rows, &table->how), EM_F32);
}

/* [batch, tokens, heads * head_dim] to [batch, heads, tokens, head_dim], packed tokens to [tokens, heads, head_dim];
 * each head normalised (NULL: not), turned. */
static em_array *heads(em_scope *s, const layer_context *c, em_array *x, em_array *norm, bool rope)
{
    const em__decoder_config *config = c->config;
    x = em_reshape(s, x,
                   c->task ? em_shape(c->task->batch, c->task->tokens, -1, config->head_dim)
                           : em_shape(em_array_dims(x).dims[0], 1, -1, config->head_dim));
    if (norm)
        x = em_rms_norm(s, x, norm, config->norm_eps);
    if (rope) {
        em_rope_options turn = {
            .struct_size = sizeof turn, .dims = (int)config->rope.dims, .freqs = c->periods, .axis = 1};
        x = em_rope(s, x, c->positions, &turn);
    }
    return c->task ? em_transpose(s, x, EM_AXES(0, 2, 1, 3)) : em_squeeze(s, x, EM_AXES(1));
}

/* Puts the rows of one part, keys or values, into the cache. */
static void remember(em_scope *s, const layer_context *c, em_array **cache, int part, em_array *rows)
{
    em_array *slot = c->slots;
    if (c->task->cache != EM_S8) {
        cache[part] = em_kv_update(s, cache[part], rows, slot);
        return;
    }
    em_array **scales = &cache[part + EM__CACHE_KEY_SCALES];
    *scales = em_kv_scales(s, *scales, rows, slot);
    cache[part] = em_kv_codes(s, cache[part], rows, slot);
}

static double scale_of(const em__decoder_config *config, const em__decoder_layer_config *layer)
{
    const double turned = layer->rope ? config->rope.attention : 1;
    return turned * turned / sqrt((double)config->head_dim);
}

/* [batch, tokens, heads * head_dim], and the cache with the new rows. */
static em_array *attend_cache(em_scope *s, const layer_context *c, const em__decoder_layer_config *layer, em_array *q,
                              em_array *k, em_array *v, em_array **cache)
{
    const bool coded = c->task->cache == EM_S8;
    remember(s, c, cache, EM__CACHE_KEYS, k);
    remember(s, c, cache, EM__CACHE_VALUES, v);
    em_sdpa_options how = {.struct_size = sizeof how,
                           .lengths = c->lengths,
                           .k_scales = coded ? cache[EM__CACHE_KEY_SCALES] : NULL,
                           .v_scales = coded ? cache[EM__CACHE_VALUE_SCALES] : NULL,
                           .scale = scale_of(c->config, layer),
                           .causal = true,
                           .window = (int)layer->window};
    em_array *mixed = em_sdpa_with(s, q, cache[EM__CACHE_KEYS], cache[EM__CACHE_VALUES], &how);
    mixed = em_transpose(s, mixed, EM_AXES(0, 2, 1, 3));
    return em_reshape(s, mixed, em_shape(c->task->batch, c->task->tokens, -1));
}

/* [tokens, heads * head_dim] */
static em_array *attend_packed(em_scope *s, const layer_context *c, const em__decoder_layer_config *layer, em_array *q,
                               em_array *k, em_array *v)
{
    const em_segments_options how = {.struct_size = sizeof how,
                                     .scale = scale_of(c->config, layer),
                                     .causal = !c->config->both_ways,
                                     .window = (int)layer->window};
    em_array *mixed = em_sdpa_segments_with(s, q, k, v, c->offsets, &how);
    return em_reshape(s, mixed, em_shape(em_array_dims(q).dims[0], -1));
}

static em_array *attention(em_scope *s, const layer_context *c, const em__decoder_layer *w,
                           const em__decoder_layer_config *layer, em_array *x, em_array **cache)
{
    em_array *q = heads(s, c, project(s, x, &w->query), w->query_norm, layer->rope);
    em_array *k = heads(s, c, project(s, x, &w->key), w->key_norm, layer->rope);
    em_array *v = heads(s, c, project(s, x, &w->value), NULL, false);
    em_array *mixed = c->task ? attend_cache(s, c, layer, q, k, v, cache) : attend_packed(s, c, layer, q, k, v);
    return project(s, mixed, &w->out);
}

static em_array *mlp(em_scope *s, const em__decoder_config *config, const em__decoder_layer *w, em_array *x)
{
    em_array *gate = em__activate(s, config->activation, project(s, x, &w->gate));
    return project(s, em_mul(s, gate, project(s, x, &w->up)), &w->down);
}

static em_array *run_layer(em_scope *s, const layer_context *c, const em__decoder *decoder, int64_t i, em_array *x,
                           em_array **cache)
{
    const em__decoder_config *config = c->config;
    const em__decoder_layer *layer = &decoder->weights.layers[i];
    em_array *h = em_rms_norm(s, x, layer->attention_norm, config->norm_eps);
    x = em_add(s, x, attention(s, c, layer, &config->each[i], h, cache));
    h = em_rms_norm(s, x, layer->mlp_norm, config->norm_eps);
    return em_add(s, x, mlp(s, config, layer, h));
}

/* The rows whose logits are wanted. */
static em_array *wanted(em_scope *s, const em__decoder_task *task, em_array *x, em_array *last)
{
    if (task->all)
        return x;
    if (task->tokens > 1)
        x = em_take(s, x, last, 1);
    return em_reshape(s, x, em_shape(task->batch, -1));
}

/* The most likely token of each sequence, the first of equals. EM__NO_TOKEN where a logit is NaN: that comes before all
 * numbers. */
static em_array *choose(em_scope *s, const em__decoder_task *task, em_array *logits)
{
    em_array *best = em_reshape(s, em_argmax(s, logits, -1), em_shape(task->batch, 1));
    em_array *lost = em_is_nan(s, em_take_along_axis(s, logits, best, -1));
    return em_select(s, lost, em_scalar(s, EM_S32, EM__NO_TOKEN), em_cast(s, best, EM_S32));
}

em_array *em__decoder_forward(em_scope *s, const em__decoder *decoder, const em__decoder_task *task, em_array **caches,
                              em_array *const *feed)
{
    const em__decoder_config *config = &decoder->config;
    const em__decoder_weights *w = &decoder->weights;
    const layer_context context = {.config = config,
                                   .task = task,
                                   .positions = feed[EM__FEED_POSITIONS],
                                   .periods = feed[EM__FEED_PERIODS],
                                   .slots = feed[EM__FEED_SLOTS],
                                   .lengths = feed[EM__FEED_LENGTHS]};
    const size_t parts = em__cache_parts(task->cache);
    em_array *x = embed(s, &w->embedding, feed[EM__FEED_IDS]);
    for (int64_t i = 0; i < config->layers; i++)
        x = run_layer(s, &context, decoder, i, x, &caches[parts * (size_t)i]);
    x = em_rms_norm(s, wanted(s, task, x, feed[EM__FEED_LAST]), w->norm, config->norm_eps);
    x = project(s, x, &w->head);
    return task->chosen ? choose(s, task, x) : x;
}

/* Of a dynamic rope as at the beginning: no sequence is longer than the positions. */
static em_array *fixed_periods(em_scope *s, const em__rope *rope)
{
    const size_t n = (size_t)rope->dims / 2;
    float *periods = em__alloc(n * sizeof *periods);
    if (!periods)
        return em__scope_fail(s);
    em__rope_periods(rope, 0, periods);
    em_array *array = em_constant(s, EM_F32, periods, em_shape((int64_t)n));
    em__free(periods);
    return array;
}

em_array *em__decoder_hidden(em_scope *s, const em__decoder *decoder, const em__tokens *tokens)
{
    const em__decoder_config *config = &decoder->config;
    const layer_context context = {.config = config,
                                   .positions = tokens->positions,
                                   .periods = fixed_periods(s, &config->rope),
                                   .offsets = tokens->offsets};
    em_array *x = embed(s, &decoder->weights.embedding, tokens->ids);
    for (int64_t i = 0; i < config->layers; i++)
        x = run_layer(s, &context, decoder, i, x, NULL);
    return em_rms_norm(s, x, decoder->weights.norm, config->norm_eps);
}
