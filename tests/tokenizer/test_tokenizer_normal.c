/* Byte-level text with marks, in order and out of it: the tokens of a text are those of its NFC, whichever path either
 * took; and where the text is normal, they give it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <utf8proc.h>

#include <emily/tokenizer.h>

#include "harness/rng.h"

static const char *const parts[] = {"a",      "e",      "A",      " ",          "\n",         "1",         ".",
                                    "\u00e9", "\u0301", "\u0323", "\u0307",     "\u0345",     "\u0344",    "\u0928",
                                    "\u094d", "\u093c", "\u0e01", "\u0e48",     "\u0d4d",     "\u05e9",    "\u05c1",
                                    "\u05b8", "\u0627", "\u064b", "\u0651",     "\u1100",     "\u1161",    "\u11a8",
                                    "\uac00", "\u304b", "\u3099", "\u65e5",     "\u212b",     "\u0dd9",    "\u0dcf",
                                    "\u0dca", "\u1b06", "\u1b35", "\U0001d15e", "\U0001f600", "\U0002f800"};

static em_tokenizer *open_recorded(const char *name)
{
    char path[512];
    json_error_t error;
    em_tokenizer *tokenizer;
    snprintf(path, sizeof path, EM_TEST_DIR "/golden/tokenizer/data/%s.json", name);
    json_t *records = json_load_file(path, JSON_ALLOW_NUL, &error);
    assert_non_null(records);
    char *json = json_dumps(json_object_get(records, "tokenizer"), JSON_COMPACT);
    json_decref(records);
    if (em_tokenizer_parse(json, strlen(json), &tokenizer) != EM_OK)
        fail_msg("%s: %s", name, em_last_error());
    free(json);
    return tokenizer;
}

static void as_its_normal_form(void **state)
{
    static const char *const files[] = {"qwen2", "qwen3", "modernbert"};
    const em_encode_options bare = {.struct_size = sizeof bare, .no_special = true};
    rng random = {41};
    em_encoding given = {0}, normal = {0};
    em_text decoded = {0};
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        em_tokenizer *tokenizer = open_recorded(files[f]);
        for (int round = 0; round < 4000; round++) {
            char text[256] = "";
            size_t length = 0;
            for (size_t i = 0, count = rng_below(&random, 24) + 1; i < count; i++)
                length += (size_t)snprintf(text + length, sizeof text - length, "%s",
                                           parts[rng_below(&random, sizeof parts / sizeof parts[0])]);
            char *nfc = (char *)utf8proc_NFC((const utf8proc_uint8_t *)text);
            assert_non_null(nfc);
            assert_int_equal(em_tokenizer_encode(tokenizer, text, strlen(text), &bare, &given), EM_OK);
            assert_int_equal(em_tokenizer_encode(tokenizer, nfc, strlen(nfc), &bare, &normal), EM_OK);
            if (given.length != normal.length || memcmp(given.ids, normal.ids, given.length * sizeof *given.ids) != 0)
                fail_msg("%s: \"%s\" has other tokens than its normal form", files[f], text);
            assert_int_equal(em_tokenizer_decode(tokenizer, given.ids, given.length, false, &decoded), EM_OK);
            assert_string_equal(decoded.data, nfc);
            free(nfc);
        }
        em_tokenizer_free(tokenizer);
    }
    em_encoding_free(&given);
    em_encoding_free(&normal);
    em_text_free(&decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_its_normal_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
