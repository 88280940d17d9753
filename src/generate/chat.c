/* Conversations: messages to a prompt by the checkpoint's chat template. */
#include <string.h>

#include <jansson.h>

#include "core/error.h"
#include "generate/generation.h"

em_status em_generation_chat_with(em_generation *g, const em_chat_options *chat)
{
    char *text;
    size_t length;
    EM__FAIL_IF(!g || !chat, EM_ERROR_INVALID_ARGUMENT, "chat: NULL argument");
    if (!g->chat)
        EM__TRY(em_chat_template_open(g->model->path, &g->chat));
    EM__TRY(em_chat_template_render(g->chat, chat, &text, &length));
    em_status status = em__generation_answer(g, text, length, true);
    em_template_text_free(text);
    return status;
}

/* JSON of the messages; NULL when memory runs out or a text is not UTF-8. */
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
    EM__FAIL_IF(!g || !messages || n == 0, EM_ERROR_INVALID_ARGUMENT, "chat: there are no messages");
    for (size_t i = 0; i < n; i++)
        EM__FAIL_IF(!messages[i].role || !messages[i].content, EM_ERROR_INVALID_ARGUMENT,
                    "chat: message %zu has no role or no content", i);
    char *text = encode(messages, n);
    EM__FAIL_IF(!text, EM_ERROR_INVALID_ARGUMENT, "chat: a message is not UTF-8, or memory ran out");
    const em_chat_options chat = {.struct_size = sizeof chat, .messages = text, .add_generation_prompt = true};
    em_status status = em_generation_chat_with(g, &chat);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return status;
}
