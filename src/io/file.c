/* Opening files by the policy of file.h, small reads, paths and directories. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"

/* O_NONBLOCK: opening a pipe by mistake must fail on its type, not hang. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK)

/* Nothing has that name, or it is a link to nothing, such as one of a cache whose blobs were pruned. */
static em_status fail_missing(const char *path)
{
    char target[PATH_MAX];
    const ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0)
        return em__fail(EM_ERROR_NOT_FOUND, "%s: no such file", path);
    target[n] = '\0';
    return em__fail(EM_ERROR_IO, "%s: is a link to %s, which is not there; %s", path, target,
                    strstr(target, "../blobs/") ? "`emily pull` fetches it again" : "fetch the file again");
}

static em_status fail_open(const char *path, int error)
{
    if (error == ENOENT || error == ENOTDIR)
        return fail_missing(path);
    return em__fail(EM_ERROR_IO, "%s: cannot open: %s", path, strerror(error));
}

static em_status check_regular(int fd, const char *path, size_t *size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return em__fail(EM_ERROR_IO, "%s: cannot stat: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return em__fail(EM_ERROR_IO, "%s: is %s, expected a regular file", path,
                        S_ISDIR(st.st_mode) ? "a directory" : "a device, socket or pipe");
    if ((uintmax_t)st.st_size > SIZE_MAX)
        return em__fail(EM_ERROR_UNSUPPORTED, "%s: %jd bytes do not fit in this address space", path,
                        (intmax_t)st.st_size);
    *size = (size_t)st.st_size;
    return EM_OK;
}

em_status em__file_open(const char *path, int *fd, size_t *size)
{
    int opened = open(path, OPEN_FLAGS);
    if (opened < 0)
        return fail_open(path, errno);
    em_status status = check_regular(opened, path, size);
    if (status != EM_OK)
        close(opened);
    else
        *fd = opened;
    return status;
}

bool em__is_basename(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= 255 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strpbrk(name, "/\\") == NULL;
}

/* Is `target` below `dir`? Both are resolved paths. */
static bool is_below(const char *target, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(target, dir, n) == 0 && target[n] == '/';
}

/* For <repo>/snapshots/<commit> writes <repo>/blobs; false for any other directory. */
static bool cache_blobs(const char *dir, char *blobs)
{
    const char *commit = strrchr(dir, '/');
    if (!commit || commit == dir)
        return false;
    const char snapshots[] = "/snapshots";
    size_t n = (size_t)(commit - dir), m = sizeof snapshots - 1;
    if (n < m || memcmp(commit - m, snapshots, m) != 0)
        return false;
    memcpy(blobs, dir, n - m);
    memcpy(blobs + n - m, "/blobs", sizeof "/blobs");
    return true;
}

em_status em__path_inside(const char *dir, const char *path)
{
    char target[PATH_MAX], base[PATH_MAX], blobs[PATH_MAX];
    if (!realpath(path, target))
        return fail_open(path, errno);
    if (!realpath(dir, base))
        return fail_open(dir, errno);
    if (strcmp(target, base) == 0 || is_below(target, base) || (cache_blobs(base, blobs) && is_below(target, blobs)))
        return EM_OK;
    return em__fail(EM_ERROR_FORMAT,
                    "%s: leads to %s, outside of the model directory, by a symbolic link; copy there what it leads to",
                    path, target);
}

em_status em__file_open_inside(const char *dir, const char *name, int *fd, size_t *size)
{
    if (!em__is_basename(name))
        return em__fail(EM_ERROR_FORMAT,
                        "%s: refers to the file \"%.100s\", expected a plain file name in this directory", dir, name);
    char *path = em__path_join(dir, name);
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    struct stat st;
    em_status status = EM_OK;
    if (lstat(path, &st) != 0)
        status = fail_open(path, errno);
    else if (S_ISLNK(st.st_mode))
        status = em__path_inside(dir, path);
    if (status == EM_OK)
        status = em__file_open(path, fd, size);
    em__free(path);
    return status;
}

em_status em__file_read(const char *path, size_t cap, char **text, size_t *size)
{
    int fd;
    size_t expected;
    EM__TRY(em__file_open(path, &fd, &expected));
    em_status status = EM_OK;
    char *buffer = NULL;
    size_t done = 0;
    if (expected > cap) {
        status = em__fail(EM_ERROR_FORMAT, "%s: is %zu bytes long, at most %zu are read", path, expected, cap);
        goto fail;
    }
    buffer = em__alloc(expected + 1);
    if (!buffer) {
        status = EM_ERROR_OUT_OF_MEMORY;
        goto fail;
    }
    while (done < expected) {
        ssize_t n = read(fd, buffer + done, expected - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            status = em__fail(EM_ERROR_IO, "%s: read %zu of %zu bytes: %s", path, done, expected,
                              n < 0 ? strerror(errno) : "the file became shorter");
            goto fail;
        }
        done += (size_t)n;
    }
    buffer[done] = '\0';
    close(fd);
    *text = buffer;
    *size = done;
    return EM_OK;
fail:
    em__free(buffer);
    close(fd);
    return status;
}

em_status em__file_check_pointer(const char *path, const void *bytes, size_t size)
{
    static const char pointer[] = "version https://git-lfs";
    EM__FAIL_IF(size >= sizeof pointer && memcmp(bytes, pointer, sizeof pointer - 1) == 0, EM_ERROR_FORMAT,
                "%s: is a pointer of Git LFS, not the file; `git lfs pull` fetches it", path);
    return EM_OK;
}

bool em__path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool em__path_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool em__path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

char *em__path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    return em__format(n > 0 && dir[n - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

em_status em__dir_make(const char *path)
{
    char *copy = em__strdup(path);
    if (!copy)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = EM_OK;
    for (char *p = copy + (copy[0] == '/'); status == EM_OK; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST && !em__path_is_dir(copy))
            status = em__fail(EM_ERROR_IO, "%s: cannot make the directory: %s", copy, strerror(errno));
        *p = end;
        if (end == '\0')
            break;
    }
    if (status == EM_OK && !em__path_is_dir(path))
        status = em__fail(EM_ERROR_IO, "%s: exists and is not a directory", path);
    em__free(copy);
    return status;
}
