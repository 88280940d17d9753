/*
 * Rotary frequencies (Su et al., arXiv 2104.09864) and the ways in which checkpoints stretch them: linear, dynamic NTK,
 * Llama 3 and YaRN (Peng et al., arXiv 2309.00071), as Transformers' modeling_rope_utils defines them.
 */
#ifndef EM_MODELS_DECODER_ROPE_H
#define EM_MODELS_DECODER_ROPE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/json.h"

typedef enum em__rope_kind {
    EM__ROPE_DEFAULT,
    EM__ROPE_LINEAR,
    EM__ROPE_DYNAMIC,
    EM__ROPE_LLAMA3,
    EM__ROPE_YARN
} em__rope_kind;

typedef struct em__rope {
    em__rope_kind kind;
    double theta, factor;
    double low, high;  /* Llama 3: frequency factors; YaRN: rotations beta_slow and beta_fast */
    double original;   /* positions before the stretching */
    double attention;  /* what cosine and sine are multiplied by */
    bool truncate;     /* YaRN: whole dimensions bound the ramp */
    int64_t positions; /* max_position_embeddings */
    int64_t dims;      /* features of a head that turn; even */
} em__rope;

/* Reads rope_parameters (new spelling), or rope_theta, rope_scaling and partial_rotary_factor (old). `theta` is the
 * family's default. */
em_status em__rope_read(const em__json *root, double theta, int64_t head_dim, int64_t positions, em__rope *rope);

/* The period of pair i over 2 pi, dims / 2 of them, for a sequence that will have `length` tokens (only dynamic looks
 * at it): pair i turns by position / periods[i]. */
void em__rope_periods(const em__rope *rope, int64_t length, float *periods);

#endif
