/*
 * Vocabulary: token text to id and back.
 *
 * One open-addressed table of 32-byte slots, two to a cache line, that hold the text of short tokens themselves, so
 * that a look-up touches one line. Longer texts are compared in the blob that holds all tokens, NUL-terminated.
 *
 * The hash grows byte by byte (em__vocab_hash_byte), so that WordPiece gets the hashes of all prefixes of a word in one
 * pass. Equal hashes never suffice: the text is always compared.
 */
#ifndef EM_TOKENIZER_VOCAB_H
#define EM_TOKENIZER_VOCAB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <emily/status.h>

enum { EM_VOCAB_INLINE = 23, EM_VOCAB_MAX_ID = (1 << 24) - 1 };

typedef struct em__vocab_slot {
    uint32_t tag;
    int32_t id;     /* -1: free */
    uint8_t length; /* of text; EM_VOCAB_INLINE + 1: longer, look into the blob */
    char text[EM_VOCAB_INLINE];
} em__vocab_slot;

typedef struct em__vocab_entry {
    uint32_t start, length; /* in the blob; length is UINT32_MAX where the id stands for nothing */
} em__vocab_entry;

typedef struct em__vocab {
    em__vocab_slot *slots;
    size_t mask; /* slots - 1, a power of two less one */
    size_t count;
    em__vocab_entry *entries; /* by id */
    size_t id_count;          /* the largest id and one */
    char *blob;
    size_t blob_length;
    uint32_t max_length; /* bytes of the longest token */
} em__vocab;

/* Room for `count` tokens whose texts take at most `bytes` bytes in all. */
em_status em__vocab_init(em__vocab *vocab, size_t count, size_t bytes);
void em__vocab_free(em__vocab *vocab);

/* Adds a token. EM_ERROR_FORMAT when the id is out of range or taken, or the text is there already. Never grows the
 * table: EM_ERROR_INTERNAL beyond what init was told. */
em_status em__vocab_add(em__vocab *vocab, const char *text, size_t length, int64_t id);

/* The same for a text whose hash is known; its line of the table may have been asked for before. */
em_status em__vocab_add_hashed(em__vocab *vocab, uint64_t hash, const char *text, size_t length, int64_t id);

/* The same, but a text that is there already is no error: it then has the later id, and both ids have the text. */
em_status em__vocab_add_last(em__vocab *vocab, const char *text, size_t length, int64_t id);

#define EM_VOCAB_SEED UINT64_C(0xCBF29CE484222325)

static inline uint64_t em__vocab_hash_byte(uint64_t hash, char byte)
{
    return (hash ^ (uint8_t)byte) * UINT64_C(0x100000001B3);
}

static inline uint64_t em__vocab_hash(uint64_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = em__vocab_hash_byte(hash, text[i]);
    return hash;
}

/* Where a text of this hash is looked for first. */
static inline em__vocab_slot *em__vocab_place(const em__vocab *vocab, uint64_t hash)
{
    return &vocab->slots[(hash ^ hash >> 29) & vocab->mask];
}

/* The id whose text is `head` followed by `tail`, which hash to `hash`; -1 if there is none. */
int32_t em__vocab_find_parts(const em__vocab *vocab, uint64_t hash, const char *head, size_t head_length,
                             const char *tail, size_t tail_length);

static inline int32_t em__vocab_find_hashed(const em__vocab *vocab, uint64_t hash, const char *text, size_t length)
{
    uint64_t mixed = hash ^ hash >> 29;
    for (size_t i = mixed & vocab->mask;; i = (i + 1) & vocab->mask) {
        const em__vocab_slot *slot = &vocab->slots[i];
        if (slot->id < 0)
            return -1;
        if (slot->tag != (uint32_t)(hash >> 32))
            continue;
        if (slot->length <= EM_VOCAB_INLINE
                ? slot->length == length && memcmp(slot->text, text, length) == 0
                : vocab->entries[slot->id].length == length &&
                      memcmp(vocab->blob + vocab->entries[slot->id].start, text, length) == 0)
            return slot->id;
    }
}

/* The id of a token, -1 if there is none. */
static inline int32_t em__vocab_find(const em__vocab *vocab, const char *text, size_t length)
{
    return em__vocab_find_hashed(vocab, em__vocab_hash(EM_VOCAB_SEED, text, length), text, length);
}

/* The text of an id, NULL if it stands for nothing. */
static inline const char *em__vocab_text(const em__vocab *vocab, int64_t id, size_t *length)
{
    if (id < 0 || (size_t)id >= vocab->id_count || vocab->entries[id].length == UINT32_MAX)
        return NULL;
    *length = vocab->entries[id].length;
    return vocab->blob + vocab->entries[id].start;
}

#endif
