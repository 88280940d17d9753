/* em_tokenizer_encode: from bytes to an encoding, by the fused path that fits or the general one. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/options.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/model.h"
#include "tokenizer/utf8.h"

em_status em__tokens_reserve(em__tokens *tokens, size_t more)
{
    if (more <= tokens->capacity - tokens->length)
        return EM_OK;
    size_t ids = tokens->capacity, spans = tokens->capacity;
    EM__TRY(em__vec_grow(&tokens->ids, tokens->length, &ids, more, sizeof *tokens->ids));
    EM__TRY(em__vec_grow(&tokens->spans, tokens->length, &spans, more, sizeof *tokens->spans));
    tokens->capacity = ids < spans ? ids : spans;
    return EM_OK;
}

em_status em__missing_unk(const em_tokenizer *tok)
{
    if (!tok->model.has_unk)
        return em__fail(EM_ERROR_FORMAT,
                        "%s: the text has what the vocabulary lacks, and the file names no unknown token",
                        em_tokenizer_model_name(tok));
    return em__fail(EM_ERROR_FORMAT,
                    "%s: the text has what the vocabulary lacks, and so has it no unknown token \"%s\"",
                    em_tokenizer_model_name(tok), tok->model.unk_token.data);
}

/* A piece that is an added token: one token, over all of it. */
em_status em__push_added(const em_tokenizer *tok, em__tokens *out, int32_t added, const char *text, size_t length,
                         em_span span)
{
    EM__TRY(em__tokens_reserve(out, 1));
    if (tok->post.trims.length > 0) {
        em__added_space space = {.token = out->length};
        em__count_space(text, length, &space.leading, &space.trailing);
        EM__TRY(em__vec_push(&out->spaces, space));
    }
    em__tokens_push(out, tok->added.data[added].id, span.start, span.end);
    return EM_OK;
}

em_status em__encode_generic(const em_tokenizer *tok, em__scratch *s, em__source source, em__tokens *out)
{
    em__text_allow(s, s->room);
    s->pieces.length = 0;
    EM__TRY(em__text_add_source(&s->text, source));
    EM__TRY(em__normalize(tok, s, source.origin));
    EM__TRY(em__cut_normalized(tok, s, source.origin));
    EM__TRY(em__pretokenize(tok, s));
    s->room -= s->text.length;
    for (size_t i = 0; i < s->pieces.length; i++) {
        em__piece piece = s->pieces.data[i];
        const char *text = s->text.bytes + piece.start;
        const em_span *align = s->text.align + piece.start;
        size_t length = piece.end - piece.start;
        if (length == 0)
            continue;
        if (piece.added >= 0)
            EM__TRY(
                em__push_added(tok, out, piece.added, text, length, (em_span){align[0].start, align[length - 1].end}));
        else
            EM__TRY(em__model_tokenize(tok, s, text, length, align, out));
    }
    return EM_OK;
}

/* What stands between two added tokens. */
static em_status encode_source(const em_tokenizer *tok, em__scratch *s, em__source source, size_t limit,
                               em__tokens *out)
{
    size_t before = out->length;
    bool done = false;
    if (source.length == 0 || out->length >= limit)
        return EM_OK;
    if (tok->fused == EM_FUSED_BERT) {
        EM__TRY(em__encode_bert(tok, s, source, limit, out, &done));
        if (done)
            return EM_OK;
        out->length = before;
    }
    if (tok->fused == EM_FUSED_BYTES) {
        EM__TRY(em__encode_bytes(tok, s, source, limit, out, &done));
        if (done)
            return EM_OK;
    }
    return em__encode_generic(tok, s, source, out);
}

/* One text into `out`. Stops early when `limit` tokens are there. */
static em_status encode_text(const em_tokenizer *tok, em__scratch *s, int sequence, const char *text, size_t length,
                             size_t limit)
{
    em__tokens *out = &s->tokens[sequence];
    out->length = 0;
    out->spaces.length = 0;
    em__text_allow(s, em__text_allowance(length, EM_GROWTH));
    if (em__utf8_valid(text, length) < length) {
        em__str_clear(&s->repaired[sequence]);
        EM__TRY(em__utf8_repair(text, length, &s->repaired[sequence]));
        text = s->repaired[sequence].data;
        length = s->repaired[sequence].length;
    }
    size_t from = 0, scan = 0;
    uint32_t origin = 0;
    em__match match;
    while (out->length < limit && em__matcher_next(tok, &tok->raw, text, length, from, &scan, &match)) {
        if (match.start > from) {
            EM__TRY(encode_source(tok, s, (em__source){text + from, match.start - from, origin}, limit, out));
            origin += (uint32_t)em__utf8_count(text + from, match.start - from);
            from = match.start;
        }
        /* a match may begin in white space that the one before it took */
        uint32_t start =
            match.start < from ? origin - (uint32_t)em__utf8_count(text + match.start, from - match.start) : origin;
        uint32_t end = start + (uint32_t)em__utf8_count(text + match.start, match.end - match.start);
        EM__TRY(
            em__push_added(tok, out, match.added, text + match.start, match.end - match.start, (em_span){start, end}));
        from = match.end;
        origin = end;
    }
    if (from < length)
        EM__TRY(encode_source(tok, s, (em__source){text + from, length - from, origin}, limit, out));
    return EM_OK;
}

static em_status read_options(const em_encode_options *given, em_encode_options *options)
{
    *options = (em_encode_options){0};
    EM__TRY(EM__OPTIONS_COPY(given, options, em_encode_options));
    EM__FAIL_IF((unsigned)options->truncation > EM_TRUNCATION_GIVEN || (unsigned)options->padding > EM_PADDING_GIVEN ||
                    (unsigned)options->strategy > EM_TRUNCATE_ONLY_SECOND,
                EM_ERROR_INVALID_ARGUMENT, "tokenizer: options hold an unknown truncation, strategy or padding");
    return EM_OK;
}

static em_status check_text(const char *text, size_t length)
{
    EM__FAIL_IF(!text && length > 0, EM_ERROR_INVALID_ARGUMENT, "tokenizer: text is NULL, its length %zu", length);
    EM__FAIL_IF(length > (size_t)1 << 30, EM_ERROR_INVALID_ARGUMENT, "tokenizer: a text of %zu bytes, at most 1 GiB",
                length);
    return EM_OK;
}

/* Tokens after which no more are needed: those that truncation keeps, where it keeps the beginning of a single text. */
static size_t token_limit(const em_tokenizer *tok, const em_encode_options *options)
{
    bool file = options->truncation == EM_TRUNCATION_FILE && tok->has_truncation;
    bool given = options->truncation == EM_TRUNCATION_GIVEN;
    bool left = file ? tok->truncation.left : options->truncate_left;
    em_truncation_strategy strategy = file ? tok->truncation.strategy : options->strategy;
    if ((!file && !given) || options->overflow || left || options->pair || strategy == EM_TRUNCATE_ONLY_SECOND)
        return SIZE_MAX;
    size_t most = file ? tok->truncation.max_length : options->max_length;
    return most == SIZE_MAX ? most : most + 1;
}

static em_status encode(const em_tokenizer *tok, const char *text, size_t length, const em_encode_options *given,
                        em_encoding *out)
{
    em_encode_options options;
    EM__TRY(read_options(given, &options));
    EM__TRY(check_text(text, length));
    EM__TRY(check_text(options.pair, options.pair_length));
    if (!out->scratch && !(out->scratch = em__calloc(1, sizeof(em__scratch))))
        return EM_ERROR_OUT_OF_MEMORY;
    em__scratch *s = out->scratch;
    EM__TRY(encode_text(tok, s, 0, text ? text : "", length, token_limit(tok, &options)));
    if (options.pair)
        EM__TRY(encode_text(tok, s, 1, options.pair, options.pair_length, SIZE_MAX));
    return em__post_process(tok, s, &options, out);
}

em_status em_tokenizer_encode(const em_tokenizer *tokenizer, const char *text, size_t length,
                              const em_encode_options *options, em_encoding *out)
{
    if (out)
        out->length = out->overflow_count = 0;
    EM__FAIL_IF(!tokenizer || !out, EM_ERROR_INVALID_ARGUMENT, "tokenizer: encode needs a tokenizer and an encoding");
    em_status status = encode(tokenizer, text, length, options, out);
    if (status != EM_OK)
        out->length = out->overflow_count = 0;
    return status;
}
