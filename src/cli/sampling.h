/*
 * How answers are chosen and where they end: options of all commands that generate. Commands put a cli_sampling_values
 * into their values, and CLI_SAMPLING_OPTIONS into their table.
 */
#ifndef EMILY_CLI_SAMPLING_H
#define EMILY_CLI_SAMPLING_H

#include <emily/generation.h>

#include "cli/cli.h"

typedef struct cli_sampling_values {
    size_t max_tokens, context, chunk, speculate, keep;
    cli_size top_k, seed;
    cli_real temperature, top_p, min_p, repetition, presence, frequency;
    cli_words stop, bias;
    const char *cache;
    int ignore_eos, rotate;
} cli_sampling_values;

/* Rows for a values struct with a member `sampling`. */
#define CLI_SAMPLING(type, name, letter, argument, help, kind, member, value)                                          \
    {                                                                                                                  \
        name, letter, argument, help, kind, offsetof(type, sampling.member), value                                     \
    }
/* clang-format off */
#define CLI_SAMPLING_OPTIONS(T)                                                                                        \
    CLI_SAMPLING(T, "max-tokens", 'n', "N", "tokens of an answer at most", CLI_COUNT, max_tokens, 1L << 30),           \
    CLI_SAMPLING(T, "temperature", 'T', "X", "0: the most likely token; higher: more varied (as recommended)",\
                CLI_REAL, temperature, 0),                                                                             \
    CLI_SAMPLING(T, "top-k", 0, "N", "choose among the N most likely tokens; 0: among all", CLI_SIZE, top_k,           \
                1000000000),                                                                                           \
    CLI_SAMPLING(T, "top-p", 0, "P", "choose among the most likely that reach probability P", CLI_REAL, top_p, 0),     \
    CLI_SAMPLING(T, "min-p", 0, "P", "choose among those at least P times as likely as the best",                      \
                CLI_REAL, min_p, 0),                                                                                   \
    CLI_SAMPLING(T, "repetition-penalty", 0, "X", "divide the logits of tokens seen by X", CLI_REAL, repetition, 0),   \
    CLI_SAMPLING(T, "presence-penalty", 0, "X", "subtract X from tokens in the answer", CLI_REAL, presence, 0),        \
    CLI_SAMPLING(T, "frequency-penalty", 0, "X", "subtract X for each time that a token is in the answer",             \
                CLI_REAL, frequency, 0),                                                                               \
    CLI_SAMPLING(T, "logit-bias", 0, "ID=X", "add X to the logit of token ID; may be repeated", CLI_LIST, bias, 0),    \
    CLI_SAMPLING(T, "seed", 0, "N", "of the draws: the same seed, the same text (1)",                                  \
                CLI_SIZE, seed, 0x7fffffffffffffff),                                                                   \
    CLI_SAMPLING(T, "stop", 0, "TEXT", "end the answer before TEXT; may be repeated", CLI_LIST, stop, 0),              \
    CLI_SAMPLING(T, "ignore-eos", 0, NULL, "go on after tokens that end answers", CLI_FLAG, ignore_eos, 1),            \
    CLI_SAMPLING(T, "context", 0, "N", "tokens remembered (what the model was made for)",                              \
                CLI_COUNT, context, 1L << 30),                                                                         \
    CLI_SAMPLING(T, "rotate", 0, NULL, "when the context is full, forget the oldest tokens", CLI_FLAG, rotate, 1),     \
    CLI_SAMPLING(T, "keep", 0, "N", "tokens at the beginning that --rotate keeps", CLI_COUNT, keep, 1L << 30),         \
    CLI_SAMPLING(T, "cache", 0, "TYPE", "f32, bf16, f16 or s8 keys and values (as the weights)", CLI_TEXT, cache, 0),  \
    CLI_SAMPLING(T, "prefill-chunk", 0, "N", "tokens of a prompt computed at a time (512)", CLI_COUNT, chunk, 4096),   \
    CLI_SAMPLING(T, "speculate", 0, "N", "guess N tokens from the text so far: the same answer, sooner",               \
                CLI_COUNT, speculate, 32)
/* clang-format on */

/* The library's options, and the memory of the lists in them. */
typedef struct cli_sampling {
    em_generation_options options;
    em_logit_bias *bias;
} cli_sampling;

/* What the model recommends, changed by what was given. CLI_OK, or an exit code after a message. */
int cli_sampling_init(cli_sampling *sampling, const char *command, const em_model *model,
                      const cli_sampling_values *values);

/* Notes what has no effect with the values of others, once they are known to be good: an error stands alone. */
int cli_sampling_notes(const cli_sampling *sampling, const em_model *model, const cli_sampling_values *values);
void cli_sampling_free(cli_sampling *sampling);

#endif
