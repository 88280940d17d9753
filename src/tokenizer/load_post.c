/* "post_processor": every kind becomes a template for one text and one for a pair, and trims of the offsets. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load.h"

static em_status new_template(em_tokenizer *tok, size_t count, em__template *out)
{
    out->pieces = em__arena_calloc(&tok->arena, count, sizeof *out->pieces);
    out->count = count;
    return out->pieces ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static em_status read_id(const json_t *value, const char *where, int32_t *id)
{
    EM__FAIL_IF(!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > EM_VOCAB_MAX_ID,
                EM_ERROR_FORMAT, "%s: an id must be a whole number from 0 to %d", where, EM_VOCAB_MAX_ID);
    *id = (int32_t)json_integer_value(value);
    return EM_OK;
}

/* [token, id] under `key`. */
static em_status load_token(em_tokenizer *tok, const json_t *value, const char *where, const char *key,
                            const int32_t **ids)
{
    const json_t *pair = json_object_get(value, key);
    EM__FAIL_IF(json_array_size(pair) != 2 || !json_is_string(json_array_get(pair, 0)), EM_ERROR_FORMAT,
                "%s: \"%s\" must be [token, id]", where, key);
    int32_t *id = em__arena_alloc(&tok->arena, sizeof *id);
    if (!id)
        return EM_ERROR_OUT_OF_MEMORY;
    *ids = id;
    return read_id(json_array_get(pair, 1), where, id);
}

static void set_sequence(em__post_piece *piece, int sequence, int32_t type_id)
{
    *piece = (em__post_piece){.sequence = sequence, .type_id = type_id};
}

static void set_special(em__template *into, size_t i, const int32_t *ids, size_t count, int32_t type_id)
{
    into->pieces[i] = (em__post_piece){-1, type_id, ids, count};
    into->added += count;
}

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP] */
static em_status load_bert(em_tokenizer *tok, const json_t *value)
{
    const int32_t *cls, *sep;
    em__template *single = &tok->post.single, *pair = &tok->post.pair;
    EM__TRY(load_token(tok, value, "post_processor BertProcessing", "cls", &cls));
    EM__TRY(load_token(tok, value, "post_processor BertProcessing", "sep", &sep));
    EM__TRY(new_template(tok, 3, single));
    EM__TRY(new_template(tok, 5, pair));
    set_special(single, 0, cls, 1, 0);
    set_sequence(&single->pieces[1], 0, 0);
    set_special(single, 2, sep, 1, 0);
    set_special(pair, 0, cls, 1, 0);
    set_sequence(&pair->pieces[1], 0, 0);
    set_special(pair, 2, sep, 1, 0);
    set_sequence(&pair->pieces[3], 1, 1);
    set_special(pair, 4, sep, 1, 1);
    tok->post.kind = EM_POST_BERT;
    return EM_OK;
}

static em_status add_trim(em_tokenizer *tok, const json_t *value, const char *where)
{
    em__trim trim = {true};
    bool trims = true;
    EM__TRY(em__load_step(tok->post.trims.length, "post_processor"));
    EM__TRY(em__tokjson_bool(value, where, "add_prefix_space", true, &trim.add_prefix_space));
    EM__TRY(em__tokjson_bool(value, where, "trim_offsets", true, &trims));
    EM__FAIL_IF(trims && tok->model.kind == EM_MODEL_UNIGRAM, EM_ERROR_UNSUPPORTED,
                "%s: trim_offsets with a Unigram model is not supported", where);
    return trims ? em__vec_push(&tok->post.trims, trim) : EM_OK;
}

/* <s> A </s> and <s> A </s> </s> B </s>, all of type 0 */
static em_status load_roberta(em_tokenizer *tok, const json_t *value)
{
    const char *where = "post_processor RobertaProcessing";
    const int32_t *cls, *sep;
    em__template *single = &tok->post.single, *pair = &tok->post.pair;
    EM__TRY(add_trim(tok, value, where));
    EM__TRY(load_token(tok, value, where, "cls", &cls));
    EM__TRY(load_token(tok, value, where, "sep", &sep));
    EM__TRY(new_template(tok, 3, single));
    EM__TRY(new_template(tok, 6, pair));
    set_special(single, 0, cls, 1, 0);
    set_sequence(&single->pieces[1], 0, 0);
    set_special(single, 2, sep, 1, 0);
    set_special(pair, 0, cls, 1, 0);
    set_sequence(&pair->pieces[1], 0, 0);
    set_special(pair, 2, sep, 1, 0);
    set_special(pair, 3, sep, 1, 0);
    set_sequence(&pair->pieces[4], 1, 0);
    set_special(pair, 5, sep, 1, 0);
    tok->post.kind = EM_POST_ROBERTA;
    return EM_OK;
}

/* Special tokens of a template: as pieces may share a list of ids, these are not bounded by the file's length. */
enum { MOST_SPECIAL = 1024 };

static em_status load_special(em_tokenizer *tok, const json_t *value, const json_t *tokens, em__template *into,
                              size_t i, int32_t type_id)
{
    const char *where = "post_processor TemplateProcessing", *id = NULL;
    size_t length;
    EM__TRY(em__tokjson_text(value, where, "id", true, &id, &length));
    const json_t *ids = json_object_get(json_object_get(tokens, id), "ids");
    EM__FAIL_IF(!json_is_array(ids), EM_ERROR_FORMAT, "%s: special token \"%s\" has no \"ids\" in \"special_tokens\"",
                where, id);
    size_t count = json_array_size(ids);
    EM__FAIL_IF(count > MOST_SPECIAL - into->added, EM_ERROR_FORMAT, "%s: a template of more than %d special tokens",
                where, MOST_SPECIAL);
    int32_t *copy = em__arena_calloc(&tok->arena, count, sizeof *copy);
    if (!copy)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t k = 0; k < count; k++)
        EM__TRY(read_id(json_array_get(ids, k), where, &copy[k]));
    set_special(into, i, copy, count, type_id);
    return EM_OK;
}

/* One piece of a template; `seen` counts the uses of each sequence. */
static em_status load_piece(em_tokenizer *tok, const json_t *value, const json_t *tokens, em__template *into, size_t i,
                            int seen[2])
{
    const char *where = "post_processor TemplateProcessing", *id = NULL;
    const json_t *special = json_object_get(value, "SpecialToken"), *sequence = json_object_get(value, "Sequence");
    const json_t *piece = special ? special : sequence;
    size_t type_id = 0, length;
    EM__FAIL_IF(!json_is_object(piece), EM_ERROR_FORMAT, "%s: a piece must be a \"SpecialToken\" or a \"Sequence\"",
                where);
    EM__TRY(em__tokjson_size(piece, where, "type_id", true, &type_id));
    EM__FAIL_IF(type_id > INT32_MAX, EM_ERROR_FORMAT, "%s: type_id is %zu", where, type_id);
    if (special)
        return load_special(tok, special, tokens, into, i, (int32_t)type_id);
    EM__TRY(em__tokjson_text(piece, where, "id", true, &id, &length));
    EM__FAIL_IF(strcmp(id, "A") != 0 && strcmp(id, "B") != 0, EM_ERROR_FORMAT, "%s: sequence \"%s\", expected A or B",
                where, id);
    int which = id[0] == 'B';
    EM__FAIL_IF(seen[which]++, EM_ERROR_UNSUPPORTED, "%s: a template with sequence %s twice is not supported", where,
                id);
    set_sequence(&into->pieces[i], which, (int32_t)type_id);
    return EM_OK;
}

static em_status load_template(em_tokenizer *tok, const json_t *value, const char *key, bool pair, em__template *out)
{
    const char *where = "post_processor TemplateProcessing";
    const json_t *list = json_object_get(value, key);
    int seen[2] = {0, 0};
    EM__FAIL_IF(!json_is_array(list), EM_ERROR_FORMAT, "%s: \"%s\" must be a list of pieces", where, key);
    EM__TRY(new_template(tok, json_array_size(list), out));
    for (size_t i = 0; i < out->count; i++)
        EM__TRY(load_piece(tok, json_array_get(list, i), json_object_get(value, "special_tokens"), out, i, seen));
    EM__FAIL_IF(!pair && seen[1], EM_ERROR_FORMAT, "%s: \"single\" uses sequence B", where);
    return EM_OK;
}

static em_status load_processor(em_tokenizer *tok, const json_t *value, const char *type)
{
    if (strcmp(type, "ByteLevel") == 0)
        return add_trim(tok, value, "post_processor ByteLevel");
    EM__FAIL_IF(tok->post.kind != EM_POST_NONE, EM_ERROR_UNSUPPORTED,
                "post_processor \"%s\" after another one that adds tokens is not supported", type);
    if (strcmp(type, "BertProcessing") == 0)
        return load_bert(tok, value);
    if (strcmp(type, "RobertaProcessing") == 0)
        return load_roberta(tok, value);
    if (strcmp(type, "TemplateProcessing") == 0) {
        tok->post.kind = EM_POST_TEMPLATE;
        EM__TRY(load_template(tok, value, "single", false, &tok->post.single));
        return load_template(tok, value, "pair", true, &tok->post.pair);
    }
    return em__fail(EM_ERROR_UNSUPPORTED, "post_processor \"%s\" is not supported", type);
}

em_status em__load_post(em_tokenizer *tok, const json_t *value, int depth)
{
    const char *type;
    if (!value || (json_is_null(value) && depth == 0))
        return EM_OK;
    EM__FAIL_IF(depth > EM_LOAD_DEPTH, EM_ERROR_FORMAT, "post_processor: sequences within sequences, over %d deep",
                EM_LOAD_DEPTH);
    EM__TRY(em__load_type(value, "post_processor", &type));
    if (strcmp(type, "Sequence") != 0)
        return load_processor(tok, value, type);
    const json_t *list = json_object_get(value, "processors");
    EM__FAIL_IF(!json_is_array(list), EM_ERROR_FORMAT, "post_processor Sequence: \"processors\" must be a list");
    for (size_t i = 0; i < json_array_size(list); i++)
        EM__TRY(em__load_post(tok, json_array_get(list, i), depth + 1));
    return EM_OK;
}
