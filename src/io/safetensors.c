/*
 * Open checkpoints: one file, or the shards that an index names; look-ups; references.
 *
 * In an index every tensor of weight_map must stand in the shard that it names, and in no other. A tensor of a shard
 * that the index does not list is left out.
 */
#include "io/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/options.h"
#include "io/json.h"

#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

em_safetensors *em__safetensors_retain(em_safetensors *file)
{
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    return file;
}

void em__safetensors_release(void *handle)
{
    em_safetensors *file = handle;
    if (!file || atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < file->shards.length; i++) {
        if (!file->shards.data[i].borrowed)
            em__map_close(&file->shards.data[i].map);
        em__free(file->shards.data[i].path);
    }
    em__vec_free(&file->shards);
    em__vec_free(&file->tensors);
    em__vec_free(&file->metadata);
    em__free(file->by_name);
    em__arena_clear(&file->arena);
    em__free(file);
}

void em_safetensors_close(em_safetensors **file)
{
    if (!file)
        return;
    em__safetensors_release(*file);
    *file = NULL;
}

/* Appends a shard over an open file; `fd` is closed in any case. */
static em_status add_shard(em_safetensors *file, const char *path, int fd, size_t size, em__map_mode mode)
{
    em__shard shard = {0};
    em_status status = em__map_fd(fd, path, size, mode, &shard.map);
    close(fd);
    EM__TRY(status);
    shard.path = em__strdup(path);
    status = shard.path ? em__vec_push(&file->shards, shard) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        return em__safetensors_read_header(file, file->shards.length - 1);
    em__map_close(&shard.map);
    em__free(shard.path);
    return status;
}

static em_status open_single(em_safetensors *file, const char *path, em__map_mode mode)
{
    int fd;
    size_t size;
    EM__TRY(em__file_open(path, &fd, &size));
    return add_shard(file, path, fd, size, mode);
}

/* Leaves only those of the tensors from `first` on that the index places in `shard`. */
static em_status keep_listed(em_safetensors *file, size_t first, const em__json *map, const char *shard)
{
    size_t kept = first;
    for (size_t i = first; i < file->tensors.length; i++) {
        em_safetensors_tensor *tensor = &file->tensors.data[i];
        em__json entry = em__json_member(map, tensor->name);
        if (!entry.value)
            continue;
        if (strcmp(json_string_value(entry.value), shard) != 0)
            return em__json_fail(&entry, EM_ERROR_FORMAT, "is said to be in %s, but %s has it too",
                                 json_string_value(entry.value), shard);
        file->tensors.data[kept++] = *tensor;
    }
    file->tensors.length = kept;
    return EM_OK;
}

static em_status open_shard(em_safetensors *file, const char *dir, const char *name, em__map_mode mode,
                            const em__json *map)
{
    int fd;
    size_t size, first = file->tensors.length;
    EM__FAIL_IF(file->shards.length >= EM__SAFETENSORS_SHARD_CAP, EM_ERROR_UNSUPPORTED,
                "%s: the index names more than %d files", dir, EM__SAFETENSORS_SHARD_CAP);
    EM__TRY(em__context(em__file_open_inside(dir, name, &fd, &size), "%s", map->doc->source));
    char *path = em__path_join(dir, name);
    if (!path) {
        close(fd);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    em_status status = add_shard(file, path, fd, size, mode);
    em__free(path);
    return status == EM_OK ? keep_listed(file, first, map, name) : status;
}

/* Every tensor that the index lists was found; each was kept at most once, so the counts tell. */
static em_status check_listed(const em_safetensors *file, const em__json *map, json_t *found)
{
    if (file->tensors.length == json_object_size(map->value))
        return EM_OK;
    for (size_t i = 0; i < file->tensors.length; i++)
        if (json_object_set_new(found, file->tensors.data[i].name, json_true()) != 0)
            return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", map->doc->source);
    const char *key;
    json_t *value;
    json_object_foreach(map->value, key, value)
    {
        em__json entry = {value, map->doc, map, key, 0};
        if (!json_object_get(found, key))
            return em__json_fail(&entry, EM_ERROR_FORMAT, "is not in %s", json_string_value(value));
    }
    return EM_OK;
}

static em_status open_listed(em_safetensors *file, const char *dir, const em__json *map, em__map_mode mode)
{
    json_t *seen = json_object();
    em_status status = seen ? EM_OK : em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", map->doc->source);
    const char *key, *name;
    json_t *value;
    json_object_foreach(map->value, key, value)
    {
        em__json entry = {value, map->doc, map, key, 0};
        if (status == EM_OK)
            status = em__json_as_string(&entry, &name);
    }
    json_object_foreach(map->value, key, value)
    {
        if (status != EM_OK)
            break;
        name = json_string_value(value);
        if (json_object_get(seen, name))
            continue;
        if (json_object_set_new(seen, name, json_true()) != 0)
            status = em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", map->doc->source);
        else
            status = open_shard(file, dir, name, mode, map);
    }
    if (status == EM_OK && json_object_clear(seen) == 0)
        status = check_listed(file, map, seen);
    json_decref(seen);
    return status;
}

static em_status open_index(em_safetensors *file, const char *path, em__map_mode mode)
{
    em__json_doc doc;
    em__json map;
    const char *slash = strrchr(path, '/');
    char *dir = !slash ? em__strdup(".") : em__strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!dir)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = em__json_load(path, EM__JSON_INDEX_CAP, &doc);
    if (status == EM_OK) {
        em__json root = em__json_root(&doc);
        status = em__json_get_object(&root, "weight_map", &map);
        if (status == EM_OK && json_object_size(map.value) == 0)
            status = em__json_fail(&map, EM_ERROR_FORMAT, "lists no tensors");
        if (status == EM_OK)
            status = open_listed(file, dir, &map, mode);
    }
    em__json_free(&doc);
    em__free(dir);
    return status;
}

static em_status open_dir(em_safetensors *file, const char *dir, em__map_mode mode)
{
    char *single = em__path_join(dir, SINGLE), *index = em__path_join(dir, INDEX);
    char *pickle = em__path_join(dir, "pytorch_model.bin");
    em_status status = EM_ERROR_OUT_OF_MEMORY;
    if (single && index && pickle) {
        if (em__path_exists(single))
            status = open_single(file, single, mode);
        else if (em__path_exists(index))
            status = open_index(file, index, mode);
        else
            status =
                em__fail(EM_ERROR_NOT_FOUND, "%s: no weights: neither " SINGLE " nor " INDEX " is there%s", dir,
                         em__path_is_file(pickle) ? "; pytorch_model.bin is not read, convert it to safetensors" : "");
    }
    em__free(single);
    em__free(index);
    em__free(pickle);
    return status;
}

int em__safetensors_by_name(const void *left, const void *right)
{
    const em_safetensors_tensor *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

/* Builds the look-up; a name in two shards can't come this far (keep_listed), nor twice in one (JSON). */
static em_status sort_names(em_safetensors *file)
{
    size_t n = file->tensors.length;
    file->by_name = em__calloc(n, sizeof *file->by_name);
    if (!file->by_name)
        return EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        file->by_name[i] = &file->tensors.data[i];
    qsort(file->by_name, n, sizeof *file->by_name, em__safetensors_by_name);
    return EM_OK;
}

/* Hands out the finished file, or ends it. */
static em_status finish(em_safetensors *file, em_status status, em_safetensors **out)
{
    if (status == EM_OK)
        status = sort_names(file);
    if (status == EM_OK)
        *out = file;
    else
        em__safetensors_release(file);
    return status;
}

em_status em_safetensors_open(const char *path, const em_safetensors_options *options, em_safetensors **out)
{
    if (out)
        *out = NULL;
    EM__FAIL_IF(!path || !out, EM_ERROR_INVALID_ARGUMENT, "safetensors_open: NULL argument");
    em_safetensors_options how = {0};
    EM__TRY(EM__OPTIONS_COPY(options, &how, em_safetensors_options));
    em__map_mode mode = how.mode == EM_SAFETENSORS_READ ? EM__MAP_READ : EM__MAP_PAGES;
    em_safetensors *file = em__calloc(1, sizeof *file);
    if (!file)
        return EM_ERROR_OUT_OF_MEMORY;
    atomic_init(&file->references, 1);
    em_status status;
    if (em__path_is_dir(path))
        status = open_dir(file, path, mode);
    else if (em__ends_with(path, ".index.json"))
        status = open_index(file, path, mode);
    else
        status = open_single(file, path, mode);
    return finish(file, status, out);
}

em_status em_safetensors_open_memory(const void *bytes, size_t size, em_safetensors **out)
{
    if (out)
        *out = NULL;
    EM__FAIL_IF((!bytes && size) || !out, EM_ERROR_INVALID_ARGUMENT, "safetensors_open_memory: NULL argument");
    em_safetensors *file = em__calloc(1, sizeof *file);
    if (!file)
        return EM_ERROR_OUT_OF_MEMORY;
    atomic_init(&file->references, 1);
    em__shard shard = {em__strdup("(memory)"), {bytes, size, EM__MAP_READ}, true};
    em_status status = shard.path ? em__vec_push(&file->shards, shard) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        status = em__safetensors_read_header(file, 0);
    else
        em__free(shard.path);
    return finish(file, status, out);
}
