/* The models behind one door, and the simplest of them. */
#include "tokenizer/model.h"

#include "core/error.h"
#include "tokenizer/utf8.h"

/* WordLevel: the whole piece, or the unknown token. */
em_status em__wordlevel(const em_tokenizer *tok, const char *text, size_t length, em__place place, em__tokens *out)
{
    int32_t id = em__vocab_find(&tok->model.vocab, text, length);
    if (id < 0)
        id = tok->model.unk_id;
    if (id < 0)
        return em__missing_unk(tok);
    em_span span = em__place_span(place, 0, length);
    EM__TRY(em__tokens_reserve(out, 1));
    em__tokens_push(out, id, span.start, span.end);
    return EM_OK;
}

em_status em__model_tokenize(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length,
                             const em_span *align, em__tokens *out)
{
    em__place place = {align, 0};
    switch (tok->model.kind) {
    case EM_MODEL_WORDPIECE: return em__wordpiece(tok, s, text, length, em__utf8_count(text, length), place, out);
    case EM_MODEL_BPE: return em__bpe(tok, s, text, length, place, out);
    case EM_MODEL_UNIGRAM: return em__unigram(tok, s, text, length, place, out);
    case EM_MODEL_WORDLEVEL: return em__wordlevel(tok, text, length, place, out);
    }
    return em__fail(EM_ERROR_INTERNAL, "tokenizer: model %d is unknown", (int)tok->model.kind);
}
