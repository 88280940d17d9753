/* Compositions that encoders share. All take and return arrays of the scope; NULL passes through. */
#ifndef EM_MODELS_LAYERS_H
#define EM_MODELS_LAYERS_H

#include <emily/ops.h>

#include "models/family.h"

/* BERT's embeddings: tables by id, position and token type (NULL in a family without types), and a norm. */
typedef struct em__embeddings {
    em_array *words, *positions, *types, *norm, *norm_bias;
} em__embeddings;

/* The weights of one post-norm encoder layer, as BERT has it. A family's table has one row a field, in any names. */
typedef struct em__encoder_layer {
    em_array *query, *query_bias, *key, *key_bias, *value, *value_bias; /* [hidden, hidden], [hidden] */
    em_array *out, *out_bias, *attention_norm, *attention_norm_bias;
    em_array *up, *up_bias, *down, *down_bias; /* [intermediate, hidden] and back */
    em_array *mlp_norm, *mlp_norm_bias;
} em__encoder_layer;

/* x [T, hidden] through attention (inside the segments of `offsets`, with `bias` or NULL) and MLP, each followed by
 * residual and norm. */
em_array *em__encode(em_scope *s, const em__config *config, const em__encoder_layer *layer, em_array *x,
                     em_array *offsets, em_array *bias);

/* The forward of a family whose first table begins with em__embeddings and whose second is em__encoder_layer. What its
 * prepare made is the bias on the attention scores. */
em_array *em__encoder_forward(em_scope *s, const em__config *config, const em__weights *weights,
                              const em__tokens *tokens);

/* Rows of `table` at `ids`, as `dtype`. */
em_array *em__lookup(em_scope *s, em_array *table, em_array *ids, em_dtype dtype);

em_array *em__activate(em_scope *s, em__activation activation, em_array *x);

/* x / max(|x|, 1e-12) over the last axis, as torch.nn.functional.normalize. */
em_array *em__unit_length(em_scope *s, em_array *x);

#endif
