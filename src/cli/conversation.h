/*
 * A conversation as the command line builds it: messages, and the variables that its template sees. Kept as JSON, which
 * is what templates take.
 */
#ifndef EMILY_CLI_CONVERSATION_H
#define EMILY_CLI_CONVERSATION_H

#include <emily/template.h>

#include <jansson.h>

#include "cli/cli.h"

typedef struct cli_conversation {
    json_t *messages, *variables;
    char *text, *variable_text; /* of the latest cli_conversation_options */
    bool no_think;              /* enable_thinking is false by --no-think */
} cli_conversation;             /* zero-initialise */

/* `variables` are NAME=JSON (a value that is no JSON is a string). CLI_OK, or an exit code after a message. */
int cli_conversation_init(cli_conversation *conversation, const char *command, const char *system,
                          const cli_words *variables, bool think);
void cli_conversation_free(cli_conversation *conversation);

int cli_conversation_add(cli_conversation *conversation, const char *role, const char *text, size_t length);

/* Notes the variables that the template does not look at: they have no effect. */
void cli_conversation_notes(const cli_conversation *conversation, const em_chat_template *chat);

/* The text of the system's message; NULL when the conversation has none. */
const char *cli_conversation_system(const cli_conversation *conversation);

/* Forgets all but the system's message. */
void cli_conversation_clear(cli_conversation *conversation);

/* Drops the last message. */
void cli_conversation_drop(cli_conversation *conversation);

/* What a template takes, with the texts owned by the conversation until the next call. */
int cli_conversation_options(cli_conversation *conversation, em_chat_options *options);

#endif
