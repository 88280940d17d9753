/*
 * See sample.h. Candidates are narrowed step by step; only those that can still be drawn are ever sorted, by falling
 * probability and rising id, so that a draw among 150,000 tokens costs a few passes over them.
 */
#include "generate/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

em__random em__random_begin(uint64_t seed, uint64_t sequence)
{
    return (em__random){mix(mix(seed + 0x9e3779b97f4a7c15u) ^ mix(sequence * 0xd1342543de82ef95u + 1))};
}

double em__random_next(em__random *random)
{
    random->state += 0x9e3779b97f4a7c15u;
    return (double)(mix(random->state) >> 11) * 0x1p-53;
}

em_status em__sampler_init(em__sampler *s, size_t vocabulary)
{
    *s = (em__sampler){.vocabulary = vocabulary};
    s->logits = em__calloc(vocabulary, sizeof *s->logits);
    s->candidates = em__calloc(vocabulary, sizeof *s->candidates);
    s->counts = em__calloc(vocabulary, sizeof *s->counts);
    return s->logits && s->candidates && s->counts ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

void em__sampler_free(em__sampler *s)
{
    em__free(s->logits);
    em__free(s->candidates);
    em__free(s->counts);
    *s = (em__sampler){0};
}

static bool penalises(const em_generation_options *o)
{
    return (o->repetition_penalty != 0 && o->repetition_penalty != 1) || o->presence_penalty != 0 ||
           o->frequency_penalty != 0;
}

static void penalise(em__sampler *s, const em__choice *c)
{
    const em_generation_options *o = c->options;
    const float repeat = o->repetition_penalty == 0 ? 1 : o->repetition_penalty;
    for (size_t i = 0; i < c->n_seen; i++) { /* once for each token seen */
        int32_t id = c->seen[i];
        if (s->counts[id]++ == 0)
            s->logits[id] = s->logits[id] > 0 ? s->logits[id] / repeat : s->logits[id] * repeat;
    }
    for (size_t i = 0; i < c->n_seen; i++)
        s->counts[c->seen[i]] = 0;
    for (size_t i = c->prompt; i < c->n_seen; i++) {
        int32_t id = c->seen[i];
        s->logits[id] -= o->frequency_penalty + (s->counts[id]++ == 0 ? o->presence_penalty : 0);
    }
    for (size_t i = c->prompt; i < c->n_seen; i++)
        s->counts[c->seen[i]] = 0;
}

/* The logits with bias and penalties: the caller's own when there are none. */
static const float *adjust(em__sampler *s, const em__choice *c)
{
    const em_generation_options *o = c->options;
    bool penalty = penalises(o);
    if (!penalty && o->n_logit_bias == 0)
        return c->logits;
    memcpy(s->logits, c->logits, s->vocabulary * sizeof *s->logits);
    for (size_t i = 0; i < o->n_logit_bias; i++)
        s->logits[o->logit_bias[i].id] += o->logit_bias[i].bias;
    if (penalty)
        penalise(s, c);
    return s->logits;
}

typedef float four __attribute__((vector_size(16)));
typedef int32_t four_bits __attribute__((vector_size(16)));

/* Lane by lane the larger one; a where b is no number. */
static four larger(four a, four b)
{
    const four_bits takes = b > a;
    return (four)(((four_bits)b & takes) | ((four_bits)a & ~takes));
}

/* The largest of n logits, several at a time. */
static float most_of(const float *logits, size_t n)
{
    enum { LANES = 4, STEP = 4 * LANES };
    const four least = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    four most[4] = {least, least, least, least}, x[4];
    float largest = -INFINITY;
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        memcpy(x, logits + i, sizeof x);
        for (int j = 0; j < 4; j++)
            most[j] = larger(most[j], x[j]);
    }
    for (int j = 0; j < STEP; j++)
        largest = most[j / LANES][j % LANES] > largest ? most[j / LANES][j % LANES] : largest;
    for (; i < n; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    return largest;
}

/* The first of the largest: a block is looked through only when it holds something larger than those before it. */
static int32_t best(const float *logits, size_t n)
{
    enum { BLOCK = 1024 };
    size_t at = 0;
    float most = -INFINITY;
    for (size_t from = 0; from < n; from += BLOCK) {
        const size_t count = n - from < BLOCK ? n - from : BLOCK;
        if (!(most_of(logits + from, count) > most))
            continue;
        for (size_t i = from; i < from + count; i++)
            if (logits[i] > most) {
                most = logits[i];
                at = i;
            }
    }
    return (int32_t)at;
}

/* Is a before b: more likely, or as likely with a lower id? */
static bool before(const em__candidate *a, const em__candidate *b)
{
    return a->score != b->score ? a->score > b->score : a->id < b->id;
}

static int by_score(const void *a, const void *b)
{
    return before(a, b) ? -1 : 1; /* ids differ */
}

/* Sinks heap[i] where the last one of all stands on top. */
static void sink(em__candidate *heap, size_t n, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1]))
            child++;
        if (!before(&heap[i], &heap[child]))
            return;
        em__candidate t = heap[i];
        heap[i] = heap[child];
        heap[child] = t;
    }
}

/* Brings the k first candidates, sorted, to the front. */
static void select_first(em__candidate *c, size_t n, size_t k)
{
    for (size_t i = k / 2; i-- > 0;)
        sink(c, k, i);
    for (size_t i = k; i < n; i++)
        if (before(&c[i], &c[0])) {
            c[0] = c[i];
            sink(c, k, 0);
        }
    qsort(c, k, sizeof *c, by_score);
}

static size_t gather(em__candidate *out, const float *logits, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (logits[i] > -INFINITY)
            out[count++] = (em__candidate){(int32_t)i, logits[i]};
    return count;
}

/* Logits to exp((logit - best) / temperature); returns their sum. */
static double exponentials(em__candidate *c, size_t n, float temperature)
{
    float most = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        most = c[i].score > most ? c[i].score : most;
    for (size_t i = 0; i < n; i++) {
        c[i].score = c[i].score == most ? 1 : expf((c[i].score - most) / temperature);
        sum += c[i].score;
    }
    return sum;
}

/* Moves candidates with at least this score to the front, in their order; returns how many and their sum. */
static size_t keep_above(em__candidate *c, size_t n, float least, double *sum)
{
    size_t kept = 0;
    *sum = 0;
    for (size_t i = 0; i < n; i++)
        if (c[i].score >= least) {
            em__candidate t = c[kept];
            c[kept++] = c[i];
            *sum += c[i].score;
            c[i] = t;
        }
    return kept;
}

/* The fewest candidates, best first, whose scores reach p of the sum. */
static size_t nucleus(em__candidate *c, size_t n, float p, double *sum)
{
    const double wanted = (double)p * *sum;
    double have = 0;
    size_t some = n;
    for (float least = 0x1p-6f; least > 0x1p-120f; least *= 0x1p-6f) {
        some = keep_above(c, n, least, &have);
        if (have >= wanted)
            break;
    }
    some = have >= wanted ? some : n;
    qsort(c, some, sizeof *c, by_score);
    size_t kept = 0;
    *sum = 0;
    while (kept < some && (kept == 0 || *sum < wanted))
        *sum += c[kept++].score;
    return kept;
}

static int32_t draw(const em__candidate *c, size_t n, double sum, em__random *random)
{
    double left = em__random_next(random) * sum;
    for (size_t i = 0; i + 1 < n; i++) {
        left -= c[i].score;
        if (left < 0)
            return c[i].id;
    }
    return c[n - 1].id;
}

int32_t em__sample(em__sampler *s, const em__choice *choice, em__random *random)
{
    const em_generation_options *o = choice->options;
    const float *logits = adjust(s, choice);
    double sum;
    if (o->temperature == 0)
        return best(logits, s->vocabulary);
    size_t n = gather(s->candidates, logits, s->vocabulary);
    if (n == 0)
        return 0;
    if (o->top_k > 0 && (size_t)o->top_k < n) {
        select_first(s->candidates, n, (size_t)o->top_k);
        n = (size_t)o->top_k;
    }
    sum = exponentials(s->candidates, n, o->temperature);
    if (o->top_p > 0 && o->top_p < 1)
        n = nucleus(s->candidates, n, o->top_p, &sum);
    if (o->min_p > 0)
        n = keep_above(s->candidates, n, o->min_p, &sum);
    return draw(s->candidates, n, sum, random);
}

/* log(sum(exp(logits))) as two numbers: the largest logit and the log of the rest. */
static double log_sum(const float *logits, size_t n, float *most)
{
    double sum = 0;
    *most = -INFINITY;
    for (size_t i = 0; i < n; i++)
        *most = logits[i] > *most ? logits[i] : *most;
    for (size_t i = 0; i < n; i++)
        sum += logits[i] > -INFINITY ? expf(logits[i] - *most) : 0;
    return log(sum);
}

float em__logprob(const float *logits, size_t vocabulary, int32_t id)
{
    float most;
    double rest = log_sum(logits, vocabulary, &most);
    return (float)((double)logits[id] - most - rest);
}

size_t em__top_logprobs(em__sampler *s, const float *logits, size_t n, em_token_score *top)
{
    float most;
    double rest = log_sum(logits, s->vocabulary, &most);
    size_t count = gather(s->candidates, logits, s->vocabulary);
    n = n < count ? n : count;
    select_first(s->candidates, count, n);
    for (size_t i = 0; i < n; i++)
        top[i] = (em_token_score){s->candidates[i].id, (float)((double)s->candidates[i].score - most - rest)};
    return n;
}
