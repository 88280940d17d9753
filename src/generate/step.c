/* Choosing and reporting tokens, and the step that all of it is. */
#include "core/error.h"
#include "core/log.h"
#include "generate/generation.h"

em_status em__generation_fail_nan(const em_generation *g)
{
    return em__model_fail_nan(g->model, "generation: the logits are");
}

em_status em__generation_choose(em_generation *g, em__sequence *s, const float *logits, int32_t *id)
{
    const em__choice choice = {logits, &g->options, s->tokens.data, s->tokens.length, s->prompt};
    if (em__has_nan(logits, g->sampler.vocabulary))
        return em__generation_fail_nan(g);
    *id = em__sample(&g->sampler, &choice, &s->random);
    return EM_OK;
}

static bool ends(const em_generation *g, int32_t id)
{
    const em__decoder_config *c = &g->decoder->config;
    for (size_t i = 0; i < g->options.n_stop_ids; i++)
        if (g->options.stop_ids[i] == id)
            return true;
    for (int i = 0; i < c->n_eos && !g->options.ignore_eos; i++)
        if (c->eos[i] == id)
            return true;
    return false;
}

static em_finish finish_of(const em_generation *g, const em__sequence *s, int32_t id, bool stopped)
{
    size_t written = s->tokens.length - s->prompt;
    if (stopped || ends(g, id))
        return EM_FINISH_STOP;
    if (g->options.max_tokens > 0 && written >= g->options.max_tokens)
        return EM_FINISH_LENGTH;
    if (g->options.overflow == EM_OVERFLOW_STOP && s->tokens.length > g->options.context)
        return EM_FINISH_CONTEXT;
    return EM_FINISH_NONE;
}

static void report(em_generation *g, em__sequence *s, int32_t id, const float *logits, size_t from)
{
    em_token_score top[EM__MAX_TOP];
    const em_generation_options *o = &g->options;
    if (!o->on_token)
        return;
    em_token token = {.id = id,
                      .text = s->writer.stream ? em__str_text(&s->writer.text) + from : "",
                      .length = s->writer.shown - from,
                      .sequence = (size_t)(s - g->sequences),
                      .index = s->tokens.length - s->prompt - 1,
                      .top = top,
                      .finish = s->finish};
    if (o->logprobs)
        token.logprob = em__logprob(logits, g->sampler.vocabulary, id);
    if (o->top_logprobs > 0)
        token.n_top = em__top_logprobs(&g->sampler, logits, (size_t)o->top_logprobs, top);
    char *text = s->writer.text.data, behind = 0; /* the text goes on behind what is shown: end it there meanwhile */
    if (s->writer.stream && text) {
        behind = text[s->writer.shown];
        text[s->writer.shown] = 0;
    }
    if (!o->on_token(&token, o->user) && s->finish == EM_FINISH_NONE)
        s->finish = EM_FINISH_CANCELLED;
    if (s->writer.stream && text)
        text[s->writer.shown] = behind;
}

em_status em__generation_accept(em_generation *g, em__sequence *s, int32_t id, const float *logits)
{
    size_t from = 0, more;
    bool stopped = false;
    EM__TRY(em__vec_push(&s->tokens, id));
    s->chosen_from = logits;
    g->stats.tokens++;
    EM__TRY(em__text_out_push(&s->writer, &g->stops, id, &from, &stopped));
    s->finish = finish_of(g, s, id, stopped);
    if (s->finish != EM_FINISH_NONE && !stopped)
        EM__TRY(em__text_out_finish(&s->writer, &g->stops, &more));
    report(g, s, id, logits, from);
    return EM_OK;
}

/* Sequences that ended give their row to the last one that goes on. */
static em_status close_ranks(em_generation *g)
{
    for (size_t i = 0; i < g->n_sequences && g->n_sequences > 1; i++) {
        em__sequence *ended = &g->sequences[i], *last = NULL;
        if (ended->finish == EM_FINISH_NONE || ended->row < 0)
            continue;
        for (size_t k = 0; k < g->n_sequences; k++)
            if (g->sequences[k].row == (int64_t)g->active - 1)
                last = &g->sequences[k];
        if (last && last != ended) {
            size_t rows = last->cached < (size_t)g->cache.capacity ? last->cached : (size_t)g->cache.capacity;
            EM__TRY(em__cache_copy(&g->cache, last->row, ended->row, (int64_t)rows));
            last->row = ended->row;
        }
        ended->row = -1;
        ended->cached = 0;
        ended->chosen_from = NULL;
        g->active--;
    }
    return EM_OK;
}

static em_status choose_each(em_generation *g)
{
    for (size_t i = 0; i < g->n_sequences; i++) {
        em__sequence *s = &g->sequences[i];
        if (s->finish != EM_FINISH_NONE || s->row < 0)
            continue;
        const float *logits = g->logits + (size_t)s->row * g->sampler.vocabulary;
        int32_t id;
        EM__TRY(em__generation_choose(g, s, logits, &id));
        EM__TRY(em__generation_accept(g, s, id, logits));
    }
    return EM_OK;
}

static size_t going_on(const em_generation *g)
{
    size_t count = 0;
    for (size_t i = 0; i < g->n_sequences; i++)
        count += g->sequences[i].finish == EM_FINISH_NONE;
    return count;
}

/* A failure in the middle of a step leaves sequences that can't go on. */
static void give_up(em_generation *g)
{
    for (size_t i = 0; i < g->n_sequences; i++)
        if (g->sequences[i].finish == EM_FINISH_NONE)
            g->sequences[i].finish = EM_FINISH_CANCELLED;
}

static em_status step(em_generation *g)
{
    if (atomic_load(&g->cancel))
        return em__fail(EM_ERROR_CANCELLED, "generation: cancelled");
    for (size_t i = 0; i < g->n_sequences; i++)
        g->sequences[i].chosen_from = NULL;
    if (g->fresh) {
        g->fresh = false;
        return choose_each(g);
    }
    EM__TRY(close_ranks(g));
    if (g->options.speculate > 0 && g->n_sequences == 1)
        return em__generation_step_guessing(g);
    if (em__generation_can_run_ahead(g))
        return em__generation_step_ahead(g);
    EM__TRY(em__generation_feed_each(g));
    return choose_each(g);
}

em_status em_generation_step(em_generation *g, bool *going)
{
    if (going)
        *going = false;
    if (!g)
        return em__no_generation();
    EM__FAIL_IF(!going, EM_ERROR_INVALID_ARGUMENT, "generation: going is NULL");
    EM__FAIL_IF(g->n_sequences == 0, EM_ERROR_INVALID_ARGUMENT, "generation: nothing was started");
    if (going_on(g) == 0)
        return EM_OK;
    EM__TRY(em__generation_idle(g));
    g->busy = true;
    uint64_t begin = em__now();
    em_status status = step(g);
    g->stats.token_seconds += (double)(em__now() - begin) / 1e9;
    g->busy = false;
    if (status != EM_OK)
        give_up(g);
    *going = status == EM_OK && going_on(g) > 0;
    return status;
}
