/* See prompt.h. */
#include "cli/prompt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/conversation.h"
#include "cli/input.h"
#include "cli/session.h"

static int parse_ids(const char *text, cli_ids *ids)
{
    for (const char *at = text; *at;) {
        char *end;
        long id = strtol(at, &end, 10);
        if (end == at || id < 0 || id > INT32_MAX || (*end && (*end != ',' || !end[1])))
            return cli_fail(CLI_USAGE, "generate: --prompt-ids is a list of token ids, such as 1,2,3; got `%s`", text);
        if (em__vec_push(ids, (int32_t)id) != EM_OK)
            return cli_fail_last();
        at = *end ? end + 1 : end;
    }
    return ids->length ? CLI_OK : cli_fail(CLI_USAGE, "generate: --prompt-ids is empty; it is a list such as 1,2,3");
}

/* That the model has all of them. */
static int check_ids(const em_model *model, const cli_ids *ids)
{
    em_model_info info = {.struct_size = sizeof info};
    if (em_model_get_info(model, &info) != EM_OK)
        return cli_fail_last();
    for (size_t i = 0; i < ids->length; i++)
        if (info.vocabulary > 0 && ids->data[i] >= info.vocabulary)
            return cli_fail(CLI_USAGE, "generate: --prompt-ids: %d is no token, the vocabulary has %d", ids->data[i],
                            info.vocabulary);
    return CLI_OK;
}

/* The prompt: the operand, or all of standard input. */
static int read_prompt(const cli_words *operands, em__str *prompt)
{
    if (operands->length > 1 && strcmp(operands->data[1], "-") != 0)
        return em__str_add_text(prompt, operands->data[1]) == EM_OK ? CLI_OK : cli_fail_last();
    if (isatty(STDIN_FILENO) && operands->length == 1)
        cli_note("the prompt is read from the terminal; Ctrl-D ends it");
    int code = cli_read_all(prompt, CLI_MOST_PROMPT);
    if (code != CLI_OK)
        return code;
    return prompt->length ? CLI_OK
                          : cli_fail(CLI_USAGE, "generate: the prompt is empty\n"
                                                "write it after MODEL, or to standard input");
}

/* The prompt by the checkpoint's chat template, in its place; *templated is false when it has none. */
static int render(const cli_prompt *how, const em_model *model, em__str *text, bool *templated)
{
    cli_conversation conversation = {0};
    em_chat_template *chat = NULL;
    em_chat_options options;
    em_model_info info = {.struct_size = sizeof info};
    char *rendered = NULL;
    size_t length = 0;
    *templated = false;
    em_model_get_info(model, &info);
    if (how->raw)
        return CLI_OK;
    if (em_chat_template_open(info.path, &chat) != EM_OK)
        return em_last_status() == EM_ERROR_NOT_FOUND && !how->system && !how->no_think && how->variables->length == 0
                   ? CLI_OK
                   : cli_fail_model(info.path);
    int code = cli_conversation_init(&conversation, "generate", how->system, how->variables, !how->no_think);
    if (code == CLI_OK)
        code = cli_conversation_add(&conversation, "user", text->data, text->length);
    if (code == CLI_OK)
        code = cli_conversation_options(&conversation, &options);
    if (code == CLI_OK && em_chat_template_render(chat, &options, &rendered, &length) != EM_OK) {
        code = cli_fail_given();
        cli_hint("--raw goes on from the text itself, without the chat template");
    } else if (code == CLI_OK) {
        cli_conversation_notes(&conversation, chat);
    }
    em__str_clear(text);
    if (code == CLI_OK && em__str_add(text, rendered, length) != EM_OK)
        code = cli_fail_last();
    *templated = code == CLI_OK;
    em_template_text_free(rendered);
    cli_conversation_free(&conversation);
    em_chat_template_free(chat);
    return code;
}

static int encode(const cli_prompt *how, const em_model *model, em__str *text, cli_ids *ids)
{
    const em_tokenizer *tokenizer = em_model_tokenizer(model);
    em_encode_options options = {.struct_size = sizeof options};
    em_encoding encoding = {0};
    if (!tokenizer)
        return cli_fail_last();
    int code = render(how, model, text, &options.no_special);
    if (code != CLI_OK)
        return code;
    cli_ill_check_lines("the prompt", text->data, text->length);
    if (em_tokenizer_encode(tokenizer, text->data, text->length, &options, &encoding) != EM_OK)
        code = cli_fail_last();
    for (size_t i = 0; i < encoding.length && code == CLI_OK; i++)
        code = em__vec_push(ids, encoding.ids[i]) == EM_OK ? CLI_OK : cli_fail_last();
    em_encoding_free(&encoding);
    return code;
}

int cli_prompt_read(const cli_prompt *how, const em_model *model, const cli_words *operands, cli_ids *ids)
{
    em__str text = {0};
    if (how->ids && operands->length > 1)
        return cli_fail(CLI_USAGE, "generate: a prompt does not go with --prompt-ids\nleave one of them out");
    if (how->ids) {
        const int parsed = parse_ids(how->ids, ids);
        return parsed == CLI_OK ? check_ids(model, ids) : parsed;
    }
    int code = read_prompt(operands, &text);
    if (code == CLI_OK)
        code = encode(how, model, &text, ids);
    em__str_free(&text);
    return code;
}
