/*
 * Templates that mean harm: each is an error with a text, within the limits; templates at the edge of the limits; every
 * allocation failing once; and checkpoints whose templates are missing or broken.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <emily/template.h>

#include "core/alloc.h"
#include "harness/faults.h"
#include "harness/golden.h"

static em_status render(const char *source, const char *json, char **text)
{
    em_template *parsed;
    *text = NULL;
    em_status status = em_template_parse(source, strlen(source), NULL, &parsed);
    if (status == EM_OK)
        status = em_template_render(parsed, json, json ? strlen(json) : 0, text, NULL);
    em_template_free(parsed);
    return status;
}

static void expect_error(const char *source, const char *part)
{
    char *text;
    em_clear_error();
    if (render(source, NULL, &text) == EM_OK)
        fail_msg("%.200s gives %.200s", source, text);
    assert_null(text);
    if (!strstr(em_last_error(), part) || !strstr(em_last_error(), "line "))
        fail_msg("%.200s: \"%s\", expected a line and \"%s\"", source, em_last_error(), part);
}

/* `part` over and over between two ends. */
static void expect_error_of_many(const char *start, const char *part, size_t count, const char *end, const char *error)
{
    size_t length = strlen(part), at = strlen(start);
    char *source = malloc(at + length * count + strlen(end) + 1);
    memcpy(source, start, at);
    for (size_t i = 0; i < count; i++, at += length)
        memcpy(source + at, part, length);
    memcpy(source + at, end, strlen(end) + 1);
    expect_error(source, error);
    free(source);
}

static void depth(void **state)
{
    (void)state;
    expect_error_of_many("{{ ", "(", 6000, "1", "nested");
    expect_error_of_many("{{ ", "-", 150, "1 }}", "nested");
    expect_error_of_many("{{ ", "[", 6000, "1", "nested");
    expect_error_of_many("{{ ", "not ", 20000, "1 }}", "nested");
    expect_error_of_many("{{ ", "-", 20000, "1 }}", "nested");
    expect_error_of_many("{{ 1", " + 1", 20000, " }}", "nested");
    expect_error_of_many("{{ 1", "|string", 20000, " }}", "nested");
    expect_error_of_many("{{ x", ".a", 20000, " }}", "nested");
    expect_error_of_many("{{ x", "[0]", 20000, " }}", "nested");
    expect_error_of_many("{{ ", "1 if 1 else ", 5000, "1 }}", "nested");
    expect_error_of_many("{{ 1", " < 2", 5000, " }}", "too long");
    expect_error_of_many("", "{% if 1 %}", 5000, "", "nested");
    expect_error_of_many("", "{% for x in y %}", 5000, "", "nested");
    expect_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursive");
    expect_error("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "recursive");
    expect_error("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "nested");
    expect_error("{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}"
                 "{{ ns.x|tojson }}",
                 "nested");
}

static void size(void **state)
{
    (void)state;
    expect_error("{{ range(10**9) }}", "range()");
    expect_error("{% for i in range(10**9) %}{% endfor %}", "range()");
    expect_error("{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}", "steps");
    expect_error("{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}", "steps");
    expect_error("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
                 "more than");
    expect_error("{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
                 "more than");
    expect_error("{{ 'x' * 10**12 }}", "more than");
    expect_error("{{ [1] * 10**18 }}", "more than");
    expect_error("{{ 'ab' * 2**62 }}", "more than");
    expect_error("{{ 'x'.center(10**10) }}", "more than");
    expect_error("{{ 'x'|indent(10**18) }}", "more than");
    expect_error("{{ '%*d' % (10**12, 1) }}", "wider");
    expect_error("{{ ('x' * 1000000) * 17 }}", "more than");
    expect_error("{{ range(100000)|unique|list }}", "steps");
    expect_error("{% set l = range(90000)|list %}{% for i in l %}{% if -1 in l %}{% endif %}{% endfor %}", "steps");
    expect_error("{% for i in range(9) %}{{ 'x' * 3000000 }}{% endfor %}", "more than");
    expect_error("{{ 2**10**10 }}", "64 bits");
}

static void sandbox(void **state)
{
    (void)state;
    expect_error("{{ ''.__class__ }}", "unsafe");
    expect_error("{{ ''['__class__'] }}", "unsafe");
    expect_error("{{ ''|attr('__class__') }}", "unsafe");
    expect_error("{{ [{}]|map(attribute='__class__')|list }}", "unsafe");
    expect_error("{{ '{0.__class__}'.format(1) }}", "unsafe");
    expect_error("{{ range.__init__ }}", "unsafe");
    expect_error("{{ self }}", "self");
    expect_error("{{ cycler.__init__.__globals__ }}", "undefined");
    expect_error("{{ {}.update({'a': 1}) }}", "unsafe");
    expect_error("{{ [].append(1) }}", "unsafe");
    expect_error("{% set ns = namespace() %}{% set ns.__class__ = 1 %}", "'_'");
    expect_error("\n\n{{ raise_exception('as it likes') }}", "line 3: as it likes");
    expect_error("a\n{% nonsense %}", "line 2: there is no tag 'nonsense'");
    expect_error("a\n\n{{ x|nonsense }}", "line 3: there is no filter 'nonsense'");
    expect_error("{% if 1 %}", "endif");
    expect_error("{% include 'a' %}", "'include' is not supported");
}

/* An error of the template itself has another status than one that the messages are to blame for. */
static void statuses(void **state)
{
    char *text;
    (void)state;
    assert_int_equal(render("{{ raise_exception('x') }}", NULL, &text), EM_ERROR_INVALID_ARGUMENT);
    assert_int_equal(render("{{ a.b.c }}", "{\"a\": {}}", &text), EM_ERROR_INVALID_ARGUMENT);
    assert_int_equal(render("{% if %}", NULL, &text), EM_ERROR_FORMAT);
    assert_int_equal(render("{% for a in range(10**9) %}{% endfor %}", NULL, &text), EM_ERROR_FORMAT);
    assert_int_equal(render("{% extends 'x' %}", NULL, &text), EM_ERROR_UNSUPPORTED);
    assert_int_equal(render("x", "[1]", &text), EM_ERROR_FORMAT);
    assert_int_equal(render("x", "{\"a\": ", &text), EM_ERROR_FORMAT);
    assert_int_equal(render("\xFF", NULL, &text), EM_ERROR_FORMAT);
    em_template *parsed;
    em_template_options options = {.struct_size = 1};
    assert_int_equal(em_template_parse("x", 1, &options, &parsed), EM_ERROR_INVALID_ARGUMENT);
    assert_null(parsed);
    parsed = (em_template *)&options;
    assert_int_equal(em_template_parse(NULL, 5, NULL, &parsed), EM_ERROR_INVALID_ARGUMENT);
    assert_null(parsed);
    em_chat_template *chat = (em_chat_template *)&options;
    assert_int_equal(em_chat_template_open(NULL, &chat), EM_ERROR_INVALID_ARGUMENT);
    assert_null(chat);
    assert_int_equal(em_chat_template_open("x", NULL), EM_ERROR_INVALID_ARGUMENT);
    em_template_free(NULL);
    em_template_text_free(NULL);
    em_chat_template_free(NULL);
}

static void limits(void **state)
{
    em_template_options options = {.struct_size = sizeof options, .max_steps = 100, .max_output = 5, .name = "mine"};
    em_template *parsed;
    char *text;
    size_t length;
    (void)state;
    assert_int_equal(em_template_parse("{{ 'abcde' }}", 13, &options, &parsed), EM_OK);
    assert_int_equal(em_template_render(parsed, NULL, 0, &text, &length), EM_OK);
    assert_int_equal(length, 5);
    em_template_text_free(text);
    em_template_free(parsed);
    assert_int_equal(em_template_parse("{{ 'abcdef' }}", 14, &options, &parsed), EM_OK);
    assert_int_equal(em_template_render(parsed, NULL, 0, &text, NULL), EM_ERROR_FORMAT);
    assert_non_null(strstr(em_last_error(), "mine: line 1: the template prints more than 5 bytes"));
    em_template_free(parsed);
}

/* A megabyte of chat is no attack. */
static void large_chat(void **state)
{
    static const char head[] = "{\"messages\": [", one[] = "{\"role\": \"user\", \"content\": \"";
    size_t size = 1 << 20, at = strlen(head);
    char *json = malloc(size + 4096), *text;
    (void)state;
    memcpy(json, head, at);
    for (int i = 0; i < 64; i++) {
        at += (size_t)snprintf(json + at, 64, "%s%s", i ? ", " : "", one);
        memset(json + at, 'a' + i % 26, size / 64 - 64);
        at += size / 64 - 64;
        at += (size_t)snprintf(json + at, 4, "\"}");
    }
    snprintf(json + at, 4, "]}");
    assert_int_equal(render("{% for m in messages %}{% set c = m.content.split('</think>')[-1].lstrip('\\n') %}"
                            "{{ '<|' + m.role + '|>' + c|trim + '<|end|>' }}{% endfor %}{{ messages|tojson }}",
                            json, &text),
                     EM_OK);
    assert_true(strlen(text) > 2 * (size - 64 * 64));
    em_template_text_free(text);
    free(json);
}

static const char every_part[] =
    "{%- macro m(a, b=[1], c={'k': 2.5}) %}{{ caller() if caller }}{{ a ~ b }}{{ c|tojson(indent=2) }}{% endmacro -%}"
    "{% set ns = namespace(n=0) %}{% for x in l if x %}{% set ns.n = ns.n + x %}{{ loop.length }}{{ loop.nextitem }}"
    "{% endfor %}{% call m(1) %}{{ ns.n }}{% endcall %}{% set t %}{{ s|upper|replace('A', 'b')|indent }}{% endset %}"
    "{{ t.split(',')[-1]|trim }}{{ '%s-%05.2f' % (s, 1.5) }}{{ '{:>5}'.format(s[::-1]) }}{{ l|sort|join(',') }}"
    "{{ l|map('string')|select('in', ['1'])|list }}{{ d|dictsort }}{{ d.items()|list }}{{ (l, d, none, -(s|length)) }}"
    "{% filter title %}{{ s }}{% endfilter %}{% with q = s * 2 %}{{ q is defined }}{% endwith %}{{ u.x is defined }}"
    "{{ strftime_now('%c') }}{{ s|e + '<' }}{{ d.update }}{{ range(3)|list + [s[1:]] }}{{ l|groupby(0) if no }}";

static em_status use_template(void *context)
{
    static const char json[] = "{\"l\": [3, 1, 2], \"s\": \"a,\\u00e9\", \"d\": {\"b\": 1, \"a\": null}, \"u\": {}}";
    char *text;
    (void)context;
    em_status status = render(every_part, json, &text);
    em_template_text_free(text);
    return status;
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    remove(path);
    if (!text)
        return;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A checkpoint's directory with these files; NULL: not there. */
static const char *make_dir(const char *jinja, const char *config, const char *processor)
{
    const char *dir = golden_scratch("hostile_chat");
    mkdir(dir, 0777);
    write_file(dir, "chat_template.jinja", jinja);
    write_file(dir, "tokenizer_config.json", config);
    write_file(dir, "chat_template.json", processor);
    return dir;
}

static em_status use_chat(void *dir)
{
    em_chat_template *chat;
    em_chat_options options = {.struct_size = sizeof options,
                               .messages = "[{\"role\": \"user\", \"content\": \"x\", \"reasoning\": \"y\"}]",
                               .tools = "[{\"name\": \"f\"}]",
                               .variables = "{\"v\": [1]}"};
    char *text = NULL;
    em_status status = em_chat_template_open(dir, &chat);
    if (status == EM_OK)
        status = em_chat_template_render(chat, &options, &text, NULL);
    em_template_text_free(text);
    em_chat_template_free(chat);
    return status;
}

/* The library's JSON reader allocates on its own account, so what is counted is the rest. */
static void faults(void **state)
{
    (void)state;
    assert_true(faults_sweep(use_template, NULL) > 20);
    const char *dir = make_dir("{{ bos_token }}{{ messages|tojson }}{{ tools }}{{ v }}",
                               "{\"bos_token\": {\"content\": \"<s>\"}, \"additional_special_tokens\": [\"a\"]}", NULL);
    assert_true(faults_sweep(use_chat, (void *)dir) > 10);
}

static void expect_open(const char *jinja, const char *config, const char *processor, em_status want, const char *part)
{
    em_chat_template *chat;
    const char *dir = make_dir(jinja, config, processor);
    em_clear_error();
    em_status status = em_chat_template_open(dir, &chat);
    if (status != want || (part && !strstr(em_last_error(), part)))
        fail_msg("%s \"%s\", expected %s \"%s\"", em_status_name(status), em_last_error(), em_status_name(want), part);
    em_chat_template_free(chat);
}

static void missing(void **state)
{
    em_chat_template *chat;
    (void)state;
    assert_int_equal(em_chat_template_open("/nowhere/at/all", &chat), EM_ERROR_NOT_FOUND);
    expect_open(NULL, NULL, NULL, EM_ERROR_NOT_FOUND, "no chat template");
    expect_open(NULL, "{\"bos_token\": \"<s>\", \"chat_template\": null}", NULL, EM_ERROR_NOT_FOUND,
                "no chat template");
    expect_open(NULL, "{", NULL, EM_ERROR_FORMAT, "tokenizer_config.json");
    expect_open(NULL, "{\"chat_template\": 5}", NULL, EM_ERROR_FORMAT, "chat_template: expected a string");
    expect_open(NULL, "{\"chat_template\": [5]}", NULL, EM_ERROR_FORMAT, "chat_template[0]");
    expect_open(NULL, "{\"chat_template\": [{\"name\": \"default\"}]}", NULL, EM_ERROR_FORMAT, "template");
    expect_open(NULL, "[]", NULL, EM_ERROR_FORMAT, "expected a JSON object");
    expect_open(NULL, NULL, "{\"chat_template\": \"x\"}", EM_OK, NULL);
    expect_open("{% broken", NULL, NULL, EM_OK, NULL);
}

static void expect_chat(const char *config, const char *messages, const char *tools, em_status want, const char *part)
{
    em_chat_template *chat;
    em_chat_options options = {.struct_size = sizeof options, .messages = messages, .tools = tools};
    char *text;
    assert_int_equal(em_chat_template_open(make_dir(NULL, config, NULL), &chat), EM_OK);
    em_status status = em_chat_template_render(chat, &options, &text, NULL);
    const char *got = status == EM_OK ? text : em_last_error();
    if (status != want || !strstr(got, part))
        fail_msg("%s \"%s\", expected %s \"%s\"", em_status_name(status), got, em_status_name(want), part);
    em_template_text_free(text);
    em_chat_template_free(chat);
}

static void chosen(void **state)
{
    static const char two[] = "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"with {{ eos_token }}\"}, "
                              "{\"name\": \"default\", \"template\": \"without\"}], \"eos_token\": \"</s>\"}";
    static const char none[] = "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"x\"}]}";
    static const char broken[] = "{\"chat_template\": \"a\\n{% if %}\"}";
    (void)state;
    expect_chat(two, "[]", NULL, EM_OK, "without");
    expect_chat(two, "[]", "[{}]", EM_OK, "with </s>");
    expect_chat(none, "[]", NULL, EM_ERROR_NOT_FOUND, "default");
    expect_chat(broken, "[]", NULL, EM_ERROR_FORMAT, "tokenizer_config.json: chat_template: line 2");
    expect_chat(two, "{}", NULL, EM_ERROR_FORMAT, "messages: expected a JSON array");
    expect_chat(two, "[1]", NULL, EM_ERROR_FORMAT, "messages: [0]: expected an object");
    expect_chat(two, "[", NULL, EM_ERROR_FORMAT, "messages");
    expect_chat(two, "[]", "{}", EM_ERROR_FORMAT, "tools: expected a JSON array");
    expect_chat(two, NULL, NULL, EM_ERROR_INVALID_ARGUMENT, "messages is NULL");
}

static void *render_often(void *chat)
{
    em_chat_options options = {.struct_size = sizeof options, .messages = "[{\"role\": \"user\", \"content\": \"x\"}]"};
    for (int i = 0; i < 50; i++) {
        char *text;
        if (em_chat_template_render(chat, &options, &text, NULL) != EM_OK || strcmp(text, "[user x]") != 0)
            return chat;
        em_template_text_free(text);
    }
    return NULL;
}

static void threads(void **state)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    em_chat_template *chat;
    void *failed;
    (void)state;
    assert_int_equal(
        em_chat_template_open(make_dir("{% for m in messages %}[{{ m.role }} {{ m.content }}]{% endfor %}", NULL, NULL),
                              &chat),
        EM_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, render_often, chat), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    em_chat_template_free(chat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth),  cmocka_unit_test(size),       cmocka_unit_test(sandbox), cmocka_unit_test(statuses),
        cmocka_unit_test(limits), cmocka_unit_test(large_chat), cmocka_unit_test(faults),  cmocka_unit_test(missing),
        cmocka_unit_test(chosen), cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
