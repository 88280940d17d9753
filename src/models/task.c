/* From tokens to what was asked for: forward, pooling, dense stages, unit length; one graph. */
#include "models/decoder/decoder.h"
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

/* Rows first, first + 2, first + 4, ... of x: the prompts are 0, what lies behind the cuts is 1. */
static em_array *every_second(em_scope *s, em_array *x, int64_t first)
{
    em_dims dims = em_array_dims(x);
    const int64_t start[] = {first, 0}, stride[] = {2, 1};
    return em_slice(s, x, start, dims.dims, stride);
}

static em_array *pool_behind_cuts(em_scope *s, em_array *x, em_array *cuts, em_pool pool)
{
    return every_second(s, em_segment_pool(s, x, cuts, pool), 1);
}

/* How many tokens lie between each cut and the next: f32 [2 S, 1]. */
static em_array *lengths_between(em_scope *s, em_array *cuts)
{
    const int64_t count = em_array_dims(cuts).dims[0] - 1, start[] = {0, 1}, stop[] = {count, count + 1},
                  stride[] = {1};
    em_array *begin = em_slice(s, cuts, start, stop, stride), *end = em_slice(s, cuts, start + 1, stop + 1, stride);
    return em_cast(s, em_expand_dims(s, em_sub(s, end, begin), -1), EM_F32);
}

/* sum(w x) / sum(w) behind the cuts, where the weights 1, 2, 3, ... count from the beginning of the whole sequence.
 * With a prompt of p tokens and n behind it, each is p more than one that counts from the cut; those have the sum
 * n (n + 1) / 2. */
static em_array *weighted_behind_cuts(em_scope *s, em_array *x, em_array *cuts)
{
    em_array *lengths = lengths_between(s, cuts), *prompt = every_second(s, lengths, 0);
    em_array *half = em_add(s, every_second(s, lengths, 1), em_scalar(s, EM_F32, 1));
    half = em_mul(s, half, em_scalar(s, EM_F32, 0.5));
    em_array *counted = em_mul(s, pool_behind_cuts(s, x, cuts, EM_POOL_WEIGHTED), half);
    em_array *even = em_mul(s, pool_behind_cuts(s, x, cuts, EM_POOL_MEAN), prompt);
    return em_div(s, em_add(s, counted, even), em_add(s, half, prompt));
}

static em_array *pool(em_scope *s, const em__task *task, em_array *x, const em__tokens *tokens, em_array *cuts,
                      em_pool how)
{
    if (!task->skip_prompt)
        return em_segment_pool(s, x, tokens->offsets, how);
    return how == EM_POOL_WEIGHTED ? weighted_behind_cuts(s, x, cuts) : pool_behind_cuts(s, x, cuts, how);
}

static em_array *pool_all(em_scope *s, const em_model *model, const em__task *task, em_array *x,
                          const em__tokens *tokens, em_array *cuts)
{
    em_array *pooled[EM__POOL_COUNT];
    const em__modules *m = &model->modules;
    if (task->pooling > 0)
        return pool(s, task, x, tokens, cuts, (em_pool)(task->pooling - 1));
    for (int i = 0; i < m->n_pools; i++)
        pooled[i] = pool(s, task, x, tokens, cuts, m->pools[i]);
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
    em_array *x = model->decoder ? em__decoder_hidden(s, model->decoder, tokens)
                                 : model->family->forward(s, &model->config, &model->weights, tokens);
    if (x && em_array_dtype(x) != EM_F32)
        x = em_cast(s, x, EM_F32);
    if (task->pooling == EM__NO_POOLING)
        return x;
    return apply_stages(s, model, task, pool_all(s, model, task, x, tokens, cuts));
}
