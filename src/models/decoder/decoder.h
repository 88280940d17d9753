/*
 * A decoder: a language model that reads tokens and says what comes next (pre-norm transformer with rotary positions,
 * grouped queries, gated MLP, and a cache of keys and values).
 *
 * Activations are f32. Weights stay as they are stored, row-major, mapped from the file: dense f32, f16, bf16, or
 * quantized as mlx-lm writes them. The cache belongs to the caller; a forward adds rows to it.
 */
#ifndef EM_MODELS_DECODER_DECODER_H
#define EM_MODELS_DECODER_DECODER_H

#include <pthread.h>

#include <emily/model.h>
#include <emily/program.h>
#include <emily/safetensors.h>

#include "models/decoder/config.h"
#include "models/family.h"

/* y = x w' + bias. Dense: weight [n, k]. Quantized: codes, scales and biases stand for it. */
typedef struct em__matrix {
    em_array *weight; /* NULL when quantized */
    em_quantized codes;
    em_quantization how;
    em_array *bias; /* f32 [n], or NULL */
} em__matrix;

typedef struct em__decoder_layer {
    em__matrix query, key, value, out, gate, up, down;
    em_array *attention_norm, *mlp_norm; /* f32 [hidden] */
    em_array *query_norm, *key_norm;     /* f32 [head_dim], or NULL */
} em__decoder_layer;

typedef struct em__decoder_weights {
    em__matrix embedding, head;
    bool tied; /* the head is the embedding, without references of its own */
    em_array *norm;
    em_dtype norm_dtype; /* as stored */
    em__decoder_layer *layers;
} em__decoder_weights;

enum { EM__NO_TOKEN = -1 };

/* What a forward computes, and with which shapes: a program a key. */
typedef struct em__decoder_task {
    int64_t batch, tokens; /* sequences; new tokens of each */
    int64_t capacity;      /* rows of a cache */
    em_dtype cache;        /* f32, bf16, f16; s8: codes, and a scale a row */
    bool all;              /* logits of every new token; otherwise of the one at `last` (batch or tokens is 1) */
    bool chosen;           /* tokens is 1: the most likely next token, s32 [batch, 1], in the place of its logits;
                            * EM__NO_TOKEN: they are NaN */
} em__decoder_task;

/* Row-major. Token t of sequence b has ids[b * tokens + t], turns by positions[b] + t, is put into row slots[b] + t of
 * the cache, and sees the first lengths[b] rows (of the last tokens - 1 only those of tokens before it). */
typedef struct em__decoder_feed {
    const int32_t *ids, *positions, *slots, *lengths;
    const int32_t *last; /* [1]: index of the token whose logits are wanted, when !all and tokens > 1 */
    void *const *caches; /* of each layer its parts (em__cache_parts), one layer after another */
    int64_t length;      /* tokens that the longest sequence will then have: for dynamic rope */
} em__decoder_feed;

/* What a layer keeps of each token: keys and values [batch, kv_heads, capacity, head_dim], and with s8 the scales of
 * both, f32 [batch, kv_heads, capacity]. */
enum { EM__CACHE_KEYS, EM__CACHE_VALUES, EM__CACHE_KEY_SCALES, EM__CACHE_VALUE_SCALES, EM__CACHE_PARTS };

static inline size_t em__cache_parts(em_dtype dtype)
{
    return dtype == EM_S8 ? EM__CACHE_PARTS : EM__CACHE_KEY_SCALES;
}

/* Cache `index` of those of all layers, for so many sequences of so many rows. */
em_spec em__cache_spec(const em__decoder_config *config, em_dtype dtype, size_t index, int64_t sequences, int64_t rows);

/* Steps of one token that the device runs one behind the other, each on the token that the one before chose. */
enum { EM__AHEAD = 8 };

/* Row-major, a row a step and a column a sequence; as in em__decoder_feed. */
typedef struct em__decoder_ahead {
    const int32_t *ids;                         /* [batch]: what the first step reads */
    const int32_t *positions, *slots, *lengths; /* [steps, batch] */
    void *const *caches;
    int64_t length; /* tokens that the longest sequence will then have */
} em__decoder_ahead;

typedef struct em__decoder_program {
    em__decoder_task task;
    em_program *program;
    uint64_t used; /* when: the least recent goes first */
} em__decoder_program;

enum { EM__DECODER_PROGRAMS = 32 };
#define EM__DECODER_PROGRAM_BYTES ((size_t)256 << 20) /* working memory of all */

typedef struct em__decoder {
    em__decoder_config config;
    em__decoder_weights weights;
    em_device *device;
    em_model_lane lane;
    bool profile, raw_weights, exact;
    pthread_mutex_t lock; /* of the programs and what they run on */
    em__decoder_program programs[EM__DECODER_PROGRAMS];
    size_t n_programs;
    uint64_t clock;
    float *periods;      /* [rope.dims / 2] */
    const void **inputs; /* of a run: room for caches and the rest */
    void **outputs;
    char *ahead; /* ahead.c: its block in the device's memory, NULL while it was not wanted; and its bytes */
    size_t ahead_bytes;
} em__decoder;

/* Parts of the caches of all layers: the leading inputs and outputs of a forward. */
static inline size_t em__decoder_caches(const em__decoder *decoder, const em__decoder_task *task)
{
    return em__cache_parts(task->cache) * (size_t)decoder->config.layers;
}

/* Reads config.json in `dir` and takes the weights of `file`, which must outlive nothing: arrays hold it. On failure
 * NULL, with the error set. */
em__decoder *em__decoder_open(const char *dir, const em_safetensors *file, em_device *device, em_model_lane lane,
                              bool profile);
void em__decoder_close(em__decoder *decoder);

/* (weights.c) A file of a model without a language model's head leaves `head` empty. On failure *weights is empty. */
em_status em__decoder_weights_load(const em_safetensors *file, const em__decoder_config *config, em_device *device,
                                   em__decoder_weights *weights);
/* The dtype of what m was made of: its own, or of a quantized one that of its scales, or, where they are codes as well,
 * that of what is not quantized. */
em_dtype em__decoder_dtype(const em__decoder_weights *weights, const em__matrix *m);
bool em__decoder_has_head(const em__decoder_weights *weights);
void em__decoder_weights_free(const em__decoder_config *config, em__decoder_weights *weights);

/* Inputs of a traced forward: the parts of each layer's cache, then these. */
enum {
    EM__FEED_IDS,
    EM__FEED_POSITIONS,
    EM__FEED_SLOTS,
    EM__FEED_LENGTHS,
    EM__FEED_LAST,
    EM__FEED_PERIODS,
    EM__FEED_COUNT
};

/* The forward as ops (forward.c): the caches, layer by layer, are replaced by updated ones.
 * Result: f32 [batch, vocabulary], with task->all [batch, tokens, vocabulary]. */
em_array *em__decoder_forward(em_scope *s, const em__decoder *decoder, const em__decoder_task *task, em_array **caches,
                              em_array *const *feed);

/* The last hidden states of packed tokens, whose sequences are not longer than the positions: f32 [T, hidden]. */
em_array *em__decoder_hidden(em_scope *s, const em__decoder *decoder, const em__tokens *tokens);

/* Runs it: caches are updated in place, `logits` is filled. Any thread; calls take turns. (run.c) */
em_status em__decoder_run(em__decoder *decoder, const em__decoder_task *task, const em__decoder_feed *feed,
                          float *logits);

/* The same for decoders that run ahead: `steps` (at most EM__AHEAD) of one token for each of task->batch sequences,
 * whose choices come into `ids` [steps, batch]. task->chosen is set. (ahead.c) */
em_status em__decoder_run_ahead(em__decoder *decoder, const em__decoder_task *task, const em__decoder_ahead *feed,
                                size_t steps, int32_t *ids);
void em__decoder_ahead_free(em__decoder *decoder);

/* Whether running ahead is worth it: the device has memory of its own, and programs. */
bool em__decoder_runs_ahead(const em__decoder *decoder);

/* The program of the task, compiled where there is none; NULL on failure. Under the lock. (run.c) */
em_program *em__decoder_program_for(em__decoder *decoder, const em__decoder_task *task);

/* The kernels of the program that ran last; false when none has. `emit` must not use the decoder. */
bool em__decoder_describe(em__decoder *decoder, void (*emit)(const char *line, void *user), void *user);

#endif
