/*
 * The directory of a quantized checkpoint: made beside its place as NAME.unfinished, filled, renamed. Also what is
 * copied into it, and config.json and the index of weights.
 *
 * Meanwhile a file in it is locked by the run that fills it. So another run for the same name knows whether one is at
 * work there or was killed; what is there without that file is not ours, and left alone.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "models/quantize.h"

#define LOCK ".emily-quantize"
#define COPY_CAP ((size_t)64 << 20) /* tokenizer.json of large vocabularies is 30 MB */

em_status em__quantize_config(const char *in, em__json_doc *config, bool *tied)
{
    char *path = em__path_join(in, "config.json");
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = em__json_load(path, EM__JSON_CAP, config);
    em__free(path);
    EM__TRY(status);
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

/* Whether the directory holds anything. */
static em_status is_empty(const char *path, bool *empty)
{
    const struct dirent *entry;
    DIR *dir = opendir(path);
    EM__FAIL_IF(!dir, EM_ERROR_IO, "%s: cannot read the directory: %s", path, strerror(errno));
    *empty = true;
    while (*empty && (entry = readdir(dir)))
        *empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return EM_OK;
}

/* The full name of what `out` is, or will be. */
static em_status resolve_out(const char *out, char **to)
{
    char real[PATH_MAX], *copy = em__strdup(out);
    if (!copy)
        return EM_ERROR_OUT_OF_MEMORY;
    size_t length = strlen(copy);
    while (length > 1 && copy[length - 1] == '/')
        copy[--length] = '\0';
    char *slash = strrchr(copy, '/');
    const char *name = slash ? slash + 1 : copy;
    em_status status = EM_OK;
    struct stat st;
    if (length == 0) {
        status = em__fail(EM_ERROR_INVALID_ARGUMENT, "quantize: the name of the output directory is empty");
    } else if (lstat(copy, &st) == 0) {
        bool empty = false;
        if (!em__path_is_dir(copy) || !realpath(copy, real))
            status =
                em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: exists and is not a directory; choose another name", copy);
        else
            status = is_empty(real, &empty);
        if (status == EM_OK && !empty)
            status = em__fail(EM_ERROR_INVALID_ARGUMENT, "%s: exists and is not empty; choose another name", copy);
        *to = status == EM_OK ? em__strdup(real) : NULL;
    } else {
        if (slash)
            *slash = '\0';
        const char *parent = !slash ? "." : slash == copy ? "/" : copy;
        if (!realpath(parent, real))
            status = em__fail(errno == ENOENT ? EM_ERROR_NOT_FOUND : EM_ERROR_IO, "%s: %s", parent, strerror(errno));
        *to = status == EM_OK ? em__path_join(real, name) : NULL;
    }
    em__free(copy);
    return status == EM_OK && !*to ? EM_ERROR_OUT_OF_MEMORY : status;
}

/* Files of a directory but `kept`. */
static void remove_files(const char *path, const char *kept)
{
    const struct dirent *entry;
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (!kept || strcmp(entry->d_name, kept) != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

/* The lock in a directory that was just made, or that lies there. Where the file system has no locks a fresh one needs
 * none. */
static em_status take_lock(em__quantize_place *place, const char *temporary, bool fresh)
{
    char *path = em__path_join(temporary, LOCK);
    struct stat info;
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    if (lstat(temporary, &info) == 0 && S_ISDIR(info.st_mode)) /* a link is not ours */
        place->lock = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (fresh ? O_CREAT | O_EXCL : 0), 0666);
    const int error = errno;
    em__free(path);
    EM__FAIL_IF(place->lock < 0 && fresh, EM_ERROR_IO, "%s: cannot write in it: %s", temporary, strerror(error));
    EM__FAIL_IF(place->lock < 0, EM_ERROR_INVALID_ARGUMENT,
                "%s: is in the way, and not of a run that was stopped; remove it, or choose another name", temporary);
    if (flock(place->lock, LOCK_EX | LOCK_NB) != 0)
        return fresh && errno != EWOULDBLOCK
                   ? EM_OK
                   : em__fail(EM_ERROR_BUSY,
                              "%s: another run is writing it, in %s; wait for it, or choose another name", place->out,
                              temporary);
    EM__FAIL_IF(fstat(place->lock, &info) != 0 || info.st_nlink == 0, EM_ERROR_BUSY,
                "%s: another run has just ended; look at what it left, and begin again", place->out);
    return EM_OK;
}

/* Makes the directory, or takes that of a run that was killed. */
static em_status take_directory(em__quantize_place *place, const char *temporary)
{
    const bool fresh = mkdir(temporary, 0777) == 0;
    EM__FAIL_IF(!fresh && errno != EEXIST, EM_ERROR_IO, "%s: cannot make the directory: %s", temporary,
                strerror(errno));
    const em_status status = take_lock(place, temporary, fresh);
    if (status != EM_OK && fresh)
        rmdir(temporary);
    if (status == EM_OK)
        remove_files(temporary, LOCK);
    return status;
}

em_status em__quantize_place_begin(em__quantize_place *place, const char *in, const char *out)
{
    char real[PATH_MAX];
    place->in = in;
    EM__FAIL_IF(!em__path_is_dir(in) || !realpath(in, real), EM_ERROR_NOT_FOUND,
                "%s: is not a directory; quantize takes a checkpoint's directory", in);
    EM__TRY(resolve_out(out, &place->out));
    const size_t length = strlen(real);
    EM__FAIL_IF(strncmp(place->out, real, length) == 0 && (place->out[length] == '/' || !place->out[length]),
                EM_ERROR_INVALID_ARGUMENT, "%s: lies in the checkpoint that it is made from; choose another place",
                out);
    char *temporary = em__format("%s.unfinished", place->out);
    if (!temporary)
        return EM_ERROR_OUT_OF_MEMORY;
    const em_status status = take_directory(place, temporary);
    if (status == EM_OK)
        place->temporary = temporary;
    else
        em__free(temporary);
    return status;
}

em_status em__quantize_place_commit(em__quantize_place *place)
{
    char *lock = em__path_join(place->temporary, LOCK);
    if (!lock)
        return EM_ERROR_OUT_OF_MEMORY;
    const bool unlocked = unlink(lock) == 0;
    em__free(lock);
    EM__FAIL_IF(!unlocked || rename(place->temporary, place->out) != 0, EM_ERROR_IO,
                "%s: cannot give the directory its name: %s", place->out, strerror(errno));
    em__free(place->temporary);
    place->temporary = NULL;
    return EM_OK;
}

void em__quantize_place_free(em__quantize_place *place)
{
    if (place->temporary) {
        remove_files(place->temporary, NULL);
        rmdir(place->temporary);
    }
    if (place->lock >= 0)
        close(place->lock);
    em__free(place->temporary);
    em__free(place->out);
    *place = (em__quantize_place){.lock = -1};
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

static em_status copy_file(const em__quantize_place *place, const char *name)
{
    char *from = em__path_join(place->in, name), *to = em__path_join(place->temporary, name), *text = NULL;
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
            status = copy_file(place, entry->d_name);
    closedir(dir);
    return status;
}

static em_status write_json(const em__quantize_place *place, const char *name, const json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(4)), *path = em__path_join(place->temporary, name);
    em_status status = text && path ? em__file_write(path, text, strlen(text)) : EM_ERROR_OUT_OF_MEMORY;
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
    EM__TRY(write_index(place, plan));
    return write_config(place, config, &plan->how);
}
