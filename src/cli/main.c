/*
 * emily: the command. Finds the verb, lets its table parse the line, runs it, and makes sure that what it printed
 * arrived. The locale stays "C": numbers and bytes look the same everywhere.
 */
#include <stdlib.h>
#include <string.h>

#include <emily/log.h>

#include "cli/args.h"
#include "cli/foreign.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "core/alloc.h"

const cli_command *const cli_commands[] = {
    &cli_chat,     &cli_generate,      &cli_embed,      &cli_search, &cli_info,
    &cli_tokenize, &cli_chat_template, &cli_perplexity, &cli_bench,  &cli_pull,
    &cli_quantize, &cli_devices,       &cli_version,    &cli_help,   NULL,
};

const cli_command *cli_command_find(const char *name)
{
    for (const cli_command *const *c = cli_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static int unknown_command(const char *word)
{
    const char *names[32];
    size_t count = 0;
    for (const cli_command *const *c = cli_commands; *c && count < 32; c++)
        names[count++] = (*c)->name;
    const char *known = cli_foreign_command(word), *near = known ? known : cli_nearest(word, names, count);
    cli_fail(CLI_USAGE, "unknown command %s", word);
    if (near)
        cli_hint("did you mean `emily %s`? `emily help` lists them all", near);
    else
        cli_hint("`emily help` lists them all");
    return CLI_USAGE;
}

static int help_run(const void *values, const cli_words *operands)
{
    (void)values;
    if (operands->length == 0) {
        cli_help_all();
        return CLI_OK;
    }
    const cli_command *command = cli_command_find(operands->data[0]);
    if (!command)
        return unknown_command(operands->data[0]);
    cli_help_command(command);
    return CLI_OK;
}

static const cli_option no_options[] = {{NULL}};

const cli_command cli_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "examples and options of a command",
    .examples = "emily help\n"
                "emily help embed\n",
    .options = no_options,
    .most = 1,
    .run = help_run,
};

static int run_command(const cli_command *command, int argc, char **argv)
{
    cli_words operands = {0};
    void *values = em__calloc(1, command->values_size);
    if (!values)
        return cli_fail_last();
    int code = cli_parse(command, argc, argv, values, &operands);
    if (code == CLI_GO_ON)
        code = command->run(values, &operands);
    cli_parse_free(command, values, &operands);
    em__free(values);
    return code;
}

/* Results that could not be written are a failure, even when everything else went well. */
static int finish(int code)
{
    cli_output out = {.file = stdout, .name = "standard output"};
    int flushed = cli_output_flush(&out);
    return code == CLI_OK ? flushed : code;
}

static void say(em_log_level level, const char *message, void *user)
{
    (void)level;
    (void)user;
    cli_note("%s", message);
}

/* What the library warns of is told, unless EMILY_LOG says what of it is to be. */
static void listen(void)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    const char *wanted = getenv("EMILY_LOG");
    bool known = false;
    for (size_t i = 0; wanted && i < sizeof levels / sizeof *levels; i++)
        known = known || strcmp(wanted, levels[i]) == 0;
    if (known)
        return;
    em_log_set(say, EM_LOG_WARN, NULL);
    if (wanted && *wanted)
        cli_note("EMILY_LOG=%s is none of error, warn, info, debug", wanted);
}

int main(int argc, char **argv)
{
    cli_signals_install();
    listen();
    if (argc < 2) {
        cli_fail(CLI_USAGE, "a command is missing");
        cli_hint("`emily help` lists them; for example: emily embed MODEL \"A man is eating food.\"");
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        word = "version";
    const cli_command *command = cli_command_find(word);
    return command ? finish(run_command(command, argc - 2, argv + 2)) : unknown_command(word);
}
