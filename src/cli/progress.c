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

enum { BAR = 20, LONG_PROMPT = 256 };
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

static void draw(const cli_progress *progress, double fraction, const char *detail, double elapsed)
{
    char bar[BAR + 1], left[40] = "", line[256];
    if (fraction >= 0) {
        fraction = fraction > 1 ? 1 : fraction;
        size_t full = (size_t)(fraction * BAR);
        memset(bar, '.', BAR);
        memset(bar, '#', full);
        bar[BAR] = '\0';
        if (fraction > 0.01)
            format_left(left, sizeof left, elapsed / fraction - elapsed);
        snprintf(line, sizeof line, "%s [%s] %2.0f %%  %s%s", progress->label, bar, 100 * fraction, detail, left);
    } else {
        snprintf(line, sizeof line, "%s  %s  %.0f s", progress->label, detail, elapsed);
    }
    struct winsize window = {0};
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 ? window.ws_col - 1 : 79;
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
    on_screen = true;
    cli_signals_line(true);
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
