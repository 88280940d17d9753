/* The top level of tokenizer.json, truncation, padding, and the helpers that all parts share. */
#include "tokenizer/load.h"

#include <string.h>

#include "core/error.h"
#include "io/json.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

enum { MOST_PADDING = 1 << 20 }; /* tokens; that is beyond what models read */

em_status em__load_text(em_tokenizer *tok, const char *text, size_t length, em__bytes *out)
{
    out->data = em__arena_strndup(&tok->arena, text, length);
    out->length = length;
    return out->data ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

em_status em__load_type(const json_t *value, const char *where, const char **type)
{
    size_t length;
    *type = NULL;
    EM__FAIL_IF(!json_is_object(value), EM_ERROR_FORMAT, "%s: expected an object", where);
    return em__tokjson_text(value, where, "type", true, type, &length);
}

em_status em__load_sequence(em_tokenizer *tok, const json_t *value, const char *where, const char *key,
                            em_status (*load)(em_tokenizer *tok, const json_t *value, int depth), int depth)
{
    const json_t *list = json_object_get(value, key);
    EM__FAIL_IF(!json_is_array(list), EM_ERROR_FORMAT, "%s: \"%s\" must be a list", where, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        EM__TRY(load(tok, json_array_get(list, i), depth + 1));
    return EM_OK;
}

em_status em__load_step(size_t count, const char *where)
{
    EM__FAIL_IF(count >= EM_LOAD_STEPS, EM_ERROR_FORMAT, "%s: a sequence of more than %d steps", where, EM_LOAD_STEPS);
    return EM_OK;
}

em_status em__load_member(em_tokenizer *tok, const json_t *object, const char *where, const char *key, bool required,
                          em__bytes *out)
{
    const char *text = NULL;
    size_t length = 0;
    EM__TRY(em__tokjson_text(object, where, key, required, &text, &length));
    return text ? em__load_text(tok, text, length, out) : EM_OK;
}

em_status em__load_char(const json_t *object, const char *where, const char *key, uint32_t *out)
{
    const char *text = NULL;
    size_t length = 0;
    EM__TRY(em__tokjson_text(object, where, key, true, &text, &length));
    EM__FAIL_IF(length == 0 || em__utf8_length((uint8_t)text[0]) != length, EM_ERROR_FORMAT,
                "%s: \"%s\" is \"%s\", expected one character", where, key, text);
    *out = em__utf8_next(&text);
    return EM_OK;
}

em_status em__load_choice(const char *where, const char *value, const char *const *names, int *choice)
{
    for (*choice = 0; names[*choice]; ++*choice)
        if (strcmp(names[*choice], value) == 0)
            return EM_OK;
    return em__fail(EM_ERROR_FORMAT, "%s: \"%s\" is not one of the values that are known, such as \"%s\"", where, value,
                    names[0]);
}

static em_status load_direction(const json_t *object, const char *where, bool *left)
{
    static const char *const names[] = {"Right", "Left", NULL};
    const char *text = "Right";
    size_t length;
    int choice;
    EM__TRY(em__tokjson_text(object, where, "direction", false, &text, &length));
    EM__TRY(em__load_choice(where, text, names, &choice));
    *left = choice == 1;
    return EM_OK;
}

static em_status load_truncation(em_tokenizer *tok, const json_t *value)
{
    static const char *const names[] = {"LongestFirst", "OnlyFirst", "OnlySecond", NULL};
    const char *text = names[0];
    size_t length;
    int choice;
    if (!value || json_is_null(value))
        return EM_OK;
    EM__FAIL_IF(!json_is_object(value), EM_ERROR_FORMAT, "truncation: expected an object or null");
    EM__TRY(load_direction(value, "truncation", &tok->truncation.left));
    EM__TRY(em__tokjson_size(value, "truncation", "max_length", true, &tok->truncation.max_length));
    EM__TRY(em__tokjson_size(value, "truncation", "stride", true, &tok->truncation.stride));
    EM__TRY(em__tokjson_text(value, "truncation", "strategy", true, &text, &length));
    EM__TRY(em__load_choice("truncation", text, names, &choice));
    tok->truncation.strategy = (em_truncation_strategy)choice;
    tok->has_truncation = true;
    return EM_OK;
}

/* Every text takes the memory for it, however short it is. */
static em_status check_padding(const char *key, size_t tokens)
{
    EM__FAIL_IF(tokens > MOST_PADDING, EM_ERROR_FORMAT, "padding: \"%s\" is %zu tokens, at most %d are possible", key,
                tokens, MOST_PADDING);
    return EM_OK;
}

static em_status load_padding(em_tokenizer *tok, const json_t *value)
{
    size_t id = 0, type_id = 0;
    if (!value || json_is_null(value))
        return EM_OK;
    EM__FAIL_IF(!json_is_object(value), EM_ERROR_FORMAT, "padding: expected an object or null");
    EM__TRY(load_direction(value, "padding", &tok->padding.left));
    EM__TRY(em__tokjson_size(value, "padding", "pad_to_multiple_of", false, &tok->padding.multiple));
    EM__TRY(em__tokjson_size(value, "padding", "pad_id", true, &id));
    EM__TRY(em__tokjson_size(value, "padding", "pad_type_id", true, &type_id));
    EM__FAIL_IF(id > EM_VOCAB_MAX_ID || type_id > INT32_MAX, EM_ERROR_FORMAT, "padding: pad_id is %zu, pad_type_id %zu",
                id, type_id);
    EM__TRY(check_padding("pad_to_multiple_of", tok->padding.multiple));
    const json_t *strategy = json_object_get(value, "strategy");
    if (json_is_object(strategy))
        EM__TRY(em__tokjson_size(strategy, "padding.strategy", "Fixed", true, &tok->padding.length));
    else
        EM__FAIL_IF(!json_is_string(strategy) || strcmp(json_string_value(strategy), "BatchLongest") != 0,
                    EM_ERROR_FORMAT, "padding: \"strategy\" must be \"BatchLongest\" or {\"Fixed\": length}");
    EM__TRY(check_padding("Fixed", tok->padding.length));
    tok->padding.id = (int32_t)id;
    tok->padding.type_id = (int32_t)type_id;
    tok->has_padding = true;
    return EM_OK;
}

static em_status load_parts(em_tokenizer *tok, const json_t *root, em__tokjson_range vocab, em__tokjson_range merges,
                            em__beside *beside)
{
    const char *version = "1.0";
    size_t length;
    EM__TRY(em__tokjson_text(root, "tokenizer.json", "version", false, &version, &length));
    EM__FAIL_IF(strcmp(version, "1.0") != 0, EM_ERROR_UNSUPPORTED, "tokenizer.json: version \"%s\", expected \"1.0\"",
                version);
    EM__TRY(load_truncation(tok, json_object_get(root, "truncation")));
    EM__TRY(load_padding(tok, json_object_get(root, "padding")));
    EM__TRY(em__load_normalizer(tok, json_object_get(root, "normalizer"), 0));
    EM__TRY(em__load_beside(tok, json_object_get(root, "normalizer"), beside));
    EM__TRY(em__load_pretokenizer(tok, json_object_get(root, "pre_tokenizer"), 0));
    EM__TRY(em__load_model(tok, json_object_get(root, "model"), vocab, merges));
    EM__TRY(em__load_added(tok, json_object_get(root, "added_tokens")));
    EM__TRY(em__load_post(tok, json_object_get(root, "post_processor"), 0));
    return em__load_decoder(tok, json_object_get(root, "decoder"), 0);
}

static void prepare_bert(em_tokenizer *tok)
{
    const em__norm *norm = &tok->norms.data[0];
    for (uint32_t c = 0; c < 128; c++) {
        unsigned flags = em__uc_flags(c);
        tok->bert_lower[c] = (char)(norm->lowercase && c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (norm->clean_text && (c == 0 || (flags & EM_UC_OTHER)))
            tok->bert_class[c] = EM_BERT_DROP;
        else
            tok->bert_class[c] = flags & EM_UC_SPACE         ? EM_BERT_SPACE
                                 : flags & EM_UC_PUNCTUATION ? EM_BERT_PUNCTUATION
                                                             : EM_BERT_WORD;
    }
}

/* ByteLevel with its own expression, or a known Split and ByteLevel without; all 256 characters; NFC at most. */
static bool is_bytes(const em_tokenizer *tok)
{
    const em__model *model = &tok->model;
    if (model->kind != EM_MODEL_BPE || tok->pres.length < 1 || tok->pres.length > 2)
        return false;
    const em__pre *first = tok->pres.data, *last = first + tok->pres.length - 1;
    if (last->kind != EM_PRE_BYTE_LEVEL)
        return false;
    if (model->prefix.length > 0 || model->suffix.length > 0 || tok->norms.length > 1 ||
        (tok->norms.length == 1 && tok->norms.data[0].kind != EM_NORM_NFC))
        return false;
    for (int byte = 0; byte < 256; byte++)
        if (model->char_ids[byte] < 0)
            return false;
    if (tok->pres.length == 1)
        return last->use_regex;
    return first->kind == EM_PRE_SPLIT && first->words != EM_WORDS_NONE && first->behavior == EM_SPLIT_ISOLATED &&
           !first->invert && !last->use_regex && !last->add_prefix_space;
}

/* Which fused path does what the parts say. */
static void choose_path(em_tokenizer *tok)
{
    bool bert = tok->normalized.count == 0 && tok->norms.length == 1 && tok->pres.length == 1;
    if (bert && tok->norms.data[0].kind == EM_NORM_BERT && tok->pres.data[0].kind == EM_PRE_BERT &&
        tok->model.kind == EM_MODEL_WORDPIECE) {
        tok->fused = EM_FUSED_BERT;
        prepare_bert(tok);
    } else if (is_bytes(tok)) {
        tok->fused = EM_FUSED_BYTES;
        tok->words = tok->pres.data[0].words;
        tok->prefix_space = tok->pres.data[0].add_prefix_space;
    }
}

em_status em__tokenizer_build(em_tokenizer *tok, const char *json, size_t length, em__beside *beside)
{
    em__str rest = {0};
    em__tokjson_range vocab, merges;
    em__json_doc doc = {0};
    size_t valid = em__utf8_valid(json, length);
    em_status status = EM_OK;
    if (valid < length)
        return em__fail(EM_ERROR_FORMAT, "tokenizer.json: byte %zu is not UTF-8", valid);
    status = em__tokjson_split(json, length, &rest, &vocab, &merges);
    if (status != EM_OK)
        goto done;
    status = em__json_parse_exact(em__str_text(&rest), rest.length, "tokenizer.json", &doc);
    if (status == EM_OK)
        status = load_parts(tok, doc.root, vocab, merges, beside);
    if (status == EM_OK)
        status = em__matcher_build(tok, false, &tok->raw);
    if (status == EM_OK)
        status = em__matcher_build(tok, true, &tok->normalized);
    if (status == EM_OK)
        choose_path(tok);
done:
    em__json_free(&doc);
    em__str_free(&rest);
    return status;
}
