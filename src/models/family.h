/*
 * A family of models: how its config.json is read, what its tensors are called, and its forward. One folder a family,
 * one line in the registry (registry.c): see docs/add-a-model.md.
 */
#ifndef EM_MODELS_FAMILY_H
#define EM_MODELS_FAMILY_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/array.h>

#include "models/config.h"

/* One tensor: its name in the checkpoint (in a layer's row, after "encoder.layer.N.") and its shape. A row without a
 * name is a tensor that the family does not have: its array is NULL. */
typedef struct em__weight_row {
    const char *name;
    em__size rows, columns; /* columns is EM__ONE for a vector */
    bool looked_up;         /* read row by row: stays as stored */
} em__weight_row;

/* The place of a row in its table: loaded arrays are read back as a struct of em_array pointers, field by field. */
#define EM__ROW(type, field) [offsetof(type, field) / sizeof(em_array *)]
#define EM__ROWS(type) (sizeof(type) / sizeof(em_array *))

/* What config.json calls the fields that all encoders have. */
typedef struct em__config_names {
    const char *hidden, *layers, *heads, *intermediate, *activation;
    const char *norm_eps; /* NULL: 1e-12, whatever the file says */
} em__config_names;

extern const em__config_names em__bert_names; /* those of most families */

/* The classes that Transformers has of every encoder; only the first has no head, which is left out. */
#define EM__ARCHITECTURES(name)                                                                                        \
    name "Model", name "ForMaskedLM", name "ForSequenceClassification", name "ForTokenClassification",                 \
        name "ForMultipleChoice", name "ForQuestionAnswering"

/* Packed tokens: sequence i is tokens offsets[i] .. offsets[i + 1] - 1; tokens after the last offset belong to none. */
typedef struct em__tokens {
    em_array *ids, *types, *positions; /* s32 [T] */
    em_array *offsets;                 /* s32 [S + 1] */
} em__tokens;

/* The loaded arrays: in `shared` those of the family's first table, in `layers` those of its second, layer by layer.
 * `derived` is what the family's prepare made of them, or NULL. */
typedef struct em__weights {
    em_array **shared, **layers;
    em_array *derived;
    size_t count; /* of shared and layers together; they are one allocation, owned by `shared` */
} em__weights;

typedef struct em__family {
    const char *name;                 /* model_type */
    const char *const *architectures; /* NULL-terminated; the first is the plain encoder */
    const em__config_names *names;
    const char *prefix; /* "bert.": a checkpoint's tensors carry it, or all do not */
    const char *layer;  /* "encoder.layer." */
    const em__weight_row *shared, *per_layer;
    size_t n_shared, n_per_layer;
    const char *const *harmless; /* beginnings of the names of surplus tensors that are expected; NULL-terminated */

    /* The family's own fields of config.json, after the common ones. NULL: it has none. */
    em_status (*configure)(const em__json *root, em__config *config);

    /* What the forward needs that depends on the weights alone, evaluated, in the scope. NULL: nothing. */
    em_array *(*prepare)(em_scope *s, const em__config *config, const em__weights *weights);

    /* The last hidden state [T, hidden]; em__encoder_forward (layers.h) is that of most. */
    em_array *(*forward)(em_scope *s, const em__config *config, const em__weights *weights, const em__tokens *tokens);
} em__family;

/* The i-th family, NULL past the last. */
const em__family *em__family_at(size_t index);

#endif
