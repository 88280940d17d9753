/* emily chat: a conversation. What was read and written stays in the cache, so that a turn reads only what is new. */
#include <string.h>

#include <emily/generation.h>

#include "cli/conversation.h"
#include "cli/line.h"
#include "cli/progress.h"
#include "cli/sampling.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "core/alloc.h"
#include "core/cause.h"
#include "io/file.h"

typedef struct chat_values {
    cli_session_values session;
    cli_sampling_values sampling;
    const char *system;
    cli_words variables;
    int no_think, stats;
} chat_values;

static const cli_option options[] = {
    {"system", 's', "TEXT", "what the model is told before the conversation", CLI_TEXT, offsetof(chat_values, system)},
    {"no-think", 0, NULL, "answer without thinking aloud (templates that know enable_thinking)", CLI_FLAG,
     offsetof(chat_values, no_think), 1},
    {"var", 0, "NAME=JSON", "a variable of the chat template; may be repeated", CLI_LIST,
     offsetof(chat_values, variables)},
    {"stats", 0, NULL, "tokens a second after each answer, on stderr", CLI_FLAG, offsetof(chat_values, stats), 1},
    CLI_SAMPLING_OPTIONS(chat_values),
    CLI_COMPUTE_OPTIONS(chat_values),
    CLI_EXACT_OPTION(chat_values),
    CLI_PROFILE_OPTION(chat_values),
    {NULL},
};

typedef struct chatting {
    const chat_values *values;
    em_model *model;
    em_generation *generation;
    cli_sampling sampling;
    cli_conversation conversation;
    cli_line *line;
    cli_progress progress;
    bool stats, leave;
} chatting;

static em_generation *answering; /* what Ctrl-C stops */

static void stop_answer(void)
{
    em_generation_cancel(answering);
}

static bool on_token(const em_token *t, void *user)
{
    (void)user;
    fwrite(t->text, 1, t->length, stdout);
    return fflush(stdout) == 0;
}

static bool on_prompt(size_t done, size_t total, void *user)
{
    chatting *c = user;
    return cli_progress_prompt(&c->progress, done, total);
}

static void print_stats(const chatting *c)
{
    em_generation_stats s = {.struct_size = sizeof s};
    em_generation_get_stats(c->generation, &s);
    fflush(stdout); /* the answer's line ends first, also where both go to one file */
    fprintf(stderr, "  read %zu tokens (%zu remembered) in %.2f s, wrote %zu at %.1f tok/s\n",
            s.prompt_tokens - s.reused_tokens, s.reused_tokens, s.prompt_seconds, s.tokens,
            s.tokens > 1 && s.token_seconds > 0 ? (double)(s.tokens - 1) / s.token_seconds : 0);
}

enum { MOST_BYTES = 256 << 20 }; /* of a file of messages */
enum { NOT_ANSWERED = -2 };      /* not an exit code: Ctrl-C came before the first word */

static int fail_answer(const chatting *c, em_status status)
{
    const int code = cli_fail_given();
    if (status == EM_ERROR_FORMAT && em__last_cause() != EM__CAUSE_NO_NUMBER) /* the template's */
        cli_hint("`emily generate --raw` does without the chat template");
    if (status != EM_ERROR_INVALID_ARGUMENT)
        return code;
    if (cli_line_person(c->line) && json_array_size(c->conversation.messages) > 1)
        cli_hint("/new begins again");
    return code;
}

/* Answers the conversation as it stands. Unless it is CLI_OK, nothing was added to it. */
static int answer(chatting *c)
{
    em_chat_options chat;
    int code = cli_conversation_options(&c->conversation, &chat);
    if (code != CLI_OK)
        return code;
    answering = c->generation;
    if (cli_line_person(c->line)) /* a script ends */
        cli_signals_interrupt(stop_answer);
    em_status status = em_generation_chat_with(c->generation, &chat);
    cli_signals_interrupt(NULL);
    cli_progress_end(&c->progress);
    size_t length;
    const char *text = em_generation_text(c->generation, 0, &length);
    if (status == EM_ERROR_CANCELLED && length == 0) { /* nothing was said: as if it had not been asked */
        puts(" ...");
        return NOT_ANSWERED;
    }
    if (status != EM_OK && status != EM_ERROR_CANCELLED)
        return fail_answer(c, status);
    puts(status == EM_ERROR_CANCELLED ? " ..." : "");
    if (em_generation_finish(c->generation, 0) == EM_FINISH_CONTEXT)
        cli_note("the context is full; /new begins again, --rotate forgets the oldest instead");
    if (c->stats)
        print_stats(c);
    return cli_conversation_add(&c->conversation, "assistant", text ? text : "", text ? length : 0);
}

static int say(chatting *c, const char *text, size_t length)
{
    int code = cli_conversation_add(&c->conversation, "user", text, length);
    if (code != CLI_OK)
        return code;
    code = answer(c);
    if (code != CLI_OK)
        cli_conversation_drop(&c->conversation);
    return code == NOT_ANSWERED ? CLI_OK : code;
}

static int do_help(chatting *c, const char *argument)
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

static int do_new(chatting *c, const char *argument)
{
    (void)argument;
    cli_conversation_clear(&c->conversation);
    puts("begun again");
    return CLI_OK;
}

static int do_undo(chatting *c, const char *argument)
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

static int do_retry(chatting *c, const char *argument)
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
    int code = answer(c);
    if (code == CLI_OK)
        json_decref(old);
    else if (json_array_append_new(c->conversation.messages, old) != 0)
        return cli_fail(CLI_MEMORY, "memory ran out");
    return code == NOT_ANSWERED ? CLI_OK : code;
}

/* Alone it only shows: a conversation is not lost to a line sent too early. */
static int do_system(chatting *c, const char *argument)
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

static int do_save(chatting *c, const char *argument)
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

static int do_load(chatting *c, const char *argument)
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

static int do_stats(chatting *c, const char *argument)
{
    (void)argument;
    c->stats = !c->stats;
    puts(c->stats ? "numbers after each answer" : "no numbers");
    return CLI_OK;
}

static int do_quit(chatting *c, const char *argument)
{
    (void)argument;
    c->leave = true;
    return CLI_OK;
}

static int run_command(chatting *c, const char *line)
{
    static const struct {
        const char *name;
        bool argument;
        int (*run)(chatting *c, const char *argument);
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

/* A person is told what went wrong and goes on; a script ends with the exit code. */
static int converse(chatting *c)
{
    const char *line = NULL;
    size_t length;
    int code = CLI_OK;
    while (!c->leave && (line = cli_line_next(c->line, &length))) {
        if (length == 0)
            continue;
        bool typed = cli_line_person(c->line); /* what comes from a pipe is a message, whatever it begins with */
        if (typed && line[0] == '/' && line[1] != '/')
            code = run_command(c, line + 1);
        else
            code = say(c, line + (typed && line[0] == '/'), length - (typed && line[0] == '/'));
        if (code != CLI_OK && !cli_line_person(c->line))
            return code;
    }
    if (!c->leave && cli_line_person(c->line))
        puts("");
    if (cli_line_failed(c->line))
        return CLI_FAILURE;
    return cli_line_person(c->line) ? CLI_OK : code;
}

static int start(chatting *c, const char *name)
{
    const chat_values *v = c->values;
    em_chat_template *template;
    em_model_info info = {.struct_size = sizeof info};
    em_model_get_info(c->model, &info);
    int code = cli_sampling_init(&c->sampling, "chat", c->model, &v->sampling); /* refuses what gives vectors */
    if (code != CLI_OK)
        return code;
    if (em_chat_template_open(info.path, &template) != EM_OK)
        return cli_fail_model(name);
    if (!em_model_tokenizer(c->model)) /* what is missing is said before the first message, not after it */
        code = cli_fail_model(name);
    if (code == CLI_OK)
        code = cli_conversation_init(&c->conversation, "chat", v->system, &v->variables, !v->no_think);
    if (code == CLI_OK)
        cli_conversation_notes(&c->conversation, template);
    em_chat_template_free(template);
    if (code != CLI_OK)
        return code;
    c->sampling.options.on_token = on_token;
    c->sampling.options.on_prompt = on_prompt;
    c->sampling.options.user = c;
    c->stats = v->stats != 0;
    c->generation = em_generation_new(c->model, &c->sampling.options);
    c->line = c->generation ? cli_line_new("> ") : NULL;
    if (!c->line)
        return cli_fail_last();
    if ((code = cli_sampling_notes(&c->sampling, c->model, &v->sampling)) != CLI_OK)
        return code;
    if (cli_line_person(c->line))
        puts("/help lists commands; Ctrl-C stops an answer, Ctrl-D ends the conversation");
    return CLI_OK;
}

static int run(const void *given, const cli_words *operands)
{
    chatting c = {.values = given};
    int code;
    c.model = cli_session_open(operands->data[0], &c.values->session, &code);
    if (c.model)
        code = start(&c, operands->data[0]);
    if (c.model && code == CLI_OK)
        code = converse(&c);
    if (c.model && code == CLI_OK)
        cli_session_profile(c.model, &c.values->session);
    cli_line_free(c.line);
    em_generation_free(c.generation);
    cli_sampling_free(&c.sampling);
    cli_conversation_free(&c.conversation);
    em_model_close(&c.model);
    return code;
}

const cli_command cli_chat = {
    .name = "chat",
    .operands = "MODEL",
    .summary = "a conversation with a model",
    .examples = "emily chat Qwen/Qwen3-0.6B\n"
                "emily chat Qwen/Qwen3-0.6B --no-think --system \"Answer in one sentence.\"\n"
                "printf 'Hello\\nWhat did I say?\\n' | emily chat ./model --temperature 0\n",
    .notes = "A line is a message. On a terminal /help lists commands; Ctrl-C stops an answer, Ctrl-D ends.\n",
    .options = options,
    .least = 1,
    .most = 1,
    .values_size = sizeof(chat_values),
    .run = run,
};
