/* Text as it is shown: whole characters, and never a byte of a stop string, whatever tokens it is cut into. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "generate/text.h"
#include "harness/expect.h"
#include "harness/golden.h"

typedef struct fixture {
    em_tokenizer *tokenizer;
    em__text_out out;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    json_error_t error;
    json_t *records = json_load_file(golden_path("tokenizer/data/qwen2.json"), JSON_ALLOW_NUL, &error);
    char *json = json_dumps(json_object_get(records, "tokenizer"), JSON_COMPACT);
    assert_non_null(json);
    EXPECT_OK(em_tokenizer_parse(json, strlen(json), &f.tokenizer));
    json_decref(records);
    free(json);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    em__text_out_free(&f->out);
    em_tokenizer_free(f->tokenizer);
    return 0;
}

/* Pushes the tokens of `text`, a byte at a time where the vocabulary has no more; returns whether it stopped. Whatever
 * is shown is never taken back. */
static bool write_text(fixture *f, const char *text, const em__stops *stops)
{
    em_encoding encoding = {0};
    size_t from, shown = 0;
    bool stopped = false;
    EXPECT_OK(em_tokenizer_encode(f->tokenizer, text, strlen(text), NULL, &encoding));
    EXPECT_OK(em__text_out_begin(&f->out, f->tokenizer, false));
    for (size_t i = 0; i < encoding.length && !stopped; i++) {
        EXPECT_OK(em__text_out_push(&f->out, stops, encoding.ids[i], &from, &stopped));
        assert_int_equal(from, shown);
        assert_true(f->out.shown >= shown && f->out.shown <= f->out.text.length);
        shown = f->out.shown;
    }
    if (!stopped)
        EXPECT_OK(em__text_out_finish(&f->out, stops, &from));
    em_encoding_free(&encoding);
    return stopped;
}

static void expect_text(fixture *f, const char *text, char *stop, bool stops, const char *shown)
{
    const em__stops list = {&stop, stop ? 1 : 0};
    assert_int_equal(write_text(f, text, &list), stops);
    assert_int_equal(f->out.shown, strlen(shown));
    assert_memory_equal(em__str_text(&f->out.text), shown, strlen(shown));
}

static void test_whole(void **state)
{
    expect_text(*state, "The quick brown fox.", NULL, false, "The quick brown fox.");
    expect_text(*state, "na\xc3\xafve \xf0\x9f\xa6\x8a \xe6\xbc\xa2\xe5\xad\x97", NULL, false,
                "na\xc3\xafve \xf0\x9f\xa6\x8a \xe6\xbc\xa2\xe5\xad\x97");
    expect_text(*state, "", NULL, false, "");
}

static void test_stops(void **state)
{
    expect_text(*state, "one two three", "two", true, "one ");
    expect_text(*state, "one two three", " tw", true, "one");
    expect_text(*state, "one two three", "three", true, "one two ");
    expect_text(*state, "one two three", "four", false, "one two three");
    expect_text(*state, "one two thr", "three", false, "one two thr"); /* held back, then shown */
    expect_text(*state, "aaaaaaab", "aab", true, "aaaaa");
    expect_text(*state, "\xf0\x9f\xa6\x8a\xf0\x9f\xa6\x8a!", "\xf0\x9f\xa6\x8a!", true, "\xf0\x9f\xa6\x8a");
}

static void test_first_of_several(void **state)
{
    fixture *f = *state;
    char *strings[] = {"three", "o t", "zzz"};
    const em__stops stops = {strings, 3};
    assert_true(write_text(f, "one two three", &stops));
    assert_string_equal(em__str_text(&f->out.text), "one tw");
}

static void test_no_tokenizer(void **state)
{
    fixture *f = *state;
    const em__stops none = {0};
    size_t from = 1;
    bool stopped = true;
    EXPECT_OK(em__text_out_begin(&f->out, NULL, false));
    EXPECT_OK(em__text_out_push(&f->out, &none, 5, &from, &stopped));
    EXPECT_OK(em__text_out_finish(&f->out, &none, &from));
    assert_false(stopped);
    assert_string_equal(em__str_text(&f->out.text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_first_of_several),
        cmocka_unit_test(test_no_tokenizer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
