/* Help, printed from the command tables: examples first, because that is what a reader looks for. */
#include "cli/cli.h"

#include <string.h>

enum { COLUMN = 26 };

/* Each line of `text` indented by two. */
static void print_indented(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        printf("  %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void print_option(const cli_option *o)
{
    char left[80];
    const char *argument = o->argument ? o->argument : "";
    if (o->letter)
        snprintf(left, sizeof left, "-%c, --%s %s", o->letter, o->name, argument);
    else
        snprintf(left, sizeof left, "    --%s %s", o->name, argument);
    size_t length = strlen(left);
    if (length && left[length - 1] == ' ')
        left[--length] = '\0';
    if (length > COLUMN)
        printf("  %s\n  %*s  %s\n", left, COLUMN, "", o->help);
    else
        printf("  %-*s  %s\n", COLUMN, left, o->help);
}

void cli_help_command(const cli_command *command)
{
    printf("emily %s: %s\n\nExamples\n", command->name, command->summary);
    print_indented(command->examples);
    printf("\nUsage\n  emily %s %s%s[OPTION ...]\n\nOptions\n", command->name, command->operands,
           *command->operands ? " " : "");
    for (const cli_option *o = command->options; o->name; o++)
        print_option(o);
    printf("  %-*s  %s\n", COLUMN, "-h, --help", "this page");
    if (command->notes) {
        printf("\nNotes\n");
        print_indented(command->notes);
    }
}

void cli_help_all(void)
{
    printf("emily runs Hugging Face transformer checkpoints on this machine.\n\nExamples\n");
    print_indented("emily chat Qwen/Qwen3-0.6B\n"
                   "emily pull sentence-transformers/all-MiniLM-L6-v2\n"
                   "emily search all-MiniLM-L6-v2 notes.txt \"how do plants make energy\" -k 3\n"
                   "emily embed all-MiniLM-L6-v2 \"A man is eating food.\"\n");
    printf("\nCommands\n");
    for (const cli_command *const *c = cli_commands; *c; c++)
        printf("  %-13s  %s\n", (*c)->name, (*c)->summary);
    printf("\n");
    print_indented("MODEL is a directory, a name in the Hugging Face cache, or org/name[@revision].\n"
                   "`emily help COMMAND` shows examples and options; `man emily` tells everything.\n");
    printf("\nExit codes\n");
#define ROW(name, code, text) printf("  %3d  %s\n", code, text);
    CLI_EXIT_MAP(ROW)
#undef ROW
}
