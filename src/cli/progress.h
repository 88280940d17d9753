/* One progress line on stderr for work that lasts, when stderr is a terminal; otherwise silence. */
#ifndef EMILY_CLI_PROGRESS_H
#define EMILY_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cli_progress {
    const char *label;
    bool wanted, at_once;  /* at_once: it will last, nobody need wait and see */
    uint64_t began, drawn; /* nanoseconds */
} cli_progress;

void cli_progress_begin(cli_progress *progress, const char *label);

/* `fraction` of the work that is done, negative when nobody can know; `detail` says it in the work's own unit. */
void cli_progress_update(cli_progress *progress, double fraction, const char *detail);

/* For on_prompt of a generation, whose `progress` is begun here: false never. The line is gone before an answer is
 * written. */
bool cli_progress_prompt(cli_progress *progress, size_t done, size_t total);

/* Wipes the line. */
void cli_progress_end(cli_progress *progress);

/* Wipes whatever line is drawn, so that a message can be printed. */
void cli_progress_hide(void);

#endif
