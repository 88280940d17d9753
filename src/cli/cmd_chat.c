/* emily chat: a conversation. What was read and written stays in the cache, so that a turn reads only what is new. */
#include "cli/chatting.h"
#include "cli/signals.h"
#include "core/cause.h"

static const cli_option options[] = {
    {"system", 's', "TEXT", "what the model is told before the conversation", CLI_TEXT,
     offsetof(cli_chat_values, system)},
    {"no-think", 0, NULL, "answer without thinking aloud (templates that know enable_thinking)", CLI_FLAG,
     offsetof(cli_chat_values, no_think), 1},
    {"var", 0, "NAME=JSON", "a variable of the chat template; may be repeated", CLI_LIST,
     offsetof(cli_chat_values, variables)},
    {"stats", 0, NULL, "tokens a second after each answer, on stderr", CLI_FLAG, offsetof(cli_chat_values, stats), 1},
    CLI_SAMPLING_OPTIONS(cli_chat_values),
    CLI_COMPUTE_OPTIONS(cli_chat_values),
    CLI_EXACT_OPTION(cli_chat_values),
    CLI_PROFILE_OPTION(cli_chat_values),
    {NULL},
};

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
    cli_chatting *c = user;
    return cli_progress_prompt(&c->progress, done, total);
}

static void print_stats(const cli_chatting *c)
{
    em_generation_stats s = {.struct_size = sizeof s};
    em_generation_get_stats(c->generation, &s);
    fflush(stdout); /* the answer's line ends first, also where both go to one file */
    fprintf(stderr, "  read %zu tokens (%zu remembered) in %.2f s, wrote %zu at %.1f tok/s\n",
            s.prompt_tokens - s.reused_tokens, s.reused_tokens, s.prompt_seconds, s.tokens,
            s.tokens > 1 && s.token_seconds > 0 ? (double)(s.tokens - 1) / s.token_seconds : 0);
}

static int fail_answer(const cli_chatting *c, em_status status)
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

int cli_chatting_answer(cli_chatting *c)
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
        return CLI_NOT_ANSWERED;
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

static int say(cli_chatting *c, const char *text, size_t length)
{
    int code = cli_conversation_add(&c->conversation, "user", text, length);
    if (code != CLI_OK)
        return code;
    code = cli_chatting_answer(c);
    if (code != CLI_OK)
        cli_conversation_drop(&c->conversation);
    return code == CLI_NOT_ANSWERED ? CLI_OK : code;
}

/* A person is told what went wrong and goes on; a script ends with the exit code. */
static int converse(cli_chatting *c)
{
    const char *line = NULL;
    size_t length;
    int code = CLI_OK;
    while (!c->leave && (line = cli_line_next(c->line, &length))) {
        if (length == 0)
            continue;
        bool typed = cli_line_person(c->line); /* what comes from a pipe is a message, whatever it begins with */
        if (typed && line[0] == '/' && line[1] != '/')
            code = cli_chatting_command(c, line + 1);
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

static int start(cli_chatting *c, const char *name)
{
    const cli_chat_values *v = c->values;
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
    cli_chatting c = {.values = given};
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
    .values_size = sizeof(cli_chat_values),
    .run = run,
};
