/*
 * Greedy answers on a device that runs ahead: it chooses some tokens one after another, and the steps of the generation
 * then take them one by one. What lies ahead is dropped when the sequences change; its rows of the cache are written
 * again.
 */
#include "core/error.h"
#include "generate/generation.h"

bool em__generation_can_run_ahead(const em_generation *g)
{
    const em_generation_options *o = &g->options;
    bool plain = o->temperature <= 0 && o->n_logit_bias == 0 && o->presence_penalty == 0 && o->frequency_penalty == 0 &&
                 (o->repetition_penalty == 0 || o->repetition_penalty == 1);
    return plain && !o->logits && !o->logprobs && o->top_logprobs == 0 && o->speculate == 0 &&
           o->overflow == EM_OVERFLOW_STOP && em__decoder_runs_ahead(g->decoder);
}

/* How many steps every sequence has room for, and some sequence a use. The periods of dynamic rope change with each
 * token: then one. */
static size_t steps_of(const em_generation *g)
{
    size_t room = g->decoder->config.rope.kind == EM__ROPE_DYNAMIC ? 1 : EM__AHEAD, use = 0;
    for (size_t i = 0; i < g->n_sequences; i++) {
        const em__sequence *s = &g->sequences[i];
        const size_t written = s->tokens.length - s->prompt, most = g->options.max_tokens;
        if (s->finish != EM_FINISH_NONE)
            continue;
        const size_t left = g->options.context - s->cached, wanted = most ? most - written : EM__AHEAD;
        room = left < room ? left : room;
        use = wanted > use ? wanted : use;
    }
    return use < room ? use : room;
}

/* Fills the lists of the feed: where each token of each step goes. */
static void lay_out(em_generation *g, size_t steps, int32_t *lists, em__decoder_ahead *feed)
{
    const size_t batch = g->active, each = steps * batch;
    int32_t *ids = lists, *positions = ids + batch, *slots = positions + each, *lengths = slots + each;
    for (size_t i = 0; i < g->n_sequences; i++) {
        const em__sequence *s = &g->sequences[i];
        if (s->finish != EM_FINISH_NONE)
            continue;
        ids[s->row] = s->tokens.data[s->cached];
        for (size_t k = 0; k < steps; k++) {
            const size_t at = k * batch + (size_t)s->row;
            positions[at] = slots[at] = (int32_t)(s->cached + k);
            lengths[at] = (int32_t)(s->cached + k + 1);
        }
    }
    feed->ids = ids;
    feed->positions = positions;
    feed->slots = slots;
    feed->lengths = lengths;
}

static em_status fill(em_generation *g)
{
    const size_t batch = g->active, steps = steps_of(g), longest = em__generation_longest(g) + steps - 1;
    em__decoder_ahead feed = {.length = (int64_t)longest};
    em__decoder_feed caches = {0};
    EM__TRY(em__generation_reserve_rows(g, longest));
    g->feed.length = 0;
    EM__TRY(em__vec_reserve(&g->feed, batch * (3 * steps + 1)));
    g->ahead.ids.length = 0;
    EM__TRY(em__vec_reserve(&g->ahead.ids, batch * steps));
    lay_out(g, steps, g->feed.data, &feed);
    em__cache_point(&g->cache, 0, &caches);
    feed.caches = caches.caches;
    const em__decoder_task task = {(int64_t)batch, 1, g->cache.capacity, g->cache.dtype, false, true};
    EM__TRY(em__decoder_run_ahead(g->decoder, &task, &feed, steps, g->ahead.ids.data));
    g->ahead.steps = steps;
    g->ahead.at = 0;
    return EM_OK;
}

em_status em__generation_step_ahead(em_generation *g)
{
    if (g->ahead.at == g->ahead.steps)
        EM__TRY(fill(g));
    const int32_t *ids = g->ahead.ids.data + g->ahead.at++ * g->active;
    bool ended = false;
    for (size_t i = 0; i < g->n_sequences; i++) {
        em__sequence *s = &g->sequences[i];
        if (s->finish != EM_FINISH_NONE || s->row < 0)
            continue;
        if (ids[s->row] == EM__NO_TOKEN)
            return em__generation_fail_nan(g);
        s->cached++;
        EM__TRY(em__generation_accept(g, s, ids[s->row], NULL));
        ended = ended || s->finish != EM_FINISH_NONE;
    }
    if (ended)
        em__generation_drop_ahead(g);
    return EM_OK;
}

void em__generation_drop_ahead(em_generation *g)
{
    g->ahead.steps = g->ahead.at = 0;
}
