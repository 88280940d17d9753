/* "pre_tokenizer". */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/load.h"

static em_status load_behavior(const json_t *value, const char *where, bool required, em__behavior *behavior)
{
    static const char *const names[] = {"Removed",        "Isolated",   "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous", NULL};
    const char *text = "Isolated";
    size_t length;
    int choice;
    EM__TRY(em__tokjson_text(value, where, "behavior", required, &text, &length));
    EM__TRY(em__load_choice(where, text, names, &choice));
    *behavior = (em__behavior)choice;
    return EM_OK;
}

static em_status load_punctuation(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    (void)tok;
    pre->kind = EM_PRE_PUNCTUATION;
    return load_behavior(value, "pre_tokenizer Punctuation", false, &pre->behavior);
}

static em_status load_digits(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    (void)tok;
    pre->kind = EM_PRE_DIGITS;
    return em__tokjson_bool(value, "pre_tokenizer Digits", "individual_digits", true, &pre->individual_digits);
}

static em_status load_split(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    const char *where = "pre_tokenizer Split";
    const json_t *regex = json_object_get(json_object_get(value, "pattern"), "Regex");
    pre->kind = EM_PRE_SPLIT;
    EM__TRY(load_behavior(value, where, true, &pre->behavior));
    EM__TRY(em__tokjson_bool(value, where, "invert", true, &pre->invert));
    EM__TRY(em__load_pattern(tok, value, where, &pre->pattern));
    if (!pre->pattern.literal)
        pre->words = em__words_find(json_string_value(regex), json_string_length(regex));
    return EM_OK;
}

static em_status load_byte_level(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    const char *where = "pre_tokenizer ByteLevel";
    bool trim_offsets;
    (void)tok;
    pre->kind = EM_PRE_BYTE_LEVEL;
    pre->use_regex = true;
    EM__TRY(em__tokjson_bool(value, where, "add_prefix_space", true, &pre->add_prefix_space));
    EM__TRY(em__tokjson_bool(value, where, "trim_offsets", true, &trim_offsets));
    EM__TRY(em__tokjson_bool(value, where, "use_regex", false, &pre->use_regex));
    pre->words = EM_WORDS_GPT2;
    return EM_OK;
}

em_status em__load_prepend_scheme(const json_t *value, const char *where, em__prepend *prepend)
{
    static const char *const names[] = {"never", "first", "always", NULL};
    const char *text = "always";
    size_t length;
    int choice;
    bool add = true;
    EM__TRY(em__tokjson_text(value, where, "prepend_scheme", false, &text, &length));
    EM__TRY(em__load_choice(where, text, names, &choice));
    EM__TRY(em__tokjson_bool(value, where, "add_prefix_space", false, &add));
    EM__FAIL_IF(!add && choice != EM_PREPEND_NEVER, EM_ERROR_FORMAT,
                "%s: add_prefix_space is false, but prepend_scheme is \"%s\"", where, text);
    *prepend = (em__prepend)choice;
    return EM_OK;
}

static em_status load_metaspace(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    const char *where = "pre_tokenizer Metaspace";
    (void)tok;
    pre->kind = EM_PRE_METASPACE;
    pre->split = true;
    EM__TRY(em__load_char(value, where, "replacement", &pre->character));
    EM__TRY(em__load_prepend_scheme(value, where, &pre->prepend));
    return em__tokjson_bool(value, where, "split", false, &pre->split);
}

static em_status load_delimiter(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    (void)tok;
    pre->kind = EM_PRE_DELIMITER;
    return em__load_char(value, "pre_tokenizer CharDelimiterSplit", "delimiter", &pre->character);
}

static em_status load_fixed_length(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    (void)tok;
    pre->kind = EM_PRE_FIXED_LENGTH;
    pre->length = 5;
    EM__TRY(em__tokjson_size(value, "pre_tokenizer FixedLength", "length", false, &pre->length));
    EM__FAIL_IF(pre->length == 0, EM_ERROR_FORMAT, "pre_tokenizer FixedLength: \"length\" is 0");
    return EM_OK;
}

static em_status load_plain(em_tokenizer *tok, em__pre *pre, const json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    (void)tok;
    pre->kind = strcmp(type, "BertPreTokenizer") == 0 ? EM_PRE_BERT
                : strcmp(type, "Whitespace") == 0     ? EM_PRE_WHITESPACE
                                                      : EM_PRE_WHITESPACE_SPLIT;
    return EM_OK;
}

typedef em_status (*load_fn)(em_tokenizer *tok, em__pre *pre, const json_t *value);

static load_fn find_loader(const char *type)
{
    static const struct {
        const char *type;
        load_fn load;
    } loaders[] = {
        {"BertPreTokenizer", load_plain},  {"Whitespace", load_plain},    {"WhitespaceSplit", load_plain},
        {"Punctuation", load_punctuation}, {"Digits", load_digits},       {"Split", load_split},
        {"ByteLevel", load_byte_level},    {"Metaspace", load_metaspace}, {"CharDelimiterSplit", load_delimiter},
        {"FixedLength", load_fixed_length}};
    for (size_t i = 0; i < sizeof loaders / sizeof loaders[0]; i++)
        if (strcmp(loaders[i].type, type) == 0)
            return loaders[i].load;
    return NULL;
}

em_status em__load_pretokenizer(em_tokenizer *tok, const json_t *value, int depth)
{
    const char *type;
    em__pre pre = {0};
    if (!value || (json_is_null(value) && depth == 0))
        return EM_OK;
    EM__FAIL_IF(depth > EM_LOAD_DEPTH, EM_ERROR_FORMAT, "pre_tokenizer: sequences within sequences, over %d deep",
                EM_LOAD_DEPTH);
    EM__TRY(em__load_type(value, "pre_tokenizer", &type));
    if (strcmp(type, "Sequence") == 0)
        return em__load_sequence(tok, value, "pre_tokenizer Sequence", "pretokenizers", em__load_pretokenizer, depth);
    EM__TRY(em__load_step(tok->pres.length, "pre_tokenizer"));
    load_fn load = find_loader(type);
    EM__FAIL_IF(!load, EM_ERROR_UNSUPPORTED, "pre_tokenizer \"%s\" is not supported", type);
    em_status status = load(tok, &pre, value);
    if (status == EM_OK)
        status = em__vec_push(&tok->pres, pre);
    if (status != EM_OK)
        em__pattern_free(&pre.pattern);
    return status;
}
