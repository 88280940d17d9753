/*
 * A checkpoint being quantized: the plan of the tensors that will be written, and the directory that they go to, which
 * has another name until it is whole.
 */
#ifndef EM_MODELS_QUANTIZE_H
#define EM_MODELS_QUANTIZE_H

#include <emily/quantize.h>
#include <emily/safetensors.h>

#include "core/arena.h"
#include "core/vec.h"
#include "io/file.h"
#include "io/json.h"

/* The directory that is written. */
typedef struct em__quantize_place {
    const char *in;
    char *out;       /* where it will lie */
    char *temporary; /* where it lies meanwhile; NULL: nothing is there */
    int lock;        /* of the file in it that says whose it is; -1: none */
} em__quantize_place;

/* A tensor of the checkpoint and what it becomes: one to three tensors of the plan's `out`. */
typedef struct em__quantize_item {
    const em_safetensors_tensor *from;
    size_t first, count;
} em__quantize_item;

/* A file of weights: tensors [first, first + count) of `out`. */
typedef struct em__quantize_shard {
    char name[48];
    size_t first, count;
} em__quantize_shard;

typedef struct em__quantize_plan {
    em_quantization how; /* nothing in it is 0 */
    EM__VEC(em__quantize_item) items;
    EM__VEC(em_safetensors_tensor) out; /* without data, by shard */
    EM__VEC(em__quantize_shard) shards;
    size_t before, after; /* bytes */
    em__arena names;
} em__quantize_plan; /* zero-initialised: empty */

/* Plans all of `file` by config.json; `tied`: an lm_head that is the embedding is left out. */
em_status em__quantize_plan_make(em__quantize_plan *plan, const em_safetensors *file, bool tied, size_t shard_bytes);
void em__quantize_plan_free(em__quantize_plan *plan);

/* That config.json of `in` and the tensors are of one model, which then runs: known before hours of work. */
em_status em__quantize_check_model(const char *in, const em_safetensors *file, em_device *device);

/* Makes the temporary directory; gives it its name; removes what is unfinished (also fine after either).
 * (quantize_place.c) */
em_status em__quantize_place_begin(em__quantize_place *place, const char *in, const char *out);
em_status em__quantize_place_commit(em__quantize_place *place);
void em__quantize_place_free(em__quantize_place *place);

/* config.json of `in` must say that it is not quantized. Frees with em__json_free. (quantize_files.c) */
em_status em__quantize_config(const char *in, em__json_doc *config, bool *tied);

/* config.json, the index of weights, and the small files of the checkpoint. */
em_status em__quantize_side_files(const em__quantize_place *place, em__json_doc *config, const em__quantize_plan *plan);

#endif
