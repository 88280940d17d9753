/*
 * The templates of tests/golden/template against what Transformers, with jinja2, made of them: byte for byte, and an
 * error where it gives one. record.py says how they were recorded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include <emily/template.h>

#include "harness/golden.h"

#define DATA EM_TEST_DIR "/golden/template/data/"

static int64_t now;
static size_t wrong;

static int64_t recorded_clock(void *context)
{
    (void)context;
    return now;
}

static json_t *read_json(const char *path)
{
    json_error_t error;
    json_t *value = json_load_file(path, 0, &error);
    if (!value)
        fail_msg("%s: %s", path, error.text);
    now = json_integer_value(json_object_get(value, "now"));
    return value;
}

/* Says what differs; the test goes on, so that one run shows all. */
static void compare(const char *what, const char *which, em_status status, const char *text, size_t length,
                    const json_t *want)
{
    bool same = status == EM_OK && json_is_string(want) && length == json_string_length(want) &&
                memcmp(text, json_string_value(want), length) == 0;
    if (same || (status != EM_OK && json_is_null(want) && *em_last_error()))
        return;
    if (wrong++ < 60)
        print_message("%s %s\n  gives    %s\n  expected %s\n", what, which, status == EM_OK ? text : em_last_error(),
                      json_is_string(want) ? json_string_value(want) : "an error");
}

static void book(void **state)
{
    (void)state;
    json_t *data = read_json(DATA "book.json"), *cases = json_object_get(data, "cases"), *one;
    char *variables = json_dumps(json_object_get(data, "variables"), JSON_COMPACT);
    size_t i;
    wrong = 0;
    json_array_foreach(cases, i, one)
    {
        const char *source = json_string_value(json_array_get(one, 0));
        em_template_options options = {.struct_size = sizeof options, .clock = recorded_clock};
        em_template *parsed = NULL;
        char *text = NULL;
        size_t length = 0;
        em_status status = em_template_parse(source, json_string_length(json_array_get(one, 0)), &options, &parsed);
        if (status == EM_OK)
            status = em_template_render(parsed, variables, strlen(variables), &text, &length);
        compare("template", source, status, text, length, json_array_get(one, 1));
        em_template_text_free(text);
        em_template_free(parsed);
    }
    assert_true(i > 1000);
    free(variables);
    json_decref(data);
    assert_int_equal(wrong, 0);
}

/* A checkpoint's directory with the template, by name, in the place that `where` says. */
static char *make_checkpoint(const char *name, const json_t *entry, int where)
{
    char *dir = strdup(golden_scratch(name)), path[1024];
    json_t *config = json_deep_copy(json_object_get(entry, "config"));
    json_t *text = json_object_get(entry, "template");
    mkdir(dir, 0777);
    snprintf(path, sizeof path, "%s/chat_template.jinja", dir);
    remove(path);
    if (where == 0) {
        FILE *file = fopen(path, "wb");
        fwrite(json_string_value(text), 1, json_string_length(text), file);
        fclose(file);
    } else if (where == 1) {
        json_object_set(config, "chat_template", text);
    } else {
        json_object_set_new(config, "chat_template",
                            json_pack("[{s:s, s:s}, {s:s, s:O}, {s:s, s:O}]", "name", "rag", "template", "{{ nope(}}",
                                      "name", "default", "template", text, "name", "tool_use", "template", text));
    }
    json_object_set_new(config, "bos_token_id", json_integer(1));
    snprintf(path, sizeof path, "%s/tokenizer_config.json", dir);
    assert_int_equal(json_dump_file(config, path, 0), 0);
    json_decref(config);
    return dir;
}

static void render_chat(em_chat_template *chat, const json_t *all, const json_t *one)
{
    json_t *entry = json_object_get(json_object_get(all, "chats"), json_string_value(json_array_get(one, 1)));
    json_t *tools = json_object_get(entry, "tools");
    char *messages = json_dumps(json_object_get(entry, "messages"), JSON_COMPACT), *text = NULL, what[128];
    char *given = json_is_null(tools) ? NULL : json_dumps(tools, JSON_COMPACT);
    char *variables = json_dumps(json_array_get(one, 3), JSON_COMPACT);
    em_chat_options options = {.struct_size = sizeof options,
                               .messages = messages,
                               .tools = given,
                               .variables = variables,
                               .add_generation_prompt = json_is_true(json_array_get(one, 2)),
                               .clock = recorded_clock};
    size_t length = 0;
    em_status status = em_chat_template_render(chat, &options, &text, &length);
    snprintf(what, sizeof what, "%s%s %s", json_string_value(json_array_get(one, 1)),
             options.add_generation_prompt ? " with prompt" : "", variables);
    compare(json_string_value(json_array_get(one, 0)), what, status, text, length, json_array_get(one, 4));
    em_template_text_free(text);
    free(variables);
    free(given);
    free(messages);
}

/* Every chat through every family's template, found in each of the places where templates stand. */
static void chats(void **state)
{
    (void)state;
    json_t *data = read_json(DATA "chats.json"), *cases = json_object_get(data, "cases"), *entry, *one;
    const char *name;
    size_t i, count = 0;
    int where = 0;
    wrong = 0;
    json_object_foreach(json_object_get(data, "templates"), name, entry)
    {
        char *dir = make_checkpoint(name, entry, where++ % 3);
        em_chat_template *chat;
        if (em_chat_template_open(dir, &chat) != EM_OK)
            fail_msg("%s: %s", name, em_last_error());
        assert_string_equal(em_chat_template_source(chat, false),
                            json_string_value(json_object_get(entry, "template")));
        json_array_foreach(cases, i, one)
        {
            if (strcmp(json_string_value(json_array_get(one, 0)), name) == 0) {
                render_chat(chat, data, one);
                count++;
            }
        }
        em_chat_template_free(chat);
        free(dir);
    }
    assert_true(count > 800);
    json_decref(data);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(book), cmocka_unit_test(chats)};
    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
