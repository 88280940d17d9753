/*
 * Safetensors files: tensors as views of a mapped file, and a writer.
 *
 *     em_safetensors *file;
 *     if (em_safetensors_open("model.safetensors", NULL, &file) != EM_OK)
 *         return fprintf(stderr, "%s\n", em_last_error()), 1;
 *     const em_safetensors_tensor *w = em_safetensors_find(file, "embeddings.weight");
 *     ...
 *     em_safetensors_close(&file);
 *
 * A file is untrusted. The whole header is checked before a tensor can be seen: its length (at most 16 MiB), its JSON,
 * each dtype, shape, and range, that ranges neither overlap nor leave holes, and that they end where the file ends. A
 * tensor without elements takes no bytes and lies between two others.
 */
#ifndef EMILY_SAFETENSORS_H
#define EMILY_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/dtype.h>
#include <emily/attributes.h>
#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_safetensors em_safetensors;

/* One tensor. `data` is row-major, little-endian, never NULL, aligned to the size of an element (a tensor that stands
 * misaligned in its file is copied at open); all of it lives as long as the file is open. A dtype of the format that
 * Emily lacks (F8_E8M0, F8_*FNUZ, F6_*, F4) is EM_DTYPE_COUNT, which no array takes. */
typedef struct em_safetensors_tensor {
    const char *name;
    em_dtype dtype;
    em_dims dims;
    const void *data;
    size_t nbytes;
    const char *stored; /* the format's own name of the dtype, "BF16"; what is written needs none */
} em_safetensors_tensor;

typedef enum em_safetensors_mode {
    EM_SAFETENSORS_MAP, /* map the file. It must not shrink while open: touching a lost page raises SIGBUS */
    EM_SAFETENSORS_READ /* read it into memory: for network disks, and files that others may truncate */
} em_safetensors_mode;

typedef struct em_safetensors_options {
    size_t struct_size; /* 0, or sizeof(em_safetensors_options) */
    em_safetensors_mode mode;
} em_safetensors_options;

/*
 * Opens a checkpoint: a .safetensors file, a model.safetensors.index.json with its shards, or a directory that holds
 * model.safetensors or else the index. `options` may be NULL. On success `*file` is the caller's, to be closed; on
 * failure it is NULL. The shards of an index must be plain names in its directory; a symbolic link among them may
 * lead to that directory or, in a Hugging Face cache, to the blobs of the same repository.
 *
 * EM_ERROR_NOT_FOUND: no such file, or no checkpoint in the directory. EM_ERROR_FORMAT: the text names the file, the
 * tensor, what was expected and what stands there. EM_ERROR_UNSUPPORTED: a rank above EM_MAX_RANK. EM_ERROR_IO,
 * EM_ERROR_OUT_OF_MEMORY. Any thread.
 */
EM_API em_status em_safetensors_open(const char *path, const em_safetensors_options *options, em_safetensors **file);

/* The same for one file's bytes in memory, which stay the caller's and must outlive `*file`. */
EM_API em_status em_safetensors_open_memory(const void *bytes, size_t size, em_safetensors **file);

/* Closes and sets *file to NULL. Memory goes when the last user of the file does: arrays made by Emily from its tensors
 * keep it. NULL is fine. Any thread, once. */
EM_API void em_safetensors_close(em_safetensors **file);

/* Tensors, in the order of their bytes, file by file. `at` gives NULL past the end, `find` when there is no such tensor
 * (and sets no error). Any number of threads at once. */
EM_API size_t em_safetensors_count(const em_safetensors *file);
EM_API const em_safetensors_tensor *em_safetensors_at(const em_safetensors *file, size_t index);
EM_API const em_safetensors_tensor *em_safetensors_find(const em_safetensors *file, const char *name);

/* Files that the checkpoint is made of, their bytes together, and the path of each (NULL past the end). */
EM_API size_t em_safetensors_file_count(const em_safetensors *file);
EM_API const char *em_safetensors_file_path(const em_safetensors *file, size_t index);
EM_API size_t em_safetensors_bytes(const em_safetensors *file);

/* __metadata__ of the first file: count, entry by index (false past the end; `key` and `value` may be NULL), value by
 * key (NULL when absent). Strings and all that is asked above are the file's; a NULL file has nothing. */
EM_API size_t em_safetensors_metadata_count(const em_safetensors *file);
EM_API bool em_safetensors_metadata_at(const em_safetensors *file, size_t index, const char **key, const char **value);
EM_API const char *em_safetensors_metadata(const em_safetensors *file, const char *key);

typedef struct em_safetensors_entry {
    const char *key, *value;
} em_safetensors_entry;

/*
 * Writes `n` tensors and `entries` of metadata to `path`. The file appears whole or not at all (a temporary is renamed
 * over it). Tensors are laid out by falling element size, then by name, from a 64-byte boundary on, so that every one
 * is aligned; `nbytes` must be what dtype and dims give. All arguments stay the caller's.
 * EM_ERROR_INVALID_ARGUMENT: a duplicate, empty or non-UTF-8 name, a wrong size, "__metadata__" as name; a NULL data of
 * a tensor with elements; a `path` that is there and no regular file (where a link leads is written).
 * EM_ERROR_UNSUPPORTED: a dtype below a byte, which the format has not. EM_ERROR_NOT_FOUND: the folder of `path`.
 * EM_ERROR_IO. Any thread.
 */
EM_API em_status em_safetensors_write(const char *path, const em_safetensors_tensor *tensors, size_t n,
                                      const em_safetensors_entry *entries, size_t n_entries);

#ifdef __cplusplus
}
#endif
#endif
