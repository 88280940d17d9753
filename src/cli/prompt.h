/* The prompt of `emily generate`: token ids as they stand, or a text by way of chat template and tokenizer. */
#ifndef EMILY_CLI_PROMPT_H
#define EMILY_CLI_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include <emily/model.h>

#include "cli/cli.h"

typedef EM__VEC(int32_t) cli_ids;

typedef struct cli_prompt {
    const char *ids; /* "1,2,3"; NULL: the text is the second operand, or standard input */
    const char *system;
    const cli_words *variables; /* of the chat template, NAME=JSON */
    bool raw, no_think;         /* raw: no chat template */
} cli_prompt;

/* The prompt's ids behind what is in `ids`, which the caller frees. CLI_OK, or an exit code after a message. */
int cli_prompt_read(const cli_prompt *how, const em_model *model, const cli_words *operands, cli_ids *ids);

#endif
