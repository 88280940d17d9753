/* "pre_tokenizer". */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load.h"

em_status em__load_pretokenizer(em_tokenizer *tok, const json_t *value, int depth)
{
    const char *type;
    em__pre pre = {0};
    if (!value || (json_is_null(value) && depth == 0))
        return EM_OK;
    EM__TRY(em__load_type(value, "pre_tokenizer", &type));
    EM__FAIL_IF(strcmp(type, "BertPreTokenizer") != 0, EM_ERROR_UNSUPPORTED, "pre_tokenizer \"%s\" is not supported",
                type);
    pre.kind = EM_PRE_BERT;
    return em__vec_push(&tok->pres, pre);
}
