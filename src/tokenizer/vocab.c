/* Building the vocabulary table. */
#include "tokenizer/vocab.h"

#include <stdbool.h>

#include "core/alloc.h"
#include "core/error.h"

em_status em__vocab_init(em__vocab *vocab, size_t count, size_t bytes)
{
    size_t slots = 64;
    EM__FAIL_IF(count > EM_VOCAB_MAX_ID, EM_ERROR_FORMAT, "vocabulary: %zu tokens, at most %d are possible", count,
                EM_VOCAB_MAX_ID);
    EM__FAIL_IF(em__add_overflows(bytes, count, &bytes) || bytes > UINT32_MAX, EM_ERROR_FORMAT,
                "vocabulary: its texts take more than 4 GiB");
    while (slots < count + count / 2)
        slots *= 2;
    vocab->slots = em__alloc(slots * sizeof *vocab->slots);
    vocab->blob = em__alloc(bytes);
    vocab->id_count = count; /* ids usually run from 0; grown when they do not */
    vocab->entries = em__alloc(count * sizeof *vocab->entries);
    if (!vocab->slots || !vocab->blob || !vocab->entries)
        return EM_ERROR_OUT_OF_MEMORY;
    vocab->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        vocab->slots[i].id = -1;
    memset(vocab->entries, 0xFF, count * sizeof *vocab->entries);
    return EM_OK;
}

void em__vocab_free(em__vocab *vocab)
{
    em__free(vocab->slots);
    em__free(vocab->entries);
    em__free(vocab->blob);
    memset(vocab, 0, sizeof *vocab);
}

static em_status grow_ids(em__vocab *vocab, size_t count)
{
    size_t grown = vocab->id_count + vocab->id_count / 2;
    if (grown < count)
        grown = count;
    em__vocab_entry *entries = em__realloc(vocab->entries, grown * sizeof *entries);
    if (!entries)
        return EM_ERROR_OUT_OF_MEMORY;
    memset(entries + vocab->id_count, 0xFF, (grown - vocab->id_count) * sizeof *entries);
    vocab->entries = entries;
    vocab->id_count = grown;
    return EM_OK;
}

static void insert(em__vocab *vocab, uint64_t hash, const char *text, size_t length, int32_t id)
{
    size_t i = (hash ^ hash >> 29) & vocab->mask;
    while (vocab->slots[i].id >= 0)
        i = (i + 1) & vocab->mask;
    em__vocab_slot *slot = &vocab->slots[i];
    slot->tag = (uint32_t)(hash >> 32);
    slot->id = id;
    slot->length = (uint8_t)(length <= EM_VOCAB_INLINE ? length : EM_VOCAB_INLINE + 1);
    if (length <= EM_VOCAB_INLINE)
        memcpy(slot->text, text, length);
}

static em__vocab_slot *find_slot(em__vocab *vocab, uint64_t hash, const char *text, size_t length)
{
    int32_t id = em__vocab_find_hashed(vocab, hash, text, length);
    for (size_t i = (hash ^ hash >> 29) & vocab->mask; id >= 0; i = (i + 1) & vocab->mask)
        if (vocab->slots[i].id == id)
            return &vocab->slots[i];
    return NULL;
}

static em_status add(em__vocab *vocab, uint64_t hash, const char *text, size_t length, int64_t id, bool again)
{
    int shown = length < 60 ? (int)length : 60;
    EM__FAIL_IF(id < 0 || id > EM_VOCAB_MAX_ID, EM_ERROR_FORMAT,
                "vocabulary: token \"%.*s\" has id %lld, expected 0 to %d", shown, text, (long long)id,
                EM_VOCAB_MAX_ID);
    if ((size_t)id >= vocab->id_count)
        EM__TRY(grow_ids(vocab, (size_t)id + 1));
    em__vocab_entry *entry = &vocab->entries[id];
    EM__FAIL_IF(entry->length != UINT32_MAX, EM_ERROR_FORMAT,
                "vocabulary: id %lld stands for \"%.*s\" and for \"%.*s\"", (long long)id,
                (int)(entry->length < 60 ? entry->length : 60), vocab->blob + entry->start, shown, text);
    em__vocab_slot *slot = find_slot(vocab, hash, text, length);
    EM__FAIL_IF(slot && !again, EM_ERROR_FORMAT, "vocabulary: token \"%.*s\" is there twice", shown, text);
    EM__FAIL_IF(vocab->count > vocab->mask / 4 * 3, EM_ERROR_INTERNAL, "vocabulary: more tokens than were counted");
    entry->start = (uint32_t)vocab->blob_length;
    entry->length = (uint32_t)length;
    memcpy(vocab->blob + vocab->blob_length, text, length);
    vocab->blob[vocab->blob_length + length] = '\0';
    vocab->blob_length += length + 1;
    if (length > vocab->max_length)
        vocab->max_length = (uint32_t)length;
    if (slot)
        slot->id = (int32_t)id;
    else
        insert(vocab, hash, text, length, (int32_t)id);
    vocab->count++;
    return EM_OK;
}

em_status em__vocab_add(em__vocab *vocab, const char *text, size_t length, int64_t id)
{
    return add(vocab, em__vocab_hash(EM_VOCAB_SEED, text, length), text, length, id, false);
}

em_status em__vocab_add_hashed(em__vocab *vocab, uint64_t hash, const char *text, size_t length, int64_t id)
{
    return add(vocab, hash, text, length, id, false);
}

em_status em__vocab_add_last(em__vocab *vocab, const char *text, size_t length, int64_t id)
{
    return add(vocab, em__vocab_hash(EM_VOCAB_SEED, text, length), text, length, id, true);
}

static bool joined(const char *text, const char *head, size_t head_length, const char *tail, size_t tail_length)
{
    return memcmp(text, head, head_length) == 0 && memcmp(text + head_length, tail, tail_length) == 0;
}

int32_t em__vocab_find_parts(const em__vocab *vocab, uint64_t hash, const char *head, size_t head_length,
                             const char *tail, size_t tail_length)
{
    for (size_t i = (hash ^ hash >> 29) & vocab->mask;; i = (i + 1) & vocab->mask) {
        const em__vocab_slot *slot = &vocab->slots[i];
        if (slot->id < 0)
            return -1;
        if (slot->tag != (uint32_t)(hash >> 32) || vocab->entries[slot->id].length != head_length + tail_length)
            continue;
        const char *text = vocab->blob + vocab->entries[slot->id].start;
        if (joined(text, head, head_length, tail, tail_length))
            return slot->id;
    }
}
