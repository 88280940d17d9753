/*
 * A checkpoint's tensors as arrays, by a family's tables. Tensors that already have the working dtype are mapped, not
 * copied; the others are cast once. Embedding tables keep their stored dtype: only the rows looked up are cast.
 */
#ifndef EM_MODELS_WEIGHTS_H
#define EM_MODELS_WEIGHTS_H

#include <emily/safetensors.h>

#include "models/family.h"

/* Where tensors come from, what they shall be, and who casts them. */
typedef struct em__source {
    em_safetensors *file;
    em_dtype dtype;
    em_device *device;
} em__source;

/* A tensor of the file as an array, which keeps the file; its pages can be given back. */
em_array *em__tensor_wrap(em_safetensors *file, const em_safetensors_tensor *tensor);

/* Whether the file's tensors of these names have the same dtype, shape and bytes; both absent is the same too. What was
 * read of the second need not stay resident. */
bool em__tensors_equal(const em_safetensors *file, const char *first, const char *second);

/* The tensor `name` as an array of from->dtype, or as it is stored, and the shape rows x columns, rank 1 when `columns`
 * is EM__VECTOR. The caller releases it. The message of a failure names the file, the tensor, its shape, and who asked
 * for another ("config.json asks for [384, 384]"). */
#define EM__VECTOR (-1)
typedef struct em__wanted {
    const char *name;
    int64_t rows, columns;
    const char *by; /* "config.json" */
    bool as_stored;
} em__wanted;
em_status em__tensor_load(const em__source *from, const em__wanted *wanted, em_array **array);

/* The safetensors checkpoint in `dir`; where there are pickled weights only, the message says so. (stages.c) */
em_status em__checkpoint_open(const char *dir, em_safetensors **file);

/* Fills *weights for the family. On failure it is empty. */
em_status em__weights_load(const em__source *from, const em__family *family, const em__config *config,
                           em__weights *weights);
void em__weights_free(em__weights *weights);

/* Gives back the mapped pages of weights that live on as packed copies; they are read again when touched. */
void em__weights_release_pages(const em_safetensors *file);

#endif
