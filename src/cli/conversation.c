/* See conversation.h. */
#include "cli/conversation.h"

#include <ctype.h>
#include <string.h>

#include "core/alloc.h"
#include "io/json.h"

#define THINKING "enable_thinking"

static void drop_texts(cli_conversation *c)
{
    em__json_text_free(c->text);
    em__json_text_free(c->variable_text);
    c->text = c->variable_text = NULL;
}

static int no_memory(void)
{
    return cli_fail(CLI_MEMORY, "memory ran out");
}

/* What begins as an object, a list or a text in quotes is meant as one; all else that is no JSON is a text. */
static int check_json(const char *command, const char *word, int name, const char *value, const json_error_t *error)
{
    const char first = value[strspn(value, " \t\n")];
    if (!first || !strchr("{[\"", first))
        return CLI_OK;
    cli_fail(CLI_USAGE, "%s: --var %.*s: not valid JSON, line %d column %d: %s", command, name, word, error->line,
             error->column, error->text);
    cli_hint("a text that begins so is written in quotes: --var '%.*s=\"...\"'", name, word);
    return CLI_USAGE;
}

static int set_variable(cli_conversation *c, const char *command, const char *word)
{
    const char *equals = strchr(word, '=');
    json_error_t error;
    if (!equals || equals == word)
        return cli_fail(CLI_USAGE, "%s: --var is NAME=JSON, got `%s`", command, word);
    char *name = em__strndup(word, (size_t)(equals - word));
    if (!name)
        return cli_fail_last();
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY, &error);
    int code = value ? CLI_OK : check_json(command, word, (int)(equals - word), equals + 1, &error);
    if (code != CLI_OK) {
        em__free(name);
        return code;
    }
    int failed = json_object_set_new(c->variables, name, value ? value : json_string(equals + 1));
    em__free(name);
    return failed ? cli_fail(CLI_USAGE, "%s: --var `%s` is not UTF-8", command, word) : CLI_OK;
}

int cli_conversation_init(cli_conversation *c, const char *command, const char *system, const cli_words *variables,
                          bool think)
{
    c->messages = json_array();
    c->variables = json_object();
    c->no_think = !think;
    if (!c->messages || !c->variables || (!think && json_object_set_new(c->variables, THINKING, json_false())))
        return no_memory();
    for (size_t i = 0; i < variables->length; i++) {
        int code = set_variable(c, command, variables->data[i]);
        if (code != CLI_OK)
            return code;
    }
    return system ? cli_conversation_add(c, "system", system, strlen(system)) : CLI_OK;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Whether the name stands in the text as a word, which it does wherever a template reads the variable. */
static bool has_word(const char *text, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = text; length > 0 && (at = strstr(at, name)); at++)
        if ((at == text || !is_word(at[-1])) && !is_word(at[length]))
            return true;
    return false;
}

void cli_conversation_notes(const cli_conversation *c, const em_chat_template *chat)
{
    const char *name;
    json_t *value;
    json_object_foreach(c->variables, name, value)
    {
        if (has_word(em_chat_template_source(chat, false), name) || has_word(em_chat_template_source(chat, true), name))
            continue;
        const bool flag = c->no_think && strcmp(name, THINKING) == 0;
        cli_note("--%s%s has no effect: the chat template does not look at %s", flag ? "no-think" : "var ",
                 flag ? "" : name, name);
    }
}

void cli_conversation_free(cli_conversation *c)
{
    drop_texts(c);
    json_decref(c->messages);
    json_decref(c->variables);
    *c = (cli_conversation){0};
}

int cli_conversation_add(cli_conversation *c, const char *role, const char *text, size_t length)
{
    const char *nul = memchr(text, 0, length);
    if (nul) {
        cli_fail(CLI_FAILURE, "the %s's text has a NUL byte, at %zu", role, (size_t)(nul - text));
        cli_hint("is it a text? `tr -d '\\0'` takes them out");
        return CLI_FAILURE;
    }
    json_t *content = json_stringn(text, length);
    if (!content) {
        cli_fail(CLI_FAILURE, "the %s's text is not UTF-8", role);
        cli_hint("`iconv -t UTF-8` makes it so");
        return CLI_FAILURE;
    }
    json_t *message = json_pack("{s:s, s:o}", "role", role, "content", content);
    return message && json_array_append_new(c->messages, message) == 0 ? CLI_OK : no_memory();
}

static bool is_system(const cli_conversation *c, size_t index)
{
    const char *role = json_string_value(json_object_get(json_array_get(c->messages, index), "role"));
    return role && strcmp(role, "system") == 0;
}

const char *cli_conversation_system(const cli_conversation *c)
{
    return is_system(c, 0) ? json_string_value(json_object_get(json_array_get(c->messages, 0), "content")) : NULL;
}

void cli_conversation_clear(cli_conversation *c)
{
    while (json_array_size(c->messages) > (is_system(c, 0) ? 1 : 0))
        cli_conversation_drop(c);
}

void cli_conversation_drop(cli_conversation *c)
{
    if (json_array_size(c->messages) > 0)
        json_array_remove(c->messages, json_array_size(c->messages) - 1);
}

int cli_conversation_options(cli_conversation *c, em_chat_options *options)
{
    drop_texts(c);
    c->text = json_dumps(c->messages, JSON_COMPACT);
    c->variable_text = json_dumps(c->variables, JSON_COMPACT);
    if (!c->text || !c->variable_text)
        return no_memory();
    *options = (em_chat_options){.struct_size = sizeof *options,
                                 .messages = c->text,
                                 .variables = c->variable_text,
                                 .add_generation_prompt = true};
    return CLI_OK;
}
