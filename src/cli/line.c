/*
 * See line.h. libedit is opened when a person types: other uses of the command need not load it. Ctrl-C at the prompt
 * jumps out of the read, as shells do: the handler runs while the read waits, and nothing is held then.
 */
#include "cli/line.h"

#include <dlfcn.h>
#include <histedit.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/signals.h"
#include "core/alloc.h"
#include "core/str.h"

typedef struct libedit {
    __typeof__(el_init) *init;
    __typeof__(el_set) *set;
    __typeof__(el_gets) *read;
    __typeof__(el_end) *end;
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
    em__str text;
};

static sigjmp_buf abandoned;
static cli_line *reading; /* libedit asks for the prompt without a context */

static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool open_library(libedit *lib)
{
    void *library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    return library && find(library, "el_init", &lib->init) && find(library, "el_set", &lib->set) &&
           find(library, "el_gets", &lib->read) && find(library, "el_end", &lib->end) &&
           find(library, "history_init", &lib->history_init) && find(library, "history_end", &lib->history_end) &&
           find(library, "history", &lib->history);
}

static char *give_prompt(EditLine *edit)
{
    static char prompt[64];
    (void)edit;
    snprintf(prompt, sizeof prompt, "%s", reading->prompt);
    return prompt;
}

static void begin_editing(cli_line *line)
{
    HistEvent event;
    line->edit = line->lib.init("emily", stdin, stdout, stderr);
    line->history = line->lib.history_init();
    if (!line->edit || !line->history)
        return;
    line->lib.history(line->history, &event, H_SETSIZE, 1000);
    line->lib.set(line->edit, EL_PROMPT, give_prompt);
    line->lib.set(line->edit, EL_EDITOR, "emacs");
    line->lib.set(line->edit, EL_SIGNAL, 1);
    line->lib.set(line->edit, EL_HIST, line->lib.history, line->history);
}

cli_line *cli_line_new(const char *prompt)
{
    cli_line *line = em__calloc(1, sizeof *line);
    if (!line)
        return NULL;
    line->prompt = prompt;
    line->person = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
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
    free(line->plain);
    em__str_free(&line->text);
    em__free(line);
}

bool cli_line_person(const cli_line *line)
{
    return line->person;
}

static void abandon(void)
{
    siglongjmp(abandoned, 1);
}

static const char *read_edited(cli_line *line, int *count)
{
    HistEvent event;
    reading = line;
    const char *text = line->lib.read(line->edit, count);
    if (text && *count > 1)
        line->lib.history(line->history, &event, H_ENTER, text);
    return text;
}

static const char *read_plain(cli_line *line, int *count)
{
    if (line->person)
        fputs(line->prompt, stdout);
    fflush(stdout);
    *count = (int)getline(&line->plain, &line->plain_size, stdin);
    return *count > 0 ? line->plain : NULL;
}

/* Adds a line to the text; false at the end of input. *more: it ended in a backslash. */
static bool read_part(cli_line *line, bool *more)
{
    int count = 0;
    const char *part = line->edit ? read_edited(line, &count) : read_plain(line, &count);
    *more = false;
    if (!part || count <= 0)
        return false;
    size_t length = (size_t)count;
    length -= part[length - 1] == '\n';
    *more = length > 0 && part[length - 1] == '\\';
    if (em__str_add(&line->text, part, length - *more) != EM_OK)
        return false;
    return !*more || em__str_add_char(&line->text, '\n') == EM_OK;
}

/* A line with those that go on from it. */
static const char *read_all(cli_line *line, size_t *length)
{
    bool more = true, any = false;
    while (more && read_part(line, &more))
        any = true;
    cli_signals_interrupt(NULL);
    *length = line->text.length;
    return any ? em__str_text(&line->text) : NULL;
}

const char *cli_line_next(cli_line *line, size_t *length)
{
    em__str_clear(&line->text);
    if (!line->person)
        return read_all(line, length);
    if (sigsetjmp(abandoned, 1) == 0) {
        cli_signals_interrupt(abandon);
        return read_all(line, length);
    }
    cli_signals_interrupt(NULL);
    em__str_clear(&line->text);
    fputs("\n", stdout);
    *length = 0;
    return "";
}
