/* See cache.h. */
#include "generate/cache.h"

#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"

enum { FIRST_CAPACITY = 256 };

static size_t row_bytes(const em__cache *cache)
{
    return (size_t)cache->config->head_dim * em_dtype_size(cache->dtype);
}

/* Of one layer's keys, or values. */
static size_t layer_bytes(const em__cache *cache, int64_t sequences, int64_t capacity)
{
    return (size_t)(sequences * cache->config->kv_heads * capacity) * row_bytes(cache);
}

em_status em__cache_init(em__cache *cache, const em__decoder_config *config, em_dtype dtype, int64_t most)
{
    const size_t layers = (size_t)config->layers;
    *cache = (em__cache){.config = config, .dtype = dtype, .most = most};
    cache->keys = em__calloc(4 * layers, sizeof *cache->keys);
    if (!cache->keys)
        return EM_ERROR_OUT_OF_MEMORY;
    cache->values = cache->keys + layers;
    cache->at_keys = cache->values + layers;
    cache->at_values = cache->at_keys + layers;
    return EM_OK;
}

static void free_layers(const em__cache *cache, void **blocks, int64_t sequences, int64_t capacity)
{
    for (int64_t i = 0; blocks && i < 2 * cache->config->layers; i++)
        em__block_free(blocks[i], layer_bytes(cache, sequences, capacity));
}

void em__cache_free(em__cache *cache)
{
    if (cache->keys)
        free_layers(cache, cache->keys, cache->sequences, cache->capacity);
    em__free(cache->keys);
    *cache = (em__cache){0};
}

/* Rows of all heads of one sequence from one layout to another. */
static void copy_sequence(const em__cache *cache, const char *from, int64_t from_capacity, char *to,
                          int64_t to_capacity, int64_t rows)
{
    const size_t row = row_bytes(cache);
    for (int64_t h = 0; h < cache->config->kv_heads; h++)
        memcpy(to + (size_t)(h * to_capacity) * row, from + (size_t)(h * from_capacity) * row, (size_t)rows * row);
}

static void move_kept(const em__cache *cache, void **fresh, int64_t capacity, int64_t kept, int64_t used)
{
    const size_t old_stride = layer_bytes(cache, 1, cache->capacity), new_stride = layer_bytes(cache, 1, capacity);
    for (int64_t i = 0; i < 2 * cache->config->layers; i++)
        for (int64_t s = 0; s < kept; s++)
            copy_sequence(cache, (char *)cache->keys[i] + (size_t)s * old_stride, cache->capacity,
                          (char *)fresh[i] + (size_t)s * new_stride, capacity, used);
}

em_status em__cache_reserve(em__cache *cache, int64_t sequences, int64_t rows, int64_t kept, int64_t used)
{
    int64_t capacity = cache->capacity > 0 ? cache->capacity : FIRST_CAPACITY;
    while (capacity < rows)
        capacity *= 2;
    capacity = capacity < cache->most ? capacity : cache->most;
    sequences = sequences > cache->sequences ? sequences : cache->sequences;
    if (capacity == cache->capacity && sequences == cache->sequences)
        return EM_OK;
    const int64_t blocks = 2 * cache->config->layers;
    size_t bytes = layer_bytes(cache, sequences, capacity);
    void **fresh = em__calloc((size_t)blocks, sizeof *fresh);
    em_status status = fresh ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    for (int64_t i = 0; i < blocks && status == EM_OK; i++)
        if (!(fresh[i] = em__block_alloc(bytes)))
            status = em__context(em_last_status(), "cache of %lld sequences of %lld tokens", (long long)sequences,
                                 (long long)capacity);
    if (status == EM_OK) {
        move_kept(cache, fresh, capacity, kept, used);
        free_layers(cache, cache->keys, cache->sequences, cache->capacity);
        memcpy(cache->keys, fresh, (size_t)blocks * sizeof *fresh);
        cache->sequences = sequences;
        cache->capacity = capacity;
    } else {
        free_layers(cache, fresh, sequences, capacity);
    }
    em__free(fresh);
    return status;
}

void em__cache_copy(em__cache *cache, int64_t from, int64_t to, int64_t rows)
{
    const size_t stride = layer_bytes(cache, 1, cache->capacity);
    for (int64_t i = 0; i < 2 * cache->config->layers; i++)
        copy_sequence(cache, (char *)cache->keys[i] + (size_t)from * stride, cache->capacity,
                      (char *)cache->keys[i] + (size_t)to * stride, cache->capacity, rows);
}

void em__cache_point(em__cache *cache, int64_t sequence, em__decoder_feed *feed)
{
    const size_t offset = (size_t)sequence * layer_bytes(cache, 1, cache->capacity);
    for (int64_t i = 0; i < cache->config->layers; i++) {
        cache->at_keys[i] = (char *)cache->keys[i] + offset;
        cache->at_values[i] = (char *)cache->values[i] + offset;
    }
    feed->keys = cache->at_keys;
    feed->values = cache->at_values;
}

size_t em__cache_bytes(const em__cache *cache)
{
    return 2 * (size_t)cache->config->layers * layer_bytes(cache, cache->sequences, cache->capacity);
}
