/*
 * Scaled dot product attention on the CPU: out = softmax(scale q k' + mask) v, per sequence and head, in f32. Keys and
 * values may be halves or codes with a scale a token, as a cache holds them: they are widened where they are read.
 *
 * The operands are slices: q, k and v may be three views of one merged projection [tokens, 3 * hidden]. Sequences are
 * either packed one behind the other (offsets; each attends within itself, so a batch of mixed lengths has no padding)
 * or dense with a batch stride. Query head h reads key/value head h / (heads / kv_heads).
 *
 * A row's result depends on its own query, its own sequence and its own mask alone: not on the other rows, the other
 * sequences, or the thread count. (But an infinity or NaN among the values that some rows of a tile see makes NaN of
 * its other rows, which multiply it by zero.) AVX2 and AVX-512 give the same bits. Scores are
 * kept for one block of keys at a time; the softmax runs along the blocks with a running maximum and sum.
 *
 * Where the processor multiplies bf16 and the caller lets it (may_round; of bf16 queries always), 64 queries and more
 * meet keys of bf16 as bf16: q and exp(score - maximum) are rounded, scores and sums stay f32. What is said of rows
 * holds among 64 and more, and among fewer; not between the two.
 *
 * A row whose keys are all excluded (by `allowed`, by causality, or by a mask of -inf) is zero; a row whose mask is one
 * very negative finite number everywhere is the average that arithmetic says. NaN travels into the rows that see it.
 */
#ifndef EM_DEVICE_CPU_ATTENTION_H
#define EM_DEVICE_CPU_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/dtype.h>
#include <emily/status.h>

#include "core/pool.h"
#include "device/cpu/gemm.h"

typedef struct em__attention_kernels em__attention_kernels;

/* The kernels of a level, or of the best one this machine and this build have below it. Any thread, no cost. */
const em__attention_kernels *em__attention_kernels_get(em__cpu_level level);

/* Strides in elements. The elements of one head of one token are contiguous. */
typedef struct em__attention_operand {
    const void *data;
    int64_t batch; /* unused when sequences are packed */
    int64_t head, token;
} em__attention_operand;

/* A float mask that is added to the scaled scores, or bytes of which 0 excludes a key. A stride may be 0. */
typedef struct em__attention_mask {
    const void *data;
    int64_t batch, head, query, key;
} em__attention_mask;

/* What each token of k or v is multiplied by, side by side; data NULL for nothing. */
typedef struct em__attention_scales {
    const float *data;
    int64_t batch, head;
} em__attention_scales;

typedef struct em__attention_args {
    int64_t batch; /* sequences */
    int64_t heads, kv_heads;
    int64_t head_dim;       /* of q and k */
    int64_t value_dim;      /* of v and out */
    int64_t queries, keys;  /* per sequence, when dense */
    em_dtype dtype, cache;  /* of q and out; of k and v: the same, or f16, bf16 or s8 beside f32 */
    const int32_t *offsets; /* packed: sequence b is tokens [offsets[b], offsets[b + 1]); else NULL */
    em__attention_operand q, k, v;
    void *out; /* overlaps no input */
    int64_t out_batch, out_head, out_token;
    float scale;
    bool causal;                /* query i sees keys j <= i + keys - queries */
    em__attention_mask mask;    /* of float; data NULL for none */
    em__attention_mask allowed; /* of uint8_t; data NULL for none */
    const float *relative;      /* [heads, 2 * relative_span - 1], added at j - i + relative_span - 1; or NULL */
    int64_t relative_span;      /* no sequence is longer */
    const int32_t *lengths;     /* dense: keys that exist, of sequence b at b * length_stride; NULL: all */
    int64_t length_stride;
    int64_t window;     /* 0 for none; query i sees keys j with |i + keys - queries - j| < window */
    float softcap;      /* 0 for none; scores become softcap * tanh(score / softcap) before a mask */
    const float *sinks; /* [heads]: a score that takes part in each row's sum and has no value; or NULL */
    em__attention_scales k_scales, v_scales; /* when dense */
    bool may_round; /* queries and weights of the softmax to bf16, where many of them meet keys and values of bf16 */
} em__attention_args;

/* Worker scratch that em__attention_f32 uses for these sizes. Reserving it beforehand makes the call free of
 * allocations. */
size_t em__attention_scratch_bytes(const em__attention_kernels *kernels, const em__attention_args *args);

/* Of f32 queries. Fails only with EM_ERROR_OUT_OF_MEMORY, when the pool cannot reserve the scratch. */
em_status em__attention_f32(const em__attention_kernels *kernels, em__pool *pool, const em__attention_args *args);

/* Whether the few queries of these sizes are better off with em__attention_decode, whose mask must be f32. */
bool em__attention_decodes(const em__attention_args *args);

/* Bytes of scratch, of all and of each worker. */
size_t em__attention_decode_scratch(const em__attention_args *args);
size_t em__attention_decode_worker(const em__attention_args *args);

/* The same attention, of queries of any float dtype up to f32. */
em_status em__attention_decode(const em__attention_kernels *kernels, em__pool *pool, const em__attention_args *args,
                               float *scratch);

#endif
