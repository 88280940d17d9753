/* A chat under way: the conversation, what answers it, and where lines come from. */
#ifndef EMILY_CLI_CHATTING_H
#define EMILY_CLI_CHATTING_H

#include <emily/generation.h>

#include "cli/conversation.h"
#include "cli/line.h"
#include "cli/progress.h"
#include "cli/sampling.h"
#include "cli/session.h"

typedef struct cli_chat_values {
    cli_session_values session;
    cli_sampling_values sampling;
    const char *system;
    cli_words variables;
    int no_think, stats;
} cli_chat_values;

typedef struct cli_chatting {
    const cli_chat_values *values;
    em_model *model;
    em_generation *generation;
    cli_sampling sampling;
    cli_conversation conversation;
    cli_line *line;
    cli_progress progress;
    bool stats, leave;
} cli_chatting;

enum { CLI_NOT_ANSWERED = -2 }; /* not an exit code: Ctrl-C came before the first word */

/* Answers the conversation as it stands. Unless it is CLI_OK, nothing was added to it. (cmd_chat.c) */
int cli_chatting_answer(cli_chatting *c);

/* Does what a line says that began with a slash, which is left out; an exit code after a message. */
int cli_chatting_command(cli_chatting *c, const char *line);

#endif
