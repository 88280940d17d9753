/* Which options go together, and with which kind of model: what would be ignored is refused, with the next step. */
#ifndef EMILY_CLI_RULES_H
#define EMILY_CLI_RULES_H

#include <emily/model.h>

#include "cli/cli.h"

/* What the command line alone shows. CLI_GO_ON, or CLI_USAGE after a message. */
int cli_rules_check(const cli_command *command, const void *values);

/* What depends on the opened model. CLI_OK, or an exit code after a message. */
int cli_rules_check_model(const cli_command *command, const void *values, const em_model *model);

#endif
