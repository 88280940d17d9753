/* Words that other tools have for what is called otherwise here: the next step of those who come from there. */
#ifndef EMILY_CLI_FOREIGN_H
#define EMILY_CLI_FOREIGN_H

/* What to write for an option (without its dashes) that the command does not have; NULL: nothing is known of it. */
const char *cli_foreign_option(const char *command, const char *name);

/* The command that does what is called `word` elsewhere; NULL: none is known. */
const char *cli_foreign_command(const char *word);

#endif
