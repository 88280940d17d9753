/*
 * Where a text is cut, by sentence-transformers' order: what sentence_bert_config.json has for the tokenizer counts
 * more than tokenizer_config.json, and that more than tokenizer.json, which the tokenizer itself knows.
 */
#include <string.h>

#include "core/error.h"
#include "io/file.h"
#include "io/json.h"
#include "models/pooling.h"

static em_status read_side(const em__json *object, em__side *side)
{
    const char *name = NULL;
    char shown[64];
    EM__TRY(em__json_opt_string(object, "truncation_side", &name));
    if (!name)
        return EM_OK;
    if (strcmp(name, "left") != 0 && strcmp(name, "right") != 0)
        return em__json_fail(object, EM_ERROR_FORMAT, "truncation_side is \"%s\", expected \"left\" or \"right\"",
                             em__printable(shown, sizeof shown, name));
    *side = strcmp(name, "left") == 0 ? EM__SIDE_LEFT : EM__SIDE_RIGHT;
    return EM_OK;
}

/* model_max_length may be 10^30, which means that nobody knows. */
static em_status read_max_length(const em__json *object, int64_t *max_tokens)
{
    double limit = 0;
    EM__TRY(em__json_opt_real(object, "model_max_length", 0, 1e300, &limit));
    if (limit >= 1 && limit <= 1e9)
        *max_tokens = (int64_t)limit;
    return EM_OK;
}

/* tokenizer_config.json has the word where nothing was said so far. */
static em_status tokenizer_fields(const em__json *root, void *modules)
{
    em__modules *m = modules;
    if (m->max_tokens == 0)
        EM__TRY(read_max_length(root, &m->max_tokens));
    return m->truncation_side == EM__SIDE_UNSAID ? read_side(root, &m->truncation_side) : EM_OK;
}

static em_status unknown(const em__json *at, const char *key, const char *supported)
{
    char shown[64];
    return em__json_fail(at, EM_ERROR_UNSUPPORTED, "%s is not supported; supported: %s",
                         em__printable(shown, sizeof shown, key), supported);
}

/* Settings of a tokenizer's opening about padding and files: no vector knows of them. */
static bool opens_alike(const char *key)
{
    static const char *const known[] = {
        "cache_dir", "force_download", "local_files_only",  "padding_side",   "revision",
        "subfolder", "token",          "trust_remote_code", "use_auth_token", "use_fast"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(key, known[i]) == 0)
            return true;
    return false;
}

/* What the tokenizer is opened with. */
static em_status opening_fields(const em__json *root, em__modules *m)
{
    json_t *value;
    const char *name;
    const char *key = em__json_has(root, "tokenizer_args") ? "tokenizer_args" : "processor_kwargs";
    em__json given;
    EM__TRY(em__json_opt_object(root, key, &given));
    if (!given.value)
        return EM_OK;
    json_object_foreach(given.value, name, value)
    {
        if (strcmp(name, "model_max_length") != 0 && strcmp(name, "truncation_side") != 0 && !opens_alike(name))
            return unknown(&given, name, "model_max_length, truncation_side");
    }
    EM__TRY(read_max_length(&given, &m->max_tokens));
    return read_side(&given, &m->truncation_side);
}

static em_status unknown_call(const em__json *at, const char *key)
{
    return unknown(at, key, "max_length of text");
}

/* Of how a text is given to the tokenizer: that it is cut, and padding, which no vector knows of, change nothing. */
static em_status text_fields(const em__json *text, em__modules *m)
{
    const char *key;
    json_t *value;
    json_object_foreach(text->value, key, value)
    {
        const char *how = json_string_value(value);
        const bool cuts = json_is_true(value) || (how && strcmp(how, "longest_first") == 0);
        if (strcmp(key, "max_length") == 0) {
            EM__TRY(em__json_opt_int(text, key, 1, INT32_MAX, &m->max_tokens));
            m->query_tokens = m->document_tokens = 0; /* it comes last there */
        } else if (strcmp(key, "padding") != 0 && !(strcmp(key, "truncation") == 0 && cuts) &&
                   !(strcmp(key, "add_special_tokens") == 0 && json_is_true(value)))
            return unknown_call(text, key);
    }
    return EM_OK;
}

/* processing_kwargs: by what is given, text or another. */
static em_status calling_fields(const em__json *root, em__modules *m)
{
    static const char *const other[] = {"audio", "chat_template", "image", "video"};
    em__json given, text;
    const char *key;
    json_t *value;
    EM__TRY(em__json_opt_object(root, "processing_kwargs", &given));
    json_object_foreach(given.value, key, value)
    {
        bool fine = strcmp(key, "text") == 0 || json_object_size(value) == 0; /* nothing is in a number, either */
        for (size_t i = 0; i < sizeof other / sizeof *other; i++)
            fine = fine || strcmp(key, other[i]) == 0;
        if (!fine)
            return unknown_call(&given, key);
    }
    if (!given.value)
        return EM_OK;
    EM__TRY(em__json_opt_object(&given, "text", &text));
    return text.value ? text_fields(&text, m) : EM_OK;
}

/* Lengths of tasks. Queries that are filled up with tokens are for models with a vector a token. */
static em_status task_fields(const em__json *root, em__modules *m)
{
    if (em__json_has(root, "query_expansion"))
        return em__json_fail(root, EM_ERROR_UNSUPPORTED, "query_expansion is not supported; supported: none");
    EM__TRY(em__json_opt_int(root, "query_length", 1, INT32_MAX, &m->query_tokens));
    return em__json_opt_int(root, "document_length", 1, INT32_MAX, &m->document_tokens);
}

static em_status transformer_fields(const em__json *root, void *modules)
{
    em__modules *m = modules;
    EM__TRY(task_fields(root, m));
    EM__TRY(em__json_opt_int(root, "max_seq_length", 1, INT32_MAX, &m->max_tokens));
    EM__TRY(opening_fields(root, m));
    EM__TRY(calling_fields(root, m));
    return em__json_opt_bool(root, "do_lower_case", &m->lowercase);
}

em_status em__limits_read(em__modules *modules)
{
    static const char *const names[] = {"sentence_bert_config.json",       "sentence_roberta_config.json",
                                        "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
                                        "sentence_xlnet_config.json"};
    bool there = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !there; i++)
        EM__TRY(em__json_read_at(modules->transformer, names[i], &there, transformer_fields, modules));
    return em__json_read_at(modules->transformer, "tokenizer_config.json", &there, tokenizer_fields, modules);
}
