/*
 * What the commands of `emily` share: exit codes, the form of an error, the shape of a command.
 *
 * A command is data (name, operands, options, examples) and one function. The same tables drive the parser, the help,
 * and the test that holds the man page and the shell completions to them.
 */
#ifndef EMILY_CLI_CLI_H
#define EMILY_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <emily/status.h>

#include "core/vec.h"

/* name, code, meaning. Scripts rely on the codes: they are never renumbered. */
#define CLI_EXIT_MAP(X)                                                                                                \
    X(OK, 0, "success")                                                                                                \
    X(FAILURE, 1, "failure, such as a file that cannot be read or written")                                            \
    X(USAGE, 2, "the command line is wrong")                                                                           \
    X(FORMAT, 3, "a model or file is broken")                                                                          \
    X(NOT_FOUND, 4, "a model, file, tensor or device does not exist")                                                  \
    X(MEMORY, 5, "memory ran out")                                                                                     \
    X(NETWORK, 6, "a download failed")                                                                                 \
    X(UNSUPPORTED, 7, "valid, but not supported by this version")                                                      \
    X(INTERRUPTED, 130, "interrupted by Ctrl-C")

enum {
#define CLI_EXIT_ENUM(name, code, text) CLI_##name = code,
    CLI_EXIT_MAP(CLI_EXIT_ENUM)
#undef CLI_EXIT_ENUM
};

typedef EM__VEC(const char *) cli_words;

enum { CLI_GO_ON = -1 }; /* not an exit code: all is well so far, or somebody else has to decide */

typedef struct cli_size {
    bool given;
    size_t value;
} cli_size;

typedef struct cli_real {
    bool given;
    double value;
} cli_real;

typedef enum cli_kind {
    CLI_FLAG,   /* stores `value` in an int */
    CLI_TEXT,   /* const char * into argv */
    CLI_LIST,   /* cli_words: the option may be repeated */
    CLI_COUNT,  /* size_t between 1 and `value` */
    CLI_SIZE,   /* cli_size between 0 and `value`: for what may be 0 */
    CLI_REAL,   /* cli_real */
    CLI_CHOICE, /* int: 1 + the index of the word among those of `argument` */
} cli_kind;

/* One row of a command's option table; a row without a name ends it. In the values struct 0 means "not given". */
typedef struct cli_option {
    const char *name;     /* "format" for --format */
    char letter;          /* 'f' for -f; 0: none */
    const char *argument; /* "FILE"; a choice lists its words, "jsonl|npy|csv"; NULL for a flag */
    const char *help;
    cli_kind kind;
    size_t offset; /* of the member that it fills in the command's values */
    long value;
} cli_option;

typedef struct cli_command {
    const char *name;     /* "embed" */
    const char *operands; /* "MODEL [TEXT ...]" */
    const char *summary;  /* one line, lower case */
    const char *examples; /* command lines, one a line */
    const char *notes;    /* prose under the options; NULL: none */
    const cli_option *options;
    size_t least, most; /* operands */
    size_t values_size;
    int (*run)(const void *values, const cli_words *operands); /* returns the exit code */
} cli_command;

/* The commands in the order of `emily help`; NULL ends the list. */
extern const cli_command *const cli_commands[];
const cli_command *cli_command_find(const char *name);

/* Prints `emily: <message>` on stderr and returns `code`. Control characters in the text become '?'. */
int cli_fail(int code, const char *format, ...) EM_PRINTF(2, 3);

/* Prints the next step, indented under the message. */
void cli_hint(const char *format, ...) EM_PRINTF(1, 2);

/* `emily: note: <message>` on stderr: something the person should know, not an error. */
void cli_note(const char *format, ...) EM_PRINTF(1, 2);

/* The exit code of a status. */
int cli_exit_code(em_status status);

/* Fails with the library's last error and the exit code of its status. The next step goes to its own line. */
int cli_fail_last(void);

/* The same of what was given to a model, a prompt or messages: that it cannot be taken, say for its length, is a
 * failure and no fault of the command line. */
int cli_fail_given(void);

/* The same later: `text` is what em_last_error() was, `next` what this was: where the next step begins; 0: nowhere. */
int cli_fail_text(int code, const char *text, size_t next);
size_t cli_last_next(void);

/* The same with errno: "<what>: No such file or directory". */
int cli_fail_errno(const char *what);

/* The escape sequence (say "1;31") when `file` is a terminal that wants colour, else "". */
const char *cli_color(FILE *file, const char *sequence);

/* Help: all commands; one command. On stdout. */
void cli_help_all(void);
void cli_help_command(const cli_command *command);

/* The nearest of `count` names to a mistyped one, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *names, size_t count);

extern const cli_command cli_chat, cli_generate, cli_perplexity;
extern const cli_command cli_embed, cli_search, cli_tokenize, cli_chat_template;
extern const cli_command cli_info, cli_bench, cli_pull, cli_quantize, cli_devices, cli_version, cli_help;

#endif
