/* The cache on disk, and what a name resolves to in it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "io/file.h"
#include "io/hub.h"
#include "io/json.h"

bool em__hub_is_commit(const char *text)
{
    return strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

bool em__hub_is_safe_path(const char *path)
{
    if (path[0] == '\0' || strlen(path) > 1024)
        return false;
    for (const char *part = path;;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > 255 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)part[i] < 0x20 || part[i] == 0x7f || part[i] == '\\')
                return false;
        if (part[n] == '\0')
            return true;
        part += n + 1;
    }
}

char *em__hub_folder_name(const char *repo)
{
    const char *slash = strchr(repo, '/');
    if (!slash)
        return em__format("models--%s", repo);
    return em__format("models--%.*s--%s", (int)(slash - repo), repo, slash + 1);
}

char *em__hub_folder(const em__hub *hub, const char *repo)
{
    char *name = em__hub_folder_name(repo), *path = name ? em__path_join(hub->cache, name) : NULL;
    em__free(name);
    return path;
}

em_status em__hub_is_usable(const char *directory, bool *usable)
{
    char *config = em__path_join(directory, "config.json"), *modules = em__path_join(directory, "modules.json");
    em_status status = config && modules ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    *usable = status == EM_OK && (em__path_is_file(config) || em__path_is_file(modules));
    em__free(config);
    em__free(modules);
    return status;
}

/* The commit in refs/<revision>, "" when there is none. */
static em_status read_ref(const char *folder, const char *revision, char commit[41])
{
    char *path = em__format("%s/refs/%s", folder, revision), *text;
    size_t size;
    commit[0] = '\0';
    if (!path)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = EM_OK;
    if (em__path_is_file(path)) {
        status = em__file_read(path, 4096, &text, &size);
        if (status == EM_OK) {
            text[strcspn(text, " \r\n")] = '\0';
            if (em__hub_is_commit(text))
                memcpy(commit, text, 41);
            em__free(text);
        }
    }
    em__free(path);
    return status == EM_ERROR_OUT_OF_MEMORY ? status : EM_OK;
}

em_status em__hub_snapshot(const char *folder, const char *revision, char **path)
{
    char commit[41];
    *path = NULL;
    EM__TRY(read_ref(folder, revision, commit));
    if (!commit[0] && em__hub_is_commit(revision))
        memcpy(commit, revision, 41);
    if (!commit[0])
        return EM_OK;
    char *directory = em__format("%s/snapshots/%s", folder, commit);
    if (!directory)
        return EM_ERROR_OUT_OF_MEMORY;
    if (em__path_is_dir(directory))
        *path = directory;
    else
        em__free(directory);
    return EM_OK;
}

/* A path that exists: a repository's folder in a cache means its snapshot, all else itself. */
static em_status resolve_path(const char *name, const char *revision, char **path)
{
    char *snapshots = em__path_join(name, "snapshots"), *refs = em__path_join(name, "refs");
    bool folder = snapshots && refs && em__path_is_dir(snapshots) && em__path_is_dir(refs);
    em_status status = snapshots && refs ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK && folder) {
        status = em__hub_snapshot(name, revision, path);
        if (status == EM_OK && !*path)
            status = em__fail(EM_ERROR_NOT_FOUND, "%s: is a cached repository, but has no snapshot of revision \"%s\"",
                              name, revision);
    } else if (status == EM_OK) {
        *path = em__strdup(name);
        status = *path ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    }
    em__free(snapshots);
    em__free(refs);
    return status;
}

static em_status fail_unresolved(const em__hub *hub, const char *name, const char *partial)
{
    if (partial)
        return em__fail(EM_ERROR_NOT_FOUND,
                        "model \"%s\": %s has no config.json: the download is not complete; run: emily pull %s", name,
                        partial, name);
    em__str tried = {0};
    em_status status = EM_OK;
    for (int i = 0; i < 2 && hub->repo[i] && status == EM_OK; i++) {
        char *folder = em__hub_folder(hub, hub->repo[i]);
        status = folder ? em__str_addf(&tried, ", %s", folder) : EM_ERROR_OUT_OF_MEMORY;
        em__free(folder);
    }
    if (status == EM_OK)
        status = em__fail(
            EM_ERROR_NOT_FOUND,
            "model \"%s\", revision %s: not on this machine; looked for the directory %s%s; run: emily pull %s",
            hub->repo[0], hub->revision, name, em__str_text(&tried), name);
    em__str_free(&tried);
    return status;
}

/* Tries the candidates in the cache; *partial is a snapshot that lacks its configuration, for the caller to free. */
static em_status resolve_cached(const em__hub *hub, char **path, char **partial)
{
    for (int i = 0; i < 2 && hub->repo[i] && !*path; i++) {
        char *snapshot = NULL, *folder = em__hub_folder(hub, hub->repo[i]);
        em_status status = folder ? em__hub_snapshot(folder, hub->revision, &snapshot) : EM_ERROR_OUT_OF_MEMORY;
        em__free(folder);
        bool usable = false;
        if (status == EM_OK && snapshot)
            status = em__hub_is_usable(snapshot, &usable);
        if (usable)
            *path = snapshot;
        else if (!*partial)
            *partial = snapshot;
        else
            em__free(snapshot);
        EM__TRY(status);
    }
    return EM_OK;
}

/* Why a path that is there, or may be, is no model. */
static em_status check_path(const char *name)
{
    struct stat info;
    const bool path = name[0] == '/' || name[0] == '.' || name[0] == '~', there = stat(name, &info) == 0;
    EM__FAIL_IF(there && !S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode), EM_ERROR_NOT_FOUND,
                "%s: is a device, socket or pipe, expected a folder or a file", name);
    EM__FAIL_IF(!there && path && errno != ENOENT && errno != ENOTDIR, EM_ERROR_IO, "%s: %s", name, strerror(errno));
    EM__FAIL_IF(path && !there, EM_ERROR_NOT_FOUND, "%s: no such file or directory", name);
    return EM_OK;
}

em_status em_hub_resolve(const char *name, const em_hub_options *options, char **path)
{
    if (path)
        *path = NULL;
    EM__FAIL_IF(!name || !name[0] || !path, EM_ERROR_INVALID_ARGUMENT, "hub_resolve: no name, or NULL argument");
    if (em__path_is_dir(name) || em__path_is_file(name))
        return resolve_path(name, options && options->revision ? options->revision : "main", path);
    EM__TRY(check_path(name));
    em__hub hub;
    char *partial = NULL;
    em_status status = em__hub_init(&hub, name, options);
    if (status == EM_OK)
        status = resolve_cached(&hub, path, &partial);
    if (status == EM_OK && !*path)
        status = fail_unresolved(&hub, name, partial);
    em__free(partial);
    em__hub_free(&hub);
    return status;
}

void em_hub_path_free(char *path)
{
    em__free(path);
}
