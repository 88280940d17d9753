/*
 * BERT (Devlin et al., arXiv 1810.04805) as BertModel has it: learned positions and token types, post-norm layers.
 * MiniLM, e5 and bge are this model too. RoBERTa (Liu et al., arXiv 1907.11692), XLM-RoBERTa (Conneau et al., arXiv
 * 1911.02116) and CamemBERT (Martin et al., arXiv 1911.03894) are it with positions that begin behind the padding
 * token's, and in their checkpoints all three call themselves "roberta.".
 */
#include "models/bert/bert.h"

#include "core/error.h"
#include "models/layers.h"

#define SHARED(field) EM__ROW(em__embeddings, field)

static const em__weight_row shared[] = {
    SHARED(words) = {"embeddings.word_embeddings.weight", EM__VOCABULARY, EM__HIDDEN, true},
    SHARED(positions) = {"embeddings.position_embeddings.weight", EM__POSITIONS, EM__HIDDEN, true},
    SHARED(types) = {"embeddings.token_type_embeddings.weight", EM__TYPES, EM__HIDDEN, true},
    SHARED(norm) = {"embeddings.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    SHARED(norm_bias) = {"embeddings.LayerNorm.bias", EM__HIDDEN, EM__ONE},
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

static em_status configure_bert(const em__json *root, em__config *config)
{
    config->sizes[EM__TYPES] = 2;
    EM__TRY(em__json_opt_int(root, "type_vocab_size", 1, 65536, &config->sizes[EM__TYPES]));
    EM__TRY(em__config_not_true(root, "is_decoder"));
    EM__TRY(em__config_not_true(root, "add_cross_attention"));
    return em__config_only(root, "position_embedding_type", "absolute");
}

static em_status configure_roberta(const em__json *root, em__config *config)
{
    int64_t padding = 1;
    EM__TRY(configure_bert(root, config));
    EM__TRY(em__json_opt_int(root, "pad_token_id", 0, config->sizes[EM__VOCABULARY] - 1, &padding));
    return em__config_pad_positions(root, padding, config);
}

static const char *const bert[] = {EM__ARCHITECTURES("Bert"), "BertForPreTraining", "BertForNextSentencePrediction",
                                   NULL};
static const char *const roberta[] = {EM__ARCHITECTURES("Roberta"), NULL};
static const char *const xlm_roberta[] = {EM__ARCHITECTURES("XLMRoberta"), NULL};
static const char *const camembert[] = {EM__ARCHITECTURES("Camembert"), NULL};

static const char *const harmless[] = {"embeddings.position_ids",
                                       "embeddings.token_type_ids",
                                       "pooler.",
                                       "cls.",
                                       "lm_head.",
                                       "classifier.",
                                       "qa_outputs.",
                                       NULL};

#define TABLES                                                                                                         \
    .names = &em__bert_names, .layer = "encoder.layer.", .shared = shared, .per_layer = per_layer,                     \
    .n_shared = EM__ROWS(em__embeddings), .n_per_layer = EM__ROWS(em__encoder_layer), .harmless = harmless,            \
    .forward = em__encoder_forward

const em__family em__bert = {
    .name = "bert",
    .architectures = bert,
    .prefix = "bert.",
    .configure = configure_bert,
    TABLES,
};

const em__family em__roberta = {
    .name = "roberta",
    .architectures = roberta,
    .prefix = "roberta.",
    .configure = configure_roberta,
    TABLES,
};

const em__family em__xlm_roberta = {
    .name = "xlm-roberta",
    .architectures = xlm_roberta,
    .prefix = "roberta.",
    .configure = configure_roberta,
    TABLES,
};

const em__family em__camembert = {
    .name = "camembert",
    .architectures = camembert,
    .prefix = "roberta.",
    .configure = configure_roberta,
    TABLES,
};
