/* modules.json and the modules that it names. */
#include "models/modules.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"
#include "io/json.h"
#include "models/pooling.h"

#define PACKAGE "sentence_transformers."
#define SUPPORTED "Transformer, Pooling, Dense, Normalize, Dropout"

/* A relative path without "..": a folder inside the checkpoint. */
static bool stays_inside(const char *path)
{
    if (path[0] == '/' || strchr(path, '\\'))
        return false;
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.')
            return false;
        part += length + (part[length] == '/');
    }
    return true;
}

/* The folder of a module, in the checkpoint also where a part of its path is a link. */
static em_status module_dir(const em__json *module, const char *dir, char **out)
{
    const char *path = "";
    char shown[96];
    EM__TRY(em__json_opt_string(module, "path", &path));
    if (!stays_inside(path))
        return em__json_fail(module, EM_ERROR_FORMAT, "path %s leaves the directory of the checkpoint",
                             em__printable(shown, sizeof shown, path));
    *out = *path ? em__path_join(dir, path) : em__strdup(dir);
    if (!*out)
        return EM_ERROR_OUT_OF_MEMORY;
    /* Not all modules have a folder: one without parameters may have none. */
    em_status status = *path && em__path_is_dir(*out) ? em__path_inside(dir, *out) : EM_OK;
    if (status != EM_OK) {
        em__free(*out);
        *out = NULL;
    }
    return status;
}

/* torch.nn names, fully qualified; only the class counts. */
static em_status read_activation(const em__json *root, em__activation *activation)
{
    static const struct {
        const char *name;
        em__activation activation;
    } known[] = {{"Tanh", EM__TANH}, {"Identity", EM__IDENTITY}, {"ReLU", EM__RELU},
                 {"GELU", EM__GELU}, {"SiLU", EM__SILU},         {"Sigmoid", EM__SIGMOID}};
    const char *name = "torch.nn.modules.activation.Tanh";
    char shown[96];
    EM__TRY(em__json_opt_string(root, "activation_function", &name));
    const char *class = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
    if (strncmp(name, "torch.nn.", 9) == 0)
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strcmp(known[i].name, class) == 0) {
                *activation = known[i].activation;
                return EM_OK;
            }
    return em__json_fail(root, EM_ERROR_UNSUPPORTED,
                         "activation_function %s is not supported; supported, of torch.nn: Tanh, Identity, ReLU, GELU, "
                         "SiLU, Sigmoid",
                         em__printable(shown, sizeof shown, name));
}

static em_status dense_fields(const em__json *root, void *into)
{
    em__stage *stage = into;
    stage->has_bias = true;
    EM__TRY(em__json_get_int(root, "in_features", 1, 1 << 20, &stage->in));
    EM__TRY(em__json_get_int(root, "out_features", 1, 1 << 20, &stage->out));
    EM__TRY(em__json_opt_bool(root, "bias", &stage->has_bias));
    EM__TRY(em__config_only(root, "module_input_name", "sentence_embedding"));
    EM__TRY(em__config_only(root, "module_output_name", "sentence_embedding"));
    EM__TRY(em__config_not_true(root, "use_residual"));
    return read_activation(root, &stage->activation);
}

/* Normalize may have a config.json that points it at other features. */
static em_status normalize_fields(const em__json *root, void *into)
{
    (void)into;
    EM__TRY(em__config_only(root, "module_input_name", "sentence_embedding"));
    return em__config_only(root, "module_output_name", "sentence_embedding");
}

static em_status add_stage(em__modules *m, const char *class, char **dir)
{
    bool there;
    em__stage *stages = em__realloc(m->stages, (m->n_stages + 1) * sizeof *stages);
    if (!stages)
        return EM_ERROR_OUT_OF_MEMORY;
    m->stages = stages;
    em__stage *stage = &stages[m->n_stages++];
    memset(stage, 0, sizeof *stage);
    if (strcmp(class, "Normalize") == 0)
        return em__json_read_at(*dir, "config.json", &there, normalize_fields, NULL);
    stage->dir = *dir;
    *dir = NULL;
    return em__json_read_at(stage->dir, "config.json", NULL, dense_fields, stage);
}

/* One module; `dir` is its folder, taken over by setting *dir to NULL. */
static em_status add_module(const em__json *module, const char *class, char **dir, em__modules *m)
{
    bool pooled = m->n_pools > 0;
    if (strcmp(class, "Transformer") == 0 && !m->transformer) {
        m->transformer = *dir;
        *dir = NULL;
        return EM_OK;
    }
    if (strcmp(class, "Pooling") == 0 && m->transformer && !pooled)
        return em__pooling_read(*dir, m);
    if (strcmp(class, "Dropout") == 0 && m->transformer)
        return EM_OK;
    if ((strcmp(class, "Dense") == 0 || strcmp(class, "Normalize") == 0) && pooled)
        return add_stage(m, class, dir);
    return em__json_fail(module, EM_ERROR_UNSUPPORTED,
                         "a module %s cannot stand here; supported: Transformer, then Pooling, then any of Dense and "
                         "Normalize",
                         class);
}

static em_status read_module(const em__json *module, const char *dir, em__modules *m)
{
    const char *type;
    char *folder = NULL, shown[96];
    EM__TRY(em__json_as_object(module));
    EM__TRY(em__json_get_string(module, "type", &type));
    const char *class = strrchr(type, '.') ? strrchr(type, '.') + 1 : type;
    const char *known[] = {"Transformer", "Pooling", "Dense", "Normalize", "Dropout"};
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        found = found || strcmp(known[i], class) == 0;
    if (!found || strncmp(type, PACKAGE, strlen(PACKAGE)) != 0)
        return em__json_fail(module, EM_ERROR_UNSUPPORTED,
                             "module %s is not supported; supported, of " PACKAGE ": " SUPPORTED,
                             em__printable(shown, sizeof shown, type));
    EM__TRY(module_dir(module, dir, &folder));
    em_status status = add_module(module, class, &folder, m);
    em__free(folder);
    return status;
}

static em_status read_list(const em__json *root, const char *dir, em__modules *m)
{
    size_t count;
    EM__TRY(em__json_as_array(root, &count));
    for (size_t i = 0; i < count; i++) {
        em__json module = em__json_item(root, i);
        EM__TRY(read_module(&module, dir, m));
    }
    if (m->transformer && m->n_pools > 0)
        return EM_OK;
    return em__json_fail(root, EM_ERROR_UNSUPPORTED, "a %s module is missing; needed: a Transformer, then a Pooling",
                         m->transformer ? "Pooling" : "Transformer");
}

static em_status read_modules(const char *dir, em__modules *m)
{
    em__json_doc doc;
    bool there;
    em_status status = em__json_load_at(dir, "modules.json", &there, &doc);
    m->include_prompt = true;
    if (status == EM_OK && there) {
        em__json root = em__json_root(&doc);
        status = read_list(&root, dir, m);
    } else if (status == EM_OK) {
        m->plain = true;
        m->pools[m->n_pools++] = EM_POOL_MEAN;
        m->transformer = em__strdup(dir);
        status = m->transformer ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    }
    em__json_free(&doc);
    return status;
}

em_status em__modules_read(const char *dir, em__modules *modules)
{
    memset(modules, 0, sizeof *modules);
    em_status status = read_modules(dir, modules);
    if (status == EM_OK)
        status = em__limits_read(modules);
    if (status == EM_OK)
        status = em__prompts_read(dir, modules);
    if (status != EM_OK)
        em__modules_free(modules);
    return status;
}

void em__modules_free(em__modules *modules)
{
    for (size_t i = 0; i < modules->n_stages; i++) {
        em__free(modules->stages[i].dir);
        em_array_release(&modules->stages[i].weight);
        em_array_release(&modules->stages[i].bias);
    }
    em__free(modules->stages);
    em__free(modules->transformer);
    em__prompts_free(modules);
    memset(modules, 0, sizeof *modules);
}
