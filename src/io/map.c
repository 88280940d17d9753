/* Read-only maps of whole files, by mmap or by reading into anonymous pages. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"

static const unsigned char empty[1];

static em_status read_all(int fd, const char *path, unsigned char *into, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t want = size - done < ((size_t)1 << 30) ? size - done : (size_t)1 << 30;
        ssize_t n = pread(fd, into + done, want, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return em__fail(EM_ERROR_IO, "%s: read %zu of %zu bytes: %s", path, done, size,
                            n < 0 ? strerror(errno) : "the file became shorter");
        done += (size_t)n;
    }
    return EM_OK;
}

static em_status check_size(int fd, const char *path, size_t size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return em__fail(EM_ERROR_IO, "%s: cannot stat: %s", path, strerror(errno));
    if ((uintmax_t)st.st_size != size)
        return em__fail(EM_ERROR_IO, "%s: changed from %zu to %jd bytes while it was opened", path, size,
                        (intmax_t)st.st_size);
    return EM_OK;
}

em_status em__map_fd(int fd, const char *path, size_t size, em__map_mode mode, em__map *map)
{
    *map = (em__map){empty, 0, mode};
    if (size == 0)
        return EM_OK;
    bool pages = mode == EM__MAP_PAGES;
    void *base = MAP_FAILED;
    if (em__alloc_should_fail())
        errno = ENOMEM;
    else if (pages)
        base = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    else
        base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return em__fail(errno == ENOMEM ? EM_ERROR_OUT_OF_MEMORY : EM_ERROR_IO, "%s: cannot map %zu bytes: %s", path,
                        size, strerror(errno));
    em_status status = pages ? EM_OK : read_all(fd, path, base, size);
    if (status == EM_OK)
        status = check_size(fd, path, size);
    if (status != EM_OK) {
        munmap(base, size);
        return status;
    }
    map->data = base;
    map->size = size;
    return EM_OK;
}

em_status em__map_open(const char *path, em__map_mode mode, em__map *map)
{
    int fd;
    size_t size;
    EM__TRY(em__file_open(path, &fd, &size));
    em_status status = em__map_fd(fd, path, size, mode, map);
    close(fd);
    return status;
}

void em__map_close(em__map *map)
{
    if (map->size)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (em__map){0};
}

/* The part of [offset, offset + length) that lies in the map. */
static size_t clamp(const em__map *map, size_t offset, size_t length)
{
    if (offset >= map->size)
        return 0;
    return length < map->size - offset ? length : map->size - offset;
}

void em__map_will_need(const em__map *map, size_t offset, size_t length)
{
    length = clamp(map, offset, length);
    if (length == 0 || map->mode != EM__MAP_PAGES)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), begin = offset / page * page;
    madvise((void *)(uintptr_t)(map->data + begin), offset + length - begin, MADV_WILLNEED);
}

void em__map_release_pages(const em__map *map, size_t offset, size_t length)
{
    length = clamp(map, offset, length);
    /* Dropping anonymous pages would lose their contents. */
    if (length == 0 || map->mode != EM__MAP_PAGES)
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = (offset + page - 1) / page * page, end = (offset + length) / page * page;
    if (offset + length == map->size)
        end = map->size;
    if (begin < end)
        madvise((void *)(uintptr_t)(map->data + begin), end - begin, MADV_DONTNEED);
}
