/* The options of a generation: checked once, so that no step can fail on them. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/number.h"
#include "core/options.h"
#include "device/memory.h"
#include "generate/generation.h"

enum { MAX_SEQUENCES = 1024, DEFAULT_CHUNK = 512, DEVICE_CHUNK = 2048, MAX_CHUNK = 4096 };

/* Digits enough that a value past a limit never reads as the limit: integers in full, others so that they read back. */
static const char *digits(double value, char *out)
{
    const bool single = !(fabs(value) > FLT_MAX) && (double)(float)value == value;
    if (fabs(value) < 1e15 && value == floor(value))
        snprintf(out, EM__NUMBER_SIZE, "%.0f", value);
    else if (single)
        em__print_f32(out, (float)value);
    else
        em__print_f64(out, value);
    return out;
}

static em_status check_range(const char *name, double value, double least, double most)
{
    char is[EM__NUMBER_SIZE], from[EM__NUMBER_SIZE], to[EM__NUMBER_SIZE];
    EM__FAIL_IF(!(value >= least && value <= most), EM_ERROR_INVALID_ARGUMENT,
                "generation: %s is %s, expected %s to %s", name, digits(value, is), digits(least, from),
                digits(most, to));
    return EM_OK;
}

static em_status check_sampling(const em_generation_options *o)
{
    EM__TRY(check_range("temperature", o->temperature, 0, 1e6));
    EM__TRY(check_range("top_k", o->top_k, 0, 1e9));
    EM__TRY(check_range("top_p", o->top_p, 0, 1));
    EM__TRY(check_range("min_p", o->min_p, 0, 1));
    EM__TRY(check_range("repetition_penalty", o->repetition_penalty, 0, 1e6));
    EM__TRY(check_range("presence_penalty", o->presence_penalty, -1e6, 1e6));
    EM__TRY(check_range("frequency_penalty", o->frequency_penalty, -1e6, 1e6));
    EM__TRY(check_range("top_logprobs", o->top_logprobs, 0, EM__MAX_TOP));
    EM__TRY(check_range("sequences", (double)o->sequences, 1, MAX_SEQUENCES));
    EM__TRY(check_range("prefill_chunk", (double)o->prefill_chunk, 1, MAX_CHUNK));
    EM__TRY(check_range("speculate", (double)o->speculate, 0, EM__MAX_SPECULATE));
    EM__FAIL_IF(
        o->speculate > 0 && (o->temperature != 0 || o->sequences != 1), EM_ERROR_INVALID_ARGUMENT,
        "generation: speculate needs temperature 0 and one sequence, not %g and %zu; guesses are held to the most "
        "likely token",
        (double)o->temperature, o->sequences);
    return EM_OK;
}

static em_status check_memory(const em_generation *g, const em_generation_options *o)
{
    const em__decoder_config *c = &g->decoder->config;
    em_dtype d = o->cache_dtype;
    EM__FAIL_IF(d != EM_F32 && d != EM_BF16 && d != EM_F16 && d != EM_S8, EM_ERROR_INVALID_ARGUMENT,
                "generation: cache_dtype is %s, expected f32, bf16, f16 or s8", em_dtype_name(d));
    EM__TRY(check_range("context", (double)o->context, 1, 1 << 30));
    if (o->overflow == EM_OVERFLOW_STOP)
        return EM_OK;
    EM__FAIL_IF(o->overflow != EM_OVERFLOW_ROTATE, EM_ERROR_INVALID_ARGUMENT, "generation: overflow is %d",
                (int)o->overflow);
    EM__FAIL_IF(o->keep >= o->context, EM_ERROR_INVALID_ARGUMENT, "generation: keep is %zu, context %zu; keep fewer",
                o->keep, o->context);
    EM__FAIL_IF(o->speculate > 0, EM_ERROR_UNSUPPORTED, "generation: speculate does not go with a rotating cache");
    for (int64_t i = 0; i < c->layers; i++)
        EM__FAIL_IF(c->each[i].window > 0 && (size_t)c->each[i].window < o->context, EM_ERROR_UNSUPPORTED,
                    "generation: a rotating cache does not go with layers that see a window of %lld tokens; use a "
                    "context of at most that, or let it stop",
                    (long long)c->each[i].window);
    return EM_OK;
}

static em_status check_lists(const em_generation *g, const em_generation_options *o)
{
    const int64_t vocabulary = g->decoder->config.vocabulary;
    EM__FAIL_IF((o->n_logit_bias > 0 && !o->logit_bias) || (o->n_stop > 0 && !o->stop) ||
                    (o->n_stop_ids > 0 && !o->stop_ids),
                EM_ERROR_INVALID_ARGUMENT, "generation: a list is NULL, its length is not 0");
    for (size_t i = 0; i < o->n_logit_bias; i++)
        EM__FAIL_IF(o->logit_bias[i].id < 0 || o->logit_bias[i].id >= vocabulary || isnan(o->logit_bias[i].bias),
                    EM_ERROR_INVALID_ARGUMENT,
                    "generation: logit_bias %zu is %g for token %d; expected a number, for a token of 0 to %lld", i,
                    (double)o->logit_bias[i].bias, (int)o->logit_bias[i].id, (long long)vocabulary - 1);
    for (size_t i = 0; i < o->n_stop; i++)
        EM__FAIL_IF(!o->stop[i] || !*o->stop[i], EM_ERROR_INVALID_ARGUMENT, "generation: stop string %zu is empty", i);
    return EM_OK;
}

static void fill_in(const em_generation *g, em_generation_options *o)
{
    const em__decoder *d = g->decoder;
    const em_dtype stored = em__decoder_dtype(&d->weights, &d->weights.embedding);
    o->sequences = o->sequences ? o->sequences : 1;
    o->context = o->context ? o->context : (size_t)d->config.positions;
    o->prefill_chunk = o->prefill_chunk ? o->prefill_chunk : em__memory_of(d->device) ? DEVICE_CHUNK : DEFAULT_CHUNK;
    if (o->cache_dtype == EM_PRED)
        o->cache_dtype = stored == EM_F32 || stored == EM_F64 ? EM_F32 : stored == EM_F16 ? EM_F16 : EM_BF16;
}

static void *copy_list(const void *list, size_t count, size_t size)
{
    void *copy = em__calloc(count + 1, size);
    if (copy && count > 0)
        memcpy(copy, list, count * size);
    return copy;
}

static em_status copy_stops(const em_generation_options *o, em__stops *stops)
{
    *stops = (em__stops){em__calloc(o->n_stop + 1, sizeof *stops->strings), 0};
    for (size_t i = 0; stops->strings && i < o->n_stop; i++) {
        stops->strings[i] = em__strdup(o->stop[i]);
        if (!stops->strings[i])
            return EM_ERROR_OUT_OF_MEMORY;
        stops->count++;
    }
    return stops->strings ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static void free_lists(em_generation_options *o, em__stops *stops)
{
    for (size_t i = 0; i < stops->count; i++)
        em__free(stops->strings[i]);
    em__free(stops->strings);
    em__free((void *)o->logit_bias);
    em__free((void *)o->stop_ids);
    *stops = (em__stops){0};
    o->logit_bias = NULL;
    o->stop_ids = NULL;
}

em_status em__generation_take_options(em_generation *g, const em_generation_options *given, bool first)
{
    em_generation_options o = {0};
    em__stops stops = {0};
    EM__TRY(EM__OPTIONS_COPY(given, &o, em_generation_options));
    if (!first) {
        o.context = g->options.context;
        o.cache_dtype = g->options.cache_dtype;
        o.overflow = g->options.overflow;
        o.keep = g->options.keep;
    }
    fill_in(g, &o);
    EM__TRY(check_sampling(&o));
    EM__TRY(check_memory(g, &o));
    EM__TRY(check_lists(g, &o));
    o.logit_bias = copy_list(o.logit_bias, o.n_logit_bias, sizeof *o.logit_bias);
    o.stop_ids = copy_list(o.stop_ids, o.n_stop_ids, sizeof *o.stop_ids);
    em_status status = o.logit_bias && o.stop_ids ? copy_stops(&o, &stops) : EM_ERROR_OUT_OF_MEMORY;
    o.stop = NULL;
    if (status != EM_OK) {
        free_lists(&o, &stops);
        return status;
    }
    em__generation_free_options(g);
    g->options = o;
    g->stops = stops;
    return EM_OK;
}

void em__generation_free_options(em_generation *g)
{
    free_lists(&g->options, &g->stops);
}
