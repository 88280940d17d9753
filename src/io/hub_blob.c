/*
 * One blob: asked for, locked, fetched, checked, linked.
 *
 * The bytes go to <etag>.incomplete by offset, so that a try begins where the last one ended, in this process or in an
 * earlier one. Only when size and hash are right is it renamed to <etag>: what stands in blobs/ is right.
 */
#include "io/hub_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"
#include "io/hash.h"
#include "io/json.h"

typedef struct blob {
    em__http *http;
    const em__hub_file *file;
    char *url;
    char *target, *incomplete, *lock;
    int fd, lock_fd;
    uint64_t offset, best; /* bytes on disk now, and the most there ever were */
    uint64_t done;         /* of the files before */
    bool answered;         /* the response at hand was looked at */
    int mismatches;
} blob;

void em__hub_file_free(em__hub_file *file)
{
    em__free(file->path);
    em__free(file->etag);
    *file = (em__hub_file){0};
}

/* <endpoint>/<repo>/resolve/<commit>/<path> */
static em_status build_url(em__http *http, const char *commit, const char *path, char **url)
{
    em__str out = {0};
    em_status status = em__str_addf(&out, "%s/%s/resolve/%s/", http->hub->endpoint, http->repo, commit);
    if (status == EM_OK)
        status = em__http_escape(http, &out, path, true);
    if (status != EM_OK)
        em__str_free(&out);
    *url = out.data;
    return status;
}

/* ---- what the server says ---- */

static em_status try_head(em__http *http, void *url)
{
    return em__http_send(http, &(em__http_request){.url = url, .head = true});
}

/* An ETag becomes a file name. */
static bool is_blob_name(const char *etag)
{
    static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    return etag[0] && strlen(etag) <= 128 && strspn(etag, plain) == strlen(etag);
}

em_status em__hub_file_head(em__http *http, const char *commit, em__hub_file *file)
{
    char *url, shown[EM__HTTP_TEXT];
    EM__TRY(build_url(http, commit, file->path, &url));
    em_status status = em__http_retry(http, try_head, url);
    em__free(url);
    EM__TRY(status);
    const em__http_reply *reply = &http->reply;
    bool large = reply->linked_etag[0];
    const char *etag = large ? reply->linked_etag : reply->etag;
    EM__FAIL_IF(!is_blob_name(etag), EM_ERROR_NETWORK,
                "%s: the server gave the ETag \"%s\", which can't name a file; is HF_ENDPOINT a hub?", file->path,
                em__printable(shown, sizeof shown, etag));
    file->size = large ? reply->linked_size : reply->status == 200 ? reply->length : -1;
    file->etag = em__strdup(etag);
    return file->etag ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

/* ---- bytes ---- */

static em_status restart(blob *b)
{
    b->offset = 0;
    if (ftruncate(b->fd, 0) != 0)
        return em__fail(EM_ERROR_IO, "%s: cannot truncate: %s", b->incomplete, strerror(errno));
    return EM_OK;
}

static em_status write_at(blob *b, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = pwrite(b->fd, bytes, size, (off_t)b->offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return em__fail(EM_ERROR_IO,
                            "%s: cannot write at byte %llu of %lld: %s; make room, then pull again to go on",
                            b->incomplete, (unsigned long long)b->offset, (long long)b->file->size, strerror(errno));
        bytes += n, size -= (size_t)n, b->offset += (uint64_t)n;
    }
    return EM_OK;
}

/* The response begins: does it go on where we stand? A 200 to a request for a range is the whole file. */
static em_status take_answer(blob *b, const em__http_reply *reply)
{
    b->answered = true;
    if (reply->status == 200)
        return b->offset > 0 ? restart(b) : EM_OK;
    EM__FAIL_IF(reply->range_start < 0 || (uint64_t)reply->range_start != b->offset, EM_ERROR_NETWORK,
                "%s: asked for bytes from %llu on, the server sends from %lld", b->file->path,
                (unsigned long long)b->offset, (long long)reply->range_start);
    return EM_OK;
}

static em_status take_bytes(void *user, const em__http_reply *reply, const char *bytes, size_t size)
{
    blob *b = user;
    if (!b->answered)
        EM__TRY(take_answer(b, reply));
    EM__FAIL_IF(b->file->size >= 0 && size > (uint64_t)b->file->size - b->offset, EM_ERROR_NETWORK,
                "%s: the server sends more than the %lld bytes that it announced", b->file->path,
                (long long)b->file->size);
    EM__TRY(write_at(b, bytes, size));
    if (b->offset > b->best) {
        b->best = b->offset;
        b->http->advanced = true;
    }
    b->http->progress.done = b->done + b->offset;
    return EM_OK;
}

/* ---- checks ---- */

static em_status hash_file(blob *b, char text[EM__HASH_TEXT])
{
    em__hash hash;
    char buffer[65536];
    if (strlen(b->file->etag) == 64) {
        em__hash_sha256(&hash);
    } else {
        em__hash_sha1(&hash);
        int n = snprintf(buffer, sizeof buffer, "blob %llu", (unsigned long long)b->offset);
        em__hash_add(&hash, buffer, (size_t)n + 1);
    }
    uint64_t at = 0;
    while (at < b->offset) {
        ssize_t n = pread(b->fd, buffer, sizeof buffer, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        EM__FAIL_IF(n <= 0, EM_ERROR_IO, "%s: cannot read back: %s", b->incomplete,
                    n < 0 ? strerror(errno) : "it is short");
        em__hash_add(&hash, buffer, (size_t)n);
        at += (uint64_t)n;
        if (at % (64 << 20) == 0)
            EM__TRY(em__http_report(b->http));
    }
    em__hash_end(&hash, text);
    return EM_OK;
}

/* Wrong bytes are thrown away; once they may be a broken transfer, twice they are the server's. */
static em_status check_hash(blob *b)
{
    const char *etag = b->file->etag;
    size_t digits = strlen(etag);
    char text[EM__HASH_TEXT];
    if ((digits != 40 && digits != 64) || strspn(etag, "0123456789abcdef") != digits)
        return EM_OK;
    EM__TRY(hash_file(b, text));
    if (strcmp(text, etag) == 0)
        return EM_OK;
    EM__TRY(restart(b));
    b->http->advanced = false;
    b->http->passing = ++b->mismatches < 2;
    return em__fail(EM_ERROR_NETWORK, "%s: the bytes that came have the hash %s, expected %s; they were thrown away",
                    b->file->path, text, etag);
}

/* ---- one try ---- */

static em_status try_fetch(em__http *http, void *user)
{
    blob *b = user;
    int64_t size = b->file->size;
    if (size >= 0 && b->offset > (uint64_t)size)
        EM__TRY(restart(b));
    http->passing = false;
    if (size < 0 || b->offset < (uint64_t)size) {
        em__http_request request = {b->url, false, b->offset, take_bytes, b};
        b->answered = false;
        em_status status = em__http_send(http, &request);
        if (status != EM_OK && http->reply.status == 416 && b->offset > 0) {
            EM__TRY(restart(b));
            http->passing = true;
            return status;
        }
        EM__TRY(status);
    }
    if (size >= 0 && b->offset < (uint64_t)size) {
        http->passing = true;
        return em__fail(EM_ERROR_NETWORK, "%s: %llu of %lld bytes came", b->file->path, (unsigned long long)b->offset,
                        (long long)size);
    }
    return check_hash(b);
}

/* Waits for the lock, asking between looks whether to go on waiting. */
static em_status take_lock(blob *b)
{
    b->lock_fd = open(b->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    EM__FAIL_IF(b->lock_fd < 0, EM_ERROR_IO, "%s: cannot open: %s", b->lock, strerror(errno));
    while (flock(b->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        EM__FAIL_IF(errno != EWOULDBLOCK && errno != EINTR, EM_ERROR_IO, "%s: cannot lock: %s", b->lock,
                    strerror(errno));
        EM__TRY(em__http_report(b->http));
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return EM_OK;
}

/* Somebody may have fetched it before, or while we waited. */
static bool is_present(const blob *b)
{
    struct stat st;
    return stat(b->target, &st) == 0 && S_ISREG(st.st_mode) && (b->file->size < 0 || st.st_size == b->file->size);
}

static em_status open_incomplete(blob *b)
{
    b->fd = open(b->incomplete, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct stat st;
    EM__FAIL_IF(b->fd < 0 || fstat(b->fd, &st) != 0, EM_ERROR_IO, "%s: cannot open: %s", b->incomplete,
                strerror(errno));
    b->offset = b->best = (uint64_t)st.st_size;
    return EM_OK;
}

static em_status fetch_locked(blob *b)
{
    if (is_present(b))
        return EM_OK;
    EM__TRY(open_incomplete(b));
    EM__TRY(em__http_retry(b->http, try_fetch, b));
    EM__FAIL_IF(fsync(b->fd) != 0 && errno != EINVAL, EM_ERROR_IO, "%s: cannot sync: %s", b->incomplete,
                strerror(errno));
    EM__FAIL_IF(rename(b->incomplete, b->target) != 0, EM_ERROR_IO, "%s: cannot rename: %s", b->incomplete,
                strerror(errno));
    return EM_OK;
}

/* Makes the link beside the blobs, whose lock is held, and moves it to `path`: at no moment is `path` without one, as
 * somebody may have it open through the link of an earlier pull. */
static em_status put_link(const char *target, const char *temporary, const char *path)
{
    unlink(temporary);
    if (symlink(target, temporary) == 0 && rename(temporary, path) == 0)
        return EM_OK;
    em_status status = em__fail(EM_ERROR_IO, "%s: cannot make a symbolic link: %s", path, strerror(errno));
    unlink(temporary);
    return status;
}

/* snapshots/<commit>/a/b -> ../../../blobs/<etag> */
static em_status link_snapshot(const char *folder, const char *commit, const em__hub_file *file)
{
    em__str target = {0};
    char *path = em__format("%s/snapshots/%s/%s", folder, commit, file->path);
    char *parent = path ? em__strndup(path, (size_t)(strrchr(path, '/') - path)) : NULL;
    char *temporary = em__format("%s/blobs/%s.link", folder, file->etag);
    em_status status = parent && temporary ? em__str_add_text(&target, "../../") : EM_ERROR_OUT_OF_MEMORY;
    for (const char *p = strchr(file->path, '/'); p && status == EM_OK; p = strchr(p + 1, '/'))
        status = em__str_add_text(&target, "../");
    if (status == EM_OK)
        status = em__str_addf(&target, "blobs/%s", file->etag);
    if (status == EM_OK)
        status = em__dir_make(parent);
    if (status == EM_OK)
        status = put_link(target.data, temporary, path);
    em__str_free(&target);
    em__free(temporary);
    em__free(parent);
    em__free(path);
    return status;
}

/* The paths of the blob, and the directories that they are in. */
static em_status prepare(blob *b, const char *folder, const char *commit)
{
    const em__hub *hub = b->http->hub;
    char *name = em__hub_folder_name(b->http->repo), *blobs = em__path_join(folder, "blobs");
    char *locks = name ? em__format("%s/.locks/%s", hub->cache, name) : NULL;
    em_status status = EM_ERROR_OUT_OF_MEMORY;
    if (blobs && locks) {
        b->target = em__path_join(blobs, b->file->etag);
        b->incomplete = em__format("%s/%s.incomplete", blobs, b->file->etag);
        b->lock = em__format("%s/%s.lock", locks, b->file->etag);
        status = b->target && b->incomplete && b->lock ? em__dir_make(blobs) : EM_ERROR_OUT_OF_MEMORY;
    }
    if (status == EM_OK)
        status = em__dir_make(locks);
    if (status == EM_OK)
        status = build_url(b->http, commit, b->file->path, &b->url);
    em__free(name);
    em__free(blobs);
    em__free(locks);
    return status;
}

em_status em__hub_file_fetch(em__http *http, const char *folder, const char *commit, const em__hub_file *file,
                             uint64_t done)
{
    blob b = {.http = http, .file = file, .fd = -1, .lock_fd = -1, .done = done};
    em_status status = prepare(&b, folder, commit);
    if (status == EM_OK)
        status = take_lock(&b);
    if (status == EM_OK)
        status = fetch_locked(&b);
    if (status == EM_OK)
        status = link_snapshot(folder, commit, file);
    if (b.fd >= 0)
        close(b.fd);
    if (b.lock_fd >= 0)
        close(b.lock_fd);
    em__free(b.url);
    em__free(b.target);
    em__free(b.incomplete);
    em__free(b.lock);
    return status;
}
