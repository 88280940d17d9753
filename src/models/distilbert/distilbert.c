/*
 * DistilBERT (Sanh et al., arXiv 1910.01108) as DistilBertModel has it: BERT without token types, under names of its
 * own in config.json and in checkpoints. Where sinusoidal_pos_embds is true, they hold the table like a learned one.
 */
#include "models/distilbert/distilbert.h"

#include "models/layers.h"

#define SHARED(field) EM__ROW(em__embeddings, field)

static const em__weight_row shared[] = {
    SHARED(words) = {"embeddings.word_embeddings.weight", EM__VOCABULARY, EM__HIDDEN, true},
    SHARED(positions) = {"embeddings.position_embeddings.weight", EM__POSITIONS, EM__HIDDEN, true},
    SHARED(norm) = {"embeddings.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    SHARED(norm_bias) = {"embeddings.LayerNorm.bias", EM__HIDDEN, EM__ONE},
};

#define ROW(field) EM__ROW(em__encoder_layer, field)

static const em__weight_row per_layer[] = {
    ROW(query) = {"attention.q_lin.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(query_bias) = {"attention.q_lin.bias", EM__HIDDEN, EM__ONE},
    ROW(key) = {"attention.k_lin.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(key_bias) = {"attention.k_lin.bias", EM__HIDDEN, EM__ONE},
    ROW(value) = {"attention.v_lin.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(value_bias) = {"attention.v_lin.bias", EM__HIDDEN, EM__ONE},
    ROW(out) = {"attention.out_lin.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(out_bias) = {"attention.out_lin.bias", EM__HIDDEN, EM__ONE},
    ROW(attention_norm) = {"sa_layer_norm.weight", EM__HIDDEN, EM__ONE},
    ROW(attention_norm_bias) = {"sa_layer_norm.bias", EM__HIDDEN, EM__ONE},
    ROW(up) = {"ffn.lin1.weight", EM__INTERMEDIATE, EM__HIDDEN},
    ROW(up_bias) = {"ffn.lin1.bias", EM__INTERMEDIATE, EM__ONE},
    ROW(down) = {"ffn.lin2.weight", EM__HIDDEN, EM__INTERMEDIATE},
    ROW(down_bias) = {"ffn.lin2.bias", EM__HIDDEN, EM__ONE},
    ROW(mlp_norm) = {"output_layer_norm.weight", EM__HIDDEN, EM__ONE},
    ROW(mlp_norm_bias) = {"output_layer_norm.bias", EM__HIDDEN, EM__ONE},
};

static const em__config_names names = {.hidden = "dim",
                                       .layers = "n_layers",
                                       .heads = "n_heads",
                                       .intermediate = "hidden_dim",
                                       .activation = "activation"};

static const char *const architectures[] = {EM__ARCHITECTURES("DistilBert"), NULL};

static const char *const harmless[] = {
    "embeddings.position_ids", "vocab_", "pre_classifier.", "classifier.", "qa_outputs.", NULL};

const em__family em__distilbert = {
    .name = "distilbert",
    .architectures = architectures,
    .names = &names,
    .prefix = "distilbert.",
    .layer = "transformer.layer.",
    .shared = shared,
    .per_layer = per_layer,
    .n_shared = EM__ROWS(em__embeddings),
    .n_per_layer = EM__ROWS(em__encoder_layer),
    .harmless = harmless,
    .forward = em__encoder_forward,
};
