/*
 * The keys and values of what was read and written: for each layer the parts that em__cache_parts names, each
 * [sequences, kv_heads, capacity] rows: of head_dim elements, of one f32 the scales of an s8 cache.
 * Row r of a sequence is token r, until a rotating cache puts later tokens over earlier ones. Capacity grows by
 * doubling up to the context, so that short texts in long contexts stay small.
 */
#ifndef EM_GENERATE_CACHE_H
#define EM_GENERATE_CACHE_H

#include "models/decoder/decoder.h"

typedef struct em__cache {
    em_device *device; /* whose memory the blocks are in */
    const em__decoder_config *config;
    em_dtype dtype;
    int64_t sequences, capacity, most; /* most: the largest capacity */
    size_t blocks;                     /* parts of all layers */
    void **data;                       /* [blocks], layer by layer */
    void **at;                         /* room for pointers that begin at some sequence */
} em__cache;

em_status em__cache_init(em__cache *cache, const em__decoder *decoder, em_dtype dtype, int64_t most);
void em__cache_free(em__cache *cache);

/* Room for so many sequences of so many rows (at most `most`). The first `used` rows of the first `kept` sequences are
 * kept. On failure the cache is as it was. */
em_status em__cache_reserve(em__cache *cache, int64_t sequences, int64_t rows, int64_t kept, int64_t used);

/* Copies the first `rows` rows of a sequence over those of another. */
em_status em__cache_copy(em__cache *cache, int64_t from, int64_t to, int64_t rows);

/* The caches as a forward wants them, from a sequence on: sets feed->caches, good until the next call. */
void em__cache_point(em__cache *cache, int64_t sequence, em__decoder_feed *feed);

/* Bytes of a row of block i: what it keeps of one token and head. */
size_t em__cache_row(const em__cache *cache, size_t i);

size_t em__cache_bytes(const em__cache *cache);

#endif
