/*
 * Byte-level BPE in one pass, the path of GPT-like models: words are split off the raw text and merged as bytes, and
 * the characters that stand for bytes in the vocabulary are never spelt out.
 *
 * It holds for text that NFC leaves alone; other text goes the general way. Token borders may cut characters: a token
 * then spans the whole of those that it has a part of.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

typedef struct bytes {
    const em_tokenizer *tok;
    em__scratch *s;
    em__tokens *out;
    uint32_t position; /* code point at which the next word begins */
} bytes;

/* Whether NFC leaves a few characters alone. */
static em_status is_normal_part(em__scratch *s, const char *text, size_t length, bool *normal)
{
    s->text.length = 0;
    EM__TRY(em__text_add_source(&s->text, (em__source){text, length, 0}));
    EM__TRY(em__normalize_form(EM_NORM_NFC, s, 0));
    *normal = s->text.length == length && memcmp(s->text.bytes, text, length) == 0;
    return EM_OK;
}

/*
 * Whether NFC leaves the text alone. Characters that it may change change with those beside them, from the character
 * before up to the next that is sure to stay. Text of languages that need marks is nearly always normal.
 */
static em_status is_normal(const em_tokenizer *tok, em__scratch *s, em__source source, bool *normal)
{
    const char *at = source.text, *end = at + source.length, *before = at;
    *normal = true;
    if (tok->norms.length == 0)
        return EM_OK;
    while (at < end && *normal) {
        const char *part = before;
        before = at;
        if ((uint8_t)*at < 0x80) {
            at++;
            continue;
        }
        if (!(em__uc_flags(em__utf8_next(&at)) & EM_UC_NFC))
            continue;
        for (const char *next = at; at < end && (em__uc_flags(em__utf8_next(&next)) & EM_UC_NFC);)
            at = next;
        EM__TRY(is_normal_part(s, part, (size_t)(at - part), normal));
        before = at;
    }
    return EM_OK;
}

static bool is_ascii(const char *word, size_t length)
{
    uint8_t any = 0;
    for (size_t i = 0; i < length; i++)
        any |= (uint8_t)word[i];
    return any < 0x80;
}

/* Tokens of a word in which a byte is not always a character. `extra` is 1 if a space was put before the word: it
 * stands where the first character does. */
static void push_cut(bytes *b, const char *word, const em__cache_token *tokens, size_t count, size_t extra)
{
    uint32_t position = b->position; /* characters that begin before `at` */
    size_t at = 0, end = 0;
    for (size_t i = 0; i < count; i++) {
        end += tokens[i].length;
        size_t stop = end > extra ? end - extra : 1; /* bytes of the word itself */
        uint32_t start = (at > 0 && (word[at] & 0xC0) == 0x80) ? position - 1 : position;
        for (; at < stop; at++)
            position += (word[at] & 0xC0) != 0x80;
        em__tokens_push(b->out, tokens[i].id, start, position);
        if (end <= extra) { /* the space alone: the first character comes again */
            at = 0;
            position = b->position;
        }
    }
}

static em_status add_word(bytes *b, const char *word, size_t length, bool space)
{
    const em__cache_token *tokens;
    size_t count;
    if (space) {
        em__str *spaced = &b->s->buffer;
        em__str_clear(spaced);
        EM__TRY(em__str_add_char(spaced, ' '));
        EM__TRY(em__str_add(spaced, word, length));
        EM__TRY(em__bpe_word(b->tok, b->s, spaced->data, spaced->length, &tokens, &count));
    } else {
        EM__TRY(em__bpe_word(b->tok, b->s, word, length, &tokens, &count));
    }
    EM__TRY(em__tokens_reserve(b->out, count));
    if (space || !is_ascii(word, length)) {
        push_cut(b, word, tokens, count, space);
        b->position += (uint32_t)em__utf8_count(word, length);
        return EM_OK;
    }
    for (size_t i = 0; i < count; i++) {
        em__tokens_push(b->out, tokens[i].id, b->position, b->position + tokens[i].length);
        b->position += tokens[i].length;
    }
    return EM_OK;
}

/*
 * Text without added tokens. A space that is put before joins the first word, which must be split as if it were there:
 * only a first word that the splitter would join with a space takes it; else the space is a word of its own.
 */
static em_status add_text(bytes *b, const char *text, size_t length, size_t limit)
{
    const char *at = text, *end = text + length;
    if (b->tok->prefix_space && length > 0 && *text != ' ') {
        em__str *spaced = &b->s->buffer2;
        size_t peek = length < 256 ? length : 256;
        while (peek < length && (text[peek] & 0xC0) == 0x80)
            peek++;
        em__str_clear(spaced);
        EM__TRY(em__str_add_char(spaced, ' '));
        EM__TRY(em__str_add(spaced, text, peek));
        const char *stop = em__words_next(b->tok->words, spaced->data, spaced->data + spaced->length);
        if (stop == spaced->data + spaced->length && peek < length) { /* a long first word */
            EM__TRY(em__str_add(spaced, text + peek, length - peek));
            stop = em__words_next(b->tok->words, spaced->data, spaced->data + spaced->length);
        }
        size_t size = (size_t)(stop - spaced->data);
        at = text + size - 1;
        EM__TRY(add_word(b, text, size - 1, true));
    }
    while (at < end && b->out->length < limit) {
        const char *next = em__words_next(b->tok->words, at, end);
        EM__TRY(add_word(b, at, (size_t)(next - at), false));
        at = next;
    }
    return EM_OK;
}

em_status em__encode_bytes(const em_tokenizer *tok, em__scratch *s, em__source source, size_t limit, em__tokens *out,
                           bool *done)
{
    bytes b = {tok, s, out, source.origin};
    size_t from = 0, scan = 0;
    em__match match;
    EM__TRY(is_normal(tok, s, source, done));
    if (!*done)
        return EM_OK;
    while (out->length < limit &&
           em__matcher_next(tok, &tok->normalized, source.text, source.length, from, &scan, &match)) {
        if (match.start > from)
            EM__TRY(add_text(&b, source.text + from, match.start - from, limit));
        if (out->length >= limit)
            return EM_OK;
        /* a match may begin in white space that the one before it took */
        uint32_t start = match.start < from
                             ? b.position - (uint32_t)em__utf8_count(source.text + match.start, from - match.start)
                             : b.position;
        uint32_t end = start + (uint32_t)em__utf8_count(source.text + match.start, match.end - match.start);
        EM__TRY(em__push_added(tok, out, match.added, source.text + match.start, match.end - match.start,
                               (em_span){start, end}));
        from = match.end;
        b.position = end;
    }
    return from < source.length ? add_text(&b, source.text + from, source.length - from, limit) : EM_OK;
}
