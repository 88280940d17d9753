/*
 * The handlers only call what is safe in a handler: write, unlink, _exit. The path lives in static storage, and the
 * flag that publishes it is set after it is whole.
 */
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static char unfinished[PATH_MAX];
static volatile sig_atomic_t has_unfinished, line_drawn, hold, waiting;

static volatile sig_atomic_t has_terminal, pasting;
static struct termios terminal;
static void (*volatile interrupt)(void);

static const char paste_on[] = "\033[?2004h", paste_off[] = "\033[?2004l";

static void stop(int number)
{
    static const char wipe[] = "\r\033[K";
    if (number == SIGINT && interrupt) {
        interrupt();
        return;
    }
    if (hold) {
        waiting = number;
        return;
    }
    if (line_drawn && write(STDERR_FILENO, wipe, sizeof wipe - 1) < 0)
        line_drawn = 0;
    if (has_unfinished)
        unlink(unfinished);
    if (pasting && write(STDOUT_FILENO, paste_off, sizeof paste_off - 1) < 0)
        pasting = 0;
    if (has_terminal)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
    _exit(128 + number);
}

/* A closed standard stream would lend its number to the next file opened, and results would land in that file. */
static void hold_standard_streams(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

void cli_signals_install(void)
{
    hold_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file that may grow no further is a failed write, which cleans up and says so */
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct sigaction old;
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    sigaction(SIGPIPE, &action, NULL); /* a reader that leaves ends us quietly, even if our parent ignored the signal */
}

bool cli_signals_unfinished(const char *path)
{
    has_unfinished = 0;
    if (!path)
        return true;
    size_t length = strlen(path);
    if (length >= sizeof unfinished)
        return false;
    memcpy(unfinished, path, length + 1);
    has_unfinished = 1;
    return true;
}

void cli_signals_hold(bool held)
{
    hold = held;
    if (!held && waiting)
        stop(waiting);
}

void cli_signals_interrupt(void (*fn)(void))
{
    interrupt = fn;
}

bool cli_signals_waiting(void)
{
    return waiting != 0;
}

void cli_signals_terminal(void)
{
    has_terminal = tcgetattr(STDIN_FILENO, &terminal) == 0;
}

void cli_signals_pasting(bool marked)
{
    if (marked != (pasting != 0))
        fwrite(marked ? paste_on : paste_off, 1, sizeof paste_on - 1, stdout);
    fflush(stdout);
    pasting = marked;
}

void cli_signals_line(bool drawn)
{
    line_drawn = drawn;
}
