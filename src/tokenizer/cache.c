/*
 * The word cache: text repeats its words, and the tokens of a word never change. An open-addressed table that is at
 * most half full. It begins small, for encodings that meet one sentence, and grows with the words it meets; when it may
 * grow no more, or its pool of text is full, everything is forgotten at once.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"

enum { CACHE_FIRST = 1 << 8, CACHE_MOST = 1 << 16, CACHE_TEXT = 1 << 20, CACHE_LONGEST = 64 };

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

/* The first free place for a hash. */
static em__cache_entry *free_place(em__cache_entry *entries, size_t size, uint64_t hash)
{
    size_t i = hash & (size - 1);
    while (entries[i].length > 0)
        i = (i + 1) & (size - 1);
    return &entries[i];
}

static em_status grow(em__cache *cache)
{
    size_t size = cache->size * 2;
    em__cache_entry *entries = em__calloc(size, sizeof *entries);
    if (!entries)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < cache->size; i++)
        if (cache->entries[i].length > 0)
            *free_place(entries, size, cache->entries[i].hash) = cache->entries[i];
    em__free(cache->entries);
    cache->entries = entries;
    cache->size = size;
    return EM_OK;
}

/* The tokens of a word that was met before, or NULL. */
static const em__cache_token *find(em__scratch *s, const em_tokenizer *tok, uint64_t hash, const char *word,
                                   size_t length, size_t *count)
{
    em__cache *cache = &s->cache;
    if (cache->serial != tok->serial) {
        if (reset(cache, tok->serial) != EM_OK)
            cache->serial = 0;
        return NULL;
    }
    for (size_t i = hash & (cache->size - 1); cache->entries[i].length > 0; i = (i + 1) & (cache->size - 1)) {
        const em__cache_entry *entry = &cache->entries[i];
        if (entry->hash != hash || entry->length != length || memcmp(cache->text.data + entry->text, word, length) != 0)
            continue;
        *count = entry->count;
        return cache->tokens.data + entry->first;
    }
    return NULL;
}

/* Room for one more word. */
static em_status make_room(em__cache *cache, size_t length)
{
    bool full = cache->used + 1 > cache->size / 2;
    if (cache->text.length + length > CACHE_TEXT || (full && cache->size == CACHE_MOST))
        return reset(cache, cache->serial);
    return full ? grow(cache) : EM_OK;
}

/* Remembers the tokens of a word; a cache that is full is emptied first. */
static em_status add(em__scratch *s, uint64_t hash, const char *word, size_t length, const em__cache_token *tokens,
                     size_t count)
{
    em__cache *cache = &s->cache;
    if (length > CACHE_LONGEST || length == 0 || cache->serial == 0)
        return EM_OK;
    EM__TRY(make_room(cache, length));
    em__cache_entry entry = {hash, (uint32_t)cache->text.length, (uint32_t)length, (uint32_t)cache->tokens.length,
                             (uint32_t)count};
    EM__TRY(em__str_add(&cache->text, word, length));
    EM__TRY(em__vec_reserve(&cache->tokens, count));
    if (count)
        memcpy(cache->tokens.data + cache->tokens.length, tokens, count * sizeof *tokens);
    cache->tokens.length += count;
    *free_place(cache->entries, cache->size, hash) = entry;
    cache->used++;
    return EM_OK;
}

em_status em__cached(const em_tokenizer *tok, em__scratch *s, uint64_t hash, const char *word, size_t length,
                     em__compute compute, const em__cache_token **tokens, size_t *count)
{
    *tokens = find(s, tok, hash, word, length, count);
    if (*tokens)
        return EM_OK;
    EM__TRY(compute(tok, s, word, length));
    *tokens = s->word.data;
    *count = s->word.length;
    return add(s, hash, word, length, *tokens, *count);
}
