/* A file of a repository, and getting its bytes into the cache. */
#ifndef EM_IO_HUB_BLOB_H
#define EM_IO_HUB_BLOB_H

#include "io/hub_http.h"

typedef struct em__hub_file {
    char *path;   /* in the repository: "1_Pooling/config.json" */
    char *etag;   /* its name among the blobs; a SHA-256 (64 digits) or a git blob's SHA-1 (40) is checked */
    int64_t size; /* -1: not known */
    bool present; /* in the snapshot already */
} em__hub_file;

/* What the server says of the file: fills etag and size. */
em_status em__hub_file_head(em__http *http, const char *commit, em__hub_file *file);

/* Fetches the bytes to <folder>/blobs/<etag>, going on where an earlier try stopped, checks them, and links the
 * snapshot to them. `done` is the progress before this file. */
em_status em__hub_file_fetch(em__http *http, const char *folder, const char *commit, const em__hub_file *file,
                             uint64_t done);

void em__hub_file_free(em__hub_file *file);

#endif
