/* emily chat-template: the text that a chat becomes, exactly as the model would read it. */
#include <string.h>

#include <emily/hub.h>
#include <emily/template.h>

#include "cli/conversation.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/session.h"
#include "core/alloc.h"
#include "core/str.h"
#include "io/file.h"

#define FILE_CAP ((size_t)256 << 20)

typedef struct chat_template_values {
    const char *tools, *documents, *output;
    int no_prompt, source;
    cli_words variables;
} chat_template_values;

static const cli_option options[] = {
    {"tools", 0, "FILE", "the tools that the model may call, a JSON array", CLI_TEXT,
     offsetof(chat_template_values, tools)},
    {"documents", 0, "FILE", "documents for the template, a JSON array", CLI_TEXT,
     offsetof(chat_template_values, documents)},
    {"no-generation-prompt", 0, NULL, "without what opens the model's answer", CLI_FLAG,
     offsetof(chat_template_values, no_prompt), 1},
    {"var", 0, "NAME=JSON", "a variable of the template; may be repeated", CLI_LIST,
     offsetof(chat_template_values, variables)},
    {"source", 0, NULL, "print the template itself", CLI_FLAG, offsetof(chat_template_values, source), 1},
    {"output", 'o', "FILE", "write there; the file appears when it is whole", CLI_TEXT,
     offsetof(chat_template_values, output)},
    {NULL},
};

/* A file's text, "-" for standard input; nothing for NULL. Free `*text` with em__free. */
static int read_text(const char *path, char **text)
{
    em__str input = {0};
    size_t size;
    *text = NULL;
    if (!path)
        return CLI_OK;
    if (strcmp(path, "-") != 0)
        return em__file_read(path, FILE_CAP, text, &size) == EM_OK ? CLI_OK : cli_fail_last();
    int code = cli_read_all(&input, CLI_MOST_TEXT);
    if (code == CLI_OK && em__str_reserve(&input, 1) != EM_OK)
        code = cli_fail_last();
    if (code == CLI_OK)
        *text = input.data;
    else
        em__str_free(&input);
    return code;
}

/* What errors call the text of a file. */
static const char *name_of(const char *path)
{
    return path && strcmp(path, "-") == 0 ? "standard input" : path;
}

static int render(em_chat_template *chat, const chat_template_values *values, const char *path, em_chat_options *how,
                  char **text)
{
    char *tools = NULL, *documents = NULL;
    int code = read_text(values->tools, &tools);
    if (code == CLI_OK)
        code = read_text(values->documents, &documents);
    how->tools = tools;
    how->documents = documents;
    how->messages_name = name_of(path);
    how->tools_name = name_of(values->tools);
    how->documents_name = name_of(values->documents);
    how->add_generation_prompt = !values->no_prompt;
    if (code == CLI_OK && em_chat_template_render(chat, how, text, NULL) != EM_OK)
        code = cli_fail_given();
    em__free(documents);
    em__free(tools);
    return code;
}

static int print_text(const char *text, const char *path)
{
    cli_output out = {0};
    int code = cli_output_open(&out, path);
    if (code == CLI_OK) {
        fwrite(text, 1, strlen(text), out.file);
        code = cli_output_finish(&out);
    }
    cli_output_abandon(&out);
    return code;
}

/* The messages of the command line's file, with the variables that it gives. */
static int render_file(em_chat_template *chat, const char *path, const chat_template_values *values)
{
    cli_conversation conversation = {0};
    em_chat_options how;
    char *messages = NULL, *text = NULL;
    int code = cli_conversation_init(&conversation, "chat-template", NULL, &values->variables, true);
    if (code == CLI_OK)
        code = cli_conversation_options(&conversation, &how);
    if (code == CLI_OK)
        code = read_text(path, &messages);
    if (code == CLI_OK) {
        how.messages = messages;
        code = render(chat, values, path, &how, &text);
    }
    if (code == CLI_OK)
        cli_conversation_notes(&conversation, chat);
    if (code == CLI_OK)
        code = print_text(text, values->output);
    em_template_text_free(text);
    em__free(messages);
    cli_conversation_free(&conversation);
    return code;
}

static int run(const void *given, const cli_words *operands)
{
    const chat_template_values *values = given;
    em_chat_template *chat = NULL;
    char *path;
    if (operands->length < 2 && !values->source) {
        cli_fail(CLI_USAGE, "chat-template: MESSAGES is missing");
        cli_hint("a JSON file such as [{\"role\": \"user\", \"content\": \"Hello\"}]; - is standard input");
        return CLI_USAGE;
    }
    if (operands->length > 1 && values->source) {
        cli_fail(CLI_USAGE, "chat-template: `%s` is one word too many", operands->data[1]);
        cli_hint("--source prints the template as it is, without messages");
        return CLI_USAGE;
    }
    int code = cli_model_path(operands->data[0], &path);
    if (code != CLI_OK)
        return code;
    if (em_chat_template_open(path, &chat) != EM_OK)
        code = cli_fail_model(operands->data[0]);
    em_hub_path_free(path);
    if (code == CLI_OK && values->source)
        code = print_text(em_chat_template_source(chat, values->tools != NULL), values->output);
    else if (code == CLI_OK)
        code = render_file(chat, operands->data[1], values);
    em_chat_template_free(chat);
    return code;
}

const cli_command cli_chat_template = {
    .name = "chat-template",
    .operands = "MODEL MESSAGES",
    .summary = "the text that a chat becomes",
    .examples = "emily chat-template Qwen/Qwen3-0.6B messages.json\n"
                "emily chat-template ./model messages.json --tools tools.json --var enable_thinking=false\n"
                "echo '[{\"role\": \"user\", \"content\": \"Hello\"}]' | emily chat-template ./model -\n"
                "emily chat-template ./model --source\n",
    .notes =
        "MESSAGES is a JSON file, an array of {\"role\": ..., \"content\": ...}; - is standard input. The text is\n"
        "printed as it is, without a newline of ours.\n",
    .options = options,
    .least = 1,
    .most = 2,
    .values_size = sizeof(chat_template_values),
    .run = run,
};
