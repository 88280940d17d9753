/* How likely a model finds a text: log-probabilities of its tokens, chunk by chunk. */
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "generate/generation.h"
#include "models/batch.h"

enum { CHUNK = 128 };

typedef struct scoring {
    const em_model *model;
    em__decoder *decoder;
    em__cache cache;
    float *logits; /* [CHUNK, vocabulary] */
    int32_t ids[CHUNK];
} scoring;

static em_status score_chunk(scoring *s, const int32_t *ids, size_t begin, size_t n, size_t total, float *logprobs)
{
    const size_t vocabulary = (size_t)s->decoder->config.vocabulary;
    size_t tokens = em__round_tokens(n); /* few shapes serve all lengths; tokens behind the last are nobody's */
    tokens = (int64_t)(begin + tokens) <= s->cache.capacity ? tokens : n;
    memcpy(s->ids, ids + begin, n * sizeof *ids);
    memset(s->ids + n, 0, (tokens - n) * sizeof *ids);
    const int32_t position = (int32_t)begin, length = (int32_t)(begin + tokens);
    const em__decoder_task task = {1, (int64_t)tokens, s->cache.capacity, s->cache.dtype, true, false};
    em__decoder_feed feed = {s->ids, &position, &position, &length, NULL, NULL, length};
    em__cache_point(&s->cache, 0, &feed);
    EM__TRY(em__decoder_run(s->decoder, &task, &feed, s->logits));
    for (size_t i = 0; i < n && begin + i + 1 < total; i++) {
        if (em__has_nan(s->logits + i * vocabulary, vocabulary))
            return em__model_fail_nan(s->model, "score: the logits are");
        logprobs[begin + i + 1] = em__logprob(s->logits + i * vocabulary, vocabulary, ids[begin + i + 1]);
    }
    return EM_OK;
}

em_status em_model_score(em_model *model, const int32_t *ids, size_t n, float *logprobs)
{
    EM__TRY(em__need_decoder(model, "score"));
    EM__FAIL_IF(n > 0 && (!ids || !logprobs), EM_ERROR_INVALID_ARGUMENT, "score: NULL argument");
    const em__decoder_config *c = &model->decoder->config;
    EM__FAIL_IF(n > (size_t)c->positions, EM_ERROR_INVALID_ARGUMENT, "score: %zu tokens, the model's context is %lld",
                n, (long long)c->positions);
    for (size_t i = 0; i < n; i++)
        EM__FAIL_IF(ids[i] < 0 || ids[i] >= c->vocabulary, EM_ERROR_INVALID_ARGUMENT,
                    "score: token %zu is %d, the vocabulary has %lld", i, (int)ids[i], (long long)c->vocabulary);
    if (n == 0)
        return EM_OK;
    scoring s = {.model = model, .decoder = model->decoder};
    const size_t bytes = CHUNK * (size_t)c->vocabulary * sizeof *s.logits;
    em_status status = em__cache_init(&s.cache, s.decoder, EM_F32, c->positions);
    if (status == EM_OK)
        status = em__cache_reserve(&s.cache, 1, (int64_t)n, 0, 0);
    if (status == EM_OK && !(s.logits = em__block_alloc(bytes)))
        status = EM_ERROR_OUT_OF_MEMORY;
    logprobs[0] = 0;
    for (size_t i = 0; i < n && status == EM_OK; i += CHUNK)
        status = score_chunk(&s, ids, i, n - i < CHUNK ? n - i : CHUNK, n, logprobs);
    em__block_free(s.logits, bytes);
    em__cache_free(&s.cache);
    return status;
}
