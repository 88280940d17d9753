/*
 * Every file of tests/golden/tokenizer/data against what the `tokenizers` package made of the same texts: tokens in
 * full for the first texts, CRC-32 of ids, offsets, types, masks and decoded text for all; record.py says how.
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

#define DATA EM_TEST_DIR "/golden/tokenizer/data/"

static uint32_t crc_table[256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc32_of(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < length; i++)
        crc = crc_table[(crc ^ bytes[i]) & 0xFF] ^ crc >> 8;
    return ~crc;
}

static uint32_t crc_encoding(uint32_t crc, const em_encoding *e)
{
    uint32_t count = (uint32_t)e->length;
    crc = crc32_of(crc, &count, 4);
    for (size_t i = 0; i < e->length; i++) {
        uint32_t flags =
            (uint32_t)e->type_ids[i] | (uint32_t)e->special_mask[i] << 8 | (uint32_t)e->attention_mask[i] << 9;
        uint32_t words[4] = {(uint32_t)e->ids[i], e->offsets[i].start, e->offsets[i].end, flags};
        crc = crc32_of(crc, words, sizeof words);
    }
    return crc;
}

typedef struct text {
    char *bytes;
    size_t length;
} text;

typedef struct fixture {
    const char *name;
    em_tokenizer *tokenizer;
    json_t *records;
    em_encoding encoding;
    em_text decoded;
} fixture;

static text texts[256];
static size_t text_count;

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

static int load_texts(void **state)
{
    (void)state;
    make_crc_table();
    json_t *corpus = read_json("corpus.json"), *list = json_object_get(corpus, "texts");
    text_count = json_array_size(list);
    for (size_t i = 0; i < text_count; i++) {
        const char *hex = json_string_value(json_array_get(list, i));
        texts[i].length = strlen(hex) / 2;
        texts[i].bytes = malloc(texts[i].length + 1);
        for (size_t k = 0; k < texts[i].length; k++) {
            unsigned byte;
            sscanf(hex + 2 * k, "%2x", &byte);
            texts[i].bytes[k] = (char)byte;
        }
    }
    json_decref(corpus);
    return 0;
}

static int free_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < text_count; i++)
        free(texts[i].bytes);
    return 0;
}

/* Compares what an encode gave with a record: a CRC, or null where the package gives an error. `decode` adds the
 * text. */
static void check(fixture *f, text t, const em_encode_options *options, const json_t *want, bool decode,
                  const char *what, size_t index)
{
    em_status status = em_tokenizer_encode(f->tokenizer, t.bytes, t.length, options, &f->encoding);
    if (json_is_null(want)) {
        if (status == EM_OK)
            fail_msg("%s, %s %zu: expected an error", f->name, what, index);
        return;
    }
    if (status != EM_OK)
        fail_msg("%s, %s %zu: %s", f->name, what, index, em_last_error());
    uint32_t crc = crc_encoding(0, &f->encoding);
    for (size_t i = 0; i < f->encoding.overflow_count; i++)
        crc = crc_encoding(crc, &f->encoding.overflow[i]);
    if (decode) {
        status = em_tokenizer_decode(f->tokenizer, f->encoding.ids, f->encoding.length, true, &f->decoded);
        assert_int_equal(status, EM_OK);
        crc = crc32_of(crc, f->decoded.data, f->decoded.length);
    }
    if (crc != (uint32_t)json_integer_value(want))
        fail_msg("%s, %s %zu: other tokens than recorded", f->name, what, index);
}

static void check_full(fixture *f)
{
    json_t *list = json_object_get(f->records, "full");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *record = json_array_get(list, i), *ids = json_object_get(record, "ids");
        json_t *offsets = json_object_get(record, "offsets");
        if (!json_is_object(record))
            continue;
        assert_int_equal(em_tokenizer_encode(f->tokenizer, texts[i].bytes, texts[i].length, NULL, &f->encoding), EM_OK);
        const em_encoding *e = &f->encoding;
        if (e->length != json_array_size(ids))
            fail_msg("%s, text %zu: %zu tokens, expected %zu", f->name, i, e->length, json_array_size(ids));
        for (size_t k = 0; k < e->length; k++) {
            int id = (int)json_integer_value(json_array_get(ids, k));
            int start = (int)json_integer_value(json_array_get(offsets, 2 * k));
            int end = (int)json_integer_value(json_array_get(offsets, 2 * k + 1));
            if (e->ids[k] != id || (int)e->offsets[k].start != start || (int)e->offsets[k].end != end)
                fail_msg("%s, text %zu, token %zu: %d [%u, %u), expected %d [%d, %d)", f->name, i, k, e->ids[k],
                         e->offsets[k].start, e->offsets[k].end, id, start, end);
        }
        assert_int_equal(em_tokenizer_decode(f->tokenizer, e->ids, e->length, false, &f->decoded), EM_OK);
        json_t *want = json_object_get(record, "text");
        if (f->decoded.length != json_string_length(want) ||
            memcmp(f->decoded.data, json_string_value(want), f->decoded.length) != 0)
            fail_msg("%s, text %zu: decoded \"%s\", expected \"%s\"", f->name, i, f->decoded.data,
                     json_string_value(want));
    }
}

static long number(const json_t *list, size_t i)
{
    const json_t *value = json_array_get(list, i);
    return json_is_boolean(value) ? json_is_true(value) : (long)json_integer_value(value);
}

static void set_pair(em_encode_options *options, long pair)
{
    if (pair < 0)
        return;
    options->pair = texts[pair].bytes;
    options->pair_length = texts[pair].length;
}

static void check_options(fixture *f)
{
    json_t *pairs = json_object_get(f->records, "pairs"), *windows = json_object_get(f->records, "windows");
    json_t *padded = json_object_get(f->records, "padded");
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        json_t *one = json_array_get(pairs, i);
        em_encode_options options = {.struct_size = sizeof options};
        set_pair(&options, number(one, 1));
        check(f, texts[number(one, 0)], &options, json_array_get(one, 2), false, "pair", i);
    }
    for (size_t i = 0; i < json_array_size(windows); i++) {
        json_t *one = json_array_get(windows, i);
        em_encode_options options = {
            .struct_size = sizeof options, .overflow = true, .truncation = EM_TRUNCATION_GIVEN};
        set_pair(&options, number(one, 1));
        options.max_length = (size_t)number(one, 2);
        options.stride = (size_t)number(one, 3);
        options.strategy = (em_truncation_strategy)number(one, 4);
        options.truncate_left = number(one, 5) != 0;
        check(f, texts[number(one, 0)], &options, json_array_get(one, 6), false, "windows", i);
    }
    for (size_t i = 0; i < json_array_size(padded); i++) {
        json_t *one = json_array_get(padded, i);
        em_encode_options options = {
            .struct_size = sizeof options, .padding = EM_PADDING_GIVEN, .pad_id = 7, .pad_type_id = 3};
        options.pad_length = (size_t)number(one, 1);
        options.pad_to_multiple_of = (size_t)number(one, 2);
        options.pad_left = number(one, 3) != 0;
        check(f, texts[number(one, 0)], &options, json_array_get(one, 4), false, "padding", i);
    }
}

/* The code points of corpus.py's sweep. */
static bool in_sweep(uint32_t c)
{
    static const uint32_t left_out[][2] = {{0x3500, 0x9F00},   {0xAD00, 0xD700},   {0xD800, 0xE000},  {0xE100, 0xF800},
                                           {0x17100, 0x18700}, {0x20100, 0x2F700}, {0x32000, 0xE0000}};
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        if (c >= left_out[i][0] && c < left_out[i][1])
            return false;
    return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80)
        return (size_t)(out[0] = (char)c, 1);
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF00 >> length & 0xF0) | c);
    return length;
}

static uint32_t crc_of_text(fixture *f, const char *bytes, size_t length)
{
    if (em_tokenizer_encode(f->tokenizer, bytes, length, NULL, &f->encoding) != EM_OK)
        return 0;
    assert_int_equal(em_tokenizer_decode(f->tokenizer, f->encoding.ids, f->encoding.length, true, &f->decoded), EM_OK);
    return crc32_of(crc_encoding(0, &f->encoding), f->decoded.data, f->decoded.length);
}

static void check_sweep(fixture *f)
{
    json_t *list = json_object_get(f->records, "sweep");
    char bytes[64 * 8];
    uint32_t crcs[32], first = 0;
    size_t length = 0, chars = 0, count = 0, group = 0;
    for (uint32_t c = 0; c <= 0xE0200; c++) {
        bool last = c == 0xE0200;
        if (!last && !in_sweep(c))
            continue;
        if (chars == 64 || (last && chars > 0)) {
            crcs[count++] = crc_of_text(f, bytes, length);
            length = chars = 0;
        }
        if (count == 32 || (last && count > 0)) {
            if (crc32_of(0, crcs, 4 * count) != (uint32_t)json_integer_value(json_array_get(list, group)))
                fail_msg("%s, sweep %zu: other tokens than recorded, between U+%04X and U+%04X", f->name, group, first,
                         c);
            group++;
            count = 0;
            first = c;
        }
        bytes[length++] = 'a';
        length += put_utf8(bytes + length, c);
        bytes[length++] = 'b';
        bytes[length++] = ' ';
        chars++;
    }
    assert_int_equal(group, json_array_size(list));
}

static void check_file(fixture *f)
{
    em_encode_options bare = {.struct_size = sizeof bare, .no_special = true};
    json_t *with = json_object_get(f->records, "texts"), *without = json_object_get(f->records, "bare");
    check_full(f);
    assert_int_equal(json_array_size(with), text_count);
    for (size_t i = 0; i < text_count; i++) {
        check(f, texts[i], NULL, json_array_get(with, i), true, "text", i);
        check(f, texts[i], &bare, json_array_get(without, i), false, "bare text", i);
    }
    check_options(f);
    check_sweep(f);
}

static void open_file(fixture *f, const char *name)
{
    f->name = name;
    f->records = read_json(name);
    json_t *file = json_object_get(f->records, "tokenizer");
    if (file) {
        char *json = json_dumps(file, JSON_COMPACT);
        if (em_tokenizer_parse(json, strlen(json), &f->tokenizer) != EM_OK)
            fail_msg("%s: %s", name, em_last_error());
        free(json);
    } else {
        const char *checkpoint = getenv("EMILY_MINILM");
        if (checkpoint && em_tokenizer_open(checkpoint, &f->tokenizer) != EM_OK)
            fail_msg("%s: %s", checkpoint, em_last_error());
    }
}

static void all_files(void **state)
{
    (void)state;
    DIR *directory = opendir(DATA);
    struct dirent *entry;
    size_t checked = 0;
    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        fixture f = {0};
        size_t length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".json") != 0 || strcmp(entry->d_name, "corpus.json") == 0)
            continue;
        open_file(&f, entry->d_name);
        if (f.tokenizer)
            check_file(&f);
        else
            print_message("%s: not checked, EMILY_MINILM names no checkpoint\n", entry->d_name);
        checked += f.tokenizer != NULL;
        em_tokenizer_free(f.tokenizer);
        em_encoding_free(&f.encoding);
        em_text_free(&f.decoded);
        json_decref(f.records);
    }
    closedir(directory);
    assert_true(checked >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_files)};
    return cmocka_run_group_tests(tests, load_texts, free_texts);
}
