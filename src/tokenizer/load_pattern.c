/* Patterns of Split and Replace. */
#include <string.h>

#include "core/error.h"
#include "tokenizer/load.h"

em_status em__load_pattern(em_tokenizer *tok, const json_t *object, const char *where, em__pattern *out)
{
    const json_t *value = json_object_get(object, "pattern");
    const char *text = NULL;
    size_t length = 0;
    em__bytes copy;
    EM__FAIL_IF(!json_is_object(value), EM_ERROR_FORMAT,
                "%s: \"pattern\" must be {\"String\": text} or {\"Regex\": expression}", where);
    EM__TRY(em__tokjson_text(value, where, "String", false, &text, &length));
    if (text) {
        EM__FAIL_IF(length == 0, EM_ERROR_UNSUPPORTED, "%s: an empty pattern is not supported", where);
        EM__TRY(em__load_text(tok, text, length, &copy));
        out->literal = copy.data;
        out->literal_length = length;
        return EM_OK;
    }
    EM__TRY(em__tokjson_text(value, where, "Regex", true, &text, &length));
    return em__pattern_compile(where, text, length, out);
}
