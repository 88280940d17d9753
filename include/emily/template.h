/*
 * Chat templates: the Jinja of `chat_template` in a checkpoint, rendered as Transformers renders it.
 *
 *     em_chat_template *chat;
 *     em_chat_options options = {.add_generation_prompt = true};
 *     char *prompt;
 *     options.messages = "[{\"role\": \"user\", \"content\": \"Hello\"}]";
 *     if (em_chat_template_open("Qwen3-0.6B", &chat) != EM_OK ||
 *         em_chat_template_render(chat, &options, &prompt, NULL) != EM_OK)
 *         return fprintf(stderr, "%s\n", em_last_error()), 1;
 *     use(prompt);              // tokenize it without special tokens: the template wrote them
 *     em_template_text_free(prompt);
 *     em_chat_template_free(chat);
 *
 * The language is that of jinja2's ImmutableSandboxedEnvironment with trim_blocks, lstrip_blocks, {% break %},
 * {% continue %} and {% generation %} (which marks nothing here), with the functions raise_exception and strftime_now
 * and the tojson of Transformers. What a template asks for and Emily lacks is an error that names the line and the
 * part; no other template is ever tried instead. Beyond jinja2, names that begin with two underscores are errors, and
 * integers have 64 bits.
 *
 * A template is code from strangers: it sees nothing but the values it is given, and is bounded in time (steps), memory
 * and output, so that a hostile one is an error within a tenth of a second.
 */
#ifndef EMILY_TEMPLATE_H
#define EMILY_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_template em_template;
typedef struct em_chat_template em_chat_template;

/* All zero, or NULL, gives the defaults. The limits grow with the values that a render is given: by four steps, and by
 * 16 bytes of memory and output, for each byte of JSON. */
typedef struct em_template_options {
    size_t struct_size;              /* 0, or sizeof(em_template_options) */
    const char *name;                /* for messages: a file, say; "template" */
    int64_t (*clock)(void *context); /* seconds since 1970 for strftime_now, which prints local time; NULL: now */
    void *clock_context;
    size_t max_steps;  /* 1,000,000 */
    size_t max_memory; /* bytes: 64 MiB */
    size_t max_output; /* bytes: 16 MiB, and what max_memory grows by */
} em_template_options;

/*
 * Parses `length` bytes of Jinja, which are only read during the call. On success `*out` is the caller's, to be freed
 * with em_template_free; on failure it is NULL. `options` may be NULL; its strings are copied. Any thread.
 * EM_ERROR_FORMAT: a syntax error, with its line. EM_ERROR_UNSUPPORTED: a tag for other templates (extends, include,
 * import, block). EM_ERROR_INVALID_ARGUMENT: options of the wrong size. EM_ERROR_OUT_OF_MEMORY.
 */
EM_API em_status em_template_parse(const char *text, size_t length, const em_template_options *options,
                                   em_template **out);

/* Frees the template; NULL is fine. No call may be using it. */
EM_API void em_template_free(em_template *source);

/*
 * Renders with the variables of a JSON object of `length` bytes (NULL: none). On success `*text` is the output, NUL
 * terminated, to be freed with em_template_text_free, and `*text_length` (NULL: not wanted) its bytes; on failure
 * `*text` is NULL. Any number of threads may render one template at a time. EM_ERROR_INVALID_ARGUMENT: the template
 * raised an exception, or does something with the values that Python would not. EM_ERROR_FORMAT: the JSON is broken, or
 * a limit was reached. EM_ERROR_OUT_OF_MEMORY.
 */
EM_API em_status em_template_render(const em_template *source, const char *json, size_t length, char **text,
                                    size_t *text_length);

/* Frees what a render gave; NULL is fine. */
EM_API void em_template_text_free(char *text);

/*
 * Finds the chat template of a checkpoint: `dir`/chat_template.jinja, else the chat_template of tokenizer_config.json,
 * else that of chat_template.json. The special tokens that templates name (bos_token, eos_token, ...) come from
 * tokenizer_config.json and special_tokens_map.json. The template is parsed when it is first rendered, so that a broken
 * one is in nobody's way. On success `*out` is the caller's, to be freed with em_chat_template_free; on failure it is
 * NULL. Any thread. EM_ERROR_NOT_FOUND: the checkpoint has no chat template. EM_ERROR_FORMAT: one of the files is
 * broken. EM_ERROR_IO, EM_ERROR_OUT_OF_MEMORY.
 */
EM_API em_status em_chat_template_open(const char *dir, em_chat_template **out);

/* Frees the chat template; NULL is fine. No call may be using it. */
EM_API void em_chat_template_free(em_chat_template *chat);

/* One chat. The texts are JSON, NUL terminated, and only read during the call. */
typedef struct em_chat_options {
    size_t struct_size;         /* 0, or sizeof(em_chat_options) */
    const char *messages;       /* an array of objects, with "role" and "content" by habit */
    const char *tools;          /* an array of objects; NULL: none */
    const char *documents;      /* the same */
    const char *variables;      /* an object whose members the template sees: {"enable_thinking": false}; NULL: none */
    bool add_generation_prompt; /* the template ends with what opens the model's answer */
    int64_t (*clock)(void *context); /* as in em_template_options */
    void *clock_context;
    const char *messages_name, *tools_name,
        *documents_name; /* said first in errors of these: a file's name; NULL: none */
} em_chat_options;

/*
 * Renders a chat with the checkpoint's template: of several, the one named "tool_use" when there are tools, else
 * "default". A message's reasoning_content, thinking or reasoning is there under the first two names, as Transformers
 * has it. The result, and the threads, are those of em_template_render; its statuses and those of em_template_parse.
 * EM_ERROR_NOT_FOUND: of several templates none is the default.
 */
EM_API em_status em_chat_template_render(em_chat_template *chat, const em_chat_options *options, char **text,
                                         size_t *text_length);

/* The text of the template that a chat with or without tools is rendered with, "" if there is none. Owned by `chat`. */
EM_API const char *em_chat_template_source(const em_chat_template *chat, bool tools);

#ifdef __cplusplus
}
#endif
#endif
