/* Files that appear whole or not at all: a temporary beside the target, synced, then renamed over it. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"

em_status em__writer_begin(em__writer *writer, const char *path)
{
    static atomic_uint serial;
    *writer = (em__writer){.fd = -1};
    writer->path = em__strdup(path);
    writer->temporary = em__format("%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1));
    if (!writer->path || !writer->temporary) {
        em__writer_abort(writer);
        return EM_ERROR_OUT_OF_MEMORY;
    }
    writer->fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer->fd >= 0)
        return EM_OK;
    em_status status =
        em__fail(errno == ENOENT ? EM_ERROR_NOT_FOUND : EM_ERROR_IO, "%s: cannot create: %s", path, strerror(errno));
    em__free(writer->temporary);
    writer->temporary = NULL;
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
