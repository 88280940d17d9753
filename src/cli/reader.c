/*
 * Records of a file or pipe, or all of it. Each byte is scanned once, however long a record is; a record has a limit,
 * so that a file without any delimiter ends in a message instead of in all the memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/input.h"
#include "core/alloc.h"

enum { CHUNK = 1 << 16 };

int cli_reader_open(cli_reader *reader, const char *path, char delimiter)
{
    *reader = (cli_reader){.fd = STDIN_FILENO,
                           .most = CLI_MOST_TEXT,
                           .name = "standard input",
                           .delimiter = delimiter,
                           .hint = "texts are split at newlines, or at NUL bytes with --null"};
    if (strcmp(path, "-") != 0) {
        reader->name = path;
        reader->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (reader->fd < 0)
            return cli_fail_errno(path);
    }
    struct stat info;
    if (fstat(reader->fd, &info) != 0)
        return cli_fail_errno(reader->name);
    if (S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return cli_fail_errno(reader->name);
    }
    reader->total = S_ISREG(info.st_mode) && info.st_size > 0 ? (uint64_t)info.st_size : 0;
    return CLI_OK;
}

void cli_reader_close(cli_reader *reader)
{
    if (reader->fd > STDIN_FILENO)
        close(reader->fd);
    em__free(reader->data);
    reader->data = NULL;
    reader->fd = -1;
}

/* Moves what waits to the front and makes room for a chunk. */
static bool make_room(cli_reader *reader)
{
    if (reader->start) {
        memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
        reader->scanned -= reader->start;
        reader->end -= reader->start;
        reader->start = 0;
    }
    if (reader->end > reader->most) {
        cli_fail(CLI_FORMAT, "%s: a text is longer than %zu MB", reader->name, reader->most >> 20);
        cli_hint("%s", reader->hint);
        return false;
    }
    if (em__vec_grow(&reader->data, reader->end, &reader->capacity, CHUNK, 1) == EM_OK)
        return true;
    cli_fail_last();
    return false;
}

static bool must_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

static bool read_more(cli_reader *reader)
{
    if (!make_room(reader))
        return false;
    ssize_t n;
    do {
        n = read(reader->fd, reader->data + reader->end, CHUNK);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        cli_fail_errno(reader->name);
        return false;
    }
    reader->end += (size_t)n;
    reader->ended = n == 0;
    return true;
}

/* A line that ends in CR LF, as those of other systems do, is the line without. */
static cli_read hand_out(cli_reader *reader, size_t length, const char **text, size_t *out_length)
{
    const bool ends = reader->start + length < reader->end;
    *text = reader->data + reader->start;
    *out_length = length - (ends && reader->delimiter == '\n' && length > 0 && (*text)[length - 1] == '\r');
    reader->start += length + ends;
    reader->taken += length + 1;
    reader->scanned = reader->start;
    return CLI_READ_RECORD;
}

cli_read cli_reader_next(cli_reader *reader, bool wait, const char **text, size_t *length)
{
    for (;;) {
        char *from = reader->data + reader->scanned;
        char *hit =
            reader->end > reader->scanned ? memchr(from, reader->delimiter, reader->end - reader->scanned) : NULL;
        if (hit)
            return hand_out(reader, (size_t)(hit - reader->data) - reader->start, text, length);
        reader->scanned = reader->end;
        if (reader->ended) /* the last record may lack its delimiter */
            return reader->end > reader->start ? hand_out(reader, reader->end - reader->start, text, length)
                                               : CLI_READ_END;
        if (!wait && must_wait(reader->fd))
            return CLI_READ_WAIT;
        if (!read_more(reader))
            return CLI_READ_ERROR;
    }
}

int cli_read_all(em__str *text, size_t most)
{
    char bytes[CHUNK];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cli_fail_errno("standard input");
        if (n == 0)
            return CLI_OK;
        if (text->length + (size_t)n > most) {
            cli_fail(CLI_FAILURE, "standard input: more than %zu MB", most >> 20);
            cli_hint("it is read as one text; give less of it");
            return CLI_FAILURE;
        }
        if (em__str_add(text, bytes, (size_t)n) != EM_OK)
            return cli_fail_last();
    }
}
