/* A chat through a checkpoint's template: the values that Transformers gives it. */
#include "template/chat.h"

#include <string.h>

#include "core/alloc.h"
#include "core/options.h"
#include "io/json.h"
#include "template/render.h"

typedef struct documents {
    em__json_doc messages, tools, documents, variables;
} documents;

static em_status check_objects(const em__json_doc *doc)
{
    em__json root = em__json_root(doc);
    for (size_t i = 0; i < json_array_size(doc->root); i++) {
        em__json item = em__json_item(&root, i);
        EM__TRY(em__json_as_object(&item));
    }
    return EM_OK;
}

static em_status parse_one(const char *what, const char *text, bool object, em__json_doc *doc)
{
    if (!text)
        return EM_OK;
    EM__TRY(em__json_parse(text, strlen(text), what, doc));
    if (object ? json_is_object(doc->root) : json_is_array(doc->root))
        return object ? EM_OK : check_objects(doc);
    EM__FAIL_IF(strcmp(what, "messages") == 0, EM_ERROR_FORMAT,
                "%s: expected a JSON array; such as [{\"role\": \"user\", \"content\": \"Hello\"}]", what);
    return em__fail(EM_ERROR_FORMAT, "%s: expected a JSON %s", what, object ? "object" : "array");
}

/* The same of an array that the caller has a name for. */
static em_status parse_named(const char *name, const char *what, const char *text, em__json_doc *doc)
{
    const em_status status = parse_one(what, text, false, doc);
    return name ? em__context(status, "%s", name) : status;
}

static em_status parse_all(const em_chat_options *options, documents *docs)
{
    EM__TRY(parse_named(options->messages_name, "messages", options->messages, &docs->messages));
    EM__TRY(parse_named(options->tools_name, "tools", options->tools, &docs->tools));
    EM__TRY(parse_named(options->documents_name, "documents", options->documents, &docs->documents));
    return parse_one("variables", options->variables, true, &docs->variables);
}

static em_status set(em__jrun *run, em__jvalue dict, const char *name, em__jvalue value)
{
    em__jvalue key;
    EM__TRY(em__j_borrow(run, name, strlen(name), &key));
    return em__j_dict_set(run, dict.dict, key, value);
}

/* The members of an object become members of the dict. */
static em_status set_all(em__jrun *run, em__jvalue dict, json_t *object)
{
    em__jvalue from;
    if (!object)
        return EM_OK;
    EM__TRY(em__j_from_json(run, object, &from));
    for (size_t i = 0; i < from.dict->length; i++)
        EM__TRY(em__j_dict_set(run, dict.dict, from.dict->pairs[i].key, from.dict->pairs[i].value));
    return EM_OK;
}

static em_status set_array(em__jrun *run, em__jvalue dict, const char *name, json_t *array)
{
    em__jvalue value = em__j_none();
    if (array)
        EM__TRY(em__j_from_json(run, array, &value));
    return set(run, dict, name, value);
}

/* What a model thought has had several names: templates that know one of them find it. */
static em_status name_reasoning(em__jrun *run, em__jvalue *message)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    const em__jvalue *reasoning = NULL;
    em__jvalue named;
    for (size_t i = 0; i < 3 && !reasoning; i++) {
        reasoning = em__j_dict_text(message->dict, names[i], strlen(names[i]));
        if (reasoning && reasoning->kind == J_NONE)
            reasoning = NULL;
    }
    if (!reasoning)
        return EM_OK;
    EM__TRY(em__j_dict_new(run, &named));
    EM__TRY(set(run, named, "thinking", *reasoning));
    for (size_t i = 0; i < message->dict->length; i++)
        EM__TRY(em__j_dict_set(run, named.dict, message->dict->pairs[i].key, message->dict->pairs[i].value));
    EM__TRY(set(run, named, "reasoning_content", *reasoning));
    *message = named;
    return EM_OK;
}

static em_status set_messages(em__jrun *run, em__jvalue dict, json_t *array)
{
    em__jvalue list;
    EM__TRY(em__j_from_json(run, array, &list));
    em__jvalue *messages = (em__jvalue *)list.list->items; /* nobody else has them yet */
    for (size_t i = 0; i < list.list->length; i++)
        EM__TRY(name_reasoning(run, &messages[i]));
    return set(run, dict, "messages", list);
}

static em_status make_context(em__jrun *run, const em_chat_template *chat, const em_chat_options *options,
                              const documents *docs, em__jvalue *out)
{
    EM__TRY(em__j_dict_new(run, out));
    EM__TRY(set_all(run, *out, chat->tokens));
    EM__TRY(set_all(run, *out, docs->variables.root));
    EM__TRY(set_messages(run, *out, docs->messages.root));
    EM__TRY(set_array(run, *out, "tools", docs->tools.root));
    EM__TRY(set_array(run, *out, "documents", docs->documents.root));
    return set(run, *out, "add_generation_prompt", em__j_bool(options->add_generation_prompt));
}

/* The template that the chat is rendered with, parsed if it is not yet. */
static em_status get_parsed(em_chat_template *chat, bool tools, const em_template **out)
{
    const em__jsource *source = chat ? em__j_chat_source(chat, tools) : NULL;
    if (!source)
        return em__fail(EM_ERROR_NOT_FOUND, "%s: of its chat templates none is named \"default\"", chat->dir);
    em__jsource *mine = &chat->sources[source - chat->sources];
    em_status status = EM_OK;
    pthread_mutex_lock(&chat->lock);
    if (!mine->parsed) {
        em_template_options options = {.struct_size = sizeof options, .name = mine->file};
        status = em_template_parse(mine->text, mine->length, &options, &mine->parsed);
    }
    *out = mine->parsed;
    pthread_mutex_unlock(&chat->lock);
    return status;
}

static size_t length_of(const char *text)
{
    return text ? strlen(text) : 0;
}

static em_status render(em_chat_template *chat, const em_chat_options *options, const documents *docs, char **text,
                        size_t *text_length)
{
    const em_template *parsed = NULL;
    em__jrun run;
    em__jvalue context;
    EM__TRY(get_parsed(chat, options->tools != NULL, &parsed));
    em__j_run_init(&run, parsed,
                   length_of(options->messages) + length_of(options->tools) + length_of(options->documents) +
                       length_of(options->variables));
    if (options->clock)
        run.now = options->clock(options->clock_context);
    em_status status = make_context(&run, chat, options, docs, &context);
    if (status == EM_OK)
        status = em__j_run(&run, context, text, text_length);
    em__j_run_free(&run);
    return status;
}

em_status em_chat_template_render(em_chat_template *chat, const em_chat_options *given, char **text,
                                  size_t *text_length)
{
    documents docs = {0};
    em_chat_options own = {0};
    EM__FAIL_IF(!text, EM_ERROR_INVALID_ARGUMENT, "em_chat_template_render: text is NULL");
    *text = NULL;
    EM__FAIL_IF(!chat || !given, EM_ERROR_INVALID_ARGUMENT,
                "em_chat_template_render: the template or options are NULL");
    EM__TRY(EM__OPTIONS_COPY(given, &own, em_chat_options));
    const em_chat_options *options = &own;
    EM__FAIL_IF(!options->messages, EM_ERROR_INVALID_ARGUMENT, "em_chat_template_render: options.messages is NULL");
    em_status status = parse_all(options, &docs);
    if (status == EM_OK)
        status = render(chat, options, &docs, text, text_length);
    em__json_free(&docs.messages);
    em__json_free(&docs.tools);
    em__json_free(&docs.documents);
    em__json_free(&docs.variables);
    return status;
}

const char *em_chat_template_source(const em_chat_template *chat, bool tools)
{
    const em__jsource *source = chat ? em__j_chat_source(chat, tools) : NULL;
    return source ? source->text : "";
}
