/*
 * The directory of a quantized checkpoint: made beside its place as NAME.unfinished, filled, renamed.
 *
 * Meanwhile a file in it is locked by the run that fills it. So another run for the same name knows whether one is at
 * work there or was killed; what is there without that file is not ours, and left alone, unless it is empty. Where the
 * file system has no locks nobody knows, and what lies there is for the user to remove.
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

/* Nothing has the name `path`, or an empty directory. */
static em_status check_free(const char *path)
{
    struct stat st;
    bool empty = false;
    if (lstat(path, &st) != 0)
        return EM_OK;
    EM__FAIL_IF(!em__path_is_dir(path), EM_ERROR_INVALID_ARGUMENT,
                "%s: exists and is not a directory; choose another name", path);
    EM__TRY(is_empty(path, &empty));
    EM__FAIL_IF(!empty, EM_ERROR_INVALID_ARGUMENT, "%s: exists and is not empty; choose another name", path);
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
        status = check_free(copy);
        if (status == EM_OK && !realpath(copy, real))
            status = em__fail(EM_ERROR_IO, "%s: %s", copy, strerror(errno));
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

/* A folder of files, which is what a module has. */
static void remove_folder(int parent, const char *name)
{
    const struct dirent *entry;
    const int at = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = at >= 0 ? fdopendir(at) : NULL;
    while (dir && (entry = readdir(dir)))
        unlinkat(at, entry->d_name, 0);
    if (dir)
        closedir(dir);
    else if (at >= 0)
        close(at);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/* What is in a directory but `kept`. */
static void remove_files(const char *path, const char *kept)
{
    const struct dirent *entry;
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        const bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (!dots && (!kept || strcmp(entry->d_name, kept) != 0) && unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            remove_folder(dirfd(dir), entry->d_name);
    }
    if (dir)
        closedir(dir);
}

/* The lock in a directory that was just made, or that lies there: empty if its run was killed before it had one. Where
 * the file system has no locks a fresh one needs none. */
static em_status take_lock(em__quantize_place *place, const char *temporary, bool fresh)
{
    char *path = em__path_join(temporary, LOCK);
    struct stat info;
    bool empty = fresh;
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    if (lstat(temporary, &info) == 0 && S_ISDIR(info.st_mode) && /* a link is not ours */
        (empty || is_empty(temporary, &empty) == EM_OK))
        place->lock = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | (empty ? O_CREAT : 0), 0666);
    const int error = errno;
    em__free(path);
    EM__FAIL_IF(place->lock < 0 && empty, EM_ERROR_IO, "%s: cannot write in it: %s", temporary, strerror(error));
    EM__FAIL_IF(place->lock < 0, EM_ERROR_INVALID_ARGUMENT,
                "%s: is in the way, and not of a run that was stopped; remove it, or choose another name", temporary);
    if (flock(place->lock, LOCK_EX | LOCK_NB) != 0) {
        EM__FAIL_IF(errno == EWOULDBLOCK, EM_ERROR_BUSY,
                    "%s: another run is writing it, in %s; wait for it, or choose another name", place->out, temporary);
        EM__FAIL_IF(!fresh, EM_ERROR_INVALID_ARGUMENT,
                    "%s: is in the way, and may be of a run at work: there are no locks here (%s); remove it if none "
                    "is, or choose another name",
                    temporary, strerror(errno));
        return EM_OK;
    }
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
    return status == EM_OK ? check_free(place->out) : status; /* a run may have ended before we had the lock */
}

/* The lock goes last: until then the directory is known as that of this run, under either name. */
em_status em__quantize_place_commit(em__quantize_place *place)
{
    char *lock = em__path_join(place->out, LOCK);
    if (!lock)
        return EM_ERROR_OUT_OF_MEMORY;
    const bool named = rename(place->temporary, place->out) == 0;
    const int error = errno;
    if (named)
        unlink(lock);
    em__free(lock);
    EM__FAIL_IF(!named, EM_ERROR_IO, "%s: cannot give the directory its name: %s", place->out, strerror(error));
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
