/* What an open safetensors checkpoint is made of, and the references that keep it. */
#ifndef EM_IO_SAFETENSORS_H
#define EM_IO_SAFETENSORS_H

#include <stdatomic.h>
#include <stdbool.h>

#include <emily/safetensors.h>

#include "core/arena.h"
#include "core/str.h"
#include "core/vec.h"
#include "io/file.h"

#define EM__SAFETENSORS_HEADER_CAP ((size_t)16 << 20)
#define EM__SAFETENSORS_SHARD_CAP 4096

typedef struct em__shard {
    char *path;
    em__map map;
    bool borrowed; /* the bytes are the caller's: open_memory */
} em__shard;

struct em_safetensors {
    atomic_size_t references;
    EM__VEC(em__shard) shards;
    EM__VEC(em_safetensors_tensor) tensors; /* by shard, then by place */
    const em_safetensors_tensor **by_name;  /* the same, sorted for look-ups */
    EM__VEC(em_safetensors_entry) metadata; /* of the first shard */
    em__arena arena;                        /* names, metadata, aligned copies */
};

/* Reads and checks the header of file->shards.data[shard], the last one so far, and appends its tensors and, for shard
 * 0, its metadata. After a failure the file is only good for release. */
em_status em__safetensors_read_header(em_safetensors *file, size_t shard);

/* One more owner / one less. Release has the type of a free function: an array can adopt a tensor's bytes by
 * em_array_wrap(t->dtype, t->data, t->dims, em__safetensors_release, em__safetensors_retain(file)). Any thread. */
em_safetensors *em__safetensors_retain(em_safetensors *file);
void em__safetensors_release(void *file);

/* Orders pointers to tensors by name, for qsort. */
int em__safetensors_by_name(const void *left, const void *right);

/* The name of the tensor's dtype: the format's, where there is none of ours. */
static inline const char *em__tensor_dtype(const em_safetensors_tensor *tensor)
{
    return tensor->dtype == EM_DTYPE_COUNT ? tensor->stored : em_dtype_name(tensor->dtype);
}

/* Hints: the tensor will be read soon; its pages were read (packed elsewhere) and need not stay resident. */
void em__safetensors_will_need(const em_safetensors *file, const em_safetensors_tensor *tensor);
void em__safetensors_release_pages(const em_safetensors *file, const em_safetensors_tensor *tensor);

/* What a file of these tensors begins with, and where in it each tensor's bytes belong, for a writer that brings them
 * later: nobody looks at their data. Checks and order are em_safetensors_write's; `header` is empty and the
 * caller's. */
em_status em__safetensors_layout(const em_safetensors_tensor *tensors, size_t n, const em_safetensors_entry *entries,
                                 size_t n_entries, em__str *header, uint64_t *offsets);

#endif
