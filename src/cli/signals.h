/* Ctrl-C and its kin, a reader that leaves among them: stop at once, exit with 128 and the signal's number (130), leave
 * no half file and no half-drawn progress line. */
#ifndef EMILY_CLI_SIGNALS_H
#define EMILY_CLI_SIGNALS_H

#include <stdbool.h>

void cli_signals_install(void);

/* The file to remove should the process be interrupted; NULL: none. At most one at a time. False when the path is too
 * long to remember. */
bool cli_signals_unfinished(const char *path);

/* While held, an interruption waits until it is released: for work that cleans up after itself and is short. */
void cli_signals_hold(bool held);

/* From now on Ctrl-C calls `fn` instead of ending the process; NULL: it ends it again. `fn` runs in the handler: it may
 * only do what is safe there. */
void cli_signals_interrupt(void (*fn)(void));

/* Whether an interruption waits. */
bool cli_signals_waiting(void);

/* Remembers how the terminal is set, to set it so again should the process be interrupted. */
void cli_signals_terminal(void);

/* Whether the terminal marks what is pasted; an interruption ends that. */
void cli_signals_pasting(bool marked);

/* Whether a progress line is on the terminal, to be wiped when interrupted. */
void cli_signals_line(bool drawn);

#endif
