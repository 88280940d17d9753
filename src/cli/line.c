/*
 * See line.h. libedit is opened when a person types: other uses of the command need not load it. Characters are read
 * here, for libedit too: a read waits in ppoll, the only place where Ctrl-C comes through, and there it ends the line.
 * Where a terminal marks what is pasted, its lines are one message, to be looked at before Enter sends it.
 */
#include "cli/line.h"

#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/input.h"
#include "cli/signals.h"
#include "core/alloc.h"
#include "core/library.h"
#include "core/str.h"
#include "tokenizer/utf8.h"

typedef struct libedit {
    __typeof__(el_init) *init;
    __typeof__(el_set) *set;
    __typeof__(el_gets) *read;
    __typeof__(el_end) *end;
    __typeof__(el_resize) *resize;
    __typeof__(el_insertstr) *insert;
    __typeof__(history_init) *history_init;
    __typeof__(history_end) *history_end;
    __typeof__(history) *history;
} libedit;

struct cli_line {
    const char *prompt;
    bool person;
    libedit lib;
    EditLine *edit; /* NULL: plain lines */
    History *history;
    char *plain; /* of getline */
    size_t plain_size;
    cli_reader reader; /* where nobody types */
    bool failed;
    bool bracketed; /* the terminal says where what is pasted begins and ends */
    em__str text, pasted;
};

static volatile sig_atomic_t abandoned; /* Ctrl-C came while a line was read */
static bool ill_formed;                 /* a character of the line that is edited was none */
static cli_line *reading;               /* libedit calls back without a context */

static void abandon(void)
{
    abandoned = 1;
}

/* Waits for input; false when Ctrl-C came first. Outside the wait it is held back, so that it is never missed. */
static bool wait_for_input(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    sigset_t interrupt, before;
    int ready = -1;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    while (!abandoned && (ready = ppoll(&input, 1, NULL, &before)) < 0 && errno == EINTR)
        continue;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return !abandoned && ready > 0;
}

/* The next character of UTF-8 for libedit: 1, or 0 at the end, or -1 when the line is abandoned. */
static int read_character(EditLine *edit, wchar_t *c)
{
    mbstate_t state = {0};
    unsigned char byte;
    (void)edit;
    for (;;) {
        if (!wait_for_input())
            return -1;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0)
            return n < 0 ? -1 : 0;
        size_t used = mbrtowc(c, (const char *)&byte, 1, &state);
        if (used == (size_t)-2)
            continue;
        if (used == (size_t)-1) {
            *c = 0xfffd;
            ill_formed = true;
        }
        return 1;
    }
}

static bool open_library(libedit *lib)
{
    void *library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    return library && em__library_find(library, "el_init", &lib->init) &&
           em__library_find(library, "el_set", &lib->set) && em__library_find(library, "el_gets", &lib->read) &&
           em__library_find(library, "el_end", &lib->end) && em__library_find(library, "el_resize", &lib->resize) &&
           em__library_find(library, "el_insertstr", &lib->insert) &&
           em__library_find(library, "history_init", &lib->history_init) &&
           em__library_find(library, "history_end", &lib->history_end) &&
           em__library_find(library, "history", &lib->history);
}

static char *give_prompt(EditLine *edit)
{
    static char prompt[64];
    (void)edit;
    snprintf(prompt, sizeof prompt, "%s", reading->prompt);
    return prompt;
}

#define PASTE_BEGINS "\033[200~"
#define PASTE_ENDS "\033[201~"

/* What is pasted is text, with its ends of lines and without control characters, until the terminal says that it was
 * all. False when it was abandoned. */
static bool read_pasted(em__str *text)
{
    const char *mark = PASTE_ENDS;
    size_t matched = 0; /* of the mark */
    char byte;
    em__str_clear(text);
    while (mark[matched]) {
        if (!wait_for_input() || read(STDIN_FILENO, &byte, 1) != 1)
            return false;
        if (byte == mark[matched]) {
            matched++;
            continue;
        }
        if (matched > 0 && em__str_add(text, mark + 1, matched - 1) != EM_OK) /* it was none; an escape is no text */
            return false;
        matched = byte == mark[0];
        byte = byte == '\r' ? '\n' : byte;
        if (((unsigned char)byte >= ' ' || byte == '\n' || byte == '\t') && em__str_add_char(text, byte) != EM_OK)
            return false;
    }
    return true;
}

/* The pasted text goes into the line that is edited, where Enter has yet to send it. */
static unsigned char paste(EditLine *edit, int key)
{
    cli_line *line = reading;
    (void)key;
    if (!read_pasted(&line->pasted))
        return CC_ERROR;
    if (em__utf8_valid(line->pasted.data, line->pasted.length) < line->pasted.length) {
        ill_formed = true;
        return CC_REFRESH;
    }
    return line->pasted.length == 0 || line->lib.insert(edit, em__str_text(&line->pasted)) == 0 ? CC_REFRESH : CC_ERROR;
}

static void begin_editing(cli_line *line)
{
    HistEvent event;
    line->edit = line->lib.init("emily", stdin, stdout, stderr);
    line->history = line->lib.history_init();
    if (!line->edit || !line->history) {
        if (line->edit)
            line->lib.end(line->edit);
        line->edit = NULL;
        return;
    }
    setlocale(LC_CTYPE, "C.UTF-8"); /* libedit's idea of a character; numbers stay as they are */
    line->lib.history(line->history, &event, H_SETSIZE, 1000);
    line->lib.set(line->edit, EL_PROMPT, give_prompt);
    line->lib.set(line->edit, EL_EDITOR, "emacs");
    cli_signals_terminal(); /* libedit sets it otherwise while a line is read */
    line->lib.set(line->edit, EL_GETCFN, read_character);
    line->lib.set(line->edit, EL_HIST, line->lib.history, line->history);
    const char *term = getenv("TERM");
    line->bracketed = term && strcmp(term, "dumb") != 0;
    line->lib.set(line->edit, EL_ADDFN, "emily-paste", "put in what is pasted", paste);
    line->lib.set(line->edit, EL_BIND, PASTE_BEGINS, "emily-paste", NULL);
}

cli_line *cli_line_new(const char *prompt)
{
    cli_line *line = em__calloc(1, sizeof *line);
    if (!line)
        return NULL;
    line->prompt = prompt;
    line->person = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    line->reader.fd = -1;
    if (!line->person && cli_reader_open(&line->reader, "-", '\n') != CLI_OK)
        line->failed = true;
    line->reader.hint = "a message ends at a newline";
    line->reader.most = CLI_MOST_PROMPT;
    if (line->person && open_library(&line->lib))
        begin_editing(line);
    return line;
}

void cli_line_free(cli_line *line)
{
    if (!line)
        return;
    if (line->history)
        line->lib.history_end(line->history);
    if (line->edit)
        line->lib.end(line->edit);
    cli_reader_close(&line->reader);
    free(line->plain);
    em__str_free(&line->text);
    em__str_free(&line->pasted);
    em__free(line);
}

bool cli_line_person(const cli_line *line)
{
    return line->person;
}

bool cli_line_failed(const cli_line *line)
{
    return line->failed;
}

static const char *read_edited(cli_line *line, int *count)
{
    HistEvent event;
    reading = line;
    line->lib.resize(line->edit); /* between lines only: within one, libedit overruns its buffers */
    cli_signals_pasting(line->bracketed);
    const char *text = line->lib.read(line->edit, count);
    cli_signals_pasting(false);
    if (text && *count > 1)
        line->lib.history(line->history, &event, H_ENTER, text);
    return text;
}

static const char *read_plain(cli_line *line, int *count)
{
    fputs(line->prompt, stdout);
    fflush(stdout);
    if (!wait_for_input())
        return NULL;
    *count = (int)getline(&line->plain, &line->plain_size, stdin);
    return *count > 0 ? line->plain : NULL;
}

/* Adds a line to the text. *more: it ended in a backslash. */
static bool add_part(cli_line *line, const char *part, size_t length, bool *more)
{
    *more = length > 0 && part[length - 1] == '\\';
    if (em__str_add(&line->text, part, length - *more) != EM_OK)
        return false;
    return !*more || em__str_add_char(&line->text, '\n') == EM_OK;
}

static bool read_record(cli_line *line, bool *more)
{
    const char *part;
    size_t length;
    fflush(stdout);
    cli_read read = cli_reader_next(&line->reader, true, &part, &length);
    line->failed = read == CLI_READ_ERROR;
    return read == CLI_READ_RECORD && add_part(line, part, length, more);
}

/* Reads a line into the text; false at the end of input. */
static bool read_part(cli_line *line, bool *more)
{
    int count = 0;
    *more = false;
    if (!line->person)
        return read_record(line, more);
    const char *part = line->edit ? read_edited(line, &count) : read_plain(line, &count);
    if (!part || count <= 0)
        return false;
    size_t length = (size_t)count;
    return add_part(line, part, length - (part[length - 1] == '\n'), more);
}

/* A line with those that go on from it. */
static const char *read_all(cli_line *line, size_t *length)
{
    bool more = true, any = false;
    while (more && read_part(line, &more))
        any = true;
    *length = line->text.length;
    return any ? em__str_text(&line->text) : NULL;
}

const char *cli_line_next(cli_line *line, size_t *length)
{
    if (line->failed)
        return NULL;
    em__str_clear(&line->text);
    abandoned = 0;
    ill_formed = false;
    if (line->person)
        cli_signals_interrupt(abandon);
    const char *text = read_all(line, length);
    cli_signals_interrupt(NULL);
    if (text && ill_formed && !abandoned) {
        cli_fail(CLI_FAILURE, "what was typed is not UTF-8, and was not sent");
        cli_hint("the terminal has another encoding, or the keys another meaning");
    } else if (!abandoned) {
        return text;
    } else {
        fputs("\n", stdout);
    }
    *length = 0;
    return "";
}
