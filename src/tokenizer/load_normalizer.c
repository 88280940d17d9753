/* "normalizer". */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load.h"
#include "tokenizer/load_precompiled.h"

static em_status load_bert(em__norm *norm, const json_t *value)
{
    const char *where = "normalizer BertNormalizer";
    norm->kind = EM_NORM_BERT;
    norm->clean_text = norm->handle_chinese_chars = norm->lowercase = true;
    EM__TRY(em__tokjson_bool(value, where, "clean_text", true, &norm->clean_text));
    EM__TRY(em__tokjson_bool(value, where, "handle_chinese_chars", true, &norm->handle_chinese_chars));
    EM__TRY(em__tokjson_bool(value, where, "lowercase", true, &norm->lowercase));
    norm->strip_accents = norm->lowercase;
    return em__tokjson_bool(value, where, "strip_accents", false, &norm->strip_accents);
}

static em_status load_strip(em__norm *norm, const json_t *value)
{
    norm->kind = EM_NORM_STRIP;
    EM__TRY(em__tokjson_bool(value, "normalizer Strip", "strip_left", true, &norm->left));
    return em__tokjson_bool(value, "normalizer Strip", "strip_right", true, &norm->right);
}

static em_status load_replace(em_tokenizer *tok, em__norm *norm, const json_t *value)
{
    norm->kind = EM_NORM_REPLACE;
    EM__TRY(em__load_member(tok, value, "normalizer Replace", "content", true, &norm->content));
    return em__load_pattern(tok, value, "normalizer Replace", &norm->pattern);
}

static em_status load_prepend(em_tokenizer *tok, em__norm *norm, const json_t *value)
{
    norm->kind = EM_NORM_PREPEND;
    return em__load_member(tok, value, "normalizer Prepend", "prepend", true, &norm->content);
}

/* The normalizers that take no members. */
static bool find_plain(const char *type, em__norm_kind *kind)
{
    static const struct {
        const char *type;
        em__norm_kind kind;
    } plain[] = {{"NFC", EM_NORM_NFC},
                 {"NFD", EM_NORM_NFD},
                 {"NFKC", EM_NORM_NFKC},
                 {"NFKD", EM_NORM_NFKD},
                 {"Lowercase", EM_NORM_LOWERCASE},
                 {"StripAccents", EM_NORM_STRIP_ACCENTS},
                 {"Nmt", EM_NORM_NMT},
                 {"ByteLevel", EM_NORM_BYTE_LEVEL}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(plain[i].type, type) == 0) {
            *kind = plain[i].kind;
            return true;
        }
    return false;
}

em_status em__load_normalizer(em_tokenizer *tok, const json_t *value, int depth)
{
    const char *type;
    em__norm norm = {0};
    em_status status = EM_OK;
    if (!value || (json_is_null(value) && depth == 0))
        return EM_OK;
    EM__FAIL_IF(depth > EM_LOAD_DEPTH, EM_ERROR_FORMAT, "normalizer: sequences within sequences, over %d deep",
                EM_LOAD_DEPTH);
    EM__TRY(em__load_type(value, "normalizer", &type));
    if (strcmp(type, "Sequence") == 0)
        return em__load_sequence(tok, value, "normalizer Sequence", "normalizers", em__load_normalizer, depth);
    EM__TRY(em__load_step(tok->norms.length, "normalizer"));
    if (strcmp(type, "BertNormalizer") == 0)
        status = load_bert(&norm, value);
    else if (strcmp(type, "Strip") == 0)
        status = load_strip(&norm, value);
    else if (strcmp(type, "Replace") == 0)
        status = load_replace(tok, &norm, value);
    else if (strcmp(type, "Prepend") == 0)
        status = load_prepend(tok, &norm, value);
    else if (strcmp(type, "Precompiled") == 0) {
        norm.kind = EM_NORM_PRECOMPILED;
        status = em__load_precompiled(tok, value, &norm.precompiled);
    } else if (!find_plain(type, &norm.kind))
        status = em__fail(EM_ERROR_UNSUPPORTED, "normalizer \"%s\" is not supported", type);
    if (status == EM_OK)
        status = em__vec_push(&tok->norms, norm);
    if (status != EM_OK)
        em__pattern_free(&norm.pattern);
    return status;
}
