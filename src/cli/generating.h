/* An answer of emily generate under way. */
#ifndef EMILY_CLI_GENERATING_H
#define EMILY_CLI_GENERATING_H

#include <emily/generation.h>

#include "cli/progress.h"
#include "cli/prompt.h"
#include "cli/sampling.h"
#include "cli/session.h"
#include "core/str.h"
#include "io/npy.h"

typedef struct cli_generate_values {
    cli_session_values session;
    cli_sampling_values sampling;
    const char *prompt_ids, *logits, *system;
    cli_words variables;
    size_t answers, logprobs;
    int output, json, stats, special, raw, no_think;
} cli_generate_values;

typedef struct cli_generating {
    const cli_generate_values *values;
    em_model *model;
    em_generation *generation;
    cli_sampling sampling;
    cli_ids prompt;
    bool ids;    /* print ids, not text */
    bool stream; /* print each token as it comes */
    cli_progress progress;
    em_status status; /* of what was done with the tokens so far */
    em__str scores;   /* JSON of logprobs */
    em__npy_writer logits;
    bool saving;
    double load_seconds;
} cli_generating;

/* A token and the most likely ones at its place, as JSON behind those that `out` has. */
em_status cli_generating_score(em__str *out, const em_token *t);

/* All that was not printed while it was written; an exit code. */
int cli_generating_print(const cli_generating *g);

/* Times and memory, on stderr. */
void cli_generating_stats(const cli_generating *g);

#endif
