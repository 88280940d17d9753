/* From tokens to what was asked for: forward, pooling, dense stages, unit length; one graph. */
#include "models/layers.h"
#include "models/model.h"

int64_t em__task_whole_width(const em_model *model, const em__task *task)
{
    int64_t hidden = model->config.sizes[EM__HIDDEN], width = hidden;
    if (task->pooling == EM__NO_POOLING)
        return hidden;
    if (task->pooling == 0)
        return model->width;
    for (size_t i = 0; i < model->modules.n_stages; i++)
        if (model->modules.stages[i].dir)
            width = model->modules.stages[i].out;
    return width;
}

/* As in Python, more than there are is all. */
int64_t em__task_width(const em_model *model, const em__task *task)
{
    const int64_t whole = em__task_whole_width(model, task);
    const int64_t kept = task->dimensions ? (int64_t)task->dimensions : model->modules.truncate_dim;
    return task->pooling != EM__NO_POOLING && kept > 0 && kept < whole ? kept : whole;
}

/* Rows 1, 3, 5, ... of x: what lies behind the cuts. */
static em_array *behind_cuts(em_scope *s, em_array *x)
{
    em_dims dims = em_array_dims(x);
    const int64_t start[] = {1, 0}, stride[] = {2, 1};
    return em_slice(s, x, start, dims.dims, stride);
}

static em_array *pool_behind_cuts(em_scope *s, em_array *x, em_array *cuts, em_pool pool)
{
    return behind_cuts(s, em_segment_pool(s, x, cuts, pool));
}

/* sum(w x) / sum(w) behind the cuts, where the weights count from the beginning of the whole sequence. */
static em_array *weighted_behind_cuts(em_scope *s, const em__config *config, em_array *x, const em__tokens *tokens,
                                      em_array *cuts)
{
    em_array *position = em_cast(s, tokens->positions, EM_F32);
    em_array *weight = em_add(s, position, em_scalar(s, EM_F32, 1 - config->first_position));
    weight = em_expand_dims(s, weight, -1);
    em_array *sum = pool_behind_cuts(s, em_mul(s, x, weight), cuts, EM_POOL_MEAN);
    em_array *weights = pool_behind_cuts(s, weight, cuts, EM_POOL_MEAN);
    return em_div(s, sum, em_maximum(s, weights, em_scalar(s, EM_F32, 1e-9)));
}

static em_array *pool(em_scope *s, const em_model *model, const em__task *task, em_array *x, const em__tokens *tokens,
                      em_array *cuts, em_pool how)
{
    if (!task->skip_prompt)
        return em_segment_pool(s, x, tokens->offsets, how);
    if (how == EM_POOL_WEIGHTED)
        return weighted_behind_cuts(s, &model->config, x, tokens, cuts);
    return pool_behind_cuts(s, x, cuts, how);
}

static em_array *pool_all(em_scope *s, const em_model *model, const em__task *task, em_array *x,
                          const em__tokens *tokens, em_array *cuts)
{
    em_array *pooled[EM__POOL_COUNT];
    const em__modules *m = &model->modules;
    if (task->pooling > 0)
        return pool(s, model, task, x, tokens, cuts, (em_pool)(task->pooling - 1));
    for (int i = 0; i < m->n_pools; i++)
        pooled[i] = pool(s, model, task, x, tokens, cuts, m->pools[i]);
    return m->n_pools == 1 ? pooled[0] : em_concatenate(s, pooled, (size_t)m->n_pools, -1);
}

/* The first `width` elements of each row. */
static em_array *cut(em_scope *s, em_array *x, int64_t width)
{
    const em_dims dims = em_array_dims(x);
    const int64_t start[] = {0, 0}, stop[] = {dims.dims[0], width}, stride[] = {1, 1};
    return em_slice(s, x, start, stop, stride);
}

/* The checkpoint's stages, and behind them the cut. `normalize` adds a last unit length, which is of what is left, or
 * takes away the checkpoint's, which is of the whole. */
static em_array *apply_stages(em_scope *s, const em_model *model, const em__task *task, em_array *x)
{
    const int64_t width = em__task_width(model, task);
    const bool shorter = width < em__task_whole_width(model, task);
    const int normalize = task->normalize;
    const em__modules *m = &model->modules;
    bool unit = m->n_stages > 0 && !m->stages[m->n_stages - 1].dir;
    for (size_t i = 0; i < m->n_stages; i++) {
        const em__stage *stage = &m->stages[i];
        if (stage->dir)
            x = em__activate(s, stage->activation, em_linear(s, x, stage->weight, stage->bias));
        else if (normalize >= 0 || i + 1 < m->n_stages)
            x = em__unit_length(s, x);
    }
    if (shorter && x)
        x = cut(s, x, width);
    return normalize > 0 && (!unit || shorter) ? em__unit_length(s, x) : x;
}

em_array *em__task_build(em_scope *s, const em_model *model, const em__task *task, const em__tokens *tokens,
                         em_array *cuts)
{
    em_array *x = model->family->forward(s, &model->config, &model->weights, tokens);
    if (x && em_array_dtype(x) != EM_F32)
        x = em_cast(s, x, EM_F32);
    if (task->pooling == EM__NO_POOLING)
        return x;
    return apply_stages(s, model, task, pool_all(s, model, task, x, tokens, cuts));
}
