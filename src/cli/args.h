/* The parser over a command's option table. */
#ifndef EMILY_CLI_ARGS_H
#define EMILY_CLI_ARGS_H

#include "cli/cli.h"

/* Fills `values` (zeroed, values_size bytes) and `operands` from argv[0 .. argc - 1], the words after the command's
 * name. CLI_GO_ON, or the exit code: 0 when help was asked for and printed, 2 after a message. Values point into
 * argv. */
int cli_parse(const cli_command *command, int argc, char **argv, void *values, cli_words *operands);

/* Frees the lists that cli_parse made. */
void cli_parse_free(const cli_command *command, void *values, cli_words *operands);

#endif
