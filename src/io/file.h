/*
 * Files: read-only maps, small reads, writes that appear whole or not at all, directories.
 *
 * Which names are followed. A path that the caller gives, and a name that Emily itself asks for inside a model
 * directory ("config.json", "model.safetensors"), is opened as the system opens it, symbolic links included: a Hugging
 * Face cache is made of links (snapshots/<commit>/x -> ../../blobs/<hash>). A name that was read *from a file* (the
 * shards of an index) is untrusted: it goes through em__file_open_inside, which takes a plain basename and follows a
 * link only to a target inside the model directory or, in a cache, inside the blobs directory of the same repository;
 * so does the folder of a module (modules.json), by em__path_inside.
 * Whoever can replace links in the directory while it is read is outside this policy.
 *
 * Only regular files are opened. Every error names the path and the cause.
 */
#ifndef EM_IO_FILE_H
#define EM_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/status.h>

/* Opens for reading; the caller closes `*fd`. EM_ERROR_NOT_FOUND when there is no such file; EM_ERROR_IO for a
 * link to nowhere: something was meant to be there. */
em_status em__file_open(const char *path, int *fd, size_t *size);
em_status em__file_open_inside(const char *dir, const char *name, int *fd, size_t *size);

/* True for a name that can't leave its directory: not empty, no '/' or '\', not "." or "..", 255 bytes at most. */
bool em__is_basename(const char *name);

/* The whole of a file of at most `cap` bytes, with a NUL after it. Free `*text` with em__free. */
em_status em__file_read(const char *path, size_t cap, char **text, size_t *size);

/* EM_ERROR_FORMAT where a file's bytes are what Git LFS leaves in its place until it is fetched. */
em_status em__file_check_pointer(const char *path, const void *bytes, size_t size);

typedef enum em__map_mode {
    EM__MAP_PAGES, /* mmap: no copy; the file must not shrink while it is mapped (the process would get SIGBUS) */
    EM__MAP_READ   /* read into memory: for network disks and files that others may truncate */
} em__map_mode;

typedef struct em__map {
    const unsigned char *data; /* never NULL once open, page aligned unless the file is empty */
    size_t size;
    em__map_mode mode;
} em__map; /* zero-initialised: closed */

/* Maps `size` bytes of `fd`; the size is checked again once the map stands. `path` is for messages. `fd` stays open. */
em_status em__map_fd(int fd, const char *path, size_t size, em__map_mode mode, em__map *map);
em_status em__map_open(const char *path, em__map_mode mode, em__map *map);
void em__map_close(em__map *map);

/* Asks for the pages before they are touched / gives resident pages back after use (they come again from the file when
 * read). Both are hints; the second keeps pages that the range covers only in part. */
void em__map_will_need(const em__map *map, size_t offset, size_t length);
void em__map_release_pages(const em__map *map, size_t offset, size_t length);

/* EM_ERROR_FORMAT where `path`, with its links followed, leads out of `dir` and, in a cache, out of the blobs too. */
em_status em__path_inside(const char *dir, const char *path);

bool em__path_is_dir(const char *path);
bool em__path_is_file(const char *path);
/* Anything of that name, also what em__file_open refuses: an optional file is absent only when nothing has its name. */
bool em__path_exists(const char *path);
char *em__path_join(const char *dir, const char *name); /* em__free; NULL when memory runs out */
em_status em__dir_make(const char *path);               /* with its parents; an existing directory is fine */

/* The name under which a file that is written to `path` shall lie: where links lead, also those to nothing yet. Free it
 * with em__free. EM_ERROR_INVALID_ARGUMENT for what is no regular file. */
em_status em__path_target(const char *path, char **target);

/*
 * A file being written: bytes go to a temporary beside the target of `path`, commit renames it over that, with the
 * permissions of what it replaces. Until then, and after an abort, nothing is seen of it.
 */
typedef struct em__writer {
    char *path, *temporary;
    int fd;
} em__writer; /* zero-initialised: not open */

/* EM_ERROR_NOT_FOUND: its folder; EM_ERROR_INVALID_ARGUMENT: it is there, and no regular file. */
em_status em__writer_begin(em__writer *writer, const char *path);
em_status em__writer_add(em__writer *writer, const void *bytes, size_t size);
em_status em__writer_patch(em__writer *writer, uint64_t offset, const void *bytes, size_t size);
em_status em__writer_commit(em__writer *writer); /* closes the writer whether it succeeds or not */
void em__writer_abort(em__writer *writer);       /* also fine after a commit, and when it never began */

em_status em__file_write(const char *path, const void *bytes, size_t size);

#endif
