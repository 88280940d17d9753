/*
 * Streams of ids: every part they give is whole characters, and the parts together are what decoding at once gives. For
 * the recorded files over their corpus and over random ids, and for random sequences of decoders.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <emily/tokenizer.h>

#include "core/str.h"
#include "harness/faults.h"
#include "harness/rng.h"
#include "tokenizer/utf8.h"

#define DATA EM_TEST_DIR "/golden/tokenizer/data/"

static const char *context;

/* Pushes the ids; the parts go into `whole`. Returns the most ids in a row that gave nothing. */
static size_t stream_ids(em_decode_stream *stream, const int32_t *ids, size_t count, em__str *whole)
{
    em_text part = {0};
    size_t silent = 0, longest = 0;
    em__str_clear(whole);
    for (size_t i = 0; i <= count; i++) {
        em_status status =
            i < count ? em_decode_stream_push(stream, ids[i], &part) : em_decode_stream_flush(stream, &part);
        if (status != EM_OK)
            fail_msg("%s: %s", context, em_last_error());
        if (em__utf8_valid(part.data, part.length) < part.length)
            fail_msg("%s, id %zu: a part that is not whole characters", context, i);
        assert_int_equal(part.data[part.length], 0);
        assert_int_equal(em__str_add(whole, part.data, part.length), EM_OK);
        silent = part.length > 0 ? 0 : silent + 1;
        longest = silent > longest ? silent : longest;
    }
    em_text_free(&part);
    return longest;
}

/* Twice through one stream: a flush is a beginning. */
static void check_ids(const em_tokenizer *tokenizer, const int32_t *ids, size_t count)
{
    em_text want = {0};
    em__str whole = {0};
    for (int skip = 0; skip < 2; skip++) {
        em_decode_stream *stream = em_decode_stream_new(tokenizer, skip);
        assert_non_null(stream);
        assert_int_equal(em_tokenizer_decode(tokenizer, ids, count, skip, &want), EM_OK);
        for (int round = 0; round < 2; round++) {
            stream_ids(stream, ids, count, &whole);
            if (whole.length != want.length || memcmp(em__str_text(&whole), want.data, want.length) != 0)
                fail_msg("%s: streamed \"%s\", at once \"%s\"", context, em__str_text(&whole), want.data);
        }
        em_decode_stream_free(stream);
    }
    em__str_free(&whole);
    em_text_free(&want);
}

static json_t *read_json(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, DATA "%s", name);
    json_t *value = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!value)
        fail_msg("%s: %s", path, error.text);
    return value;
}

static em_tokenizer *open_recorded(const char *name)
{
    json_t *records = read_json(name);
    char *json = json_dumps(json_object_get(records, "tokenizer"), JSON_COMPACT);
    em_tokenizer *tokenizer = NULL;
    if (em_tokenizer_parse(json, strlen(json), &tokenizer) != EM_OK)
        fail_msg("%s: %s", name, em_last_error());
    free(json);
    json_decref(records);
    return tokenizer;
}

static void check_file(const em_tokenizer *tokenizer, const json_t *texts)
{
    em_encoding encoding = {0};
    rng random = {5};
    int32_t ids[64], most = em_tokenizer_max_id(tokenizer);
    char text[4096];
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const char *hex = json_string_value(json_array_get(texts, i));
        size_t length = strlen(hex) / 2;
        assert_true(length <= sizeof text);
        for (size_t k = 0; k < length; k++) {
            unsigned byte;
            sscanf(hex + 2 * k, "%2x", &byte);
            text[k] = (char)byte;
        }
        if (em_tokenizer_encode(tokenizer, text, length, NULL, &encoding) == EM_OK)
            check_ids(tokenizer, encoding.ids, encoding.length);
    }
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < 64; i++)
            ids[i] = (int32_t)rng_below(&random, (size_t)most + 3) - 1;
        check_ids(tokenizer, ids, 64);
    }
    em_encoding_free(&encoding);
}

static void recorded_files(void **state)
{
    (void)state;
    json_t *corpus = read_json("corpus.json"), *texts = json_object_get(corpus, "texts");
    DIR *directory = opendir(DATA);
    struct dirent *entry;
    size_t checked = 0;
    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        if (!strstr(entry->d_name, ".json") || strcmp(entry->d_name, "corpus.json") == 0)
            continue;
        if (strcmp(entry->d_name, "minilm.json") == 0) /* has no file in it */
            continue;
        em_tokenizer *tokenizer = open_recorded(entry->d_name);
        context = entry->d_name;
        check_file(tokenizer, texts);
        checked++;
        em_tokenizer_free(tokenizer);
    }
    closedir(directory);
    json_decref(corpus);
    assert_true(checked >= 30);
}

/* Byte-level vocabularies give any text back, NUL and all. */
static void byte_level_round_trips(void **state)
{
    static const char *const files[] = {"gpt2.json",   "llama3.json", "smollm.json",  "whisper.json",
                                        "tekken.json", "o200k.json",  "deepseek.json"};
    const em_encode_options bare = {.struct_size = sizeof bare, .no_special = true};
    rng random = {31};
    em_encoding encoding = {0};
    em_text decoded = {0};
    (void)state;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        em_tokenizer *tokenizer = open_recorded(files[f]);
        for (int round = 0; round < 300; round++) {
            char text[256];
            size_t length = 0;
            for (size_t i = 0, count = rng_below(&random, 40); i < count; i++) {
                uint32_t c = (uint32_t)rng_below(&random, i % 3 == 0 ? 0x110000 : i % 3 == 1 ? 0x80 : 0x3000);
                length += em__utf8_put(text + length, c >= 0xD800 && c < 0xE000 ? ' ' : c);
            }
            assert_int_equal(em_tokenizer_encode(tokenizer, text, length, &bare, &encoding), EM_OK);
            assert_int_equal(em_tokenizer_decode(tokenizer, encoding.ids, encoding.length, false, &decoded), EM_OK);
            assert_int_equal(decoded.length, length);
            assert_memory_equal(decoded.data, text, length);
        }
        em_tokenizer_free(tokenizer);
    }
    em_encoding_free(&encoding);
    em_text_free(&decoded);
}

/* A tokenizer of words whose decoder is `decoder`, a JSON text. */
static em_tokenizer *with_decoder(const char *decoder)
{
    static const char *const words[] = {
        "a",      " a ",    "  ",     "##b",    "##",     "_",       "__c",     "d</w>",          "</w>e</w>",
        "<0x41>", "<0xE4>", "<0xB8>", "<0xAD>", "<0xFF>", "\\u0120", "\\u00e4", "\\u00b8",        "\\u0143",
        "ab",     "ba",     "aab",    "'s",     "n't",    ".",       "",        "\\u4e2d\\u6587", "|",
        "[P]"};
    em__str json = {0};
    em_tokenizer *tokenizer = NULL;
    em__str_addf(&json, "{\"decoder\":%s,\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{", decoder);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        em__str_addf(&json, "%s\"%s\":%zu", i ? "," : "", words[i], i);
    assert_int_equal(em__str_add_text(&json, "}}}"), EM_OK);
    if (em_tokenizer_parse(json.data, json.length, &tokenizer) != EM_OK)
        fail_msg("%s: %s", json.data, em_last_error());
    em__str_free(&json);
    return tokenizer;
}

static void random_sequences_of_decoders(void **state)
{
    static const char *const parts[] = {
        "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}",
        "{\"type\":\"ByteLevel\"}",
        "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"first\",\"split\":true}",
        "{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"}",
        "{\"type\":\"ByteFallback\"}",
        "{\"type\":\"Fuse\"}",
        "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":2}",
        "{\"type\":\"Strip\",\"content\":\"a\",\"start\":2,\"stop\":1}",
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"aab\"},\"content\":\"_\"}",
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u4e2d\\u6587\"},\"content\":\"##\"}",
        "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[ab]+\"},\"content\":\" a\"}",
        "{\"type\":\"CTC\",\"pad_token\":\"[P]\",\"word_delimiter_token\":\"|\",\"cleanup\":true}"};
    rng random = {11};
    (void)state;
    for (int round = 0; round < 2000; round++) {
        char json[2048] = "{\"type\":\"Sequence\",\"decoders\":[";
        int32_t ids[24];
        for (size_t i = 0, count = rng_below(&random, 4) + 1; i < count; i++) {
            size_t at = strlen(json);
            snprintf(json + at, sizeof json - at, "%s%s", i ? "," : "", parts[rng_below(&random, 12)]);
        }
        strncat(json, "]}", 3);
        em_tokenizer *tokenizer = with_decoder(round ? json : "null");
        context = json;
        for (int k = 0; k < 6; k++) {
            size_t count = (size_t)rng_below(&random, 25);
            for (size_t i = 0; i < count; i++)
                ids[i] = (int32_t)rng_below(&random, k % 2 ? 28 : 14);
            check_ids(tokenizer, ids, count);
        }
        em_tokenizer_free(tokenizer);
    }
}

/* Text comes at once where it can, and nothing is held for ever. */
static void text_is_not_held(void **state)
{
    static const char llama[] = "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
                                "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}";
    em_tokenizer *tokenizer = with_decoder(llama);
    em_decode_stream *stream = em_decode_stream_new(tokenizer, false);
    em__str whole = {0};
    em_text part = {0};
    int32_t ids[300];
    (void)state;
    context = "not held";
    for (size_t i = 0; i < 300; i++) /* three bytes a character */
        ids[i] = 10 + (int32_t)(i % 3);
    assert_true(stream_ids(stream, ids, 300, &whole) <= 34);
    assert_int_equal(whole.length, 300);
    assert_int_equal(em_decode_stream_push(stream, 1, &part), EM_OK);
    assert_string_equal(part.data, "a ");
    assert_int_equal(em_decode_stream_push(stream, 10, &part), EM_OK);
    assert_string_equal(part.data, "");
    assert_int_equal(em_decode_stream_push(stream, 13, &part), EM_OK); /* now both are known to be wrong */
    assert_string_equal(part.data, "\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_int_equal(em_decode_stream_push(stream, 10, &part), EM_OK);
    assert_string_equal(part.data, "\xEF\xBF\xBD");
    assert_int_equal(em_decode_stream_push(stream, -7, &part), EM_OK);
    assert_int_equal(part.length, 0);
    em_decode_stream_free(stream);
    em_tokenizer_free(tokenizer);
    tokenizer = with_decoder("{\"type\":\"ByteLevel\"}");
    stream = em_decode_stream_new(tokenizer, false);
    for (size_t i = 0; i < 300; i++)
        ids[i] = 15; /* the byte E4, over and over: each is wrong once the next is there */
    assert_int_equal(stream_ids(stream, ids, 300, &whole), 1);
    assert_int_equal(whole.length, 900);
    em_decode_stream_free(stream);
    em_tokenizer_free(tokenizer);
    em__str_free(&whole);
    em_text_free(&part);
}

static em_status use_stream(void *tokenizer)
{
    static const int32_t ids[] = {1, 10, 11, 12, 8, 3, 27, 10, 18, 10, 25};
    em_text part = {0};
    em_decode_stream *stream = em_decode_stream_new(tokenizer, false);
    em_status status = stream ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    for (size_t i = 0; status == EM_OK && i < sizeof ids / sizeof ids[0]; i++)
        status = em_decode_stream_push(stream, ids[i], &part);
    if (status == EM_OK)
        status = em_decode_stream_flush(stream, &part);
    em_decode_stream_free(stream);
    em_text_free(&part);
    return status;
}

static void every_allocation_fails(void **state)
{
    em_tokenizer *tokenizer = with_decoder(
        "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
        "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[ab]+\"},\"content\":\"a\"},{\"type\":\"ByteFallback\"},"
        "{\"type\":\"BPEDecoder\",\"suffix\":\"</w>\"},{\"type\":\"ByteLevel\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"ab\"},\"content\":\"_\"}]}");
    (void)state;
    assert_true(faults_sweep(use_stream, tokenizer) > 10);
    em_tokenizer_free(tokenizer);
}

static void bad_arguments(void **state)
{
    em_text text = {0};
    (void)state;
    assert_null(em_decode_stream_new(NULL, false));
    assert_int_equal(em_decode_stream_push(NULL, 0, &text), EM_ERROR_INVALID_ARGUMENT);
    assert_int_equal(em_decode_stream_flush(NULL, &text), EM_ERROR_INVALID_ARGUMENT);
    em_decode_stream_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_files),
        cmocka_unit_test(byte_level_round_trips),
        cmocka_unit_test(random_sequences_of_decoders),
        cmocka_unit_test(text_is_not_held),
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
