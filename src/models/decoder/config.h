/*
 * What config.json says about a decoder: one shape of transformer (pre-norm, rotary, grouped queries, gated MLP) with
 * parts that families have or lack. config.json is untrusted; after em__decoder_config_read nothing divides by zero
 * and products of two sizes fit 64 bits.
 */
#ifndef EM_MODELS_DECODER_CONFIG_H
#define EM_MODELS_DECODER_CONFIG_H

#include <emily/quantize.h>

#include "models/config.h"
#include "models/decoder/rope.h"

enum { EM__MAX_EOS = 16, EM__DECODER_MAX_LAYERS = 512 };

/* A family: a row of a table (families.c). */
typedef struct em__decoder_family {
    const char *name;         /* model_type */
    const char *architecture; /* the one with a language model's head */
    bool qk_norm;             /* queries and keys are normalised by head */
    bool qkv_bias;            /* always; other families say attention_bias */
    bool some_without_rope;   /* no_rope_layers, no_rope_layer_interval */
    bool always_window;       /* sliding_window counts without use_sliding_window */
    bool tied;                /* when config.json does not say */
    double theta;             /* when config.json does not say */
} em__decoder_family;

/* The family called `name`, or NULL. */
const em__decoder_family *em__decoder_family_find(const char *name);
const em__decoder_family *em__decoder_family_at(size_t index); /* NULL past the last */

typedef struct em__decoder_layer_config {
    bool rope;
    int64_t window; /* 0: sees all keys before it */
} em__decoder_layer_config;

/* Of one weight: how it is quantized, if the checkpoint has scales for it. */
typedef struct em__quant_override {
    char *name; /* "model.layers.0.mlp.up_proj" */
    em_quantization how;
} em__quant_override;

typedef struct em__decoder_config {
    const em__decoder_family *family;
    char *architecture;
    int64_t hidden, intermediate, heads, kv_heads, head_dim, layers, vocabulary, positions;
    double norm_eps;
    em__activation activation;
    em__rope rope;
    bool tied, qkv_bias, output_bias, mlp_bias;
    bool headless;                  /* an architecture without a language model's head */
    bool both_ways;                 /* is_causal is false: for vectors, tokens see those behind them as well */
    em__decoder_layer_config *each; /* [layers] */
    int32_t eos[EM__MAX_EOS];
    int n_eos;
    int32_t bos; /* -1: none */
    struct {
        double temperature, top_k, top_p, min_p, repetition_penalty;
    } recommended;  /* by generation_config.json; temperature 0: greedy */
    bool quantized; /* there is a member "quantization" */
    em_quantization how;
    em__quant_override *overrides;
    size_t n_overrides;
} em__decoder_config; /* zero-initialised: empty */

/* Whether config.json at `path` names a decoder. An error when it can't be read or names nothing. */
em_status em__decoder_config_is(const char *path, bool *is);

/* Reads config.json in `dir`, and generation_config.json beside it where there is one. On failure *config is empty. */
em_status em__decoder_config_read(const char *dir, em__decoder_config *config);
void em__decoder_config_free(em__decoder_config *config);

/* How the weight `name` is quantized, if it is. */
const em_quantization *em__decoder_quantization(const em__decoder_config *config, const char *name);

/* The member "quantization" (config_quant.c). */
em_status em__decoder_quantization_read(const em__json *root, em__decoder_config *config);

#endif
