/*
 * Where results go: standard output, or a file that appears whole or not at all.
 *
 * A regular file is written beside its final place and renamed at the end; devices and pipes are written directly.
 */
#ifndef EMILY_CLI_OUTPUT_H
#define EMILY_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/str.h"
#include "io/file.h"

typedef struct cli_output {
    FILE *file;
    em__writer writer; /* under the file; not open for standard output, devices and pipes */
    const char *name;  /* for messages */
} cli_output;

/* `path` NULL or "-" is standard output. CLI_OK, or an exit code after a message. */
int cli_output_open(cli_output *out, const char *path);

/* Pushes what was written so far; the exit code tells whether all of it could be. */
int cli_output_flush(cli_output *out);

/* Flushes, closes, gives the file its name. */
int cli_output_finish(cli_output *out);

/* Closes and removes the unfinished file. Fine after finish, and on a zeroed cli_output. */
void cli_output_abandon(cli_output *out);

/* Adds `text` as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD. */
em_status cli_json_string(em__str *out, const char *text, size_t length);

/* `printed`, how `value` looks in digits, or "null": JSON has no word for what is not a number, nor for infinity. */
const char *cli_json_number(double value, const char *printed);

/* Adds `text` for people: one line, control characters and invalid UTF-8 replaced, cut after `columns` characters. */
em_status cli_plain_text(em__str *out, const char *text, size_t length, size_t columns);

#endif
