/*
 * What config.json says about an encoder, typed and within bounds: after em__config_read no field can divide by zero,
 * and a product of any two of them fits 64 bits. config.json is untrusted.
 */
#ifndef EM_MODELS_CONFIG_H
#define EM_MODELS_CONFIG_H

#include <stdint.h>

#include <emily/status.h>

#include "io/json.h"

struct em__family;

/* The sizes that tensors' dimensions are made of; weight tables refer to them by this enum. */
typedef enum em__size {
    EM__ONE, /* no such dimension: a vector's second one */
    EM__HIDDEN,
    EM__INTERMEDIATE,
    EM__VOCABULARY,
    EM__POSITIONS,
    EM__TYPES,
    EM__HEADS,
    EM__BUCKETS,
    EM__SIZE_COUNT
} em__size;

typedef enum em__activation {
    EM__IDENTITY,
    EM__GELU,
    EM__GELU_TANH,
    EM__RELU,
    EM__SILU,
    EM__TANH,
    EM__SIGMOID
} em__activation;

typedef struct em__config {
    char *architecture; /* "BertModel" */
    int64_t sizes[EM__SIZE_COUNT];
    int64_t layers;
    double layer_norm_eps;
    int32_t first_position; /* position ids count from here */
    int32_t padding;        /* tokens with this id get that position and do not count; -1: there are none */
    em__activation activation;
} em__config; /* zero-initialised: empty */

/* Reads config.json at `path`. On success *family is the row of the registry that runs it. On failure *config is
 * empty; the message names the file, the field, and what is supported. */
em_status em__config_read(const char *path, em__config *config, const struct em__family **family);
void em__config_free(em__config *config);

/* For what a family can't do: fails with EM_ERROR_UNSUPPORTED when the member is there and true, or is there and not
 * `only`. */
em_status em__config_not_true(const em__json *root, const char *key);
em_status em__config_only(const em__json *root, const char *key, const char *only);

/* The activation that config.json calls `name` in its member `key`; EM_ERROR_UNSUPPORTED for others. */
em_status em__config_activation(const em__json *root, const char *key, const char *name, em__activation *activation);

/* For a family whose positions begin behind the padding token's: fails when none is left. */
em_status em__config_pad_positions(const em__json *root, int64_t padding, em__config *config);

#endif
