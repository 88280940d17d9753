/*
 * Finding a checkpoint's chat templates and special tokens. A template stands in chat_template.jinja, with others in
 * additional_chat_templates; or in tokenizer_config.json, as a text or as a list of {"name", "template"}; or, with
 * older processors, in chat_template.json. The first that is there counts.
 */
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "io/file.h"
#include "io/json.h"
#include "template/chat.h"

#define TEMPLATE_CAP ((size_t)4 << 20)

/* Takes the text over, also on failure; `file` is copied. */
static em_status add_source(em_chat_template *chat, const char *name, const char *file, char *text, size_t length)
{
    if (chat->count == EM__J_MOST_SOURCES) {
        em__free(text);
        return em__fail(EM_ERROR_FORMAT, "%s: more than %d chat templates", file, EM__J_MOST_SOURCES);
    }
    em__jsource *source = &chat->sources[chat->count++];
    *source = (em__jsource){em__strdup(name), em__strdup(file), text, length, NULL};
    return source->name && source->file && text ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

static em_status read_jinja(em_chat_template *chat, const char *name, const char *relative)
{
    char *text = NULL, *path = em__path_join(chat->dir, relative);
    size_t length;
    em_status status = path ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (path && em__path_exists(path)) {
        status = em__file_read(path, TEMPLATE_CAP, &text, &length);
        if (status == EM_OK)
            status = add_source(chat, name, path, text, length);
    }
    em__free(path);
    return status;
}

static em_status add_text(em_chat_template *chat, const char *name, const em__json *at, const char *text)
{
    char *file = em__format("%s: chat_template", at->doc->source);
    if (!file)
        return EM_ERROR_OUT_OF_MEMORY;
    em_status status = add_source(chat, name, file, em__strdup(text), strlen(text));
    em__free(file);
    return status;
}

/* [{"name": "default", "template": "..."}, ...] */
static em_status add_list(em_chat_template *chat, const em__json *list)
{
    size_t count;
    EM__TRY(em__json_as_array(list, &count));
    for (size_t i = 0; i < count; i++) {
        em__json item = em__json_item(list, i);
        const char *name, *text;
        EM__TRY(em__json_as_object(&item));
        EM__TRY(em__json_get_string(&item, "name", &name));
        EM__TRY(em__json_get_string(&item, "template", &text));
        EM__TRY(add_text(chat, name, list, text));
    }
    return EM_OK;
}

/* {"default": "...", ...}, of older processors */
static em_status add_object(em_chat_template *chat, const em__json *object)
{
    const char *name, *text;
    json_t *value;
    json_object_foreach(object->value, name, value)
    {
        em__json member = em__json_member(object, name);
        EM__TRY(em__json_as_string(&member, &text));
        EM__TRY(add_text(chat, name, object, text));
    }
    return EM_OK;
}

static em_status add_member(em_chat_template *chat, const em__json_doc *doc)
{
    em__json root = em__json_root(doc), member = em__json_member(&root, "chat_template");
    const char *text;
    if (chat->count || !em__json_has(&root, "chat_template"))
        return EM_OK;
    if (json_is_array(member.value))
        return add_list(chat, &member);
    if (json_is_object(member.value))
        return add_object(chat, &member);
    EM__TRY(em__json_as_string(&member, &text));
    return add_text(chat, "default", &member, text);
}

/* The text of a special token, which is a string or {"content": ...}; NULL when it is neither. */
static json_t *token_text(json_t *token)
{
    json_t *text = json_is_object(token) ? json_object_get(token, "content") : token;
    return json_is_string(text) ? text : NULL;
}

static em_status set_token(em_chat_template *chat, const char *name, json_t *value)
{
    if (!value || json_object_get(chat->tokens, name))
        return EM_OK;
    if (json_object_set(chat->tokens, name, value) != 0)
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", chat->dir);
    return EM_OK;
}

/* All "..._token" of the object. */
static em_status add_tokens(em_chat_template *chat, json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (em__ends_with(name, "_token"))
            EM__TRY(set_token(chat, name, token_text(value)));
    }
    return EM_OK;
}

/* "additional_special_tokens", as a list of texts. */
static em_status add_token_list(em_chat_template *chat, json_t *list)
{
    json_t *texts = json_array(), *item;
    bool ok = texts != NULL;
    size_t i;
    json_array_foreach(list, i, item)
    {
        json_t *text = token_text(item);
        ok = ok && (!text || json_array_append(texts, text) == 0);
    }
    em_status status = ok ? EM_OK : em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", chat->dir);
    if (ok && json_array_size(texts))
        status = set_token(chat, "additional_special_tokens", texts);
    json_decref(texts);
    return status;
}

static em_status read_members(em_chat_template *chat, const em__json_doc *doc, bool tokens, bool source)
{
    if (!json_is_object(doc->root))
        return em__fail(EM_ERROR_FORMAT, "%s: expected a JSON object", doc->source);
    if (tokens) {
        EM__TRY(add_tokens(chat, doc->root));
        EM__TRY(add_tokens(chat, json_object_get(doc->root, "extra_special_tokens")));
        EM__TRY(add_token_list(chat, json_object_get(doc->root, "additional_special_tokens")));
    }
    return source ? add_member(chat, doc) : EM_OK;
}

/* A JSON file of the checkpoint, if it is there. */
static em_status read_json(em_chat_template *chat, const char *name, bool tokens, bool source)
{
    em__json_doc doc;
    bool there;
    em_status status = em__json_load_at(chat->dir, name, &there, &doc);
    if (status == EM_OK && there)
        status = read_members(chat, &doc, tokens, source);
    em__json_free(&doc);
    return status;
}

static em_status read_all(em_chat_template *chat)
{
    chat->tokens = json_object();
    EM__FAIL_IF(!chat->tokens, EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", chat->dir);
    EM__TRY(read_jinja(chat, "default", "chat_template.jinja"));
    if (chat->count)
        EM__TRY(read_jinja(chat, "tool_use", "additional_chat_templates/tool_use.jinja"));
    EM__TRY(read_json(chat, "tokenizer_config.json", true, true));
    EM__TRY(read_json(chat, "special_tokens_map.json", true, false));
    EM__TRY(read_json(chat, "chat_template.json", false, true));
    if (chat->count)
        return EM_OK;
    return em__fail(EM_ERROR_NOT_FOUND,
                    "%s: no chat template: there is neither chat_template.jinja nor a chat_template in "
                    "tokenizer_config.json; a model without one is no chat model, or its files are incomplete",
                    chat->dir);
}

em_status em_chat_template_open(const char *dir, em_chat_template **out)
{
    if (out)
        *out = NULL;
    EM__FAIL_IF(!dir || !out, EM_ERROR_INVALID_ARGUMENT, "em_chat_template_open: NULL argument");
    EM__FAIL_IF(!em__path_is_dir(dir), EM_ERROR_NOT_FOUND, "%s: no such directory", dir);
    em_chat_template *chat = em__calloc(1, sizeof *chat);
    if (!chat)
        return em_last_status();
    pthread_mutex_init(&chat->lock, NULL);
    chat->dir = em__strdup(dir);
    em_status status = chat->dir ? read_all(chat) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        *out = chat;
    else
        em_chat_template_free(chat);
    return status;
}

void em_chat_template_free(em_chat_template *chat)
{
    if (!chat)
        return;
    for (size_t i = 0; i < chat->count; i++) {
        em__free(chat->sources[i].name);
        em__free(chat->sources[i].file);
        em__free(chat->sources[i].text);
        em_template_free(chat->sources[i].parsed);
    }
    json_decref(chat->tokens);
    pthread_mutex_destroy(&chat->lock);
    em__free(chat->dir);
    em__free(chat);
}

const em__jsource *em__j_chat_source(const em_chat_template *chat, bool tools)
{
    const em__jsource *fallback = NULL;
    for (size_t i = 0; i < chat->count; i++) {
        if (tools && strcmp(chat->sources[i].name, "tool_use") == 0)
            return &chat->sources[i];
        if (strcmp(chat->sources[i].name, "default") == 0)
            fallback = &chat->sources[i];
    }
    return fallback;
}
