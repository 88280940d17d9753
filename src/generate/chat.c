/* Conversations: messages to a prompt by the checkpoint's chat template. */
#include <string.h>

#include <jansson.h>

#include "core/error.h"
#include "generate/generation.h"
#include "io/json.h"

static em_status answer(em_generation *g, const em_chat_options *chat)
{
    char *text;
    size_t length;
    if (!g->chat)
        EM__TRY(em_chat_template_open(g->model->path, &g->chat));
    EM__TRY(em_chat_template_render(g->chat, chat, &text, &length));
    em_status status = em__generation_answer(g, text, length, true);
    em_template_text_free(text);
    return status;
}

em_status em_generation_chat_with(em_generation *g, const em_chat_options *chat)
{
    if (!g)
        return em__no_generation();
    EM__FAIL_IF(!chat, EM_ERROR_INVALID_ARGUMENT, "chat: the options are NULL");
    EM__TRY(em__generation_enter(g));
    return em__generation_leave(g, answer(g, chat));
}

static bool is_utf8(const char *text)
{
    json_t *value = json_string(text); /* refuses what is not; memory that ran out is met again below */
    json_decref(value);
    return value != NULL;
}

/* JSON of the messages, whose texts are UTF-8; NULL when memory runs out. */
static char *encode(const em_message *messages, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        json_t *message = json_pack("{s:s, s:s}", "role", messages[i].role, "content", messages[i].content);
        if (!message || json_array_append_new(list, message) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

em_status em_generation_chat(em_generation *g, const em_message *messages, size_t n)
{
    if (!g)
        return em__no_generation();
    EM__FAIL_IF(!messages || n == 0, EM_ERROR_INVALID_ARGUMENT, "chat: there are no messages");
    for (size_t i = 0; i < n; i++) {
        EM__FAIL_IF(!messages[i].role || !messages[i].content, EM_ERROR_INVALID_ARGUMENT,
                    "chat: message %zu has no role or no content", i);
        EM__FAIL_IF(!is_utf8(messages[i].role) || !is_utf8(messages[i].content), EM_ERROR_INVALID_ARGUMENT,
                    "chat: message %zu is not UTF-8", i);
    }
    char *text = encode(messages, n);
    EM__FAIL_IF(!text, EM_ERROR_OUT_OF_MEMORY, "chat: out of memory for %zu messages", n);
    const em_chat_options chat = {.struct_size = sizeof chat, .messages = text, .add_generation_prompt = true};
    em_status status = em_generation_chat_with(g, &chat);
    em__json_text_free(text);
    return status;
}
