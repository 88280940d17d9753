/* What the models share: where the bytes of a piece stand in the original, and the entry points. */
#ifndef EM_TOKENIZER_MODEL_H
#define EM_TOKENIZER_MODEL_H

#include "tokenizer/tokenizer.h"

/* Where the bytes of a piece stand: align[i], or, with a NULL align, code point start + i (one byte, one code
 * point). */
typedef struct em__place {
    const em_span *align;
    uint32_t start;
} em__place;

/* The code points of bytes [start, end), which are not empty. */
static inline em_span em__place_span(em__place place, size_t start, size_t end)
{
    if (!place.align)
        return (em_span){place.start + (uint32_t)start, place.start + (uint32_t)end};
    return (em_span){place.align[start].start, place.align[end - 1].end};
}

/* `chars` code points in `length` bytes. */
em_status em__wordpiece(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length, size_t chars,
                        em__place place, em__tokens *out);

em_status em__wordlevel(const em_tokenizer *tok, const char *text, size_t length, em__place place, em__tokens *out);

em_status em__unigram(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length, em__place place,
                      em__tokens *out);

em_status em__bpe(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length, em__place place,
                  em__tokens *out);

/*
 * The tokens of a word of raw bytes, for byte-level vocabularies that have all 256 characters: ids, and how many bytes
 * each takes. They stay valid until the next call. Words that were met before come from a cache.
 */
em_status em__bpe_word(const em_tokenizer *tok, em__scratch *s, const char *word, size_t length,
                       const em__cache_token **tokens, size_t *count);

/* Merges s->symbols as the vocabulary says; merged-away ones have length 0. */
em_status em__bpe_merge(const em__model *model, em__scratch *s);

/* Where a pair is looked for first. */
static inline size_t em__merge_place(const em__model *model, int32_t left, int32_t right)
{
    uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9E3779B97F4A7C15);
    return (key >> 32 ^ key >> 15) & model->merge_mask;
}

/* What a pair of neighbours becomes, NULL if they stay apart. */
static inline const em__merge *em__merge_find(const em__model *model, int32_t left, int32_t right)
{
    for (size_t i = em__merge_place(model, left, right);; i = (i + 1) & model->merge_mask) {
        const em__merge *merge = &model->merges[i];
        if (merge->left == left && merge->right == right)
            return merge;
        if (merge->left < 0)
            return NULL;
    }
}

/* Puts the tokens of a word into s->word. */
typedef em_status (*em__compute)(const em_tokenizer *tok, em__scratch *s, const char *word, size_t length);

/* The tokens of a word, valid until the next call: from the cache of this tokenizer, or computed and remembered. */
em_status em__cached(const em_tokenizer *tok, em__scratch *s, uint64_t hash, const char *word, size_t length,
                     em__compute compute, const em__cache_token **tokens, size_t *count);

/* A quick hash of a word. */
uint64_t em__word_hash(const char *word, size_t length);

#endif
