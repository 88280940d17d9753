/*
 * MPNet (Song et al., arXiv 2004.09297) as MPNetModel has it: BERT's layers without token types, learned positions that
 * begin after the padding index, and a bias on the attention scores by the distance of the two tokens, sorted into 32
 * buckets as in T5 and shared by all layers.
 */
#include "models/mpnet/mpnet.h"

#include <emily/ops.h>

#include "core/alloc.h"
#include "core/error.h"
#include "models/layers.h"

typedef struct mpnet {
    em__embeddings embeddings; /* without types */
    em_array *distance;
} mpnet;

static const em__weight_row shared[] = {
    EM__ROW(mpnet, embeddings.words) = {"embeddings.word_embeddings.weight", EM__VOCABULARY, EM__HIDDEN, true},
    EM__ROW(mpnet, embeddings.positions) = {"embeddings.position_embeddings.weight", EM__POSITIONS, EM__HIDDEN, true},
    EM__ROW(mpnet, embeddings.norm) = {"embeddings.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    EM__ROW(mpnet, embeddings.norm_bias) = {"embeddings.LayerNorm.bias", EM__HIDDEN, EM__ONE},
    EM__ROW(mpnet, distance) = {"encoder.relative_attention_bias.weight", EM__BUCKETS, EM__HEADS},
};

#define ROW(field) EM__ROW(em__encoder_layer, field)

static const em__weight_row per_layer[] = {
    ROW(query) = {"attention.attn.q.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(query_bias) = {"attention.attn.q.bias", EM__HIDDEN, EM__ONE},
    ROW(key) = {"attention.attn.k.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(key_bias) = {"attention.attn.k.bias", EM__HIDDEN, EM__ONE},
    ROW(value) = {"attention.attn.v.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(value_bias) = {"attention.attn.v.bias", EM__HIDDEN, EM__ONE},
    ROW(out) = {"attention.attn.o.weight", EM__HIDDEN, EM__HIDDEN},
    ROW(out_bias) = {"attention.attn.o.bias", EM__HIDDEN, EM__ONE},
    ROW(attention_norm) = {"attention.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    ROW(attention_norm_bias) = {"attention.LayerNorm.bias", EM__HIDDEN, EM__ONE},
    ROW(up) = {"intermediate.dense.weight", EM__INTERMEDIATE, EM__HIDDEN},
    ROW(up_bias) = {"intermediate.dense.bias", EM__INTERMEDIATE, EM__ONE},
    ROW(down) = {"output.dense.weight", EM__HIDDEN, EM__INTERMEDIATE},
    ROW(down_bias) = {"output.dense.bias", EM__HIDDEN, EM__ONE},
    ROW(mlp_norm) = {"output.LayerNorm.weight", EM__HIDDEN, EM__ONE},
    ROW(mlp_norm_bias) = {"output.LayerNorm.bias", EM__HIDDEN, EM__ONE},
};

/* Transformers computes with 32 buckets whatever config.json says; the table may have more rows. */
enum { BUCKETS = 32, HALF = BUCKETS / 2, EXACT = HALF / 2, PADDING = 1 };

/* The first distance of each logarithmic bucket: 8 * 2^(i / 2) up to 128, rounded as the reference's floats do. */
static const int64_t logarithmic[HALF - EXACT] = {8, 12, 16, 23, 32, 46, 64, 91};

/* Half of the buckets for keys up to the query, half for keys after it. In each half one bucket a distance below EXACT,
 * then the logarithmic ones. */
static int32_t bucket(int64_t key_minus_query)
{
    int32_t side = key_minus_query > 0 ? HALF : 0, i = 0;
    int64_t distance = key_minus_query < 0 ? -key_minus_query : key_minus_query;
    if (distance < EXACT)
        return side + (int32_t)distance;
    while (i + 1 < HALF - EXACT && distance >= logarithmic[i + 1])
        i++;
    return side + EXACT + i;
}

/* The bias by distance, f32 [heads, 2 L - 1], for sequences of up to L tokens: at key - query + L - 1. */
static em_array *prepare(em_scope *s, const em__config *config, const em__weights *weights)
{
    int64_t longest = config->sizes[EM__POSITIONS], count = 2 * longest - 1;
    int32_t *buckets = em__alloc((size_t)count * sizeof *buckets);
    if (!buckets)
        return NULL;
    for (int64_t i = 0; i < count; i++)
        buckets[i] = bucket(i - (longest - 1));
    em_array *index = em_constant(s, EM_S32, buckets, em_shape(count));
    em__free(buckets);
    em_array *by_head = em_transpose(s, ((const mpnet *)weights->shared)->distance, EM_ALL_AXES);
    return em_cast(s, em_take(s, by_head, index, 1), EM_F32);
}

static em_status configure(const em__json *root, em__config *config)
{
    config->sizes[EM__BUCKETS] = BUCKETS;
    EM__TRY(em__json_opt_int(root, "relative_attention_num_buckets", BUCKETS, 65536, &config->sizes[EM__BUCKETS]));
    return em__config_pad_positions(root, PADDING, config);
}

static const char *const architectures[] = {EM__ARCHITECTURES("MPNet"), NULL};

static const char *const harmless[] = {
    "embeddings.position_ids", "pooler.", "lm_head.", "classifier.", "qa_outputs.", NULL};

const em__family em__mpnet = {
    .name = "mpnet",
    .architectures = architectures,
    .names = &em__bert_names,
    .prefix = "mpnet.",
    .layer = "encoder.layer.",
    .shared = shared,
    .per_layer = per_layer,
    .n_shared = EM__ROWS(mpnet),
    .n_per_layer = EM__ROWS(em__encoder_layer),
    .harmless = harmless,
    .configure = configure,
    .prepare = prepare,
    .forward = em__encoder_forward,
};
