/* Typed members and their messages; what is not JSON; the caps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "harness/checkpoint.h"
#include "io/json.h"
#include "support/temp.h"

static em_status parse(const char *text, em__json_doc *doc)
{
    return em__json_parse(text, strlen(text), "config.json", doc);
}

static void test_members(void **state)
{
    (void)state;
    em__json_doc doc;
    assert_int_equal(
        parse("{\"n\": 12, \"x\": 1.5, \"b\": true, \"s\": \"gelu\", \"o\": {\"f\": 2}, \"a\": [1, \"k\"], "
              "\"z\": null, \"r\": 3.0}",
              &doc),
        EM_OK);
    em__json root = em__json_root(&doc), object, array;
    int64_t n = -1;
    double x;
    bool b;
    const char *s;
    size_t size;
    assert_int_equal(em__json_get_int(&root, "n", 1, 100, &n), EM_OK);
    assert_int_equal(n, 12);
    assert_int_equal(em__json_get_real(&root, "x", 0, 2, &x), EM_OK);
    assert_int_equal(em__json_get_real(&root, "n", 0, 20, &x), EM_OK);
    assert_true(x == 12);
    assert_int_equal(em__json_get_bool(&root, "b", &b), EM_OK);
    assert_true(b);
    assert_int_equal(em__json_get_string(&root, "s", &s), EM_OK);
    assert_string_equal(s, "gelu");
    assert_int_equal(em__json_get_object(&root, "o", &object), EM_OK);
    assert_int_equal(em__json_get_int(&object, "f", 3, 9, &n), EM_ERROR_FORMAT);
    assert_string_equal(em_last_error(), "config.json: o.f: expected an integer of 3 .. 9, got 2");
    assert_int_equal(em__json_get_array(&root, "a", &array, &size), EM_OK);
    assert_int_equal(size, 2);
    em__json item = em__json_item(&array, 1);
    assert_int_equal(em__json_as_int(&item, 0, INT64_MAX, &n), EM_ERROR_FORMAT);
    assert_string_equal(em_last_error(), "config.json: a[1]: expected an integer of 0 or more, got the string \"k\"");
    assert_int_equal(em__json_get_int(&root, "r", 0, 9, &n), EM_ERROR_FORMAT);
    assert_error_has("r: expected an integer of 0 .. 9, got 3");
    assert_int_equal(em__json_get_int(&root, "none", 0, 9, &n), EM_ERROR_FORMAT);
    assert_string_equal(em_last_error(), "config.json: none: is missing, expected an integer of 0 .. 9");
    em__json_free(&doc);
}

static void test_optional(void **state)
{
    (void)state;
    em__json_doc doc;
    assert_int_equal(parse("{\"z\": null, \"n\": \"12\", \"a\": {}}", &doc), EM_OK);
    em__json root = em__json_root(&doc), member;
    int64_t n = 7;
    double x = 8;
    bool b = true;
    const char *s = "kept";
    size_t size = 9;
    assert_int_equal(em__json_opt_int(&root, "z", 0, 9, &n), EM_OK);
    assert_int_equal(em__json_opt_int(&root, "y", 0, 9, &n), EM_OK);
    assert_int_equal(n, 7);
    assert_int_equal(em__json_opt_real(&root, "y", 0, 9, &x), EM_OK);
    assert_int_equal(em__json_opt_bool(&root, "y", &b), EM_OK);
    assert_int_equal(em__json_opt_string(&root, "y", &s), EM_OK);
    assert_string_equal(s, "kept");
    assert_int_equal(em__json_opt_object(&root, "z", &member), EM_OK);
    assert_null(member.value);
    assert_int_equal(em__json_opt_array(&root, "y", &member, &size), EM_OK);
    assert_int_equal(size, 0);
    assert_int_equal(em__json_opt_int(&root, "n", 0, 99, &n), EM_ERROR_FORMAT);
    assert_int_equal(em__json_opt_array(&root, "a", &member, &size), EM_ERROR_FORMAT);
    assert_error_has("a: expected an array, got an object");
    em__json_free(&doc);
}

static void test_big_numbers(void **state)
{
    (void)state;
    em__json_doc doc;
    assert_int_equal(parse("{\"model_max_length\": 1000000000000000019884624838656, \"n\": 512}", &doc), EM_OK);
    em__json root = em__json_root(&doc);
    int64_t n;
    double x;
    assert_int_equal(em__json_get_int(&root, "n", 0, 1000, &n), EM_OK);
    assert_int_equal(n, 512);
    assert_int_equal(em__json_get_real(&root, "model_max_length", 0, 1e300, &x), EM_OK);
    assert_true(x == 1e30);
    assert_int_equal(em__json_get_int(&root, "model_max_length", 0, INT64_MAX, &n), EM_ERROR_FORMAT);
    em__json_free(&doc);
}

static void test_not_json(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "nonsense",
        "12",
        "{\"a\": 1, \"a\": 2}",
        "{\"a\": NaN}",
        "{\"a\": 1} x",
        "{'a': 1}",
        "{\"a\": 01}",
        "{\"\\u0000\": 1}",
        "[1,]",
        "{\"a\": \"\xff\"}",
        "{\"a\": \"\\ud800\"}",
        "{\"a\": 1e999}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        em__json_doc doc;
        assert_int_equal(parse(bad[i], &doc), EM_ERROR_FORMAT);
        assert_error_has("config.json: not valid JSON, line 1");
        em__json_free(&doc);
    }
}

static void test_depth(void **state)
{
    (void)state;
    em__json_doc doc;
    char *deep = malloc(20001);
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    deep[20000] = '\0';
    assert_int_equal(parse(deep, &doc), EM_ERROR_FORMAT);
    assert_error_has("nested 10000 deep");
    em__json_free(&doc);
    free(deep);
    assert_int_equal(
        parse("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]", &doc), EM_OK);
    em__json_free(&doc);
}

/* Spaces up to `size` bytes, and an object. */
static void write_long(const char *dir, const char *name, size_t size)
{
    char *text = malloc(size + 1);
    memset(text, ' ', size);
    memcpy(text + size - 2, "{}", 3);
    checkpoint_write(dir, name, text);
    free(text);
}

/* A configuration is short; that of a tokenizer may have thousands of added tokens in it. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t size;
        em_status status;
    } files[] = {{"config.json", (size_t)4 << 20, EM_OK},
                 {"config.json", ((size_t)4 << 20) + 1, EM_ERROR_FORMAT},
                 {"tokenizer_config.json", (size_t)8 << 20, EM_OK},
                 {"tokenizer_config.json", ((size_t)8 << 20) + 1, EM_ERROR_FORMAT}};
    const char *dir = checkpoint_copy("models/bert-plain", "sizes");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        em__json_doc doc;
        write_long(dir, files[i].name, files[i].size);
        assert_int_equal(em__json_load_at(dir, files[i].name, NULL, &doc), files[i].status);
        em__json_free(&doc);
    }
    assert_error_has("at most 8388608 are read");
    checkpoint_remove(dir);
}

static void test_printable(void **state)
{
    (void)state;
    char out[8];
    assert_string_equal(em__printable(out, sizeof out, "a\x1b[1m"), "a?[1m");
    assert_string_equal(em__printable(out, sizeof out, "a\xc2\x9b\x31m"), "a?1m");
    assert_string_equal(em__printable(out, sizeof out, "\xc2\xa0\xc3\x9b\xc2"), "\xc2\xa0\xc3\x9b\xc2");
    assert_string_equal(em__printable(out, sizeof out, "abcdefghij"), "abcd...");
    em__json_doc doc;
    assert_int_equal(parse("{\"a.b\\n\": {\"\": 1}}", &doc), EM_OK);
    em__json root = em__json_root(&doc), member;
    assert_int_equal(em__json_get_object(&root, "a.b\n", &member), EM_OK);
    const char *s;
    assert_int_equal(em__json_get_string(&member, "", &s), EM_ERROR_FORMAT);
    assert_string_equal(em_last_error(), "config.json: \"a.b?\".\"\": expected a string, got 1");
    em__json_free(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),  cmocka_unit_test(test_optional), cmocka_unit_test(test_big_numbers),
        cmocka_unit_test(test_not_json), cmocka_unit_test(test_depth),    cmocka_unit_test(test_printable),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
