/*
 * em_tokenizer_decode. The tokens' texts go through the file's decoders as a list, as `tokenizers` does it; the list is
 * one buffer of bytes and the places where its strings end.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/decode.h"

/* Added tokens decode as what they are in normalized text, so that the decoder can undo it. */
static const char *token_text(const em_tokenizer *tok, int32_t id, size_t *length)
{
    if (!em__vocab_text(&tok->added_vocab, id, length))
        return em__vocab_text(&tok->model.vocab, id, length);
    size_t i = 0;
    while (tok->added.data[i].id != id)
        i++;
    *length = tok->added.data[i].pattern.length;
    return tok->added.data[i].pattern.data;
}

static em_status collect(const em_tokenizer *tok, const int32_t *ids, size_t count, bool skip_special, em__list *list)
{
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *text = token_text(tok, ids[i], &length);
        if (!text || (skip_special && em_tokenizer_is_special(tok, ids[i])))
            continue;
        EM__TRY(em__str_add(&list->bytes, text, length));
        EM__TRY(em__list_end(list));
    }
    return EM_OK;
}

/* Without a decoder the tokens are joined by spaces. */
static em_status join(const em_tokenizer *tok, em__list *from, em__str *out)
{
    if (tok->has_decoder)
        return em__str_add(out, em__str_text(&from->bytes), from->bytes.length);
    for (size_t i = 0; i < from->ends.length; i++) {
        em__string string = em__list_at(from, i);
        if (i > 0)
            EM__TRY(em__str_add_char(out, ' '));
        EM__TRY(em__str_add(out, string.data, string.length));
    }
    return EM_OK;
}

static em_status run(const em_tokenizer *tok, em__list *list, em__list *other)
{
    for (size_t i = 0; i < tok->decoders.length; i++) {
        em__list_clear(other);
        EM__TRY(em__decoder_run(&tok->decoders.data[i], list, other));
        em__list swapped = *list;
        *list = *other;
        *other = swapped;
    }
    return EM_OK;
}

em_status em_tokenizer_decode(const em_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                              em_text *out)
{
    EM__FAIL_IF(!tokenizer || !out || (!ids && count), EM_ERROR_INVALID_ARGUMENT,
                "tokenizer: decode needs a tokenizer, ids and a text");
    em__list list = {0}, other = {0};
    em__str str = {out->data, 0, out->capacity};
    em__str_clear(&str);
    em_status status = collect(tokenizer, ids, count, skip_special, &list);
    if (status == EM_OK)
        status = run(tokenizer, &list, &other);
    if (status == EM_OK)
        status = join(tokenizer, &list, &str);
    if (status == EM_OK)
        status = em__str_add(&str, "", 0);
    if (status != EM_OK)
        em__str_clear(&str);
    *out = (em_text){str.data, str.length, str.capacity};
    em__list_free(&list);
    em__list_free(&other);
    return status;
}

void em_text_free(em_text *text)
{
    if (!text)
        return;
    em__free(text->data);
    *text = (em_text){0};
}
