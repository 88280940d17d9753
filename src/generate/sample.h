/*
 * Choosing the next token from its logits: bias and penalties, then temperature, top-k, top-p, min-p, then a draw.
 * The same logits, options, history and random state give the same token everywhere.
 */
#ifndef EM_GENERATE_SAMPLE_H
#define EM_GENERATE_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/generation.h>

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014). */
typedef struct em__random {
    uint64_t state;
} em__random;

/* A stream of its own for each seed and sequence. */
em__random em__random_begin(uint64_t seed, uint64_t sequence);
double em__random_next(em__random *random); /* [0, 1), 53 bits */

typedef struct em__candidate {
    int32_t id;
    float score; /* logit, then probability */
} em__candidate;

/* Memory of a sampler, for `vocabulary` tokens; one a generation. */
typedef struct em__sampler {
    size_t vocabulary;
    float *logits;             /* [vocabulary]: changed by bias and penalties */
    em__candidate *candidates; /* [vocabulary] */
    uint32_t *counts;          /* [vocabulary]: zero between calls */
} em__sampler;

em_status em__sampler_init(em__sampler *sampler, size_t vocabulary);
void em__sampler_free(em__sampler *sampler);

/* What a choice looks at. `seen` are all tokens of the sequence, the answer begins at seen[prompt]. */
typedef struct em__choice {
    const float *logits;
    const em_generation_options *options;
    const int32_t *seen;
    size_t n_seen, prompt;
} em__choice;

/* The next token. NaN counts as -infinity. */
int32_t em__sample(em__sampler *sampler, const em__choice *choice, em__random *random);

/* log of the softmax of `logits` at `id`. */
float em__logprob(const float *logits, size_t vocabulary, int32_t id);

/* The n most likely tokens into `top`, best first, with their logprobs; returns how many. */
size_t em__top_logprobs(em__sampler *sampler, const float *logits, size_t n, em_token_score *top);

#endif
