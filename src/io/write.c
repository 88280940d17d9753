/*
 * Files that appear whole or not at all: a temporary beside the target, synced, then renamed over it. Renaming would
 * put a file in the place of whatever bears the name, so a link is followed first, and a pipe, a device or a folder
 * is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"

/* What a link says, from where the link lies. */
static char *link_text(const char *path)
{
    char text[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const ssize_t length = readlink(path, text, sizeof text - 1);
    text[length < 0 ? 0 : length] = '\0';
    if (text[0] == '/' || !slash)
        return em__strdup(text);
    return em__format("%.*s/%s", (int)(slash - path), path, text);
}

em_status em__path_target(const char *path, char **target)
{
    struct stat info;
    *target = NULL;
    EM__FAIL_IF(stat(path, &info) == 0 && !S_ISREG(info.st_mode), EM_ERROR_INVALID_ARGUMENT,
                "%s: is no regular file; choose another name", path);
    char *at = em__strdup(path);
    /* As many links as Linux follows; those of a ring never end. */
    for (int links = 0; at && lstat(at, &info) == 0 && S_ISLNK(info.st_mode); links++) {
        char *next = links < 40 ? link_text(at) : NULL;
        em__free(at);
        EM__FAIL_IF(links == 40, EM_ERROR_IO, "%s: cannot create: %s", path, strerror(ELOOP));
        at = next;
    }
    *target = at;
    return at ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

/* Opens a temporary that was not there before: one of the same name may be left of a process that was killed, and
 * process ids come again, in a container with each start. `*error` is 0, or what open said. */
static em_status open_temporary(em__writer *writer, mode_t mode, int *error)
{
    static atomic_uint serial;
    enum { TRIES = 10000 }; /* a system that says EEXIST for ever is not asked for ever */
    for (int i = 0; i < TRIES; i++) {
        char *name = em__format("%s.%ld-%u.tmp", writer->path, (long)getpid(), atomic_fetch_add(&serial, 1));
        if (!name)
            return EM_ERROR_OUT_OF_MEMORY;
        writer->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        *error = writer->fd < 0 ? errno : 0;
        if (*error == 0) {
            writer->temporary = name;
            return EM_OK;
        }
        em__free(name);
        if (*error != EEXIST)
            break;
    }
    return EM_OK;
}

em_status em__writer_begin(em__writer *writer, const char *path)
{
    int error = 0;
    struct stat info;
    *writer = (em__writer){.fd = -1};
    EM__TRY(em__path_target(path, &writer->path));
    const bool exists = stat(writer->path, &info) == 0;
    em_status status = EM_OK;
    /* A rename asks the folder alone: what its owner made read-only would be gone. */
    if (exists && access(writer->path, W_OK) != 0)
        error = errno;
    else
        status = open_temporary(writer, exists ? 0600 : 0666, &error);
    /* What replaces a file is for those for whom that was; file systems without permissions refuse, and need none. */
    if (exists && writer->fd >= 0)
        (void)fchmod(writer->fd, info.st_mode & 0777);
    if (error)
        status = em__fail(error == ENOENT ? EM_ERROR_NOT_FOUND : EM_ERROR_IO, "%s: cannot create: %s", path,
                          strerror(error));
    if (status != EM_OK)
        em__writer_abort(writer);
    return status;
}

static em_status fail_write(const em__writer *writer, int error)
{
    return em__fail(EM_ERROR_IO, "%s: cannot write: %s", writer->path, strerror(error));
}

em_status em__writer_add(em__writer *writer, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = write(writer->fd, at, size < ((size_t)1 << 30) ? size : (size_t)1 << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_write(writer, errno);
        at += n;
        size -= (size_t)n;
    }
    return EM_OK;
}

em_status em__writer_patch(em__writer *writer, uint64_t offset, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t n = pwrite(writer->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_write(writer, errno);
        at += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return EM_OK;
}

em_status em__writer_commit(em__writer *writer)
{
    int error = fsync(writer->fd) == 0 ? 0 : errno;
    /* Pipes and some file systems cannot sync; the rename still orders the data. */
    if (error == EINVAL || error == EROFS)
        error = 0;
    if (close(writer->fd) != 0 && error == 0 && errno != EINTR)
        error = errno;
    writer->fd = -1;
    if (error == 0 && rename(writer->temporary, writer->path) != 0)
        error = errno;
    em_status status = error ? fail_write(writer, error) : EM_OK;
    if (status == EM_OK) {
        em__free(writer->temporary);
        writer->temporary = NULL;
    }
    em__writer_abort(writer);
    return status;
}

void em__writer_abort(em__writer *writer)
{
    if (!writer->path && !writer->temporary)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->temporary)
        unlink(writer->temporary);
    em__free(writer->path);
    em__free(writer->temporary);
    *writer = (em__writer){.fd = -1};
}

em_status em__file_write(const char *path, const void *bytes, size_t size)
{
    em__writer writer;
    EM__TRY(em__writer_begin(&writer, path));
    em_status status = em__writer_add(&writer, bytes, size);
    if (status == EM_OK)
        return em__writer_commit(&writer);
    em__writer_abort(&writer);
    return status;
}
