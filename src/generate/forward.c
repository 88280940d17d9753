/* The forwards of a generation: which tokens go where, and what the cache then holds. */
#include <string.h>

#include "core/block.h"
#include "core/error.h"
#include "generate/generation.h"
#include "models/batch.h"

/* Ids, then positions, slots and lengths of each sequence, in one list. */
typedef struct feeding {
    int32_t *ids, *positions, *slots, *lengths;
} feeding;

static em_status lay_out(em_generation *g, size_t batch, size_t tokens, feeding *f)
{
    g->feed.length = 0;
    EM__TRY(em__vec_reserve(&g->feed, batch * (tokens + 3)));
    f->ids = g->feed.data;
    f->positions = f->ids + batch * tokens;
    f->slots = f->positions + batch;
    f->lengths = f->slots + batch;
    return EM_OK;
}

/* Where token `position` lies in the cache, and how many rows it sees when it is the last of `n`. */
static void place(em_generation *g, size_t position, size_t n, int32_t *slot, int32_t *length)
{
    const size_t context = g->options.context, keep = g->options.keep;
    size_t at = position;
    if (position >= context) {
        at = keep + (position - keep) % (context - keep);
        g->rotated = true;
    }
    *slot = (int32_t)at;
    *length = (int32_t)(position + n < context ? position + n : context);
}

static em_status run(em_generation *g, const em__decoder_task *task, em__decoder_feed *feed, int64_t row, float *logits)
{
    em__cache_point(&g->cache, row, feed);
    return em__decoder_run(g->decoder, task, feed, logits);
}

em_status em__generation_reserve_logits(em_generation *g, size_t rows)
{
    const size_t vocabulary = (size_t)g->decoder->config.vocabulary;
    if (rows <= g->logit_rows)
        return EM_OK;
    float *fresh = em__block_alloc(rows * vocabulary * sizeof *fresh);
    if (!fresh)
        return EM_ERROR_OUT_OF_MEMORY;
    if (g->logits)
        memcpy(fresh, g->logits, g->logit_rows * vocabulary * sizeof *fresh);
    em__block_free(g->logits, g->logit_rows * vocabulary * sizeof *fresh);
    g->logits = fresh;
    g->logit_rows = rows;
    return EM_OK;
}

em_status em__generation_reserve_rows(em_generation *g, size_t tokens)
{
    size_t used = 0, rows = tokens < g->options.context ? tokens : g->options.context;
    if ((int64_t)rows <= g->cache.capacity)
        return EM_OK;
    for (size_t i = 0; i < g->n_sequences; i++)
        used = g->sequences[i].cached > used ? g->sequences[i].cached : used;
    used = used < (size_t)g->cache.capacity ? used : (size_t)g->cache.capacity;
    return em__cache_reserve(&g->cache, g->cache.sequences, (int64_t)rows, g->cache.sequences, (int64_t)used);
}

em_status em__generation_feed(em_generation *g, em__sequence *sequence, size_t n)
{
    const size_t begin = sequence->cached, context = g->options.context;
    size_t tokens = em__round_tokens(n); /* tokens behind the last are nobody's, and their rows are written again */
    tokens = begin + tokens <= context ? tokens : n;
    feeding f;
    EM__TRY(em__generation_reserve_rows(g, begin + tokens));
    EM__TRY(lay_out(g, 1, tokens, &f));
    memcpy(f.ids, sequence->tokens.data + begin, n * sizeof *f.ids);
    memset(f.ids + n, 0, (tokens - n) * sizeof *f.ids);
    f.positions[0] = (int32_t)begin;
    place(g, begin, tokens, f.slots, f.lengths);
    const int32_t last = (int32_t)n - 1;
    const em__decoder_task task = {1, (int64_t)tokens, g->cache.capacity, g->cache.dtype, false, false};
    em__decoder_feed feed = {f.ids, f.positions, f.slots, f.lengths, &last, NULL, (int64_t)(begin + n)};
    EM__TRY(run(g, &task, &feed, sequence->row, g->logits + (size_t)sequence->row * g->sampler.vocabulary));
    sequence->cached += n;
    return EM_OK;
}

size_t em__generation_longest(const em_generation *g)
{
    size_t longest = 0;
    for (size_t i = 0; i < g->n_sequences; i++)
        if (g->sequences[i].finish == EM_FINISH_NONE && g->sequences[i].tokens.length > longest)
            longest = g->sequences[i].tokens.length;
    return longest;
}

em_status em__generation_feed_each(em_generation *g)
{
    const size_t longest = em__generation_longest(g);
    feeding f;
    EM__TRY(em__generation_reserve_rows(g, longest));
    EM__TRY(lay_out(g, g->active, 1, &f));
    for (size_t i = 0; i < g->n_sequences; i++) {
        em__sequence *s = &g->sequences[i];
        if (s->finish != EM_FINISH_NONE)
            continue;
        f.ids[s->row] = s->tokens.data[s->cached];
        f.positions[s->row] = (int32_t)s->cached;
        place(g, s->cached, 1, &f.slots[s->row], &f.lengths[s->row]);
    }
    const em__decoder_task task = {(int64_t)g->active, 1, g->cache.capacity, g->cache.dtype, false, false};
    em__decoder_feed feed = {f.ids, f.positions, f.slots, f.lengths, NULL, NULL, (int64_t)longest};
    EM__TRY(run(g, &task, &feed, 0, g->logits));
    for (size_t i = 0; i < g->n_sequences; i++)
        g->sequences[i].cached += g->sequences[i].finish == EM_FINISH_NONE;
    return EM_OK;
}

em_status em__generation_feed_guesses(em_generation *g, const int32_t *guesses, size_t n)
{
    em__sequence *s = &g->sequences[0];
    const size_t begin = s->cached;
    feeding f;
    EM__TRY(em__generation_reserve_logits(g, n + 1));
    EM__TRY(em__generation_reserve_rows(g, begin + n + 1));
    EM__TRY(lay_out(g, 1, n + 1, &f));
    f.ids[0] = s->tokens.data[begin];
    memcpy(f.ids + 1, guesses, n * sizeof *guesses);
    f.positions[0] = (int32_t)begin;
    place(g, begin, n + 1, f.slots, f.lengths);
    const em__decoder_task task = {1, (int64_t)n + 1, g->cache.capacity, g->cache.dtype, true, false};
    em__decoder_feed feed = {f.ids, f.positions, f.slots, f.lengths, NULL, NULL, (int64_t)(begin + n + 1)};
    return run(g, &task, &feed, 0, g->logits);
}
