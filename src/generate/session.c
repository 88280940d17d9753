/*
 * Sessions: the first sequence's tokens, and the keys and values of those that were read, as a safetensors file:
 * "tokens" s32 [n], "keys.I" and "values.I" [kv_heads, cached, head_dim] of layer I; of a cache in 8 bits also
 * "key_scales.I" and "value_scales.I" f32 [kv_heads, cached]. Metadata says which shape of model
 * they belong to; a file is untrusted, and each tensor is held to the model's sizes.
 */
#include <stdio.h>
#include <string.h>

#include <emily/safetensors.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "device/memory.h"
#include "generate/generation.h"
#include "io/hash.h"

enum { MAX_NAME = 24, MAX_SHAPE = 256, MOST_HASHED = 1 << 16 };

static void hash_array(em__hash *hash, em_array *array)
{
    const void *data = array ? em_array_data(array) : NULL; /* weights are evaluated: no work, no failure */
    size_t bytes = data ? em_array_bytes(array) : 0;
    em__hash_add(hash, data ? data : "", bytes < MOST_HASHED ? bytes : MOST_HASHED);
}

/* What must agree between the model that wrote a session and the one that reads it: sizes, and the beginnings of some
 * weights, so that a sibling of the same shape is told apart. */
static void describe(const em_generation *g, char *text)
{
    const em__decoder_config *c = &g->decoder->config;
    const em__decoder_layer *last = &g->decoder->weights.layers[c->layers - 1];
    em__hash hash;
    char digest[EM__HASH_TEXT];
    em__hash_sha1(&hash);
    hash_array(&hash, last->down.weight);
    hash_array(&hash, last->down.codes.codes);
    hash_array(&hash, g->decoder->weights.layers[0].query.weight);
    hash_array(&hash, g->decoder->weights.layers[0].query.codes.codes);
    hash_array(&hash, g->decoder->weights.norm);
    em__hash_end(&hash, digest);
    snprintf(text, MAX_SHAPE, "%s layers=%lld hidden=%lld heads=%lld kv_heads=%lld head_dim=%lld vocabulary=%lld %s %s",
             c->family->name, (long long)c->layers, (long long)c->hidden, (long long)c->heads, (long long)c->kv_heads,
             (long long)c->head_dim, (long long)c->vocabulary, em_dtype_name(g->cache.dtype), digest);
}

/* Block i of the cache in a file: what it is called, and its shape with so many rows of the one sequence. */
static void name_block(const em_generation *g, size_t i, char *name)
{
    static const char *const parts[] = {"keys", "values", "key_scales", "value_scales"};
    const size_t count = em__cache_parts(g->cache.dtype);
    snprintf(name, MAX_NAME, "%s.%zu", parts[i % count], i / count);
}

static em_spec block_spec(const em_generation *g, size_t i, int64_t cached)
{
    em_spec spec = em__cache_spec(&g->decoder->config, g->cache.dtype, i, 1, cached);
    for (int d = 1; d < spec.dims.rank; d++)
        spec.dims.dims[d - 1] = spec.dims.dims[d];
    spec.dims.dims[--spec.dims.rank] = 0;
    return spec;
}

typedef struct packing {
    em_safetensors_tensor *tensors; /* tokens, then the blocks of the cache */
    char (*names)[MAX_NAME];
    char *bytes; /* of all blocks */
    size_t size;
} packing;

/* Rows of a sequence of the cache, head behind head without the unused capacity. */
static em_status pack_block(const em__cache *cache, size_t i, int64_t cached, char *to)
{
    const size_t row = em__cache_row(cache, i);
    for (int64_t h = 0; h < cache->config->kv_heads; h++)
        EM__TRY(em__memory_download(cache->device, to + (size_t)(h * cached) * row,
                                    (const char *)cache->data[i] + (size_t)(h * cache->capacity) * row,
                                    (size_t)cached * row));
    return EM_OK;
}

static em_status pack(const em_generation *g, packing *p)
{
    const em__sequence *s = &g->sequences[0];
    const em__cache *cache = &g->cache;
    const int64_t cached = (int64_t)s->cached;
    const size_t rows = (size_t)(g->decoder->config.kv_heads * cached);
    for (size_t i = 0; i < cache->blocks; i++)
        p->size += rows * em__cache_row(cache, i);
    p->tensors = em__calloc(cache->blocks + 1, sizeof *p->tensors);
    p->names = em__calloc(cache->blocks, sizeof *p->names);
    p->bytes = em__block_alloc(p->size);
    if (!p->tensors || !p->names || !p->bytes)
        return EM_ERROR_OUT_OF_MEMORY;
    p->tensors[0] = (em_safetensors_tensor){"tokens", EM_S32, em_shape((int64_t)s->tokens.length), s->tokens.data,
                                            s->tokens.length * sizeof(int32_t)};
    char *to = p->bytes;
    for (size_t i = 0; i < cache->blocks; i++) {
        em_spec spec = block_spec(g, i, cached);
        size_t bytes = rows * em__cache_row(cache, i);
        EM__TRY(pack_block(cache, i, cached, to));
        name_block(g, i, p->names[i]);
        p->tensors[i + 1] = (em_safetensors_tensor){p->names[i], spec.dtype, spec.dims, to, bytes};
        to += bytes;
    }
    return EM_OK;
}

em_status em_generation_save(const em_generation *g, const char *path)
{
    if (!g)
        return em__no_generation();
    EM__FAIL_IF(!path, EM_ERROR_INVALID_ARGUMENT, "session: the path is NULL");
    EM__FAIL_IF(g->n_sequences == 0 || g->sequences[0].row != 0, EM_ERROR_INVALID_ARGUMENT,
                "session: there is nothing to save");
    EM__FAIL_IF(g->rotated, EM_ERROR_UNSUPPORTED, "session: a cache that has rotated can't be saved");
    char shape[MAX_SHAPE];
    packing p = {0};
    describe(g, shape);
    const em_safetensors_entry entry = {"emily.session", shape};
    em_status status = pack(g, &p);
    if (status == EM_OK)
        status = em_safetensors_write(path, p.tensors, g->cache.blocks + 1, &entry, 1);
    em__block_free(p.bytes, p.size);
    em__free(p.names);
    em__free(p.tensors);
    return status;
}

static em_status check_file(const em_generation *g, const em_safetensors *file, const char *path)
{
    char shape[MAX_SHAPE];
    const char *made = em_safetensors_metadata(file, "emily.session");
    describe(g, shape);
    EM__FAIL_IF(!made, EM_ERROR_FORMAT, "%s: not a session", path);
    EM__FAIL_IF(strcmp(made, shape) != 0, EM_ERROR_FORMAT, "%s: the session is of %.240s; the model is %s", path, made,
                shape);
    return EM_OK;
}

static em_status find_tokens(const em_generation *g, const em_safetensors *file, const char *path, em_prompt *tokens)
{
    const em_safetensors_tensor *t = em_safetensors_find(file, "tokens");
    EM__FAIL_IF(!t || t->dtype != EM_S32 || t->dims.rank != 1 || t->dims.dims[0] < 1 ||
                    (size_t)t->dims.dims[0] > g->options.context + 1,
                EM_ERROR_FORMAT, "%s: the tokens are missing, or more than the context of %zu", path,
                g->options.context);
    *tokens = (em_prompt){t->data, (size_t)t->dims.dims[0]};
    for (size_t i = 0; i < tokens->length; i++)
        EM__FAIL_IF(tokens->ids[i] < 0 || tokens->ids[i] >= g->decoder->config.vocabulary, EM_ERROR_FORMAT,
                    "%s: token %zu is %d, the vocabulary has %lld", path, i, (int)tokens->ids[i],
                    (long long)g->decoder->config.vocabulary);
    return EM_OK;
}

/* The tensor of block i; the first one says how many rows all have. */
static em_status find_block(const em_generation *g, const em_safetensors *file, const char *path, size_t i,
                            int64_t *cached, const em_safetensors_tensor **tensor)
{
    char name[MAX_NAME];
    name_block(g, i, name);
    const em_safetensors_tensor *t = em_safetensors_find(file, name);
    if (t && *cached < 0 && t->dims.rank == 3)
        *cached = t->dims.dims[1];
    em_spec wanted = block_spec(g, i, *cached);
    bool fits = t && t->dtype == wanted.dtype && t->dims.rank == wanted.dims.rank;
    for (int d = 0; fits && d < wanted.dims.rank; d++)
        fits = t->dims.dims[d] == wanted.dims.dims[d];
    EM__FAIL_IF(!fits, EM_ERROR_FORMAT, "%s: tensor %s is missing or has a wrong shape", path, name);
    *tensor = t;
    return EM_OK;
}

static em_status check_blocks(const em_generation *g, const em_safetensors *file, const char *path, size_t tokens,
                              int64_t *cached)
{
    const em_safetensors_tensor *t;
    *cached = -1;
    for (size_t i = 0; i < g->cache.blocks; i++)
        EM__TRY(find_block(g, file, path, i, cached, &t));
    EM__FAIL_IF(*cached > (int64_t)tokens || *cached > (int64_t)g->options.context, EM_ERROR_FORMAT,
                "%s: %lld rows of keys, %zu tokens", path, (long long)*cached, tokens);
    return EM_OK;
}

static em_status fill_blocks(em_generation *g, const em_safetensors *file, const char *path, int64_t cached)
{
    const em_safetensors_tensor *t;
    EM__TRY(em__cache_reserve(&g->cache, 1, cached > 0 ? cached : 1, 0, 0));
    for (size_t i = 0; i < g->cache.blocks; i++) {
        const size_t row = em__cache_row(&g->cache, i);
        EM__TRY(find_block(g, file, path, i, &cached, &t));
        for (int64_t h = 0; h < g->decoder->config.kv_heads; h++)
            EM__TRY(em__memory_upload(g->cache.device, (char *)g->cache.data[i] + (size_t)(h * g->cache.capacity) * row,
                                      (const char *)t->data + (size_t)(h * cached) * row, (size_t)cached * row));
    }
    return EM_OK;
}

static em_status read_session(em_generation *g, const em_safetensors *file, const char *path)
{
    em_prompt tokens;
    int64_t cached;
    EM__TRY(check_file(g, file, path));
    EM__TRY(find_tokens(g, file, path, &tokens));
    EM__TRY(check_blocks(g, file, path, tokens.length, &cached));
    em_generation_reset(g);
    EM__TRY(em__generation_make_sequences(g, 1));
    EM__TRY(fill_blocks(g, file, path, cached));
    EM__TRY(em__generation_set_prompt(g, 0, &tokens, (size_t)cached));
    g->sequences[0].finish = EM_FINISH_CANCELLED; /* a next prompt goes on from here */
    em__generation_drop_ahead(g);
    g->n_sequences = g->active = 1;
    return EM_OK;
}

em_status em_generation_load(em_generation *g, const char *path)
{
    em_safetensors *file;
    if (!g)
        return em__no_generation();
    EM__FAIL_IF(!path, EM_ERROR_INVALID_ARGUMENT, "session: the path is NULL");
    const em_safetensors_options options = {.struct_size = sizeof options, .mode = EM_SAFETENSORS_READ};
    EM__TRY(em_safetensors_open(path, &options, &file));
    em_status status = read_session(g, file, path);
    em_safetensors_close(&file);
    return status;
}
