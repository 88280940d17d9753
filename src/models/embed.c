/*
 * em_embed: texts are tokenized a window at a time. The window's texts are laid into batches of a fixed number of
 * tokens, longest first, each gap filled by the longest text that fits; each batch is one run; rows go where their
 * texts stood.
 */
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/options.h"
#include "models/texts.h"

/* On one core the time of a token is the same in batches of 256 to 3,072 tokens; many cores want many rows. */
enum { BATCH_TOKENS = 2048, MAX_BATCH_TOKENS = 1 << 20 };

typedef struct embedding {
    em_model *model;
    em_embed_options options;
    const char *prompt;
    size_t max_tokens;
    em__task task; /* without its size */
    size_t width;
    em__texts texts;
    em__batch batch;
    size_t *members;        /* of the batch: which text of the window each segment is */
    size_t *next, *longest; /* lists by length: next text of the same length + 1; 0 ends. longest[length] is the head */
    float *rows;            /* the batch's result */
    size_t rows_size;
    size_t total, done, truncated;
    size_t first; /* text of the window */
} embedding;

static em_status choose_prompt(embedding *e)
{
    const em_embed_options *o = &e->options;
    const em__modules *modules = &e->model->modules;
    e->prompt = o->prompt;
    if (!e->prompt && o->prompt_name)
        EM__TRY(em__prompts_find(modules, o->prompt_name, &e->prompt));
    else if (!e->prompt && o->task != EM_TASK_ANY)
        e->prompt = em__prompts_of_task(modules, o->task);
    if (!e->prompt)
        e->prompt = modules->default_prompt ? modules->default_prompt : "";
    if (modules->include_prompt || !*e->prompt)
        return EM_OK;
    e->task.skip_prompt = true;
    return em__prompt_length(e->model, e->prompt, e->max_tokens, &e->texts.prompt);
}

static em_status choose(embedding *e, const em_embed_options *options)
{
    EM__TRY(EM__OPTIONS_COPY(options, &e->options, em_embed_options));
    em_embed_options *o = &e->options;
    EM__FAIL_IF(o->pooling < 0 || o->pooling > EM__POOL_COUNT, EM_ERROR_INVALID_ARGUMENT,
                "embed: pooling is %d, expected 0 or em_pool + 1, at most %d", o->pooling, EM__POOL_COUNT);
    EM__FAIL_IF(o->normalize < -1 || o->normalize > 1, EM_ERROR_INVALID_ARGUMENT,
                "embed: normalize is %d, expected -1, 0 or 1", o->normalize);
    EM__FAIL_IF((unsigned)o->task >= EM__TASK_COUNT, EM_ERROR_INVALID_ARGUMENT, "embed: task %d does not exist",
                (int)o->task);
    const size_t added = em_tokenizer_added_tokens(e->model->tokenizer, false);
    e->max_tokens = o->max_tokens ? o->max_tokens : e->model->max_tokens[o->task];
    EM__FAIL_IF(e->max_tokens > e->model->positions, EM_ERROR_INVALID_ARGUMENT,
                "embed: max_tokens is %zu, and the model has positions for %zu; ask for as many at most", e->max_tokens,
                e->model->positions);
    EM__FAIL_IF(e->max_tokens <= added, EM_ERROR_INVALID_ARGUMENT,
                "embed: max_tokens is %zu, but the tokenizer adds %zu tokens to every text; give %zu or more",
                e->max_tokens, added, added + 1);
    if (o->batch_tokens == 0)
        o->batch_tokens = BATCH_TOKENS;
    else if (o->batch_tokens > MAX_BATCH_TOKENS)
        o->batch_tokens = MAX_BATCH_TOKENS;
    e->task.pooling = o->pooling;
    e->task.normalize = o->normalize;
    const size_t whole = (size_t)em__task_whole_width(e->model, &e->task);
    EM__FAIL_IF(o->dimensions > whole, EM_ERROR_INVALID_ARGUMENT,
                "embed: dimensions is %zu, and the vectors have %zu; give %zu or less", o->dimensions, whole, whole);
    e->task.dimensions = o->dimensions;
    e->width = (size_t)em__task_width(e->model, &e->task);
    return choose_prompt(e);
}

/* Lists of the window's texts by length, in the order of the texts. */
static void sort_by_length(embedding *e)
{
    memset(e->longest, 0, (e->max_tokens + 1) * sizeof *e->longest);
    for (size_t i = e->texts.count; i-- > 0;) {
        size_t length = e->texts.places[i].length;
        e->next[i] = e->longest[length];
        e->longest[length] = i + 1;
        e->truncated += e->texts.places[i].truncated;
    }
}

/* What the tokens of a batch are rounded up to. */
static size_t rounded(const embedding *e, size_t tokens)
{
    const size_t least = em__model_least_tokens(e->model);
    return em__round_tokens(tokens < least ? least : tokens);
}

/* Takes texts off the lists into the batch while one fits; the first always does. */
static void fill_batch(embedding *e)
{
    em__batch *b = &e->batch;
    size_t fits = e->max_tokens;
    em__batch_clear(b);
    while (b->segments < b->segment_capacity) {
        while (fits > 0 && !e->longest[fits])
            fits--;
        if (!e->longest[fits])
            break;
        size_t i = e->longest[fits] - 1;
        e->longest[fits] = e->next[i];
        e->members[b->segments] = i;
        em__batch_add(b, &e->model->config, em__text_ids(&e->texts, i), em__text_types(&e->texts, i), fits,
                      e->texts.prompt);
        size_t room = b->tokens < e->options.batch_tokens ? e->options.batch_tokens - b->tokens : 0;
        fits = fits < room ? fits : room;
    }
}

static em_status check_rows(const embedding *e, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        char what[64];
        if (!em__has_nan(e->rows + i * e->width, e->width))
            continue;
        snprintf(what, sizeof what, "embed: the vector of text %zu is", e->first + e->members[i]);
        return em__model_fail_nan(e->model, what);
    }
    return EM_OK;
}

static em_status run_batch(embedding *e, float *out)
{
    em__batch *b = &e->batch;
    size_t filled = b->segments, tokens = rounded(e, b->tokens), segments = em__round_segments(filled);
    e->task.tokens = tokens < b->token_capacity ? tokens : b->token_capacity;
    e->task.segments = segments < b->segment_capacity ? segments : b->segment_capacity;
    em__batch_round(b, e->task.tokens, e->task.segments);
    EM__TRY(em__model_run(e->model, &e->task, b, e->rows));
    EM__TRY(check_rows(e, filled));
    for (size_t i = 0; i < filled; i++)
        memcpy(out + e->members[i] * e->width, e->rows + i * e->width, e->width * sizeof *out);
    e->done += filled;
    const em_embed_options *o = &e->options;
    EM__FAIL_IF(o->progress && !o->progress(e->done, e->total, o->user), EM_ERROR_CANCELLED,
                "embed: cancelled after %zu of %zu texts", e->done, e->total);
    return EM_OK;
}

static em_status embed_window(embedding *e, const em__texts_in *in, float *out)
{
    EM__TRY(em__texts_encode(e->model, in, &e->texts));
    sort_by_length(e);
    e->first = in->first;
    for (size_t end = e->done + in->count; e->done < end;) {
        fill_batch(e);
        EM__TRY(run_batch(e, out));
    }
    return EM_OK;
}

/* Room for the largest batch: batch_tokens, or one text of more tokens; never more than all texts can be. */
static em_status reserve(embedding *e)
{
    size_t window = e->total < EM__TEXTS_WINDOW ? e->total : EM__TEXTS_WINDOW;
    size_t tokens = e->options.batch_tokens > e->max_tokens ? e->options.batch_tokens : e->max_tokens;
    size_t most, segments = em__round_segments(window < tokens ? window : tokens);
    if (!em__mul_overflows(window, e->max_tokens, &most) && most < tokens)
        tokens = most;
    EM__TRY(em__batch_reserve(&e->batch, rounded(e, tokens), segments));
    e->members = em__alloc(segments * sizeof *e->members);
    e->next = em__alloc(window * sizeof *e->next);
    e->longest = em__alloc((e->max_tokens + 1) * sizeof *e->longest);
    EM__FAIL_IF(em__mul_overflows(segments * sizeof(float), e->width, &e->rows_size), EM_ERROR_OUT_OF_MEMORY,
                "embed: %zu vectors of %zu elements do not fit in memory", segments, e->width);
    e->rows = em__block_alloc(e->rows_size);
    return e->members && e->next && e->longest && e->rows ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static em_status embed_all(embedding *e, const char *const *texts, const size_t *lengths, float *out)
{
    EM__TRY(reserve(e));
    for (size_t i = 0; i < e->total; i += EM__TEXTS_WINDOW) {
        const em__texts_in in = {.texts = texts + i,
                                 .lengths = lengths ? lengths + i : NULL,
                                 .count = e->total - i < EM__TEXTS_WINDOW ? e->total - i : EM__TEXTS_WINDOW,
                                 .first = i,
                                 .prompt = e->prompt,
                                 .max_tokens = e->max_tokens};
        EM__TRY(embed_window(e, &in, out + i * e->width));
    }
    return EM_OK;
}

static void finish(embedding *e)
{
    em__texts_free(&e->texts);
    em__batch_free(&e->batch);
    em__free(e->members);
    em__free(e->next);
    em__free(e->longest);
    em__block_free(e->rows, e->rows_size);
}

em_array *em_embed_n(em_model *model, const char *const *texts, const size_t *lengths, size_t n,
                     const em_embed_options *options)
{
    embedding e = {.model = model, .total = n};
    em_array *result = NULL;
    float *out = NULL;
    const em_tokenizer *tokenizer;
    em_status status = em__need_vectors(model, "embed");
    if (status != EM_OK || em__model_tokenizer(model, &tokenizer) != EM_OK)
        return NULL;
    if (n > 0 && !texts)
        status = em__fail(EM_ERROR_INVALID_ARGUMENT, "embed: texts is NULL, n is %zu", n);
    if (status == EM_OK)
        status = choose(&e, options);
    if (status == EM_OK && !(result = em__result_new(n, e.width, &out)))
        status = em_last_status();
    if (status == EM_OK && n > 0)
        status = embed_all(&e, texts, lengths, out);
    if (status == EM_OK && e.options.truncated)
        *e.options.truncated = e.truncated;
    finish(&e);
    if (status != EM_OK)
        em_array_release(&result);
    return result;
}

em_array *em_embed(em_model *model, const char *const *texts, size_t n, const em_embed_options *options)
{
    return em_embed_n(model, texts, NULL, n, options);
}
