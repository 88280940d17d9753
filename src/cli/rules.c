/*
 * See rules.h. An option that is in a command's table applies to it; this table says where it does not. What only does
 * nothing with the value of another, such as --top-k at temperature 0, is noted where that value is known (sampling.c).
 */
#include "cli/rules.h"

#include <string.h>

typedef enum rule_kind {
    NEEDS,       /* `option` is nothing without `other` */
    BARS,        /* `option` would be ignored because of `other` */
    OF_WRITERS,  /* `option` is for models that generate */
    OF_READERS,  /* `option` is for models that give vectors */
    OF_DECODERS, /* `option` is for decoders, whatever they give */
} rule_kind;

typedef struct rule {
    const char *command, *option;
    rule_kind kind;
    const char *other;
    const char *hint;
    size_t harmless; /* so much of `other`, a number, bars nothing */
} rule;

#define NO_TEMPLATE "the text goes through no chat template then, which is what would see it"
#define NO_TEXT "token ids go through no chat template, which is what would see it"
#define KEPT "without --rotate nothing is forgotten"
#define ONE_GUESSER "guesses are made for one answer at a time; leave one of them out"
#define OWN_DTYPE "its arithmetic is that of --dtype, without rounding of its own"
#define STILL "speculation needs a context that does not rotate; leave one of them out"

static const rule rules[] = {
    {"generate", "system", BARS, "raw", NO_TEMPLATE},
    {"generate", "no-think", BARS, "raw", NO_TEMPLATE},
    {"generate", "var", BARS, "raw", NO_TEMPLATE},
    {"generate", "system", BARS, "prompt-ids", NO_TEXT},
    {"generate", "no-think", BARS, "prompt-ids", NO_TEXT},
    {"generate", "var", BARS, "prompt-ids", NO_TEXT},
    {"generate", "logprobs", NEEDS, "json", "the JSON object is where they are written"},
    {"generate", "output", BARS, "json", "the JSON object has both, text and ids"},
    {"generate", "logits", BARS, "answers", "the logits of one answer are saved; leave one of them out", 1},
    {"generate", "speculate", BARS, "answers", ONE_GUESSER, 1},
    {"generate", "speculate", BARS, "rotate", STILL},
    {"generate", "keep", NEEDS, "rotate", KEPT},
    {"chat", "speculate", BARS, "rotate", STILL},
    {"chat", "keep", NEEDS, "rotate", KEPT},
    {"embed", "prompt-name", BARS, "prompt", "a text has one prompt; leave one of them out"},
    {"tokenize", "truncate", BARS, "max-tokens", "--max-tokens N cuts at N, --truncate where tokenizer.json says"},
    {"chat-template", "no-generation-prompt", BARS, "source", "--source prints the template as it is"},
    {"chat-template", "var", BARS, "source", "--source prints the template as it is"},
    {"chat-template", "documents", BARS, "source", "--source prints the template as it is"},
    {"bench", "shapes", OF_READERS, NULL, "--prefill, --decode and --batch say what it reads and writes"},
    {"bench", "prefill", OF_WRITERS, NULL, "--shapes BxT,... says how many texts of how many tokens"},
    {"bench", "decode", OF_WRITERS, NULL, "--shapes BxT,... says how many texts of how many tokens"},
    {"bench", "batch", OF_WRITERS, NULL, "--shapes BxT,... says how many texts of how many tokens"},
    {"bench", "exact", OF_DECODERS, NULL, OWN_DTYPE},
    {"embed", "exact", OF_DECODERS, NULL, OWN_DTYPE},
    {"search", "exact", OF_DECODERS, NULL, OWN_DTYPE},
};
enum { COUNT = sizeof rules / sizeof *rules };

/* Of an option that was not given 0, of a number its value, of others 1. */
static size_t amount(const cli_option *o, const void *values)
{
    const char *at = (const char *)values + o->offset;
    switch (o->kind) {
    case CLI_FLAG: return *(const int *)(const void *)at == o->value;
    case CLI_TEXT: return *(const char *const *)(const void *)at != NULL;
    case CLI_LIST: return ((const cli_words *)(const void *)at)->length > 0;
    case CLI_COUNT: return *(const size_t *)(const void *)at;
    case CLI_SIZE: return ((const cli_size *)(const void *)at)->given;
    case CLI_REAL: return ((const cli_real *)(const void *)at)->given;
    case CLI_CHOICE: return *(const int *)(const void *)at != 0;
    }
    return 0;
}

static size_t given(const cli_command *command, const void *values, const char *name)
{
    for (const cli_option *o = command->options; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return amount(o, values);
    return 0;
}

int cli_rules_check(const cli_command *command, const void *values)
{
    for (size_t i = 0; i < COUNT; i++) {
        const rule *r = &rules[i];
        if (!r->other || strcmp(r->command, command->name) != 0 || !given(command, values, r->option) ||
            (given(command, values, r->other) > r->harmless) == (r->kind == NEEDS))
            continue;
        if (r->kind == NEEDS)
            cli_fail(CLI_USAGE, "%s: --%s goes with --%s", command->name, r->option, r->other);
        else
            cli_fail(CLI_USAGE, "%s: --%s does not go with --%s", command->name, r->option, r->other);
        cli_hint("%s", r->hint);
        return CLI_USAGE;
    }
    return CLI_GO_ON;
}

int cli_rules_check_model(const cli_command *command, const void *values, const em_model *model)
{
    em_model_info info = {.struct_size = sizeof info};
    if (em_model_get_info(model, &info) != EM_OK)
        return cli_fail_last();
    const struct {
        bool holds;
        const char *of;
    } kinds[] = {[OF_WRITERS] = {info.generates, "models that generate"},
                 [OF_READERS] = {info.width > 0, "models that give vectors"},
                 [OF_DECODERS] = {info.token_bytes > 0, "decoders"}};
    for (size_t i = 0; i < COUNT; i++) {
        const rule *r = &rules[i];
        if (r->other || strcmp(r->command, command->name) != 0 || kinds[r->kind].holds ||
            !given(command, values, r->option))
            continue;
        cli_fail(CLI_USAGE, "%s: --%s is for %s, and %s is a %s model", command->name, r->option, kinds[r->kind].of,
                 info.path, info.family);
        cli_hint("%s", r->hint);
        return CLI_USAGE;
    }
    return CLI_OK;
}
