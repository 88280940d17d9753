/*
 * BertNormalizer, BertPreTokenizer and WordPiece in one pass, the path of BERT-like encoders.
 *
 * Runs of ASCII word characters are lower-cased and hashed as they are read, and one byte is one code point. Other
 * words are built character by character with the code point of each byte beside it. A mark that strip_accents keeps
 * and that canonical ordering could move ends the attempt: the general path then does the whole text.
 */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"
#include "tokenizer/normalize.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

typedef struct bert {
    const em_tokenizer *tok;
    em__scratch *s;
    const em__norm *norm;
    em__tokens *out;
    size_t chars; /* of the word that s->text holds */
    bool gave_up;
} bert;

/* Ends the word in s->text, if there is one. */
static em_status flush(bert *b)
{
    em__text *word = &b->s->text;
    if (word->length == 0)
        return EM_OK;
    size_t chars = b->chars, length = word->length;
    b->chars = word->length = 0;
    return em__wordpiece(b->tok, b->s, word->bytes, length, chars, (em__place){word->align, 0}, b->out);
}

/* One character of normalized text: white space ends a word, punctuation is a word of its own. */
static em_status add_normal(bert *b, uint32_t c, uint32_t position)
{
    char utf8[4];
    unsigned flags = em__uc_flags(c);
    if (flags & (EM_UC_SPACE | EM_UC_PUNCTUATION))
        EM__TRY(flush(b));
    if (flags & EM_UC_SPACE)
        return EM_OK;
    EM__TRY(em__text_add(&b->s->text, utf8, em__utf8_put(utf8, c), (em_span){position, position + 1}));
    b->chars++;
    return flags & EM_UC_PUNCTUATION ? flush(b) : EM_OK;
}

static em_status add_lower(bert *b, uint32_t c, uint32_t position)
{
    if (!b->norm->lowercase || !(em__uc_flags(c) & EM_UC_UPPER))
        return add_normal(b, c, position);
    uint32_t lower[2];
    int count = em__lower(c, lower);
    for (int i = 0; i < count; i++)
        EM__TRY(add_normal(b, lower[i], position));
    return EM_OK;
}

static em_status add_char(bert *b, uint32_t c, uint32_t position)
{
    const em__norm *norm = b->norm;
    unsigned flags = em__uc_flags(c);
    if (norm->clean_text) {
        if (c == 0 || c == 0xFFFD || (flags & EM_UC_OTHER))
            return EM_OK;
        if (flags & EM_UC_SPACE)
            return flush(b);
    }
    bool chinese = norm->handle_chinese_chars && em__is_chinese(c);
    if (chinese)
        EM__TRY(flush(b));
    if (norm->strip_accents && (flags & (EM_UC_NFD | EM_UC_NONSPACING))) {
        uint32_t parts[32];
        int count = em__uc_decompose(c, 0, parts);
        for (int i = 0; i < count; i++) {
            if (em__uc_flags(parts[i]) & EM_UC_NONSPACING)
                continue;
            if (em__uc_class(parts[i]) != 0)
                b->gave_up = true;
            EM__TRY(add_lower(b, parts[i], position));
        }
    } else {
        EM__TRY(add_lower(b, c, position));
    }
    return chinese ? flush(b) : EM_OK;
}

/* A word of `length` ASCII bytes, hashed to `hash`, in s->buffer. */
static inline em_status add_ascii_word(bert *b, uint64_t hash, size_t length, uint32_t position)
{
    const em__model *model = &b->tok->model;
    const char *word = b->s->buffer.data;
    if (length <= model->max_chars) {
        int32_t id = em__vocab_find_hashed(&model->vocab, hash, word, length);
        if (id >= 0) {
            EM__TRY(em__tokens_reserve(b->out, 1));
            em__tokens_push(b->out, id, position, position + (uint32_t)length);
            return EM_OK;
        }
    }
    return em__wordpiece(b->tok, b->s, word, length, length, (em__place){NULL, position}, b->out);
}

/* A run of ASCII word characters at `at`. What follows it decides whether it is a word or the beginning of a longer
 * one. */
static em_status add_ascii_run(bert *b, const char *at, const char *end, uint32_t position, size_t *size)
{
    const uint8_t *classes = b->tok->bert_class;
    const char *lower = b->tok->bert_lower, *p = at;
    char *word = b->s->buffer.data;
    size_t room = b->s->buffer.capacity;
    uint64_t hash = EM_VOCAB_SEED;
    size_t n = 0;
    while (p < end && (uint8_t)*p < 0x80 && classes[(uint8_t)*p] == EM_BERT_WORD) {
        if (n + 1 >= room) {
            b->s->buffer.length = n;
            EM__TRY(em__str_reserve(&b->s->buffer, n + 64));
            word = b->s->buffer.data;
            room = b->s->buffer.capacity;
        }
        char c = lower[(uint8_t)*p++];
        word[n++] = c;
        hash = em__vocab_hash_byte(hash, c);
    }
    *size = n;
    bool ends = p == end || ((uint8_t)*p < 0x80 && classes[(uint8_t)*p] != EM_BERT_DROP);
    if (ends && b->s->text.length == 0)
        return add_ascii_word(b, hash, n, position);
    EM__TRY(em__text_reserve(&b->s->text, n));
    for (size_t i = 0; i < n; i++) {
        em__text *text = &b->s->text;
        text->bytes[text->length] = word[i];
        text->align[text->length++] = (em_span){position + (uint32_t)i, position + (uint32_t)i + 1};
    }
    b->chars += n;
    return EM_OK;
}

em_status em__encode_bert(const em_tokenizer *tok, em__scratch *s, em__source source, size_t limit, em__tokens *out,
                          bool *done)
{
    bert b = {.tok = tok, .s = s, .norm = &tok->norms.data[0], .out = out};
    const char *at = source.text, *end = at + source.length;
    uint32_t position = source.origin;
    size_t size;
    s->text.length = 0;
    s->buffer.length = 0;
    EM__TRY(em__str_reserve(&s->buffer, 256));
    while (at < end && out->length < limit && !b.gave_up) {
        if ((uint8_t)*at >= 0x80) {
            EM__TRY(add_char(&b, em__utf8_next(&at), position++));
            continue;
        }
        switch ((em__bert_class)tok->bert_class[(uint8_t)*at]) {
        case EM_BERT_WORD:
            EM__TRY(add_ascii_run(&b, at, end, position, &size));
            at += size;
            position += (uint32_t)size;
            continue;
        case EM_BERT_SPACE: EM__TRY(flush(&b)); break;
        case EM_BERT_PUNCTUATION:
            EM__TRY(flush(&b));
            s->buffer.data[0] = *at;
            EM__TRY(add_ascii_word(&b, em__vocab_hash_byte(EM_VOCAB_SEED, *at), 1, position));
            break;
        case EM_BERT_DROP: break;
        }
        at++;
        position++;
    }
    if (!b.gave_up)
        EM__TRY(flush(&b));
    s->text.length = 0;
    *done = !b.gave_up;
    return EM_OK;
}
