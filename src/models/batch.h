/*
 * Packed tokens: sequences of any lengths laid end to end, so that no time goes to padding. What a forward reads.
 *
 * A batch may be rounded up to a program's shape: tokens behind the last sequence belong to none, sequences behind the
 * last one are empty. Neither changes a bit of the others' results.
 */
#ifndef EM_MODELS_BATCH_H
#define EM_MODELS_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "models/config.h"

typedef struct em__batch {
    size_t tokens, segments;                 /* filled, or after em__batch_round the rounded numbers */
    size_t token_capacity, segment_capacity; /* of the arrays */
    int32_t *ids, *types, *positions;        /* [tokens] */
    int32_t *offsets;                        /* [segments + 1] */
    int32_t *cuts; /* [2 * segments + 1]: as offsets, with each sequence cut after its prompt */
} em__batch;       /* zero-initialise */

/* Makes room; what the batch holds is lost. */
em_status em__batch_reserve(em__batch *batch, size_t tokens, size_t segments);
void em__batch_free(em__batch *batch);
void em__batch_clear(em__batch *batch);

/* Appends a sequence; there must be room. The first `prompt` tokens are a prompt that is not pooled. `types` may be
 * NULL (zeros). */
void em__batch_add(em__batch *batch, const em__config *config, const int32_t *ids, const int32_t *types, size_t length,
                   size_t prompt);

/* Fills up to exactly these numbers, both within the capacity. */
void em__batch_round(em__batch *batch, size_t tokens, size_t segments);

/* Rounded-up shapes, so that few programs serve all lengths: exact up to 32 tokens, then at most 1/16 and on average
 * 1/48 more; powers of two of segments. A token costs about as much in a batch of 9 as in one of 1,000, and a program
 * about as much as two tokens. */
size_t em__round_tokens(size_t tokens);
size_t em__round_segments(size_t segments);

#endif
