/*
 * What a quantized checkpoint has beside its weights: config.json and the index of weights, written anew, and the small
 * files of the checkpoint, copied.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/alloc.h"
#include "core/error.h"
#include "models/quantize.h"

#define COPY_CAP ((size_t)64 << 20) /* tokenizer.json of large vocabularies is 30 MB */

em_status em__quantize_config(const char *in, em__json_doc *config, bool *tied)
{
    EM__TRY(em__json_load_at(in, "config.json", NULL, config));
    em__json root = em__json_root(config);
    EM__TRY(em__json_as_object(&root));
    EM__TRY(em__json_opt_bool(&root, "tie_word_embeddings", tied));
    if (em__json_has(&root, "quantization") || em__json_has(&root, "quantization_config"))
        return em__json_fail(&root, EM_ERROR_UNSUPPORTED,
                             "the weights are quantized already; quantize what they were made from");
    if (config->big_numbers)
        return em__json_fail(&root, EM_ERROR_UNSUPPORTED, "an integer does not fit 64 bits and would be changed");
    return EM_OK;
}

/* Weights in whatever form, and what is written anew. */
static bool left_out(const char *name)
{
    static const char *const tails[] = {".safetensors", ".safetensors.index.json",
                                        ".bin",         ".bin.index.json",
                                        ".pt",          ".pth",
                                        ".gguf",        ".onnx",
                                        ".h5",          ".msgpack",
                                        ".ckpt"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        if (length >= strlen(tails[i]) && strcmp(name + length - strlen(tails[i]), tails[i]) == 0)
            return true;
    return name[0] == '.' || strcmp(name, "config.json") == 0;
}

/* A regular file that is not large. */
static em_status copy_file(const char *in, const char *out, const char *name)
{
    char *from = em__path_join(in, name), *to = em__path_join(out, name), *text = NULL;
    size_t size = 0;
    struct stat st;
    em_status status = from && to ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    const bool known = status == EM_OK && stat(from, &st) == 0;
    if (status == EM_OK && (!known || (S_ISREG(st.st_mode) && (uintmax_t)st.st_size <= COPY_CAP))) {
        status = em__file_read(from, COPY_CAP, &text, &size);
        if (status == EM_OK)
            status = em__file_write(to, text, size);
    }
    em__free(text);
    em__free(from);
    em__free(to);
    return status;
}

static em_status copy_files(const em__quantize_place *place)
{
    const struct dirent *entry;
    em_status status = EM_OK;
    DIR *dir = opendir(place->in);
    EM__FAIL_IF(!dir, EM_ERROR_IO, "%s: cannot read the directory: %s", place->in, strerror(errno));
    while (status == EM_OK && (entry = readdir(dir)))
        if (!left_out(entry->d_name))
            status = copy_file(place->in, place->temporary, entry->d_name);
    closedir(dir);
    return status;
}

/* The folder of a module, weights included, which are not those that are quantized. */
static em_status copy_folder(const em__quantize_place *place, const char *name)
{
    const struct dirent *entry;
    char *from = em__path_join(place->in, name), *to = em__path_join(place->temporary, name);
    em_status status = from && to ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    DIR *dir = status == EM_OK ? opendir(from) : NULL;
    if (dir && mkdir(to, 0777) != 0 && errno != EEXIST)
        status = em__fail(EM_ERROR_IO, "%s: cannot make the directory: %s", to, strerror(errno));
    while (dir && status == EM_OK && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            status = copy_file(from, to, entry->d_name);
    if (dir)
        closedir(dir);
    em__free(from);
    em__free(to);
    return status;
}

/* Those that modules.json names and that lie in the checkpoint's directory itself. One that can't be read is copied as
 * it is, and is for those to complain about who want vectors. */
static em_status copy_modules(const em__quantize_place *place)
{
    em__json_doc doc;
    json_t *module;
    size_t i;
    bool there;
    em_status status = em__json_load_at(place->in, "modules.json", &there, &doc);
    if (status == EM_ERROR_OUT_OF_MEMORY)
        return status;
    status = EM_OK;
    json_array_foreach(doc.root, i, module)
    {
        const char *path = json_string_value(json_object_get(module, "path"));
        if (status == EM_OK && path && *path && *path != '.' && !strchr(path, '/'))
            status = copy_folder(place, path);
    }
    em__json_free(&doc);
    return status;
}

static em_status write_json(const em__quantize_place *place, const char *name, const json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(4)), *path = em__path_join(place->temporary, name);
    em_status status = path ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (path && !text)
        status = em__fail(EM_ERROR_OUT_OF_MEMORY, "quantize: out of memory: the text of %s", name);
    if (status == EM_OK)
        status = em__file_write(path, text, strlen(text));
    em__json_text_free(text);
    em__free(path);
    return status;
}

/* {"group_size", "bits", "mode"}: mlx-lm reads the first name, Transformers the second. */
static em_status write_config(const em__quantize_place *place, em__json_doc *config, const em_quantization *how)
{
    static const char *const names[] = {"quantization", "quantization_config"};
    for (int i = 0; i < 2; i++) {
        json_t *said = json_object();
        if (json_object_set_new(said, "group_size", json_integer(how->group)) != 0 ||
            json_object_set_new(said, "bits", json_integer(how->bits)) != 0 ||
            json_object_set_new(said, "mode", json_string(em_quant_mode_name(how->mode))) != 0) {
            json_decref(said);
            return em__fail(EM_ERROR_OUT_OF_MEMORY, "quantize: out of memory");
        }
        EM__FAIL_IF(json_object_set_new(config->root, names[i], said) != 0, EM_ERROR_OUT_OF_MEMORY,
                    "quantize: out of memory");
    }
    return write_json(place, "config.json", config->root);
}

static em_status write_index(const em__quantize_place *place, const em__quantize_plan *plan)
{
    json_t *root = json_object(), *metadata = json_object(), *map = json_object();
    bool good = json_object_set_new(root, "metadata", metadata) == 0;
    good = json_object_set_new(root, "weight_map", map) == 0 && good;
    good = good && json_object_set_new(metadata, "total_size", json_integer((json_int_t)plan->after)) == 0;
    for (size_t i = 0; good && i < plan->shards.length; i++) {
        const em__quantize_shard *shard = &plan->shards.data[i];
        for (size_t j = 0; good && j < shard->count; j++)
            good = json_object_set_new(map, plan->out.data[shard->first + j].name, json_string(shard->name)) == 0;
    }
    em_status status = good ? write_json(place, "model.safetensors.index.json", root)
                            : em__fail(EM_ERROR_OUT_OF_MEMORY, "quantize: out of memory");
    json_decref(root);
    return status;
}

em_status em__quantize_side_files(const em__quantize_place *place, em__json_doc *config, const em__quantize_plan *plan)
{
    EM__TRY(copy_files(place));
    EM__TRY(copy_modules(place));
    EM__TRY(write_index(place, plan));
    return write_config(place, config, &plan->how);
}
