/*
 * Texts to work on: operands, or records (lines, or NUL-terminated with --null) of a file or standard input.
 *
 * They come in batches. A batch waits for its first text only: further ones join as long as they are there already,
 * so a slow writer is answered line by line and a fast one in full batches.
 */
#ifndef EMILY_CLI_INPUT_H
#define EMILY_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"
#include "core/str.h"

/* Bytes of a text, and of a prompt or message at most: the tokens of more would fill the memory, and no context. */
enum { CLI_MOST_TEXT = 256 << 20, CLI_MOST_PROMPT = 16 << 20 };

typedef struct cli_reader {
    int fd;           /* -1: closed */
    size_t most;      /* bytes of a record */
    const char *name; /* for messages */
    const char *hint; /* what to do about a record that is too long */
    char delimiter;
    char *data;                           /* bytes start .. end - 1 wait to be split */
    size_t start, scanned, end, capacity; /* no delimiter stands before `scanned` */
    bool ended;
    uint64_t taken, total; /* bytes handed out; file size, 0 when nobody knows */
} cli_reader;

typedef enum cli_read { CLI_READ_ERROR, CLI_READ_RECORD, CLI_READ_WAIT, CLI_READ_END } cli_read;

/* `path` "-" is standard input. CLI_OK, or an exit code after a message. */
int cli_reader_open(cli_reader *reader, const char *path, char delimiter);
void cli_reader_close(cli_reader *reader);

/* All of standard input, `most` bytes. CLI_OK, or an exit code after a message. */
int cli_read_all(em__str *text, size_t most);

/* The next record without its delimiter; the pointer is good until the next call. With `wait` false, CLI_READ_WAIT when
 * none is there yet. CLI_READ_ERROR comes after a message. */
cli_read cli_reader_next(cli_reader *reader, bool wait, const char **text, size_t *length);

/* Text `number` (from 1; `unit` is "line" or "text") of `name` (NULL: the command line) is looked at: the first that is
 * not UTF-8 is told of when it comes, for what is ill-formed in it is read as U+FFFD. `*ill` counts them; the end says
 * how many there were. */
void cli_ill_check(size_t *ill, const char *name, const char *unit, uint64_t number, const char *text, size_t length);
void cli_ill_end(size_t ill, size_t texts);

/* The same of one text of many lines. */
void cli_ill_check_lines(const char *name, const char *text, size_t length);

typedef struct cli_batch {
    em__str bytes;
    EM__VEC(size_t) ends; /* of text i in bytes */
    EM__VEC(const char *) texts;
    EM__VEC(size_t) lengths;
} cli_batch;

typedef struct cli_source {
    const cli_words *operands; /* the texts are operands first .. length - 1; NULL: the reader has them */
    size_t first, taken;
    size_t ill; /* of those taken: not UTF-8 */
    cli_reader reader;
    size_t most_texts, most_bytes; /* of a batch */
} cli_source;

/* Texts from the one file of `files` ("-": standard input) if there is any (it may be NULL), from operands first ..
 * otherwise; a single operand "-" is standard input too, and among several an error. Usage errors are reported for
 * `command`. */
int cli_source_open(cli_source *source, const char *command, const cli_words *operands, size_t first,
                    const cli_words *files, bool null);
void cli_source_close(cli_source *source); /* says how many of the texts were not UTF-8 */

/* Replaces the batch's texts by the next ones; none at the end. CLI_OK, or an exit code after a message. */
int cli_source_fill(cli_source *source, cli_batch *batch);

/* How much of the input was handed out, 0 .. 1; negative when its size is unknown. */
double cli_source_fraction(const cli_source *source);

void cli_batch_clear(cli_batch *batch);
em_status cli_batch_add(cli_batch *batch, const char *text, size_t length);
em_status cli_batch_point(cli_batch *batch); /* makes texts[] and lengths[] */
void cli_batch_free(cli_batch *batch);

#endif
