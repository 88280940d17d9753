/* config_sentence_transformers.json: texts that are put before a text, by name; how much of a vector is kept, and how
 * two are compared. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "io/file.h"
#include "io/json.h"
#include "models/modules.h"

enum { MAX_PROMPTS = 4096 };

static em_status add_prompt(const em__json *prompts, const char *name, em__modules *m)
{
    const char *text;
    EM__TRY(em__json_get_string(prompts, name, &text));
    em__prompt *prompt = &m->prompts[m->n_prompts++];
    prompt->name = em__strdup(name);
    prompt->text = em__strdup(text);
    return prompt->name && prompt->text ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static em_status add_prompts(const em__json *prompts, em__modules *m)
{
    const char *name;
    json_t *value;
    size_t count = json_object_size(prompts->value);
    if (count > MAX_PROMPTS)
        return em__json_fail(prompts, EM_ERROR_FORMAT, "%zu prompts, at most %d", count, MAX_PROMPTS);
    m->prompts = em__calloc(count, sizeof *m->prompts);
    if (!m->prompts)
        return EM_ERROR_OUT_OF_MEMORY;
    json_object_foreach(prompts->value, name, value) if (!json_is_null(value)) EM__TRY(add_prompt(prompts, name, m));
    return EM_OK;
}

static em_status settings_fields(const em__json *root, void *modules)
{
    em__modules *m = modules;
    em__json prompts;
    const char *name = NULL;
    EM__TRY(em__json_opt_object(root, "prompts", &prompts));
    EM__TRY(em__json_opt_string(root, "default_prompt_name", &name));
    EM__TRY(em__json_opt_int(root, "truncate_dim", 1, INT32_MAX, &m->truncate_dim));
    EM__TRY(em__similarity_read(root, &m->similarity));
    if (prompts.value)
        EM__TRY(add_prompts(&prompts, m));
    return name ? em__prompts_find(m, name, &m->default_prompt) : EM_OK;
}

em_status em__prompts_read(const char *dir, em__modules *modules)
{
    bool there;
    return em__json_read_at(dir, "config_sentence_transformers.json", &there, settings_fields, modules);
}

static em_status no_such_prompt(const em__modules *modules, const char *name)
{
    em__str list = {0};
    char shown[64];
    em_status status = EM_OK;
    for (size_t i = 0; i < modules->n_prompts && status == EM_OK; i++)
        status = em__str_addf(&list, "%s%s", i ? ", " : "", modules->prompts[i].name);
    if (status == EM_OK)
        status = em__fail(EM_ERROR_NOT_FOUND, "config_sentence_transformers.json has no prompt %s; it has: %s",
                          em__printable(shown, sizeof shown, name), modules->n_prompts ? em__str_text(&list) : "none");
    em__str_free(&list);
    return status;
}

em_status em__prompts_find(const em__modules *modules, const char *name, const char **text)
{
    for (size_t i = 0; i < modules->n_prompts; i++)
        if (strcmp(modules->prompts[i].name, name) == 0) {
            *text = modules->prompts[i].text;
            return EM_OK;
        }
    return no_such_prompt(modules, name);
}

/* sentence-transformers also looks for "passage" and "corpus", behind a "document" that it always has. */
const char *em__prompts_of_task(const em__modules *modules, em_task task)
{
    const char *name = task == EM_TASK_QUERY ? "query" : "document";
    for (size_t i = 0; i < modules->n_prompts; i++)
        if (strcmp(modules->prompts[i].name, name) == 0)
            return modules->prompts[i].text;
    return "";
}

void em__prompts_free(em__modules *modules)
{
    for (size_t i = 0; i < modules->n_prompts; i++) {
        em__free(modules->prompts[i].name);
        em__free(modules->prompts[i].text);
    }
    em__free(modules->prompts);
    modules->prompts = NULL;
    modules->n_prompts = 0;
}
