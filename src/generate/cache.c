/* See cache.h. */
#include "generate/cache.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "device/memory.h"

enum { FIRST_CAPACITY = 256 };

size_t em__cache_row(const em__cache *cache, size_t i)
{
    const em_spec spec = em__cache_spec(cache->config, cache->dtype, i, 1, 1);
    return (size_t)(spec.dims.rank > 3 ? spec.dims.dims[3] : 1) * em_dtype_size(spec.dtype);
}

/* Of block i. */
static size_t block_bytes(const em__cache *cache, size_t i, int64_t sequences, int64_t capacity)
{
    return (size_t)(sequences * cache->config->kv_heads * capacity) * em__cache_row(cache, i);
}

em_status em__cache_init(em__cache *cache, const em__decoder *decoder, em_dtype dtype, int64_t most)
{
    const em__decoder_config *config = &decoder->config;
    *cache = (em__cache){.device = decoder->device, .config = config, .dtype = dtype, .most = most};
    cache->blocks = em__cache_parts(dtype) * (size_t)config->layers;
    cache->data = em__calloc(2 * cache->blocks, sizeof *cache->data);
    cache->at = cache->data ? cache->data + cache->blocks : NULL;
    return cache->data ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static void free_blocks(const em__cache *cache, void **blocks, int64_t sequences, int64_t capacity)
{
    for (size_t i = 0; blocks && i < cache->blocks; i++)
        em__memory_free(cache->device, blocks[i], block_bytes(cache, i, sequences, capacity));
}

void em__cache_free(em__cache *cache)
{
    if (cache->data)
        free_blocks(cache, cache->data, cache->sequences, cache->capacity);
    em__free(cache->data);
    *cache = (em__cache){0};
}

/* Rows of all heads of one sequence from one layout to another. */
static em_status copy_sequence(const em__cache *cache, size_t row, const char *from, int64_t from_capacity, char *to,
                               int64_t to_capacity, int64_t rows)
{
    for (int64_t h = 0; h < cache->config->kv_heads; h++)
        EM__TRY(em__memory_copy(cache->device, to + (size_t)(h * to_capacity) * row,
                                from + (size_t)(h * from_capacity) * row, (size_t)rows * row));
    return EM_OK;
}

static em_status move_kept(const em__cache *cache, void **fresh, int64_t capacity, int64_t kept, int64_t used)
{
    for (size_t i = 0; used > 0 && i < cache->blocks; i++) {
        size_t old_stride = block_bytes(cache, i, 1, cache->capacity), stride = block_bytes(cache, i, 1, capacity);
        for (int64_t s = 0; s < kept; s++)
            EM__TRY(copy_sequence(cache, em__cache_row(cache, i), (char *)cache->data[i] + (size_t)s * old_stride,
                                  cache->capacity, (char *)fresh[i] + (size_t)s * stride, capacity, used));
    }
    return EM_OK;
}

/* Blocks of a size; all or none. */
static em_status make_blocks(const em__cache *cache, int64_t sequences, int64_t capacity, void **fresh)
{
    for (size_t i = 0; i < cache->blocks; i++)
        if (!(fresh[i] = em__memory_alloc(cache->device, block_bytes(cache, i, sequences, capacity)))) {
            free_blocks(cache, fresh, sequences, capacity);
            return em__context(EM_ERROR_OUT_OF_MEMORY, "cache of %lld sequences of %lld tokens", (long long)sequences,
                               (long long)capacity);
        }
    return EM_OK;
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
    void **fresh = em__calloc(cache->blocks, sizeof *fresh);
    em_status status = fresh ? make_blocks(cache, sequences, capacity, fresh) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK && (status = move_kept(cache, fresh, capacity, kept, used)) != EM_OK)
        free_blocks(cache, fresh, sequences, capacity);
    if (status == EM_OK) {
        free_blocks(cache, cache->data, cache->sequences, cache->capacity);
        memcpy(cache->data, fresh, cache->blocks * sizeof *fresh);
        cache->sequences = sequences;
        cache->capacity = capacity;
    }
    em__free(fresh);
    return status;
}

em_status em__cache_copy(em__cache *cache, int64_t from, int64_t to, int64_t rows)
{
    for (size_t i = 0; i < cache->blocks; i++) {
        const size_t stride = block_bytes(cache, i, 1, cache->capacity);
        EM__TRY(copy_sequence(cache, em__cache_row(cache, i), (char *)cache->data[i] + (size_t)from * stride,
                              cache->capacity, (char *)cache->data[i] + (size_t)to * stride, cache->capacity, rows));
    }
    return EM_OK;
}

void em__cache_point(em__cache *cache, int64_t sequence, em__decoder_feed *feed)
{
    for (size_t i = 0; i < cache->blocks; i++)
        cache->at[i] = (char *)cache->data[i] + (size_t)sequence * block_bytes(cache, i, 1, cache->capacity);
    feed->caches = cache->at;
}

size_t em__cache_bytes(const em__cache *cache)
{
    size_t bytes = 0;
    for (size_t i = 0; i < cache->blocks; i++)
        bytes += block_bytes(cache, i, cache->sequences, cache->capacity);
    return bytes;
}
