/* What a person types in a chat with a slash before it: /new, /save FILE and the others. */
#include <string.h>

#include "cli/chatting.h"
#include "core/alloc.h"
#include "io/file.h"

enum { MOST_BYTES = 256 << 20 }; /* of a file of messages */

static int do_help(cli_chatting *c, const char *argument)
{
    (void)c, (void)argument;
    puts("/new            begin again\n"
         "/retry          another answer to the last message (with --temperature above 0)\n"
         "/undo           forget the last message and its answer\n"
         "/system         show what the model is told before the conversation\n"
         "/system TEXT    begin again with TEXT as that; - is nothing\n"
         "/save FILE      keep the conversation's messages as JSON\n"
         "/load FILE      go on with messages kept before\n"
         "/stats          tokens a second after each answer, or not\n"
         "/quit           leave; so does Ctrl-D. Ctrl-C stops an answer\n"
         "A line that ends in \\ goes on with the next; // begins a line with /. Pasted lines are one message.");
    return CLI_OK;
}

static int do_new(cli_chatting *c, const char *argument)
{
    (void)argument;
    cli_conversation_clear(&c->conversation);
    puts("begun again");
    return CLI_OK;
}

static int do_undo(cli_chatting *c, const char *argument)
{
    (void)argument;
    if (json_array_size(c->conversation.messages) < 2) {
        cli_note("there is nothing to undo");
        return CLI_OK;
    }
    cli_conversation_drop(&c->conversation);
    cli_conversation_drop(&c->conversation);
    puts("the last message and its answer are forgotten");
    return CLI_OK;
}

static int do_retry(cli_chatting *c, const char *argument)
{
    (void)argument;
    if (json_array_size(c->conversation.messages) < 2) {
        cli_note("there is nothing to answer again");
        return CLI_OK;
    }
    if (c->sampling.options.temperature == 0)
        cli_note("at temperature 0 the answer stays the same");
    c->sampling.options.seed++;
    if (em_generation_set_options(c->generation, &c->sampling.options) != EM_OK)
        return cli_fail_last();
    json_t *old = json_incref(json_array_get(c->conversation.messages, json_array_size(c->conversation.messages) - 1));
    cli_conversation_drop(&c->conversation);
    int code = cli_chatting_answer(c);
    if (code == CLI_OK)
        json_decref(old);
    else if (json_array_append_new(c->conversation.messages, old) != 0)
        return cli_fail(CLI_MEMORY, "memory ran out");
    return code == CLI_NOT_ANSWERED ? CLI_OK : code;
}

/* Alone it only shows: a conversation is not lost to a line sent too early. */
static int do_system(cli_chatting *c, const char *argument)
{
    const bool clear = strcmp(argument, "-") == 0;
    if (!*argument) {
        const char *text = cli_conversation_system(&c->conversation);
        puts(text ? text : "nothing is told to the model before the conversation");
        return CLI_OK;
    }
    json_array_clear(c->conversation.messages);
    int code = clear ? CLI_OK : cli_conversation_add(&c->conversation, "system", argument, strlen(argument));
    if (code == CLI_OK)
        puts(clear ? "begun again; the model is told nothing before" : "begun again, with this before");
    return code;
}

static int do_save(cli_chatting *c, const char *argument)
{
    em_chat_options chat;
    int code = cli_conversation_options(&c->conversation, &chat);
    if (code != CLI_OK)
        return code;
    if (em__file_write(argument, chat.messages, strlen(chat.messages)) != EM_OK)
        return cli_fail_last();
    printf("messages kept: %zu\n", json_array_size(c->conversation.messages));
    return CLI_OK;
}

static bool are_messages(const json_t *list)
{
    const json_t *message;
    size_t i;
    json_array_foreach((json_t *)list, i, message)
    {
        if (!json_is_string(json_object_get(message, "role")) || !json_object_get(message, "content"))
            return false;
    }
    return json_is_array(list);
}

static int do_load(cli_chatting *c, const char *argument)
{
    json_error_t error;
    char *text;
    size_t size;
    if (em__file_read(argument, MOST_BYTES, &text, &size) != EM_OK)
        return cli_fail_last();
    json_t *messages = json_loadb(text, size, 0, &error);
    em__free(text);
    if (!are_messages(messages)) {
        json_decref(messages);
        return messages ? cli_fail(CLI_FORMAT, "%s: not a list of messages", argument)
                        : cli_fail(CLI_FORMAT, "%s: not valid JSON, line %d column %d: %s", argument, error.line,
                                   error.column, error.text);
    }
    json_decref(c->conversation.messages);
    c->conversation.messages = messages;
    printf("messages read: %zu\n", json_array_size(messages));
    return CLI_OK;
}

static int do_stats(cli_chatting *c, const char *argument)
{
    (void)argument;
    c->stats = !c->stats;
    puts(c->stats ? "numbers after each answer" : "no numbers");
    return CLI_OK;
}

static int do_quit(cli_chatting *c, const char *argument)
{
    (void)argument;
    c->leave = true;
    return CLI_OK;
}

int cli_chatting_command(cli_chatting *c, const char *line)
{
    static const struct {
        const char *name;
        bool argument;
        int (*run)(cli_chatting *c, const char *argument);
    } commands[] = {{"help", false, do_help},    {"new", false, do_new},   {"retry", false, do_retry},
                    {"undo", false, do_undo},    {"save", true, do_save},  {"load", true, do_load},
                    {"quit", false, do_quit},    {"exit", false, do_quit}, {"stats", false, do_stats},
                    {"system", false, do_system}};
    size_t length = strcspn(line, " \t");
    const char *argument = line + length + strspn(line + length, " \t");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strlen(commands[i].name) != length || memcmp(line, commands[i].name, length) != 0)
            continue;
        if (commands[i].argument && !*argument)
            return cli_fail(CLI_USAGE, "/%s wants a file", commands[i].name);
        return commands[i].run(c, argument);
    }
    cli_fail(CLI_USAGE, "unknown command /%.*s", (int)length, line);
    cli_hint("/help lists them; a message that begins with / begins with //");
    return CLI_USAGE;
}
