/*
 * Prompts: checked, given rows of the cache, and read in chunks. What the cache holds already is not read again. Of a
 * prompt longer than a context that rotates only what would be remembered at its end is read, so that no token goes
 * alone.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"
#include "generate/generation.h"

enum { MOST_SEQUENCES = 4096 };

/* What em_generation_ids gave is overwritten by a start. */
static bool is_own(const em_generation *g, const int32_t *ids)
{
    for (size_t i = 0; i < g->room; i++) {
        const em__sequence *s = &g->sequences[i];
        if (s->tokens.data && ids >= s->tokens.data && ids < s->tokens.data + s->tokens.capacity)
            return true;
    }
    return false;
}

static em_status check_prompts(const em_generation *g, const em_prompt *prompts, size_t n)
{
    const int64_t vocabulary = g->decoder->config.vocabulary;
    EM__FAIL_IF(n == 0 || !prompts, EM_ERROR_INVALID_ARGUMENT, "generation: there is no prompt");
    EM__FAIL_IF(n > MOST_SEQUENCES / g->options.sequences, EM_ERROR_INVALID_ARGUMENT,
                "generation: %zu prompts for %zu answers each are more than %d sequences", n, g->options.sequences,
                MOST_SEQUENCES);
    EM__FAIL_IF(g->options.speculate > 0 && n > 1, EM_ERROR_INVALID_ARGUMENT,
                "generation: speculate needs a single prompt");
    for (size_t i = 0; i < n; i++) {
        EM__FAIL_IF(!prompts[i].ids || prompts[i].length == 0, EM_ERROR_INVALID_ARGUMENT,
                    "generation: prompt %zu is empty", i);
        EM__FAIL_IF(is_own(g, prompts[i].ids), EM_ERROR_INVALID_ARGUMENT,
                    "generation: prompt %zu lies in the generation's own memory; copy it", i);
        EM__FAIL_IF(g->options.overflow == EM_OVERFLOW_STOP && prompts[i].length > g->options.context,
                    EM_ERROR_INVALID_ARGUMENT,
                    "generation: prompt %zu has %zu tokens, the context %zu; shorten it, or let the cache rotate "
                    "(--rotate)",
                    i, prompts[i].length, g->options.context);
        for (size_t k = 0; k < prompts[i].length; k++)
            EM__FAIL_IF(prompts[i].ids[k] < 0 || prompts[i].ids[k] >= vocabulary, EM_ERROR_INVALID_ARGUMENT,
                        "generation: prompt %zu: token %zu is %d, the vocabulary has %lld", i, k,
                        (int)prompts[i].ids[k], (long long)vocabulary);
    }
    return EM_OK;
}

em_status em__generation_make_sequences(em_generation *g, size_t count)
{
    if (count > g->room) {
        em__sequence *fresh = em__realloc(g->sequences, count * sizeof *fresh);
        if (!fresh)
            return EM_ERROR_OUT_OF_MEMORY;
        memset(fresh + g->room, 0, (count - g->room) * sizeof *fresh);
        g->sequences = fresh;
        g->room = count;
    }
    return EM_OK;
}

/* Tokens behind the first `keep` that a prompt is too long by: forgotten before they are read. */
static size_t excess(const em_generation *g, size_t length)
{
    return length > g->options.context ? length - g->options.context : 0;
}

/* How much of the prompt the cache holds: at least its last token is always read, for its logits. */
static size_t common(const em_generation *g, const em_prompt *prompt)
{
    const em__sequence *s = &g->sequences[0];
    const size_t skip = excess(g, prompt->length), length = prompt->length - skip;
    size_t n = 0;
    if (g->n_sequences != 1 || g->rotated || s->row != 0)
        return 0;
    while (n < s->cached && n + 1 < length && s->tokens.data[n] == prompt->ids[n < g->options.keep ? n : n + skip])
        n++;
    return n;
}

static void forget_excess(em_generation *g, em__sequence *s)
{
    const size_t skip = excess(g, s->prompt), keep = g->options.keep;
    int32_t *ids = s->tokens.data;
    if (skip == 0)
        return;
    s->prompt -= skip;
    s->tokens.length = s->prompt;
    memmove(ids + keep, ids + keep + skip, (s->prompt - keep) * sizeof *ids);
}

em_status em__generation_set_prompt(em_generation *g, size_t index, const em_prompt *prompt, size_t cached)
{
    em__sequence *s = &g->sequences[index];
    s->tokens.length = 0;
    s->cached = 0;
    EM__TRY(em__vec_reserve(&s->tokens, prompt->length));
    memcpy(s->tokens.data, prompt->ids, prompt->length * sizeof *prompt->ids);
    s->tokens.length = s->prompt = prompt->length;
    s->cached = cached;
    s->row = (int64_t)index;
    s->chosen_from = NULL;
    s->finish = EM_FINISH_NONE;
    s->random = em__random_begin(g->options.seed, index);
    return em__text_out_begin(&s->writer, g->tokenizer, g->options.show_special);
}

/* Tells how far the prompts are read. Of what was cancelled meanwhile no more is read; nor where that was the end. */
static em_status report(em_generation *g)
{
    const em_generation_options *o = &g->options;
    const bool go_on = !o->on_prompt || o->on_prompt(g->read, g->to_read, o->user);
    EM__FAIL_IF(!go_on || (g->read < g->to_read && atomic_load(&g->cancel)), EM_ERROR_CANCELLED,
                "generation: cancelled in the prompt");
    return EM_OK;
}

/* Reads the rest of the prompt. */
static em_status read_prompt(em_generation *g, em__sequence *s)
{
    while (s->cached < s->prompt) {
        size_t left = s->prompt - s->cached, chunk = g->options.prefill_chunk;
        chunk = left < chunk ? left : chunk;
        EM__TRY(em__generation_feed(g, s, chunk));
        g->read += chunk;
        EM__TRY(report(g));
    }
    return EM_OK;
}

/* Answers to one prompt share what was read. */
static em_status share_prompt(em_generation *g, size_t from, size_t to)
{
    em__sequence *source = &g->sequences[from], *target = &g->sequences[to];
    size_t rows = source->cached < (size_t)g->cache.capacity ? source->cached : (size_t)g->cache.capacity;
    EM__TRY(em__cache_copy(&g->cache, source->row, target->row, (int64_t)rows));
    memcpy(g->logits + (size_t)target->row * g->sampler.vocabulary,
           g->logits + (size_t)source->row * g->sampler.vocabulary, g->sampler.vocabulary * sizeof *g->logits);
    target->cached = source->cached;
    return EM_OK;
}

static em_status read_all(em_generation *g, const em_prompt *prompts, size_t n)
{
    const size_t each = g->options.sequences, count = n * each;
    size_t reused = count == 1 ? common(g, prompts) : 0;
    EM__TRY(em__generation_make_sequences(g, count));
    em__generation_drop_ahead(g);
    g->n_sequences = 0; /* while they change, nothing is there to go on with */
    EM__TRY(em__generation_reserve_logits(g, count));
    EM__TRY(em__cache_reserve(&g->cache, (int64_t)count, 1, count == 1 ? 1 : 0, (int64_t)reused));
    g->rotated = false; /* nothing of a rotated cache is reused */
    for (size_t i = 0; i < count; i++) {
        EM__TRY(em__generation_set_prompt(g, i, &prompts[i / each], reused));
        forget_excess(g, &g->sequences[i]);
    }
    g->n_sequences = g->active = count;
    g->stats.reused_tokens = reused;
    for (size_t i = 0; i < count; i += each)
        g->stats.prompt_tokens += g->sequences[i].prompt;
    g->read = 0;
    g->to_read = g->stats.prompt_tokens - reused;
    EM__TRY(report(g));
    for (size_t i = 0; i < count; i++) {
        if (i % each == 0)
            EM__TRY(read_prompt(g, &g->sequences[i]));
        else
            EM__TRY(share_prompt(g, i - i % each, i));
    }
    return EM_OK;
}

em_status em__generation_begin(em_generation *g, const em_prompt *prompts, size_t n)
{
    EM__TRY(check_prompts(g, prompts, n));
    g->tokenizer = em__model_tokenizer_if_read(g->model);
    g->stats = (em_generation_stats){0};
    uint64_t begin = em__now();
    em_status status = read_all(g, prompts, n);
    g->stats.prompt_seconds = (double)(em__now() - begin) / 1e9;
    g->fresh = status == EM_OK;
    for (size_t i = 0; i < g->n_sequences && status != EM_OK; i++) /* what was read so far can be reused */
        g->sequences[i].finish = EM_FINISH_CANCELLED;
    return status;
}

em_status em_generation_start(em_generation *g, const em_prompt *prompts, size_t n)
{
    EM__TRY(em__generation_enter(g));
    return em__generation_leave(g, em__generation_begin(g, prompts, n));
}
