/* "decoder". */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load.h"

em_status em__load_decoder(em_tokenizer *tok, const json_t *value, int depth)
{
    const char *type;
    em__decoder decoder = {0};
    if (!value || (json_is_null(value) && depth == 0))
        return EM_OK;
    EM__TRY(em__load_type(value, "decoder", &type));
    EM__FAIL_IF(strcmp(type, "WordPiece") != 0, EM_ERROR_UNSUPPORTED, "decoder \"%s\" is not supported", type);
    decoder.kind = EM_DECODE_WORDPIECE;
    tok->has_decoder = true;
    EM__TRY(em__load_member(tok, value, "decoder WordPiece", "prefix", true, &decoder.text));
    EM__TRY(em__tokjson_bool(value, "decoder WordPiece", "cleanup", true, &decoder.cleanup));
    return em__vec_push(&tok->decoders, decoder);
}
