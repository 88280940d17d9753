/* See foreign.h. The words are those of llama.cpp, Transformers, sentence-transformers, mlx-lm and huggingface-cli. */
#include "cli/foreign.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define OF_WRITERS "chat generate"
#define MODEL "MODEL stands right after the command, without an option"
#define PROMPT "the prompt stands after MODEL, without an option; or it is read from standard input"
#define GPU "--device cuda runs all of the model there"
#define TOKENS "here it is --max-tokens N, or -n N"
#define CONTEXT "here it is --context N"
#define TALK "`emily chat MODEL` is a conversation"
#define LOG "EMILY_LOG=info in the environment tells more"

static const struct {
    const char *commands; /* NULL: all */
    const char *name;
    const char *hint;
} options[] = {
    {NULL, "m", MODEL},
    {NULL, "model", MODEL},
    {NULL, "gpu", GPU},
    {NULL, "cuda", GPU},
    {NULL, "n-gpu-layers", GPU},
    {NULL, "gpu-layers", GPU},
    {NULL, "ngl", GPU},
    {NULL, "v", LOG},
    {NULL, "verbose", LOG},
    {NULL, "num-threads", "here it is --threads N, or -t N"},
    {"generate", "p", PROMPT},
    {"generate", "prompt", PROMPT},
    {"generate", "f", "a prompt in a file is read from standard input: emily generate MODEL < FILE"},
    {"generate", "file", "a prompt in a file is read from standard input: emily generate MODEL < FILE"},
    {"generate", "i", TALK},
    {"generate", "interactive", TALK},
    {"generate", "conversation", TALK},
    {"generate", "cnv", TALK},
    {"generate", "no-cnv", "--raw goes on from the text itself"},
    {"generate", "no-conversation", "--raw goes on from the text itself"},
    {"generate", "num-return-sequences", "here it is --answers N"},
    {"chat", "p", "`emily generate MODEL PROMPT` answers a single prompt"},
    {"chat", "prompt", "`emily generate MODEL PROMPT` answers a single prompt"},
    {OF_WRITERS, "max-new-tokens", TOKENS},
    {OF_WRITERS, "n-predict", TOKENS},
    {OF_WRITERS, "predict", TOKENS},
    {OF_WRITERS, "num-predict", TOKENS},
    {OF_WRITERS, "c", CONTEXT},
    {OF_WRITERS, "ctx-size", CONTEXT},
    {OF_WRITERS, "num-ctx", CONTEXT},
    {OF_WRITERS, "n-ctx", CONTEXT},
    {OF_WRITERS, "max-model-len", CONTEXT},
    {OF_WRITERS, "repeat-penalty", "here it is --repetition-penalty X"},
    {OF_WRITERS, "system-prompt", "here it is --system TEXT, or -s TEXT"},
    {OF_WRITERS, "sys", "here it is --system TEXT, or -s TEXT"},
    {OF_WRITERS, "do-sample", "a --temperature above 0 draws"},
    {OF_WRITERS, "greedy", "--temperature 0 takes the most likely token"},
    {"embed", "batch-size", "here it is --batch N; no vector depends on it"},
    {"embed", "normalize-embeddings", "here it is --normalize"},
    {"search", "top-k", "here it is --top N, or -k N"},
    {"search", "n", "here it is --top N, or -k N"},
    {"pull", "local-dir", "--cache DIR is another cache to put it in"},
    {"pull", "cache-dir", "here it is --cache DIR"},
    {"pull", "token", "HF_TOKEN in the environment is the token"},
    {"quantize", "q-bits", "here it is --bits N, or -b N"},
    {"quantize", "q-group-size", "here it is --group N, or -g N"},
    {"quantize", "q-mode", "here it is --mode, or -m"},
    {"quantize", "o", "DIRECTORY stands after MODEL, without an option"},
    {"quantize", "output", "DIRECTORY stands after MODEL, without an option"},
    {"quantize", "mlx-path", "DIRECTORY stands after MODEL, without an option"},
};

static const char *const commands[][2] = {
    {"run", "chat"},         {"download", "pull"},       {"encode", "embed"},      {"embedding", "embed"},
    {"embeddings", "embed"}, {"convert", "quantize"},    {"ppl", "perplexity"},    {"show", "info"},
    {"inspect", "info"},     {"completion", "generate"}, {"complete", "generate"},
};

/* "max_tokens" is "max-tokens" too. */
static bool same(const char *name, const char *typed)
{
    size_t i = 0;
    for (; name[i] && typed[i]; i++)
        if (name[i] != typed[i] && !(name[i] == '-' && typed[i] == '_'))
            return false;
    return name[i] == typed[i];
}

static bool is_of(const char *list, const char *command)
{
    const size_t length = strlen(command);
    for (const char *at = list; at && (at = strstr(at, command)); at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return !list;
}

const char *cli_foreign_option(const char *command, const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (same(options[i].name, name) && is_of(options[i].commands, command))
            return options[i].hint;
    return NULL;
}

const char *cli_foreign_command(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i][0], word) == 0)
            return commands[i][1];
    return NULL;
}
