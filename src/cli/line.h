/*
 * Lines that a person types, with editing and history where standard input is a terminal and libedit can be opened;
 * plain lines otherwise.
 */
#ifndef EMILY_CLI_LINE_H
#define EMILY_CLI_LINE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct cli_line cli_line;

/* `prompt` is static; shown only on a terminal. NULL when memory runs out. */
cli_line *cli_line_new(const char *prompt);
void cli_line_free(cli_line *line);

/* Is somebody typing? */
bool cli_line_person(const cli_line *line);

/* Whether input ended because it could not be read; a message was printed. */
bool cli_line_failed(const cli_line *line);

/* The next line without its newline, valid until the next call; a line that ends in a backslash goes on with the one
 * below it. NULL at the end of input. Ctrl-C abandons the line: an empty one comes; so does one for what was typed and
 * is not UTF-8, after a message. */
const char *cli_line_next(cli_line *line, size_t *length);

#endif
