/* Pooling's config.json, and the limits of a text. */
#include "models/pooling.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "io/file.h"
#include "io/json.h"

/* In the order in which sentence-transformers concatenates the legacy switches. */
static const struct {
    const char *name, *legacy;
    em_pool pool;
} modes[] = {
    {"cls", "pooling_mode_cls_token", EM_POOL_CLS},
    {"max", "pooling_mode_max_tokens", EM_POOL_MAX},
    {"mean", "pooling_mode_mean_tokens", EM_POOL_MEAN},
    {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", EM_POOL_MEAN_SQRT},
    {"weightedmean", "pooling_mode_weightedmean_tokens", EM_POOL_WEIGHTED},
    {"lasttoken", "pooling_mode_lasttoken", EM_POOL_LAST},
};

enum { N_MODES = sizeof modes / sizeof *modes };

static em_status add_mode(const em__json *at, em__modules *m)
{
    const char *name;
    char shown[64];
    EM__TRY(em__json_as_string(at, &name));
    for (int i = 0; i < N_MODES; i++)
        if (strcmp(modes[i].name, name) == 0) {
            if (m->n_pools == EM__POOL_COUNT)
                return em__json_fail(at, EM_ERROR_FORMAT, "more than %d pooling modes", EM__POOL_COUNT);
            m->pools[m->n_pools++] = modes[i].pool;
            return EM_OK;
        }
    return em__json_fail(at, EM_ERROR_UNSUPPORTED,
                         "pooling mode %s is not supported; supported: cls, max, mean, mean_sqrt_len_tokens, "
                         "weightedmean, lasttoken",
                         em__printable(shown, sizeof shown, name));
}

/* pooling_mode is a name or a list of names. */
static em_status read_named(const em__json *mode, em__modules *m)
{
    size_t count;
    if (json_is_string(mode->value))
        return add_mode(mode, m);
    EM__TRY(em__json_as_array(mode, &count));
    for (size_t i = 0; i < count; i++) {
        em__json item = em__json_item(mode, i);
        EM__TRY(add_mode(&item, m));
    }
    return count ? EM_OK : em__json_fail(mode, EM_ERROR_FORMAT, "the list is empty");
}

static em_status pooling_fields(const em__json *root, em__modules *m)
{
    EM__TRY(em__json_as_object(root));
    EM__TRY(em__json_opt_bool(root, "include_prompt", &m->include_prompt));
    if (em__json_has(root, "pooling_mode")) {
        em__json mode = em__json_member(root, "pooling_mode");
        return read_named(&mode, m);
    }
    for (int i = 0; i < N_MODES; i++) {
        bool on = false;
        EM__TRY(em__json_opt_bool(root, modes[i].legacy, &on));
        if (on)
            m->pools[m->n_pools++] = modes[i].pool;
    }
    if (m->n_pools == 0)
        m->pools[m->n_pools++] = EM_POOL_MEAN;
    return EM_OK;
}

em_status em__pooling_read(const char *dir, em__modules *modules)
{
    em__json_doc doc;
    em_status status = em__json_load_at(dir, "config.json", NULL, &doc);
    if (status == EM_OK) {
        em__json root = em__json_root(&doc);
        status = pooling_fields(&root, modules);
    }
    em__json_free(&doc);
    return status;
}

/* model_max_length may be 10^30, which means that nobody knows. */
static em_status tokenizer_limit(const em__json *root, em__modules *m)
{
    double limit = 0;
    EM__TRY(em__json_opt_real(root, "model_max_length", 0, 1e300, &limit));
    if (limit >= 1 && limit <= 1e9)
        m->max_tokens = (int64_t)limit;
    return EM_OK;
}

static em_status transformer_limits(const em__json *root, em__modules *m)
{
    EM__TRY(em__json_opt_int(root, "max_seq_length", 1, INT32_MAX, &m->max_tokens));
    return em__json_opt_bool(root, "do_lower_case", &m->lowercase);
}

/* Runs `fields` on the file if it is there. */
static em_status read_if_there(const char *dir, const char *name, em__modules *m, bool *there,
                               em_status (*fields)(const em__json *, em__modules *))
{
    em__json_doc doc;
    em_status status = em__json_load_at(dir, name, there, &doc);
    if (status == EM_OK && *there) {
        em__json root = em__json_root(&doc);
        status = em__json_as_object(&root);
        if (status == EM_OK)
            status = fields(&root, m);
    }
    em__json_free(&doc);
    return status;
}

em_status em__limits_read(em__modules *modules)
{
    static const char *const names[] = {"sentence_bert_config.json",       "sentence_roberta_config.json",
                                        "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
                                        "sentence_xlnet_config.json"};
    bool there = false;
    for (size_t i = 0; i < sizeof names / sizeof *names && !there; i++)
        EM__TRY(read_if_there(modules->transformer, names[i], modules, &there, transformer_limits));
    if (modules->max_tokens == 0)
        EM__TRY(read_if_there(modules->transformer, "tokenizer_config.json", modules, &there, tokenizer_limit));
    return EM_OK;
}
