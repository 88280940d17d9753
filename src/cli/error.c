/*
 * How a command fails: `emily: <message>`, then the next step, indented. Texts may quote hostile file contents, so
 * control characters never reach the terminal. Nothing here allocates.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "core/cause.h"
#include "core/error.h"

enum { INDENT = 7 }; /* the width of "emily: " */

/* Prints lines after the first indented under it. */
static void put_text(const char *text)
{
    for (; *text; text++) {
        const size_t control = em__control(text);
        if (*text == '\n' && text[1])
            fprintf(stderr, "\n%*s", INDENT, "");
        else
            fputc(!control ? *text : *text == '\t' ? ' ' : '?', stderr);
        text += control > 1; /* its second byte */
    }
    fputc('\n', stderr);
}

const char *cli_color(FILE *file, const char *sequence)
{
    static char text[2][16];
    static unsigned turn;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if ((no_color && *no_color) || !term || strcmp(term, "dumb") == 0 || !isatty(fileno(file)))
        return "";
    char *slot = text[turn++ % 2];
    snprintf(slot, sizeof text[0], "\033[%sm", sequence);
    return slot;
}

static void vsay(const char *color, const char *prefix, const char *format, va_list args)
{
    char text[2048];
    cli_progress_hide();
    vsnprintf(text, sizeof text, format, args);
    const char *on = color ? cli_color(stderr, color) : "", *off = color ? cli_color(stderr, "0") : "";
    fprintf(stderr, "%s%s%s", on, prefix, off);
    put_text(text);
}

int cli_fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay("1;31", "emily: ", format, args);
    va_end(args);
    return code;
}

void cli_hint(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay(NULL, "       ", format, args);
    va_end(args);
}

void cli_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsay("1", "emily: note: ", format, args);
    va_end(args);
}

int cli_exit_code(em_status status)
{
    switch (status) {
    case EM_OK: return CLI_OK;
    case EM_ERROR_INVALID_ARGUMENT: return CLI_USAGE;
    case EM_ERROR_OUT_OF_MEMORY: return CLI_MEMORY;
    case EM_ERROR_FORMAT: return CLI_FORMAT;
    case EM_ERROR_UNSUPPORTED: return CLI_UNSUPPORTED;
    case EM_ERROR_NOT_FOUND: return CLI_NOT_FOUND;
    case EM_ERROR_NETWORK: return CLI_NETWORK;
    case EM_ERROR_CANCELLED: return CLI_INTERRUPTED;
    case EM_ERROR_IO:
    case EM_ERROR_BUSY:
    case EM_ERROR_STOPPED:
    case EM_ERROR_INTERNAL: break;
    }
    return CLI_FAILURE;
}

/* From `next` on, each part behind a semicolon has its line. */
int cli_fail_text(int code, const char *text, size_t next)
{
    char lines[2048];
    snprintf(lines, sizeof lines, "%s", text);
    for (char *at = next ? lines + next - 2 : NULL; next < sizeof lines && at && (at = strstr(at, "; "));) {
        *at = '\n';
        memmove(at + 1, at + 2, strlen(at + 2) + 1);
    }
    return cli_fail(code, "%s", lines);
}

size_t cli_last_next(void)
{
    return em__last_next() ? (size_t)(em__last_next() - em_last_error()) : 0;
}

/* All that a command computes is of a model: what is no number is the model's, not of the command line. */
static int last_code(void)
{
    const em_status status = em_last_status();
    return status == EM_OK ? CLI_FAILURE : em__last_cause() == EM__CAUSE_NO_NUMBER ? CLI_FORMAT : cli_exit_code(status);
}

int cli_fail_last(void)
{
    const char *text = *em_last_error() ? em_last_error() : em_status_text(em_last_status());
    return cli_fail_text(last_code(), text, cli_last_next());
}

int cli_fail_given(void)
{
    const int code = cli_fail_last();
    return code == CLI_USAGE ? CLI_FAILURE : code;
}

int cli_fail_errno(const char *what)
{
    int error = errno;
    return cli_fail(error == ENOENT   ? CLI_NOT_FOUND
                    : error == ENOMEM ? CLI_MEMORY
                                      : CLI_FAILURE,
                    "%s: %s", *what ? what : "\"\" (an empty name)", strerror(error));
}
