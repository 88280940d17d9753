/*
 * The line is drawn after half a second of work and redrawn ten times a second at most:
 *
 *     embedding [########............] 41 %  1234 texts  12 s left
 *
 * A long prompt's line is drawn at once: the first chunk of it may take a large model seconds.
 */
#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/signals.h"
#include "core/log.h"

enum { BAR = 20, WIDE = 60, LONG_PROMPT = 256 };
#define FIRST_AFTER 500000000u
#define REDRAW_AFTER 100000000u

static bool on_screen;

void cli_progress_begin(cli_progress *progress, const char *label)
{
    const char *term = getenv("TERM");
    *progress = (cli_progress){.label = label, .began = em__now()};
    progress->wanted = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static void format_left(char *out, size_t size, double seconds)
{
    if (seconds < 90)
        snprintf(out, size, "  %.0f s left", seconds);
    else if (seconds < 5400)
        snprintf(out, size, "  %.0f min left", seconds / 60);
    else
        snprintf(out, size, "  %.1f h left", seconds / 3600);
}

/* Adds a piece that still fits; those behind one that does not are left out, too. */
static bool add_piece(char *line, size_t columns, const char *piece)
{
    const size_t length = strlen(line), more = strlen(piece);
    if (length + more > columns)
        return false;
    memcpy(line + length, piece, more + 1);
    return true;
}

static size_t count_columns(void)
{
    struct winsize window = {0};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1u : 79;
}

/* label, bar, share, detail, time left: of a narrow terminal's line first the bar is left out, then what is last. */
static void draw(const cli_progress *progress, double fraction, const char *detail, double elapsed)
{
    char line[256] = "", pieces[4][96] = {""};
    const size_t window = count_columns(), columns = window < sizeof line ? window : sizeof line - 1;
    fraction = fraction > 1 ? 1 : fraction;
    snprintf(pieces[0], sizeof pieces[0], "%s", progress->label);
    snprintf(pieces[2], sizeof pieces[2], "  %s", detail);
    if (fraction >= 0) {
        const size_t full = (size_t)(fraction * BAR);
        char bar[BAR + 1] = "....................";
        memset(bar, '#', full);
        if (columns < WIDE)
            snprintf(pieces[1], sizeof pieces[1], " %.0f %%", 100 * fraction);
        else
            snprintf(pieces[1], sizeof pieces[1], " [%s] %2.0f %%", bar, 100 * fraction);
        if (fraction > 0.01)
            format_left(pieces[3], sizeof pieces[3], elapsed / fraction - elapsed);
    } else {
        snprintf(pieces[3], sizeof pieces[3], "  %.0f s", elapsed);
    }
    for (int i = 0; i < 4 && add_piece(line, columns, pieces[i]); i++)
        ;
    cli_signals_line(true); /* before: a signal in between would leave the line */
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    on_screen = true;
}

void cli_progress_update(cli_progress *progress, double fraction, const char *detail)
{
    if (!progress->wanted)
        return;
    uint64_t now = em__now();
    if ((now - progress->began < FIRST_AFTER && !progress->at_once) || now - progress->drawn < REDRAW_AFTER)
        return;
    progress->drawn = now;
    draw(progress, fraction, detail, (double)(now - progress->began) * 1e-9);
}

bool cli_progress_prompt(cli_progress *progress, size_t done, size_t total)
{
    char detail[64];
    if (done == 0) {
        cli_progress_begin(progress, "reading");
        progress->at_once = total >= LONG_PROMPT;
    }
    snprintf(detail, sizeof detail, "%zu of %zu tokens", done, total);
    if (done < total)
        cli_progress_update(progress, (double)done / (double)total, detail);
    else
        cli_progress_end(progress);
    return true;
}

void cli_progress_hide(void)
{
    if (!on_screen)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    on_screen = false;
    cli_signals_line(false);
}

void cli_progress_end(cli_progress *progress)
{
    progress->wanted = false;
    cli_progress_hide();
}
