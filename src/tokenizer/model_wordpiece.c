/*
 * WordPiece: a word is cut from its front, each time into the longest piece that the vocabulary has; pieces after the
 * first are looked up with the continuing prefix. A word that cannot be cut so becomes the unknown token.
 */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/model.h"

static em_status unknown(const em_tokenizer *tok, em__tokens *out, em_span span)
{
    if (tok->model.unk_id < 0)
        return em__missing_unk(tok);
    EM__TRY(em__tokens_reserve(out, 1));
    em__tokens_push(out, tok->model.unk_id, span.start, span.end);
    return EM_OK;
}

/* The longest piece of text[0..length) in the vocabulary: its id, and its bytes in *size. -1 if there is none. */
static int32_t longest_piece(const em__model *model, em__scratch *s, const char *text, size_t length, bool first,
                             size_t *size)
{
    const em__vocab *vocab = &model->vocab;
    size_t head = first ? 0 : model->prefix.length;
    if (head + 1 > vocab->max_length)
        return -1;
    size_t most = vocab->max_length - head < length ? vocab->max_length - head : length;
    uint64_t hash = first ? EM_VOCAB_SEED : model->prefix_hash;
    for (size_t i = 0; i < most; i++)
        s->hashes.data[i] = hash = em__vocab_hash_byte(hash, text[i]);
    for (size_t i = most; i > 0; i--) {
        if (i < length && (text[i] & 0xC0) == 0x80)
            continue;
        int32_t id = first ? em__vocab_find_hashed(vocab, s->hashes.data[i - 1], text, i)
                           : em__vocab_find_parts(vocab, s->hashes.data[i - 1], model->prefix.data, head, text, i);
        if (id >= 0) {
            *size = i;
            return id;
        }
    }
    return -1;
}

em_status em__wordpiece(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length, size_t chars,
                        em__place place, em__tokens *out)
{
    const em__model *model = &tok->model;
    size_t kept = out->length;
    em_span whole = em__place_span(place, 0, length);
    if (chars > model->max_chars)
        return unknown(tok, out, whole);
    EM__TRY(em__tokens_reserve(out, length));
    s->hashes.length = 0;
    EM__TRY(em__vec_reserve(&s->hashes, model->vocab.max_length + 1));
    for (size_t start = 0, size = 0; start < length; start += size) {
        int32_t id = longest_piece(model, s, text + start, length - start, start == 0, &size);
        if (id < 0) {
            out->length = kept;
            return unknown(tok, out, whole);
        }
        em_span span = em__place_span(place, start, start + size);
        em__tokens_push(out, id, span.start, span.end);
    }
    return EM_OK;
}
