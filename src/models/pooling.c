/* Pooling's config.json. */
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

static em_status pooling_fields(const em__json *root, void *modules)
{
    em__modules *m = modules;
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
    return em__json_read_at(dir, "config.json", NULL, pooling_fields, modules);
}
