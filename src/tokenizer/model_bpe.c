/*
 * BPE: a piece becomes one symbol a character (or a byte), and neighbours are merged, the pair of lowest rank first,
 * the leftmost of equals first, until no pair of neighbours has a merge.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

static em_status add_symbol(em__scratch *s, int32_t id, size_t length)
{
    em__symbol symbol = {.id = id, .length = (uint32_t)length};
    return em__vec_push(&s->symbols, symbol);
}

/* The bytes of a character that the vocabulary lacks, as <0xNN>; false if it lacks one of those, too. */
static em_status add_bytes(const em__model *model, em__scratch *s, const char *text, size_t length, bool *added)
{
    *added = false;
    for (size_t i = 0; i < length; i++)
        if (model->byte_ids[(uint8_t)text[i]] < 0)
            return EM_OK;
    *added = true;
    for (size_t i = 0; i < length; i++)
        EM__TRY(add_symbol(s, model->byte_ids[(uint8_t)text[i]], 1));
    return EM_OK;
}

/* The vocabulary's name for a character: with the continuing prefix unless first, with the suffix if last. */
static em_status spell(const em__model *model, em__str *out, const char *text, size_t length, bool first, bool last)
{
    em__str_clear(out);
    if (!first)
        EM__TRY(em__str_add(out, model->prefix.data, model->prefix.length));
    EM__TRY(em__str_add(out, text, length));
    return last ? em__str_add(out, model->suffix.data, model->suffix.length) : EM_OK;
}

/* An unknown character. `unknown` is the length of the unknown symbol that waits to be added, 0 if none does. */
static em_status add_unknown(const em_tokenizer *tok, em__scratch *s, size_t length, size_t *unknown)
{
    const em__model *model = &tok->model;
    if (!model->has_unk)
        return EM_OK; /* as in `tokenizers`, the character vanishes */
    if (model->unk_id < 0)
        return em__missing_unk(tok);
    if (*unknown > 0 && !model->fuse_unk) {
        EM__TRY(add_symbol(s, model->unk_id, *unknown));
        *unknown = 0;
    }
    *unknown += length;
    return EM_OK;
}

static em_status make_symbols(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length)
{
    const em__model *model = &tok->model;
    const bool plain = model->prefix.length == 0 && model->suffix.length == 0;
    size_t unknown = 0;
    s->symbols.length = 0;
    for (size_t i = 0, size; i < length; i += size) {
        size = em__utf8_length((uint8_t)text[i]);
        const char *name = text + i;
        size_t name_length = size;
        if (!plain) {
            EM__TRY(spell(model, &s->buffer2, text + i, size, i == 0, i + size == length));
            name = s->buffer2.data;
            name_length = s->buffer2.length;
        }
        int32_t id = em__vocab_find(&model->vocab, name, name_length);
        if (id >= 0) {
            if (unknown > 0)
                EM__TRY(add_symbol(s, model->unk_id, unknown));
            unknown = 0;
            EM__TRY(add_symbol(s, id, size));
            continue;
        }
        bool added = false;
        if (model->byte_fallback)
            EM__TRY(add_bytes(model, s, name, name_length, &added));
        if (!added)
            EM__TRY(add_unknown(tok, s, size, &unknown));
    }
    return unknown > 0 ? add_symbol(s, model->unk_id, unknown) : EM_OK;
}

/* The merged symbols as cache tokens in s->word. */
static em_status take_symbols(em__scratch *s)
{
    s->word.length = 0;
    EM__TRY(em__vec_reserve(&s->word, s->symbols.length));
    for (size_t i = 0; i < s->symbols.length; i++)
        if (s->symbols.data[i].length > 0)
            s->word.data[s->word.length++] = (em__cache_token){s->symbols.data[i].id, s->symbols.data[i].length};
    return EM_OK;
}

static em_status compute(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length)
{
    s->word.length = 0;
    if (tok->model.ignore_merges) {
        int32_t id = em__vocab_find(&tok->model.vocab, text, length);
        if (id >= 0)
            return em__vec_push(&s->word, ((em__cache_token){id, (uint32_t)length}));
    }
    EM__TRY(make_symbols(tok, s, text, length));
    EM__TRY(em__bpe_merge(&tok->model, s));
    return take_symbols(s);
}

em_status em__bpe(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length, em__place place,
                  em__tokens *out)
{
    size_t count = 0, at = 0;
    /* not the hash that em__bpe_word has for the same bytes: there they are raw, here they may be spelt out */
    const uint64_t hash = ~em__word_hash(text, length);
    const em__cache_token *tokens;
    EM__TRY(em__cached(tok, s, hash, text, length, compute, &tokens, &count));
    EM__TRY(em__tokens_reserve(out, count));
    for (size_t i = 0; i < count; i++) {
        /* byte fallback of a character with its prefix or suffix may count more bytes than the piece has */
        size_t start = at < length ? at : length - 1,
               end = at + tokens[i].length < length ? at + tokens[i].length : length;
        em_span span = em__place_span(place, start, end);
        em__tokens_push(out, tokens[i].id, span.start, span.end);
        at += tokens[i].length;
    }
    return EM_OK;
}

static em_status compute_bytes(const em_tokenizer *tok, em__scratch *s, const char *word, size_t length)
{
    const em__model *model = &tok->model;
    s->word.length = 0;
    if (model->ignore_merges) {
        char utf8[4];
        em__str_clear(&s->buffer2);
        for (size_t i = 0; i < length; i++)
            EM__TRY(em__str_add(&s->buffer2, utf8, em__utf8_put(utf8, em__byte_char((uint8_t)word[i]))));
        int32_t id = em__vocab_find(&model->vocab, s->buffer2.data, s->buffer2.length);
        if (id >= 0)
            return em__vec_push(&s->word, ((em__cache_token){id, (uint32_t)length}));
    }
    s->symbols.length = 0;
    EM__TRY(em__vec_reserve(&s->symbols, length));
    for (size_t i = 0; i < length; i++)
        s->symbols.data[i] = (em__symbol){.id = model->char_ids[(uint8_t)word[i]], .length = 1};
    s->symbols.length = length;
    EM__TRY(em__bpe_merge(model, s));
    return take_symbols(s);
}

em_status em__bpe_word(const em_tokenizer *tok, em__scratch *s, const char *word, size_t length,
                       const em__cache_token **tokens, size_t *count)
{
    return em__cached(tok, s, em__word_hash(word, length), word, length, compute_bytes, tokens, count);
}
