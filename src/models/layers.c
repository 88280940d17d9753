/* The post-norm encoder layer (Vaswani et al., arXiv 1706.03762; Devlin et al., arXiv 1810.04805) and small parts. */
#include "models/layers.h"

em_array *em__lookup(em_scope *s, em_array *table, em_array *ids, em_dtype dtype)
{
    em_array *rows = em_take(s, table, ids, 0);
    return rows && em_array_dtype(rows) != dtype ? em_cast(s, rows, dtype) : rows;
}

em_array *em__activate(em_scope *s, em__activation activation, em_array *x)
{
    switch (activation) {
    case EM__GELU: return em_gelu(s, x);
    case EM__GELU_TANH: return em_gelu_tanh(s, x);
    case EM__RELU: return em_relu(s, x);
    case EM__SILU: return em_silu(s, x);
    case EM__TANH: return em_tanh(s, x);
    case EM__SIGMOID: return em_sigmoid(s, x);
    case EM__IDENTITY: break;
    }
    return x;
}

em_array *em__unit_length(em_scope *s, em_array *x)
{
    em_array *norm = em_sqrt(s, em_sum(s, em_square(s, x), EM_AXES(-1), true));
    return em_div(s, x, em_maximum(s, norm, em_scalar(s, EM_F32, 1e-12)));
}

/* [T, H * D] to [T, H, D]. */
static em_array *split_heads(em_scope *s, em_array *x, int64_t heads)
{
    em_dims dims = em_array_dims(x);
    return em_reshape(s, x, em_shape(dims.dims[0], heads, dims.dims[1] / heads));
}

static em_array *attention(em_scope *s, const em__config *c, const em__encoder_layer *l, em_array *x, em_array *offsets,
                           em_array *bias)
{
    int64_t heads = c->sizes[EM__HEADS], hidden = c->sizes[EM__HIDDEN];
    em_array *q = split_heads(s, em_linear(s, x, l->query, l->query_bias), heads);
    em_array *k = split_heads(s, em_linear(s, x, l->key, l->key_bias), heads);
    em_array *v = split_heads(s, em_linear(s, x, l->value, l->value_bias), heads);
    em_array *mixed = em_sdpa_segments(s, q, k, v, offsets, bias, 0);
    return em_linear(s, em_reshape(s, mixed, em_shape(-1, hidden)), l->out, l->out_bias);
}

static em_array *mlp(em_scope *s, const em__config *c, const em__encoder_layer *l, em_array *x)
{
    em_array *h = em__activate(s, c->activation, em_linear(s, x, l->up, l->up_bias));
    return em_linear(s, h, l->down, l->down_bias);
}

em_array *em__encode(em_scope *s, const em__config *c, const em__encoder_layer *l, em_array *x, em_array *offsets,
                     em_array *bias)
{
    x = em_add(s, attention(s, c, l, x, offsets, bias), x);
    x = em_layer_norm(s, x, l->attention_norm, l->attention_norm_bias, c->layer_norm_eps);
    x = em_add(s, mlp(s, c, l, x), x);
    return em_layer_norm(s, x, l->mlp_norm, l->mlp_norm_bias, c->layer_norm_eps);
}

static em_array *embed(em_scope *s, const em__config *c, const em__embeddings *e, const em__tokens *tokens)
{
    em_dtype dtype = em_array_dtype(e->norm);
    em_array *x = em__lookup(s, e->words, tokens->ids, dtype);
    if (e->types)
        x = em_add(s, x, em__lookup(s, e->types, tokens->types, dtype));
    x = em_add(s, x, em__lookup(s, e->positions, tokens->positions, dtype));
    return em_layer_norm(s, x, e->norm, e->norm_bias, c->layer_norm_eps);
}

em_array *em__encoder_forward(em_scope *s, const em__config *config, const em__weights *weights,
                              const em__tokens *tokens)
{
    const em__encoder_layer *layers = (const em__encoder_layer *)weights->layers;
    em_array *x = embed(s, config, (const em__embeddings *)weights->shared, tokens);
    for (int64_t i = 0; i < config->layers; i++)
        x = em__encode(s, config, &layers[i], x, tokens->offsets, weights->derived);
    return x;
}
