/*
 * What the parts of the hub share: settings of one call, names of repositories, and the layout of the cache.
 *
 *     <cache>/models--org--name/refs/main                      the commit that the revision means
 *     <cache>/models--org--name/blobs/<etag>                   a file's bytes; <etag>.incomplete while it is fetched
 *     <cache>/models--org--name/snapshots/<commit>/a/b.json    a link to ../../../blobs/<etag>
 *     <cache>/.locks/models--org--name/<etag>.lock             flock'ed by whoever fetches the blob
 */
#ifndef EM_IO_HUB_H
#define EM_IO_HUB_H

#include <emily/hub.h>

typedef struct em__hub {
    em_hub_options options; /* a copy; strings borrowed */
    char *cache, *endpoint; /* endpoint without a slash at the end */
    char *token;            /* NULL: none */
    bool offline;
    char *repo[2]; /* candidates, in order: the name; sentence-transformers/name when it is bare */
    char *revision;
} em__hub; /* zero-initialised: empty */

/* Settings from options and the environment, and the name taken apart. em__hub_free also after a failure. */
em_status em__hub_init(em__hub *hub, const char *name, const em_hub_options *options);
void em__hub_free(em__hub *hub);

/* <cache>/models--org--name, and the name of that folder alone. NULL when memory runs out. */
char *em__hub_folder(const em__hub *hub, const char *repo);
char *em__hub_folder_name(const char *repo);

/* The snapshot that `revision` means in a repository's folder: *path is the directory, NULL when there is none (which
 * is no error). Only memory can run out. */
em_status em__hub_snapshot(const char *folder, const char *revision, char **path);

/* Has the directory a model's configuration, so that it is worth opening? Only memory can run out. */
em_status em__hub_is_usable(const char *directory, bool *usable);

/* 40 lower-case hexadecimal digits? / A relative path without "..", ".", empty parts, backslashes, controls? */
bool em__hub_is_commit(const char *text);
bool em__hub_is_safe_path(const char *path);

/* Is the file wanted: by options.files, or by what a model needs? */
bool em__hub_wants(const em__hub *hub, const char *file);

#endif
