/*
 * BERT (Devlin et al., arXiv 1810.04805) as BertModel has it: learned positions and token types, post-norm layers.
 * MiniLM, e5 and bge are this model too.
 */
#include "models/bert/bert.h"

#include <emily/ops.h>

#include "core/error.h"
#include "models/layers.h"

typedef struct bert {
    em_array *words, *positions, *types, *norm, *norm_bias;
} bert;

static const em__weight_row shared[] = {
    EM__ROW(bert, words) = {"embeddings.word_embeddings.weight", EM__VOCABULARY, EM__HIDDEN, true},
    EM__ROW(bert, positions) = {"embeddings.position_embeddings.weight", EM__POSITIONS, EM__HIDDEN, true},
    EM__ROW(bert, types) = {"embeddings.token_type_embeddings.weight", EM__TYPES, EM__HIDDEN, true},
    EM__ROW(bert, norm) = {"embeddings.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    EM__ROW(bert, norm_bias) = {"embeddings.LayerNorm.bias", EM__HIDDEN, EM__ONE},
};

#define ROW(field) EM__ROW(em__encoder_layer, field)

static const em__weight_row per_layer[] = {
    ROW(query) = {"attention.self.query.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(query_bias) = {"attention.self.query.bias", EM__HIDDEN, EM__ONE},
    ROW(key) = {"attention.self.key.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(key_bias) = {"attention.self.key.bias", EM__HIDDEN, EM__ONE},
    ROW(value) = {"attention.self.value.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(value_bias) = {"attention.self.value.bias", EM__HIDDEN, EM__ONE},
    ROW(out) = {"attention.output.dense.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(out_bias) = {"attention.output.dense.bias", EM__HIDDEN, EM__ONE},
    ROW(attention_norm) = {"attention.output.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    ROW(attention_norm_bias) = {"attention.output.LayerNorm.bias", EM__HIDDEN, EM__ONE},
    ROW(up) = {"intermediate.dense.weight", EM__INTERMEDIATE, EM__HIDDEN},
    ROW(up_bias) = {"intermediate.dense.bias", EM__INTERMEDIATE, EM__ONE},
    ROW(down) = {"output.dense.weight", EM__HIDDEN, EM__INTERMEDIATE},
    ROW(down_bias) = {"output.dense.bias", EM__HIDDEN, EM__ONE},
    ROW(mlp_norm) = {"output.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    ROW(mlp_norm_bias) = {"output.LayerNorm.bias", EM__HIDDEN, EM__ONE},
};

static em_array *embed(em_scope *s, const em__config *config, const bert *w, const em__tokens *tokens)
{
    em_dtype dtype = em_array_dtype(w->norm);
    em_array *words = em__lookup(s, w->words, tokens->ids, dtype);
    em_array *types = em__lookup(s, w->types, tokens->types, dtype);
    em_array *positions = em__lookup(s, w->positions, tokens->positions, dtype);
    em_array *x = em_add(s, em_add(s, words, types), positions);
    return em_layer_norm(s, x, w->norm, w->norm_bias, config->layer_norm_eps);
}

static em_array *forward(em_scope *s, const em__config *config, const em__weights *weights, const em__tokens *tokens)
{
    const em__encoder_layer *layers = (const em__encoder_layer *)weights->layers;
    em_array *x = embed(s, config, (const bert *)weights->shared, tokens);
    for (int64_t i = 0; i < config->layers; i++)
        x = em__encode(s, config, &layers[i], x, tokens->offsets, NULL);
    return x;
}

static em_status configure(const em__json *root, em__config *config)
{
    config->sizes[EM__TYPES] = 2;
    EM__TRY(em__json_opt_int(root, "type_vocab_size", 1, 65536, &config->sizes[EM__TYPES]));
    EM__TRY(em__config_not_true(root, "is_decoder"));
    EM__TRY(em__config_not_true(root, "add_cross_attention"));
    return em__config_only(root, "position_embedding_type", "absolute");
}

static const char *const architectures[] = {"BertModel",
                                            "BertForMaskedLM",
                                            "BertForPreTraining",
                                            "BertForSequenceClassification",
                                            "BertForTokenClassification",
                                            "BertForNextSentencePrediction",
                                            "BertForQuestionAnswering",
                                            NULL};

static const char *const harmless[] = {
    "embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "cls.", "classifier.", "qa_outputs.", NULL};

const em__family em__bert = {
    .name = "bert",
    .architectures = architectures,
    .prefix = "bert.",
    .layer = "encoder.layer.",
    .shared = shared,
    .per_layer = per_layer,
    .n_shared = EM__ROWS(bert),
    .n_per_layer = EM__ROWS(em__encoder_layer),
    .harmless = harmless,
    .first_position = 0,
    .padding = -1,
    .configure = configure,
    .forward = forward,
};
