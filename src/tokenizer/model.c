/* The models behind one door. */
#include "tokenizer/model.h"

#include "core/error.h"
#include "tokenizer/utf8.h"

em_status em__model_tokenize(const em_tokenizer *tok, em__scratch *s, const char *text, size_t length,
                             const em_span *align, em__tokens *out)
{
    em__place place = {align, 0};
    switch (tok->model.kind) {
    case EM_MODEL_WORDPIECE: return em__wordpiece(tok, s, text, length, em__utf8_count(text, length), place, out);
    default: return em__fail(EM_ERROR_INTERNAL, "tokenizer: model %d is unknown", (int)tok->model.kind);
    }
}
