/* em_tokenizer_decode and em_decode_stream: ids at once, and one by one. */
#include "tokenizer/decode.h"

#include "core/alloc.h"
#include "core/error.h"

/* Byte-fallback runs decode as a whole: one ill-formed byte spoils all that came before it. So a stream holds them
 * back, but not for ever. */
enum { MOST_HELD = 32 };

struct em_decode_stream {
    em__decoding decoding;
};

/* Added tokens decode as what they are in normalized text, so that the decoder can undo it. */
static const char *token_text(const em_tokenizer *tok, int32_t id, size_t *length)
{
    if (!em__vocab_text(&tok->added_vocab, id, length))
        return em__vocab_text(&tok->model.vocab, id, length);
    size_t low = 0, high = tok->added.length;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (tok->added.data[middle].id <= id)
            low = middle;
        else
            high = middle;
    }
    *length = tok->added.data[low].pattern.length;
    return tok->added.data[low].pattern.data;
}

static em_status collect(em__decoding *d, const int32_t *ids, size_t count)
{
    em__list_clear(&d->list);
    for (size_t i = 0; i < count; i++) {
        em__string token;
        token.data = token_text(d->tok, ids[i], &token.length);
        if (token.data && !(d->skip_special && em_tokenizer_is_special(d->tok, ids[i])))
            EM__TRY(em__list_add(&d->list, token));
    }
    d->taken += d->list.bytes.length;
    return EM_OK;
}

/* Without a decoder the tokens are joined by spaces. */
static em_status join(em__decoding *d, em__str *out)
{
    if (d->tok->has_decoder)
        return em__str_add(out, em__str_text(&d->list.bytes), d->list.bytes.length);
    for (size_t i = 0; i < d->list.ends.length; i++) {
        em__string string = em__list_at(&d->list, i);
        if (d->joined)
            EM__TRY(em__str_add_char(out, ' '));
        d->joined = true;
        EM__TRY(em__str_add(out, string.data, string.length));
    }
    return EM_OK;
}

/* Of all that a decoder gives the sum is bounded by all that was taken in: what it holds back may come much later. */
static em_status run_step(em__decode_step *step, size_t taken, const em__list *in, bool last, em__list *out)
{
    const size_t most = em__text_allowance(taken, EM_GROWTH);
    step->room = most - step->given;
    em__list_clear(out);
    EM__TRY(em__decode_step_run(step, in, last, out));
    if (out->bytes.length > step->room)
        return em__text_too_long(most);
    step->given += out->bytes.length;
    return EM_OK;
}

em_status em__decoding_add(em__decoding *d, const int32_t *ids, size_t count, bool last, em__str *out)
{
    EM__TRY(collect(d, ids, count));
    for (size_t i = 0; i < d->tok->decoders.length; i++) {
        EM__TRY(run_step(&d->steps[i], d->taken, &d->list, last, &d->other));
        em__list swapped = d->list;
        d->list = d->other;
        d->other = swapped;
    }
    return join(d, out);
}

em_status em__decoding_init(em__decoding *d, const em_tokenizer *tok, bool skip_special, size_t most_held)
{
    size_t count = tok->decoders.length;
    *d = (em__decoding){.tok = tok, .skip_special = skip_special};
    if (count > 0 && !(d->steps = em__calloc(count, sizeof *d->steps)))
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        d->steps[i].decoder = &tok->decoders.data[i];
        d->steps[i].most_held = most_held;
    }
    return EM_OK;
}

void em__decoding_reset(em__decoding *d)
{
    d->joined = false;
    d->taken = 0;
    for (size_t i = 0; i < d->tok->decoders.length; i++) {
        em__decode_step *step = &d->steps[i], old = *step;
        em__str_clear(&old.begun);
        em__str_clear(&old.held);
        *step = (em__decode_step){.decoder = old.decoder,
                                  .begun = old.begun,
                                  .held = old.held,
                                  .most_held = old.most_held,
                                  .matching = old.matching};
    }
}

void em__decoding_free(em__decoding *d)
{
    for (size_t i = 0; d->steps && i < d->tok->decoders.length; i++) {
        em__str_free(&d->steps[i].begun);
        em__str_free(&d->steps[i].held);
        em__matching_free(&d->steps[i].matching);
    }
    em__free(d->steps);
    em__list_free(&d->list);
    em__list_free(&d->other);
}

/* em__decoding_add into a public text; it is empty on failure. */
static em_status decode_into(em__decoding *d, const int32_t *ids, size_t count, bool last, em_text *out)
{
    em__str str = {out->data, 0, out->capacity};
    em__str_clear(&str);
    em_status status = em__decoding_add(d, ids, count, last, &str);
    if (status == EM_OK)
        status = em__str_add(&str, "", 0);
    if (status != EM_OK)
        em__str_clear(&str);
    *out = (em_text){str.data, str.length, str.capacity};
    return status;
}

em_status em_tokenizer_decode(const em_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                              em_text *out)
{
    if (out)
        out->length = 0;
    EM__FAIL_IF(!tokenizer || !out || (!ids && count), EM_ERROR_INVALID_ARGUMENT,
                "tokenizer: decode needs a tokenizer, ids and a text");
    em__decoding decoding;
    em_status status = em__decoding_init(&decoding, tokenizer, skip_special, SIZE_MAX);
    if (status == EM_OK)
        status = decode_into(&decoding, ids, count, true, out);
    em__decoding_free(&decoding);
    return status;
}

em_decode_stream *em_decode_stream_new(const em_tokenizer *tokenizer, bool skip_special)
{
    if (!tokenizer) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "tokenizer: a decode stream needs a tokenizer");
        return NULL;
    }
    em_decode_stream *stream = em__calloc(1, sizeof *stream);
    if (stream && em__decoding_init(&stream->decoding, tokenizer, skip_special, MOST_HELD) != EM_OK) {
        em_decode_stream_free(stream);
        return NULL;
    }
    return stream;
}

em_status em_decode_stream_push(em_decode_stream *stream, int32_t id, em_text *out)
{
    EM__FAIL_IF(!stream || !out, EM_ERROR_INVALID_ARGUMENT, "tokenizer: a decode stream is pushed to with a text");
    em_status status = decode_into(&stream->decoding, &id, 1, false, out);
    if (status != EM_OK)
        em__decoding_reset(&stream->decoding);
    return status;
}

em_status em_decode_stream_flush(em_decode_stream *stream, em_text *out)
{
    EM__FAIL_IF(!stream || !out, EM_ERROR_INVALID_ARGUMENT, "tokenizer: a decode stream is flushed into a text");
    em_status status = decode_into(&stream->decoding, NULL, 0, true, out);
    em__decoding_reset(&stream->decoding);
    return status;
}

void em_decode_stream_free(em_decode_stream *stream)
{
    if (!stream)
        return;
    em__decoding_free(&stream->decoding);
    em__free(stream);
}

void em_text_free(em_text *text)
{
    if (!text)
        return;
    em__free(text->data);
    *text = (em_text){0};
}
