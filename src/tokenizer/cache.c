/*
 * The word cache: text repeats its words, and the tokens of a word never change. Direct-mapped by hash. It begins
 * small, for encodings that meet one sentence, and grows with the words it meets; when its pools are full everything is
 * forgotten at once.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"

enum { CACHE_FIRST = 1 << 8, CACHE_MOST = 1 << 15, CACHE_TEXT = 1 << 20, CACHE_LONGEST = 64 };

uint64_t em__word_hash(const char *word, size_t length)
{
    uint64_t hash = length * UINT64_C(0x9E3779B97F4A7C15), part = 0;
    for (; length > 8; word += 8, length -= 8) {
        memcpy(&part, word, 8);
        hash = (hash ^ part) * UINT64_C(0xD6E8FEB86659FD93);
        hash ^= hash >> 32;
    }
    part = 0;
    for (size_t i = 0; i < length; i++)
        part |= (uint64_t)(uint8_t)word[i] << 8 * i;
    hash = (hash ^ part) * UINT64_C(0xD6E8FEB86659FD93);
    return hash ^ hash >> 32;
}

static em_status reset(em__cache *cache, uint64_t serial)
{
    if (!cache->entries) {
        cache->entries = em__alloc(CACHE_FIRST * sizeof *cache->entries);
        if (!cache->entries)
            return EM_ERROR_OUT_OF_MEMORY;
        cache->size = CACHE_FIRST;
    }
    memset(cache->entries, 0, cache->size * sizeof *cache->entries);
    cache->text.length = cache->tokens.length = cache->used = 0;
    cache->serial = serial;
    return EM_OK;
}

static em_status grow(em__cache *cache)
{
    size_t size = cache->size * 2;
    em__cache_entry *entries = em__calloc(size, sizeof *entries);
    if (!entries)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < cache->size; i++)
        if (cache->entries[i].length > 0)
            entries[cache->entries[i].hash & (size - 1)] = cache->entries[i];
    em__free(cache->entries);
    cache->entries = entries;
    cache->size = size;
    return EM_OK;
}

const em__cache_token *em__cache_find(em__scratch *s, const em_tokenizer *tok, uint64_t hash, const char *word,
                                      size_t length, size_t *count)
{
    em__cache *cache = &s->cache;
    if (cache->serial != tok->serial) {
        if (reset(cache, tok->serial) != EM_OK)
            cache->serial = 0;
        return NULL;
    }
    const em__cache_entry *entry = &cache->entries[hash & (cache->size - 1)];
    if (entry->hash != hash || entry->length != length || memcmp(cache->text.data + entry->text, word, length) != 0)
        return NULL;
    *count = entry->count;
    return cache->tokens.data + entry->first;
}

em_status em__cache_add(em__scratch *s, uint64_t hash, const char *word, size_t length, const em__cache_token *tokens,
                        size_t count)
{
    em__cache *cache = &s->cache;
    if (length > CACHE_LONGEST || length == 0 || cache->serial == 0)
        return EM_OK;
    if (cache->text.length + length > CACHE_TEXT)
        EM__TRY(reset(cache, cache->serial));
    if (++cache->used > cache->size / 2 && cache->size < CACHE_MOST)
        EM__TRY(grow(cache));
    em__cache_entry entry = {hash, (uint32_t)cache->text.length, (uint32_t)length, (uint32_t)cache->tokens.length,
                             (uint32_t)count};
    EM__TRY(em__str_add(&cache->text, word, length));
    EM__TRY(em__vec_reserve(&cache->tokens, count));
    if (count)
        memcpy(cache->tokens.data + cache->tokens.length, tokens, count * sizeof *tokens);
    cache->tokens.length += count;
    cache->entries[hash & (cache->size - 1)] = entry;
    return EM_OK;
}
