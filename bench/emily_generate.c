/*
 * Times generation on request: emily_generate MODEL opens a checkpoint and answers each line "CONTEXT SEQUENCES TOKENS"
 * on standard input with one line of JSON {"prefill_s", "decode_s", "first"}: how long it took to read CONTEXT random
 * ids for each of SEQUENCES answers, then to write TOKENS more ids for each, greedily, behind the first; and the first
 * id of the first answer. Only what differs from the line before is read; "reset" on a line of its own forgets all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/generation.h>

#include "timing.h"

enum { MAX_SEQUENCES = 64, MAX_CONTEXT = 1 << 17 };

static void stop(const char *why)
{
    fprintf(stderr, "emily_generate: %s\n", why);
    exit(1);
}

/* The same ids for the same sequence, whatever the context. */
static void fill(int32_t *ids, size_t n, int vocabulary, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        ids[i] = (int32_t)((seed >> 8) % (unsigned)vocabulary);
    }
}

static void answer(em_generation *g, const em_prompt *prompts, size_t n, long tokens)
{
    bool going = true;
    double start = now();
    if (em_generation_start(g, prompts, n) != EM_OK)
        stop(em_last_error());
    double read = now() - start;
    /* The first id is chosen from logits that are there already. */
    if (em_generation_step(g, &going) != EM_OK)
        stop(em_last_error());
    int first = (int)em_generation_ids(g, 0, NULL)[0];
    start = now();
    for (long i = 0; i < tokens; i++)
        if (!going || em_generation_step(g, &going) != EM_OK)
            stop(going ? em_last_error() : "the context is full");
    printf("{\"prefill_s\": %.6f, \"decode_s\": %.6f, \"first\": %d}\n", read, now() - start, first);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static em_prompt prompts[MAX_SEQUENCES];
    char line[128];
    long context, sequences, tokens;
    em_model_info info = {.struct_size = sizeof info};
    em_model *model = argc == 2 ? em_model_open(argv[1], NULL) : NULL;
    const em_generation_options options = {.struct_size = sizeof options, .ignore_eos = true};
    em_generation *g = model ? em_generation_new(model, &options) : NULL;
    int32_t *ids = malloc(sizeof *ids * MAX_SEQUENCES * MAX_CONTEXT);
    if (!g || !ids || em_model_get_info(model, &info) != EM_OK)
        stop(argc == 2 ? em_last_error() : "one argument: a checkpoint's directory");
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "reset\n") == 0) {
            em_generation_reset(g);
            continue;
        }
        if (sscanf(line, "%ld %ld %ld", &context, &sequences, &tokens) != 3 || context < 1 || context > MAX_CONTEXT ||
            sequences < 1 || sequences > MAX_SEQUENCES)
            stop("a line is CONTEXT SEQUENCES TOKENS");
        for (long i = 0; i < sequences; i++) {
            int32_t *at = ids + i * MAX_CONTEXT;
            fill(at, (size_t)context, info.vocabulary, 1 + (unsigned)i);
            prompts[i] = (em_prompt){at, (size_t)context};
        }
        answer(g, prompts, (size_t)sequences, tokens);
    }
    free(ids);
    em_generation_free(g);
    em_model_close(&model);
    return 0;
}
