/*
 * Models by name: the Hugging Face cache on disk, and downloads into it.
 *
 * The cache is the one of the huggingface_hub package, file by file: what either fetched, both find. It lies at
 * HF_HUB_CACHE, else HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
 */
#ifndef EMILY_HUB_H
#define EMILY_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How far a pull has come. Strings are valid during the call only. */
typedef struct em_hub_progress {
    const char *repo;     /* "sentence-transformers/all-MiniLM-L6-v2" */
    const char *file;     /* being fetched; "" while the list is */
    size_t index, count;  /* of the file, of all */
    uint64_t done, total; /* bytes of all files */
} em_hub_progress;

typedef struct em_hub_options {
    size_t struct_size;       /* 0, or sizeof(em_hub_options) */
    const char *cache_dir;    /* NULL: from the environment, as above */
    const char *revision;     /* branch, tag or commit; NULL: what follows '@' in the name, else "main" */
    const char *endpoint;     /* NULL: HF_ENDPOINT, else https://huggingface.co */
    const char *token;        /* NULL: HF_TOKEN, else the file HF_TOKEN_PATH or HF_HOME/token; "": none */
    bool offline;             /* open no socket; HF_HUB_OFFLINE=1 asks for it too */
    const char *const *files; /* NULL-terminated patterns ("*.safetensors", "1_Pooling/?*"); NULL: what a model needs */
    unsigned retries;         /* of a request that failed for a passing reason; 0: 5; one while no answer ever came */
    unsigned retry_ms;        /* before the first retry, doubled each time; 0: 1000 */
    bool (*progress)(const em_hub_progress *progress, void *user); /* at least once a second; false cancels */
    void *user;
} em_hub_options;

/*
 * The directory or file that `name` stands for, without the network: an existing path; a repository's folder in a
 * cache (.../models--org--name); or a hub name `org/name[@revision]` that is in the cache. A bare name
 * (`all-MiniLM-L6-v2`) is looked for as it stands and then in `sentence-transformers/`. `options` may be NULL.
 *
 * On success `*path` is a fresh string for em_hub_path_free; on failure NULL. EM_ERROR_NOT_FOUND says what was tried
 * and how to pull it; EM_ERROR_INVALID_ARGUMENT: the name can't be one. Any thread.
 */
EM_API em_status em_hub_resolve(const char *name, const em_hub_options *options, char **path);

/*
 * Fetches `org/name[@revision]` (or a bare name, as above) into the cache, the files that are not there yet, and gives
 * the snapshot's directory as em_hub_resolve does. A broken download goes on where it stopped. A file appears in the
 * cache only when its size and hash are right; the revision points to the new snapshot only when all files are there.
 * Several processes may pull the same model. The token goes to the endpoint alone, never to the hosts it redirects to.
 * Only https is spoken, but for an http endpoint on the loopback interface.
 *
 * EM_ERROR_NOT_FOUND: no such repository, revision, or files. EM_ERROR_NETWORK: refused, unreachable, or wrong data;
 * the text says which, and what to do. EM_ERROR_IO: the disk, with the bytes needed and free. EM_ERROR_CANCELLED:
 * progress returned false; what was fetched stays for the next time. EM_ERROR_UNSUPPORTED: libcurl is not installed.
 * Any thread; blocks. The progress function is called on the calling thread.
 */
EM_API em_status em_hub_pull(const char *name, const em_hub_options *options, char **path);

/* Frees a path from this header. NULL is fine. */
EM_API void em_hub_path_free(char *path);

#ifdef __cplusplus
}
#endif
#endif
