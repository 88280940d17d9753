/* The decoders, each a step; here those that take strings whole. */
#include <string.h>

#include "core/error.h"
#include "tokenizer/decode.h"
#include "tokenizer/utf8.h"

bool em__whole_string(em__decode_step *step, const em__list *in, size_t i, em__string *string, em_status *status)
{
    bool whole = i < in->ends.length;
    if (*status != EM_OK)
        return false;
    *string = em__list_at(in, i);
    if (i == 1)
        em__str_clear(&step->begun); /* string 0 was the end of it */
    if (whole && (i > 0 || step->begun.length == 0))
        return true;
    *status = em__str_add(&step->begun, string->data, string->length);
    *string = (em__string){em__str_text(&step->begun), step->begun.length};
    return whole && *status == EM_OK;
}

static em_status run_wordpiece(em__decode_step *step, const em__list *in, em__list *out)
{
    em__bytes prefix = step->decoder->text;
    em__str *word = &step->held;
    em__string token;
    em_status status = EM_OK;
    for (size_t i = 0; em__whole_string(step, in, i, &token, &status); i++, step->strings++) {
        em__str_clear(word);
        bool continues = token.length >= prefix.length && memcmp(token.data, prefix.data, prefix.length) == 0;
        if (step->strings > 0 && continues) {
            token.data += prefix.length;
            token.length -= prefix.length;
        } else if (step->strings > 0) {
            EM__TRY(em__str_add_char(word, ' '));
        }
        EM__TRY(em__str_add(word, token.data, token.length));
        em__string built = {em__str_text(word), word->length};
        EM__TRY(step->decoder->cleanup ? em__clean_up(&out->bytes, built)
                                       : em__str_add(&out->bytes, built.data, built.length));
        EM__TRY(em__list_end(out));
    }
    return status;
}

/* Character by character, so that it needs no whole strings. */
static em_status run_metaspace(em__decode_step *step, const em__list *in, em__list *out)
{
    char utf8[4];
    for (size_t i = 0; i <= in->ends.length; i++) {
        em__string token = em__list_at(in, i);
        const char *at = token.data, *end = at + token.length;
        while (at < end) {
            uint32_t c = em__utf8_next(&at);
            if (c != step->decoder->character)
                EM__TRY(em__str_add(&out->bytes, utf8, em__utf8_put(utf8, c)));
            else if (step->strings > 0 || !step->decoder->drop_first)
                EM__TRY(em__str_add_char(&out->bytes, ' '));
        }
        if (i < in->ends.length) {
            EM__TRY(em__list_end(out));
            step->strings++;
        }
    }
    return EM_OK;
}

/* The suffix is a space but in the last token: each waits for the one after it. */
static em_status run_bpe(em__decode_step *step, const em__list *in, bool last, em__list *out)
{
    em__string suffix = {step->decoder->text.data, step->decoder->text.length}, token;
    em_status status = EM_OK;
    for (size_t i = 0; em__whole_string(step, in, i, &token, &status); i++) {
        em__string held = {em__str_text(&step->held), step->held.length};
        if (step->has_held) {
            EM__TRY(em__replace_all(&out->bytes, held, suffix, (em__string){" ", 1}));
            EM__TRY(em__list_end(out));
        }
        em__str_clear(&step->held);
        EM__TRY(em__str_add(&step->held, token.data, token.length));
        step->has_held = true;
    }
    EM__TRY(status);
    if (!last || !step->has_held)
        return EM_OK;
    em__string held = {em__str_text(&step->held), step->held.length};
    EM__TRY(em__replace_all(&out->bytes, held, suffix, (em__string){"", 0}));
    return em__list_end(out);
}

em_status em__decode_put(em__decode_step *step, em__list *out)
{
    const em__bytes content = step->decoder->text;
    if (out->bytes.length > step->room || content.length > step->room - out->bytes.length)
        return em__text_too_long(step->given + step->room);
    return em__str_add(&out->bytes, content.data, content.length);
}

static em_status replace_token(em__decode_step *step, em__string token, em__list *out)
{
    const em__decoder *decoder = step->decoder;
    em__matches matches;
    bool found;
    size_t start, end, copied = 0;
    EM__TRY(em__matches_begin(&matches, &decoder->pattern, &step->matching, token.data, token.length));
    for (;;) {
        EM__TRY(em__matches_next(&matches, &found, &start, &end));
        if (!found)
            return em__list_add(out, (em__string){token.data + copied, token.length - copied});
        EM__TRY(em__str_add(&out->bytes, token.data + copied, start - copied));
        EM__TRY(em__decode_put(step, out));
        copied = end;
    }
}

static em_status run_regex(em__decode_step *step, const em__list *in, em__list *out)
{
    em__string token;
    em_status status = EM_OK;
    for (size_t i = 0; em__whole_string(step, in, i, &token, &status); i++)
        EM__TRY(replace_token(step, token, out));
    return status;
}

static em_status ctc_token(const em__decoder *decoder, em__string token, em__str *word, em__str *clean, em__list *out)
{
    em__string pad = {decoder->text.data, decoder->text.length};
    em__string delimiter = {decoder->delimiter.data, decoder->delimiter.length};
    size_t before = out->bytes.length;
    EM__TRY(em__replace_all(word, token, pad, (em__string){"", 0}));
    em__string text = {em__str_text(word), word->length};
    if (decoder->cleanup) {
        EM__TRY(em__clean_up(clean, text));
        text = (em__string){em__str_text(clean), clean->length};
        EM__TRY(em__replace_all(&out->bytes, text, delimiter, (em__string){" ", 1}));
    } else {
        EM__TRY(em__str_add(&out->bytes, text.data, text.length));
    }
    return out->bytes.length > before ? em__list_end(out) : EM_OK;
}

/* Repeated tokens are one; padding goes; what is empty then goes, too. */
static em_status run_ctc(em__decode_step *step, const em__list *in, em__list *out)
{
    em__str word = {0}, clean = {0};
    em__string token;
    em_status status = EM_OK;
    for (size_t i = 0; em__whole_string(step, in, i, &token, &status); i++) {
        if (step->has_held && token.length == step->held.length &&
            memcmp(token.data, em__str_text(&step->held), token.length) == 0)
            continue;
        em__str_clear(&step->held);
        em__str_clear(&word);
        em__str_clear(&clean);
        step->has_held = true;
        status = em__str_add(&step->held, token.data, token.length);
        if (status == EM_OK)
            status = ctc_token(step->decoder, token, &word, &clean, out);
    }
    em__str_free(&word);
    em__str_free(&clean);
    return status;
}

/* All strings are one, which ends with the last. */
static em_status run_fuse(const em__list *in, bool last, em__list *out)
{
    EM__TRY(em__str_add(&out->bytes, em__str_text(&in->bytes), in->bytes.length));
    return last ? em__list_end(out) : EM_OK;
}

em_status em__decode_step_run(em__decode_step *step, const em__list *in, bool last, em__list *out)
{
    switch (step->decoder->kind) {
    case EM_DECODE_WORDPIECE: return run_wordpiece(step, in, out);
    case EM_DECODE_BYTE_LEVEL: return em__decode_byte_level(step, in, last, out);
    case EM_DECODE_METASPACE: return run_metaspace(step, in, out);
    case EM_DECODE_BPE: return run_bpe(step, in, last, out);
    case EM_DECODE_BYTE_FALLBACK: return em__decode_byte_fallback(step, in, last, out);
    case EM_DECODE_FUSE: return run_fuse(in, last, out);
    case EM_DECODE_STRIP: return em__decode_strip(step, in, out);
    case EM_DECODE_REPLACE:
        return step->decoder->pattern.literal ? em__decode_literal(step, in, out) : run_regex(step, in, out);
    case EM_DECODE_CTC: return run_ctc(step, in, out);
    }
    return em__fail(EM_ERROR_INTERNAL, "tokenizer: decoder %d is unknown", (int)step->decoder->kind);
}
