/* The decoders. */
#include <string.h>

#include "core/error.h"
#include "tokenizer/decode.h"

/* Appends `text` with every `from` replaced by `to`; `from` is not empty. */
static em_status replace_all(em__str *out, em__string text, em__string from, em__string to)
{
    const char *at = text.data, *end = text.data + text.length;
    while (at < end) {
        const char *found = memmem(at, (size_t)(end - at), from.data, from.length);
        if (!found)
            break;
        EM__TRY(em__str_add(out, at, (size_t)(found - at)));
        EM__TRY(em__str_add(out, to.data, to.length));
        at = found + from.length;
    }
    return em__str_add(out, at, (size_t)(end - at));
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

em_status em__decoder_run(const em__decoder *decoder, const em__list *in, em__list *out)
{
    switch (decoder->kind) {
    case EM_DECODE_WORDPIECE: return run_wordpiece(decoder, in, out);
    default: return em__fail(EM_ERROR_INTERNAL, "tokenizer: decoder %d is unknown", (int)decoder->kind);
    }
}
