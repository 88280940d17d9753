/* The decoders. */
#include <string.h>

#include "core/error.h"
#include "tokenizer/decode.h"
#include "tokenizer/normalize.h"
#include "tokenizer/utf8.h"

/* Appends `text` with every `from` replaced by `to`; an empty `from` is nowhere. */
static em_status replace_all(em__str *out, em__string text, em__string from, em__string to)
{
    const char *at = text.data, *end = text.data + text.length;
    while (at < end && from.length > 0) {
        const char *found = memmem(at, (size_t)(end - at), from.data, from.length);
        if (!found)
            break;
        EM__TRY(em__str_add(out, at, (size_t)(found - at)));
        EM__TRY(em__str_add(out, to.data, to.length));
        at = found + from.length;
    }
    return em__str_add(out, at, (size_t)(end - at));
}

/* Whether a rule of clean_up could apply: all begin with a space and one of a few characters. */
static bool may_clean(em__string text)
{
    for (size_t i = 0; i + 1 < text.length; i++)
        if (text.data[i] == ' ' && text.data[i + 1] && strchr(".?!,'nd", text.data[i + 1]))
            return true;
    return false;
}

/* What WordPiece and CTC tidy up: spaces before punctuation and English contractions, one rule after the other. */
static em_status clean_up(em__str *out, em__string text)
{
    static const char *const rules[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                           {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                           {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    em__str parts[2] = {{0}, {0}};
    em_status status = EM_OK;
    size_t which = 0;
    if (!may_clean(text))
        return em__str_add(out, text.data, text.length);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && status == EM_OK; i++) {
        em__string from = {rules[i][0], strlen(rules[i][0])}, to = {rules[i][1], strlen(rules[i][1])};
        if (!memmem(text.data, text.length, from.data, from.length))
            continue;
        em__str_clear(&parts[which]);
        status = replace_all(&parts[which], text, from, to);
        text = (em__string){em__str_text(&parts[which]), parts[which].length};
        which = !which;
    }
    if (status == EM_OK)
        status = em__str_add(out, text.data, text.length);
    em__str_free(&parts[0]);
    em__str_free(&parts[1]);
    return status;
}

static em_status run_wordpiece(const em__decoder *decoder, const em__list *in, em__list *out)
{
    em__str word = {0};
    em_status status = EM_OK;
    for (size_t i = 0; i < in->ends.length && status == EM_OK; i++) {
        em__string token = em__list_at(in, i);
        em__str_clear(&word);
        bool continues =
            token.length >= decoder->text.length && memcmp(token.data, decoder->text.data, decoder->text.length) == 0;
        if (i > 0 && continues) {
            token.data += decoder->text.length;
            token.length -= decoder->text.length;
        } else if (i > 0) {
            status = em__str_add_char(&word, ' ');
        }
        if (status == EM_OK)
            status = em__str_add(&word, token.data, token.length);
        em__string built = {em__str_text(&word), word.length};
        if (status == EM_OK)
            status =
                decoder->cleanup ? clean_up(&out->bytes, built) : em__str_add(&out->bytes, built.data, built.length);
        if (status == EM_OK)
            status = em__list_end(out);
    }
    em__str_free(&word);
    return status;
}

static em_status add_string(em__list *out, em__string text)
{
    EM__TRY(em__str_add(&out->bytes, text.data, text.length));
    return em__list_end(out);
}

static em_status add_char(em__list *out, uint32_t c)
{
    char utf8[4];
    return em__str_add(&out->bytes, utf8, em__utf8_put(utf8, c));
}

/* Byte-level characters back to bytes, all tokens as one string; a token with another character stays as it is. */
static em_status run_byte_level(const em__list *in, em__list *out)
{
    em__str bytes = {0};
    em_status status = EM_OK;
    for (size_t i = 0; i < in->ends.length && status == EM_OK; i++) {
        em__string token = em__list_at(in, i);
        const char *at = token.data, *end = at + token.length;
        size_t before = bytes.length;
        while (at < end && status == EM_OK) {
            int byte = em__char_byte(em__utf8_next(&at));
            if (byte < 0) {
                bytes.length = before;
                status = em__str_add(&bytes, token.data, token.length);
                break;
            }
            status = em__str_add_char(&bytes, (char)byte);
        }
    }
    if (status == EM_OK)
        status = em__utf8_repair(em__str_text(&bytes), bytes.length, &out->bytes);
    em__str_free(&bytes);
    return status == EM_OK ? em__list_end(out) : status;
}

static em_status run_metaspace(const em__decoder *decoder, const em__list *in, em__list *out)
{
    for (size_t i = 0; i < in->ends.length; i++) {
        em__string token = em__list_at(in, i);
        const char *at = token.data, *end = at + token.length;
        while (at < end) {
            uint32_t c = em__utf8_next(&at);
            if (c != decoder->character)
                EM__TRY(add_char(out, c));
            else if (i > 0 || !decoder->drop_first)
                EM__TRY(add_char(out, ' '));
        }
        EM__TRY(em__list_end(out));
    }
    return EM_OK;
}

static em_status run_bpe(const em__decoder *decoder, const em__list *in, em__list *out)
{
    em__string suffix = {decoder->text.data, decoder->text.length};
    for (size_t i = 0; i < in->ends.length; i++) {
        em__string space = {" ", i + 1 < in->ends.length};
        EM__TRY(replace_all(&out->bytes, em__list_at(in, i), suffix, space));
        EM__TRY(em__list_end(out));
    }
    return EM_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The byte that a token <0xNN> stands for, -1 for other tokens. */
static int token_byte(em__string token)
{
    if (token.length != 6 || memcmp(token.data, "<0x", 3) != 0 || token.data[5] != '>')
        return -1;
    int high = token.data[3] == '+' ? 0 : hex_digit(token.data[3]), low = hex_digit(token.data[4]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* A run of bytes: a string if it is UTF-8, else one U+FFFD for each byte. */
static em_status end_bytes(em__str *bytes, em__list *out)
{
    if (bytes->length == 0)
        return EM_OK;
    if (em__utf8_valid(bytes->data, bytes->length) == bytes->length)
        EM__TRY(add_string(out, (em__string){bytes->data, bytes->length}));
    else
        for (size_t i = 0; i < bytes->length; i++)
            EM__TRY(add_string(out, (em__string){"\xEF\xBF\xBD", 3}));
    em__str_clear(bytes);
    return EM_OK;
}

static em_status run_byte_fallback(const em__list *in, em__list *out)
{
    em__str bytes = {0};
    em_status status = EM_OK;
    for (size_t i = 0; i < in->ends.length && status == EM_OK; i++) {
        em__string token = em__list_at(in, i);
        int byte = token_byte(token);
        if (byte >= 0) {
            status = em__str_add_char(&bytes, (char)byte);
            continue;
        }
        status = end_bytes(&bytes, out);
        if (status == EM_OK)
            status = add_string(out, token);
    }
    if (status == EM_OK)
        status = end_bytes(&bytes, out);
    em__str_free(&bytes);
    return status;
}

static em_status run_strip(const em__decoder *decoder, const em__list *in, em__list *out)
{
    for (size_t i = 0; i < in->ends.length; i++) {
        em__string token = em__list_at(in, i);
        const char *start = token.data, *end = start + token.length, *at = start;
        for (size_t k = 0; k < decoder->start && at < end && em__utf8_next(&at) == decoder->character; k++)
            start = at;
        for (size_t k = 0; k < decoder->stop && end > start; k++) {
            const char *last = end - 1;
            while ((*last & 0xC0) == 0x80)
                last--;
            at = last;
            if (em__utf8_next(&at) != decoder->character)
                break;
            end = last;
        }
        EM__TRY(add_string(out, (em__string){start, (size_t)(end - start)}));
    }
    return EM_OK;
}

static em_status replace_token(const em__decoder *decoder, em__matching *matching, em__string token, em__list *out)
{
    em__matches matches;
    bool found;
    size_t start, end, copied = 0;
    EM__TRY(em__matches_begin(&matches, &decoder->pattern, matching, token.data, token.length));
    for (;;) {
        EM__TRY(em__matches_next(&matches, &found, &start, &end));
        if (!found)
            return add_string(out, (em__string){token.data + copied, token.length - copied});
        EM__TRY(em__str_add(&out->bytes, token.data + copied, start - copied));
        EM__TRY(em__str_add(&out->bytes, decoder->text.data, decoder->text.length));
        copied = end;
    }
}

static em_status run_replace(const em__decoder *decoder, const em__list *in, em__list *out)
{
    em__matching matching = {0};
    em_status status = EM_OK;
    for (size_t i = 0; i < in->ends.length && status == EM_OK; i++)
        status = replace_token(decoder, &matching, em__list_at(in, i), out);
    em__matching_free(&matching);
    return status;
}

/* Repeated tokens are one; padding goes; what is empty then goes, too. */
static em_status run_ctc(const em__decoder *decoder, const em__list *in, em__list *out)
{
    em__str word = {0}, clean = {0};
    em__string pad = {decoder->text.data, decoder->text.length}, previous = {NULL, 0};
    em__string delimiter = {decoder->delimiter.data, decoder->delimiter.length};
    em_status status = EM_OK;
    for (size_t i = 0; i < in->ends.length && status == EM_OK; i++) {
        em__string token = em__list_at(in, i);
        bool same = i > 0 && token.length == previous.length && memcmp(token.data, previous.data, token.length) == 0;
        previous = token;
        if (same)
            continue;
        em__str_clear(&word);
        em__str_clear(&clean);
        status = replace_all(&word, token, pad, (em__string){"", 0});
        if (status == EM_OK && decoder->cleanup)
            status = clean_up(&clean, (em__string){em__str_text(&word), word.length});
        size_t before = out->bytes.length;
        if (status == EM_OK)
            status = decoder->cleanup ? replace_all(&out->bytes, (em__string){em__str_text(&clean), clean.length},
                                                    delimiter, (em__string){" ", 1})
                                      : em__str_add(&out->bytes, em__str_text(&word), word.length);
        if (status == EM_OK && out->bytes.length > before)
            status = em__list_end(out);
    }
    em__str_free(&word);
    em__str_free(&clean);
    return status;
}

em_status em__decoder_run(const em__decoder *decoder, const em__list *in, em__list *out)
{
    switch (decoder->kind) {
    case EM_DECODE_WORDPIECE: return run_wordpiece(decoder, in, out);
    case EM_DECODE_BYTE_LEVEL: return run_byte_level(in, out);
    case EM_DECODE_METASPACE: return run_metaspace(decoder, in, out);
    case EM_DECODE_BPE: return run_bpe(decoder, in, out);
    case EM_DECODE_BYTE_FALLBACK: return run_byte_fallback(in, out);
    case EM_DECODE_FUSE: return add_string(out, (em__string){em__str_text(&in->bytes), in->bytes.length});
    case EM_DECODE_STRIP: return run_strip(decoder, in, out);
    case EM_DECODE_REPLACE: return run_replace(decoder, in, out);
    case EM_DECODE_CTC: return run_ctc(decoder, in, out);
    }
    return em__fail(EM_ERROR_INTERNAL, "tokenizer: decoder %d is unknown", (int)decoder->kind);
}
