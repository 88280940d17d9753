/*
 * Command lines: --name value, --name=value, -n value, -nvalue, `--` ends the options, a lone `-` is an operand.
 * Options and operands may mix. A word that no table knows gets a suggestion, never a guess.
 */
#include "cli/args.h"

#include <string.h>

#include "cli/foreign.h"
#include "cli/rules.h"
#include "core/alloc.h"
#include "core/number.h"
#include "core/str.h"

typedef struct parser {
    const cli_command *command;
    int argc, at;
    char **argv;
    char *values;
} parser;

static size_t edit_distance(const char *a, const char *b)
{
    enum { MOST = 40 };
    size_t n = strlen(b), row[MOST + 1];
    if (n > MOST)
        return MOST;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[n];
}

const char *cli_nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t length = strlen(word), least = length < 4 ? 2 : 3;
    for (size_t i = 0; i < count; i++) {
        bool begins = length >= 2 && strncmp(word, names[i], length) == 0;
        size_t distance = begins ? 0 : edit_distance(word, names[i]);
        if (distance < least) {
            least = distance;
            best = names[i];
        }
    }
    return best;
}

static const cli_option *find_option(const cli_command *command, const char *name, size_t length)
{
    for (const cli_option *o = command->options; o->name; o++)
        if (strlen(o->name) == length && memcmp(o->name, name, length) == 0)
            return o;
    return NULL;
}

static const cli_option *find_letter(const cli_command *command, char letter)
{
    for (const cli_option *o = command->options; o->name; o++)
        if (o->letter && o->letter == letter)
            return o;
    return NULL;
}

static int unknown_option(const parser *p, const char *word)
{
    const char *names[64];
    size_t count = 0;
    for (const cli_option *o = p->command->options; o->name && count < 64; o++)
        names[count++] = o->name;
    cli_fail(CLI_USAGE, "%s: unknown option %s", p->command->name, word);
    char bare[64];
    const char *name = word + strspn(word, "-");
    size_t length = strcspn(name, "=");
    const char *near = NULL, *known = NULL;
    if (length && length < sizeof bare) {
        memcpy(bare, name, length);
        bare[length] = '\0';
        known = cli_foreign_option(p->command->name, bare);
        near = cli_nearest(bare, names, count);
    }
    if (known)
        cli_hint("%s", known);
    else if (near)
        cli_hint("did you mean --%s? `emily %s --help` lists them all", near, p->command->name);
    else
        cli_hint("`emily %s --help` lists them all; a text that begins with - goes after --", p->command->name);
    return CLI_USAGE;
}

static int store_choice(const parser *p, const cli_option *o, const char *text)
{
    size_t length = strlen(text);
    int index = 1;
    for (const char *word = o->argument; word; index++) {
        size_t n = strcspn(word, "|");
        if (n == length && memcmp(word, text, n) == 0) {
            memcpy(p->values + o->offset, &index, sizeof index);
            return CLI_GO_ON;
        }
        word = word[n] ? word + n + 1 : NULL;
    }
    cli_fail(CLI_USAGE, "%s: --%s has no choice `%s`", p->command->name, o->name, text);
    cli_hint("choose one of %s", o->argument);
    return CLI_USAGE;
}

static int store_whole(const parser *p, const cli_option *o, const char *text)
{
    long long number, least = o->kind == CLI_COUNT;
    if (!em__parse_i64(text, &number) || number < least || number > o->value)
        return cli_fail(CLI_USAGE, "%s: --%s wants a whole number from %lld to %ld, got `%s`", p->command->name,
                        o->name, least, o->value, text);
    const cli_size size = {true, (size_t)number};
    if (o->kind == CLI_COUNT)
        memcpy(p->values + o->offset, &size.value, sizeof size.value);
    else
        memcpy(p->values + o->offset, &size, sizeof size);
    return CLI_GO_ON;
}

static int store_real(const parser *p, const cli_option *o, const char *text)
{
    cli_real real = {.given = true};
    if (!em__parse_f64(text, &real.value))
        return cli_fail(CLI_USAGE, "%s: --%s wants a number, got `%s`", p->command->name, o->name, text);
    memcpy(p->values + o->offset, &real, sizeof real);
    return CLI_GO_ON;
}

/* Flags of one place say one thing: a second one that says otherwise is refused, not obeyed. */
static int store_flag(const parser *p, const cli_option *o)
{
    const int flag = (int)o->value;
    int before;
    memcpy(&before, p->values + o->offset, sizeof before);
    for (const cli_option *other = p->command->options; other->name && before && before != flag; other++)
        if (other->kind == CLI_FLAG && other->offset == o->offset && other->value == before) {
            cli_fail(CLI_USAGE, "%s: --%s does not go with --%s", p->command->name, o->name, other->name);
            cli_hint("leave one of them out");
            return CLI_USAGE;
        }
    memcpy(p->values + o->offset, &flag, sizeof flag);
    return CLI_GO_ON;
}

static int store(const parser *p, const cli_option *o, const char *text)
{
    switch (o->kind) {
    case CLI_FLAG: return store_flag(p, o);
    case CLI_TEXT: memcpy(p->values + o->offset, &text, sizeof text); return CLI_GO_ON;
    case CLI_LIST:
        return em__vec_push((cli_words *)(void *)(p->values + o->offset), text) == EM_OK ? CLI_GO_ON : cli_fail_last();
    case CLI_COUNT:
    case CLI_SIZE: return store_whole(p, o, text);
    case CLI_REAL: return store_real(p, o, text);
    case CLI_CHOICE: return store_choice(p, o, text);
    }
    return CLI_FAILURE;
}

/* `text` is the argument written in the same word, or NULL. */
static int take(parser *p, const cli_option *o, const char *text)
{
    if (o->kind == CLI_FLAG && text)
        return cli_fail(CLI_USAGE, "%s: --%s takes no argument, got `%s`", p->command->name, o->name, text);
    if (o->kind != CLI_FLAG && !text) {
        if (p->at == p->argc) {
            cli_fail(CLI_USAGE, "%s: --%s wants an argument: %s", p->command->name, o->name, o->argument);
            cli_hint("%s", o->help);
            return CLI_USAGE;
        }
        text = p->argv[p->at++];
    }
    return store(p, o, text);
}

static int take_long(parser *p, const char *word)
{
    const char *name = word + 2, *equals = strchr(name, '=');
    const cli_option *o = find_option(p->command, name, equals ? (size_t)(equals - name) : strlen(name));
    return o ? take(p, o, equals ? equals + 1 : NULL) : unknown_option(p, word);
}

/* -k3, -k 3, or several flags in one word; -ngl is none of these, but a word of other tools. */
static int take_letters(parser *p, const char *word)
{
    if (word[2] && cli_foreign_option(p->command->name, word + 1))
        return unknown_option(p, word);
    for (const char *c = word + 1; *c; c++) {
        const cli_option *o = find_letter(p->command, *c);
        if (!o)
            return unknown_option(p, word);
        if (o->kind != CLI_FLAG)
            return take(p, o, c[1] ? c + 1 : NULL);
        int code = take(p, o, NULL);
        if (code != CLI_GO_ON)
            return code;
    }
    return CLI_GO_ON;
}

static int check_operands(const cli_command *command, const cli_words *operands)
{
    if (operands->length >= command->least && operands->length <= command->most)
        return CLI_GO_ON;
    if (operands->length < command->least)
        cli_fail(CLI_USAGE, "%s: something is missing: emily %s %s", command->name, command->name, command->operands);
    else
        cli_fail(CLI_USAGE, "%s: `%s` is one word too many", command->name, operands->data[command->most]);
    cli_hint("`emily %s --help` shows examples", command->name);
    return CLI_USAGE;
}

int cli_parse(const cli_command *command, int argc, char **argv, void *values, cli_words *operands)
{
    parser p = {.command = command, .argc = argc, .argv = argv, .values = values};
    bool options = true;
    while (p.at < argc) {
        const char *word = argv[p.at++];
        int code = CLI_GO_ON;
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            cli_help_command(command);
            return CLI_OK;
        } else if (options && word[0] == '-' && word[1]) {
            code = word[1] == '-' ? take_long(&p, word) : take_letters(&p, word);
        } else if (em__vec_push(operands, word) != EM_OK) {
            code = cli_fail_last();
        }
        if (code != CLI_GO_ON)
            return code;
    }
    int code = check_operands(command, operands);
    return code == CLI_GO_ON ? cli_rules_check(command, values) : code;
}

void cli_parse_free(const cli_command *command, void *values, cli_words *operands)
{
    for (const cli_option *o = command->options; values && o->name; o++) {
        if (o->kind != CLI_LIST)
            continue;
        cli_words *words = (cli_words *)(void *)((char *)values + o->offset);
        em__vec_free(words);
    }
    em__vec_free(operands);
}
