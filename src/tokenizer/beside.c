/*
 * What the files beside tokenizer.json do to its normalizer. Tokenizers of BERT's kind Transformers builds anew: what
 * counts is do_lower_case, strip_accents and tokenize_chinese_chars of tokenizer_config.json, or their defaults, and
 * not the BertNormalizer of tokenizer.json. For every other class tokenizer.json counts; here also where it has another
 * normalizer, which Transformers 4 left alone and 5 replaces.
 */
#include <string.h>

#include <emily/log.h>

#include "core/error.h"
#include "core/log.h"
#include "io/json.h"
#include "tokenizer/load.h"

typedef enum builder { UNSAID, TRANSFORMERS, FILE_ITSELF } builder;

typedef struct settings {
    builder builder;
    bool do_lower_case, strip_accents, tokenize_chinese_chars;
    bool accents_given; /* strip_accents is said; otherwise it goes with do_lower_case */
} settings;

static bool is_among(const char *name, size_t length, const char *const *names)
{
    for (; *names; names++)
        if (strlen(*names) == length && memcmp(*names, name, length) == 0)
            return true;
    return false;
}

/* tokenizer_class, with or without Fast behind it, as older versions wrote. */
static em_status read_class(const em__json *root, settings *s)
{
    static const char *const classes[] = {"BertTokenizer",
                                          "DistilBertTokenizer",
                                          "ElectraTokenizer",
                                          "MPNetTokenizer",
                                          "MobileBertTokenizer",
                                          "SqueezeBertTokenizer",
                                          NULL};
    const char *name = NULL;
    EM__TRY(em__json_opt_string(root, "tokenizer_class", &name));
    if (!name || s->builder != UNSAID)
        return EM_OK;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, "Fast") == 0)
        length -= 4;
    s->builder = is_among(name, length, classes) ? TRANSFORMERS : FILE_ITSELF;
    return EM_OK;
}

static em_status read_settings(const em__json *root, void *into)
{
    settings *s = into;
    s->accents_given = em__json_has(root, "strip_accents");
    EM__TRY(em__json_opt_bool(root, "do_lower_case", &s->do_lower_case));
    EM__TRY(em__json_opt_bool(root, "strip_accents", &s->strip_accents));
    EM__TRY(em__json_opt_bool(root, "tokenize_chinese_chars", &s->tokenize_chinese_chars));
    return read_class(root, s);
}

/* config.json has the word where tokenizer_config.json names no class: a class, or the kind of model. */
static em_status read_model(const em__json *root, void *into)
{
    static const char *const types[] = {"bert",  "distilbert", "electra",    "ernie",       "layoutlm", "megatron-bert",
                                        "mpnet", "nezha",      "nomic_bert", "squeezebert", NULL};
    settings *s = into;
    const char *type = NULL;
    EM__TRY(read_class(root, s));
    EM__TRY(em__json_opt_string(root, "model_type", &type));
    if (s->builder == UNSAID && type)
        s->builder = is_among(type, strlen(type), types) ? TRANSFORMERS : FILE_ITSELF;
    return EM_OK;
}

static em_status obey(em__norm *norm, const char *dir)
{
    settings s = {.do_lower_case = true, .tokenize_chinese_chars = true};
    bool there;
    EM__TRY(em__json_read_at(dir, "tokenizer_config.json", &there, read_settings, &s));
    if (s.builder == UNSAID)
        EM__TRY(em__json_read_at(dir, "config.json", &there, read_model, &s));
    if (s.builder != TRANSFORMERS)
        return EM_OK;
    if (s.do_lower_case != norm->lowercase)
        em__log(EM_LOG_INFO, "%s: do_lower_case is %s as Transformers has it, not as in tokenizer.json", dir,
                s.do_lower_case ? "true" : "false");
    norm->clean_text = true;
    norm->lowercase = s.do_lower_case;
    norm->handle_chinese_chars = s.tokenize_chinese_chars;
    norm->strip_accents = s.accents_given ? s.strip_accents : s.do_lower_case;
    return EM_OK;
}

static bool is_lowercase(const json_t *normalizer)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    return type && strcmp(type, "Lowercase") == 0;
}

/* Does it lowercase already, by sentence-transformers' test: it is Lowercase, or a Sequence that has it? */
static bool lowers(const json_t *normalizer)
{
    const json_t *list = json_object_get(normalizer, "normalizers"), *item;
    size_t i;
    json_array_foreach((json_t *)list, i, item) if (is_lowercase(item)) return true;
    return is_lowercase(normalizer);
}

em_status em__load_beside(em_tokenizer *tok, const json_t *normalizer, em__beside *beside)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    if (beside->dir && type && strcmp(type, "BertNormalizer") == 0) {
        beside->failed = true;
        EM__TRY(obey(&tok->norms.data[0], beside->dir));
        beside->failed = false;
    }
    if (!beside->lowercase || lowers(normalizer))
        return EM_OK;
    EM__TRY(em__vec_push(&tok->norms, (em__norm){0}));
    memmove(tok->norms.data + 1, tok->norms.data, (tok->norms.length - 1) * sizeof *tok->norms.data);
    tok->norms.data[0] = (em__norm){.kind = EM_NORM_LOWERCASE};
    return EM_OK;
}
