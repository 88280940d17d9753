/* em_hub_pull: the list of a repository's files, what the server says of each, the files, and last the revision. */
#include <string.h>
#include <sys/statvfs.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/vec.h"
#include "io/file.h"
#include "io/hub_blob.h"
#include "io/json.h"

#define LIST_CAP EM__JSON_INDEX_CAP
#define FILES_CAP 100000

typedef struct pull {
    em__http http;
    const em__hub *hub;
    char *folder, *snapshot;
    char commit[41];
    EM__VEC(em__hub_file) files;
} pull;

/* ---- the list ---- */

static em_status take_list(void *user, const em__http_reply *reply, const char *bytes, size_t size)
{
    (void)reply;
    em__str *text = user;
    EM__FAIL_IF(size > LIST_CAP - text->length, EM_ERROR_NETWORK, "the list of files is longer than %zu bytes",
                LIST_CAP);
    return em__str_add(text, bytes, size);
}

typedef struct listing {
    const char *url;
    em__str text;
} listing;

static em_status try_list(em__http *http, void *user)
{
    listing *list = user;
    em__str_clear(&list->text);
    return em__http_send(http, &(em__http_request){.url = list->url, .sink = take_list, .user = &list->text});
}

static em_status add_file(pull *p, const em__json *sibling)
{
    const char *name;
    char shown[120];
    EM__TRY(em__json_get_string(sibling, "rfilename", &name));
    if (!em__hub_is_safe_path(name))
        return em__json_fail(sibling, EM_ERROR_NETWORK, "the server lists a file named \"%s\"; nothing was fetched",
                             em__printable(shown, sizeof shown, name));
    if (!em__hub_wants(p->hub, name))
        return EM_OK;
    em__hub_file file = {.path = em__strdup(name), .size = -1};
    em_status status = file.path ? em__vec_push(&p->files, file) : EM_ERROR_OUT_OF_MEMORY;
    if (status != EM_OK)
        em__hub_file_free(&file);
    return status;
}

static em_status read_list(pull *p, const em__str *text, const char *url)
{
    em__json_doc doc;
    em__json siblings;
    const char *commit = NULL;
    size_t count = 0;
    em_status status = em__json_parse(em__str_text(text), text->length, url, &doc);
    if (status == EM_OK) {
        em__json root = em__json_root(&doc);
        status = em__json_get_string(&root, "sha", &commit);
        if (status == EM_OK && !em__hub_is_commit(commit))
            status = em__json_fail(&root, EM_ERROR_NETWORK, "sha is not 40 hexadecimal digits; is HF_ENDPOINT a hub?");
        if (status == EM_OK)
            status = em__json_get_array(&root, "siblings", &siblings, &count);
        if (status == EM_OK && count > FILES_CAP)
            status =
                em__json_fail(&siblings, EM_ERROR_NETWORK, "lists %zu files, at most %d are read", count, FILES_CAP);
        if (status == EM_OK)
            memcpy(p->commit, commit, sizeof p->commit);
        for (size_t i = 0; status == EM_OK && i < count; i++) {
            em__json sibling = em__json_item(&siblings, i);
            status = add_file(p, &sibling);
        }
        if (status == EM_OK && p->files.length == 0)
            status = em__fail(EM_ERROR_NOT_FOUND, "%s holds none of the files that a model needs (%zu others)",
                              p->http.repo, count);
    }
    em__json_free(&doc);
    return status == EM_ERROR_FORMAT ? EM_ERROR_NETWORK : status;
}

static em_status fetch_list(pull *p)
{
    em__str url = {0};
    listing list = {0};
    em_status status = em__str_addf(&url, "%s/api/models/%s/revision/", p->hub->endpoint, p->http.repo);
    if (status == EM_OK)
        status = em__http_escape(&p->http, &url, p->hub->revision, false);
    if (status == EM_OK) {
        list.url = url.data;
        status = em__http_retry(&p->http, try_list, &list);
    }
    if (status == EM_OK)
        status = read_list(p, &list.text, url.data);
    em__str_free(&list.text);
    em__str_free(&url);
    return status;
}

/* ---- the files ---- */

/* Sizes and hashes of what is not there yet; progress.total becomes known. */
static em_status ask_about_files(pull *p)
{
    p->http.progress.count = p->files.length;
    for (size_t i = 0; i < p->files.length; i++) {
        em__hub_file *file = &p->files.data[i];
        char *path = em__path_join(p->snapshot, file->path);
        if (!path)
            return EM_ERROR_OUT_OF_MEMORY;
        file->present = em__path_is_file(path);
        em__free(path);
        if (file->present)
            continue;
        EM__TRY(em__hub_file_head(&p->http, p->commit, file));
        uint64_t size = file->size > 0 ? (uint64_t)file->size : 0;
        EM__FAIL_IF(em__add_overflows(p->http.progress.total, size, &p->http.progress.total), EM_ERROR_NETWORK,
                    "%s: the server announces %lld bytes", file->path, (long long)file->size);
    }
    return EM_OK;
}

/* Better said now than after an hour. */
static em_status check_space(pull *p)
{
    struct statvfs fs;
    if (statvfs(p->hub->cache, &fs) != 0)
        return EM_OK;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize, needed = p->http.progress.total;
    EM__FAIL_IF(needed > free_bytes, EM_ERROR_IO,
                "%s: %llu bytes are needed, %llu are free; make room or set HF_HUB_CACHE", p->hub->cache,
                (unsigned long long)needed, (unsigned long long)free_bytes);
    return EM_OK;
}

static em_status fetch_files(pull *p)
{
    uint64_t done = 0;
    for (size_t i = 0; i < p->files.length; i++) {
        const em__hub_file *file = &p->files.data[i];
        p->http.progress.file = file->path;
        p->http.progress.index = i;
        p->http.progress.done = done;
        EM__TRY(em__http_report(&p->http));
        if (file->present)
            continue;
        EM__TRY(em__hub_file_fetch(&p->http, p->folder, p->commit, file, done));
        done += file->size > 0 ? (uint64_t)file->size : 0;
    }
    p->http.progress.done = done;
    return em__http_report(&p->http);
}

/* A revision that is the commit itself needs no reference. */
static em_status write_ref(pull *p)
{
    if (strcmp(p->hub->revision, p->commit) == 0)
        return EM_OK;
    char *path = em__format("%s/refs/%s", p->folder, p->hub->revision);
    char *parent = path ? em__strndup(path, (size_t)(strrchr(path, '/') - path)) : NULL;
    em_status status = parent ? em__dir_make(parent) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        status = em__file_write(path, p->commit, 40);
    em__free(parent);
    em__free(path);
    return status;
}

static em_status run_pull(pull *p, const char *repo)
{
    EM__TRY(em__http_open(&p->http, p->hub, repo));
    EM__TRY(em__http_report(&p->http));
    EM__TRY(fetch_list(p));
    p->folder = em__hub_folder(p->hub, repo);
    p->snapshot = p->folder ? em__format("%s/snapshots/%s", p->folder, p->commit) : NULL;
    if (!p->snapshot)
        return EM_ERROR_OUT_OF_MEMORY;
    EM__TRY(ask_about_files(p));
    EM__TRY(em__dir_make(p->hub->cache));
    EM__TRY(check_space(p));
    EM__TRY(fetch_files(p));
    return write_ref(p);
}

/* *missing: the repository is not there (or not for us: the hub does not tell), so another name may be tried. */
static em_status pull_repo(const em__hub *hub, const char *repo, char **path, bool *missing)
{
    pull p = {.hub = hub};
    em_status status = em__context(run_pull(&p, repo), "pull %s", repo);
    *missing = status != EM_OK && !p.commit[0] && (p.http.reply.status == 404 || p.http.reply.status == 401);
    if (status == EM_OK) {
        *path = p.snapshot;
        p.snapshot = NULL;
    }
    for (size_t i = 0; i < p.files.length; i++)
        em__hub_file_free(&p.files.data[i]);
    em__vec_free(&p.files);
    em__free(p.folder);
    em__free(p.snapshot);
    em__http_close(&p.http);
    return status;
}

em_status em_hub_pull(const char *name, const em_hub_options *options, char **path)
{
    if (path)
        *path = NULL;
    EM__FAIL_IF(!name || !name[0] || !path, EM_ERROR_INVALID_ARGUMENT, "hub_pull: no name, or NULL argument");
    em__hub hub;
    bool missing = true;
    em_status status = em__hub_init(&hub, name, options);
    if (status == EM_OK && hub.offline)
        status = em__fail(EM_ERROR_NETWORK, "pull %s: offline, as HF_HUB_OFFLINE or the caller asks; unset it to fetch",
                          name);
    else if (status == EM_OK)
        for (int i = 0; i < 2 && hub.repo[i] && missing; i++)
            status = pull_repo(&hub, hub.repo[i], path, &missing);
    em__hub_free(&hub);
    return status;
}
