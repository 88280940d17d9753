/* A generation's life, whole answers, and what can be asked about them. */
#include "generate/generation.h"

#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/options.h"

static em_status init(em_generation *g, const em_generation_options *options)
{
    EM__TRY(em__generation_take_options(g, options, true));
    EM__TRY(em__sampler_init(&g->sampler, (size_t)g->decoder->config.vocabulary));
    return em__cache_init(&g->cache, g->decoder, g->options.cache_dtype, (int64_t)g->options.context);
}

em_status em_generation_recommended(const em_model *model, em_generation_options *options)
{
    EM__TRY(em__need_decoder(model, "generate"));
    EM__FAIL_IF(!options, EM_ERROR_INVALID_ARGUMENT, "generation: options is NULL");
    const em__decoder_config *c = &model->decoder->config;
    options->temperature = (float)c->recommended.temperature;
    options->top_k = (int)c->recommended.top_k;
    options->top_p = (float)c->recommended.top_p;
    options->min_p = (float)c->recommended.min_p;
    options->repetition_penalty = (float)c->recommended.repetition_penalty;
    return EM_OK;
}

em_generation *em_generation_new(em_model *model, const em_generation_options *options)
{
    if (em__need_decoder(model, "generate") != EM_OK)
        return NULL;
    em_generation *g = em__calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->model = em__model_retain(model);
    g->decoder = model->decoder;
    atomic_init(&g->cancel, false);
    if (init(g, options) == EM_OK)
        return g;
    em_generation_free(g);
    return NULL;
}

void em_generation_free(em_generation *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->room; i++) {
        em__vec_free(&g->sequences[i].tokens);
        em__text_out_free(&g->sequences[i].writer);
    }
    em__free(g->sequences);
    em__cache_free(&g->cache);
    em__block_free(g->logits, g->logit_rows * g->sampler.vocabulary * sizeof *g->logits);
    em__sampler_free(&g->sampler);
    em__generation_free_options(g);
    em__vec_free(&g->feed);
    em__vec_free(&g->ahead.ids);
    em_chat_template_free(g->chat);
    em_model_close(&g->model);
    em__free(g);
}

em_status em_generation_set_options(em_generation *g, const em_generation_options *options)
{
    if (!g)
        return em__no_generation();
    for (size_t i = 0; i < g->n_sequences; i++)
        EM__FAIL_IF(g->busy || g->sequences[i].finish == EM_FINISH_NONE, EM_ERROR_INVALID_ARGUMENT,
                    "generation: answer %zu is being written; set options between answers", i);
    em__generation_drop_ahead(g);
    return em__generation_take_options(g, options, false);
}

em_status em__no_generation(void)
{
    return em_last_status() != EM_OK ? em_last_status() : em__fail(EM_ERROR_INVALID_ARGUMENT, "the generation is NULL");
}

em_status em__generation_idle(const em_generation *g)
{
    EM__FAIL_IF(g->busy, EM_ERROR_INVALID_ARGUMENT,
                "generation: a callback (on_token, on_prompt) began another call; begin it when this one returned");
    return EM_OK;
}

em_status em__generation_enter(em_generation *g)
{
    if (!g)
        return em__no_generation();
    EM__TRY(em__generation_idle(g));
    atomic_store(&g->cancel, false);
    g->busy = true;
    return EM_OK;
}

em_status em__generation_leave(em_generation *g, em_status status)
{
    g->busy = false;
    return status;
}

static em_status run_to_the_end(em_generation *g, const em_prompt *prompt)
{
    bool going = true;
    EM__TRY(em__generation_leave(g, em__generation_begin(g, prompt, 1))); /* steps are calls of their own */
    while (going)
        EM__TRY(em_generation_step(g, &going));
    return EM_OK;
}

em_status em_generate_ids(em_generation *g, const int32_t *ids, size_t n)
{
    const em_prompt prompt = {ids, n};
    EM__TRY(em__generation_enter(g));
    return em__generation_leave(g, run_to_the_end(g, &prompt));
}

em_status em__generation_answer(em_generation *g, const char *text, size_t length, bool has_special)
{
    const em_encode_options how = {.struct_size = sizeof how, .no_special = has_special};
    em_encoding encoding = {0};
    EM__TRY(em__model_tokenizer(g->model, &g->tokenizer));
    em_status status = em_tokenizer_encode(g->tokenizer, text, length, &how, &encoding);
    const em_prompt prompt = {encoding.ids, encoding.length};
    if (status == EM_OK)
        status = run_to_the_end(g, &prompt);
    em_encoding_free(&encoding);
    return status;
}

em_status em_generate(em_generation *g, const char *text)
{
    if (!g)
        return em__no_generation();
    EM__FAIL_IF(!text, EM_ERROR_INVALID_ARGUMENT, "generation: the text is NULL");
    EM__TRY(em__generation_enter(g));
    return em__generation_leave(g, em__generation_answer(g, text, strlen(text), false));
}

void em_generation_cancel(em_generation *g)
{
    if (g)
        atomic_store(&g->cancel, true);
}

void em_generation_reset(em_generation *g)
{
    if (!g)
        return;
    g->n_sequences = g->active = 0;
    em__generation_drop_ahead(g);
    g->rotated = false;
}

size_t em_generation_sequences(const em_generation *g)
{
    return g ? g->n_sequences : 0;
}

static const em__sequence *sequence_at(const em_generation *g, size_t index)
{
    return g && index < g->n_sequences ? &g->sequences[index] : NULL;
}

const int32_t *em_generation_ids(const em_generation *g, size_t index, size_t *length)
{
    const em__sequence *s = sequence_at(g, index);
    if (length)
        *length = s ? s->tokens.length - s->prompt : 0;
    return s ? s->tokens.data + s->prompt : NULL;
}

const char *em_generation_text(const em_generation *g, size_t index, size_t *length)
{
    const em__sequence *s = sequence_at(g, index);
    if (length)
        *length = !s ? 0 : s->finish == EM_FINISH_NONE ? s->writer.shown : s->writer.text.length;
    return s ? em__str_text(&s->writer.text) : NULL;
}

const char *em_finish_name(em_finish finish)
{
    static const char *const names[] = {"none", "stop", "length", "context", "cancelled"};
    return (size_t)finish < sizeof names / sizeof *names ? names[finish] : "?";
}

em_finish em_generation_finish(const em_generation *g, size_t index)
{
    const em__sequence *s = sequence_at(g, index);
    return s ? s->finish : EM_FINISH_NONE;
}

const float *em_generation_logits(const em_generation *g, size_t index)
{
    const em__sequence *s = sequence_at(g, index);
    return s ? s->chosen_from : NULL;
}

em_status em_generation_get_stats(const em_generation *g, em_generation_stats *stats)
{
    if (!g)
        return em__no_generation();
    EM__FAIL_IF(!stats, EM_ERROR_INVALID_ARGUMENT, "generation: stats is NULL");
    em_generation_stats made = g->stats;
    made.cache_bytes = em__cache_bytes(&g->cache);
    made.cache_dtype = g->cache.dtype;
    return em__result_give(&made, stats, sizeof made, "em_generation_stats");
}
